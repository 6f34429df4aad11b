//! What is measured, how it is written, and its unit.

use squall_model::expression::Dimension;
use squall_model::histogram::{self, Histogram};
use squall_model::units::human;

use crate::measure::pause::Kind;

/// Something measured that an expectation can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A load's.
    Load {
        /// The load, by index.
        load: usize,
        /// Which.
        what: LoadMetric,
    },
    /// A service's, as seen from outside.
    Service {
        /// The service.
        service: String,
        /// Which.
        what: ServiceMetric,
    },
    /// What a service tells of itself.
    Reported {
        /// The service.
        service: String,
        /// The metric's name on its admin endpoint.
        name: String,
    },
    /// How the loads took a fault.
    Fault {
        /// The fault, by index in the plan.
        fault: usize,
        /// Which.
        what: FaultMetric,
    },
    /// What a proxy saw of an edge.
    Edge {
        /// The edge, by index in the plan.
        edge: usize,
        /// Which.
        what: EdgeMetric,
    },
    /// An invariant: it holds or not.
    Invariant {
        /// As in the run record: `ids.unique`.
        path: String,
    },
}

/// What is measured of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadMetric {
    /// From the intended send time.
    Response(Stat),
    /// From the actual send.
    Service(Stat),
    /// Failed over completed.
    Errors,
    /// Completed over intended.
    Achieved,
    /// Completed per second.
    Throughput,
    /// Counts.
    Sent,
    /// See [`LoadMetric::Sent`].
    Completed,
    /// See [`LoadMetric::Sent`].
    Failed,
    /// See [`LoadMetric::Sent`].
    Dropped,
}

impl LoadMetric {
    /// As written, in the shortest way.
    pub(super) fn name(self) -> String {
        match self {
            LoadMetric::Response(stat) => stat.name().to_owned(),
            LoadMetric::Service(stat) => format!("service.{}", stat.name()),
            count => COUNTS.name_of(count).to_owned(),
        }
    }

    /// Whether it is read off latencies.
    pub fn is_time(self) -> bool {
        matches!(self, LoadMetric::Response(_) | LoadMetric::Service(_))
    }
}

/// A number read off a latency histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// A quantile, in hundredths of a percent.
    Quantile(u32),
    /// Arithmetic mean.
    Mean,
    /// Smallest.
    Min,
    /// Largest.
    Max,
}

/// What is measured of how the loads took a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultMetric {
    /// From injection until the first load was outside of its baseline's band.
    Detect,
    /// From healing until all were back in it, and stayed.
    Recovery,
    /// What all requests together waited longer than in the baseline.
    Debt,
}

/// What is seen of an edge, over the whole run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeMetric {
    /// Bytes that crossed, both ways.
    Bytes,
    /// Connections opened.
    Connections,
    /// The most connections that were opened in a second.
    ConnectionsPerSecond,
    /// Requests over it for each that its caller got.
    RequestsPerCall,
    /// The longest time without a byte while a connection was open.
    LongestSilence,
}

/// What is seen of a service from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceMetric {
    /// CPU time.
    Cpu,
    /// Largest resident set.
    RssMax,
    /// Most threads at once.
    ThreadsMax,
    /// Most open descriptors at once.
    DescriptorsMax,
    /// Times that threads gave up their processor.
    VoluntarySwitches,
    /// Times that they were taken off it.
    InvoluntarySwitches,
    /// Times started again.
    Restarts,
    /// Pauses that count as the service's, each once.
    Pauses(PauseStat),
    /// Pauses of one kind.
    Kind(&'static Kind, PauseStat),
}

/// A number read off pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseStat {
    /// How many.
    Count,
    /// Their sum.
    Total,
    /// A quantile, in hundredths of a percent.
    Quantile(u32),
    /// The longest.
    Max,
}

/// How each of some things is written.
pub(super) struct Table<T: 'static>(&'static [(&'static str, T)]);

impl<T: Copy + PartialEq + 'static> Table<T> {
    /// What is written so.
    pub(super) fn get(&self, name: &str) -> Option<T> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, what)| *what)
    }

    /// How one of them is written.
    pub(super) fn name_of(&self, what: T) -> &'static str {
        self.0
            .iter()
            .find(|(_, known)| *known == what)
            .map_or("?", |(name, _)| name)
    }

    pub(super) fn names<'a>(&self) -> impl Iterator<Item = &'a str> + use<'a, T> {
        self.0.iter().map(|(name, _)| *name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = T> + use<T> {
        self.0.iter().map(|(_, what)| *what)
    }
}

pub(super) const STATS: Table<Stat> = Table(&[
    ("p50", Stat::Quantile(5_000)),
    ("p90", Stat::Quantile(9_000)),
    ("p95", Stat::Quantile(9_500)),
    ("p99", Stat::Quantile(9_900)),
    ("p999", Stat::Quantile(9_990)),
    ("p9999", Stat::Quantile(9_999)),
    ("mean", Stat::Mean),
    ("min", Stat::Min),
    ("max", Stat::Max),
]);

