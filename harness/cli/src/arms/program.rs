//! Runs a program for a bounded time, in a process group of its own, and leaves nothing of it behind.
//!
//! What is left of its group once it has ended is killed. What moved to a session of its own, as a compile cache's daemon does,
//! outlives a program that ended by itself, and not one that is cut off.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use squall_engine::process::identity::{Identity, wait_exited};
use squall_engine::process::sweep::sweep;
use squall_engine::process::table::Table;
use squall_engine::run::Stop;
use squall_model::exit::Exit;

use super::error::ArmsError;
use crate::stopping;

/// How often a wait looks whether an end was asked for.
pub const LOOK: Duration = Duration::from_millis(50);

/// How long a program may take to end once it is asked to.
const GRACE: Duration = Duration::from_secs(2);

/// How long its processes may take to be gone once they are killed.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// The most that is read of what a program prints.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Where git keeps its place when it runs a hook: told to a program, it would take another repository for its own.
const GIT_PLACES: [&str; 5] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
];

/// What programs are started with, and what ends them early.
#[derive(Clone, Debug)]
pub struct Surroundings<'a> {
    /// Variables beside those of this process.
    pub environment: Vec<(String, OsString)>,
    /// Asks for an end.
    pub stop: &'a Stop,
}

impl Surroundings<'_> {
    /// A command with these surroundings, and without what would lead it to another repository.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        for name in GIT_PLACES {
            command.env_remove(name);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null());
        command
    }

    /// A variable as programs see it; `None` where it is empty.
    pub fn variable(&self, name: &str) -> Option<OsString> {
        let own = self.environment.iter().rev().find(|(own, _)| own == name);
        let value = own.map(|(_, value)| value.clone());
        value
            .or_else(|| std::env::var_os(name))
            .filter(|value| !value.is_empty())
    }

    /// An error if an end was asked for.
    pub fn go_on(&self) -> Result<(), ArmsError> {
        match stopping::told(self.stop) {
            Some((_, exit)) => Err(ArmsError::Stopped(exit)),
            None => Ok(()),
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was cut off: its time was over.
    TimedOut,
    /// It was cut off: an end was asked for.
    Stopped(Exit),
}

/// Runs `command` to its end, at most for `within` and until `stop` is requested. An `Err` of the kind
/// [`io::ErrorKind::NotFound`] means that there is no such program.
pub fn run(command: &mut Command, within: Duration, stop: &Stop) -> io::Result<Ended> {
    let mut child = command.process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    let ended = watch(group, within, stop);
    // Until it is reaped its number is nobody else's, so the group is its group.
    if let Ok(None) = ended {
        let _ = kill_process_group(group, Signal::KILL);
    } else {
        cut_off(group)?;
    }
    let status = child.wait()?;
    Ok(ended?.unwrap_or(Ended::Exited(status)))
}

/// What a program printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
}

/// Runs `command` as [`run`] does and keeps what it prints.
pub fn capture(command: &mut Command, within: Duration, stop: &Stop) -> io::Result<Output> {
    let (mut out, mut err) = (memory()?, memory()?);
    command.stdout(out.try_clone()?).stderr(err.try_clone()?);
    let ended = run(command, within, stop)?;
    Ok(Output {
        ended,
        out: whole(&mut out)?,
        err: whole(&mut err)?,
    })
}

/// A file in memory: no reader has to keep up with the program that fills it, and none hangs if that leaves a child behind.
fn memory() -> io::Result<File> {
    Ok(File::from(memfd_create("squall-output", MemfdFlags::CLOEXEC)?))
}

fn whole(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Waits for the end of a process: `None` is its own.
fn watch(process: Pid, within: Duration, stop: &Stop) -> io::Result<Option<Ended>> {
    let deadline = Instant::now() + within;
    let pidfd = [pidfd_open(process, PidfdFlags::empty())?];
    loop {
        let now = Instant::now();
        if wait_exited(&pidfd, deadline.min(now + LOOK))? {
            return Ok(None);
        }
        if let Some((_, exit)) = stopping::told(stop) {
            return Ok(Some(Ended::Stopped(exit)));
        }
        if now >= deadline {
            return Ok(Some(Ended::TimedOut));
        }
    }
}

/// Asks the group to end, then kills it and all that descends from it, whatever group or session that moved to.
fn cut_off(group: Pid) -> io::Result<()> {
    let leader = group.as_raw_nonzero().get();
    let descends = |table: &Table| -> HashSet<i32> { table.descendants(&[leader]) };
    let table = Table::read()?;
    let below = descends(&table);
    let known: HashSet<Identity> = table
        .iter()
        .map(|entry| entry.identity)
        .filter(|identity| below.contains(&identity.pid))
        .collect();
    let _ = kill_process_group(group, Signal::TERM);
    if let Ok(pidfd) = pidfd_open(group, PidfdFlags::empty()) {
        wait_exited(&[pidfd], Instant::now() + GRACE)?;
    }
    let find = |table: &Table| -> Vec<Identity> {
        let below = descends(table);
        let meant = table.iter().filter(|entry| {
            let pid = entry.identity.pid;
            pid == leader || entry.group == leader || below.contains(&pid) || known.contains(&entry.identity)
        });
        meant.map(|entry| entry.identity).collect()
    };
    let swept = sweep(KILLED_WITHIN, find, || {})?;
    match swept.left.as_slice() {
        [] => Ok(()),
        // In the kernel's hands: waiting for it would hang as it does.
        [one, ..] => Err(io::Error::other(format!("process {} can't be killed", one.pid))),
    }
}
