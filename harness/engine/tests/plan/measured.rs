//! A run as it was measured, made up: what a verdict is reached from.

use std::collections::BTreeMap;
use std::path::Path;

use squall_engine::judge::{Conclusion, Evidence, Incidents, conclude};
use squall_engine::measure::collector::Collector;
use squall_engine::measure::validity;
use squall_engine::plan::{Plan, Stored};
use squall_load::Slice;
use squall_load::recorder::Recorder;
use squall_model::baseline::Values;
use squall_model::record::{
    EdgeRecord, ExpectationRecord, FaultFelt, GeneratorPhase, InvariantRecord, LoadMode, LoadRecord,
    PhaseRecord, ServiceRecord, Verdict,
};

use crate::rig::{around, read_with};

/// The phases of every run here.
pub const WARM: usize = 0;
pub const STEADY: usize = 1;
pub const BROKEN: usize = 2;

/// Its loads.
pub const MAKE: usize = 0;
pub const BATCH: usize = 1;

/// A run of three phases, the last with a fault, and two loads.
pub struct Run {
    pub plan: Plan,
    pub collector: Collector,
    pub phases: Vec<PhaseRecord>,
    pub unproven: Vec<Option<String>>,
    pub felt: Vec<FaultFelt>,
    pub edges: Vec<EdgeRecord>,
    pub told: BTreeMap<String, BTreeMap<String, f64>>,
    pub invariants: Vec<InvariantRecord>,
}

/// Requests that all took equally long.
#[derive(Clone, Copy)]
pub struct Requests {
    pub count: u64,
    pub failed: u64,
    pub response_us: u64,
    pub lag_us: u64,
    pub dropped: u64,
    pub unsent: u64,
    pub aborted: u64,
}

/// Five thousand that took a millisecond each, on time.
pub const GOOD: Requests = Requests {
    count: 5_000,
    failed: 0,
    response_us: 1_000,
    lag_us: 50,
    dropped: 0,
    unsent: 0,
    aborted: 0,
};

impl Run {
    /// A run in which nothing has happened yet; `expect` is that section of the scenario.
    pub fn new(expect: &str) -> Run {
        let (plan, found) = Run::planned(expect, None);
        assert_eq!(found, "");
        Run::of(plan.expect("a plan, where nothing is wrong"))
    }

    /// The plan of such a run, where something is stored of earlier ones, and what was found in the scenario.
    pub fn planned(expect: &str, stored: Option<Stored>) -> (Option<Plan>, String) {
        let text = around(&format!(
            "load:
  make: {{ to: ids, http: {{ get: /id }}, rate: 1k/s }}
  batch: {{ to: ids, http: {{ get: /ids }}, rate: 1k/s }}
phases:
  - {{ phase: warm, for: 5s, measure: false }}
  - {{ phase: steady, for: 5s, baseline: true }}
  - {{ phase: broken, for: 5s, faults: [ {{ clock: {{ as: back, target: ids, step: -5ms, after: 1s, for: 2s }} }} ] }}
expect:
{expect}"
        ));
        read_with(Path::new("/scenarios"), &text, false, stored)
    }

    /// A run of this plan in which nothing has happened yet.
    pub fn of(plan: Plan) -> Run {
        let loads: Vec<String> = plan.loads.iter().map(|load| load.name.clone()).collect();
        let phase = |(planned, at): (&squall_engine::plan::PlannedPhase, u64)| PhaseRecord {
            name: planned.name.clone(),
            start_us: at * 5_000_000,
            end_us: (at + 1) * 5_000_000,
            measure: planned.measure,
            baseline: planned.baseline,
            complete: true,
            load: loads
                .iter()
                .map(|load| (load.clone(), LoadRecord::default()))
                .collect(),
            services: BTreeMap::from([("ids".to_owned(), ServiceRecord::default())]),
            ..PhaseRecord::default()
        };
        Run {
            collector: Collector::new(loads.clone(), plan.phases.len()),
            phases: plan.phases.iter().zip(0..).map(phase).collect(),
            unproven: vec![None; plan.faults.len()],
            felt: vec![FaultFelt::default(); plan.faults.len()],
            edges: Vec::new(),
            told: BTreeMap::new(),
            invariants: plan
                .invariants
                .iter()
                .map(|one| judged(&one.path(), Verdict::Pass))
                .collect(),
            plan,
        }
    }

    /// A run in which all went well.
    pub fn good(expect: &str) -> Run {
        Run::new(expect).all_well()
    }

    /// The same run, with requests that went well.
    pub fn all_well(mut self) -> Run {
        let run = &mut self;
        for phase in [WARM, STEADY, BROKEN] {
            run.requests(phase, MAKE, GOOD);
            run.requests(phase, BATCH, GOOD);
        }
        self
    }

