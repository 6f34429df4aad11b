//! What a probe runs, and what its record says. Runs nothing and prints nothing.
//!
//! A probe is one phase of the scenario after a warm-up of its own, with the rate of one load replaced and the objectives
//! in place of what the scenario expects.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use squall_engine::plan::{Limit, Plan, PlannedExpectation, PlannedPhase, Scope};
use squall_load::Arrivals;
use squall_model::diagnostic::suggest;
use squall_model::exit::Exit;
use squall_model::record::{self, RunRecord};
use squall_model::units::{Rate, duration_text};

use super::search::Verdict;
use crate::arguments::CapacityArguments;
use crate::quoting::yaml;
use crate::scenarios::{How, Read, read};

/// The longest warm-up.
const WARM_UP: Duration = Duration::from_secs(2);

/// The part of a probe's length that its warm-up takes at most.
const WARM_UP_PART: u32 = 5;

/// Objectives where none is given on what they measure: whatever answers fast because it fails, or leaves requests
/// unsent, does not hold a rate.
const ALWAYS: [(&str, &str); 2] = [("achieved", "achieved >= 99%"), ("errors", "errors < 1%")];

/// What is probed.
pub struct Subject {
    /// The plan of a probe, but for its rate.
    plan: Plan,
    /// The load, by index.
    load: usize,
    /// Its rate as the scenario has it, per second.
    pub rate: f64,
    /// The phase.
    pub phase: String,
    /// The objectives, as expectations.
    pub objectives: Vec<String>,
}

/// A scenario that can be probed, or one that is wrong and says so.
pub enum Prepared {
    /// Ready.
    Ready(Box<Subject>),
    /// Its diagnostics are to be printed.
    Wrong(Box<Read>),
}

/// Reads the scenario and makes it ready. An `Err` is about the command line.
pub fn prepare(arguments: &CapacityArguments, step: Duration) -> anyhow::Result<Prepared> {
    let how = How {
        seed: arguments.seed,
        quick: false,
        overrides: arguments.overrides.clone(),
        allow_hosts: arguments.allowed.hosts.clone(),
        ..How::default()
    };
    let written = read(&arguments.scenario, &how)?;
    let Some(plan) = &written.plan else {
        return Ok(Prepared::Wrong(Box::new(written)));
    };
    let load = plan.loads.iter().position(|load| load.name == arguments.load);
    let load =
        load.with_context(|| unknown("load", &arguments.load, plan.loads.iter().map(|load| &load.name)))?;
    let phase = choose_phase(plan, arguments.phase.as_deref())?;
    let name = plan.phases[phase].name.clone();
    let rate = match plan.phases[phase].arrivals[load] {
        Arrivals::Open { rate_per_s, .. } => rate_per_s,
        Arrivals::Closed { .. } => bail!(
            "the load {} has users: only a load with a rate has a capacity",
            arguments.load
        ),
        Arrivals::None => bail!(
            "the load {} rests in phase {name}: choose another with --phase",
            arguments.load
        ),
    };
    let objectives = objectives(arguments, plan);
    let expected: Vec<String> = objectives.iter().map(|text| yaml(text)).collect();
    let mut overrides = arguments.overrides.clone();
    overrides.push(format!("phases.{name}.for={}", duration_text(step)));
    overrides.push(format!("expect={{{name}: [{}]}}", expected.join(", ")));
    let how = How {
        seed: Some(plan.seed.value()),
        quick: false,
        overrides,
        allow_hosts: arguments.allowed.hosts.clone(),
        ..How::default()
    };
    let mut changed = read(&arguments.scenario, &how)?;
    let Some(plan) = changed.plan.take() else {
        return Ok(Prepared::Wrong(Box::new(changed)));
    };
    let is_stored =
        |one: &&PlannedExpectation| matches!(one.condition.limit, Some((_, Limit::Baseline { .. })));
    if let Some(one) = plan.expectations.iter().find(is_stored) {
        bail!(
            "--slo {}: an objective is a limit of its own, not a stored value; write a quantity",
            one.condition.text
        );
    }
    Ok(Prepared::Ready(Box::new(Subject {
        plan: narrowed(plan, phase),
        load,
        rate,
        phase: name,
        objectives,
    })))
}

impl Subject {
    /// The plan of a probe at `rate` per second.
    pub fn at(&self, rate: f64) -> Plan {
        let mut plan = self.plan.clone();
        for phase in &mut plan.phases {
            if let Arrivals::Open { rate_per_s, .. } = &mut phase.arrivals[self.load] {
                *rate_per_s = rate;
            }
        }
        plan
    }

    /// The length of a probe, warm-up included.
    pub fn length(&self) -> Duration {
        self.plan.length()
    }

