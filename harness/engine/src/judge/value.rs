//! The value of a metric over a scope, or why it has none. Whether it can be trusted is not asked here.

use squall_load::oneshot::Totals;
use squall_model::histogram::{self, HistogramError};
use squall_model::record::{EdgeRecord, FaultFelt, Pauses, ServiceRecord, Verdict};

use super::Evidence;
use crate::plan::{EdgeMetric, FaultMetric, LoadMetric, Metric, PauseStat, Scope, ServiceMetric, Stat};

/// The value of a metric over a scope.
pub(super) enum Value {
    /// Measured.
    Number(f64),
    /// What lasted longer than it was looked at, and how long that was.
    AtLeast(f64),
    /// An invariant, judged.
    Judged(Verdict),
    /// Not measured, and why.
    Nothing(String),
}

impl Evidence<'_> {
    pub(super) fn value(&self, metric: &Metric, scope: &Scope) -> Value {
        match metric {
            Metric::Load { load, what } => load_value(&self.totals(*load, scope), *what, self.seconds(scope)),
            Metric::Service { service, what } => self.service_value(service, *what, scope),
            Metric::Reported { service, name } => {
                match self.told.get(service).and_then(|told| told.get(name)) {
                    Some(value) => Value::Number(*value),
                    None => Value::Nothing(format!("{service} did not report {name}")),
                }
            }
            Metric::Fault { fault, what } => self.felt.get(*fault).map_or_else(
                || Value::Nothing("no load was watched".to_owned()),
                |felt| fault_value(felt, *what),
            ),
            Metric::Edge { edge, what } => self.edges.get(*edge).map_or_else(
                || Value::Nothing("no proxy was started".to_owned()),
                |seen| edge_value(seen, *what),
            ),
            Metric::Invariant { path } => match self.invariants.iter().find(|one| one.path() == *path) {
                Some(invariant) => Value::Judged(invariant.verdict),
                None => Value::Nothing(format!("{path} was not checked")),
            },
        }
    }

    pub(super) fn totals(&self, load: usize, scope: &Scope) -> Totals {
        match scope {
            Scope::Fault(fault) => self.collector.during_fault(*fault, load),
            Scope::Run | Scope::Phase(_) => {
                let mut total = Totals::default();
                for phase in self.phases_of(scope) {
                    total.merge(self.collector.phase(phase, load));
                }
                total
            }
        }
    }

    /// The length of a scope in seconds.
    pub(super) fn seconds(&self, scope: &Scope) -> f64 {
        match scope {
            Scope::Fault(index) => {
                let windows = &self.plan.faults[*index].windows;
                let lengths = windows.iter().map(|window| window.to.saturating_sub(window.from));
                lengths.sum::<std::time::Duration>().as_secs_f64()
            }
            _ => self
                .phases_of(scope)
                .iter()
                .map(|index| self.plan.phases[*index].length.as_secs_f64())
                .sum(),
        }
    }

    fn service_value(&self, service: &str, what: ServiceMetric, scope: &Scope) -> Value {
        let records: Vec<_> = self
            .phases_of(scope)
            .iter()
            .filter_map(|index| self.phases[*index].services.get(service))
            .collect();
        let sum = |of: fn(&ServiceRecord) -> Option<u64>| {
            let numbers: Vec<u64> = records.iter().filter_map(|record| of(record)).collect();
            (!numbers.is_empty()).then(|| numbers.iter().sum::<u64>() as f64)
        };
        let most = |of: fn(&ServiceRecord) -> Option<u64>| {
            let numbers = records.iter().filter_map(|record| of(record));
            numbers.max().map(|max| max as f64)
        };
        let number = match what {
            ServiceMetric::Cpu => sum(|record| record.cpu_us),
            ServiceMetric::RssMax => most(|record| record.rss_max),
            ServiceMetric::ThreadsMax => most(|record| record.threads_max),
            ServiceMetric::DescriptorsMax => most(|record| record.descriptors_max),
            ServiceMetric::VoluntarySwitches => sum(|record| record.voluntary_switches),
            ServiceMetric::InvoluntarySwitches => sum(|record| record.involuntary_switches),
            ServiceMetric::Restarts => sum(|record| Some(u64::from(record.restarts))),
            ServiceMetric::Pauses(stat) => {
                let all: Vec<_> = records
                    .iter()
                    .filter_map(|record| record.pauses.as_ref())
                    .collect();
                return pauses_value(&all, what, stat, || hidden(&records, service, what, None));
            }
            ServiceMetric::Kind(kind, stat) => {
                let of_kind = records
                    .iter()
                    .filter_map(|record| record.pause_kinds.get(kind.name));
                let of_kind: Vec<_> = of_kind.collect();
                return pauses_value(&of_kind, what, stat, || {
                    hidden(&records, service, what, Some(kind.name))
                });
            }
        };
        number.map_or_else(
            || Value::Nothing(format!("{} is not visible for {service}", what.name())),
            Value::Number,
        )
    }
}

