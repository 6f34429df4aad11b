//! From events to the run record.
//!
//! One fold serves the end of a run and a run that was cut off: `run.json` is this fold over the events of a whole run,
//! and `squall report` on an interrupted one is the same fold over the lines that were written. What the events do not
//! hold stays absent, and a run without its last event is `invalid`.

mod fault;

use crate::baseline::Values;
use crate::event::{Event, EventKind, PlannedFault, RunHeader};
use crate::record::{GeneratorRecord, PhaseRecord, RunRecord, SCHEMA, Verdict};
use fault::FaultFold;

/// Why there is no record to be made.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The first event of every run is missing.
    #[error("replaying a run: it has no `run_started` event, so nothing is known of it")]
    NoHeader,
}

/// The record of a run from its events, in order.
///
/// A run that never reached its end gets the verdict `invalid` and says so; a phase it was in is marked incomplete.
pub fn record<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<RunRecord, ReplayError> {
    let mut events = events.into_iter();
    let header = events.find_map(|event| match &event.kind {
        EventKind::RunStarted(header) => Some(header.as_ref().clone()),
        _ => None,
    });
    let mut fold = Fold::new(header.ok_or(ReplayError::NoHeader)?);
    for event in events {
        fold.take(event);
    }
    Ok(fold.finish())
}

/// The record so far.
struct Fold {
    record: RunRecord,
    faults: Vec<FaultFold>,
    last_us: u64,
    interrupted: Option<String>,
    open_phase: Option<String>,
    ended: bool,
}

impl Fold {
    fn new(header: RunHeader) -> Fold {
        let phases = header.phases.iter().map(|phase| PhaseRecord {
            name: phase.name.clone(),
            measure: phase.measure,
            baseline: phase.baseline,
            ..PhaseRecord::default()
        });
        let record = RunRecord {
            phases: phases.collect(),
            squall: header.squall,
            schema: SCHEMA,
            scenario: header.scenario,
            about: header.about,
            source: header.source,
            command: header.command,
            seed: header.seed,
            started_at: header.started_at,
            duration_us: 0,
            revision: header.revision,
            quick: header.quick,
            network: header.network,
            machine: header.machine,
            verdict: Verdict::Invalid,
            reasons: Vec::new(),
            exit_code: 96,
            faults: Vec::new(),
            invariants: Vec::new(),
            expectations: Vec::new(),
            measured: Values::default(),
            edges: Vec::new(),
            generator: GeneratorRecord::default(),
            merged: header.merged,
        };
        Fold {
            record,
            faults: header.faults.into_iter().map(FaultFold::new).collect(),
            last_us: 0,
            interrupted: None,
            open_phase: None,
            ended: false,
        }
    }

    fn take(&mut self, event: &Event) {
        self.last_us = self.last_us.max(event.at_us);
        match &event.kind {
            EventKind::PhaseStarted { phase } => {
                self.open_phase = Some(phase.clone());
                self.phase(phase).start_us = event.at_us;
            }
            EventKind::PhaseEnded { phase, complete } => {
                self.open_phase = None;
                let phase = self.phase(phase);
                (phase.end_us, phase.complete) = (event.at_us, *complete);
            }
            EventKind::PhaseResult {
                phase,
                load,
                services,
                invalid,
            } => {
                let phase = self.phase(phase);
                phase.load.clone_from(load);
                phase.services.clone_from(services);
                phase.invalid.clone_from(invalid);
            }
            EventKind::Interrupted { signal } => self.interrupted = Some(signal.clone()),
            EventKind::Edges { results } => self.record.edges.clone_from(results),
            EventKind::Invariants { results } => self.record.invariants.clone_from(results),
            EventKind::Generator { result } => self.record.generator = result.as_ref().clone(),
            EventKind::Expectations { results } => self.record.expectations.clone_from(results),
            EventKind::Measured { values } => self.record.measured.clone_from(values),
            EventKind::RunEnded {
                verdict,
                reasons,
                exit_code,
            } => {
                self.ended = true;
                self.record.verdict = *verdict;
                self.record.reasons.clone_from(reasons);
                self.record.exit_code = *exit_code;
            }
            fault => self.take_fault(event.at_us, fault),
        }
    }

