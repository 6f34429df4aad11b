//! Everything that expectations may name, and how it is called where numbers are stored.

use super::metrics::{COUNTS, EDGE, FAULT, Metric, Names, PAUSE_STATS, SERVICE, STATS};
use super::{LoadMetric, Plan, ServiceMetric};
use crate::measure::pause::KINDS;

impl Names {
    /// The names that a plan's metrics are counted by.
    pub fn of(plan: &Plan) -> Names {
        Names {
            loads: plan.loads.iter().map(|load| load.name.clone()).collect(),
            faults: plan.faults.iter().map(|fault| fault.name.clone()).collect(),
            edges: plan.edges.iter().map(super::PlannedEdge::name).collect(),
            ..Names::default()
        }
    }

    /// What a metric is of, and which of that it is: one for each way in which it can be written. An invariant has no number.
    pub fn stored_as(&self, metric: &Metric) -> Option<(String, String)> {
        let name = |of: &[String], at: usize| of.get(at).cloned();
        Some(match metric {
            Metric::Load { load, what } => (name(&self.loads, *load)?, what.name()),
            Metric::Service { service, what } => (service.clone(), what.name()),
            Metric::Reported { service, name } => (service.clone(), format!("metrics.{name}")),
            Metric::Fault { fault, what } => {
                let (known, _) = FAULT.iter().find(|(_, one)| one == what)?;
                (name(&self.faults, *fault)?, (*known).to_owned())
            }
            Metric::Edge { edge, what } => {
                let (known, _) = EDGE.iter().find(|(_, one)| one == what)?;
                (format!("edge.{}", name(&self.edges, *edge)?), (*known).to_owned())
            }
            Metric::Invariant { .. } => return None,
        })
    }
}

impl LoadMetric {
    /// As written, in the shortest way.
    fn name(self) -> String {
        match self {
            LoadMetric::Response(stat) => stat.name().to_owned(),
            LoadMetric::Service(stat) => format!("service.{}", stat.name()),
            count => COUNTS
                .iter()
                .find(|(_, what)| *what == count)
                .map_or("?", |(name, _)| name)
                .to_owned(),
        }
    }
}

/// Every metric with a number that an expectation of this plan may name, but for what services tell of themselves.
pub fn nameable(plan: &Plan) -> Vec<Metric> {
    let mut all = Vec::new();
    for load in 0..plan.loads.len() {
        let times = STATS
            .iter()
            .flat_map(|(_, stat)| [LoadMetric::Response(*stat), LoadMetric::Service(*stat)]);
        let whats = times.chain(COUNTS.iter().map(|(_, what)| *what));
        all.extend(whats.map(|what| Metric::Load { load, what }));
    }
    for service in &plan.services {
        let plain = SERVICE.iter().map(|(_, what)| *what);
        let pauses = PAUSE_STATS.iter().map(|(_, stat)| ServiceMetric::Pauses(*stat));
        let kinds = KINDS.iter().flat_map(|kind| {
            PAUSE_STATS
                .iter()
                .map(move |(_, stat)| ServiceMetric::Kind(kind, *stat))
        });
        all.extend(plain.chain(pauses).chain(kinds).map(|what| Metric::Service {
            service: service.name.clone(),
            what,
        }));
    }
    for fault in 0..plan.faults.len() {
        all.extend(FAULT.iter().map(|(_, what)| Metric::Fault { fault, what: *what }));
    }
    for edge in 0..plan.edges.len() {
        all.extend(EDGE.iter().map(|(_, what)| Metric::Edge { edge, what: *what }));
    }
    all
}
