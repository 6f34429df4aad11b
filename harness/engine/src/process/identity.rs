//! Which process is meant, and signals that can reach no other.
//!
//! A pid alone names a process only until it is reaped; together with the start time the kernel gives it, it names one
//! process for as long as the machine is up. Every signal here goes through a pidfd that was checked against the start
//! time after it was opened, so a reused pid is never hit.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::table;

/// One process of this boot, in this PID namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks since boot.
    pub start_time: u64,
}

impl Identity {
    /// The process that has this pid now; `None` if there is none.
    pub fn of(pid: i32) -> Option<Self> {
        table::read_one(pid).map(|entry| entry.identity)
    }

    /// This process itself.
    pub fn own() -> io::Result<Self> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self::of(pid)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "/proc has no entry for this process"))
    }

    /// Whether it still runs (a zombie doesn't).
    pub fn is_alive(self) -> bool {
        table::read_one(self.pid).is_some_and(|entry| entry.identity == self && entry.runs())
    }

    /// A pidfd of exactly this process; `None` once it is gone.
    pub fn pidfd(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(None);
        };
        let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        // Checked after opening: from here on the descriptor can't come to mean another process.
        Ok((Self::of(self.pid) == Some(self)).then_some(pidfd))
    }

    /// Sends `signal`; `false` if the process was gone already.
    pub fn signal(self, signal: Signal) -> io::Result<bool> {
        match self.pidfd()? {
            Some(pidfd) => send(&pidfd, signal),
            None => Ok(false),
        }
    }

    /// Sends `signal` to the process group this process leads; `false` if the leader was gone already, in which case
    /// the group's number may belong to somebody else and nothing is sent.
    pub fn signal_group(self, signal: Signal) -> io::Result<bool> {
        let Some(pidfd) = self.pidfd()? else {
            return Ok(false);
        };
        let leads = table::read_one(self.pid).is_some_and(|entry| entry.group == self.pid);
        if !leads || has_exited(&pidfd)? {
            return Ok(false);
        }
        let Some(group) = Pid::from_raw(self.pid) else {
            return Ok(false);
        };
        match kill_process_group(group, signal) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Sends `signal` through a pidfd; `false` if the process has exited.
pub fn send(pidfd: &impl AsFd, signal: Signal) -> io::Result<bool> {
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the process behind a pidfd has exited, reaped or not.
pub fn has_exited(pidfd: &impl AsFd) -> io::Result<bool> {
    wait_exited(&[pidfd.as_fd()], Instant::now())
}

/// Waits until every process behind `pidfds` has exited, at most until `deadline`; says whether they have.
pub fn wait_exited(pidfds: &[impl AsFd], deadline: Instant) -> io::Result<bool> {
    let mut open: Vec<_> = pidfds.iter().map(AsFd::as_fd).collect();
    while !open.is_empty() {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut polled: Vec<_> = open
            .iter()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        match poll(&mut polled, Some(&timespec(left))) {
            Ok(0) => return Ok(false),
            Ok(_) => {
                let exited: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
                drop(polled);
                let mut exited = exited.into_iter();
                open.retain(|_| !exited.next().unwrap_or(false));
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

/// A poll timeout; the longest one stands in for what doesn't fit.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap_or(Timespec {
        tv_sec: 3600,
        tv_nsec: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_pid_with_another_start_time_is_another_process() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        let identity = Identity::of(child.id().cast_signed()).expect("it runs");
        let earlier = Identity {
            start_time: identity.start_time.wrapping_sub(1),
            ..identity
        };
        assert!(!earlier.is_alive());
        assert!(!earlier.signal(Signal::KILL).expect("no error"));
        assert!(identity.is_alive(), "the signal must not have reached it");

        assert!(identity.signal(Signal::KILL).expect("no error"));
        child.wait().expect("reaped");
        assert!(!identity.is_alive());
        assert!(!identity.signal(Signal::KILL).expect("no error"));
    }

    #[test]
    fn a_group_is_signalled_only_through_its_leader() {
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        let identity = Identity::of(child.id().cast_signed()).expect("it runs");
        assert!(
            !identity.signal_group(Signal::KILL).expect("no error"),
            "it leads no group"
        );
        assert!(identity.is_alive());
        child.kill().and_then(|()| child.wait()).expect("killed");
    }
}
