//! What is measured: from a block's record to one number of each metric.
//!
//! [`read`] looks at one block and nothing else, a file for each group of metrics; [`series::series`] puts the blocks of a metric in a row.
//! Slices without faults feed latencies, errors, throughput, CPU time and pauses. Stretches with faults feed recovery and, as metrics of
//! their own phase, errors: what a service costs while it is broken says little, that it fails more often says much. Slices of
//! micro-benchmarks have nothing of all this, and feed the time of an iteration.
//!
//! Nothing here judges, and nothing asks whether a change is good or bad but to turn throughput upside down.

mod arm;
mod benchmark;
mod latency;
mod outcome;
mod recovery;
pub mod series;

use std::collections::BTreeMap;
use std::fmt;

use squall_model::gate::{ArmRecord, BlockRecord, Both, MetricKind, MetricScale, StretchRecord};

use super::limits::Limits;

pub use latency::{Held, Latency};
pub use recovery::{FLOOR_US as RECOVERY_FLOOR_US, NEVER};

/// Pauses below this are all the same, microseconds: so short, nobody waits for them, and meters differ.
pub const PAUSE_FLOOR_US: f64 = arm::PAUSE_FLOOR_US;

/// Which metric. Their order is that in which they are shown, and preferred where two are as good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricId {
    /// What it measures.
    pub kind: MetricKind,
    /// The load, `PHASE:LOAD`, fault or micro-benchmark that it is of; absent for those of the whole arm.
    pub of: Option<String>,
}

impl MetricId {
    /// One of the whole arm.
    pub const fn of_arm(kind: MetricKind) -> MetricId {
        MetricId { kind, of: None }
    }

    /// One of a load or fault.
    pub fn new(kind: MetricKind, of: impl Into<String>) -> MetricId {
        MetricId {
            kind,
            of: Some(of.into()),
        }
    }

    /// What [`fmt::Display`] wrote, or the name of a kind; nothing where it ends in no kind.
    pub fn parse(name: &str) -> Option<MetricId> {
        let (of, kind) = match name.rsplit_once('.') {
            Some((of, kind)) => (Some(of.to_owned()), kind),
            None => (None, name),
        };
        let kind = MetricKind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        Some(MetricId { kind, of })
    }

    /// What a gate of micro-benchmarks calls so: all of them for `time`, else the one of this name, which may be anything, with or without
    /// `.time` behind it.
    pub fn of_benchmarks(name: &str) -> MetricId {
        let kind = MetricKind::Time;
        if name == kind.as_str() {
            return MetricId::of_arm(kind);
        }
        let own = name
            .strip_suffix(kind.as_str())
            .and_then(|own| own.strip_suffix('.'));
        MetricId::new(kind, own.unwrap_or(name))
    }

    /// Whether `name` is its own, `refresh.p99`, or that of its kind, `p99`. A micro-benchmark is also called by its name alone.
    pub fn is_called(&self, name: &str) -> bool {
        let is_own = |own: &str| name == own || name.strip_suffix(".time") == Some(own);
        match &self.of {
            _ if name == self.kind.as_str() => true,
            Some(benchmark) if self.kind == MetricKind::Time => is_own(benchmark),
            _ => name == self.to_string(),
        }
    }

    /// How its arms are held against each other.
    pub const fn scale(&self) -> MetricScale {
        Limits::of(self.kind).scale()
    }
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(benchmark) if self.kind == MetricKind::Time => f.write_str(benchmark),
            Some(of) => write!(f, "{of}.{}", self.kind.as_str()),
            None => f.write_str(self.kind.as_str()),
        }
    }
}

/// What both arms had, and how the candidate's is apart from the base's.
#[derive(Clone, Debug, PartialEq)]
pub struct Paired {
    /// In the metric's own unit.
    pub values: Both<f64>,
    /// On the axis of the test: 0 is no change, more is worse. Finite.
    pub change: f64,
}

impl Paired {
    /// By the logarithm of candidate over base, both held to be `floor` at least, which is above 0.
    fn ratio(base: f64, candidate: f64, floor: f64) -> Paired {
        Paired {
            values: Both { base, candidate },
            change: (candidate.max(floor) / base.max(floor)).ln(),
        }
    }

    /// The median of each number; nothing without any.
    fn median(pairs: &[Paired]) -> Option<Paired> {
        let of = |number: fn(&Paired) -> f64| median(pairs.iter().map(number).collect());
        Some(Paired {
            values: Both {
                base: of(|pair| pair.values.base)?,
                candidate: of(|pair| pair.values.candidate)?,
            },
            change: of(|pair| pair.change)?,
        })
    }
}

/// What a block tells of one metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// A change.
    Paired(Paired),
    /// A quantile, whose source is chosen once for all blocks.
    Latency(Latency),
    /// None, for this reason.
    Absent(String),
}

/// What a block tells of every metric.
pub type Readings = BTreeMap<MetricId, Reading>;

/// Reads one block. What it does not have at all is left out; what it has and can't be told is there, with the reason.
pub fn read(block: &BlockRecord) -> Readings {
    let is_of_benchmarks = |pair: &Pair<'_>| !pair.base.times.is_empty() || !pair.candidate.times.is_empty();
    let (benchmarks, loaded): (Vec<Pair<'_>>, Vec<Pair<'_>>) = pairs(&block.arms).partition(is_of_benchmarks);
    let is_calm = |pair: &Pair<'_>| pair.base.faults.is_empty() && pair.candidate.faults.is_empty();
    let (slices, faulted): (Vec<Pair<'_>>, Vec<Pair<'_>>) = loaded.into_iter().partition(is_calm);
    let mut readings = Readings::new();
    benchmark::read(&benchmarks, &mut readings);
    latency::read(&slices, &mut readings);
    outcome::read(&slices, &mut readings);
    arm::read(&slices, &mut readings);
    outcome::read_faulted(&faulted, &mut readings);
    recovery::read(&faulted, &mut readings);
    readings
}

/// The same stretch of both arms.
type Pair<'a> = Both<&'a StretchRecord>;

fn pairs(arms: &Both<ArmRecord>) -> impl Iterator<Item = Pair<'_>> {
    let stretches = arms.base.stretches.iter().zip(&arms.candidate.stretches);
    stretches.map(|(base, candidate)| Both { base, candidate })
}

/// The loads that both arms have in any of the pairs, without repeats.
fn loads<'a>(pairs: &[Pair<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = pairs
        .iter()
        .flat_map(|pair| {
            let base = pair.base;
            base.load
                .keys()
                .filter(|name| pair.candidate.load.contains_key(*name))
                .map(String::as_str)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The middle, or the mean of the two in the middle; nothing without any.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        let below = middle.checked_sub(1)?;
        Some(f64::midpoint(values[below], values[middle]))
    } else {
        Some(values[middle])
    }
}

#[cfg(test)]
pub(super) mod tests;
