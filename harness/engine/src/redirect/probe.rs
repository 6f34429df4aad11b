//! Whether this machine lets squall redirect, found out by redirecting one connect of a child of its own.

use std::io;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use thiserror::Error;

use super::table::{Counts, Miss, Redirects, Transport};
use crate::process::identity::timespec;
use crate::seccomp::handover::{Handed, Handover, arrange_connect};
use crate::seccomp::{IS_SUPPORTED, Rule, Supervisor, calls_of};

/// The longest that the child may take to put the filter on: a hundred times what a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why this machine can't redirect, and what would make it work.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// Not Linux on x86-64 or aarch64.
    #[error("redirect works on x86-64 and aarch64 only")]
    Architecture,
    /// The kernel would not have the filter.
    #[error("redirect needs seccomp notifications, which this machine refuses ({error}); {remedy}")]
    Filter {
        /// The kernel's words.
        error: String,
        /// What would make it work.
        remedy: &'static str,
    },
    /// The filter is on, and the process can't be reached.
    #[error("redirect failed {doing} of a process of squall's own ({error}); {remedy}", doing = miss.doing, error = miss.error)]
    Reach {
        /// What failed.
        miss: Miss,
        /// What would make it work.
        remedy: String,
    },
    /// Everything seemed to work and the connect went elsewhere.
    #[error("redirect was tried and had no effect: {0}")]
    NoEffect(String),
    /// It could not be tried.
    #[error("redirect could not be tried: {0}")]
    Untried(String),
}

impl Unavailable {
    /// What is missing.
    pub fn missing(&self) -> String {
        match self {
            Self::Architecture => "a 64-bit x86 or ARM processor".to_owned(),
            Self::Filter { error, .. } => {
                format!("seccomp notifications, which this machine refuses ({error})")
            }
            Self::Reach { miss, .. } => {
                format!(
                    "access to a process of squall's own: {} failed ({})",
                    miss.doing, miss.error
                )
            }
            Self::NoEffect(_) | Self::Untried(_) => self.to_string(),
        }
    }

    /// What would make it work, also in a container.
    pub fn unlock(&self) -> String {
        match self {
            Self::Architecture => "run it on one".to_owned(),
            Self::Filter { remedy, .. } => (*remedy).to_owned(),
            Self::Reach { remedy, .. } => remedy.clone(),
            Self::NoEffect(_) | Self::Untried(_) => "nothing that is known: please report it".to_owned(),
        }
    }
}

/// Whether connects can be redirected here: a child of squall's own connects to one listener, and must reach another.
pub fn probe() -> Result<(), Unavailable> {
    if !IS_SUPPORTED {
        return Err(Unavailable::Architecture);
    }
    let tried = attempt().map_err(|error| Unavailable::Untried(error.to_string()))?;
    match tried {
        Trial { reached: true, .. } => Ok(()),
        Trial {
            refused: Some(error), ..
        } => Err(refused(&error)),
        Trial {
            counts: Counts {
                last_miss: Some(miss),
                ..
            },
            ..
        } => Err(Unavailable::Reach {
            remedy: remedy(&miss),
            miss,
        }),
        Trial { counts, told, .. } => Err(Unavailable::NoEffect(format!("{counts:?}, {told}"))),
    }
}

/// What came of trying.
struct Trial {
    /// The proxy was reached.
    reached: bool,
    /// The filter could not be put on.
    refused: Option<io::Error>,
    counts: Counts,
    /// What the child was told by connect(2).
    told: String,
}

fn attempt() -> io::Result<Trial> {
    let [real, proxy] = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    proxy.set_nonblocking(true)?;
    let table = Arc::new(Redirects::new());
    table
        .set(Transport::Stream, real.local_addr()?, proxy.local_addr()?)
        .map_err(io::Error::other)?;
    let rules: Vec<Arc<dyn Rule>> = vec![Arc::clone(&table) as _];

    let mut child = Command::new("/proc/self/exe");
    let handover = arrange_connect(&mut child, &calls_of(&rules), real.local_addr()?)?;
    // Forking returns only once the child has connected, so it is answered meanwhile.
    let (told, handed) = std::thread::scope(|scope| {
        let told = scope.spawn(move || told(child));
        let handed = supervise(&handover, rules);
        (told.join(), handed)
    });
    let told = told.map_err(|_| io::Error::other("the thread that forks panicked"))?;
    let refused = match handed? {
        Some(_supervisor) => None,
        None => Some(io::Error::from_raw_os_error(
            told.raw_os_error().unwrap_or_default(),
        )),
    };
    Ok(Trial {
        reached: proxy.accept().is_ok(),
        refused,
        counts: table.counts(),
        told: format!("the child's connect returned: {told}"),
    })
}

