//! From what was measured to a verdict. Pure: no file, no clock.
//!
//! The rules are DESIGN's: an invariant violation is always a fail; an expectation on a number is judged only where its
//! phase and load are valid; a check that saw no data is never a pass; a fail in a valid part beats invalid elsewhere.

mod measured;

use std::collections::BTreeMap;

use squall_load::oneshot::Totals;
use squall_model::baseline::HeldTo;
use squall_model::exit::Exit;
use squall_model::expression::Operator;
use squall_model::histogram::{self, HistogramError};
use squall_model::record::{
    EdgeRecord, ExpectationRecord, FaultFelt, InvariantRecord, LoadRecord, Pauses, PhaseRecord,
    ServiceRecord, Spoils, Verdict,
};
use squall_model::units::human;

use crate::measure::collector::Collector;
use crate::plan::{
    Condition, EdgeMetric, FaultMetric, LoadMetric, Metric, PauseStat, Plan, PlannedExpectation, Scope,
    ServiceMetric, Stat, show_value,
};

/// Everything a verdict is made from.
pub struct Evidence<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// What the loads did.
    pub collector: &'a Collector,
    /// The phases as recorded, with what spoils them.
    pub phases: &'a [PhaseRecord],
    /// Per fault: why it is not proven; nothing where it is.
    pub unproven: &'a [Option<String>],
    /// Per fault: how the loads took it.
    pub felt: &'a [FaultFelt],
    /// What the proxies saw of the plan's edges.
    pub edges: &'a [EdgeRecord],
    /// Per service, by name: the last value of each metric it told.
    pub told: &'a BTreeMap<String, BTreeMap<String, f64>>,
    /// The invariants, judged.
    pub invariants: &'a [InvariantRecord],
}

/// The value of a metric over a scope.
enum Value {
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
    /// Judges one expectation.
    pub fn expectation(&self, expectation: &PlannedExpectation) -> ExpectationRecord {
        let condition = &expectation.condition;
        let limit = condition.limit.as_ref();
        let number = limit.and_then(|(operator, limit)| Some((*operator, limit.number()?)));
        let mut record = ExpectationRecord {
            scope: self.scope_name(&expectation.scope),
            text: condition.text.clone(),
            value: None,
            limit: number.map(|(_, limit)| limit),
            verdict: Verdict::Invalid,
            reason: String::new(),
            baseline: limit.and_then(|(_, limit)| limit.stored().cloned().map(Box::new)),
            lacks_baseline: false,
        };
        let value = self.value(&condition.metric, &expectation.scope);
        let spoiled = self.spoiled(&condition.metric, &expectation.scope);
        let missing = limit.and_then(|(_, limit)| limit.missing());
        (record.value, record.verdict, record.reason) = match (value, number) {
            // It held over all the run, but its scope is not what was asked for.
            (Value::Judged(Verdict::Pass), _) if spoiled.is_some() => {
                (None, Verdict::Invalid, spoiled.unwrap_or_default())
            }
            (Value::Judged(verdict), _) => (None, verdict, self.reason_of(&condition.metric)),
            (Value::Nothing(why), _) => (None, Verdict::Invalid, spoiled.unwrap_or(why)),
            (Value::Number(value) | Value::AtLeast(value), _) if spoiled.is_some() => {
                (Some(value), Verdict::Invalid, spoiled.unwrap_or_default())
            }
            // The value was measured, and there is nothing to hold it to.
            (Value::Number(value) | Value::AtLeast(value), None) if missing.is_some() => {
                record.lacks_baseline = true;
                (
                    Some(value),
                    Verdict::Invalid,
                    missing.unwrap_or_default().to_owned(),
                )
            }
            (Value::AtLeast(value), limit) => at_least(condition, value, limit),
            (Value::Number(value), Some((op, limit))) if op.holds(value, limit) => {
                (Some(value), Verdict::Pass, String::new())
            }
            (Value::Number(value), limit) => (Some(value), Verdict::Fail, miss(condition, value, limit)),
        };
        if record.verdict == Verdict::Fail
            && let Some(stored) = &record.baseline
        {
            record.reason.push_str(&against(stored));
        }
        record
    }