/// A number of the pauses of several phases; `hidden` says why there are none to be seen.
fn pauses_value(
    all: &[&Pauses],
    what: ServiceMetric,
    stat: PauseStat,
    hidden: impl FnOnce() -> String,
) -> Value {
    if all.is_empty() {
        return Value::Nothing(hidden());
    }
    let number = match stat {
        PauseStat::Count => all.iter().map(|one| one.count).sum::<u64>() as f64,
        PauseStat::Total => all.iter().map(|one| one.total).sum::<u64>() as f64,
        PauseStat::Max => all.iter().filter_map(|one| one.max).max().unwrap_or(0) as f64,
        PauseStat::Quantile(q) => {
            let mut merged = histogram::empty();
            for one in all.iter().filter(|one| !one.hdr.is_empty()) {
                if let Err(e) = histogram::decode(&one.hdr).and_then(|of_one| {
                    let added = merged.add(&of_one);
                    added.map_err(|e| HistogramError::Format(e.to_string()))
                }) {
                    return Value::Nothing(e.to_string());
                }
            }
            let value = histogram::quantile(&merged, f64::from(q) / 10_000.0);
            let Some(value) = value else {
                let (name, seen) = (what.name(), merged.len());
                return Value::Nothing(format!("no data: {seen} pauses are too few for {name}"));
            };
            value as f64
        }
    };
    Value::Number(number)
}

/// Why pauses of one kind, or of any, are not visible for a service.
fn hidden(records: &[&ServiceRecord], service: &str, what: ServiceMetric, kind: Option<&str>) -> String {
    let whys = records.iter().flat_map(|record| &record.pauses_not_visible_why);
    let mut whys: Vec<String> = match kind {
        Some(kind) => whys
            .filter(|(of, _)| *of == kind)
            .map(|(_, why)| why.clone())
            .collect(),
        None => whys.map(|(of, why)| format!("no {of}, because {why}")).collect(),
    };
    whys.sort_unstable();
    whys.dedup();
    let name = what.name();
    match whys.as_slice() {
        [] => format!("{name} is not visible for {service}"),
        whys => format!("{name} is not visible for {service}: {}", whys.join("; ")),
    }
}

fn edge_value(seen: &EdgeRecord, what: EdgeMetric) -> Value {
    let or_nothing = |value: Option<f64>, none: &str| {
        value.map_or_else(|| Value::Nothing(format!("no data: {none}")), Value::Number)
    };
    // An edge that nobody used holds every upper limit, and says nothing.
    if seen.connections == 0 {
        let (caller, callee) = (&seen.caller, &seen.callee);
        return Value::Nothing(format!("no data: {caller} never used its edge to {callee}"));
    }
    match what {
        EdgeMetric::Bytes => Value::Number(seen.bytes as f64),
        EdgeMetric::Connections => Value::Number(seen.connections as f64),
        EdgeMetric::ConnectionsPerSecond => Value::Number(seen.connections_per_s_max),
        EdgeMetric::RequestsPerCall => or_nothing(
            seen.requests_per_call,
            "its requests, or those of its caller, can't be counted: they are no HTTP/1.1 that a proxy reads",
        ),
        EdgeMetric::LongestSilence => or_nothing(
            seen.longest_silence_us.map(|us| us as f64),
            "no connection was open",
        ),
    }
}

fn fault_value(felt: &FaultFelt, what: FaultMetric) -> Value {
    let known = |us: Option<u64>, none: &str| match us {
        Some(us) => Value::Number(us as f64),
        None if felt.unmeasured.is_empty() => Value::Nothing(none.to_owned()),
        None => Value::Nothing(felt.unmeasured.clone()),
    };
    match (what, felt.unrecovered_us) {
        (FaultMetric::Recovery, Some(us)) => Value::AtLeast(us as f64),
        (FaultMetric::Recovery, None) => {
            known(felt.recover_us, "no data: nothing was seen after it was healed")
        }
        (FaultMetric::Detect, _) => known(felt.detect_us, "no load left its baseline's band"),
        (FaultMetric::Debt, _) => known(felt.debt_us, "no data: nothing was seen after it was healed"),
    }
}

pub(super) fn load_value(totals: &Totals, what: LoadMetric, seconds: f64) -> Value {
    let of = |histogram: &squall_model::histogram::Histogram, stat: Stat| match stat.of(histogram) {
        Some(value) => Value::Number(value),
        None => Value::Nothing(format!(
            "no data: {} samples are too few for {}",
            histogram.len(),
            stat.name()
        )),
    };
    let share = |part: u64, whole: u64, none: &str| match whole {
        0 => Value::Nothing(format!("no data: {none}")),
        whole => Value::Number(part as f64 / whole as f64),
    };
    let ended = "no request ended";
    // A load that rests has no counts: zero of them would hold every upper limit.
    if totals.intended == 0 && totals.completed == 0 && totals.dropped == 0 {
        return Value::Nothing("no data: no request was asked for".to_owned());
    }
    match what {
        // How fast a service fails says nothing about how fast it works.
        LoadMetric::Response(_) | LoadMetric::Service(_)
            if totals.completed > 0 && totals.failed == totals.completed =>
        {
            Value::Nothing(format!("no data: all {} requests failed", totals.completed))
        }
        LoadMetric::Response(stat) => of(&totals.response, stat),
        LoadMetric::Service(stat) => of(&totals.service, stat),
        LoadMetric::Errors => share(totals.failed, totals.completed, ended),
        LoadMetric::Achieved => share(totals.completed, totals.intended, "no request was asked for"),
        LoadMetric::Throughput if seconds > 0.0 => Value::Number(totals.completed as f64 / seconds),
        LoadMetric::Throughput => Value::Nothing("no data: the scope has no length".to_owned()),
        LoadMetric::Sent => Value::Number(totals.sent as f64),
        LoadMetric::Completed => Value::Number(totals.completed as f64),
        LoadMetric::Failed if totals.completed == 0 => Value::Nothing(format!("no data: {ended}")),
        LoadMetric::Failed => Value::Number(totals.failed as f64),
        LoadMetric::Dropped => Value::Number(totals.dropped as f64),
    }
}
