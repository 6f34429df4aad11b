//! The journal of undos, `undo.ndjson` in the run's folder: a JSON object a line, each written by one system call.
//!
//! The first line says whose it is, then come `push`, `done` and `failed`. The writer holds a lock on the file for as long
//! as it lives: that, not the pid, tells whether a run still goes on. Only the last line can be torn, by a full disk or
//! a kill; a torn `push` is of a step that was not made.

use std::ffi::OsString;
use std::fs;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Processes, Step, Undo, UndoError};
use crate::process::Identity;

/// The journal's name in the run's folder.
pub const FILE_NAME: &str = "undo.ndjson";

/// A journal of a run is some hundred bytes a step; more than this is none.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The journal can't be used.
#[derive(Debug, Error)]
#[error("undo journal {}: {source}", path.display())]
pub struct JournalError {
    /// The journal.
    pub path: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

/// Whose journal it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    /// The squall that wrote it.
    pub(crate) process: Identity,
    /// The boot that the pids are of.
    pub(crate) boot_id: String,
    /// The PID namespace that they are of, as `/proc/self/ns/pid` names it.
    pub(crate) pid_namespace: OsString,
    /// The run's id, which all its processes carry.
    pub(crate) run_id: String,
}

impl Owner {
    fn this(run_id: &str) -> io::Result<Self> {
        Ok(Self {
            process: Identity::own()?,
            boot_id: boot_id()?,
            pid_namespace: pid_namespace()?,
            run_id: run_id.to_owned(),
        })
    }

    /// Whether its pids mean anything here and now.
    pub(crate) fn processes(&self) -> io::Result<Processes> {
        Ok(if self.boot_id != boot_id()? {
            Processes::Gone
        } else if self.pid_namespace == pid_namespace()? {
            Processes::Same
        } else {
            Processes::Elsewhere
        })
    }
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn pid_namespace() -> io::Result<OsString> {
    Ok(fs::read_link("/proc/self/ns/pid")?.into_os_string())
}

/// A step that was pushed and not undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) step: Step,
    pub(crate) what: String,
    pub(crate) undo: Undo,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Owner(Owner),
    Push(Open),
    Done { step: Step },
    Failed { step: Step, why: String, how: String },
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Absent if squall was killed while writing the first line.
    pub(crate) owner: Option<Owner>,
    /// What is left to undo, the oldest first.
    pub(crate) open: Vec<Open>,
    /// Whole lines that mean nothing to this squall.
    pub(crate) unknown: usize,
}

