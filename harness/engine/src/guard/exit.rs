//! How a process ended, and waiting for it.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::WaitStatus;
use serde::{Deserialize, Serialize};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It returned or called `exit` with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
    /// It is gone, and the guard that would have known how died first.
    Unknown,
}

impl ExitStatus {
    /// From what waitpid(2) returned; `None` for a process that only stopped or continued.
    pub(super) fn from_wait(status: WaitStatus) -> Option<Self> {
        status
            .exit_status()
            .map(Self::Code)
            .or_else(|| status.terminating_signal().map(Self::Signal))
    }

    /// Whether it ended by returning zero.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {number} ({name})"),
                None => write!(f, "signal {number}"),
            },
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}

/// The signals that end processes in practice, numbered as on every Linux that squall runs on.
fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// Becomes known once: how one process ended. Clones watch the same process.
#[derive(Clone, Debug, Default)]
pub struct ExitWatch {
    state: Arc<(Mutex<Option<ExitStatus>>, Condvar)>,
}

impl ExitWatch {
    /// How it ended, if it has.
    pub fn get(&self) -> Option<ExitStatus> {
        *self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end until `deadline`.
    pub fn wait_until(&self, deadline: Instant) -> Option<ExitStatus> {
        let (status, ended) = &*self.state;
        let mut status = status.lock().unwrap_or_else(PoisonError::into_inner);
        while status.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            status = ended
                .wait_timeout(status, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        *status
    }

    /// Waits for the end, at most for `within`.
    pub fn wait(&self, within: Duration) -> Option<ExitStatus> {
        self.wait_until(Instant::now() + within)
    }

    /// Says how it ended; the first to say so is believed.
    pub(super) fn set(&self, status: ExitStatus) {
        self.state
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(status);
        self.state.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_code_and_signal_by_name() {
        assert_eq!(ExitStatus::Code(3).to_string(), "exit code 3");
        assert_eq!(ExitStatus::Signal(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(ExitStatus::Signal(35).to_string(), "signal 35");
    }

    #[test]
    fn every_clone_learns_the_first_status() {
        let watch = ExitWatch::default();
        let other = watch.clone();
        assert_eq!(other.wait(Duration::ZERO), None);
        let waiter = std::thread::spawn(move || other.wait(Duration::from_mins(1)));
        watch.set(ExitStatus::Code(1));
        watch.set(ExitStatus::Code(2));
        assert_eq!(waiter.join().expect("no panic"), Some(ExitStatus::Code(1)));
        assert_eq!(watch.get(), Some(ExitStatus::Code(1)));
    }
}