    /// The root seed.
    pub fn seed(&self) -> u64 {
        self.plan.seed.value()
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String> + Clone) -> String {
    let names: Vec<&str> = known.map(String::as_str).collect();
    let help = suggest(name, names.iter().copied());
    let help = help.unwrap_or_else(|| format!("there are {}", names.join(", ")));
    format!("the scenario has no {what} called `{name}`: {help}")
}

/// The phase that was asked for; else the baseline, else the first that is measured.
fn choose_phase(plan: &Plan, asked: Option<&str>) -> anyhow::Result<usize> {
    let find = |is_it: &dyn Fn(&PlannedPhase) -> bool| plan.phases.iter().position(is_it);
    match asked {
        Some(name) => find(&|phase| phase.name == name)
            .with_context(|| unknown("phase", name, plan.phases.iter().map(|phase| &phase.name))),
        None => find(&|phase| phase.baseline)
            .or_else(|| find(&|phase| phase.measure))
            .context("the scenario has no measured phase"),
    }
}

/// The objectives as expectations: a bare metric is the load's.
fn objectives(arguments: &CapacityArguments, plan: &Plan) -> Vec<String> {
    let load = &arguments.load;
    let named = |text: &str| {
        let root = text
            .split(['.', ' ', '<', '>', '=', '!'])
            .next()
            .unwrap_or_default();
        plan.loads.iter().any(|load| load.name == root)
            || plan.services.iter().any(|service| service.name == root)
    };
    let mut all: Vec<String> = arguments
        .slos
        .iter()
        .map(|text| text.trim())
        .map(|text| {
            if named(text) {
                text.to_owned()
            } else {
                format!("{load}.{text}")
            }
        })
        .collect();
    for (metric, text) in ALWAYS {
        let path = format!("{load}.{metric}");
        if !all.iter().any(|one| one.starts_with(&path)) {
            all.push(format!("{load}.{text}"));
        }
    }
    all
}

/// The plan with one phase only, after a warm-up with the same loads and without its faults.
fn narrowed(mut plan: Plan, phase: usize) -> Plan {
    let begin: Duration = plan.phases[..phase].iter().map(|before| before.length).sum();
    let mut kept = plan.phases.swap_remove(phase);
    kept.measure = true;
    let warm_up = PlannedPhase {
        name: if kept.name == "warm-up" {
            "before"
        } else {
            "warm-up"
        }
        .to_owned(),
        length: (kept.length / WARM_UP_PART).min(WARM_UP),
        measure: false,
        baseline: false,
        arrivals: kept.arrivals.clone(),
        draw: kept.draw + 1,
    };
    plan.faults
        .retain(|fault| fault.phase == phase && fault.end() <= begin + kept.length);
    for fault in &mut plan.faults {
        fault.phase = 1;
        for window in &mut fault.windows {
            window.from = window.from.saturating_sub(begin) + warm_up.length;
            window.to = window.to.saturating_sub(begin) + warm_up.length;
        }
    }
    for expectation in &mut plan.expectations {
        expectation.scope = Scope::Phase(1);
    }
    plan.phases = vec![warm_up, kept];
    plan
}

/// What a probe showed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Whether the rate holds.
    pub verdict: Verdict,
    /// Why not, or why it can't be said; empty where it holds.
    pub reason: String,
    /// Whether it was the generator that was too slow.
    pub generator: bool,
}

/// Reads a probe's record. `Err` is the exit code of a run that must not be followed by another.
pub fn judge(record: &RunRecord, exit: Exit) -> Result<Shown, Exit> {
    use record::Verdict::{Fail, Invalid};
    if matches!(
        exit,
        Exit::Interrupted | Exit::Terminated | Exit::NotUndone | Exit::Internal | Exit::MissingCapability
    ) {
        return Err(exit);
    }
    let expected = |verdict| record.expectations.iter().find(move |one| one.verdict == verdict);
    let shown = |verdict, reason: String| {
        let generator =
            verdict == Verdict::Invalid && record.phases.iter().any(|phase| phase.invalid.contains(&reason));
        Ok(Shown {
            verdict,
            reason,
            generator,
        })
    };
    if let Some(failed) = expected(Fail) {
        return shown(Verdict::Fails, format!("{}: {}", failed.text, failed.reason));
    }
    if let Some(violated) = record.invariants.iter().find(|one| one.verdict == Fail) {
        return shown(Verdict::Fails, format!("{} was violated", violated.path()));
    }
    // Whatever else is that grave befell a service: it died, or never got ready.
    if exit == Exit::ExpectationNotMet {
        return shown(
            Verdict::Fails,
            record.reasons.first().cloned().unwrap_or_default(),
        );
    }
    match expected(Invalid) {
        Some(unclear) => shown(Verdict::Invalid, unclear.reason.clone()),
        None => shown(Verdict::Holds, String::new()),
    }
}