    /// Adds requests that ended in the middle of a phase.
    pub fn requests(&mut self, phase: usize, load: usize, requests: Requests) {
        let end_us = phase as u64 * 5_000_000 + 2_500_000;
        self.requests_at(phase, load, end_us, requests);
    }

    /// Adds requests that ended by a moment of the run.
    pub fn requests_at(&mut self, phase: usize, load: usize, end_us: u64, requests: Requests) {
        let samples = |value_us| {
            let mut recorder = Recorder::new();
            (0..requests.count).for_each(|_| recorder.record_us(value_us));
            recorder.take()
        };
        let sent = requests.count + requests.aborted;
        self.collector.add(Slice {
            load: load as u16,
            phase: phase as u32,
            start_us: end_us - 100_000,
            end_us,
            intended: sent + requests.dropped + requests.unsent,
            sent,
            completed: requests.count,
            failed: requests.failed,
            dropped: requests.dropped,
            unsent_by_generator: requests.unsent,
            aborted: requests.aborted,
            response: samples(requests.response_us),
            service: samples(requests.response_us),
            lag: samples(requests.lag_us),
            ..Slice::default()
        });
    }

    /// Says what a service was seen to do in a phase.
    pub fn service(&mut self, phase: usize, record: ServiceRecord) {
        self.phases[phase].services.insert("ids".to_owned(), record);
    }

    /// Replaces what an invariant came to.
    pub fn invariant(&mut self, path: &str, verdict: Verdict) {
        self.invariants.retain(|one| one.path() != path);
        self.invariants.push(judged(path, verdict));
    }

    /// Fills in what spoils each phase, as the end of a run does.
    fn spoil(&mut self) {
        for (at, phase) in self.phases.iter_mut().enumerate() {
            phase.invalid.clear();
            for (load, planned) in self.plan.loads.iter().enumerate() {
                let doubts = validity::doubts(&validity::Inputs {
                    load: &planned.name,
                    mode: LoadMode::Open,
                    totals: self.collector.phase(at, load),
                    wake_late: None,
                    oversleep: &squall_model::histogram::empty(),
                    host: &GeneratorPhase::default(),
                });
                let record = phase.load.entry(planned.name.clone()).or_default();
                record.spoils = validity::spoils(&doubts);
                record.invalid = validity::texts(doubts);
                phase.invalid.extend(record.invalid.iter().cloned());
            }
        }
    }

    /// Every number of it that can be stored.
    pub fn numbers(&mut self) -> Values {
        self.spoil();
        self.evidence().measured()
    }

    /// Judges it.
    pub fn judge(&mut self, incidents: &Incidents) -> (Vec<ExpectationRecord>, Conclusion) {
        self.spoil();
        let evidence = self.evidence();
        let expectations = self.plan.expectations.iter().map(|one| evidence.expectation(one));
        let expectations: Vec<_> = expectations.collect();
        let conclusion = conclude(&evidence, &expectations, incidents);
        (expectations, conclusion)
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            plan: &self.plan,
            collector: &self.collector,
            phases: &self.phases,
            unproven: &self.unproven,
            felt: &self.felt,
            edges: &self.edges,
            told: &self.told,
            invariants: &self.invariants,
        }
    }

    /// Each expectation on a line, then the verdict, the exit code and the reasons.
    pub fn shown(&mut self, incidents: &Incidents) -> String {
        let (expectations, conclusion) = self.judge(incidents);
        let expectations = expectations.iter().map(|one| {
            let value = one.value.map_or("-".to_owned(), |value| value.to_string());
            let verdict = one.verdict.as_str();
            let line = format!("{}: {} is {verdict}, {value} {}", one.scope, one.text, one.reason);
            format!("{}\n", line.trim_end())
        });
        let mut lines: Vec<String> = expectations.collect();
        lines.push(format!(
            "{} exit {}\n",
            conclusion.verdict.as_str(),
            conclusion.exit.code()
        ));
        lines.extend(conclusion.reasons.iter().map(|reason| format!("  {reason}\n")));
        lines.concat()
    }
}

/// An invariant that came to this.
fn judged(path: &str, verdict: Verdict) -> InvariantRecord {
    let (service, name) = path.split_once('.').unwrap_or(("", path));
    InvariantRecord {
        service: service.to_owned(),
        name: name.to_owned(),
        kind: name.to_owned(),
        about: String::new(),
        checked: 1_000,
        violations: u64::from(verdict == Verdict::Fail),
        verdict,
        examples: vec!["7 was seen twice".to_owned()],
    }
}

/// A service in a phase in which one pause took so long.
pub fn paused(longest_us: u64) -> ServiceRecord {
    let mut lengths = squall_model::histogram::empty();
    lengths.saturating_record(longest_us);
    ServiceRecord::default().with_pauses(BTreeMap::from([("hiccup".to_owned(), (lengths, longest_us))]))
}
