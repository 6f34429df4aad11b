//! Several runs of one scenario as one record, without loss: histograms bucket by bucket, counts added up.
//!
//! Runs are merged as [`How::Repeats`] of one timeline, or as [`How::Shares`] of one load that ran at the same time. In
//! both, times stay those since each run's own start, so that what happened at the same place of the timeline lies
//! together. Percentiles come from merged histograms only; where there is none (rows of 100 ms), they are left out.
//!
//! Merging judges nothing anew: a check that a single run could not pass is not passed by several. It must never guess
//! either: what the runs don't agree in is an error that names two of them, or is said in the record.

mod agree;
mod judged;
mod measured;
mod over_time;
mod timeline;

use std::collections::BTreeMap;

use crate::baseline::Values;
use crate::event::Event;
use crate::exit::Exit;
use crate::histogram::HistogramError;
use crate::hlog::Interval;
use crate::record::{GeneratorRecord, How, MergedFrom, MergedRun, RunRecord, SCHEMA, Verdict};
use crate::series::{Row, SeriesRow};

/// One run that goes in.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// What it is called in reasons; no two parts have one name.
    pub name: String,
    /// Its start, milliseconds since the Unix epoch.
    pub started_ms: u64,
    /// Its record.
    pub record: &'a RunRecord,
    /// Its timeline.
    pub events: &'a [Event],
    /// Its series.
    pub series: Vec<Row<'a>>,
    /// Its interval histograms, by load.
    pub intervals: &'a BTreeMap<String, Vec<Interval>>,
}

impl Part<'_> {
    /// How often the timeline was run in it: more than once where it was merged itself.
    fn repeats(&self) -> u32 {
        self.record.merged.as_ref().map_or(1, |merged| merged.repeats)
    }
}

/// What comes out: the contents of a run's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The record.
    pub record: RunRecord,
    /// The timeline; [`crate::replay`] makes the record of it again.
    pub events: Vec<Event>,
    /// The series.
    pub series: Vec<SeriesRow>,
    /// The interval histograms, by load.
    pub intervals: BTreeMap<String, Vec<Interval>>,
}

/// Why runs can't be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("merging runs: there are {0}, and it takes two")]
    TooFew(usize),
    /// One run was given twice.
    #[error("merging runs: {first} and {second} are the same run, and nothing may count twice")]
    Twice {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// Two runs do not belong together.
    #[error("merging runs: {0}")]
    Differ(Box<Difference>),
    /// Shares of one load run together.
    #[error(
        "merging runs: {first} had ended before {second} began, so they are no shares of one load; merge them as repeats"
    )]
    Apart {
        /// The earlier.
        first: String,
        /// The later.
        second: String,
    },
    /// A part of a run is no whole timeline.
    #[error("merging runs: {0} repeats its timeline, so it is no share of one; merge the shares first")]
    RepeatsAsShare(String),
    /// The timeline of a run has no begin.
    #[error("merging runs: nothing is known of how {0} began: its events.ndjson has no `run_started`")]
    NoHeader(String),
    /// A histogram can't be read.
    #[error("merging runs: {what} of {run}: {source}")]
    Histogram {
        /// Whose.
        run: String,
        /// Which.
        what: String,
        /// Why.
        source: HistogramError,
    },
    /// Two histograms don't fit into one.
    #[error("merging runs: {what} of {run} holds values that the others' histograms can't: {why}")]
    Shape {
        /// Whose.
        run: String,
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
}

/// In what two runs differ that would have to agree.
#[derive(Debug, thiserror::Error)]
#[error("{first} and {second} differ in {what}: {of_first} and {of_second}{advice}")]
pub struct Difference {
    /// One of them.
    pub first: String,
    /// The other.
    pub second: String,
    /// In what.
    pub what: String,
    /// What the first has.
    pub of_first: String,
    /// What the other has.
    pub of_second: String,
    /// What would help; begins with `; ` where there is something.
    pub advice: &'static str,
}

