//! One service, from its first start over its restarts to its end.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::Signal;

use super::identity::{Identity, send, wait_exited};
use super::launch::{Addresses, Launch, StartError, StopError, StopReport};
use super::log::last_lines;
use super::port::{PortError, PortReserver, check_free, lost_race};
use super::ready::{ReadyLine, Unready, Watched, wait};
use super::sweep::sweep;
use super::table::{Table, carries};
use crate::guard::{ExitStatus, ExitWatch, GuardHandle, SpawnRequest, Spawned};

/// The environment variable that every process of a service carries, its value the service's name.
pub const SERVICE_MARKER: &str = "SQUALL_SERVICE";

/// How often lost ports are drawn again.
const REDRAWS_MAX: u32 = 3;

/// The lines of its log that an error shows.
const LINES_SHOWN: usize = 20;

/// The longest that killing may take until it counts as failed.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// A service that was started. Dropping it leaves it running: the guard ends what nobody stopped.
pub struct ServiceProcess {
    guard: Arc<GuardHandle>,
    launch: Launch,
    addresses: Addresses,
    spawned: Spawned,
    log_from: u64,
    restarts: u32,
}

/// One start that came to be ready.
struct Started {
    spawned: Spawned,
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
        let may_redraw = launch.ports.iter().any(|wish| wish.fixed.is_none());
        let mut redraws = 0;
        loop {
            let mut addresses = draw(&launch, ports)?;
            match start_once(&guard, &launch, &addresses, may_redraw) {
                Ok(Started {
                    spawned,
                    log_from,
                    line,
                }) => {
                    addresses.listen = line.map(|line| line.listen);
                    addresses.admin = line.map(|line| line.admin);
                    return Ok(Self {
                        guard,
                        launch,
                        addresses,
                        spawned,
                        log_from,
                        restarts: 0,
                    });
                }
                Err(_) if may_redraw && redraws < REDRAWS_MAX && lost_any(&launch, &addresses) => {
                    redraws += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts it again where it was before, after it ended or was stopped.
    pub fn restart(&mut self) -> Result<(), StartError> {
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
        let started = start_once(&self.guard, &self.launch, &self.addresses, false)?;
        if let Some((expected, found)) = moved(&self.addresses, started.line) {
            end(&self.guard, &self.launch, &started.spawned);
            return Err(StartError::Moved {
                service: service(),
                expected,
                found,
            });
        }
        self.spawned = started.spawned;
        self.log_from = started.log_from;
        self.restarts += 1;
        Ok(())
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
        let swept = sweep(
            KILL_WITHIN,
            |table| family(table, &self.guard, &self.launch, &self.spawned),
            || {},
        )
        .map_err(|source| StopError::System {
            service: service(),
            source,
        })?;
        if !swept.left.is_empty() {
            return Err(StopError::Left {
                service: service(),
                left: swept.left,
            });
        }
        let status = self.spawned.exit.wait(KILL_WITHIN);
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
        let leader = self.spawned.process;
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
        send(&self.spawned.pidfd, signal)
    }

    /// The service's name.
    pub fn name(&self) -> &str {
        &self.launch.name
    }

    /// Its main process, of the latest start.
    pub fn process(&self) -> Identity {
        self.spawned.process
    }

    /// The pidfd of its main process, of the latest start.
    pub fn pidfd(&self) -> &std::os::fd::OwnedFd {
        &self.spawned.pidfd
    }

    /// Its pids: its main process and all that it started, so far as they run.
    pub fn pids(&self) -> io::Result<HashSet<i32>> {
        pids_of(&self.guard, &self.launch, &self.spawned)
    }

    /// Tells how its main process ended, once it has; of the latest start.
    pub fn exit(&self) -> &ExitWatch {
        &self.spawned.exit
    }

    /// How its main process ended; `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.spawned.exit.get()
    }

    /// Where it is to be found.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Its log, all starts in one file.
    pub fn log(&self) -> &Path {
        &self.launch.log
    }

    /// Where in the log its latest start begins, in bytes.
    pub fn log_from(&self) -> u64 {
        self.log_from
    }

    /// What it printed last, since its latest start.
    pub fn last_lines(&self, count: usize) -> io::Result<Vec<String>> {
        last_lines(&self.launch.log, self.log_from, count)
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
        ..SpawnRequest::default()
    };
    let spawned = guard.spawn(&request).map_err(|source| StartError::Spawn {
        service: service(),
        source,
    })?;
    let watched = Watched {
        ready: &invocation.ready,
        exit: &spawned.exit,
        log: &launch.log,
        log_from,
        pids: &|| pids_of(guard, launch, &spawned),
        give_up_to_stranger,
    };
    let unready = match wait(&watched, launch.within) {
        Ok(line) => {
            return Ok(Started {
                spawned,
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
        Unready::Log(source) => StartError::System {
            service,
            doing: "watching it get ready",
            source,
        },
    }
}

/// Kills a service that is not to be kept. What can't be killed is left to the guard's own end, which reports it.
fn end(guard: &GuardHandle, launch: &Launch, spawned: &Spawned) {
    drop(sweep(
        KILL_WITHIN,
        |table| family(table, guard, launch, spawned),
        || {},
    ));
    spawned.exit.wait(KILL_WITHIN);
}

fn pids_of(guard: &GuardHandle, launch: &Launch, spawned: &Spawned) -> io::Result<HashSet<i32>> {
    let table = Table::read()?;
    Ok(family(&table, guard, launch, spawned)
        .iter()
        .map(|process| process.pid)
        .collect())
}

/// The service's processes: its main one and all below that, its process group, and those that carry its name because they
/// detached from both. Never anything outside of the guard's own descendants, so a reused number can't point elsewhere.
fn family(table: &Table, guard: &GuardHandle, launch: &Launch, spawned: &Spawned) -> Vec<Identity> {
    let guarded = table.descendants(&[guard.process().pid]);
    let leader = spawned.process;
    let name: &OsStr = launch.name.as_ref();
    let is_root = |pid: i32| {
        table.get(pid).is_some_and(|entry| {
            entry.identity == leader || entry.group == leader.pid || carries(pid, SERVICE_MARKER, name)
        })
    };
    let roots: Vec<i32> = guarded.iter().copied().filter(|pid| is_root(*pid)).collect();
    let mut all = table.descendants(&roots);
    all.extend(roots);
    all.into_iter()
        .filter_map(|pid| table.get(pid))
        .map(|entry| entry.identity)
        .collect()
}
