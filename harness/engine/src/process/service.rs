//! One service, from its first start over its restarts to its end.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::Signal;

use super::family::Family;
use super::identity::{Identity, send, wait_exited};
use super::launch::{Addresses, Launch, StartError, StopError, StopReport};
use super::log::last_lines;
use super::port::{PortError, PortReserver, check_free, lost_race};
use super::ready::{ReadyLine, Unready, Watched, wait};
use super::sweep::sweep;
use super::table::Table;
use crate::guard::{ExitStatus, ExitWatch, GuardHandle, SpawnRequest, Spawned};
use crate::network::within;
use crate::seccomp::{Health, Supervisor, calls_of};

/// The environment variable that every process of a service carries, its value the service's name.
pub const SERVICE_MARKER: &str = "SQUALL_SERVICE";

/// How often lost ports are drawn again.
const REDRAWS_MAX: u32 = 3;

/// The lines of its log that an error shows.
const LINES_SHOWN: usize = 20;

/// The longest that killing may take until it counts as failed.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// A service that was started. Dropping it leaves it running: the guard ends what nobody stopped.
///
/// It may be started again by one thread while others look at it: until the new process is ready, they see the old one.
pub struct ServiceProcess {
    guard: Arc<GuardHandle>,
    launch: Launch,
    addresses: Addresses,
    latest: Mutex<Latest>,
    /// Set when nobody waits any more for it to get ready.
    given_up: AtomicBool,
}

/// What the latest start came to.
struct Latest {
    spawned: Arc<Spawned>,
    /// Who answers its system calls, where it stops at some.
    supervisor: Option<Supervisor>,
    /// Why that, or an earlier one, has failed.
    unanswered: Option<String>,
    log_from: u64,
    restarts: u32,
}

/// One start that came to be ready.
struct Started {
    spawned: Spawned,
    supervisor: Option<Supervisor>,
    log_from: u64,
    line: Option<ReadyLine>,
}

impl ServiceProcess {
    /// Starts a service and waits until it is ready. Where another process snatched one of the drawn ports, draws again.
    pub fn start(
        guard: Arc<GuardHandle>,
        launch: Launch,
        ports: &mut PortReserver,
    ) -> Result<Self, StartError> {
        let (service, namespace) = (launch.name.clone(), launch.namespace.clone());
        let started = within(namespace.as_ref(), || Self::start_here(guard, launch, ports));
        started.map_err(not_entered(service))?
    }

