//! The pause fault: every process of a service stands still, as a long collection or a stolen processor would have it.
//!
//! SIGSTOP through pidfds, and SIGCONT to heal. That all threads stand still is seen from their state in `/proc`, not taken
//! from the signal's having been sent; how long they did is measured from the moment at which that was seen to the moment at
//! which they had been told to go on.
//!
//! What it does not do: a process that is stopped in a system call of the kernel's that can't be interrupted (state `D`)
//! stops when it comes back. Connections stay open, and the kernel goes on to accept new ones and to acknowledge bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::name::Name;
use squall_model::record;
use squall_model::scenario;
use squall_model::span::Spanned;

use super::target::{listed, names};
use super::{Fault, FaultError, FaultKind, FaultSpec, Part, Receipt, SIGNALS, Target, TargetProcess};
use crate::process::{Members, Threads};
use crate::undo::Undo;

/// The pause fault in the list of faults.
pub const KIND: FaultKind = FaultKind {
    name: "pause",
    about: "stops every process of a service and lets it go on",
    decode,
    schema,
    ways: &[SIGNALS],
};

/// How long stopping is looked after at once: the kernel takes some microseconds, and every look that comes later would be
/// taken off the measured hold.
const AT_ONCE: Duration = Duration::from_micros(500);

record! {
    /// Stops every process of a service and lets it go on.
    pub struct Pause {
        /// The service.
        pub target: Option<Spanned<Name>>,
        /// Several services, one after the other; needs `every`.
        pub targets: Option<NonEmpty<Spanned<Name>>>,
    }
    exactly_one ["target", "targets"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Pause = fault.decode_params(diagnostics)?;
    let services = names(written.target.as_ref(), written.targets.as_ref(), diagnostics)?;
    Some(Arc::new(PauseSpec { services }))
}

fn schema() -> Schema {
    Pause::schema()
}

/// A pause as planned.
#[derive(Debug)]
struct PauseSpec {
    services: Vec<String>,
}

impl FaultSpec for PauseSpec {
    fn about(&self) -> String {
        format!("stops {}", listed(&self.services))
    }

    fn target(&self) -> Option<&str> {
        self.services.first().map(String::as_str)
    }

    fn targets(&self) -> Vec<&str> {
        self.services.iter().map(String::as_str).collect()
    }

    fn acts_on(&self) -> Option<Part> {
        Some(Part::Processes)
    }

    fn available(&self, _program: &Path, reports: &Path) -> Result<(), String> {
        SIGNALS.allowed(reports)
    }

    fn arm(&self, _folder: &Path, target: Option<&Target>) -> Result<Box<dyn Fault>, FaultError> {
        let target = target.ok_or_else(|| FaultError::Parameters("there is nothing to stop".to_owned()))?;
        Ok(Box::new(PauseFault::new(target.clone())))
    }
}

/// A pause of one service.
pub struct PauseFault {
    target: Target,
    members: Option<Members>,
    /// Their threads, as they were when it was prepared.
    threads: Option<Threads>,
    /// When the signal was sent, and when all were seen to stand still.
    sent: Option<Instant>,
    stopped: Option<Instant>,
    held: Option<Duration>,
    /// What ended it early.
    broken: Option<String>,
}

impl PauseFault {
    /// Of a service that is up.
    pub fn new(target: Target) -> PauseFault {
        PauseFault {
            target,
            members: None,
            threads: None,
            sent: None,
            stopped: None,
            held: None,
            broken: None,
        }
    }

    fn error(&self, doing: &'static str) -> impl Fn(std::io::Error) -> FaultError + use<> {
        let service = self.target.process.service.clone();
        move |source| FaultError::Processes {
            doing,
            service: service.clone(),
            source,
        }
    }

    /// Notes the moment at which all stand still. Children that were born while their parent was being stopped are stopped
    /// as well; a parent that stands still has no more of them.
    fn confirm(&mut self) -> Result<bool, FaultError> {
        let error = self.error("stopping the children");
        let Some(members) = &mut self.members else {
            return Ok(false);
        };
        // A fast look first, so that the moment is told well; then at all of them, those that came since among them.
        if self
            .threads
            .as_ref()
            .is_some_and(|threads| !threads.are_at_rest())
        {
            return Ok(false);
        }
        let mut seen = Instant::now();
        if !members.going().is_empty() {
            return Ok(false);
        }
        let known = self.threads.as_ref().map(Threads::count);
        if known != Some(members.count_threads()) {
            seen = Instant::now();
        }
        if members.add_children().map_err(&error)? > 0 {
            members.signal(Signal::STOP).map_err(&error)?;
            return Ok(false);
        }
        self.stopped = Some(seen);
        Ok(true)
    }
}

impl Fault for PauseFault {
    fn prepare(&mut self) -> Result<Vec<Undo>, FaultError> {
        let family = self.target.lifecycle.process().family();
        let members = family.open().map_err(self.error("finding the processes"))?;
        let undos = members.processes().map(|process| Undo::Continue { process });
        let undos = undos.collect();
        self.threads = Threads::open(members.processes());
        self.members = Some(members);
        Ok(undos)
    }