    /// Judges a `reached`: it held or nothing is proven.
    pub fn reached(&self, condition: &Condition) -> (Verdict, String) {
        let limit = condition.limit.as_ref();
        let limit = limit.and_then(|(operator, limit)| Some((*operator, limit.number()?)));
        match (self.value(&condition.metric, &Scope::Run), limit) {
            (Value::Number(value), Some((op, limit))) if op.holds(value, limit) => {
                (Verdict::Pass, format!("{}: was {value}", condition.text))
            }
            (Value::Number(value), _) => {
                let text = format!(
                    "{}: was {value}, so what it stands for never happened",
                    condition.text
                );
                (Verdict::Invalid, text)
            }
            (Value::Nothing(why), _) => (Verdict::Invalid, format!("{}: {why}", condition.text)),
            (Value::AtLeast(value), limit) => {
                let (_, verdict, why) = at_least(condition, value, limit);
                (
                    verdict.min(Verdict::Invalid),
                    format!("{}: {why}", condition.text),
                )
            }
            (Value::Judged(verdict), _) => (verdict, String::new()),
        }
    }

    fn scope_name(&self, scope: &Scope) -> String {
        match scope {
            Scope::Run => "run".to_owned(),
            Scope::Phase(index) => self.plan.phases[*index].name.clone(),
            Scope::Fault(index) => self.plan.faults[*index].name.clone(),
        }
    }

    /// The phases a scope touches, by index.
    fn phases_of(&self, scope: &Scope) -> Vec<usize> {
        match scope {
            Scope::Run => (0..self.plan.phases.len())
                .filter(|index| self.plan.phases[*index].measure)
                .collect(),
            Scope::Phase(index) => vec![*index],
            Scope::Fault(index) => {
                let fault = &self.plan.faults[*index];
                let mut start = std::time::Duration::ZERO;
                let mut touched = Vec::new();
                for (index, phase) in self.plan.phases.iter().enumerate() {
                    let end = start + phase.length;
                    if fault
                        .windows
                        .iter()
                        .any(|window| window.from < end && window.to > start)
                    {
                        touched.push(index);
                    }
                    start = end;
                }
                touched
            }
        }
    }

    /// Why a number over this scope can't be judged; nothing where it can.
    fn spoiled(&self, metric: &Metric, scope: &Scope) -> Option<String> {
        let phases = self.phases_of(scope);
        if let Some(phase) = phases
            .iter()
            .map(|index| &self.phases[*index])
            .find(|phase| !phase.complete)
        {
            return Some(format!("phase {} was not run to its end", phase.name));
        }
        if let Scope::Fault(index) = scope
            && let Some(why) = self.unproven.get(*index).and_then(Option::as_ref)
        {
            return Some(format!(
                "fault {} was not proven: {why}",
                self.plan.faults[*index].name
            ));
        }
        if let Metric::Fault { fault, .. } = metric {
            return self.fault_spoiled(*fault);
        }
        if let Metric::Load { load, what } = metric {
            return phases
                .iter()
                .find_map(|phase| self.doubt(*phase, *load, *what))
                .or_else(|| self.cut_off(&phases, *load));
        }
        None
    }

    /// Why it can't be said how the loads took a fault; nothing where it can. It takes the baseline, and all phases until recovery.
    fn fault_spoiled(&self, fault: usize) -> Option<String> {
        let planned = &self.plan.faults[fault];
        if let Some(why) = self.unproven.get(fault).and_then(Option::as_ref) {
            return Some(format!("fault {} was not proven: {why}", planned.name));
        }
        let felt = self.felt.get(fault)?;
        let after_us = felt.recover_us.or(felt.unrecovered_us).unwrap_or(0);
        let first_us = self.phases.first()?.start_us;
        let from_us = first_us + planned.begin().as_micros() as u64;
        let until_us = first_us + planned.end().as_micros() as u64 + after_us;
        let needed = self
            .phases
            .iter()
            .filter(|phase| phase.baseline || (phase.start_us < until_us && phase.end_us > from_us));
        let mut records = needed.flat_map(|phase| phase.load.values());
        records.find_map(|record| {
            spoils(record, true)
                .then(|| record.invalid.first().cloned())
                .flatten()
        })
    }

    /// Requests whose end is unknown: they may have been the slow ones.
    fn cut_off(&self, phases: &[usize], load: usize) -> Option<String> {
        let aborted = phases
            .iter()
            .map(|phase| self.collector.phase(*phase, load).aborted);
        let aborted: u64 = aborted.sum();
        (aborted > 0).then(|| {
            let name = &self.plan.loads[load].name;
            format!(
                "{} requests of {name} were cut off by the end of the run",
                human::count(aborted)
            )
        })
    }