    /// The same in its network, where its ports are and where it answers.
    fn start_here(
        guard: Arc<GuardHandle>,
        launch: Launch,
        ports: &mut PortReserver,
    ) -> Result<Self, StartError> {
        let may_redraw = launch.ports.iter().any(|wish| wish.fixed.is_none());
        let mut redraws = 0;
        let given_up = AtomicBool::new(false);
        loop {
            let mut addresses = draw(&launch, ports)?;
            match start_once(&guard, &launch, &addresses, may_redraw, &given_up) {
                Ok(Started {
                    spawned,
                    supervisor,
                    log_from,
                    line,
                }) => {
                    addresses.listen = line.map(|line| line.listen);
                    addresses.admin = line.map(|line| line.admin);
                    return Ok(Self {
                        guard,
                        launch,
                        addresses,
                        latest: Mutex::new(Latest {
                            spawned: Arc::new(spawned),
                            supervisor,
                            unanswered: None,
                            log_from,
                            restarts: 0,
                        }),
                        given_up,
                    });
                }
                Err(_) if may_redraw && redraws < REDRAWS_MAX && lost_any(&launch, &addresses) => {
                    redraws += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts it again where it was before, after it ended or was stopped. Waits until it is ready.
    pub fn restart(&self) -> Result<(), StartError> {
        let namespace = self.launch.namespace.as_ref();
        within(namespace, || self.restart_here()).map_err(not_entered(self.launch.name.clone()))?
    }

    fn restart_here(&self) -> Result<(), StartError> {
        let service = || self.launch.name.clone();
        if self.exit_status().is_none() {
            return Err(StartError::StillRunning { service: service() });
        }
        for port in self.addresses.all_ports() {
            check_free(port).map_err(|source| StartError::Port {
                service: service(),
                source,
            })?;
        }
        let started = start_once(&self.guard, &self.launch, &self.addresses, false, &self.given_up)?;
        if let Some((expected, found)) = moved(&self.addresses, started.line) {
            end(&self.guard, &self.launch, &started.spawned);
            return Err(StartError::Moved {
                service: service(),
                expected,
                found,
            });
        }
        let failed = self.unanswered();
        let mut latest = self.latest();
        let before = std::mem::replace(&mut latest.supervisor, started.supervisor);
        latest.unanswered = failed;
        latest.spawned = Arc::new(started.spawned);
        latest.log_from = started.log_from;
        latest.restarts += 1;
        drop(latest);
        // Its processes are gone, and so it has ended or is about to: waited for without holding anybody up.
        drop(before);
        Ok(())
    }

    /// Lets a restart that is under way fail soon instead of waiting for it to get ready, and any later one.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits any more for it to get ready.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        // Never held for longer than it takes to copy a few words.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawned(&self) -> Arc<Spawned> {
        Arc::clone(&self.latest().spawned)
    }

    /// What tells its processes from others, as of the latest start.
    pub fn family(&self) -> Family {
        family(&self.guard, &self.launch, &self.spawned())
    }

    /// Ends it and all that it started: SIGTERM to its process group, SIGKILL to what is left after `grace`. A stopped
    /// process is continued, so that it can end in good order. Returns when nothing of it runs any more.
    pub fn stop(&self, grace: Duration) -> Result<StopReport, StopError> {
        let system = |source| StopError::System {
            service: self.launch.name.clone(),
            source,
        };
        let asked = self.ask_to_end().map_err(system)?;
        wait_exited(&asked, Instant::now() + grace).map_err(system)?;
        self.kill()
    }

    /// Ends it and all that it started at once.
    pub fn kill(&self) -> Result<StopReport, StopError> {
        let service = || self.launch.name.clone();
        let family = self.family();
        let swept =
            sweep(KILL_WITHIN, |table| family.members(table), || {}).map_err(|source| StopError::System {
                service: service(),
                source,
            })?;
        if !swept.left.is_empty() {
            return Err(StopError::Left {
                service: service(),
                left: swept.left,
            });
        }
        let status = self.exit().wait(KILL_WITHIN);
        let source = || io::Error::new(io::ErrorKind::TimedOut, "the guard did not report its end");
        let status = status.ok_or_else(|| StopError::System {
            service: service(),
            source: source(),
        })?;
        Ok(StopReport {
            status,
            killed: swept.killed,
        })
    }

    /// Sends SIGTERM to the group; returns pidfds of all whom it reaches.
    fn ask_to_end(&self) -> io::Result<Vec<std::os::fd::OwnedFd>> {
        let leader = self.process();
        let table = Table::read()?;
        let below = table.descendants(&[self.guard.process().pid]);
        let mut asked = Vec::new();
        for entry in below
            .iter()
            .filter_map(|pid| table.get(*pid))
            .filter(|entry| entry.group == leader.pid)
        {
            asked.extend(entry.identity.pidfd()?);
        }
        if leader.signal_group(Signal::TERM)? && leader.signal_group(Signal::CONT)? {
            return Ok(asked);
        }
        // Without its leader the group can't be addressed safely, its members one by one can.
        for member in &asked {
            send(member, Signal::TERM)?;
            send(member, Signal::CONT)?;
        }
        Ok(asked)
    }

    /// Sends a signal to its main process; `false` if that has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        send(&self.spawned().pidfd, signal)
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// Its main process, of the latest start.
    pub fn process(&self) -> Identity {
        self.latest().spawned.process
    }

    /// Its pids: its main process and all that it started, so far as they run.
    pub fn pids(&self) -> io::Result<HashSet<i32>> {
        self.family().pids()
    }

    /// Tells how its main process ended, once it has; of the latest start.
    pub fn exit(&self) -> ExitWatch {
        self.latest().spawned.exit.clone()
    }

    /// How its main process ended; `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.exit().get()
    }

    /// Where it is to be found.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.latest().restarts
    }

    /// Why system calls at which it stops were left without an answer, where they were.
    pub fn unanswered(&self) -> Option<String> {
        let latest = self.latest();
        let health = latest.supervisor.as_ref().map(Supervisor::health);
        match health {
            Some(Health::Failed(why)) => Some(why),
            _ => latest.unanswered.clone(),
        }
    }

    /// Its log, all starts in one file.
    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    /// Where in the log its latest start begins, in bytes.
    pub fn log_from(&self) -> u64 {
        self.latest().log_from
    }

    /// What it printed last, since its latest start.
    pub fn last_lines(&self, count: usize) -> io::Result<Vec<String>> {
        last_lines(&self.launch.log, self.log_from(), count)
    }
}

fn not_entered(service: String) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::System {
        service,
        doing: "entering its place in the isolated network",
        source,
    }
}

