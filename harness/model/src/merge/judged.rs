//! Verdicts, put together and never given anew: the gravest counts, and it is said whose it is.

use super::{Conclusion, Part};
use crate::exit::Exit;
use crate::record::{ExpectationRecord, FaultFelt, FaultRecord, How, InvariantRecord, Verdict};

/// Examples of an invariant that are kept.
const EXAMPLES: usize = 10;

/// The one checker that asks whether something happened, and not how values of the whole load stand to each other.
const REACHED: &str = "reached";

/// Texts of runs, each once, with the runs whose it is where it is not everyone's.
pub(super) fn told(texts: &[(&str, &str)]) -> Vec<String> {
    let mut runs: Vec<&str> = texts.iter().map(|(run, _)| *run).collect();
    runs.dedup();
    told_of(texts, runs.len())
}

/// The same, out of `all` runs.
pub(super) fn told_of(texts: &[(&str, &str)], all: usize) -> Vec<String> {
    let mut whose: Vec<(&str, Vec<&str>)> = Vec::new();
    for (run, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        match whose.iter_mut().find(|(known, _)| known == text) {
            Some((_, runs)) if runs.contains(run) => {}
            Some((_, runs)) => runs.push(run),
            None => whose.push((text, vec![run])),
        }
    }
    whose
        .into_iter()
        .map(|(text, runs)| {
            if runs.len() == all {
                text.to_owned()
            } else {
                format!("in {}: {text}", runs.join(" and "))
            }
        })
        .collect()
}

/// The invariants. Shares were each checked on their own, so none of them has compared values of two: what passed in all
/// is not known to hold over all.
pub(super) fn invariants(parts: &[Part<'_>], how: How) -> Vec<InvariantRecord> {
    let mut merged: Vec<InvariantRecord> = Vec::new();
    for part in parts {
        for one in &part.record.invariants {
            let examples = one
                .examples
                .iter()
                .map(|text| format!("in {}: {text}", part.name));
            match merged.iter_mut().find(|known| known.path() == one.path()) {
                None => merged.push(InvariantRecord {
                    examples: examples.take(EXAMPLES).collect(),
                    ..one.clone()
                }),
                Some(known) => {
                    known.checked += one.checked;
                    known.violations += one.violations;
                    known.verdict = known.verdict.max(one.verdict);
                    let room = EXAMPLES.saturating_sub(known.examples.len());
                    known.examples.extend(examples.take(room));
                }
            }
        }
    }
    if how == How::Shares {
        for one in merged
            .iter_mut()
            .filter(|one| one.verdict == Verdict::Pass && one.kind != REACHED)
        {
            one.verdict = Verdict::Invalid;
            one.examples = vec![format!(
                "it held in each of {} shares, and values of different shares were not compared",
                parts.len()
            )];
        }
    }
    merged
}

/// The faults: proven where every run has proven it.
pub(super) fn faults(parts: &[Part<'_>]) -> Vec<FaultRecord> {
    let first = &parts[0].record.faults;
    let merged = first.iter().enumerate().map(|(at, fault)| {
        let all: Vec<(&str, &FaultRecord)> = parts
            .iter()
            .map(|part| (part.name.as_str(), &part.record.faults[at]))
            .collect();
        let texts = |of: for<'a> fn(&'a FaultRecord) -> &'a str| {
            let texts: Vec<(&str, &str)> = all.iter().map(|(run, fault)| (*run, of(fault))).collect();
            told(&texts).join("; ")
        };
        // A time that one run has not measured is not known of all.
        let longest = |of: fn(&FaultRecord) -> Option<u64>| {
            let times: Option<Vec<u64>> = all.iter().map(|(_, fault)| of(fault)).collect();
            times.and_then(|times| times.into_iter().max())
        };
        FaultRecord {
            injected_us: all.iter().filter_map(|(_, fault)| fault.injected_us).min(),
            healed_us: all.iter().filter_map(|(_, fault)| fault.healed_us).max(),
            proved: all.iter().all(|(_, fault)| fault.proved),
            evidence: texts(|fault| &fault.evidence),
            undone: all.iter().all(|(_, fault)| fault.undone),
            undone_evidence: texts(|fault| &fault.undone_evidence),
            felt: FaultFelt {
                detect_us: longest(|fault| fault.felt.detect_us),
                recover_us: longest(|fault| fault.felt.recover_us),
                unrecovered_us: all
                    .iter()
                    .filter_map(|(_, fault)| fault.felt.unrecovered_us)
                    .max(),
                debt_us: longest(|fault| fault.felt.debt_us),
                unmeasured: texts(|fault| &fault.felt.unmeasured),
            },
            // What came of each run's own times stands in its words.
            repeated: None,
            held: None,
            ..fault.clone()
        }
    });
    merged.collect()
}

