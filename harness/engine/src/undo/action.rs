//! The undos themselves: each is data, and says how it is performed.

use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use rustix::process::{Signal, getpid};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::guard::RUN_MARKER;
use crate::process::Identity;
use crate::process::identity::{send, wait_exited};
use crate::process::sweep::sweep;
use crate::process::table::carries;
use crate::toxiproxy::{self, Server};

/// The longest that killing may take until it counts as failed.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// How files outside of the run's folder must begin, so that an undo can't be made to remove anything else.
pub const FILE_PREFIX: &str = "squall-";

/// One thing to put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// Kill one process, with the process group it leads if `group`.
    KillProcess {
        /// Which one; another process with its pid is left alone.
        process: Identity,
        /// Its group as well.
        group: bool,
    },
    /// Kill whatever carries this run's marker. Push it before the guard is started.
    KillMarked {
        /// The run.
        run_id: String,
    },
    /// Let a stopped process go on.
    Continue {
        /// Which one.
        process: Identity,
    },
    /// Remove a file: one in the run's folder, or one whose name begins with [`FILE_PREFIX`].
    RemoveFile {
        /// Which one.
        path: PathBuf,
    },
    /// Delete a proxy on a Toxiproxy server of this machine: one whose name begins as those do that squall makes.
    DeleteToxiproxyProxy {
        /// Where the server's API is.
        api: SocketAddr,
        /// The proxy's name.
        name: String,
    },
    /// Put a clock page back on real time.
    ResetClockPage {
        /// The page.
        path: PathBuf,
    },
}

/// Something that could not be undone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("could not undo: {what}: {why}; {how}")]
pub struct UndoError {
    /// The step, as it was pushed.
    pub what: String,
    /// What went wrong.
    pub why: String,
    /// What a person can do.
    pub how: String,
}

/// Where an undo is performed, as seen from where it was pushed.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The run's folder, canonical.
    pub(crate) folder: PathBuf,
    /// The pids in the journal mean something here.
    pub(crate) processes: Processes,
}

/// Whether pids of the journal are pids of here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Processes {
    /// The same boot, the same PID namespace.
    Same,
    /// The machine has started anew since: they are all gone.
    Gone,
    /// Another PID namespace: they may live, under other numbers.
    Elsewhere,
}

impl Undo {
    /// Does it. An error says what went wrong and what a person can do.
    pub(crate) fn perform(&self, place: &Place) -> Result<(), (String, String)> {
        match self {
            Self::KillProcess { process, group } => reach(place, *process, |process| {
                if *group {
                    process.signal_group(Signal::KILL)?;
                }
                kill_and_wait(process)
            }),
            Self::Continue { process } => reach(place, *process, |process| {
                process.signal(Signal::CONT).map(|_| ())
            }),
            Self::KillMarked { run_id } => kill_marked(run_id),
            Self::RemoveFile { path } => remove_file(path, place),
            Self::DeleteToxiproxyProxy { api, name } => delete_proxy(*api, name),
            Self::ResetClockPage { path } => {
                if !path.exists() {
                    return Ok(());
                }
                crate::fault::clock::reset_page(path).map_err(|error| {
                    (
                        error.to_string(),
                        "restart the program whose clock was changed".to_owned(),
                    )
                })
            }
        }
    }

    /// With its path made absolute, and refused if performing it would be.
    pub(super) fn checked(self, folder: &Path) -> io::Result<Self> {
        Ok(match self {
            Self::RemoveFile { path } => {
                let path = absolute(&path)?;
                if !may_remove(&path, folder) {
                    let why = format!(
                        "{} is neither in the run's folder nor begins with {FILE_PREFIX}",
                        path.display()
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
                }
                Self::RemoveFile { path }
            }
            Self::ResetClockPage { path } => Self::ResetClockPage {
                path: absolute(&path)?,
            },
            other => other,
        })
    }
}

fn reach(
    place: &Place,
    process: Identity,
    act: impl FnOnce(Identity) -> io::Result<()>,
) -> Result<(), (String, String)> {
    match place.processes {
        Processes::Gone => Ok(()),
        Processes::Elsewhere => Err((
            "the run was in another PID namespace".to_owned(),
            "run `squall clean` in the container it ran in, or remove that container".to_owned(),
        )),
        Processes::Same => act(process).map_err(|error| {
            (
                error.to_string(),
                format!("end it by hand: kill -CONT {0}; kill -9 {0}", process.pid),
            )
        }),
    }
}

fn kill_and_wait(process: Identity) -> io::Result<()> {
    let Some(pidfd) = process.pidfd()? else {
        return Ok(());
    };
    send(&pidfd, Signal::KILL)?;
    if wait_exited(&[pidfd], Instant::now() + KILL_WITHIN)? {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "it was killed and does not go",
        ))
    }
}

fn kill_marked(run_id: &str) -> Result<(), (String, String)> {
    let own = getpid().as_raw_nonzero().get();
    let swept = sweep(
        KILL_WITHIN,
        |table| {
            let others = table
                .iter()
                .map(|entry| entry.identity)
                .filter(|process| process.pid != own);
            others
                .filter(|process| carries(process.pid, RUN_MARKER, run_id.as_ref()))
                .collect()
        },
        || {},
    );
    let by_hand = || format!("end every process with {RUN_MARKER}={run_id} in its environment");
    match swept {
        Ok(swept) if swept.left.is_empty() => Ok(()),
        Ok(swept) => {
            let pids: Vec<String> = swept.left.iter().map(|process| process.pid.to_string()).collect();
            Err((
                "they do not go".to_owned(),
                format!("end them by hand: kill -9 {}", pids.join(" ")),
            ))
        }
        Err(error) => Err((error.to_string(), by_hand())),
    }
}

fn remove_file(path: &Path, place: &Place) -> Result<(), (String, String)> {
    let by_hand = || format!("look at {} and remove it by hand", path.display());
    if !may_remove(path, &place.folder) {
        // A journal may come from anywhere.
        return Err(("squall makes no such file".to_owned(), by_hand()));
    }
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err((error.to_string(), by_hand())),
    }
}

/// A journal may come from anywhere, so it is asked for nothing else, and nothing elsewhere.
fn delete_proxy(api: SocketAddr, name: &str) -> Result<(), (String, String)> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !api.ip().is_loopback() || !name.starts_with(toxiproxy::PREFIX) || !name.bytes().all(is_plain) {
        return Err((
            "squall makes no such proxy".to_owned(),
            format!("look at {name} on the Toxiproxy at {api} and delete it by hand"),
        ));
    }
    Server::at(api).delete(name).map_err(|error| {
        let by_hand = format!("delete it by hand: curl -X DELETE http://{api}/proxies/{name}");
        (error.to_string(), by_hand)
    })
}

fn may_remove(path: &Path, folder: &Path) -> bool {
    let plain = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    let named = path
        .file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with(FILE_PREFIX));
    plain && (named || path.starts_with(folder))
}

/// Absolute, its folder without symbolic links where that exists.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => Ok(parent.join(name)),
        _ => Ok(path),
    }
}
