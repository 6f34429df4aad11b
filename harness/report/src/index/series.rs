//! The runs of a scenario as series: what of each run counts, which runs are alike, and where their P99 changed its level.

use std::collections::{BTreeMap, BTreeSet};

use squall_model::record::{LoadMode, Verdict};

use super::change_point::{ChangePoint, FEWEST, MOST, change_points};
use super::{Entry, Summary, summary};
use crate::compare::trust::hardware;
use crate::figure;

/// The runs of one scenario.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) name: String,
    /// All of them, the newest first.
    pub(super) runs: Vec<usize>,
    /// The series, that with the newest run first. Every run is in one.
    pub(super) series: Vec<Series>,
    /// Per run, what it has in the trend, or why nothing.
    pub(super) points: BTreeMap<usize, Result<Point, String>>,
    /// Per run, the place of its series, from 0.
    pub(super) series_of: BTreeMap<usize, usize>,
}

/// Runs that are alike: of one text, one machine and one way to run it.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// What tells it from the others of its scenario; empty where there is only one.
    pub(super) label: String,
    /// Which numbers are drawn; nothing where no run has any.
    pub(super) of: Option<Measured>,
    /// All its runs, the newest first.
    pub(super) runs: Vec<usize>,
    /// Those that count, the oldest first.
    pub(super) points: Vec<Point>,
    /// In order.
    pub(super) changes: Vec<Change>,
}

/// A phase and a load: what the trend is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) phase: String,
    pub(super) load: String,
}

/// A run in the trend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) run: usize,
    pub(super) p99_us: u64,
    pub(super) per_second: f64,
}

/// A change of level between two runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    /// The last run before it, and the first after it.
    pub(super) between: (usize, usize),
    /// The median of P99 from the change before to this one, and from this one to the next.
    pub(super) medians_us: (f64, f64),
    pub(super) p_value: f64,
}

impl Change {
    pub(super) fn ratio(&self) -> f64 {
        self.medians_us.1 / self.medians_us.0.max(1.0)
    }

    /// `×1.42`.
    pub(super) fn times(&self) -> String {
        format!("×{}", figure::three(self.ratio()))
    }
}

impl Series {
    /// Whether there are enough runs to look for changes.
    pub(super) fn is_tested(&self) -> bool {
        self.points.len() >= FEWEST
    }

    /// The stretches between changes: from and to which point, and the median of P99 in them.
    pub(super) fn levels(&self) -> Vec<(usize, usize, f64)> {
        let place = |run: usize| self.points.iter().position(|point| point.run == run);
        let mut edges: Vec<usize> = self
            .changes
            .iter()
            .filter_map(|change| place(change.between.1))
            .collect();
        edges.insert(0, self.points.len().saturating_sub(MOST));
        edges.push(self.points.len());
        let stretches = edges.windows(2).filter(|edges| edges[0] < edges[1]);
        stretches
            .map(|edges| (edges[0], edges[1], median_us(&self.points[edges[0]..edges[1]])))
            .collect()
    }
}

/// What makes two runs alike.
type Key<'r> = (&'r str, &'r str, bool, (u32, u64, &'r str));

fn key(summary: &Summary) -> Key<'_> {
    (
        &summary.source,
        summary.overrides(),
        summary.quick,
        hardware(&summary.machine),
    )
}

