//! Services that faults end and start again: what is known of each, and what a new process means for the rest of the run.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use squall_model::event::EventKind;

use super::fleet::Fleet;
use super::supervisor::Supervisor;
use crate::fault::{Target, TargetProcess};
use crate::guard::ExitStatus;
use crate::measure::admin::Poller;
use crate::process::{Identity, Lifecycle, Standing, Started};

/// The services that were started here, each with its ends and starts.
pub(super) struct Restarts {
    /// By the service's index; nothing for what was running already.
    all: Vec<Option<Arc<Lifecycle>>>,
    tell: Sender<Started>,
    told: Receiver<Started>,
}

impl Restarts {
    /// Of no service yet.
    pub(super) fn new() -> Restarts {
        let (tell, told) = unbounded();
        Restarts {
            all: Vec::new(),
            tell,
            told,
        }
    }

    /// Of the services that are up.
    pub(super) fn watch(&mut self, fleet: &Fleet) {
        let members = fleet.members().iter().enumerate();
        let lifecycle = |(service, member): (usize, &super::fleet::Member)| {
            let process = Arc::clone(member.process.as_ref()?);
            Some(Arc::new(Lifecycle::new(service, process, self.tell.clone())))
        };
        self.all = members.map(lifecycle).collect();
    }

    /// Where it is heard of services that are ready again, or can't be made so.
    pub(super) fn told(&self) -> &Receiver<Started> {
        &self.told
    }

    /// What a fault on the service of this name acts on.
    pub(super) fn target(&self, name: &str) -> Option<Target> {
        let mut all = self.all.iter().flatten();
        let lifecycle = all.find(|lifecycle| lifecycle.process().name() == name)?;
        Some(Target {
            process: target_process(lifecycle),
            lifecycle: Arc::clone(lifecycle),
        })
    }

    /// The service, by index, whose process's end was asked for.
    fn expects_end_of(&self, process: Identity) -> Option<usize> {
        self.all
            .iter()
            .position(|one| one.as_ref().is_some_and(|one| one.expects_end_of(process)))
    }

    /// Whether some service is being started again.
    pub(super) fn is_starting_any(&self) -> bool {
        let mut all = self.all.iter().flatten();
        all.any(|lifecycle| lifecycle.standing() == Standing::Starting)
    }

    /// Ends what is being started; nothing starts any more afterwards.
    pub(super) fn retire(&self) {
        for lifecycle in self.all.iter().flatten() {
            lifecycle.retire();
        }
    }
}

fn target_process(lifecycle: &Lifecycle) -> TargetProcess {
    TargetProcess {
        service: lifecycle.process().name().to_owned(),
        pid: lifecycle.process().process().pid.cast_unsigned(),
    }
}

impl Supervisor<'_> {
    /// A process ended whose end a fault has asked for; false if none has.
    pub(super) fn take_asked_end(&mut self, process: Identity, status: ExitStatus, poller: &Poller) -> bool {
        let Some(service) = self.restarts.expects_end_of(process) else {
            return false;
        };
        // The next process counts from zero. This one is gone and can't answer any more.
        poller.forget(service);
        let name = self.plan.services[service].name.clone();
        self.emit(EventKind::ServiceStopped {
            service: name.clone(),
            status: status.to_string(),
        });
        for index in 0..self.faults.len() {
            self.faults[index].target_gone(&name);
            // Those that end processes have their own way to be over.
            let is_over = self.faults[index].is_on(&name) && self.plan.faults[index].spec.acts_on().is_none();
            if is_over && let Some(event) = self.faults[index].target_ended() {
                self.emit(event);
            }
        }
        true
    }

    /// A service is ready again, or can't be made so.
    pub(super) fn take_started(&mut self, started: Started) {
        let Some(lifecycle) = self.restarts.all.get(started.service).cloned().flatten() else {
            return;
        };
        lifecycle.accept(started.result.clone());
        if let Err(why) = started.result {
            self.incidents.services.push(why);
            return;
        }
        let process = target_process(&lifecycle);
        let at_us = self.now_us();
        self.services.restarted(started.service, self.phase_at(at_us));
        self.emit(EventKind::ServiceStarted {
            service: process.service.clone(),
            pid: process.pid,
        });
        self.emit(EventKind::ServiceReady {
            service: process.service.clone(),
            address: self.addresses.get(started.service).cloned().flatten(),
        });
        for index in 0..self.faults.len() {
            if let Some(event) = self.faults[index].rearm(&process) {
                self.emit(event);
            }
        }
        // Its end was told before it was known whose it is.
        if let Some(status) = lifecycle.process().exit_status() {
            self.take_death(lifecycle.process(), status);
        }
    }
}
