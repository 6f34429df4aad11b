//! Starts one program inside the guard.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::RUN_MARKER;
use super::protocol::{Refusal, SpawnRequest, Stage};
use crate::process::Identity;

/// Reads a request from the memory file that squall sent along.
pub(super) fn read_request(body: Option<OwnedFd>) -> Result<SpawnRequest, Refusal> {
    let read = || -> io::Result<SpawnRequest> {
        // Its size is bounded by the sender, which is squall.
        let mut file = File::from(body.ok_or(io::ErrorKind::InvalidInput)?);
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    read().map_err(|error| Refusal {
        stage: Stage::Request,
        errno: error.raw_os_error().unwrap_or(libc::EINVAL),
    })
}

/// Starts it, in a process group of its own, and says who it is.
///
/// The process is the caller's child and stays a zombie until the caller reaps it, so the identity and the pidfd are of
/// this very process even if it ended at once.
pub(super) fn spawn(request: &SpawnRequest, run_id: &OsStr) -> Result<(Identity, OwnedFd), Refusal> {
    let refuse = |stage| {
        move |error: io::Error| Refusal {
            stage,
            errno: error.raw_os_error().unwrap_or(0),
        }
    };
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

    // Never waited for here: the guard's loop reaps whatever ends.
    let child = command.spawn().map_err(|error| diagnose(&error, request))?;
    let pid = child.id().cast_signed();
    let inspect = || -> io::Result<(Identity, OwnedFd)> {
        let identity = Identity::of(pid).ok_or(io::ErrorKind::NotFound)?;
        let pidfd = pidfd_open(
            Pid::from_raw(pid).ok_or(io::ErrorKind::NotFound)?,
            PidfdFlags::empty(),
        )?;
        Ok((identity, pidfd))
    };
    inspect().map_err(|error| {
        let mut child = child;
        // It was started and can't be handed over: it must not stay.
        drop(child.kill());
        refuse(Stage::Inspect)(error)
    })
}

/// What an exec error was about.
fn diagnose(error: &io::Error, request: &SpawnRequest) -> Refusal {
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