/// The rates between which is searched, from the command line and the scenario's own.
pub fn bounds(from: Option<f64>, to: Option<f64>, own: f64, most: f64) -> anyhow::Result<(f64, f64, f64)> {
    let highest = to.unwrap_or(most).min(most);
    let start = from.unwrap_or(own).min(highest);
    let lowest = from.unwrap_or(start / 100.0);
    ensure!(
        lowest <= most,
        "--from {}: at most {} can be scheduled",
        Rate::per_second(lowest),
        Rate::per_second(most)
    );
    ensure!(lowest <= highest, "--from is above --to");
    Ok((start, lowest, highest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command};
    use clap::Parser as _;
    use squall_model::event::Event;
    use squall_model::record::{ExpectationRecord, InvariantRecord, PhaseRecord};

    const SCENARIO: &str = "squall: 1
name: s
seed: 7
services: { ids: { use: id-generator } }
load:
  read: { to: ids, http: { get: /id }, rate: 100/s }
  people: { to: ids, http: { get: /id }, users: 3 }
phases:
  - { phase: warm-up, for: 5s, measure: false }
  - phase: early
    for: 10s
    faults: [clock: { as: before, target: ids, step: -5ms, after: 1s, for: 1s }]
  - phase: steady
    for: 1h
    baseline: true
    load: { read: 2x, people: 0x }
    faults: [clock: { as: back, target: ids, step: -20ms, after: 1s, for: 2s }]
expect: { early: [\"read.p99 < 1s\"] }
";

    fn arguments(words: &[&str]) -> (tempfile::TempDir, CapacityArguments) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.yaml");
        std::fs::write(&path, SCENARIO).unwrap();
        let all = ["squall", "capacity", path.to_str().unwrap(), "--load", "read"];
        let all = all.iter().chain(words);
        let Command::Capacity(arguments) = Arguments::try_parse_from(all).unwrap().command else {
            panic!("{words:?} is another command")
        };
        (folder, arguments)
    }

    fn subject(words: &[&str]) -> Subject {
        let (_folder, arguments) = arguments(words);
        match prepare(&arguments, Duration::from_secs(4)).unwrap() {
            Prepared::Ready(subject) => *subject,
            Prepared::Wrong(read) => panic!("{:?}", read.diagnostics.sorted()),
        }
    }

    #[test]
    fn a_probe_is_one_phase_after_a_warm_up_at_another_rate() {
        let subject = subject(&["--slo", "p99 < 5ms"]);
        assert_eq!(
            (subject.phase.as_str(), subject.rate),
            ("steady", 200.0),
            "twice its rate in that phase"
        );
        let plan = subject.at(70.0);
        let phases: Vec<_> = plan
            .phases
            .iter()
            .map(|one| (one.name.as_str(), one.length, one.measure))
            .collect();
        let seconds = Duration::from_secs_f64;
        assert_eq!(
            phases,
            [("warm-up", seconds(0.8), false), ("steady", seconds(4.0), true)]
        );
        for phase in &plan.phases {
            assert!(
                matches!(
                    phase.arrivals[..],
                    [Arrivals::Open { rate_per_s: 70.0, .. }, Arrivals::None]
                ),
                "{:?}",
                phase.arrivals
            );
        }
        let faults: Vec<_> = plan
            .faults
            .iter()
            .map(|one| (one.name.as_str(), one.phase, one.begin(), one.end()))
            .collect();
        assert_eq!(
            faults,
            [("back", 1, seconds(1.8), seconds(3.8))],
            "after the warm-up, and no other phase's"
        );
        let scopes: Vec<_> = plan.expectations.iter().map(|one| one.scope.clone()).collect();
        assert_eq!(
            scopes,
            vec![Scope::Phase(1); 3],
            "the objectives, and nothing that the scenario expects"
        );
    }

    #[test]
    fn a_bare_metric_is_the_loads_and_what_is_not_said_is_expected_all_the_same() {
        let table: [(&[&str], &[&str]); 4] = [
            (
                &["p99 < 5ms"],
                &["read.p99 < 5ms", "read.achieved >= 99%", "read.errors < 1%"],
            ),
            (
                &["service.p99<5ms"],
                &["read.service.p99<5ms", "read.achieved >= 99%", "read.errors < 1%"],
            ),
            (
                &["read.errors < 50%", "achieved > 90%"],
                &["read.errors < 50%", "read.achieved > 90%"],
            ),
            (
                &["ids.cpu < 1s"],
                &["ids.cpu < 1s", "read.achieved >= 99%", "read.errors < 1%"],
            ),
        ];
        for (slos, expected) in table {
            let words: Vec<&str> = slos.iter().flat_map(|slo| ["--slo", slo]).collect();
            assert_eq!(subject(&words).objectives, expected);
        }
    }

    #[test]
    fn a_fault_that_outlasts_the_probe_is_an_error_of_the_scenario() {
        let (_folder, arguments) = arguments(&["--slo", "p99 < 5ms"]);
        let prepared = prepare(&arguments, Duration::from_secs(2)).unwrap();
        assert!(
            matches!(prepared, Prepared::Wrong(_)),
            "the fault holds from 1 s to 3 s"
        );
    }

    fn expectation(verdict: record::Verdict, reason: &str) -> ExpectationRecord {
        ExpectationRecord {
            scope: "steady".to_owned(),
            text: "read.p99 < 5ms".to_owned(),
            value: None,
            limit: None,
            verdict,
            reason: reason.to_owned(),
            baseline: None,
            lacks_baseline: false,
        }
    }

    fn told(
        expectations: Vec<ExpectationRecord>,
        invariant: record::Verdict,
        exit: Exit,
    ) -> Result<(Verdict, bool, String), Exit> {
        let header = Event {
            at_us: 0,
            kind: squall_model::event::EventKind::RunStarted(Box::default()),
        };
        let mut record = squall_model::replay::record([&header]).unwrap();
        record.expectations = expectations;
        record.reasons = vec!["service ids died".to_owned()];
        record.invariants = vec![InvariantRecord {
            service: "ids".to_owned(),
            name: "unique".to_owned(),
            kind: "unique".to_owned(),
            about: String::new(),
            checked: 1,
            violations: 0,
            verdict: invariant,
            examples: Vec::new(),
        }];
        record.phases = vec![PhaseRecord {
            invalid: vec!["the generator fell behind".to_owned()],
            ..PhaseRecord::default()
        }];
        judge(&record, exit).map(|shown| (shown.verdict, shown.generator, shown.reason))
    }

    #[test]
    fn a_record_holds_fails_or_cannot_be_judged() {
        use record::Verdict::{Fail, Invalid, Pass};
        let (pass, slow) = (expectation(Pass, ""), expectation(Fail, "was 9 ms"));
        let (lag, few) = (
            expectation(Invalid, "the generator fell behind"),
            expectation(Invalid, "too few"),
        );
        let held = |found: Result<(Verdict, bool, String), Exit>| found.unwrap();
        assert_eq!(held(told(vec![pass.clone()], Pass, Exit::Pass)).0, Verdict::Holds);
        // What the scenario's own invariants could not see is none of the objectives.
        assert_eq!(
            held(told(vec![pass.clone()], Invalid, Exit::Invalid)).0,
            Verdict::Holds
        );
        assert_eq!(
            held(told(vec![lag.clone(), slow], Pass, Exit::ExpectationNotMet)),
            (Verdict::Fails, false, "read.p99 < 5ms: was 9 ms".to_owned()),
            "a fail in a valid part beats invalid elsewhere"
        );
        assert_eq!(
            held(told(vec![pass.clone()], Fail, Exit::InvariantViolated)),
            (Verdict::Fails, false, "ids.unique was violated".to_owned())
        );
        assert_eq!(
            held(told(vec![few.clone()], Pass, Exit::ExpectationNotMet)),
            (Verdict::Fails, false, "service ids died".to_owned())
        );
        let (verdict, generator, _) = held(told(vec![pass, lag], Pass, Exit::Invalid));
        assert!(verdict == Verdict::Invalid && generator, "the generator's fault");
        assert_eq!(
            held(told(vec![few], Pass, Exit::Invalid)),
            (Verdict::Invalid, false, "too few".to_owned())
        );
        assert_eq!(told(Vec::new(), Pass, Exit::Interrupted), Err(Exit::Interrupted));
    }

    #[test]
    fn a_search_stays_within_its_bounds() {
        assert_eq!(bounds(None, None, 500.0, 1e6).unwrap(), (500.0, 5.0, 1e6));
        assert_eq!(
            bounds(Some(100.0), Some(200.0), 500.0, 1e6).unwrap(),
            (100.0, 100.0, 200.0)
        );
        assert_eq!(
            bounds(None, Some(200.0), 500.0, 1e6).unwrap(),
            (200.0, 2.0, 200.0)
        );
        assert!(bounds(Some(300.0), Some(200.0), 500.0, 1e6).is_err());
        assert!(bounds(Some(2e6), None, 500.0, 1e6).is_err());
    }
}
