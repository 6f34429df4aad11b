//! Taking in what is reported: by the generator, the guard, the services, the checkers and the host meter.

use squall_load::Report;
use squall_load::host::HiccupMeter;
use squall_model::event::{EventKind, Transition};

use super::driving::Sources;
use super::supervisor::Supervisor;
use crate::guard;
use crate::invariant::{Heard, Violation};
use crate::measure::admin::Told;
use crate::measure::pause::{Pause, hiccup};
use crate::measure::sampler::{Found, Sampler, What};
use crate::process::ServiceProcess;

/// The most events of services that become events of the run, and the most violations; every violation is counted.
const TOLD_MAX: usize = 1_000;
/// The most changes of state that become events of the run: they are drawn as bands, so a chatty service must not crowd them out.
const CHANGES_TOLD_MAX: usize = 10_000;

/// The lines of its log that are shown of a service that died.
const LAST_LINES: usize = 20;

impl Supervisor<'_> {
    /// Takes in all that has come.
    pub(super) fn hear(&mut self, from: &Sources<'_>) {
        for report in from.reports.try_iter() {
            self.take_report(report);
        }
        for event in from.guard.events().try_iter() {
            self.take_exit(from, &event);
        }
        for started in self.restarts.told().clone().try_iter() {
            self.take_started(started);
        }
        for told in from.poller.told().try_iter() {
            self.take_told(told);
        }
        self.take_hiccups(from.host);
        self.take_samples(from.sampler);
        let found: Vec<_> = self.checking.found().try_iter().collect();
        for (checker, violation) in found {
            self.take_violation(checker, violation.at_us, violation.text);
        }
    }

    pub(super) fn take_report(&mut self, report: Report) {
        match report {
            Report::Slice(slice) => {
                if let Some(history) = self.histories.get_mut(usize::from(slice.load)) {
                    history.add(&slice);
                }
                self.collector.add(slice);
            }
            Report::Values(batch) => self.checking.check(batch),
            Report::PhaseEnded { phase, .. } => {
                if let Some(settled) = self.settled.get_mut(phase as usize) {
                    *settled += 1;
                }
            }
            Report::ThreadFailed { thread, error } => {
                self.fail(format!("generator thread {thread} failed: {error}"));
            }
        }
    }

    pub(super) fn take_exit(&mut self, from: &Sources<'_>, event: &guard::Event) {
        let (process, status) = match event {
            guard::Event::Exited { process, status } => (*process, *status),
            guard::Event::Lost(rescue) => {
                let killed = rescue.killed.len();
                return self.fail(format!(
                    "the guard process died; squall ended the {killed} processes that it left"
                ));
            }
        };
        if self.take_asked_end(process, status, from.poller) {
            return;
        }
        let mut all = from
            .fleet
            .members()
            .iter()
            .filter_map(|member| member.process.as_ref());
        if let Some(of) = all.find(|of| of.process() == process) {
            self.take_death(of, status);
        }
    }

    /// A service ended without being asked to.
    pub(super) fn take_death(&mut self, process: &ServiceProcess, status: guard::ExitStatus) {
        let last_lines = process.last_lines(LAST_LINES).unwrap_or_default();
        let tail = match last_lines.as_slice() {
            [] => "; it printed nothing".to_owned(),
            lines => format!("; its last lines:\n    {}", lines.join("\n    ")),
        };
        self.incidents.services.push(format!(
            "service {} died unasked with {status}{tail}",
            process.name()
        ));
        self.emit(EventKind::ServiceDied {
            service: process.name().to_owned(),
            status: status.to_string(),
            last_lines,
        });
    }

    pub(super) fn take_told(&mut self, told: Told) {
        let name = self.plan.services[told.service].name.clone();
        self.watch_states(&told);
        if told.pauses_lost > 0 {
            self.emit(EventKind::Warning {
                text: format!(
                    "service {name} had more pauses than it keeps: {} are missing",
                    told.pauses_lost
                ),
            });
        }
        self.services.tells(told.service, &hiccup::KIND);
        for pause in told.pauses {
            let phase = self.phase_at(pause.at_us);
            self.services.pause(told.service, phase, &hiccup::KIND, pause);
        }
        for event in told.events {
            let (count, most, what) = match event.transition {
                None => (&mut self.told_events, TOLD_MAX, "events"),
                Some(_) => (&mut self.told_changes, CHANGES_TOLD_MAX, "changes of state"),
            };
            *count += 1;
            if *count == most + 1 {
                let text = format!("services told more than {most} {what}: the rest is not written down");
                self.emit_at(event.at_us, EventKind::Warning { text });
            } else if *count <= most {
                let kind = EventKind::ServiceEvent {
                    service: name.clone(),
                    kind: event.kind,
                    text: event.text,
                    transition: event.transition,
                };
                self.emit_at(event.at_us, kind);
            }
        }
        self.told.insert(name, told.metrics);
    }

    /// Shows changes of state to those that know which may be.
    fn watch_states(&mut self, told: &Told) {
        let changes = told.events.iter();
        let changes = changes.filter_map(|event| Some((event.at_us, event.transition.as_ref()?)));
        let changes: Vec<(u64, &Transition)> = changes.collect();
        let heard = Heard {
            lives: told.lives,
            changes: &changes,
            lost: told.events_lost,
        };
        let watchers = self.watchers.iter_mut();
        let found: Vec<(usize, Violation)> = watchers
            .filter(|watcher| watcher.service == told.service)
            .flat_map(|watcher| {
                let found = watcher.checker.observe(&heard);
                found.into_iter().map(|violation| (watcher.invariant, violation))
            })
            .collect();
        for (invariant, violation) in found {
            self.tell_violation(invariant, violation.at_us, violation.text);
        }
    }

    /// A checker of responses found a violation.
    pub(super) fn take_violation(&mut self, checker: usize, at_us: u64, text: String) {
        self.tell_violation(self.checked[checker], at_us, text);
    }

    /// Writes down that an invariant of the plan was violated.
    fn tell_violation(&mut self, invariant: usize, at_us: u64, text: String) {
        self.violations += 1;
        if self.violations <= TOLD_MAX {
            let planned = &self.plan.invariants[invariant];
            self.emit_at(
                at_us,
                EventKind::InvariantViolated {
                    invariant: planned.path(),
                    text,
                },
            );
        }
    }

    /// The phase that a moment lies in.
    pub(super) fn phase_at(&self, at_us: u64) -> Option<usize> {
        self.bounds
            .iter()
            .position(|(start, end)| (*start..*end).contains(&at_us))
    }

    /// Takes in what was seen of services from outside.
    pub(super) fn take_samples(&mut self, sampler: &Sampler) {
        for Found { service, what } in sampler.found().try_iter() {
            match what {
                What::Look { at_us, phase, look } => self.services.look(service, phase, at_us, &look),
                What::Pause(kind, pause) => {
                    let phase = self.phase_at(pause.at_us);
                    self.services.pause(service, phase, kind, pause);
                }
                What::Tells(kind) => self.services.tells(service, kind),
                What::Lacks(kind) => self.services.lacks(service, kind),
                What::Unreadable(why) => self.services.unreadable(service, why),
            }
        }
    }

    pub(super) fn take_hiccups(&mut self, host: &HiccupMeter) {
        for hiccup in host.hiccups().try_iter() {
            let (at_us, length_us) = (hiccup.at_us + hiccup.late_us, hiccup.late_us);
            self.host_lengths.saturating_record(length_us);
            self.host_total_us += length_us;
            self.services.host_pause(Pause { at_us, length_us });
        }
        for oversleep in host.oversleeps().try_iter() {
            self.host
                .oversleep(self.phase_at(oversleep.end_us), &oversleep.samples);
        }
    }
}
