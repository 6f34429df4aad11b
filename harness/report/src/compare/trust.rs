//! What a reader must know before holding these runs against each other.

use std::collections::BTreeSet;

use squall_model::record::{LoadMode, Machine, RunRecord, Verdict};

use super::measure::{phase, phases};
use super::naming::last;
use super::{Comparison, Run, Side};
use crate::block::Tone;
use crate::figure;

/// The most doubts of one kind that are listed.
const MOST: usize = 4;

/// What speaks against the comparison, the gravest first.
pub(super) fn doubts(comparison: &Comparison) -> Vec<(Tone, String)> {
    let mut doubts: Vec<(Tone, String)> = [
        scenarios(comparison),
        quick(comparison),
        machines(comparison),
        timelines(comparison),
    ]
    .into_iter()
    .flatten()
    .map(|text| (Tone::Bad, text))
    .collect();
    doubts.extend(
        bounded(shared(comparison))
            .into_iter()
            .map(|text| (Tone::Bad, text)),
    );
    doubts.extend(
        bounded(invalid(comparison))
            .into_iter()
            .map(|text| (Tone::Bad, text)),
    );
    doubts.extend(
        bounded(spoilt(comparison))
            .into_iter()
            .map(|text| (Tone::Doubt, text)),
    );
    doubts.extend(mixed(comparison).into_iter().map(|text| (Tone::Doubt, text)));
    doubts.extend(
        bounded(torn(comparison))
            .into_iter()
            .map(|text| (Tone::Doubt, text)),
    );
    doubts
}

fn bounded(mut texts: Vec<String>) -> Vec<String> {
    if texts.len() > MOST {
        let more = texts.len() - MOST;
        texts.truncate(MOST);
        texts.push(format!("And {more} more of this kind."));
    }
    texts
}

fn all(comparison: &Comparison) -> impl Iterator<Item = &Run> {
    comparison.sides.iter().flat_map(|side| &side.runs)
}

/// All runs, each with the name of its side, and of several its own.
fn named(comparison: &Comparison) -> impl Iterator<Item = (String, &Run)> {
    let sides = comparison.sides.iter().zip(&comparison.names);
    sides.flat_map(|(side, name)| {
        let alone = side.runs.len() == 1;
        side.runs.iter().map(move |run| {
            let own = if alone {
                String::new()
            } else {
                format!(" {}", last(&run.name))
            };
            (format!("{name}{own}"), run)
        })
    })
}

/// The distinct values of the runs.
pub(super) fn distinct<'r, T: Ord>(
    runs: impl Iterator<Item = &'r Run>,
    of: impl Fn(&'r RunRecord) -> T,
) -> BTreeSet<T> {
    runs.map(|run| of(&run.recording.record)).collect()
}

fn scenarios(comparison: &Comparison) -> Option<String> {
    let names = distinct(all(comparison), |record| record.scenario.as_str());
    let names: Vec<&str> = names.into_iter().collect();
    (names.len() > 1).then(|| {
        format!(
            "These are runs of different scenarios: {}. What bears the same name in them need not be the same.",
            names.join(", ")
        )
    })
}

fn quick(comparison: &Comparison) -> Option<String> {
    let quick = distinct(all(comparison), |record| record.quick);
    if quick.len() > 1 {
        let of = |side: &Side| side.runs.iter().any(|run| run.recording.record.quick);
        let sides = comparison
            .sides
            .iter()
            .zip(&comparison.names)
            .filter(|(side, _)| of(side));
        let names: Vec<&str> = sides.map(|(_, name)| name.as_str()).collect();
        return Some(format!(
            "{}: made with --quick, the rest in full. Phases cut to two seconds are no measure for whole ones.",
            names.join(", ")
        ));
    }
    None
}

/// The parts of a machine that decide how fast it is.
pub(crate) fn hardware(machine: &Machine) -> (u32, u64, &str) {
    (machine.cores, machine.memory >> 28, &machine.cpu)
}

fn machines(comparison: &Comparison) -> Option<String> {
    let machines = distinct(all(comparison), |record| hardware(&record.machine));
    (machines.len() > 1).then(|| {
        let texts: Vec<String> = machines
            .into_iter()
            .take(MOST)
            .map(|(cores, memory, cpu)| {
                format!("{cpu}, {cores} cores, {}", figure::bytes((memory << 28) as f64))
            })
            .collect();
        format!(
            "The runs come from different machines: {}. What differs may be theirs.",
            texts.join("; ")
        )
    })
}

