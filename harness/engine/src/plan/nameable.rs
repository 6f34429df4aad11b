//! Everything that expectations may name.

use super::metric::{COUNTS, EDGE, FAULT, PAUSE_STATS, SERVICE, STATS};
use super::{LoadMetric, Metric, Plan, ServiceMetric};
use crate::measure::pause::KINDS;

/// Every metric with a number that an expectation of this plan may name, but for what services tell of themselves.
pub fn nameable(plan: &Plan) -> Vec<Metric> {
    let mut all = Vec::new();
    for load in 0..plan.loads.len() {
        let times = STATS
            .all()
            .flat_map(|stat| [LoadMetric::Response(stat), LoadMetric::Service(stat)]);
        all.extend(times.chain(COUNTS.all()).map(|what| Metric::Load { load, what }));
    }
    for service in &plan.services {
        let pauses = PAUSE_STATS.all().map(ServiceMetric::Pauses);
        let kinds = KINDS
            .iter()
            .flat_map(|kind| PAUSE_STATS.all().map(move |stat| ServiceMetric::Kind(kind, stat)));
        all.extend(
            SERVICE
                .all()
                .chain(pauses)
                .chain(kinds)
                .map(|what| Metric::Service {
                    service: service.name.clone(),
                    what,
                }),
        );
    }
    for fault in 0..plan.faults.len() {
        all.extend(FAULT.all().map(|what| Metric::Fault { fault, what }));
    }
    for edge in 0..plan.edges.len() {
        all.extend(EDGE.all().map(|what| Metric::Edge { edge, what }));
    }
    all
}
