//! From events to the run record.
//!
//! One fold serves the end of a run and a run that was cut off: `run.json` is this fold over the events of a whole run,
//! and `squall report` on an interrupted one is the same fold over the lines that were written. What the events do not
//! hold stays absent, and a run without its last event is `invalid`.

use std::collections::BTreeMap;

use crate::event::{Event, EventKind, PlannedFault, RunHeader};
use crate::record::{FaultRecord, GeneratorRecord, PhaseRecord, RunRecord, SCHEMA, Verdict};

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
    planned: BTreeMap<String, PlannedFault>,
    last_us: u64,
    interrupted: Option<String>,
    open_phase: Option<String>,
    ended: bool,
}

impl Fold {
    fn new(header: RunHeader) -> Fold {
        let planned = header
            .faults
            .iter()
            .map(|fault| (fault.name.clone(), fault.clone()))
            .collect();
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
            machine: header.machine,
            verdict: Verdict::Invalid,
            reasons: Vec::new(),
            exit_code: 96,
            faults: Vec::new(),
            invariants: Vec::new(),
            expectations: Vec::new(),
            edges: Vec::new(),
            generator: GeneratorRecord::default(),
        };
        Fold {
            record,
            planned,
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
            EventKind::Invariants { results } => self.record.invariants.clone_from(results),
            EventKind::Generator { result } => self.record.generator = result.as_ref().clone(),
            EventKind::Expectations { results } => self.record.expectations.clone_from(results),
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
        match kind {
            EventKind::FaultInjected { fault } => self.fault(fault).injected_us = Some(at_us),
            EventKind::FaultProved { fault, evidence } => {
                let fault = self.fault(fault);
                (fault.proved, fault.evidence) = (true, evidence.clone());
            }
            EventKind::FaultNotProved { fault, reason } => self.fault(fault).evidence.clone_from(reason),
            EventKind::FaultHealed { fault } => self.fault(fault).healed_us = Some(at_us),
            EventKind::FaultUndone { fault, evidence } => {
                let fault = self.fault(fault);
                (fault.undone, fault.undone_evidence) = (true, evidence.clone());
            }
            EventKind::FaultNotUndone { fault, reason } => {
                self.fault(fault).undone_evidence.clone_from(reason);
            }
            _ => {}
        }
    }

    /// The phase called `name`; an event of an unplanned one adds it, so that nothing recorded is lost.
    fn phase(&mut self, name: &str) -> &mut PhaseRecord {
        let phases = &mut self.record.phases;
        let at = phases
            .iter()
            .position(|phase| phase.name == name)
            .unwrap_or_else(|| {
                phases.push(PhaseRecord {
                    name: name.to_owned(),
                    ..PhaseRecord::default()
                });
                phases.len() - 1
            });
        &mut phases[at]
    }

    fn fault(&mut self, name: &str) -> &mut FaultRecord {
        let faults = &mut self.record.faults;
        let at = faults
            .iter()
            .position(|fault| fault.name == name)
            .unwrap_or_else(|| {
                let planned = self.planned.get(name).cloned().unwrap_or_default();
                faults.push(FaultRecord {
                    kind: planned.kind,
                    name: name.to_owned(),
                    about: planned.about,
                    target: planned.target,
                    edge: planned.edge,
                    phase: planned.phase,
                    ..FaultRecord::default()
                });
                faults.len() - 1
            });
        &mut faults[at]
    }

    fn finish(mut self) -> RunRecord {
        self.record.duration_us = self.last_us;
        if let Some(open) = self.open_phase.take() {
            self.phase(&open).end_us = self.last_us;
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PlannedPhase;

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
    fn events_survive_their_line_form() {
        let event = started();
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        assert!(line.starts_with(r#"{"at_us":0,"event":"run_started""#), "{line}");
    }
}
