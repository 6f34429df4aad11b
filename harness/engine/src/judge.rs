//! From what was measured to a verdict. Pure: no file, no clock. `value` reads a metric, `measured` all that can be named, and
//! `conclusion` sums up; what can be trusted and what is met is said here.
//!
//! The rules are DESIGN's: an invariant violation is always a fail; an expectation on a number is judged only where its
//! phase and load are valid; a check that saw no data is never a pass; a fail in a valid part beats invalid elsewhere.

mod conclusion;
mod measured;
mod value;

use std::collections::BTreeMap;

use squall_model::baseline::HeldTo;
use squall_model::expression::Operator;
use squall_model::record::{
    EdgeRecord, ExpectationRecord, FaultFelt, InvariantRecord, LoadRecord, PhaseRecord, Spoils, Verdict,
};
use squall_model::units::human;

use crate::measure::collector::Collector;
use crate::plan::{Condition, LoadMetric, Metric, Plan, PlannedExpectation, Scope, show_value};

use conclusion::invariant_text;
pub use conclusion::{Conclusion, Incidents, conclude};
use value::Value;

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