/// Forks; the child never executes anything, and its last error is what it had to say.
fn told(mut child: Command) -> io::Error {
    match child.spawn() {
        Err(error) => error,
        Ok(mut child) => {
            drop(child.kill());
            drop(child.wait());
            io::Error::other("it was executed")
        }
    }
}

/// Answers the child once it has put its filter on; nothing if the kernel would not have that.
fn supervise(handover: &Handover, rules: Vec<Arc<dyn Rule>>) -> io::Result<Option<Supervisor>> {
    let mut fds = [PollFd::new(handover, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut fds, Some(&timespec(PATIENCE))))?;
    match handover.take()? {
        Handed::Listener(listener) => Supervisor::start("probe", listener, rules).map(Some),
        Handed::Refused => Ok(None),
        Handed::Nothing => Err(io::Error::other("no child could be started")),
    }
}

fn refused(error: &io::Error) -> Unavailable {
    let remedy = match Errno::from_io_error(error) {
        Some(Errno::BUSY) => {
            "what started squall, a container perhaps, listens to its system calls already, and Linux allows one listener: \
             start squall outside of it"
        }
        Some(Errno::INVAL) => "Linux 5.6 or newer is needed, built with CONFIG_SECCOMP_FILTER",
        _ => "in a container, start it with --security-opt seccomp=unconfined",
    };
    Unavailable::Filter {
        error: error.to_string(),
        remedy,
    }
}

fn remedy(miss: &Miss) -> String {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    remedy_for(miss.errno, &scope, &status)
}

/// `scope` is the setting `kernel.yama.ptrace_scope`, `status` squall's own `/proc/self/status`.
fn remedy_for(errno: Option<i32>, scope: &str, status: &str) -> String {
    let is_filtered = status
        .lines()
        .filter_map(|line| line.strip_prefix("Seccomp:"))
        .any(|mode| mode.trim() == "2");
    match scope.trim().parse::<u32>() {
        _ if errno == Some(libc::ENOSYS) => "Linux 5.6 or newer is needed for pidfd_getfd".to_owned(),
        Ok(scope) if scope >= 2 => format!(
            "kernel.yama.ptrace_scope is {scope} and must be 1 or 0: sysctl -w kernel.yama.ptrace_scope=1"
        ),
        _ if is_filtered => {
            "a filter on squall's system calls is in force; if that is a container's, start it with \
                             --cap-add SYS_PTRACE"
                .to_owned()
        }
        _ => {
            "squall must be allowed to ptrace what it starts; in a container, --cap-add SYS_PTRACE allows it"
                .to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_named() {
        let filtered = "Name:\tsquall\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let free = "Name:\tsquall\nSeccomp:\t0\nSeccomp_filters:\t0\n";
        for (errno, scope, status, expected) in [
            (libc::ENOSYS, "1\n", filtered, "Linux 5.6"),
            (
                libc::EPERM,
                "2\n",
                filtered,
                "sysctl -w kernel.yama.ptrace_scope=1",
            ),
            (libc::EPERM, "1\n", filtered, "--cap-add SYS_PTRACE"),
            (libc::EPERM, "", free, "must be allowed to ptrace"),
        ] {
            let remedy = remedy_for(Some(errno), scope, status);
            assert!(remedy.contains(expected), "{remedy}");
        }
        let text = refused(&Errno::BUSY.into()).to_string();
        assert!(text.contains("one listener"), "{text}");
        let text = refused(&Errno::INVAL.into()).to_string();
        assert!(text.contains("CONFIG_SECCOMP_FILTER"), "{text}");
    }
}
