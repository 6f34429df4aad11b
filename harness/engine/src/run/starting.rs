//! Before the first phase and after the last: services up with what their faults need, faults armed, services down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use squall_load::{Trust, affinity};
use squall_model::event::EventKind;
use squall_model::scenario::Address;

use super::faults::{Running, Turn};
use super::fleet::Fleet;
use super::supervisor::Supervisor;
use super::{Options, Stop};
use crate::fault::{PacketFault, SpawnNeeds};
use crate::guard::GuardHandle;
use crate::plan::{PlannedService, Start};
use crate::process::socket::accepts;

/// How often an interruption is looked for while a service gets ready.
const AWAITING: Duration = Duration::from_millis(5);

impl Supervisor<'_> {
    /// Decides where the generator and the services run; services inherit it from the guard.
    pub(super) fn place(&mut self, guard: &GuardHandle) -> Result<(), String> {
        let cpus = affinity::inherited_cpus().map_err(|e| format!("asking for the processors: {e}"))?;
        let threads = self
            .plan
            .generator_threads
            .unwrap_or_else(|| affinity::default_threads(cpus.len()));
        let placement = affinity::plan_cpus(&cpus, threads);
        if let Some(cpus) = &placement.services {
            let pid = guard.process().pid.cast_unsigned();
            affinity::pin_process(pid, cpus)
                .map_err(|e| format!("keeping the services off the generator: {e}"))?;
        }
        self.generator.threads = threads as u32;
        self.generator.placement = placement.about;
        self.generator_cpus = placement.generator;
        Ok(())
    }

    /// What each service's faults need at its start.
    pub(super) fn prepare_faults(&mut self) -> Result<BTreeMap<String, SpawnNeeds>, String> {
        let mut needs: BTreeMap<String, SpawnNeeds> = BTreeMap::new();
        let mut prepared = BTreeSet::new();
        let faults_folder = self.folder.faults();
        for fault in &self.plan.faults {
            for target in fault.spec.targets() {
                // Faults of one kind on one service share what they need.
                if !prepared.insert((fault.kind, target)) {
                    continue;
                }
                let failed = |e: String| format!("fault {}: {e}", fault.name);
                let mine = fault.spec.needs(&faults_folder);
                let all = needs.entry(target.to_owned()).or_default();
                let merged = all.merge(mine.map_err(|e| failed(e.to_string()))?);
                merged.map_err(|e| failed(e.to_string()))?;
            }
        }
        Ok(needs)
    }

    pub(super) fn arm_faults(&mut self) -> Result<(), String> {
        let faults_folder = self.folder.faults();
        for planned in &self.plan.faults {
            let mut turns = Vec::new();
            if !planned.crossings.is_empty() {
                let crossings =
                    self.edges
                        .crossings(&self.plan.edges, &planned.crossings, &self.isolation)?;
                let armed = planned.spec.arm_edges(&planned.name, crossings);
                turns.push(Turn {
                    target: None,
                    fault: armed.map_err(|e| format!("fault {}: {e}", planned.name))?,
                    undo: None,
                });
            }
            if let (Some(packets), Some(network)) = (&planned.packets, self.isolation.network()) {
                let armed = PacketFault::new(packets, network);
                turns.push(Turn {
                    target: None,
                    fault: Box::new(armed.map_err(|e| format!("fault {}: {e}", planned.name))?),
                    // Its network vanishes with squall and the services.
                    undo: None,
                });
            }
            let mut targets: Vec<Option<&str>> = planned.spec.targets().into_iter().map(Some).collect();
            if targets.is_empty() && turns.is_empty() {
                targets.push(None);
            }
            for name in targets {
                let target = name.and_then(|name| self.restarts.target(name));
                let armed = planned.spec.arm(&faults_folder, target.as_ref());
                turns.push(Turn {
                    target: name.map(str::to_owned),
                    fault: armed.map_err(|e| format!("fault {}: {e}", planned.name))?,
                    undo: planned.spec.undo(&faults_folder),
                });
            }
            let lengths = planned
                .windows
                .iter()
                .map(|window| window.to.saturating_sub(window.from));
            let running = Running::new(planned.name.clone(), turns, lengths.collect());
            self.faults.push(running);
        }
        Ok(())
    }

    /// Starts the services; false if one did not get up, or the run was interrupted meanwhile.
    pub(super) fn start_services(
        &mut self,
        fleet: &mut Fleet,
        guard: &Arc<GuardHandle>,
        options: &Options,
        mut needs: BTreeMap<String, SpawnNeeds>,
        stop: &Stop,
    ) -> bool {
        for planned in &self.plan.services {
            let needs = needs.remove(&planned.name).unwrap_or_default();
            let folder = self.folder.clone();
            let started = std::thread::scope(|scope| {
                let starting = scope.spawn(|| {
                    fleet
                        .start(planned, guard, &options.catalogue, &folder, &needs)
                        .map(|_| ())
                });
                // An interruption must not wait for a service that never gets ready: without the guard, nothing starts.
                while !starting.is_finished() {
                    self.heed(stop);
                    if self.incidents.interrupted.is_some() {
                        drop(guard.shutdown());
                    }
                    std::thread::park_timeout(AWAITING);
                }
                starting.join()
            });
            if self.incidents.interrupted.is_some() {
                return false;
            }
            match started {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    let incidents = &mut self.incidents;
                    if e.is_program_missing() {
                        &mut incidents.missing
                    } else {
                        &mut incidents.services
                    }
                    .push(e.to_string());
                    return false;
                }
                Err(_) => {
                    self.fail(format!("starting service {} panicked", planned.name));
                    return false;
                }
            }
            if let Err(e) = self.open_edges(&planned.name, fleet) {
                self.fail(e);
                return false;
            }
            let Some(member) = fleet.get(&planned.name) else {
                continue;
            };
            let member_address = member.address;
            let socket = unix_socket(planned);
            let address = member_address
                .map(|address| address.to_string())
                .or(socket.map(|path| format!("unix:{path}")));
            if let Some(process) = &member.process {
                let pid = process.process().pid.cast_unsigned();
                self.emit(EventKind::ServiceStarted {
                    service: planned.name.clone(),
                    pid,
                });
            }
            // Nothing is known of what was not started here but whether it answers; its load will say what comes of it.
            let silent = matches!(planned.start, Start::At { .. })
                && (member_address.is_some_and(|at| accepts(at).is_err())
                    || socket.is_some_and(|path| !answers_at(path)));
            if planned.tls.as_ref().is_some_and(|tls| tls.trust == Trust::Anyone) {
                let name = &planned.name;
                self.emit(EventKind::Warning {
                    text: format!(
                        "any certificate is taken from {name} (`insecure: true`): it may be anybody"
                    ),
                });
            }
            self.addresses.push(address.clone());
            let service = planned.name.clone();
            self.emit(if silent {
                let at = address.unwrap_or_default();
                EventKind::Warning {
                    text: format!("nothing answers at {at}, where {service} is said to run already"),
                }
            } else {
                EventKind::ServiceReady { service, address }
            });
        }
        true
    }

    /// After the services were stopped: what is left to say of the faults.
    pub(super) fn close_faults(&mut self) {
        for index in 0..self.faults.len() {
            if let Some(event) = self.faults[index].target_ended() {
                self.emit(event);
            }
            if let Some(why) = self.faults[index].lingers() {
                let name = &self.plan.faults[index].name;
                self.incidents
                    .lingering
                    .push(format!("fault {name} was not shown to be over: {why}"));
            }
        }
    }

    pub(super) fn stop_services(&mut self, fleet: &mut Fleet) {
        for (service, went) in fleet.stop() {
            match went {
                Ok(report) => {
                    self.emit(EventKind::ServiceStopped {
                        service,
                        status: report.status.to_string(),
                    });
                }
                Err(e) => self.incidents.not_undone.push(e.to_string()),
            }
        }
    }
}

/// The unix socket at which a service already runs.
fn unix_socket(planned: &PlannedService) -> Option<&str> {
    match &planned.start {
        Start::At {
            address: Address::Unix(path),
        } => Some(path),
        _ => None,
    }
}

/// Whether somebody listens at a unix socket; without waiting, since a listener that is busy has nothing to say.
fn answers_at(path: &str) -> bool {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let connected = SocketAddrUnix::new(path).and_then(|address| {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&socket, &address)
    });
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}