/// A journal, locked and open for writing at its end.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Journal {
    /// Starts the journal of a run.
    pub(crate) fn create(run_folder: &Path, run_id: &str) -> Result<Self, JournalError> {
        let path = run_folder.join(FILE_NAME);
        let attempt = || -> io::Result<Self> {
            let file = OpenOptions::new()
                .read(true)
                .append(true)
                .create_new(true)
                .open(&path)?;
            lock(&file)?;
            let mut journal = Self {
                path: path.clone(),
                file,
                length: 0,
            };
            journal.append(&Line::Owner(Owner::this(run_id)?))?;
            Ok(journal)
        };
        attempt().map_err(|source| JournalError {
            path: path.clone(),
            source,
        })
    }

    /// Opens the journal of an earlier run; `None` if its writer lives. Cuts off a torn last line.
    pub(crate) fn take_over(path: &Path) -> io::Result<Option<(Self, Contents)>> {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        let about = file.metadata()?;
        if about.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "it belongs to another user",
            ));
        }
        if about.len() > BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "too long for a journal",
            ));
        }
        match lock(&file) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let contents = read(&bytes[..whole]);
        if contents.owner.as_ref().is_some_and(|owner| {
            // The lock says it all, except where the file system has none.
            owner.processes().is_ok_and(|here| here == Processes::Same) && owner.process.is_alive()
        }) {
            return Ok(None);
        }
        file.set_len(whole as u64)?;
        Ok(Some((
            Self {
                path: path.to_owned(),
                file,
                length: whole as u64,
            },
            contents,
        )))
    }

    pub(super) fn error(&self, source: io::Error) -> JournalError {
        JournalError {
            path: self.path.clone(),
            source,
        }
    }

    pub(super) fn push(&mut self, open: &Open) -> Result<(), JournalError> {
        self.append(&Line::Push(open.clone()))
            .map_err(|source| self.error(source))
    }

    /// Not being able to say so is harmless: undoing again changes nothing.
    pub(super) fn done(&mut self, step: Step) {
        drop(self.append(&Line::Done { step }));
    }

    pub(super) fn failed(&mut self, step: Step, error: &UndoError) {
        drop(self.append(&Line::Failed {
            step,
            why: error.why.clone(),
            how: error.how.clone(),
        }));
    }

    /// One write a line, into the kernel and no further: what a kill leaves is what counts, and a power cut ends all
    /// processes anyway.
    fn append(&mut self, line: &Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        if let Err(error) = self.file.write_all(&bytes) {
            // What a full disk took of it would spoil the next line.
            drop(self.file.set_len(self.length));
            drop(self.file.seek(SeekFrom::End(0)));
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Not left to closing: a child that is just being forked by another thread has the file open until its exec.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn lock(file: &File) -> io::Result<()> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        // Some network file systems have no locks.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::NOSYS) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Reads whole lines.
fn read(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice(line) {
            Ok(Line::Owner(owner)) => contents.owner = Some(owner),
            Ok(Line::Push(open)) => contents.open.push(open),
            Ok(Line::Done { step }) => contents.open.retain(|open| open.step != step),
            Ok(Line::Failed { .. }) => {}
            Err(_) => contents.unknown += 1,
        }
    }
    contents
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal as a squall left it that is dead: this one wrote it, and says another did.
    fn abandoned(folder: &Path, steps: u64) -> PathBuf {
        let mut owner = Owner::this("journal-test").expect("/proc is readable");
        owner.process.start_time += 1;
        let mut text = serde_json::to_string(&Line::Owner(owner)).expect("serialises") + "\n";
        for step in 1..=steps {
            let undo = Undo::RemoveFile {
                path: folder.join(step.to_string()),
            };
            let open = Open {
                step: Step(step),
                what: format!("step {step}"),
                undo,
            };
            text += &(serde_json::to_string(&Line::Push(open)).expect("serialises") + "\n");
        }
        fs::write(folder.join(FILE_NAME), text).expect("written");
        folder.join(FILE_NAME)
    }

    #[test]
    fn a_journal_torn_at_any_byte_names_every_step_that_was_made() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = abandoned(folder.path(), 3);
        let whole = fs::read(&path).expect("readable");
        for length in 0..=whole.len() {
            fs::write(&path, &whole[..length]).expect("written");
            let (mut journal, contents) = Journal::take_over(&path).expect("usable").expect("nobody's");
            let lines = whole[..length].split(|byte| *byte == b'\n').count() - 1;
            assert_eq!(contents.owner.is_some(), lines > 0, "at byte {length}");
            assert_eq!(
                (contents.open.len(), contents.unknown),
                (lines.saturating_sub(1), 0),
                "at byte {length}"
            );
            // What is written next stays readable.
            for open in &contents.open {
                journal.done(open.step);
            }
            drop(journal);
            let (_, contents) = Journal::take_over(&path).expect("usable").expect("nobody's");
            assert_eq!(
                (contents.open, contents.unknown),
                (Vec::new(), 0),
                "at byte {length}"
            );
        }
    }

    #[test]
    fn the_journal_of_a_living_squall_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::create(folder.path(), "journal-test").expect("new");
        let path = folder.path().join(FILE_NAME);
        assert!(
            Journal::take_over(&path).expect("readable").is_none(),
            "it is locked"
        );
        drop(journal);
        assert!(
            Journal::take_over(&path).expect("readable").is_none(),
            "its process lives"
        );
        assert!(
            Journal::create(folder.path(), "journal-test").is_err(),
            "there is one already"
        );
    }

    #[test]
    fn lines_from_a_later_version_are_counted_not_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = abandoned(folder.path(), 1);
        let mut text = fs::read_to_string(&path).expect("readable");
        text += "{\"push\":{\"step\":2,\"what\":\"x\",\"undo\":{\"unheard_of\":{}}}}\n";
        fs::write(&path, text).expect("written");
        let (_, contents) = Journal::take_over(&path).expect("usable").expect("nobody's");
        assert_eq!((contents.open.len(), contents.unknown), (1, 1));
    }

    #[test]
    fn a_step_that_cannot_be_written_down_is_an_error() {
        // The device that is always full.
        let full = OpenOptions::new()
            .append(true)
            .open("/dev/full")
            .expect("Linux has it");
        let mut journal = Journal {
            path: "/dev/full".into(),
            file: full,
            length: 0,
        };
        let undo = Undo::KillMarked {
            run_id: "journal-test".to_owned(),
        };
        let error = journal
            .push(&Open {
                step: Step(1),
                what: "a step".to_owned(),
                undo,
            })
            .expect_err("disk full");
        assert_eq!(error.source.kind(), io::ErrorKind::StorageFull, "{error}");
    }
}
