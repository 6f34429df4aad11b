//! The states that services told of, over time: one track for each thing that has states.
//!
//! A service tells of changes only. Before the first change of a process a thing was in the state that it left by it; after the
//! last it stays where it went, until the process ends. Where nothing was told, nothing is known.

use std::collections::BTreeMap;

use squall_model::event::{EventKind, Transition};

use crate::chart::{Stretch, Track};
use crate::recording::Recording;

/// The most stretches of a track; of more, the first ones.
const STRETCHES_MAX: usize = 2_000;

/// What is known of one thing while its changes are read.
struct Open<'a> {
    track: Track,
    /// Its states in the order in which they were met: a state keeps its colour.
    met: Vec<&'a str>,
    /// Since when it is in its state: the last change, or the start of the process that has not told of it yet.
    since_us: u64,
    /// The state that it is in, if it is known.
    now: Option<&'a str>,
    /// Whether its process is up, so that a change tells of the time before it.
    is_up: bool,
    changes: u64,
}

/// One thing that has states, and what it did.
pub(crate) struct Machine {
    /// Its track in charts.
    pub(crate) track: Track,
    /// How often its state changed.
    pub(crate) changes: u64,
}

/// Everything that told of its states, in the order in which it first did.
pub(crate) fn machines(recording: &Recording) -> Vec<Machine> {
    let mut open: Vec<((&str, &str), Open<'_>)> = Vec::new();
    let mut up: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &recording.events {
        match &event.kind {
            EventKind::ServiceStarted { service, .. } => {
                end(&mut open, service, event.at_us);
                up.insert(service, event.at_us);
                for (_, of) in open.iter_mut().filter(|((by, _), _)| *by == service.as_str()) {
                    (of.since_us, of.now, of.is_up) = (event.at_us, None, true);
                }
            }
            EventKind::ServiceDied { service, .. } | EventKind::ServiceStopped { service, .. } => {
                end(&mut open, service, event.at_us);
            }
            EventKind::ServiceEvent {
                service,
                transition: Some(change),
                ..
            } => {
                let key = (service.as_str(), change.of.as_str());
                let at = open
                    .iter()
                    .position(|(known, _)| *known == key)
                    .unwrap_or_else(|| {
                        let since_us = up.get(key.0).copied().unwrap_or_default();
                        open.push((key, Open::new(change, since_us)));
                        open.len() - 1
                    });
                open[at].1.change(change, event.at_us);
            }
            _ => {}
        }
    }
    let end_us = recording.end_us();
    let several = open.iter().any(|((service, _), _)| *service != open[0].0.0);
    let finished = open.into_iter().map(|((service, of), mut machine)| {
        machine.close(end_us);
        machine.track.name = if several {
            format!("{service}: {of}")
        } else {
            of.to_owned()
        };
        Machine {
            track: machine.track,
            changes: machine.changes,
        }
    });
    finished.collect()
}

/// The process of a service is over, and with it what its things were in.
fn end(open: &mut [((&str, &str), Open<'_>)], service: &str, at_us: u64) {
    for (_, of) in open.iter_mut().filter(|((by, _), _)| *by == service) {
        of.close(at_us);
        (of.now, of.is_up) = (None, false);
    }
}

impl<'a> Open<'a> {
    fn new(first: &'a Transition, since_us: u64) -> Open<'a> {
        Open {
            track: Track {
                name: String::new(),
                stretches: Vec::new(),
            },
            met: Vec::new(),
            since_us,
            now: Some(&first.from),
            is_up: true,
            changes: 0,
        }
    }

    fn change(&mut self, change: &'a Transition, at_us: u64) {
        if self.now.is_none() && self.is_up {
            self.now = Some(&change.from);
        }
        self.close(at_us);
        (self.now, self.since_us, self.is_up) = (Some(change.to.as_str()), at_us, true);
        self.changes += 1;
    }

    /// Ends the stretch in which it is.
    fn close(&mut self, at_us: u64) {
        let Some(state) = self.now else { return };
        let known = self.met.iter().position(|met| *met == state);
        let shade = known.unwrap_or_else(|| {
            self.met.push(state);
            self.met.len() - 1
        });
        if at_us > self.since_us && self.track.stretches.len() < STRETCHES_MAX {
            self.track.stretches.push(Stretch {
                start_us: self.since_us,
                end_us: at_us,
                name: state.to_owned(),
                shade,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use squall_model::event::Event;

    use super::*;

    fn change(of: &str, from: &str, to: &str) -> EventKind {
        let [of, from, to] = [of, from, to].map(str::to_owned);
        EventKind::ServiceEvent {
            service: "guard".to_owned(),
            kind: "state".to_owned(),
            text: String::new(),
            transition: Some(Transition { of, from, to }),
        }
    }

    fn started() -> EventKind {
        EventKind::ServiceStarted {
            service: "guard".to_owned(),
            pid: 7,
        }
    }

    /// The stretches of each thing as text.
    fn tracks(events: &[(u64, EventKind)]) -> Vec<String> {
        let header = EventKind::RunStarted(Box::default());
        let ended = EventKind::RunEnded {
            verdict: squall_model::record::Verdict::Pass,
            reasons: Vec::new(),
            exit_code: 0,
        };
        let middle = events.iter().cloned();
        let all = std::iter::once((0, header)).chain(middle).chain([(100, ended)]);
        let lines: Vec<String> = all
            .map(|(at_us, kind)| serde_json::to_string(&Event { at_us, kind }).unwrap())
            .collect();
        let recording = crate::recording(&lines.join("\n"), "", &BTreeMap::new(), None).unwrap();
        let shown = machines(&recording).into_iter().map(|machine| {
            let stretches = machine.track.stretches.iter();
            let stretches = stretches.map(|one| format!("{} {}-{}", one.name, one.start_us, one.end_us));
            format!(
                "{}: {}",
                machine.track.name,
                stretches.collect::<Vec<_>>().join(", ")
            )
        });
        shown.collect()
    }

    #[test]
    fn a_state_holds_from_its_change_to_the_next_and_the_first_from_the_start() {
        let told = [
            (5, started()),
            (20, change("a", "closed", "open")),
            (30, change("b", "up", "down")),
            (40, change("a", "open", "closed")),
        ];
        assert_eq!(
            tracks(&told),
            [
                "a: closed 5-20, open 20-40, closed 40-100",
                "b: up 5-30, down 30-100"
            ]
        );
    }

    #[test]
    fn nothing_is_known_of_a_process_that_is_over_or_has_not_told_yet() {
        let died = EventKind::ServiceDied {
            service: "guard".to_owned(),
            status: "signal 9".to_owned(),
            last_lines: Vec::new(),
        };
        let told = [
            (5, started()),
            (20, change("a", "closed", "open")),
            (30, died),
            (50, started()),
            (70, change("a", "closed", "open")),
        ];
        assert_eq!(
            tracks(&told),
            ["a: closed 5-20, open 20-30, closed 50-70, open 70-100"]
        );
    }
}