pub(super) const COUNTS: Table<LoadMetric> = Table(&[
    ("errors", LoadMetric::Errors),
    ("achieved", LoadMetric::Achieved),
    ("throughput", LoadMetric::Throughput),
    ("sent", LoadMetric::Sent),
    ("completed", LoadMetric::Completed),
    ("failed", LoadMetric::Failed),
    ("dropped", LoadMetric::Dropped),
]);

pub(super) const SERVICE: Table<ServiceMetric> = Table(&[
    ("cpu", ServiceMetric::Cpu),
    ("rss_max", ServiceMetric::RssMax),
    ("threads_max", ServiceMetric::ThreadsMax),
    ("descriptors_max", ServiceMetric::DescriptorsMax),
    ("voluntary_switches", ServiceMetric::VoluntarySwitches),
    ("involuntary_switches", ServiceMetric::InvoluntarySwitches),
    ("restarts", ServiceMetric::Restarts),
]);

pub(super) const FAULT: Table<FaultMetric> = Table(&[
    ("detect", FaultMetric::Detect),
    ("recovery", FaultMetric::Recovery),
    ("debt", FaultMetric::Debt),
]);

pub(super) const EDGE: Table<EdgeMetric> = Table(&[
    ("bytes", EdgeMetric::Bytes),
    ("connections", EdgeMetric::Connections),
    ("connections_per_s_max", EdgeMetric::ConnectionsPerSecond),
    ("requests_per_call", EdgeMetric::RequestsPerCall),
    ("longest_silence", EdgeMetric::LongestSilence),
]);

pub(super) const PAUSES: &str = "pauses";

pub(super) const PAUSE_STATS: Table<PauseStat> = Table(&[
    ("count", PauseStat::Count),
    ("total", PauseStat::Total),
    ("p50", PauseStat::Quantile(5_000)),
    ("p99", PauseStat::Quantile(9_900)),
    ("max", PauseStat::Max),
]);

impl Stat {
    /// As written.
    pub fn name(self) -> &'static str {
        STATS.name_of(self)
    }

    /// The number, in the histogram's unit; nothing where too few samples carry it.
    pub fn of(self, histogram: &Histogram) -> Option<f64> {
        let some = !histogram.is_empty();
        match self {
            Stat::Quantile(q) => {
                histogram::quantile(histogram, f64::from(q) / 10_000.0).map(|value| value as f64)
            }
            Stat::Mean => some.then(|| histogram.mean()),
            Stat::Min => some.then(|| histogram.min() as f64),
            Stat::Max => some.then(|| histogram.max() as f64),
        }
    }
}

impl PauseStat {
    /// As written.
    pub fn name(self) -> &'static str {
        PAUSE_STATS.name_of(self)
    }
}

impl ServiceMetric {
    /// As written.
    pub fn name(self) -> String {
        match self {
            ServiceMetric::Pauses(stat) => format!("{PAUSES}.{}", stat.name()),
            ServiceMetric::Kind(kind, stat) => format!("{}.{}", kind.name, stat.name()),
            plain => SERVICE.name_of(plain).to_owned(),
        }
    }

    fn dimension(self) -> Dimension {
        match self {
            ServiceMetric::RssMax => Dimension::Bytes,
            ServiceMetric::ThreadsMax
            | ServiceMetric::DescriptorsMax
            | ServiceMetric::VoluntarySwitches
            | ServiceMetric::InvoluntarySwitches
            | ServiceMetric::Restarts
            | ServiceMetric::Pauses(PauseStat::Count)
            | ServiceMetric::Kind(_, PauseStat::Count) => Dimension::Count,
            ServiceMetric::Cpu | ServiceMetric::Pauses(_) | ServiceMetric::Kind(..) => Dimension::Duration,
        }
    }
}

impl Metric {
    /// What it measures; its numbers are in the run record's units.
    pub fn dimension(&self) -> Dimension {
        match self {
            Metric::Load { what, .. } => match what {
                LoadMetric::Response(_) | LoadMetric::Service(_) => Dimension::Duration,
                LoadMetric::Errors | LoadMetric::Achieved => Dimension::Ratio,
                LoadMetric::Throughput => Dimension::Rate,
                LoadMetric::Sent | LoadMetric::Completed | LoadMetric::Failed | LoadMetric::Dropped => {
                    Dimension::Count
                }
            },
            Metric::Service { what, .. } => what.dimension(),
            Metric::Fault { .. } => Dimension::Duration,
            Metric::Edge { what, .. } => match what {
                EdgeMetric::Bytes => Dimension::Bytes,
                EdgeMetric::Connections => Dimension::Count,
                EdgeMetric::ConnectionsPerSecond => Dimension::Rate,
                EdgeMetric::RequestsPerCall => Dimension::Number,
                EdgeMetric::LongestSilence => Dimension::Duration,
            },
            Metric::Reported { .. } => Dimension::Number,
            Metric::Invariant { .. } => Dimension::Boolean,
        }
    }
}

/// A value in the run record's unit, for a person.
pub fn show(dimension: Dimension, value: f64) -> String {
    match dimension {
        Dimension::Duration => human::microseconds(value),
        Dimension::Ratio => human::ratio(value),
        Dimension::Rate => human::rate(value),
        Dimension::Bytes => human::bytes(value.round() as u64),
        Dimension::Count | Dimension::Number | Dimension::Boolean => human::number(value),
    }
}
