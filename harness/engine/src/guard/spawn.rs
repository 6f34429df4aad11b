//! Starts one program inside the guard.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::RUN_MARKER;
use super::protocol::{Inside, Refusal, SpawnRequest, Stage};
use crate::network::Namespace;
use crate::process::Identity;
use crate::seccomp::Listener;
use crate::seccomp::handover::{self, Handed};

/// Reads a request from what squall sent along: a memory file, and a namespace if it is to start in another one.
pub(super) fn read_request(inside: Option<Inside>, fds: Vec<OwnedFd>) -> Result<SpawnRequest, Refusal> {
    let read = || -> io::Result<SpawnRequest> {
        let mut fds = fds.into_iter();
        // Its size is bounded by the sender, which is squall.
        let mut file = File::from(fds.next().ok_or(io::ErrorKind::InvalidInput)?);
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let namespace = match inside {
            None => None,
            // Without a free number for it there is none, and elsewhere the process must not start.
            Some(Inside { sheds }) => {
                let fd = fds.next().ok_or(Errno::MFILE)?;
                Some(Namespace::received(fd, sheds))
            }
        };
        let request = serde_json::from_slice(&bytes)?;
        Ok(SpawnRequest { namespace, ..request })
    };
    read().map_err(|error| Refusal {
        stage: Stage::Request,
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
    })
}

/// A process that was started.
pub(super) struct Spawned {
    pub(super) process: Identity,
    pub(super) pidfd: OwnedFd,
    /// Where its calls arrive, if it stops at any.
    pub(super) listener: Option<Listener>,
}

/// Starts it, in a process group of its own, and says who it is.
///
/// The process is the caller's child and stays a zombie until the caller reaps it, so the identity and the pidfd are of
/// this very process even if it ended at once.
pub(super) fn spawn(request: &SpawnRequest, run_id: &OsStr) -> Result<Spawned, Refusal> {
    let mut command = command(request, run_id)?;
    let handover = match request.stops_at.as_slice() {
        [] => None,
        calls => Some(handover::arrange(&mut command, calls).map_err(refuse(Stage::Filter))?),
    };
    // Never waited for here: the guard's loop reaps whatever ends.
    let child = command.spawn();
    let handed = handover.map(|handover| handover.take());
    let mut child = child.map_err(|error| match &handed {
        // What is done last before exec: so it was not the program's fault.
        Some(Ok(Handed::Refused)) => refuse(Stage::Filter)(error),
        _ => diagnose(&error, request),
    })?;
    let listener = match handed {
        None => Ok(None),
        Some(Ok(Handed::Listener(listener))) => Ok(Some(listener)),
        Some(Ok(Handed::Refused | Handed::Nothing)) => Err(io::ErrorKind::NotFound.into()),
        Some(Err(error)) => Err(error),
    };
    let spawned = listener.map_err(refuse(Stage::Filter)).and_then(|listener| {
        let (process, pidfd) = inspect(child.id().cast_signed()).map_err(refuse(Stage::Inspect))?;
        Ok(Spawned {
            process,
            pidfd,
            listener,
        })
    });
    if spawned.is_err() {
        // It was started and can't be handed over: it must not stay.
        drop(child.kill());
    }
    spawned
}

fn refuse(stage: Stage) -> impl FnOnce(io::Error) -> Refusal {
    move |error| Refusal {
        stage,
        errno: error.raw_os_error().unwrap_or(0),
    }
}

/// The command for a request, whose log and folder are known to be there.
fn command(request: &SpawnRequest, run_id: &OsStr) -> Result<Command, Refusal> {
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&request.log)
        .map_err(refuse(Stage::Log))?;
    let errors = log.try_clone().map_err(refuse(Stage::Log))?;
    if let Some(directory) = &request.directory {
        // Told apart here: exec's own error doesn't say whether the folder or the program is missing.
        std::fs::read_dir(directory).map_err(refuse(Stage::Directory))?;
    }

    let mut command = Command::new(&request.program);
    command
        .args(&request.args)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .process_group(0);
    if let Some(arg0) = &request.arg0 {
        command.arg0(arg0);
    }
    if let Some(directory) = &request.directory {
        command.current_dir(directory);
    }
    if request.clear_env {
        command.env_clear();
    }
    command
        .envs(request.env.iter().map(|(name, value)| (name, value)))
        .env(RUN_MARKER, run_id);
    if let Some(namespace) = &request.namespace {
        namespace.hold(&mut command);
    }
    Ok(command)
}

fn inspect(pid: i32) -> io::Result<(Identity, OwnedFd)> {
    let identity = Identity::of(pid).ok_or(io::ErrorKind::NotFound)?;
    let pidfd = pidfd_open(
        Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?,
        PidfdFlags::empty(),
    )?;
    Ok((identity, pidfd))
}

/// What an exec error was about.
fn diagnose(error: &io::Error, request: &SpawnRequest) -> Refusal {
    if let Some(errno) = Namespace::refusal(error) {
        return Refusal {
            stage: Stage::Namespace,
            errno,
        };
    }
    let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
    let missing = errno == libc::ENOENT;
    let stage = if missing && is_there(request) {
        Stage::Interpreter
    } else {
        Stage::Program
    };
    Refusal { stage, errno }
}

/// Whether the program's file exists, for a program given by path.
fn is_there(request: &SpawnRequest) -> bool {
    let program = Path::new(&request.program);
    let given_by_path = program.components().count() > 1;
    let from: PathBuf = request.directory.clone().unwrap_or_default();
    given_by_path && from.join(program).exists()
}

/// The run that this guard belongs to, from its own environment.
pub(super) fn run_id() -> Option<OsString> {
    std::env::var_os(RUN_MARKER)
}
