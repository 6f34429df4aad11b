//! The events of several runs as those of one, so that a merged run replays as every run does.
//!
//! What happened to services, warnings and violations are kept from every run, each said with its run. What a run has only
//! one of (its begin, its phases, its results) comes from the merged record.

use super::{MergeError, Part};
use crate::event::{Event, EventKind, RunHeader, Transition};
use crate::record::{FaultFelt, FaultRecord, RunRecord};

/// The timeline of the merged run.
pub(super) fn events(parts: &[Part<'_>], record: &RunRecord) -> Result<Vec<Event>, MergeError> {
    let mut between: Vec<Event> = Vec::new();
    for phase in record.phases.iter().filter(|phase| phase.end_us > 0) {
        let name = || phase.name.clone();
        between.push(at(phase.start_us, EventKind::PhaseStarted { phase: name() }));
        let complete = phase.complete;
        between.push(at(
            phase.end_us,
            EventKind::PhaseEnded {
                phase: name(),
                complete,
            },
        ));
    }
    for fault in &record.faults {
        between.extend(of_fault(parts, fault, record.duration_us));
    }
    for part in parts {
        between.extend(part.events.iter().filter_map(|event| of_run(event, &part.name)));
    }
    between.sort_by_key(|event| event.at_us);
    let mut events = vec![at(0, EventKind::RunStarted(Box::new(header(parts, record)?)))];
    events.append(&mut between);
    events.extend(
        results(record)
            .into_iter()
            .map(|kind| at(record.duration_us, kind)),
    );
    Ok(events)
}

fn at(at_us: u64, kind: EventKind) -> Event {
    Event { at_us, kind }
}

fn header(parts: &[Part<'_>], record: &RunRecord) -> Result<RunHeader, MergeError> {
    let found = parts[0].events.iter().find_map(|event| match &event.kind {
        EventKind::RunStarted(header) => Some(header.as_ref().clone()),
        _ => None,
    });
    let mut header = found.ok_or_else(|| MergeError::NoHeader(parts[0].name.clone()))?;
    for (planned, phase) in header.phases.iter_mut().zip(&record.phases) {
        for (load, rate) in &mut planned.target_rate {
            *rate = phase.load.get(load).and_then(|load| load.target_rate);
        }
    }
    // The times of all runs are one time from the first to the last.
    for fault in &mut header.faults {
        (fault.times, fault.asked_us) = (1, None);
    }
    Ok(RunHeader {
        squall: record.squall.clone(),
        command: record.command.clone(),
        seed: record.seed,
        started_at: record.started_at.clone(),
        revision: record.revision.clone(),
        merged: record.merged.clone(),
        ..header
    })
}

/// The longest that any run waited for what `after` picks, since what `since` picks.
fn longest(
    parts: &[Part<'_>],
    since: impl Fn(&EventKind) -> bool,
    after: impl Fn(&EventKind) -> bool,
) -> u64 {
    let waited = parts.iter().filter_map(|part| {
        let find = |is_it: &dyn Fn(&EventKind) -> bool| {
            part.events
                .iter()
                .find(|event| is_it(&event.kind))
                .map(|event| event.at_us)
        };
        Some(find(&after)?.saturating_sub(find(&since)?))
    });
    waited.max().unwrap_or(0)
}

fn of_fault(parts: &[Part<'_>], fault: &FaultRecord, end_us: u64) -> Vec<Event> {
    let name = || fault.name.clone();
    let is = |named: &str| named == fault.name;
    // A receipt comes after what it proves; it took as long as in the run in which it took longest.
    let proved_us = fault.injected_us.unwrap_or(end_us)
        + longest(
            parts,
            |kind| matches!(kind, EventKind::FaultInjected { fault } if is(fault)),
            |kind| matches!(kind, EventKind::FaultProved { fault, .. } | EventKind::FaultNotProved { fault, .. } if is(fault)),
        );
    let undone_us = fault.healed_us.unwrap_or(end_us)
        + longest(
            parts,
            |kind| matches!(kind, EventKind::FaultHealed { fault } if is(fault)),
            |kind| matches!(kind, EventKind::FaultUndone { fault, .. } | EventKind::FaultNotUndone { fault, .. } if is(fault)),
        );
    let mut events = Vec::new();
    events.extend(
        fault
            .injected_us
            .map(|us| at(us, EventKind::FaultInjected { fault: name() })),
    );
    events.push(at(
        proved_us.min(end_us),
        if fault.proved {
            EventKind::FaultProved {
                fault: name(),
                evidence: fault.evidence.clone(),
            }
        } else {
            EventKind::FaultNotProved {
                fault: name(),
                reason: fault.evidence.clone(),
            }
        },
    ));
    events.extend(
        fault
            .healed_us
            .map(|us| at(us, EventKind::FaultHealed { fault: name() })),
    );
    if fault.undone || !fault.undone_evidence.is_empty() {
        events.push(at(
            undone_us.min(end_us),
            if fault.undone {
                EventKind::FaultUndone {
                    fault: name(),
                    evidence: fault.undone_evidence.clone(),
                    held_us: None,
                }
            } else {
                EventKind::FaultNotUndone {
                    fault: name(),
                    reason: fault.undone_evidence.clone(),
                }
            },
        ));
    }
    if fault.felt != FaultFelt::default() {
        let felt = fault.felt.clone();
        events.push(at(end_us, EventKind::FaultFelt { fault: name(), felt }));
    }
    events
}

/// An event that every run has its own of, with the run's name; nothing for those that the merged record has.
fn of_run(event: &Event, run: &str) -> Option<Event> {
    let mut kind = event.kind.clone();
    match &mut kind {
        EventKind::ServiceStarted { .. } | EventKind::ServiceReady { .. } => {}
        EventKind::ServiceEvent { text, transition, .. } => {
            // The states of one run are not those of another on the same timeline, so they are words here.
            let change = transition.take();
            let change = change.map(|Transition { of, from, to }| format!("{of} went from {from} to {to}: "));
            *text = format!("in {run}: {}{text}", change.unwrap_or_default());
        }
        EventKind::InvariantViolated { text, .. } | EventKind::Warning { text } => {
            *text = format!("in {run}: {text}");
        }
        EventKind::ServiceDied { status, .. } | EventKind::ServiceStopped { status, .. } => {
            *status = format!("{status} in {run}");
        }
        EventKind::Interrupted { signal } => *signal = format!("{signal} in {run}"),
        _ => return None,
    }
    Some(at(event.at_us, kind))
}

/// What stands at the end of every run.
fn results(record: &RunRecord) -> Vec<EventKind> {
    let phases = record.phases.iter().map(|phase| EventKind::PhaseResult {
        phase: phase.name.clone(),
        load: phase.load.clone(),
        services: phase.services.clone(),
        invalid: phase.invalid.clone(),
    });
    let mut results: Vec<EventKind> = phases.collect();
    results.push(EventKind::Generator {
        result: Box::new(record.generator.clone()),
    });
    results.push(EventKind::Invariants {
        results: record.invariants.clone(),
    });
    results.push(EventKind::Expectations {
        results: record.expectations.clone(),
    });
    results.push(EventKind::RunEnded {
        verdict: record.verdict,
        reasons: record.reasons.clone(),
        exit_code: record.exit_code,
    });
    results
}
