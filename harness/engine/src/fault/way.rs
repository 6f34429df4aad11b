//! In which ways a kind of fault works, and whether this machine allows each.

use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::process::Identity;

/// One way in which a kind of fault works.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// A word for it.
    pub name: &'static str,
    /// How it works, and what it reaches.
    pub about: &'static str,
    /// Whether it works here. Quick, and changes nothing.
    pub check: fn(&Here) -> Result<(), Lack>,
}

impl Way {
    /// Whether it works here; the error says what is missing and what would make it work.
    pub fn allowed(&self, reports: &Path) -> Result<(), String> {
        let here = Here {
            reports: reports.to_owned(),
        };
        (self.check)(&here).map_err(|lack| lack.to_string())
    }
}

/// What a check may ask about.
#[derive(Debug, Clone)]
pub struct Here {
    /// A folder that is there, in or below which runs land.
    pub reports: PathBuf,
}

/// What a machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// What is missing.
    pub missing: String,
    /// What would make it work, also in a container.
    pub unlock: String,
}

impl std::fmt::Display for Lack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.missing, self.unlock)
    }
}

/// Signals to the processes of a service, through pidfds.
pub const SIGNALS: Way = Way {
    name: "signals",
    about: "signals to every process of the service, through pidfds; any program that squall starts",
    check: |_| can_signal(),
};

/// Whether processes can be found and signalled. Tries it on this very process, with SIGCONT, which does nothing to one that
/// runs.
fn can_signal() -> Result<(), Lack> {
    let own = Identity::own().map_err(|why| Lack {
        missing: format!("/proc can't be read ({why})"),
        unlock: "mount /proc, and in a container nothing over it".to_owned(),
    })?;
    own.signal(Signal::CONT).map(|_| ()).map_err(|why| Lack {
        missing: format!("the kernel refuses pidfd_open or pidfd_send_signal ({why})"),
        unlock: "Linux 5.4 or newer; in a container a seccomp profile that allows both, such as \
                 `docker run --security-opt seccomp=unconfined`"
            .to_owned(),
    })
}