impl Scenario {
    /// The scenario of these runs, at least one, all of the same name.
    pub(super) fn new(entries: &[Entry], mut runs: Vec<usize>) -> Scenario {
        let of = |run: usize| summary(entries, run);
        // The newest first; of two that began together the one whose folder comes last.
        runs.sort_by(|a, b| (&of(*b).started_at, b).cmp(&(&of(*a).started_at, a)));
        let mut alike: Vec<(Key<'_>, Vec<usize>)> = Vec::new();
        for run in &runs {
            let key = key(of(*run));
            match alike.iter_mut().find(|(known, _)| *known == key) {
                Some((_, runs)) => runs.push(*run),
                None => alike.push((key, vec![*run])),
            }
        }
        let keys: Vec<Key<'_>> = alike.iter().map(|(key, _)| *key).collect();
        let labels = labels(&keys);
        let copies = copies(entries, &runs);
        let mut points = BTreeMap::new();
        let mut series = Vec::new();
        for ((_, runs), label) in alike.into_iter().zip(labels) {
            let measured = runs.iter().find_map(|run| measured(of(*run)));
            let mut counted = Vec::new();
            for run in &runs {
                let point = match (copies.get(run), &measured) {
                    (Some(other), _) => Err(format!("a copy of {}, which counts", entries[*other].folder)),
                    (None, measured) => point(*run, of(*run), measured.as_ref()),
                };
                counted.extend(point.as_ref().ok().copied());
                points.insert(*run, point);
            }
            counted.reverse();
            series.push(Series {
                label,
                of: measured,
                changes: changes(&counted),
                points: counted,
                runs,
            });
        }
        let numbered = series.iter().enumerate();
        let series_of = numbered
            .flat_map(|(at, series)| series.runs.iter().map(move |run| (*run, at)))
            .collect();
        Scenario {
            name: of(runs[0]).scenario.clone(),
            runs,
            series,
            points,
            series_of,
        }
    }

    /// All changes, the newest first.
    pub(super) fn changes(&self) -> impl Iterator<Item = (&Series, &Change)> {
        let changes = self.series.iter();
        changes.flat_map(|series| series.changes.iter().rev().map(move |change| (series, change)))
    }
}

/// What the trend of runs like this is of: the load with the most requests, in the phase that is the baseline, else in the longest
/// that is measured. Nothing where it has none, and of a run that can't be trusted.
fn measured(summary: &Summary) -> Option<Measured> {
    if summary.verdict == Verdict::Invalid || summary.is_probe() {
        return None;
    }
    let phases = || summary.phases.iter().filter(|phase| phase.measure);
    let length = |phase: &&super::summary::Phase| phase.end_us.saturating_sub(phase.start_us);
    let phase = phases()
        .find(|phase| phase.baseline)
        .or_else(|| phases().rev().max_by_key(length))?;
    let loads = phase.load.iter().rev();
    let (load, _) = loads
        .filter(|(_, load)| load.mode != LoadMode::Off)
        .max_by_key(|(_, load)| load.completed)?;
    Some(Measured {
        phase: phase.name.clone(),
        load: load.clone(),
    })
}

/// What a run has in the trend, or why nothing.
fn point(run: usize, summary: &Summary, of: Option<&Measured>) -> Result<Point, String> {
    if summary.verdict == Verdict::Invalid {
        let reason = summary.reasons.first();
        return Err(reason.map_or("no reason was recorded", String::as_str).to_owned());
    }
    if summary.is_probe() {
        return Err("a step of squall capacity, at a rate of its own".to_owned());
    }
    if let Some(merged) = &summary.merged {
        return Err(format!("merged from {} runs", merged.runs.len()));
    }
    let Some(Measured { phase, load }) = of else {
        return Err("no measured phase has a load".to_owned());
    };
    let recorded = summary
        .phases
        .iter()
        .find(|one| one.name == *phase)
        .ok_or_else(|| format!("has no phase {phase}"))?;
    if !recorded.complete {
        return Err(format!("{phase} was cut short"));
    }
    let numbers = recorded.load.get(load).filter(|load| load.mode != LoadMode::Off);
    let numbers = numbers.ok_or_else(|| format!("has no load {load} in {phase}"))?;
    if numbers.spoils.is_some() {
        let reason = numbers.invalid.first().map_or("", String::as_str);
        return Err(format!("{load} in {phase} can't be trusted: {reason}"));
    }
    let p99_us = numbers.response.p99.ok_or_else(|| {
        let requests = figure::count(numbers.response.count);
        format!("fewer than 10 of {requests} requests of {load} in {phase} lie beyond P99")
    })?;
    Ok(Point {
        run,
        p99_us,
        per_second: numbers.throughput,
    })
}

/// Runs that are copies of others: begun in the same millisecond, on the same machine, with the same seed, and as long.
fn copies(entries: &[Entry], runs: &[usize]) -> BTreeMap<usize, usize> {
    let mut firsts = BTreeMap::new();
    let mut copies = BTreeMap::new();
    for run in runs.iter().rev() {
        let one = summary(entries, *run);
        let identity = (&one.started_at, one.seed, one.duration_us, hardware(&one.machine));
        match firsts.get(&identity) {
            Some(first) => drop(copies.insert(*run, *first)),
            None => drop(firsts.insert(identity, *run)),
        }
    }
    copies
}

fn changes(points: &[Point]) -> Vec<Change> {
    let skipped = points.len().saturating_sub(MOST);
    let recent = &points[skipped..];
    // A factor counts the same up and down, and whatever the level.
    let values: Vec<f64> = recent
        .iter()
        .map(|point| (point.p99_us.max(1) as f64).ln())
        .collect();
    let found = change_points(&values);
    let edge = |at: usize| found.get(at).map_or(recent.len(), |change| change.at);
    let change = |(number, change): (usize, &ChangePoint)| {
        let before = number.checked_sub(1).map_or(0, edge);
        Change {
            between: (recent[change.at - 1].run, recent[change.at].run),
            medians_us: (
                median_us(&recent[before..change.at]),
                median_us(&recent[change.at..edge(number + 1)]),
            ),
            p_value: change.p_value,
        }
    };
    found.iter().enumerate().map(change).collect()
}

/// The median of P99.
fn median_us(points: &[Point]) -> f64 {
    let mut values: Vec<u64> = points.iter().map(|point| point.p99_us).collect();
    values.sort_unstable();
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2] as f64,
        n => f64::midpoint(values[n / 2 - 1] as f64, values[n / 2] as f64),
    }
}

/// A label for each series: what it has in which they differ. Texts of a scenario are numbered, the newest with the highest number.
fn labels(keys: &[Key<'_>]) -> Vec<String> {
    let differ = |of: &dyn Fn(&Key<'_>) -> String| {
        let values: BTreeSet<String> = keys.iter().map(of).collect();
        values.len() > 1
    };
    let mut texts: Vec<&str> = Vec::new();
    for (source, ..) in keys.iter().rev() {
        if !texts.contains(source) {
            texts.push(source);
        }
    }
    let by_text = texts.len() > 1;
    let by_overrides = differ(&|key| key.1.to_owned());
    let by_machine = differ(&|key| format!("{:?}", key.3));
    keys.iter()
        .map(|(source, overrides, quick, machine)| {
            let mut parts = Vec::new();
            if by_text {
                let number = texts.iter().position(|text| text == source).unwrap_or(0) + 1;
                parts.push(format!("text {number} of the scenario"));
            }
            if by_overrides && !overrides.is_empty() {
                parts.push((*overrides).to_owned());
            }
            if *quick {
                parts.push("--quick".to_owned());
            }
            if by_machine {
                parts.push(machine_text(*machine));
            }
            if parts.is_empty() && keys.len() > 1 {
                parts.push("as written".to_owned());
            }
            parts.join(", ")
        })
        .collect()
}

/// A machine in words.
pub(super) fn machine_text((cores, memory, cpu): (u32, u64, &str)) -> String {
    let cores = if cores == 1 {
        "1 core".to_owned()
    } else {
        format!("{cores} cores")
    };
    format!("{cores}, {}, {cpu}", figure::bytes((memory << 28) as f64))
}
