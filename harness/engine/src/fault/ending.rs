//! What `kill` and `restart` share: a service's processes end by a signal, and it is started again to heal.
//!
//! That it ended is what its parent, the guard, reports of it, and that nothing of it runs any more is seen in `/proc`. It counts
//! as healed when it is ready again, as it was at its first start: same ports, same folder, same environment.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{Fault, FaultError, Receipt, Target, TargetProcess};
use crate::guard::ExitWatch;
use crate::process::signals::{Disposition, disposition, is_pending};
use crate::process::{Identity, Members, Standing};
use crate::undo::Undo;

/// A process that does not end within this time by a signal that is no longer kept waiting has taken it.
const SETTLED: Duration = Duration::from_millis(50);

/// A signal and its name, without `SIG`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) signal: Signal,
    /// Whether it is one to end programs with. Others are for the main process alone, which may have a use for them.
    pub(super) ends: bool,
}

/// Ends one service, and has it started again to heal.
pub(super) struct Ending {
    target: Target,
    signal: Named,
    members: Option<Members>,
    sent: Option<Sent>,
}

/// One time that it was sent.
struct Sent {
    at: Instant,
    process: Identity,
    exit: ExitWatch,
    /// It is expected to take the signal and to run on.
    to_take: bool,
    /// It may as well end: the signal was kept waiting when it was sent, and nothing says what for.
    may_end: bool,
    gone: Option<Instant>,
    ready: Option<Duration>,
}

impl Ending {
    pub(super) fn new(target: Target, signal: Named) -> Ending {
        Ending {
            target,
            signal,
            members: None,
            sent: None,
        }
    }

    fn service(&self) -> String {
        self.target.process.service.clone()
    }

    fn error(&self, doing: &'static str) -> impl Fn(std::io::Error) -> FaultError + use<> {
        let service = self.service();
        move |source| FaultError::Processes {
            doing,
            service: service.clone(),
            source,
        }
    }

    fn not_up(&self, state: &str) -> FaultError {
        FaultError::NotUp {
            service: self.service(),
            state: state.to_owned(),
        }
    }

    fn told_of_end(&self, sent: &Sent) -> Receipt {
        let (Some(status), Some(gone), Some(members)) = (sent.exit.get(), sent.gone, &self.members) else {
            return Receipt::Pending;
        };
        let after = milliseconds(gone.saturating_duration_since(sent.at));
        let more = match members.processes().count() {
            0 | 1 => "nothing of it runs",
            _ => "none of its processes runs",
        };
        let (pid, name) = (sent.process.pid, self.signal.name);
        Receipt::Proven {
            evidence: format!("pid {pid} ended with {status}, {after} ms after SIG{name}, and {more}"),
        }
    }

    fn told_of_taking(&self, sent: &Sent) -> Receipt {
        let (pid, name) = (sent.process.pid, self.signal.name);
        match is_pending(sent.process, self.signal.signal) {
            Some(true) => Receipt::Pending,
            Some(false) => Receipt::Proven {
                evidence: format!(
                    "pid {pid} has a use for SIG{name} and took it: it was sent and does not wait any more"
                ),
            },
            None => Receipt::Failed {
                reason: format!("pid {pid} is gone, though it was to take SIG{name} and run on"),
            },
        }
    }
}

impl Fault for Ending {
    fn prepare(&mut self) -> Result<Vec<Undo>, FaultError> {
        let family = self.target.lifecycle.process().family();
        let mut members = family.open().map_err(self.error("finding the processes"))?;
        if !self.signal.ends {
            members.only(family.leader);
        }
        self.members = Some(members);
        // Nothing to put back: what was ended stays ended.
        Ok(Vec::new())
    }