/// Phases that are not the same on all sides: another rate, another length, or not there.
fn timelines(comparison: &Comparison) -> Option<String> {
    let mut differ = Vec::new();
    let base = comparison.base();
    for (at, side) in comparison.sides.iter().enumerate().skip(1) {
        let other = super::newest(side);
        if other.record.quick != base.record.quick {
            continue;
        }
        for name in phases(&comparison.sides) {
            let (Some(first), Some(second)) = (phase(base, &name), phase(other, &name)) else {
                differ.push(format!("{name} is not in {}", comparison.names[at]));
                continue;
            };
            for (load, one) in &first.load {
                let rates = second
                    .load
                    .get(load)
                    .map(|two| (one.target_rate, two.target_rate));
                if let Some((Some(a), Some(b))) = rates.filter(|(a, b)| a != b) {
                    differ.push(format!(
                        "{load} in {name} at {} and {}",
                        figure::rate(a),
                        figure::rate(b)
                    ));
                }
            }
            let (a, b) = (first.end_us - first.start_us, second.end_us - second.start_us);
            if a.abs_diff(b) * 10 > a.max(b) && first.complete && second.complete {
                let (a, b) = (figure::duration(a as f64), figure::duration(b as f64));
                differ.push(format!("{name} lasts {a} and {b}"));
            }
        }
    }
    let more = differ.len().saturating_sub(MOST);
    differ.truncate(MOST);
    if more > 0 {
        differ.push(format!("{more} more"));
    }
    (!differ.is_empty()).then(|| format!("The timelines are not the same: {}.", differ.join("; ")))
}

/// What tells a run from every other: its start, seed and revision.
type Identity<'r> = (&'r str, u64, &'r str);

/// The runs of a side, each run that a merged one was made of on its own.
fn single_runs<'r>(side: &'r Side) -> Vec<Identity<'r>> {
    let of = |run: &'r Run| {
        let record = &run.recording.record;
        match &record.merged {
            Some(merged) => merged
                .runs
                .iter()
                .map(|part| (part.started_at.as_str(), part.seed, part.revision.as_str()))
                .collect(),
            None => vec![(record.started_at.as_str(), record.seed, record.revision.as_str())],
        }
    };
    side.runs.iter().flat_map(of).collect()
}

/// Sides that hold the same runs, and sides that hold a run twice: a merged run and what it was made of.
fn shared(comparison: &Comparison) -> Vec<String> {
    let single: Vec<Vec<Identity<'_>>> = comparison.sides.iter().map(single_runs).collect();
    let sets: Vec<BTreeSet<&Identity<'_>>> = single.iter().map(|runs| runs.iter().collect()).collect();
    let mut texts = Vec::new();
    for (at, set) in sets.iter().enumerate() {
        let name = &comparison.names[at];
        for (other, name_of_other) in sets.iter().zip(&comparison.names).skip(at + 1) {
            let both = set.intersection(other).count();
            if both > 0 {
                texts.push(format!(
                    "{name} and {name_of_other} have {} in common: what they share can't differ, so any change looks smaller than it is.",
                    super::runs(both)
                ));
            }
        }
        if set.len() < single[at].len() {
            texts.push(format!(
                "{name} counts a run twice, on its own and as a part of a merged one: its runs are no independent repeats."
            ));
        }
    }
    texts
}

fn invalid(comparison: &Comparison) -> Vec<String> {
    let runs = named(comparison).filter(|(_, run)| run.recording.record.verdict == Verdict::Invalid);
    runs.map(|(name, run)| {
        let reasons = &run.recording.record.reasons;
        let reason = reasons.first().map_or("no reason was recorded", String::as_str);
        format!("{name} is invalid: {reason}")
    })
    .collect()
}

/// Runs that are not invalid as a whole, and of which some numbers can't be trusted.
fn spoilt(comparison: &Comparison) -> Vec<String> {
    let names = phases(&comparison.sides);
    let mut texts = Vec::new();
    for (name, run) in named(comparison).filter(|(_, run)| run.recording.record.verdict != Verdict::Invalid) {
        let phases = names.iter().filter_map(|name| phase(&run.recording, name));
        let spoilt: Vec<(&str, &str, &str)> = phases
            .flat_map(|part| {
                let loads = part.load.iter();
                let spoilt =
                    loads.filter(|(_, record)| record.spoils.is_some() && record.mode != LoadMode::Off);
                spoilt.map(|(load, record)| {
                    let reason = record.invalid.first().map_or("", String::as_str);
                    (load.as_str(), part.name.as_str(), reason)
                })
            })
            .collect();
        if let Some((load, phase, reason)) = spoilt.first() {
            let more = match spoilt.len() - 1 {
                0 => String::new(),
                more => format!(" (and {more} more of its loads and phases)"),
            };
            texts.push(format!(
                "{name}: {load} in {phase}{more} can't be trusted: {reason}"
            ));
        }
    }
    texts
}

/// Repeats of one side that are no repeats.
fn mixed(comparison: &Comparison) -> Option<String> {
    let mixed = comparison
        .sides
        .iter()
        .zip(&comparison.names)
        .filter(|(side, _)| {
            distinct(side.runs.iter(), |record| (&record.revision, &record.source)).len() > 1
        });
    let names: Vec<&str> = mixed.map(|(_, name)| name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "{}: its runs are of different revisions or scenario texts, so they are no repeats of one thing.",
            names.join(", ")
        )
    })
}

fn torn(comparison: &Comparison) -> Vec<String> {
    named(comparison)
        .filter_map(|(name, run)| {
            let note = run
                .recording
                .interruption()
                .or_else(|| run.recording.reading_notes.first().cloned())?;
            Some(format!("{name}: {note}"))
        })
        .collect()
}
