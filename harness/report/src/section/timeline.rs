//! What happened, in order: services, phases, faults, violations, warnings.

use std::collections::BTreeMap;

use squall_model::event::{EventKind, Transition};

use super::Detail;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::recording::Recording;
use crate::visible::shortened;

/// The most events listed: the first ones; what services tell of themselves gives way first.
const LISTED: usize = 200;
/// The longest text of an event.
const TEXT_LENGTH: usize = 400;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return warnings(recording);
    }
    let mut again = Again::default();
    let told: Vec<(bool, Vec<Cell>)> = recording
        .events
        .iter()
        .filter(|event| !again.only_repeats(&event.kind))
        .filter_map(|event| {
            let (tone, who, text) = told(&event.kind)?;
            let own = matches!(event.kind, EventKind::ServiceEvent { .. });
            let text = Cell::plain(shortened(&text, TEXT_LENGTH));
            let text = text.toned(if tone == Tone::Good { Tone::Plain } else { tone });
            Some((
                own,
                vec![
                    figure::moment(event.at_us).into(),
                    Cell::plain(who).toned(tone),
                    text,
                ],
            ))
        })
        .collect();
    let ours = told.iter().filter(|(own, _)| !own).count().min(LISTED);
    let (mut room_ours, mut room_theirs) = (ours, LISTED - ours);
    let total = told.len();
    let listed: Vec<Vec<Cell>> = told
        .into_iter()
        .filter(|(own, _)| {
            let room = if *own { &mut room_theirs } else { &mut room_ours };
            let fits = *room > 0;
            *room = room.saturating_sub(1);
            fits
        })
        .map(|(_, row)| row)
        .collect();
    if listed.is_empty() {
        return Vec::new();
    }
    let mut blocks = Vec::new();
    if listed.len() < total {
        let text = format!(
            "{} of {} events; all are in events.ndjson.",
            figure::count(listed.len() as u64),
            figure::count(total as u64)
        );
        blocks.push(Block::Paragraph(text));
    }
    let columns = vec![
        Column::right("At", 0),
        Column::left("What", 0),
        Column::wide("", 0),
    ];
    blocks.push(Block::Table(Table::of(
        "Events of the run, in order",
        columns,
        listed,
    )));
    blocks
}

fn warnings(recording: &Recording) -> Vec<Block> {
    let warnings = recording.events.iter().filter_map(|event| match &event.kind {
        EventKind::Warning { text } => Some(Block::Note {
            tone: Tone::Doubt,
            text: shortened(text, TEXT_LENGTH),
        }),
        _ => None,
    });
    warnings.take(5).collect()
}

/// Tone, who and what; nothing for events that other sections hold.
fn told(kind: &EventKind) -> Option<(Tone, String, String)> {
    let plain = |who: &str, text: String| Some((Tone::Plain, who.to_owned(), text));
    match kind {
        EventKind::ServiceStarted { service, pid } => {
            plain("service", format!("{service} started, process {pid}"))
        }
        EventKind::ServiceReady {
            service,
            address: Some(address),
        } => plain("service", format!("{service} ready at {address}")),
        EventKind::ServiceReady {
            service,
            address: None,
        } => plain("service", format!("{service} ready")),
        EventKind::ServiceEvent {
            service,
            text,
            transition: Some(Transition { of, from, to }),
            ..
        } => plain(service, format!("{of} went from {from} to {to}: {text}")),
        EventKind::ServiceEvent {
            service, kind, text, ..
        } => plain(service, format!("{kind}: {text}")),
        EventKind::ServiceDied {
            service,
            status,
            last_lines,
        } => {
            let last = if last_lines.is_empty() {
                String::new()
            } else {
                format!("; last: {}", last_lines.join(" ⏎ "))
            };
            Some((
                Tone::Bad,
                "service".to_owned(),
                format!("{service} died: {status}{last}"),
            ))
        }
        EventKind::ServiceStopped { service, status } => {
            plain("service", format!("{service} stopped: {status}"))
        }
        EventKind::PhaseStarted { phase } => plain("phase", format!("{phase} begins")),
        EventKind::PhaseEnded {
            phase,
            complete: false,
        } => Some((Tone::Doubt, "phase".to_owned(), format!("{phase} was cut short"))),
        EventKind::InvariantViolated { invariant, text } => {
            Some((Tone::Bad, "invariant".to_owned(), format!("{invariant}: {text}")))
        }
        EventKind::Warning { text } => Some((Tone::Doubt, "warning".to_owned(), text.clone())),
        EventKind::Interrupted { signal } => {
            Some((Tone::Doubt, "run".to_owned(), format!("interrupted by {signal}")))
        }
        EventKind::RunEnded { verdict, .. } => Some((
            (*verdict).into(),
            "run".to_owned(),
            format!("ended: {}", verdict.as_str()),
        )),
        fault => told_of_fault(fault),
    }
}

/// Which faults have come before.
#[derive(Default)]
struct Again<'a>(BTreeMap<&'a str, u32>);

impl<'a> Again<'a> {
    /// Whether an event only says that a fault came again, as it should: the table of faults has how often.
    fn only_repeats(&mut self, kind: &'a EventKind) -> bool {
        let (EventKind::FaultInjected { fault }
        | EventKind::FaultProved { fault, .. }
        | EventKind::FaultHealed { fault }
        | EventKind::FaultUndone { fault, .. }) = kind
        else {
            return false;
        };
        let times = self.0.entry(fault).or_default();
        *times += u32::from(matches!(kind, EventKind::FaultInjected { .. }));
        *times > 1
    }
}

fn told_of_fault(kind: &EventKind) -> Option<(Tone, String, String)> {
    let (tone, text) = match kind {
        EventKind::FaultInjected { fault } => (Tone::Plain, format!("{fault} injected")),
        EventKind::FaultProved { fault, evidence } => (Tone::Good, format!("{fault} proved: {evidence}")),
        EventKind::FaultNotProved { fault, reason } => (Tone::Doubt, format!("{fault} not proved: {reason}")),
        EventKind::FaultHealed { fault } => (Tone::Plain, format!("{fault} healed")),
        EventKind::FaultUndone { fault, evidence, .. } => (Tone::Good, format!("{fault} undone: {evidence}")),
        EventKind::FaultNotUndone { fault, reason } => (Tone::Bad, format!("{fault} not undone: {reason}")),
        _ => return None,
    };
    Some((tone, "fault".to_owned(), text))
}
