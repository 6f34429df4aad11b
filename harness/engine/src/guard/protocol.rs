//! What squall and the guard say to each other: one JSON value a packet.
//!
//! Packets are small and bounded; a spawn request, whose arguments and environment may be megabytes, travels as a memory
//! file beside its packet. Both sides are the same binary, so there is no version to negotiate.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::exit::ExitStatus;
use crate::network::Namespace;
use crate::process::Identity;
use crate::seccomp::Syscall;

/// The largest packet, in bytes.
pub(super) const PACKET_BYTES_MAX: usize = 32 * 1024;

/// The most arguments and environment that are passed on, in bytes: more than Linux takes (execve(2): 6 MiB).
pub(super) const SPAWN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most processes that a [`Reply::Gone`] names, so that it fits a packet.
pub(super) const LEFT_MAX: usize = 64;

/// From squall to the guard.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Start a process; the [`SpawnRequest`] is in the memory file that comes along, and after it comes the network namespace
    /// to start it in, if it isn't the guard's own.
    Spawn { id: u64, inside: Option<Inside> },
    /// Kill everything, say [`Reply::Gone`], end.
    Shutdown,
}

/// That a process starts in another network namespace.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Inside {
    /// See [`Namespace::sheds`].
    pub(super) sheds: bool,
}

/// From the guard to squall.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// The guard is set up.
    Hello,
    /// Request `id` was carried out; the pidfd comes along, and after it the listener where the process stops at calls.
    Spawned { id: u64, process: Identity },
    /// Request `id` was not.
    Refused { id: u64, refusal: Refusal },
    /// A process that was started on request ended.
    Exited { process: Identity, status: ExitStatus },
    /// After a shutdown: everything is gone but these.
    Gone { left: Vec<Identity> },
}

/// Why the guard could not start a process; the client adds the paths, which it knows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Refusal {
    pub(super) stage: Stage,
    /// The error number, zero where there was none.
    pub(super) errno: i32,
}

/// What the guard was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    Request,
    Log,
    Directory,
    Program,
    /// The program is there, but what its `#!` line or its ELF header names is not.
    Interpreter,
    /// The network namespace that it was to start in.
    Namespace,
    /// The filter at whose calls it was to stop.
    Filter,
    Inspect,
}

/// A program to start.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SpawnRequest {
    /// A path, or a name to look for in `PATH`. A relative path is taken from `directory`.
    pub program: OsString,
    /// What the program sees as its own name; `program` if absent.
    pub arg0: Option<OsString>,
    /// The arguments after the name.
    pub args: Vec<OsString>,
    /// Variables on top of squall's own environment, or instead of it.
    pub env: Vec<(OsString, OsString)>,
    /// Start from an empty environment. The run's marker is set all the same.
    pub clear_env: bool,
    /// Where it runs; squall's own working directory if absent.
    #[serde(with = "raw_path")]
    pub directory: Option<PathBuf>,
    /// Where its output goes, standard output and error alike, appended by the program itself: no byte passes through
    /// squall, so none is lost with it. Made if absent; its folder must be there.
    pub log: OsString,
    /// The system calls at which it stops, and all that it starts, until whoever has [`Spawned::listener`] answers. None
    /// for most. No process of it gains privilege by exec then (`no_new_privs`): sudo(8) and the like don't work in it.
    ///
    /// [`Spawned::listener`]: super::Spawned::listener
    pub stops_at: Vec<Syscall>,
    /// The network namespace that it starts in; squall's own if absent. It travels beside the request.
    #[serde(skip)]
    pub namespace: Option<Namespace>,
}

