//! What an expectation may name, and the unit of each.

use squall_model::expression::{Dimension, Path, Resolution};
use squall_model::histogram::{self, Histogram};
use squall_model::units::human;

use crate::measure::pause::{KINDS, Kind};

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

pub(super) const STATS: [(&str, Stat); 9] = [
    ("p50", Stat::Quantile(5_000)),
    ("p90", Stat::Quantile(9_000)),
    ("p95", Stat::Quantile(9_500)),
    ("p99", Stat::Quantile(9_900)),
    ("p999", Stat::Quantile(9_990)),
    ("p9999", Stat::Quantile(9_999)),
    ("mean", Stat::Mean),
    ("min", Stat::Min),
    ("max", Stat::Max),
];

pub(super) const COUNTS: [(&str, LoadMetric); 7] = [
    ("errors", LoadMetric::Errors),
    ("achieved", LoadMetric::Achieved),
    ("throughput", LoadMetric::Throughput),
    ("sent", LoadMetric::Sent),
    ("completed", LoadMetric::Completed),
    ("failed", LoadMetric::Failed),
    ("dropped", LoadMetric::Dropped),
];

pub(super) const SERVICE: [(&str, ServiceMetric); 7] = [
    ("cpu", ServiceMetric::Cpu),
    ("rss_max", ServiceMetric::RssMax),
    ("threads_max", ServiceMetric::ThreadsMax),
    ("descriptors_max", ServiceMetric::DescriptorsMax),
    ("voluntary_switches", ServiceMetric::VoluntarySwitches),
    ("involuntary_switches", ServiceMetric::InvoluntarySwitches),
    ("restarts", ServiceMetric::Restarts),
];

pub(super) const FAULT: [(&str, FaultMetric); 3] = [
    ("detect", FaultMetric::Detect),
    ("recovery", FaultMetric::Recovery),
    ("debt", FaultMetric::Debt),
];

/// What paths of edges begin with.
const EDGE_ROOT: &str = "edge";

pub(super) const EDGE: [(&str, EdgeMetric); 5] = [
    ("bytes", EdgeMetric::Bytes),
    ("connections", EdgeMetric::Connections),
    ("connections_per_s_max", EdgeMetric::ConnectionsPerSecond),
    ("requests_per_call", EdgeMetric::RequestsPerCall),
    ("longest_silence", EdgeMetric::LongestSilence),
];

const PAUSES: &str = "pauses";

pub(super) const PAUSE_STATS: [(&str, PauseStat); 5] = [
    ("count", PauseStat::Count),
    ("total", PauseStat::Total),
    ("p50", PauseStat::Quantile(5_000)),
    ("p99", PauseStat::Quantile(9_900)),
    ("max", PauseStat::Max),
];

impl Stat {
    /// As written.
    pub fn name(self) -> &'static str {
        STATS
            .iter()
            .find(|(_, stat)| *stat == self)
            .map_or("?", |(name, _)| name)
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
        PAUSE_STATS
            .iter()
            .find(|(_, stat)| *stat == self)
            .map_or("?", |(name, _)| name)
    }
}