    fn inject(&mut self) -> Result<(), FaultError> {
        (self.stopped, self.held, self.broken) = (None, None, None);
        let error = self.error("stopping the processes");
        let members = self.members.as_ref();
        let reached = members
            .map_or(Ok(0), |members| members.signal(Signal::STOP))
            .map_err(error)?;
        if reached == 0 {
            return Err(FaultError::NotUp {
                service: self.target.process.service.clone(),
                state: "has no process that could be stopped".to_owned(),
            });
        }
        let sent = Instant::now();
        self.sent = Some(sent);
        while !self.confirm()? && sent.elapsed() < AT_ONCE {
            std::hint::spin_loop();
        }
        Ok(())
    }

    fn prove(&mut self) -> Receipt {
        if self.stopped.is_none()
            && let Err(e) = self.confirm()
        {
            return Receipt::Failed {
                reason: e.to_string(),
            };
        }
        let (Some(sent), Some(stopped), Some(members)) = (self.sent, self.stopped, &self.members) else {
            return Receipt::Pending;
        };
        if members.alive().is_empty() {
            return Receipt::Failed {
                reason: format!("{} ended instead of standing still", self.target.process.service),
            };
        }
        let after = stopped.saturating_duration_since(sent).as_secs_f64() * 1e3;
        Receipt::Proven {
            evidence: format!(
                "{} stood still {after:.3} ms after SIGSTOP, with all threads, as the kernel shows their state",
                told(members)
            ),
        }
    }

    fn tells_onset(&self) -> bool {
        true
    }

    fn onset(&self) -> Option<Instant> {
        self.stopped
    }

    fn lacking(&self) -> String {
        let going = self.members.as_ref().map(Members::going).unwrap_or_default();
        let pids: Vec<String> = going.iter().map(|process| process.pid.to_string()).collect();
        format!("pid {} did not stand still", pids.join(", "))
    }

    fn still_holds(&mut self) -> Result<(), String> {
        // Whoever lets a process go on lets all of its threads go on.
        let going = self.members.as_ref().and_then(Members::any_leader_going);
        match going {
            Some(process) => Err(format!(
                "pid {} was let go on by somebody else before its time",
                process.pid
            )),
            None => Ok(()),
        }
    }

    fn heal(&mut self) -> Result<(), FaultError> {
        let error = self.error("letting the processes go on");
        let Some(members) = &self.members else {
            return Ok(());
        };
        members.signal(Signal::CONT).map_err(error)?;
        self.held = self.stopped.map(|stopped| stopped.elapsed());
        self.threads = None;
        Ok(())
    }

    fn prove_healed(&mut self) -> Receipt {
        let Some(members) = &self.members else {
            return Receipt::Pending;
        };
        let alive = members.alive();
        let going = members.going();
        if alive.is_empty() {
            return Receipt::Failed {
                reason: format!("{} has ended", self.target.process.service),
            };
        }
        if going.len() < alive.len() {
            return Receipt::Pending;
        }
        let held = match self.held {
            Some(held) => format!(", held for {:.3} ms", held.as_secs_f64() * 1e3),
            None => String::new(),
        };
        Receipt::Proven {
            evidence: format!("{} went on{held}", told(members)),
        }
    }

    fn held(&self) -> Option<Duration> {
        self.held
    }

    fn rearm(&mut self, target: &TargetProcess) -> Result<(), FaultError> {
        self.target.process = target.clone();
        (self.members, self.threads) = (None, None);
        Ok(())
    }
}

/// "pid 7", "pid 7 and 2 more processes"
fn told(members: &Members) -> String {
    let pids: Vec<i32> = members.processes().map(|process| process.pid).collect();
    match pids.as_slice() {
        [] => "no process".to_owned(),
        [only] => format!("pid {only}"),
        [first, _] => format!("pid {first} and another process"),
        [first, more @ ..] => format!("pid {first} and {} more processes", more.len()),
    }
}