    /// Why a number of one load in one phase can't be trusted.
    fn doubt(&self, phase: usize, load: usize, what: LoadMetric) -> Option<String> {
        let record = self.phases[phase].load.get(&self.plan.loads[load].name)?;
        (spoils(record, what.is_time()))
            .then(|| record.invalid.first().cloned())
            .flatten()
    }

    /// Why a phase can't answer what is asked of the run. Late requests and answers spoil times: where none are expected,
    /// they are marked, and what was expected is judged. Where nothing is expected of any load, its numbers are what the
    /// run is for.
    fn doubts(&self, phase: usize) -> Vec<&String> {
        let expected = || self.plan.expectations.iter();
        let nothing = !expected().any(|one| matches!(one.condition.metric, Metric::Load { .. }));
        let is_asked_for_times = |at: usize| {
            expected().any(|one| {
                matches!(one.condition.metric, Metric::Load { load, what } if load == at && what.is_time())
                    && self.phases_of(&one.scope).contains(&phase)
            })
        };
        let loads = self.plan.loads.iter().enumerate();
        let records = loads.filter_map(|(at, load)| Some((at, self.phases[phase].load.get(&load.name)?)));
        records
            .filter(|(at, record)| spoils(record, nothing || is_asked_for_times(*at)))
            .flat_map(|(_, record)| &record.invalid)
            .collect()
    }

