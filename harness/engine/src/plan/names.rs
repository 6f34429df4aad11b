//! The names that a scenario defines, what each way of writing one names, and how it is called where numbers are stored.

use squall_model::expression::{Path, Resolution};

use super::metric::{
    COUNTS, EDGE, FAULT, LoadMetric, Metric, PAUSE_STATS, PAUSES, SERVICE, STATS, ServiceMetric,
};
use super::{Plan, PlannedEdge};
use crate::measure::pause::KINDS;

/// What paths of edges begin with.
const EDGE_ROOT: &str = "edge";

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
    /// The names that a plan's metrics are counted by.
    pub fn of(plan: &Plan) -> Names {
        Names {
            loads: plan.loads.iter().map(|load| load.name.clone()).collect(),
            faults: plan.faults.iter().map(|fault| fault.name.clone()).collect(),
            edges: plan.edges.iter().map(PlannedEdge::name).collect(),
            ..Names::default()
        }
    }

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

    /// What a metric is of, and which of that it is: one for each way in which it can be written. An invariant has no number.
    pub fn stored_as(&self, metric: &Metric) -> Option<(String, String)> {
        let name = |of: &[String], at: usize| of.get(at).cloned();
        Some(match metric {
            Metric::Load { load, what } => (name(&self.loads, *load)?, what.name()),
            Metric::Service { service, what } => (service.clone(), what.name()),
            Metric::Reported { service, name } => (service.clone(), format!("metrics.{name}")),
            Metric::Fault { fault, what } => (name(&self.faults, *fault)?, FAULT.name_of(*what).to_owned()),
            Metric::Edge { edge, what } => {
                let root = format!("{EDGE_ROOT}.{}", name(&self.edges, *edge)?);
                (root, EDGE.name_of(*what).to_owned())
            }
            Metric::Invariant { .. } => return None,
        })
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
            [what] => EDGE.get(what),
            _ => None,
        };
        let what = what.ok_or_else(|| unknown(2, owned(EDGE.names())))?;
        Ok(Metric::Edge { edge, what })
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
                let seen = SERVICE.names().chain([PAUSES]).chain(kinds);
                let told = service.told.as_ref().map(|_| "metrics");
                Err(Resolution::Unknown {
                    segment: 1,
                    candidates: owned(promises.chain(seen).chain(told)),
                })
            }
        }
    }
}

/// What is seen of any service under this name; nothing where it is none of these.
fn seen(rest: &[&str]) -> Option<Result<ServiceMetric, Resolution>> {
    let (first, stat) = match rest {
        [name] => match SERVICE.get(name) {
            Some(what) => return Some(Ok(what)),
            None => (*name, None),
        },
        [first, stat] => (*first, Some(*stat)),
        _ => return None,
    };
    let kind = KINDS.iter().find(|kind| kind.name == first);
    if kind.is_none() && first != PAUSES {
        return None;
    }
    let candidates = owned(PAUSE_STATS.names());
    let Some(stat) = stat else {
        return Some(Err(Resolution::Incomplete { candidates }));
    };
    let metric = PAUSE_STATS.get(stat).map(|stat| match kind {
        Some(kind) => ServiceMetric::Kind(kind, stat),
        None => ServiceMetric::Pauses(stat),
    });
    Some(metric.ok_or(Resolution::Unknown {
        segment: 2,
        candidates,
    }))
}

fn fault_metric(fault: usize, rest: &[&str]) -> Result<Metric, Resolution> {
    let known = match rest {
        [name] => FAULT.get(name),
        _ => None,
    };
    known
        .map(|what| Metric::Fault { fault, what })
        .ok_or_else(|| Resolution::Unknown {
            segment: 1,
            candidates: owned(FAULT.names()),
        })
}

fn load_metric(load: usize, rest: &[&str]) -> Result<Metric, Resolution> {
    let stats = || owned(STATS.names());
    let (what, segment) = match rest {
        ["service" | "response"] => return Err(Resolution::Incomplete { candidates: stats() }),
        ["service", name] => (STATS.get(name).map(LoadMetric::Service), 2),
        ["response", name] => (STATS.get(name).map(LoadMetric::Response), 2),
        [name] => {
            let response = || STATS.get(name).map(LoadMetric::Response);
            (COUNTS.get(name).or_else(response), 1)
        }
        _ => (None, 1),
    };
    what.map(|what| Metric::Load { load, what })
        .ok_or_else(|| Resolution::Unknown {
            segment,
            candidates: if segment == 1 { of_a_load() } else { stats() },
        })
}

/// What may stand behind a load's name.
pub(super) fn of_a_load() -> Vec<String> {
    owned(STATS.names().chain(COUNTS.names()).chain(["service", "response"]))
}

fn owned<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use squall_model::expression::{Dimension, Expression, parse};
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
