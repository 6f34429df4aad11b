//! `series.ndjson`: what happened over time, a row per 100 ms.
//!
//! Rows are keyed by the time at which things ended. A percentile is present only where ten samples lie beyond it;
//! charts widen the window by merging the interval histograms of `<load>.hlog`, never by averaging percentiles.

mod as_written;

use litemap::LiteMap;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Numbers by kind, in a map for few of them: of a million rows in memory, each has its own.
pub type ByKind<T> = LiteMap<SmolStr, T>;

/// One row of `series.ndjson`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "snake_case")]
pub enum SeriesRow {
    /// A load.
    Load(LoadRow),
    /// A service.
    Service(ServiceRow),
}

impl SeriesRow {
    /// Reads a line of the file; nothing for one that is torn or no row. Several times as fast as `serde_json` for a line that squall
    /// wrote, and for any other line as `serde_json` has it.
    pub fn read(line: &str) -> Option<SeriesRow> {
        as_written::row(line).or_else(|| serde_json::from_str(line).ok())
    }
}

/// A row that lies where rows of its kind do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row<'a> {
    /// Of a load.
    Load(&'a LoadRow),
    /// Of a service.
    Service(&'a ServiceRow),
}

impl Row<'_> {
    /// The same on its own.
    pub fn to_owned(self) -> SeriesRow {
        match self {
            Row::Load(row) => SeriesRow::Load(row.clone()),
            Row::Service(row) => SeriesRow::Service(row.clone()),
        }
    }
}

impl<'a> From<&'a SeriesRow> for Row<'a> {
    fn from(row: &'a SeriesRow) -> Row<'a> {
        match row {
            SeriesRow::Load(row) => Row::Load(row),
            SeriesRow::Service(row) => Row::Service(row),
        }
    }
}

/// A load over one interval. Durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadRow {
    /// The interval's begin, since the run's start.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// The load.
    pub load: SmolStr,
    /// Requests that the schedule asked for in the interval.
    pub intended: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests that ended.
    pub completed: u64,
    /// Requests that ended in an error.
    pub failed: u64,
    /// Requests never sent.
    pub dropped: u64,
    /// Failures by kind.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub errors: ByKind<u64>,
    /// From the intended send time.
    pub response: RowLatency,
    /// From the actual send.
    pub service: RowLatency,
}

/// Latency inside one row, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowLatency {
    /// Largest sample.
    pub max: Option<u64>,
    /// Median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<u64>,
    /// 90th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<u64>,
    /// 99th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
    /// 99.9th percentile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999: Option<u64>,
}

impl RowLatency {
    /// Reads the row's numbers off `histogram`.
    pub fn of(histogram: &crate::histogram::Histogram) -> RowLatency {
        let q = |q| crate::histogram::quantile(histogram, q);
        RowLatency {
            max: (!histogram.is_empty()).then(|| histogram.max()),
            p50: q(0.50),
            p90: q(0.90),
            p99: q(0.99),
            p999: q(0.999),
        }
    }
}

/// A service over one interval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceRow {
    /// The interval's begin, since the run's start.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// The service.
    pub service: SmolStr,
    /// CPU time used in the interval, microseconds.
    pub cpu_us: Option<u64>,
    /// Resident set at its end, bytes.
    pub rss: Option<u64>,
    /// Threads at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u64>,
    /// Open descriptors at its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u64>,
    /// How often threads gave up their processor in the interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voluntary_switches: Option<u64>,
    /// How often they were taken off it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub involuntary_switches: Option<u64>,
    /// What its threads waited for a processor in the interval, summed over them, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_queue: Option<u64>,
    /// Longest pause that ended in the interval, microseconds; absent where pauses can't be seen.
    pub pause_max: Option<u64>,
    /// Sum of the pauses that ended in it.
    pub pause_total: Option<u64>,
    /// The pauses that ended in it, by kind.
    #[serde(default, skip_serializing_if = "LiteMap::is_empty")]
    pub pause_kinds: ByKind<RowPauses>,
}

/// Pauses of one kind inside one row, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowPauses {
    /// The longest.
    pub max: u64,
    /// Their sum.
    pub total: u64,
}