    fn take_fault(&mut self, at_us: u64, kind: &EventKind) {
        let (EventKind::FaultInjected { fault }
        | EventKind::FaultProved { fault, .. }
        | EventKind::FaultNotProved { fault, .. }
        | EventKind::FaultHealed { fault }
        | EventKind::FaultUndone { fault, .. }
        | EventKind::FaultNotUndone { fault, .. }
        | EventKind::FaultFelt { fault, .. }) = kind
        else {
            return;
        };
        self.fault(fault).take(at_us, kind);
    }

    /// The phase called `name`; an event of an unplanned one adds it, so that nothing recorded is lost.
    fn phase(&mut self, name: &str) -> &mut PhaseRecord {
        let unplanned = || PhaseRecord {
            name: name.to_owned(),
            ..PhaseRecord::default()
        };
        find_or_add(&mut self.record.phases, |phase| phase.name == name, unplanned)
    }

    /// The fault called `name`, as [`Fold::phase`] has it.
    fn fault(&mut self, name: &str) -> &mut FaultFold {
        let unplanned = || {
            FaultFold::new(PlannedFault {
                name: name.to_owned(),
                ..PlannedFault::default()
            })
        };
        find_or_add(&mut self.faults, |fault| fault.name() == name, unplanned)
    }

    fn finish(mut self) -> RunRecord {
        self.record.duration_us = self.last_us;
        if let Some(open) = self.open_phase.take() {
            self.phase(&open).end_us = self.last_us;
        }
        let faults = std::mem::take(&mut self.faults);
        self.record.faults = faults.into_iter().map(FaultFold::finish).collect();
        if !self.ended {
            let reason = match self.interrupted {
                Some(signal) => format!("interrupted by {signal}"),
                None => {
                    "the run was cut off before it could end; what was written until then is shown".to_owned()
                }
            };
            self.record.reasons.push(reason);
        }
        self.record
    }
}