/// Why a program was not started.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("program `{}` was not found: check the path, or PATH for a bare name", program.display())]
    NotFound {
        /// As it was asked for.
        program: OsString,
    },
    /// The program is there and may not be run.
    #[error("program `{}` may not be run ({source}): is it executable?", program.display())]
    PermissionDenied {
        /// As it was asked for.
        program: OsString,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// The program is there, and the interpreter or loader that it names isn't.
    #[error("program `{}` names an interpreter or loader that is not there: see its first line, or `ldd`", program.display())]
    InterpreterMissing {
        /// As it was asked for.
        program: OsString,
    },
    /// The folder to run in can't be entered.
    #[error("starting `{}` in {}: {source}", program.display(), directory.display())]
    Directory {
        /// As it was asked for.
        program: OsString,
        /// The folder.
        directory: PathBuf,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// The log can't be opened.
    #[error("opening the log {} of `{}`: {source}", log.display(), program.display())]
    Log {
        /// As it was asked for.
        program: OsString,
        /// The log.
        log: PathBuf,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// The network namespace that it is to start in can't be entered.
    #[error("starting `{}` in a network namespace: {source}", program.display())]
    Namespace {
        /// As it was asked for.
        program: OsString,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// The kernel won't have it stop at system calls.
    #[error("starting `{}`: putting a filter on its system calls: {source}", program.display())]
    Filter {
        /// As it was asked for.
        program: OsString,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// Arguments and environment are more than the system takes.
    #[error("starting `{}`: its arguments and environment are too long for this system", program.display())]
    TooLong {
        /// As it was asked for.
        program: OsString,
    },
    /// Anything else.
    #[error("starting `{}`: {source}", program.display())]
    Other {
        /// As it was asked for.
        program: OsString,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// There is no guard any more to start it.
    #[error("starting `{}`: the guard process is gone, so nothing can be started", program.display())]
    GuardLost {
        /// As it was asked for.
        program: OsString,
    },
    /// The guard is there and doesn't answer.
    #[error("starting `{}`: the guard process did not answer within {seconds} s", program.display())]
    GuardSilent {
        /// As it was asked for.
        program: OsString,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl SpawnError {
    /// Whether this machine lacks the program, as opposed to the program failing.
    pub fn is_program_missing(&self) -> bool {
        matches!(self, Self::NotFound { .. } | Self::InterpreterMissing { .. })
    }

    pub(super) fn from_refusal(refusal: Refusal, request: &SpawnRequest) -> Self {
        let program = request.program.clone();
        let source = std::io::Error::from_raw_os_error(refusal.errno);
        match (refusal.stage, refusal.errno) {
            (Stage::Log, _) => Self::Log {
                program,
                log: PathBuf::from(&request.log),
                source,
            },
            (Stage::Directory, _) => Self::Directory {
                program,
                directory: request.directory.clone().unwrap_or_default(),
                source,
            },
            (Stage::Namespace, _) => Self::Namespace { program, source },
            (Stage::Filter, _) => Self::Filter { program, source },
            (Stage::Interpreter, _) => Self::InterpreterMissing { program },
            (Stage::Program, libc::ENOENT | libc::ENOTDIR) => Self::NotFound { program },
            (Stage::Program, libc::EACCES | libc::EPERM | libc::ENOEXEC) => {
                Self::PermissionDenied { program, source }
            }
            (Stage::Program | Stage::Request, libc::E2BIG) => Self::TooLong { program },
            _ => Self::Other { program, source },
        }
    }
}

/// A path as the bytes it is: serde's own way refuses what isn't UTF-8.
mod raw_path {
    use super::{Deserialize, OsString, PathBuf, Serialize};
    use serde::{Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        path.as_ref().map(|path| path.as_os_str()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<OsString>::deserialize(from)?.map(PathBuf::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn a_request_survives_the_way_with_bytes_that_are_no_text() {
        let odd = OsString::from_vec(vec![b'a', 0xff, b'"', b'\n']);
        let request = SpawnRequest {
            program: odd.clone(),
            args: vec![odd.clone()],
            env: vec![(odd.clone(), odd.clone())],
            directory: Some(PathBuf::from(odd.clone())),
            log: odd.clone(),
            ..SpawnRequest::default()
        };
        let json = serde_json::to_vec(&request).expect("serialises");
        let back: SpawnRequest = serde_json::from_slice(&json).expect("reads back");
        assert_eq!(
            (back.program, back.args, back.env),
            (request.program, request.args, request.env)
        );
        assert_eq!((back.directory, back.log), (request.directory, request.log));
    }

    #[test]
    fn the_longest_reply_fits_a_packet() {
        let process = Identity {
            pid: i32::MAX,
            start_time: u64::MAX,
        };
        let gone = Reply::Gone {
            left: vec![process; LEFT_MAX],
        };
        assert!(serde_json::to_vec(&gone).expect("serialises").len() < PACKET_BYTES_MAX);
    }
}