    fn inject(&mut self) -> Result<(), FaultError> {
        self.sent = None;
        let lifecycle = &self.target.lifecycle;
        match lifecycle.standing() {
            Standing::Up => {}
            Standing::Down => return Err(self.not_up("is down already")),
            Standing::Starting => return Err(self.not_up("is still being started again")),
            Standing::Failed(_) => return Err(self.not_up("could not be started again")),
        }
        let running = lifecycle.process();
        let (process, exit) = (running.process(), running.exit());
        if let Some(status) = exit.get() {
            return Err(self.not_up(&format!("has ended before, with {status}")));
        }
        let (to_take, may_end) = match disposition(process, self.signal.signal) {
            _ if self.signal.ends => (false, true),
            Some(Disposition::Ignored) => {
                return Err(self.not_up(&format!("ignores SIG{}", self.signal.name)));
            }
            Some(Disposition::Caught) => (true, false),
            Some(Disposition::Blocked) => (true, true),
            Some(Disposition::Default) | None => (false, true),
        };
        if may_end {
            lifecycle.expect_end();
        }
        let error = self.error("sending a signal to the processes");
        let at = Instant::now();
        let reached = self
            .members
            .as_ref()
            .map_or(Ok(0), |members| members.signal(self.signal.signal));
        self.sent = Some(Sent {
            at,
            process,
            exit,
            to_take,
            may_end,
            gone: None,
            ready: None,
        });
        match reached.map_err(error)? {
            0 => Err(self.not_up("has no process that could be reached")),
            _ => Ok(()),
        }
    }

    fn prove(&mut self) -> Receipt {
        let Some(sent) = &mut self.sent else {
            return Receipt::Pending;
        };
        if sent.to_take && sent.may_end {
            if sent.exit.get().is_some() {
                sent.to_take = false;
            } else if sent.at.elapsed() < SETTLED {
                return Receipt::Pending;
            }
        }
        if !sent.to_take && sent.gone.is_none() {
            let ended = sent.exit.get().is_some();
            let all = ended
                && self
                    .members
                    .as_ref()
                    .is_some_and(|members| members.alive().is_empty());
            sent.gone = all.then(Instant::now);
        }
        match &self.sent {
            Some(sent) if sent.to_take => {
                let told = self.told_of_taking(sent);
                if matches!(told, Receipt::Proven { .. }) {
                    self.target.lifecycle.expect_no_end();
                }
                told
            }
            Some(sent) => self.told_of_end(sent),
            None => Receipt::Pending,
        }
    }

    fn lacking(&self) -> String {
        let name = self.signal.name;
        let alive = self.members.as_ref().map(Members::alive).unwrap_or_default();
        match alive.first() {
            Some(process) if self.sent.as_ref().is_some_and(|sent| sent.to_take) => {
                format!("pid {} did not take SIG{name}", process.pid)
            }
            Some(process) => {
                let why = match disposition(*process, self.signal.signal) {
                    Some(Disposition::Ignored) => format!(": it ignores SIG{name}"),
                    Some(Disposition::Blocked) => format!(": it keeps SIG{name} waiting"),
                    _ => String::new(),
                };
                format!("pid {} still ran after SIG{name}{why}", process.pid)
            }
            None => "its end was not reported".to_owned(),
        }
    }

    fn heal(&mut self) -> Result<(), FaultError> {
        match &self.sent {
            Some(sent) if !sent.to_take => {
                let started = self.target.lifecycle.start_again();
                started.map_err(self.error("starting the process again"))
            }
            // What took its signal runs on, and what was never sent one was left alone.
            _ => Ok(()),
        }
    }

    fn prove_healed(&mut self) -> Receipt {
        let lifecycle = &self.target.lifecycle;
        let Some(sent) = &mut self.sent else {
            return Receipt::Proven {
                evidence: "it was sent nothing".to_owned(),
            };
        };
        let now = lifecycle.process().process();
        if sent.to_take {
            return if lifecycle.process().exit_status().is_none() && now == sent.process {
                Receipt::Proven {
                    evidence: format!("pid {} runs on", now.pid),
                }
            } else {
                Receipt::Failed {
                    reason: format!("pid {} does not run any more", sent.process.pid),
                }
            };
        }
        match lifecycle.standing() {
            Standing::Starting | Standing::Down => Receipt::Pending,
            Standing::Failed(why) => Receipt::Failed { reason: why },
            Standing::Up => {
                let since = sent.gone.unwrap_or(sent.at);
                let down = *sent.ready.get_or_insert_with(|| since.elapsed());
                Receipt::Proven {
                    evidence: format!(
                        "ready again as pid {}, {} ms after pid {} was gone",
                        now.pid,
                        milliseconds(down),
                        sent.process.pid
                    ),
                }
            }
        }
    }

    fn over_within(&self) -> Duration {
        // That it gets ready, or does not, is told in the time that the scenario gives it.
        Duration::from_hours(1)
    }

    fn held(&self) -> Option<Duration> {
        let sent = self.sent.as_ref()?;
        sent.gone.and(sent.ready)
    }

    fn rearm(&mut self, target: &TargetProcess) -> Result<(), FaultError> {
        self.target.process = target.clone();
        Ok(())
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}