/// Merges runs of one scenario. `squall` is the version that does it.
pub fn merge(parts: &[Part<'_>], how: How, squall: &str) -> Result<Merged, MergeError> {
    if parts.len() < 2 {
        return Err(MergeError::TooFew(parts.len()));
    }
    agree::check(parts, how)?;
    let record = record(parts, how, squall)?;
    Ok(Merged {
        events: timeline::events(parts, &record)?,
        series: over_time::series(parts),
        intervals: over_time::intervals(parts)?,
        record,
    })
}

fn record(parts: &[Part<'_>], how: How, squall: &str) -> Result<RunRecord, MergeError> {
    let first = parts[0].record;
    let earliest = parts
        .iter()
        .min_by_key(|part| part.started_ms)
        .unwrap_or(&parts[0]);
    let command = if parts.iter().all(|part| part.record.command == first.command) {
        first.command.clone()
    } else {
        String::new()
    };
    let mut revisions: Vec<&str> = Vec::new();
    for part in parts {
        if !revisions.contains(&part.record.revision.as_str()) {
            revisions.push(&part.record.revision);
        }
    }
    let invariants = judged::invariants(parts, how);
    let conclusion = judged::conclude(parts, &invariants);
    Ok(RunRecord {
        squall: squall.to_owned(),
        schema: SCHEMA,
        scenario: first.scenario.clone(),
        about: first.about.clone(),
        source: first.source.clone(),
        command,
        seed: first.seed,
        started_at: earliest.record.started_at.clone(),
        duration_us: parts
            .iter()
            .map(|part| part.record.duration_us)
            .max()
            .unwrap_or(0),
        revision: revisions.join("+"),
        quick: first.quick,
        network: first.network,
        machine: first.machine.clone(),
        verdict: conclusion.verdict,
        reasons: conclusion.reasons,
        exit_code: conclusion.exit.code(),
        phases: measured::phases(parts, how)?,
        faults: judged::faults(parts),
        invariants,
        expectations: judged::expectations(parts),
        // A baseline is made of runs, each with its own numbers.
        measured: Values::default(),
        edges: measured::edges(parts),
        generator: generator(parts, how)?,
        merged: Some(Box::new(MergedFrom {
            how,
            repeats: match how {
                How::Repeats => parts.iter().map(Part::repeats).sum(),
                How::Shares => 1,
            },
            runs: parts.iter().flat_map(runs).collect(),
            differ: agree::differences(parts),
        })),
    })
}

/// The runs in a part: itself, or what it was merged from.
fn runs(part: &Part<'_>) -> Vec<MergedRun> {
    if let Some(merged) = &part.record.merged {
        return merged.runs.clone();
    }
    let record = part.record;
    vec![MergedRun {
        name: part.name.clone(),
        squall: record.squall.clone(),
        command: record.command.clone(),
        seed: record.seed,
        started_at: record.started_at.clone(),
        duration_us: record.duration_us,
        revision: record.revision.clone(),
        machine: record.machine.clone(),
        verdict: record.verdict,
        exit_code: record.exit_code,
    }]
}

fn generator(parts: &[Part<'_>], how: How) -> Result<GeneratorRecord, MergeError> {
    let all = || parts.iter().map(|part| &part.record.generator);
    let placements: Vec<(&str, &str)> = parts
        .iter()
        .map(|part| (part.name.as_str(), part.record.generator.placement.as_str()))
        .collect();
    Ok(GeneratorRecord {
        cpu_us: all().map(|one| one.cpu_us).sum(),
        threads: match how {
            How::Repeats => all().map(|one| one.threads).max().unwrap_or(0),
            How::Shares => all().map(|one| one.threads).sum(),
        },
        placement: judged::told(&placements).join("; "),
        schedule_lag: measured::distribution(parts, "the schedule lag", |record| {
            Some(&record.generator.schedule_lag)
        })?,
        host_pauses: measured::pauses(parts, "the host's pauses", |record| {
            Some(&record.generator.host_pauses)
        })?
        .unwrap_or_default(),
        host_meter_cpu_us: all().map(|one| one.host_meter_cpu_us).sum(),
        // What each machine saw in each phase stays in the record of its run: shares of time can't be put together.
        phases: BTreeMap::new(),
        suspended_us: all().map(|one| one.suspended_us).sum(),
        verdict: all().map(|one| one.verdict).max().flatten(),
    })
}

/// How it all ended.
struct Conclusion {
    verdict: Verdict,
    reasons: Vec<String>,
    exit: Exit,
}

#[cfg(test)]
mod tests;