    fn value(&self, metric: &Metric, scope: &Scope) -> Value {
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

    fn totals(&self, load: usize, scope: &Scope) -> Totals {
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
    fn seconds(&self, scope: &Scope) -> f64 {
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

    /// Why the invariant behind a metric did not pass.
    fn reason_of(&self, metric: &Metric) -> String {
        let Metric::Invariant { path } = metric else {
            return String::new();
        };
        let invariant = self
            .invariants
            .iter()
            .find(|one| one.path() == *path && one.verdict != Verdict::Pass);
        invariant.map(invariant_text).unwrap_or_default()
    }
}

/// Whether what is known against a load spoils its times, or its counts.
fn spoils(record: &LoadRecord, times: bool) -> bool {
    record
        .spoils
        .is_some_and(|spoils| times || spoils == Spoils::Everything)
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

/// Judges what lasted for at least `value`: a limit below that is missed; of one above nothing is known.
fn at_least(
    condition: &Condition,
    value: f64,
    limit: Option<(Operator, f64)>,
) -> (Option<f64>, Verdict, String) {
    let show = |value| show_value(condition.metric.dimension(), value);
    let why = format!("was not over within {}, when something else began", show(value));
    let verdict = match limit {
        Some((Operator::Less | Operator::LessOrEqual, limit)) if value >= limit => Verdict::Fail,
        Some((Operator::Greater | Operator::GreaterOrEqual, limit)) if value > limit => Verdict::Pass,
        _ => Verdict::Invalid,
    };
    let why = if verdict == Verdict::Pass {
        String::new()
    } else {
        why
    };
    (Some(value), verdict, why)
}

fn miss(condition: &Condition, value: f64, limit: Option<(Operator, f64)>) -> String {
    let show = |value| show_value(condition.metric.dimension(), value);
    match limit {
        Some((_, limit)) => format!("was {}, limit {}", show(value), show(limit)),
        None => format!("was {}", show(value)),
    }
}

/// What a missed limit was made of.
fn against(stored: &HeldTo) -> String {
    let changed = if stored.scenario_changed {
        "; the scenario has changed since"
    } else {
        ""
    };
    format!(
        " from the stored {} of {}{changed}",
        show_value(stored.dimension, stored.value),
        stored.saved_at
    )
}

fn load_value(totals: &Totals, what: LoadMetric, seconds: f64) -> Value {
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

/// What a run amounts to.
#[derive(Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, the gravest first.
    pub reasons: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

/// What happened beside the checks.
#[derive(Debug, Default)]
pub struct Incidents {
    /// The signal that ended the run early.
    pub interrupted: Option<(String, Exit)>,
    /// Squall's own failure, such as a full disk.
    pub failed: Option<String>,
    /// Faults that took effect and were not shown to be over, and why.
    pub lingering: Vec<String>,
    /// What spoiled the run as a whole.
    pub spoiled: Vec<String>,
    /// Programs that turned out not to be there.
    pub missing: Vec<String>,
    /// What could not be undone, and how to.
    pub not_undone: Vec<String>,
    /// Services that died unasked or never got ready.
    pub services: Vec<String>,
}

impl Incidents {
    /// Whether the run ended before its time, so that what is missing needs no reason of its own.
    pub fn cut_short(&self) -> bool {
        self.interrupted.is_some()
            || self.failed.is_some()
            || !self.services.is_empty()
            || !self.missing.is_empty()
    }
}

/// Sums everything up.
pub fn conclude(
    evidence: &Evidence<'_>,
    expectations: &[ExpectationRecord],
    incidents: &Incidents,
) -> Conclusion {
    let mut found: Vec<(Exit, String)> = Vec::new();
    if let Some((signal, exit)) = &incidents.interrupted {
        found.push((
            *exit,
            format!("interrupted by {signal}: what was measured until then is shown"),
        ));
    }
    found.extend(
        incidents
            .not_undone
            .iter()
            .map(|text| (Exit::NotUndone, text.clone())),
    );
    found.extend(incidents.failed.iter().map(|text| (Exit::Internal, text.clone())));
    let missing = incidents.missing.iter();
    found.extend(missing.map(|text| (Exit::MissingCapability, text.clone())));
    found.extend(
        incidents
            .services
            .iter()
            .map(|text| (Exit::ExpectationNotMet, text.clone())),
    );
    for invariant in evidence.invariants {
        match invariant.verdict {
            Verdict::Pass => {}
            Verdict::Fail => found.push((Exit::InvariantViolated, invariant_text(invariant))),
            Verdict::Invalid if incidents.cut_short() => {}
            Verdict::Invalid => found.push((Exit::Invalid, invariant_text(invariant))),
        }
    }
    for (fault, why) in evidence.plan.faults.iter().zip(evidence.unproven) {
        found.extend(why.iter().map(|why| {
            (
                Exit::Invalid,
                format!("fault {} was not proven: {why}", fault.name),
            )
        }));
    }
    found.extend(incidents.spoiled.iter().map(|text| (Exit::Invalid, text.clone())));
    let measured = evidence.phases.iter().enumerate();
    for (at, phase) in measured.filter(|(_, phase)| phase.measure) {
        found.extend(
            evidence
                .doubts(at)
                .into_iter()
                .filter(|why| !incidents.spoiled.contains(why))
                .map(|why| (Exit::Invalid, format!("phase {}: {why}", phase.name))),
        );
    }
    let lingering = incidents.lingering.iter();
    found.extend(lingering.map(|text| (Exit::Invalid, text.clone())));
    let told: Vec<String> = found.iter().map(|(_, text)| text.clone()).collect();
    for expectation in expectations {
        let text = expectation.as_reason();
        match expectation.verdict {
            Verdict::Pass => {}
            Verdict::Fail => found.push((Exit::ExpectationNotMet, text)),
            // What spoiled it stands above already; a row of the report says so beside each expectation.
            Verdict::Invalid if told.iter().any(|text| text.ends_with(&expectation.reason)) => {}
            Verdict::Invalid if incidents.cut_short() => {}
            Verdict::Invalid => found.push((Exit::Invalid, text)),
        }
    }
    sum_up(found)
}

fn sum_up(mut found: Vec<(Exit, String)>) -> Conclusion {
    let exit = Exit::gravest(found.iter().map(|(exit, _)| *exit));
    let fails = |exit: &Exit| {
        !matches!(
            exit,
            Exit::Invalid | Exit::Interrupted | Exit::Terminated | Exit::Internal
        )
    };
    let verdict = match found.as_slice() {
        [] => Verdict::Pass,
        some if some.iter().any(|(exit, _)| fails(exit)) => Verdict::Fail,
        _ => Verdict::Invalid,
    };
    // The gravest first; among equals, the order in which they were found.
    found.sort_by_key(|(exit, _)| exit.rank());
    let mut reasons: Vec<String> = Vec::new();
    for (_, text) in found {
        if !reasons.contains(&text) {
            reasons.push(text);
        }
    }
    Conclusion {
        verdict,
        reasons,
        exit,
    }
}

fn invariant_text(invariant: &InvariantRecord) -> String {
    let example = invariant
        .examples
        .first()
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    match invariant.verdict {
        Verdict::Fail => {
            let times = human::count(invariant.violations);
            format!(
                "invariant {} was violated, {times} in {}{example}",
                invariant.path(),
                human::count(invariant.checked)
            )
        }
        _ => format!("invariant {} can't be judged{example}", invariant.path()),
    }
}