impl ServiceMetric {
    /// As written.
    pub fn name(self) -> String {
        match self {
            ServiceMetric::Pauses(stat) => format!("{PAUSES}.{}", stat.name()),
            ServiceMetric::Kind(kind, stat) => format!("{}.{}", kind.name, stat.name()),
            plain => SERVICE
                .iter()
                .find(|(_, what)| *what == plain)
                .map_or("?", |(name, _)| name)
                .to_owned(),
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

/// A service as metrics see it.
#[derive(Clone, Debug)]
pub struct NamedService {
    /// Its name.
    pub name: String,
    /// The metrics it tells; nothing where it tells none, because it is not a bundled one.
    pub told: Option<Vec<String>>,
}

/// The names that a scenario defines.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Loads, in order.
    pub loads: Vec<String>,
    /// Services.
    pub services: Vec<NamedService>,
    /// Faults, in the plan's order.
    pub faults: Vec<String>,
    /// Edges that have a proxy, in the plan's order: `feed->ranking`.
    pub edges: Vec<String>,
    /// Invariants, by path.
    pub invariants: Vec<String>,
}

impl Names {
    /// The metric that `path` names, or why it names none.
    pub fn resolve(&self, path: &Path) -> Result<Metric, Resolution> {
        let text = path.to_string();
        if self.invariants.contains(&text) {
            return Ok(Metric::Invariant { path: text });
        }
        let root = path.root().value.as_str();
        let rest: Vec<&str> = path
            .metric()
            .iter()
            .map(|segment| segment.value.as_str())
            .collect();
        if let [step, rest @ ..] = rest.as_slice()
            && let Some(load) = self.load(&format!("{root}.{step}"))
        {
            return load_metric(load, rest).map_err(|resolution| match resolution {
                Resolution::Unknown { segment, candidates } => Resolution::Unknown {
                    segment: segment + 1,
                    candidates,
                },
                other => other,
            });
        }
        if let Some(load) = self.load(root) {
            return load_metric(load, &rest);
        }
        if root == EDGE_ROOT {
            return self.edge_metric(&rest);
        }
        if let Some(fault) = self.faults.iter().position(|fault| fault == root) {
            return fault_metric(fault, &rest);
        }
        match self.services.iter().find(|service| service.name == root) {
            Some(service) => self.service_metric(service, &rest),
            None => Err(Resolution::Unknown {
                segment: 0,
                candidates: self.roots(),
            }),
        }
    }

    fn load(&self, name: &str) -> Option<usize> {
        self.loads.iter().position(|load| load == name)
    }

    fn edge_metric(&self, rest: &[&str]) -> Result<Metric, Resolution> {
        let unknown = |segment, candidates: Vec<String>| Resolution::Unknown { segment, candidates };
        let [name, rest @ ..] = rest else {
            return Err(Resolution::Incomplete {
                candidates: self.edges.clone(),
            });
        };
        let edge = self.edges.iter().position(|edge| edge == name);
        let edge = edge.ok_or_else(|| unknown(1, self.edges.clone()))?;
        let what = match rest {
            [what] => EDGE.iter().find(|(known, _)| known == what),
            _ => None,
        };
        let known = || EDGE.iter().map(|(name, _)| (*name).to_owned()).collect();
        let (_, what) = what.ok_or_else(|| unknown(2, known()))?;
        Ok(Metric::Edge { edge, what: *what })
    }

    fn roots(&self) -> Vec<String> {
        let edge = (!self.edges.is_empty()).then(|| EDGE_ROOT.to_owned());
        self.loads
            .iter()
            .chain(self.services.iter().map(|service| &service.name))
            .chain(&self.faults)
            .chain(&edge)
            .cloned()
            .collect()
    }

    fn service_metric(&self, service: &NamedService, rest: &[&str]) -> Result<Metric, Resolution> {
        if let Some(what) = seen(rest) {
            let service = service.name.clone();
            return what.map(|what| Metric::Service { service, what });
        }
        match (rest, &service.told) {
            (["metrics"], Some(told)) => Err(Resolution::Incomplete {
                candidates: told.clone(),
            }),
            (["metrics", name], Some(told)) if told.iter().any(|one| one == name) => Ok(Metric::Reported {
                service: service.name.clone(),
                name: (*name).to_owned(),
            }),
            (["metrics", ..], Some(told)) => Err(Resolution::Unknown {
                segment: 2,
                candidates: told.clone(),
            }),
            _ => {
                let prefix = format!("{}.", service.name);
                let promises = self
                    .invariants
                    .iter()
                    .filter_map(|path| path.strip_prefix(&prefix));
                let kinds = KINDS.iter().map(|kind| kind.name);
                let seen = SERVICE.iter().map(|(name, _)| *name).chain([PAUSES]).chain(kinds);
                let told = service.told.as_ref().map(|_| "metrics");
                let candidates = promises.chain(seen).chain(told).map(str::to_owned).collect();
                Err(Resolution::Unknown {
                    segment: 1,
                    candidates,
                })
            }
        }
    }
}

/// What is seen of any service under this name; nothing where it is none of these.
fn seen(rest: &[&str]) -> Option<Result<ServiceMetric, Resolution>> {
    let (first, stat) = match rest {
        [name] => match SERVICE.iter().find(|(plain, _)| plain == name) {
            Some((_, what)) => return Some(Ok(*what)),
            None => (*name, None),
        },
        [first, stat] => (*first, Some(*stat)),
        _ => return None,
    };
    let kind = KINDS.iter().find(|kind| kind.name == first);
    if kind.is_none() && first != PAUSES {
        return None;
    }
    let candidates = || PAUSE_STATS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let Some(stat) = stat else {
        return Some(Err(Resolution::Incomplete {
            candidates: candidates(),
        }));
    };
    let known = PAUSE_STATS.iter().find(|(name, _)| *name == stat);
    let metric = known.map(|(_, stat)| match kind {
        Some(kind) => ServiceMetric::Kind(kind, *stat),
        None => ServiceMetric::Pauses(*stat),
    });
    Some(metric.ok_or_else(|| Resolution::Unknown {
        segment: 2,
        candidates: candidates(),
    }))
}

fn fault_metric(fault: usize, rest: &[&str]) -> Result<Metric, Resolution> {
    let known = match rest {
        [name] => FAULT.iter().find(|(known, _)| known == name),
        _ => None,
    };
    known
        .map(|(_, what)| Metric::Fault { fault, what: *what })
        .ok_or_else(|| Resolution::Unknown {
            segment: 1,
            candidates: FAULT.iter().map(|(name, _)| (*name).to_owned()).collect(),
        })
}

fn load_metric(load: usize, rest: &[&str]) -> Result<Metric, Resolution> {
    let stat = |name: &str| {
        STATS
            .iter()
            .find(|(stat, _)| *stat == name)
            .map(|(_, stat)| *stat)
    };
    let stats = || STATS.iter().map(|(name, _)| (*name).to_owned());
    let what = match rest {
        ["service" | "response"] => {
            return Err(Resolution::Incomplete {
                candidates: stats().collect(),
            });
        }
        ["service", name] => stat(name).map(LoadMetric::Service).ok_or((2, stats().collect())),
        ["response", name] => stat(name).map(LoadMetric::Response).ok_or((2, stats().collect())),
        [name] => {
            let count = COUNTS
                .iter()
                .find(|(count, _)| count == name)
                .map(|(_, what)| *what);
            count
                .or_else(|| stat(name).map(LoadMetric::Response))
                .ok_or_else(|| (1, of_a_load()))
        }
        _ => Err((1, of_a_load())),
    };
    match what {
        Ok(what) => Ok(Metric::Load { load, what }),
        Err((segment, candidates)) => Err(Resolution::Unknown { segment, candidates }),
    }
}

/// What may stand behind a load's name.
pub(super) fn of_a_load() -> Vec<String> {
    let counts = COUNTS.iter().map(|(name, _)| *name);
    STATS
        .iter()
        .map(|(name, _)| *name)
        .chain(counts)
        .chain(["service", "response"])
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use squall_model::expression::{Expression, parse};
    use squall_model::span::{SourceId, Span};

    fn names() -> Names {
        let told = Some(vec!["id_generator_ids_total".to_owned()]);
        Names {
            loads: vec!["refresh".into()],
            services: vec![
                NamedService {
                    name: "ids".into(),
                    told,
                },
                NamedService {
                    name: "own".into(),
                    told: None,
                },
            ],
            faults: vec!["cut".into()],
            edges: vec!["own->ids".into()],
            invariants: vec!["ids.unique".into()],
        }
    }

    fn read(text: &str) -> Expression {
        parse(text, &|range| Span::new(SourceId(0), range)).unwrap()
    }

    #[test]
    fn what_is_measured_can_be_named() {
        let table = [
            ("refresh.p99", Dimension::Duration),
            ("refresh.service.p999", Dimension::Duration),
            ("refresh.errors", Dimension::Ratio),
            ("refresh.throughput", Dimension::Rate),
            ("refresh.dropped", Dimension::Count),
            ("ids.unique", Dimension::Boolean),
            ("ids.rss_max", Dimension::Bytes),
            ("ids.pauses.max", Dimension::Duration),
            ("own.gc.p99", Dimension::Duration),
            ("own.gc.count", Dimension::Count),
            ("own.run_queue.total", Dimension::Duration),
            ("own.descriptors_max", Dimension::Count),
            ("ids.metrics.id_generator_ids_total", Dimension::Number),
            ("cut.recovery", Dimension::Duration),
            ("edge.own->ids.requests_per_call", Dimension::Number),
        ];
        for (text, dimension) in table {
            let metric = names().resolve(&read(text).path);
            assert_eq!(
                metric.as_ref().map(Metric::dimension),
                Ok(dimension),
                "{text}: {metric:?}"
            );
        }
    }

    #[test]
    fn what_is_not_measured_says_where_it_is_wrong_and_what_there_is() {
        let table = [
            ("refesh.p99", 0, "refresh"),
            ("refresh.p98", 1, "p99"),
            ("refresh.service.p98", 2, "p99"),
            ("ids.unqiue", 1, "unique"),
            ("ids.metrics.id_total", 2, "id_generator_ids_total"),
            ("own.metrics.x", 1, "rss_max"),
            ("own.collector.max", 1, "gc"),
            ("own.gc.p98", 2, "p99"),
            ("own.pauses.mean", 2, "max"),
            ("cut.recover", 1, "recovery"),
            ("edge.own->idz.bytes", 1, "own->ids"),
            ("edge.own->ids.byte", 2, "bytes"),
        ];
        for (text, at, candidate) in table {
            match names().resolve(&read(text).path) {
                Err(Resolution::Unknown { segment, candidates }) => {
                    assert_eq!(segment, at, "{text}");
                    assert!(
                        candidates.iter().any(|one| one == candidate),
                        "{text}: {candidates:?}"
                    );
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_metric_of_a_service_is_called_as_it_is_written() {
        for text in [
            "cpu",
            "threads_max",
            "pauses.p50",
            "gc.max",
            "safepoint.total",
            "run_queue.p99",
            "hiccup.count",
        ] {
            let Ok(Metric::Service { what, .. }) = names().resolve(&read(&format!("own.{text}")).path) else {
                panic!("{text}")
            };
            assert_eq!(what.name(), text);
        }
        assert!(matches!(
            names().resolve(&read("own.gc").path),
            Err(Resolution::Incomplete { .. })
        ));
    }
}