/// The expectations: each with the value of the run that came off worst.
pub(super) fn expectations(parts: &[Part<'_>]) -> Vec<ExpectationRecord> {
    let mut merged: Vec<ExpectationRecord> = Vec::new();
    for one in parts.iter().flat_map(|part| &part.record.expectations) {
        if !merged.iter().any(|known| is_same(known, one)) {
            merged.push(all_of(parts, one));
        }
    }
    merged
}

fn is_same(one: &ExpectationRecord, other: &ExpectationRecord) -> bool {
    one.scope == other.scope && one.text == other.text
}

fn all_of(parts: &[Part<'_>], one: &ExpectationRecord) -> ExpectationRecord {
    let mut worst: Option<&ExpectationRecord> = None;
    let mut texts: Vec<(&str, &str)> = Vec::new();
    let mut is_missing = false;
    for part in parts {
        let Some(found) = part.record.expectations.iter().find(|found| is_same(found, one)) else {
            texts.push((&part.name, "not judged"));
            is_missing = true;
            continue;
        };
        texts.push((&part.name, &found.reason));
        if worst.is_none_or(|worst| is_worse(found, worst)) {
            worst = Some(found);
        }
    }
    let worst = worst.unwrap_or(one);
    let verdict = if is_missing {
        worst.verdict.max(Verdict::Invalid)
    } else {
        worst.verdict
    };
    ExpectationRecord {
        scope: one.scope.clone(),
        text: one.text.clone(),
        value: worst.value,
        limit: worst.limit,
        verdict,
        reason: told_of(&texts, parts.len()).join("; "),
        baseline: worst.baseline.clone(),
        lacks_baseline: worst.lacks_baseline,
    }
}

/// Whether `one` came off worse: by its verdict, then by how its value lies to the limit.
fn is_worse(one: &ExpectationRecord, other: &ExpectationRecord) -> bool {
    if one.verdict != other.verdict {
        return one.verdict > other.verdict;
    }
    let badness = |expectation: &ExpectationRecord| {
        let (value, limit) = (expectation.value?, expectation.limit?);
        Some(if expectation.text.contains('<') {
            value - limit
        } else if expectation.text.contains('>') {
            limit - value
        } else if expectation.text.contains("!=") {
            -(value - limit).abs()
        } else {
            (value - limit).abs()
        })
    };
    badness(one) > badness(other)
}

/// The verdict of all: the gravest. The runs' own reasons, those of the gravest run first.
pub(super) fn conclude(parts: &[Part<'_>], invariants: &[InvariantRecord]) -> Conclusion {
    let mut exits: Vec<(Exit, &Part<'_>)> = parts
        .iter()
        .map(|part| (Exit::of(part.record.exit_code).unwrap_or(Exit::Internal), part))
        .collect();
    exits.sort_by_key(|(exit, _)| exit.rank());
    let texts: Vec<(&str, &str)> = exits
        .iter()
        .flat_map(|(_, part)| {
            part.record
                .reasons
                .iter()
                .map(|text| (part.name.as_str(), text.as_str()))
        })
        .collect();
    let mut reasons = told_of(&texts, parts.len());
    let mut verdict = parts
        .iter()
        .map(|part| part.record.verdict)
        .max()
        .unwrap_or(Verdict::Invalid);
    let mut exit = Exit::gravest(exits.into_iter().map(|(exit, _)| exit));
    // What only the merge has made doubtful.
    for one in invariants.iter().filter(|one| one.verdict == Verdict::Invalid) {
        let was = |part: &Part<'_>| {
            part.record
                .invariants
                .iter()
                .any(|known| known.path() == one.path() && known.verdict == Verdict::Pass)
        };
        if parts.iter().all(was) {
            verdict = verdict.max(Verdict::Invalid);
            exit = Exit::gravest([exit, Exit::Invalid]);
            let why = one.examples.first().map_or("", String::as_str);
            reasons.push(format!("invariant {} can't be judged: {why}", one.path()));
        }
    }
    Conclusion {
        verdict,
        reasons,
        exit,
    }
}