fn draw(launch: &Launch, ports: &mut PortReserver) -> Result<Addresses, StartError> {
    let mut addresses = Addresses::default();
    for wish in &launch.ports {
        let port = match wish.fixed {
            Some(port) => check_free(port).map(|()| port),
            None => ports.reserve(),
        };
        let port = port.map_err(|source| StartError::Port {
            service: launch.name.clone(),
            source,
        })?;
        addresses.ports.insert(wish.name.clone(), port);
    }
    Ok(addresses)
}

fn lost_any(launch: &Launch, addresses: &Addresses) -> bool {
    let drawn = launch.ports.iter().filter(|wish| wish.fixed.is_none());
    drawn
        .filter_map(|wish| addresses.ports.get(&wish.name))
        .any(|port| lost_race(*port))
}

/// The first address that is not where it was.
fn moved(before: &Addresses, now: Option<ReadyLine>) -> Option<(SocketAddr, SocketAddr)> {
    let now = now?;
    let pairs = [(before.listen?, now.listen), (before.admin?, now.admin)];
    pairs.into_iter().find(|(expected, found)| expected != found)
}

/// Starts it and waits; if it doesn't get ready, ends it again.
fn start_once(
    guard: &GuardHandle,
    launch: &Launch,
    addresses: &Addresses,
    give_up_to_stranger: bool,
    given_up: &AtomicBool,
) -> Result<Started, StartError> {
    let service = || launch.name.clone();
    let invocation = (launch.command)(addresses);
    // Everything before this is of earlier starts. Absent on the first.
    let log_from = fs::metadata(&launch.log).map(|log| log.len()).unwrap_or_default();
    let mut env = invocation.env;
    env.push((SERVICE_MARKER.into(), launch.name.clone().into()));
    let request = SpawnRequest {
        program: invocation.program,
        args: invocation.args,
        env,
        directory: launch.directory.clone(),
        log: launch.log.clone().into(),
        stops_at: calls_of(&launch.rules),
        namespace: launch.namespace.clone(),
        ..SpawnRequest::default()
    };
    let mut spawned = guard.spawn(&request).map_err(|source| StartError::Spawn {
        service: service(),
        source,
    })?;
    // At once: its first call may wait already.
    let supervisor = match supervise(launch, &mut spawned) {
        Ok(supervisor) => supervisor,
        Err(source) => {
            end(guard, launch, &spawned);
            return Err(StartError::System {
                service: service(),
                doing: "starting the thread that answers its system calls",
                source,
            });
        }
    };
    let watched = Watched {
        ready: &invocation.ready,
        exit: &spawned.exit,
        log: &launch.log,
        log_from,
        pids: &|| family(guard, launch, &spawned).pids(),
        give_up_to_stranger,
        given_up,
    };
    let unready = match wait(&watched, launch.within) {
        Ok(line) => {
            return Ok(Started {
                spawned,
                supervisor,
                log_from,
                line,
            });
        }
        Err(unready) => unready,
    };
    end(guard, launch, &spawned);
    let last_lines = last_lines(&launch.log, log_from, LINES_SHOWN).unwrap_or_default();
    Err(explain(unready, launch, last_lines))
}

fn supervise(launch: &Launch, spawned: &mut Spawned) -> io::Result<Option<Supervisor>> {
    let listener = spawned.listener.take();
    let start = |listener| Supervisor::start(&launch.name, listener, launch.rules.clone());
    listener.map(start).transpose()
}

fn explain(unready: Unready, launch: &Launch, last_lines: Vec<String>) -> StartError {
    let service = launch.name.clone();
    match unready {
        Unready::Exited(status) => StartError::ExitedBeforeReady {
            service,
            status,
            last_lines,
        },
        Unready::TimedOut { last_seen } => StartError::NotReady {
            service,
            within: launch.within,
            last_seen,
            last_lines,
        },
        Unready::Stranger { address, holder } => StartError::Port {
            service,
            source: PortError::Taken {
                port: address.port(),
                holder,
            },
        },
        Unready::GivenUp => StartError::GivenUp { service },
        Unready::Log(source) => StartError::System {
            service,
            doing: "watching it get ready",
            source,
        },
    }
}

/// Kills a service that is not to be kept. What can't be killed is left to the guard's own end, which reports it.
fn end(guard: &GuardHandle, launch: &Launch, spawned: &Spawned) {
    let family = family(guard, launch, spawned);
    drop(sweep(KILL_WITHIN, |table| family.members(table), || {}));
    spawned.exit.wait(KILL_WITHIN);
}

fn family(guard: &GuardHandle, launch: &Launch, spawned: &Spawned) -> Family {
    Family {
        guard: guard.process(),
        leader: spawned.process,
        name: launch.name.clone(),
    }
}
