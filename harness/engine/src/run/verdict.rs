//! The end of a run: everything is summed up, judged and written down.

use std::collections::BTreeMap;
use std::time::Duration;

use squall_load::Arrivals;
use squall_model::event::EventKind;
use squall_model::histogram::{self, Distribution};
use squall_model::record::{
    GeneratorPhase, InvariantRecord, LoadMode, LoadRecord, PhaseRecord, Spoils, Verdict,
};
use squall_model::replay;

use super::Outcome;
use super::supervisor::Supervisor;
use crate::invariant;
use crate::judge::{Evidence, conclude};
use crate::measure::collector::load_record;
use crate::measure::{target, validity};
use crate::plan::Check;

/// How long services may take to tell what happened in a phase until its numbers are written down.
const TELL_WITHIN_US: u64 = 1_000_000;

impl Supervisor<'_> {
    /// Judges the run and writes its record.
    pub(super) fn conclude(mut self) -> Outcome {
        let outcomes = self.checking.finish();
        let found: Vec<_> = self.checking.found().try_iter().collect();
        for (checker, violation) in found {
            self.take_violation(checker, violation.at_us, violation.text);
        }
        self.write_rows(None);
        self.tell_measured();
        let phases: Vec<PhaseRecord> = (0..self.plan.phases.len())
            .map(|index| self.phase(index))
            .collect();
        for (index, phase) in phases.iter().enumerate().filter(|(_, phase)| phase.end_us > 0) {
            self.write_result(index, phase.clone());
        }
        self.sum_up_generator(&phases);
        self.incidents
            .spoiled
            .extend(validity::suspended(self.host.suspended_us()));
        self.emit(EventKind::Generator {
            result: Box::new(self.generator.clone()),
        });
        self.judge(&phases, outcomes.as_deref())
    }

    /// Writes down the phases that have settled since the last call, so that a run that is cut off keeps their exact
    /// numbers. What services tell late may still change theirs: the end of the run then says so again.
    pub(super) fn write_settled(&mut self, quorum: usize) {
        let now = self.now_us();
        for index in 0..self.plan.phases.len() {
            let is_over = now > self.bounds[index].1 + TELL_WITHIN_US;
            if is_over && self.settled[index] >= quorum && self.results[index].is_none() {
                self.write_result(index, self.phase(index));
            }
        }
    }

    fn write_result(&mut self, index: usize, phase: PhaseRecord) {
        if self.results[index].as_ref() == Some(&phase) {
            return;
        }
        self.emit(EventKind::PhaseResult {
            phase: phase.name.clone(),
            load: phase.load.clone(),
            services: phase.services.clone(),
            invalid: phase.invalid.clone(),
        });
        self.results[index] = Some(phase);
    }

    fn judge(mut self, phases: &[PhaseRecord], outcomes: Option<&[invariant::Outcome]>) -> Outcome {
        let edges = std::mem::take(&mut self.edge_records);
        self.edges.close();
        self.emit(EventKind::Edges {
            results: edges.clone(),
        });
        let felt = self.felt();
        for (planned, felt) in self.plan.faults.iter().zip(&felt) {
            let (fault, felt) = (planned.name.clone(), felt.clone());
            self.emit(EventKind::FaultFelt { fault, felt });
        }
        let watchers = self.watchers.iter_mut();
        let watched: Vec<_> = watchers
            .map(|watcher| (watcher.invariant, watcher.checker.finish()))
            .collect();
        let unproven: Vec<_> = self.faults.iter().map(super::faults::Running::unproven).collect();
        let mut evidence = Evidence {
            plan: self.plan,
            collector: &self.collector,
            phases,
            unproven: &unproven,
            felt: &felt,
            edges: &edges,
            told: &self.told,
            invariants: &[],
        };
        let invariants = self.invariants(&evidence, outcomes, &watched);
        evidence.invariants = &invariants;
        let expectations: Vec<_> = self
            .plan
            .expectations
            .iter()
            .map(|one| evidence.expectation(one))
            .collect();
        let measured = evidence.measured();
        let conclusion = conclude(&evidence, &expectations, &self.incidents);
        let failed_before = self.incidents.failed.is_some();
        self.emit(EventKind::Invariants { results: invariants });
        self.emit(EventKind::Expectations {
            results: expectations,
        });
        self.emit(EventKind::Measured { values: measured });
        self.emit(EventKind::RunEnded {
            verdict: conclusion.verdict,
            reasons: conclusion.reasons,
            exit_code: conclusion.exit.code(),
        });
        let mut record = replay::record(&self.events).expect("the first event is the header");
        let mut exit = conclusion.exit;
        let written = self.writer.flush().and_then(|()| self.writer.run(&record));
        self.check_written(written);
        // What failed after the verdict, the verdict's own lines included, is not in it yet.
        if let Some(text) = self.incidents.failed.filter(|_| !failed_before) {
            exit = squall_model::exit::Exit::gravest([exit, squall_model::exit::Exit::Internal]);
            record.reasons.insert(0, text);
            record.verdict = record.verdict.max(Verdict::Invalid);
            record.exit_code = exit.code();
        }
        Outcome {
            record,
            events: self.events,
            folder: self.folder.path().to_owned(),
            exit,
        }
    }

    fn phase(&self, index: usize) -> PhaseRecord {
        let planned = &self.plan.phases[index];
        let state = self.events.iter().rev().find_map(|event| match &event.kind {
            EventKind::PhaseEnded { phase, complete } if *phase == planned.name => {
                Some((event.at_us, *complete))
            }
            _ => None,
        });
        let (start_us, planned_end_us) = self.bounds[index];
        let (end_us, complete) = state.unwrap_or((0, false));
        let length_us = if complete {
            planned_end_us - start_us
        } else {
            end_us.saturating_sub(start_us)
        };
        let mut load = BTreeMap::new();
        let mut invalid = Vec::new();
        for (at, one) in self.plan.loads.iter().enumerate() {
            let mut record = self.load(index, at, length_us);
            record.target_missed = target::missed(
                &planned.arrivals[at],
                Duration::from_micros(length_us),
                complete,
                self.collector.phase(index, at),
            );
            (record.invalid, record.spoils) = self.doubts(index, at, record.mode);
            for why in &record.invalid {
                if !invalid.contains(why) {
                    invalid.push(why.clone());
                }
            }
            load.insert(one.name.clone(), record);
        }
        PhaseRecord {
            name: planned.name.clone(),
            start_us,
            end_us,
            measure: planned.measure,
            baseline: planned.baseline,
            complete,
            invalid,
            load,
            services: self.services.phase(index),
        }
    }

    /// Why the numbers of one load in one phase can't be trusted, and which of them.
    fn doubts(&self, phase: usize, load: usize, mode: LoadMode) -> (Vec<String>, Option<Spoils>) {
        let host = self.host.phase(phase).record();
        let doubts = validity::doubts(&self.judged_by(phase, load, mode, &host));
        let mut spoils = validity::spoils(&doubts);
        let mut texts = validity::texts(doubts);
        // A load that rests has no numbers to spoil.
        if let Some(suspended) = validity::suspended(self.host.suspended_us())
            && mode != LoadMode::Off
        {
            texts.push(suspended);
            spoils = Some(Spoils::Everything);
        }
        (texts, spoils)
    }

    fn judged_by<'b>(
        &'b self,
        phase: usize,
        load: usize,
        mode: LoadMode,
        host: &'b GeneratorPhase,
    ) -> validity::Inputs<'b> {
        validity::Inputs {
            load: &self.plan.loads[load].name,
            mode,
            totals: self.collector.phase(phase, load),
            wake_late: None,
            oversleep: self.host.phase(phase).oversleep(),
            host,
        }
    }

    /// What was seen of the generator in one phase, for the record.
    fn generator_phase(&self, phase: usize, record: &PhaseRecord) -> GeneratorPhase {
        let host = self.host.phase(phase).record();
        let errors = self.plan.loads.iter().enumerate().filter_map(|(at, load)| {
            let mode = record.load.get(&load.name)?.mode;
            let error = validity::latency_error(&self.judged_by(phase, at, mode, &host))?;
            Some((load.name.clone(), error))
        });
        let error = errors.collect();
        GeneratorPhase { error, ..host }
    }

    fn load(&self, phase: usize, load: usize, length_us: u64) -> LoadRecord {
        let (mode, rate, users) = match self.plan.phases[phase].arrivals[load] {
            Arrivals::Open { rate_per_s, .. } => (LoadMode::Open, Some(rate_per_s), None),
            Arrivals::Closed { users, .. } => (LoadMode::Closed, None, Some(users as u32)),
            Arrivals::None => (LoadMode::Off, None, None),
        };
        load_record(self.collector.phase(phase, load), mode, rate, users, length_us)
    }

    fn sum_up_generator(&mut self, phases: &[PhaseRecord]) {
        let mut lag = histogram::empty();
        for phase in 0..self.plan.phases.len() {
            for load in 0..self.plan.loads.len() {
                lag.add(&self.collector.phase(phase, load).lag)
                    .expect("all histograms have the same bounds");
            }
        }
        self.generator.schedule_lag = Distribution::of(&lag);
        self.generator.suspended_us = self.host.suspended_us();
        let ran = phases.iter().enumerate().filter(|(_, phase)| phase.end_us > 0);
        self.generator.phases = ran
            .map(|(index, phase)| (phase.name.clone(), self.generator_phase(index, phase)))
            .collect();
        let invalid = phases.iter().any(|phase| !phase.invalid.is_empty());
        self.generator.verdict = Some(if invalid { Verdict::Invalid } else { Verdict::Pass });
    }

    /// The invariants, judged; `watched` has those of states, by their place in the plan. Without outcomes the checking thread
    /// itself failed, and nothing is known.
    fn invariants(
        &self,
        evidence: &Evidence<'_>,
        outcomes: Option<&[invariant::Outcome]>,
        watched: &[(usize, invariant::Outcome)],
    ) -> Vec<InvariantRecord> {
        let mut records = Vec::new();
        for (index, planned) in self.plan.invariants.iter().enumerate() {
            let mut record = InvariantRecord {
                service: planned.service.clone(),
                name: planned.name.clone(),
                kind: planned.check.kind().to_owned(),
                about: planned.about.clone(),
                checked: 0,
                violations: 0,
                verdict: Verdict::Invalid,
                examples: vec!["the checker itself failed, so nothing is known".to_owned()],
            };
            match &planned.check {
                Check::Reached { condition } => {
                    let (verdict, text) = evidence.reached(condition);
                    (record.checked, record.verdict, record.examples) = (1, verdict, vec![text]);
                }
                Check::Transitions { .. } => {
                    if let Some((_, outcome)) = watched.iter().find(|(invariant, _)| *invariant == index) {
                        fill(&mut record, outcome);
                    }
                }
                Check::Values { .. } => {
                    let checker = self.checked.iter().position(|invariant| *invariant == index);
                    let outcome = checker.and_then(|checker| outcomes.and_then(|all| all.get(checker)));
                    if let Some(outcome) = outcome {
                        fill(&mut record, outcome);
                    }
                }
            }
            records.push(record);
        }
        records
    }
}

fn fill(record: &mut InvariantRecord, outcome: &invariant::Outcome) {
    record.checked = outcome.checked;
    record.violations = outcome.violations;
    record.examples.clone_from(&outcome.examples);
    record.verdict = match outcome.verdict {
        invariant::Verdict::Pass => Verdict::Pass,
        invariant::Verdict::Fail => Verdict::Fail,
        invariant::Verdict::Unknown => {
            record.examples = vec![outcome.reason.clone()];
            Verdict::Invalid
        }
    };
}
