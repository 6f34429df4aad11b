//! What it takes to start a service, and what can come of starting and stopping one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::identity::Identity;
use super::port::PortError;
use super::ready::Ready;
use crate::guard::{ExitStatus, SpawnError};
use crate::network::Namespace;
use crate::seccomp::Rule;

/// A port that a program wants to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortWish {
    /// As the scenario calls it; `port` where it has no name of its own.
    pub name: String,
    /// This one and no other; drawn if absent.
    pub fixed: Option<u16>,
}

/// Where a service is to be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The ports that it was told, by name.
    pub ports: BTreeMap<String, u16>,
    /// Where it said that it listens; known from its first ready line on, and to be the same ever after.
    pub listen: Option<SocketAddr>,
    /// Where it said that its admin endpoint is.
    pub admin: Option<SocketAddr>,
}

impl Addresses {
    pub(super) fn all_ports(&self) -> impl Iterator<Item = u16> {
        let told = self.ports.values().copied();
        told.chain(self.listen.iter().chain(&self.admin).map(SocketAddr::port))
    }
}

/// What to run, made from the addresses.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// A path, or a name to look for in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables on top of squall's own environment.
    pub env: Vec<(OsString, OsString)>,
    /// When it counts as ready.
    pub ready: Ready,
}

/// Makes the command line of each start. On the first start of a service that binds port 0 the addresses are empty.
pub type MakeInvocation = Box<dyn Fn(&Addresses) -> Invocation + Send + Sync>;

/// A service to start.
pub struct Launch {
    /// As the scenario calls it.
    pub name: String,
    /// Its log; its folder must be there.
    pub log: PathBuf,
    /// Where it runs; squall's own working directory if absent.
    pub directory: Option<PathBuf>,
    /// The time that it has to get ready.
    pub within: Duration,
    /// The ports to draw or check for it.
    pub ports: Vec<PortWish>,
    /// Its command line.
    pub command: MakeInvocation,
    /// What decides about system calls of its processes, which stop at those that these want to be asked about.
    pub rules: Vec<Arc<dyn Rule>>,
    /// The network namespace that it is in; squall's own if absent.
    pub namespace: Option<Namespace>,
}

/// Why a service isn't up. In each case nothing of it is left running.
#[derive(Debug, Error)]
pub enum StartError {
    /// The program could not be started.
    #[error("service `{service}`: {source}")]
    Spawn {
        /// Which one.
        service: String,
        /// Why.
        source: SpawnError,
    },
    /// A port that it needs is taken, or none is free.
    #[error("service `{service}`: {source}")]
    Port {
        /// Which one.
        service: String,
        /// Why.
        source: PortError,
    },
    /// It ended.
    #[error(
        "service `{service}` ended with {status} before it was ready{}",
        shown(last_lines)
    )]
    ExitedBeforeReady {
        /// Which one.
        service: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// It runs and isn't ready.
    #[error(
        "service `{service}` was not ready within {within:?}: {last_seen}{}",
        shown(last_lines)
    )]
    NotReady {
        /// Which one.
        service: String,
        /// The time that it had.
        within: Duration,
        /// What the last look saw.
        last_seen: String,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// After a restart it is somewhere else, where nobody looks for it.
    #[error("service `{service}` was to listen at {expected} after its restart and listens at {found}")]
    Moved {
        /// Which one.
        service: String,
        /// Where it was.
        expected: SocketAddr,
        /// Where it is.
        found: SocketAddr,
    },
    /// The run ended before it was ready.
    #[error("service `{service}` was not ready again when the run ended")]
    GivenUp {
        /// Which one.
        service: String,
    },
    /// It was to be started again while it runs.
    #[error("service `{service}` still runs: stop it before starting it again")]
    StillRunning {
        /// Which one.
        service: String,
    },
    /// The system refused something else.
    #[error("service `{service}`: {doing}: {source}")]
    System {
        /// Which one.
        service: String,
        /// What was being done.
        doing: &'static str,
        /// The kernel's words.
        source: io::Error,
    },
}

fn shown(lines: &[String]) -> String {
    match lines {
        [] => "; it printed nothing".to_owned(),
        lines => format!("; its last lines:\n    {}", lines.join("\n    ")),
    }
}

/// Why a service isn't gone.
#[derive(Debug, Error)]
pub enum StopError {
    /// Something of it survives.
    #[error(
        "stopping service `{service}`: these could not be killed; end them by hand: kill -9 {}",
        pids(left)
    )]
    Left {
        /// Which one.
        service: String,
        /// What survives.
        left: Vec<Identity>,
    },
    /// The system refused something else.
    #[error("stopping service `{service}`: {source}")]
    System {
        /// Which one.
        service: String,
        /// The kernel's words.
        source: io::Error,
    },
}

fn pids(processes: &[Identity]) -> String {
    processes
        .iter()
        .map(|process| process.pid.to_string())
        .collect::<Vec<_>>()
        .join(" ")
}

/// How a service went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopReport {
    /// How its own process ended.
    pub status: ExitStatus,
    /// Processes that did not end by themselves within the grace period, or were never asked because they had left the
    /// service's process group.
    pub killed: Vec<Identity>,
}