fn find_or_add<T>(all: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let at = all.iter().position(is_it).unwrap_or_else(|| {
        all.push(make());
        all.len() - 1
    });
    &mut all[at]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PlannedPhase;
    use crate::histogram::Distribution;
    use crate::record::{ExpectationRecord, InvariantRecord, LoadRecord, ServiceRecord};
    use expect_test::expect;
    use std::collections::BTreeMap;

    fn at(at_us: u64, kind: EventKind) -> Event {
        Event { at_us, kind }
    }

    fn started() -> Event {
        let phase = |name: &str| PlannedPhase {
            name: name.into(),
            measure: true,
            ..PlannedPhase::default()
        };
        let fault = PlannedFault {
            kind: "clock".into(),
            name: "back".into(),
            ..PlannedFault::default()
        };
        at(
            0,
            EventKind::RunStarted(Box::new(RunHeader {
                scenario: "s".into(),
                phases: vec![phase("a"), phase("b")],
                faults: vec![fault],
                ..RunHeader::default()
            })),
        )
    }

    #[test]
    fn a_run_without_a_header_has_no_record() {
        assert!(matches!(record(&[]), Err(ReplayError::NoHeader)));
    }

    #[test]
    fn a_run_that_was_cut_off_is_invalid_and_keeps_what_was_written() {
        let events = [
            started(),
            at(10, EventKind::PhaseStarted { phase: "a".into() }),
            at(20, EventKind::FaultInjected { fault: "back".into() }),
        ];
        let record = record(&events).unwrap();
        assert_eq!(record.verdict, Verdict::Invalid);
        assert_eq!(
            (
                record.phases[0].start_us,
                record.phases[0].end_us,
                record.phases[0].complete
            ),
            (10, 20, false)
        );
        assert_eq!(record.faults[0].kind, "clock");
        assert_eq!(record.faults[0].injected_us, Some(20));
        assert!(!record.faults[0].proved);
        assert!(record.reasons[0].contains("cut off"), "{:?}", record.reasons);
    }

    #[test]
    fn the_last_event_decides() {
        let end = EventKind::RunEnded {
            verdict: Verdict::Pass,
            reasons: vec![],
            exit_code: 0,
        };
        let record = record(&[started(), at(99, end)]).unwrap();
        assert_eq!(
            (record.verdict, record.exit_code, record.duration_us),
            (Verdict::Pass, 0, 99)
        );
    }

    #[test]
    fn a_fault_that_was_never_injected_is_listed_and_says_so() {
        let end = EventKind::RunEnded {
            verdict: Verdict::Invalid,
            reasons: vec!["interrupted".into()],
            exit_code: 130,
        };
        let record = record(&[started(), at(99, end)]).unwrap();
        let fault = &record.faults[0];
        assert_eq!((fault.name.as_str(), fault.kind.as_str()), ("back", "clock"));
        assert_eq!(
            (fault.injected_us, fault.proved, fault.undone),
            (None, false, false)
        );
        assert!(fault.evidence.contains("not injected"), "{}", fault.evidence);
    }

    #[test]
    fn an_interrupted_run_without_an_end_names_the_signal() {
        let signal = EventKind::Interrupted {
            signal: "SIGTERM".into(),
        };
        let record = record(&[started(), at(7, signal)]).unwrap();
        assert_eq!(record.verdict, Verdict::Invalid);
        assert_eq!(record.reasons, ["interrupted by SIGTERM"]);
    }

    /// A run in which everything happens that an event can tell, and the numbers are not round.
    fn whole_run() -> Vec<Event> {
        let phase = |phase: &str| phase.to_owned();
        let fault = || "back".to_owned();
        let load = LoadRecord {
            target_rate: Some(1_000.0 / 3.0),
            intended: 7,
            completed: 6,
            achieved: Some(6.0 / 7.0),
            throughput: 0.1 + 0.2,
            errors: BTreeMap::from([("status_503".into(), 1)]),
            response: Distribution::of(&crate::histogram::empty()),
            ..LoadRecord::default()
        };
        let result = |name: &str, complete: bool| EventKind::PhaseResult {
            phase: phase(name),
            load: BTreeMap::from([("refresh".to_owned(), load.clone())]),
            services: BTreeMap::from([("ids".to_owned(), ServiceRecord::default())]),
            invalid: if complete { vec![] } else { vec!["late".into()] },
        };
        let invariant = InvariantRecord {
            service: "ids".into(),
            name: "unique".into(),
            kind: "unique".into(),
            about: "no id twice".into(),
            checked: 6,
            violations: 1,
            verdict: Verdict::Fail,
            examples: vec!["7 was seen twice".into()],
        };
        let expectation = ExpectationRecord {
            scope: "a".into(),
            text: "refresh.p99 < 20ms".into(),
            value: Some(1e6 / 7.0),
            limit: Some(20_000.0),
            verdict: Verdict::Fail,
            reason: "was 142.857 ms, limit 20 ms".into(),
            baseline: None,
            lacks_baseline: false,
        };
        let warning = EventKind::Warning {
            text: "a pause is missing".into(),
        };
        let (evidence, over) = ("it saw epoch 2".to_owned(), "it saw epoch 4".to_owned());
        let kinds = vec![
            EventKind::PhaseStarted { phase: phase("a") },
            EventKind::FaultInjected { fault: fault() },
            EventKind::FaultProved {
                fault: fault(),
                evidence,
            },
            warning,
            EventKind::PhaseEnded {
                phase: phase("a"),
                complete: true,
            },
            EventKind::PhaseStarted { phase: phase("b") },
            EventKind::FaultHealed { fault: fault() },
            EventKind::FaultUndone {
                fault: fault(),
                evidence: over,
                held_us: None,
            },
            result("a", true),
            EventKind::Interrupted {
                signal: "SIGINT".into(),
            },
            EventKind::PhaseEnded {
                phase: phase("b"),
                complete: false,
            },
            result("b", false),
            EventKind::Generator {
                result: Box::new(GeneratorRecord {
                    cpu_us: 11,
                    verdict: Some(Verdict::Pass),
                    ..GeneratorRecord::default()
                }),
            },
            EventKind::Invariants {
                results: vec![invariant],
            },
            EventKind::Expectations {
                results: vec![expectation],
            },
            EventKind::RunEnded {
                verdict: Verdict::Fail,
                reasons: vec!["interrupted".into(), "7 was seen twice".into()],
                exit_code: 130,
            },
        ];
        let times = (1..).map(|turn| turn * 10);
        let rest = kinds.into_iter().zip(times).map(|(kind, at_us)| at(at_us, kind));
        std::iter::once(started()).chain(rest).collect()
    }

    /// What is in the record, without what would only repeat the events.
    fn told(record: &RunRecord) -> String {
        let mut lines = vec![format!(
            "{} exit {} after {} us, {:?}\n",
            record.verdict.as_str(),
            record.exit_code,
            record.duration_us,
            record.reasons
        )];
        for phase in &record.phases {
            let completed = phase.load["refresh"].completed;
            let (start_us, end_us, complete) = (phase.start_us, phase.end_us, phase.complete);
            lines.push(format!(
                "phase {} {start_us}..{end_us} complete {complete}, {completed} completed, {:?}, {:?}\n",
                phase.name,
                phase.invalid,
                phase.services.keys()
            ));
        }
        for fault in &record.faults {
            lines.push(format!(
                "fault {} {:?}..{:?} proved {} ({}) undone {} ({})\n",
                fault.name,
                fault.injected_us,
                fault.healed_us,
                fault.proved,
                fault.evidence,
                fault.undone,
                fault.undone_evidence
            ));
        }
        for invariant in &record.invariants {
            lines.push(format!("{} {}\n", invariant.path(), invariant.verdict.as_str()));
        }
        for expectation in &record.expectations {
            lines.push(format!(
                "{} {} {}\n",
                expectation.scope,
                expectation.text,
                expectation.verdict.as_str()
            ));
        }
        lines.push(format!("generator {} us\n", record.generator.cpu_us));
        lines.concat()
    }

    #[test]
    fn everything_that_events_tell_is_in_the_record() {
        let record = record(&whole_run()).unwrap();
        expect![[r#"
            fail exit 130 after 160 us, ["interrupted", "7 was seen twice"]
            phase a 10..50 complete true, 6 completed, [], ["ids"]
            phase b 60..110 complete false, 6 completed, ["late"], ["ids"]
            fault back Some(20)..Some(70) proved true (it saw epoch 2) undone true (it saw epoch 4)
            ids.unique fail
            a refresh.p99 < 20ms fail
            generator 11 us
        "#]]
        .assert_eq(&told(&record));
    }

    #[test]
    fn the_record_is_the_same_from_the_file_as_from_memory_and_survives_its_own_file() {
        let events = whole_run();
        let lines: Vec<String> = events
            .iter()
            .map(|event| serde_json::to_string(event).unwrap())
            .collect();
        assert!(lines.iter().all(|line| !line.contains('\n')));
        let read: Vec<Event> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(read, events);
        let made = record(&events).unwrap();
        assert_eq!(record(&read).unwrap(), made);
        let text = serde_json::to_string_pretty(&made).unwrap();
        assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), made);
    }

    #[test]
    fn wherever_a_run_is_cut_off_what_was_written_makes_a_record_that_is_no_pass() {
        let events = whole_run();
        for length in 1..events.len() {
            let record = record(&events[..length]).unwrap();
            assert_eq!(record.verdict, Verdict::Invalid, "after {length} events");
            assert_eq!(record.exit_code, 96);
            assert_eq!(record.reasons.len(), 1, "{:?}", record.reasons);
            assert_eq!(record.duration_us, events[length - 1].at_us);
        }
        assert!(matches!(record(&events[1..]), Err(ReplayError::NoHeader)));
    }

    #[test]
    fn events_survive_their_line_form() {
        let event = started();
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        assert!(line.starts_with(r#"{"at_us":0,"event":"run_started""#), "{line}");
    }
}
