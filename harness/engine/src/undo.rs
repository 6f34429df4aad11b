//! What has to be put back, in which order, also by another process.
//!
//! Each step that changes something outside of squall's own memory pushes its undo first. An undo is data and is written
//! to the journal in the run's folder before the step is made, so whatever moment squall is killed at, the journal names
//! at least everything that was changed, and `squall clean` can do the rest. Undoing what was never done, or twice,
//! changes nothing.
//!
//! Nothing here may stop at the first failure: what can't be undone is said, with what to do about it, and the next is
//! undone all the same.

mod action;
mod journal;

use std::path::Path;
use std::{fmt, fs};

use serde::{Deserialize, Serialize};

pub use action::{FILE_PREFIX, Undo, UndoError};
pub(crate) use action::{Place, Processes};
pub use journal::{FILE_NAME, JournalError};
pub(crate) use journal::{Journal, Open, Owner};

/// Names a step that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Step(u64);

/// The undos of one run, last in first out. Dropping it, also in a panic, undoes what is left.
pub struct Stack {
    journal: Journal,
    place: Place,
    last: u64,
    open: Vec<Open>,
}

impl Stack {
    /// Opens the journal of a run in the run's own folder, which must be new.
    pub fn create(run_folder: &Path, run_id: &str) -> Result<Self, JournalError> {
        let journal = Journal::create(run_folder, run_id)?;
        let folder = fs::canonicalize(run_folder).map_err(|source| journal.error(source))?;
        Ok(Self {
            journal,
            place: Place {
                folder,
                processes: Processes::Same,
            },
            last: 0,
            open: Vec::new(),
        })
    }

    /// Writes down how to undo the step that comes next. On an error the step must not be made.
    ///
    /// `what` says what will have been done, for people: `service ids (pid 12)`.
    pub fn push(&mut self, what: impl Into<String>, undo: Undo) -> Result<Step, JournalError> {
        let undo = undo
            .checked(&self.place.folder)
            .map_err(|source| self.journal.error(source))?;
        let step = Step(self.last + 1);
        let open = Open {
            step,
            what: what.into(),
            undo,
        };
        self.journal.push(&open)?;
        self.last += 1;
        self.open.push(open);
        Ok(step)
    }

    /// Says that a step was undone by other means (a fault healed, a service stopped). Again: nothing.
    pub fn done(&mut self, step: Step) {
        let before = self.open.len();
        self.open.retain(|open| open.step != step);
        if self.open.len() < before {
            self.journal.done(step);
        }
    }

    /// Undoes one step now, whatever came after it. Again: nothing.
    pub fn undo(&mut self, step: Step) -> Result<(), UndoError> {
        match self.open.iter().position(|open| open.step == step) {
            Some(at) => {
                let open = self.open.remove(at);
                settle(&open, &self.place, &mut self.journal)
            }
            None => Ok(()),
        }
    }

    /// Undoes everything that is left, the last first; returns what could not be undone.
    pub fn unwind(&mut self) -> Vec<UndoError> {
        let mut errors = Vec::new();
        while let Some(open) = self.open.pop() {
            errors.extend(settle(&open, &self.place, &mut self.journal).err());
        }
        errors
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The journal has the failures; `squall clean` tries again and reports them.
        drop(self.unwind());
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

/// Performs an undo and writes down what came of it.
pub(crate) fn settle(open: &Open, place: &Place, journal: &mut Journal) -> Result<(), UndoError> {
    match open.undo.perform(place) {
        Ok(()) => {
            journal.done(open.step);
            Ok(())
        }
        Err((why, how)) => {
            let error = UndoError {
                what: open.what.clone(),
                why,
                how,
            };
            journal.failed(open.step, &error);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Identity;
    use rustix::process::Signal;
    use std::path::PathBuf;
    use std::process::Command;

    fn stack() -> (tempfile::TempDir, Stack) {
        let folder = tempfile::tempdir().expect("a folder");
        let stack = Stack::create(folder.path(), "undo-test").expect("a journal");
        (folder, stack)
    }

    fn file(folder: &Path, name: &str) -> (PathBuf, Undo) {
        let path = folder.join(name);
        fs::write(&path, "").expect("written");
        (path.clone(), Undo::RemoveFile { path })
    }

    /// What the journal says, a word a line: `push 1`, `done 1`.
    fn journal(folder: &Path) -> Vec<String> {
        let text = fs::read_to_string(folder.join(FILE_NAME)).expect("readable");
        let word = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).expect("whole lines");
            let (kind, body) = line
                .as_object()
                .expect("an object")
                .iter()
                .next()
                .expect("a kind");
            format!("{kind} {}", body["step"])
                .trim_end_matches(" null")
                .to_owned()
        };
        text.lines().map(word).collect()
    }

    #[test]
    fn the_last_step_is_undone_first() {
        let (folder, mut stack) = stack();
        let (one, undo_one) = file(folder.path(), "one");
        let (two, undo_two) = file(folder.path(), "two");
        stack.push("one", undo_one).expect("pushed");
        stack.push("two", undo_two).expect("pushed");
        assert!(one.exists() && two.exists(), "pushing alone changes nothing");
        assert_eq!(stack.unwind(), []);
        assert!(!one.exists() && !two.exists());
        assert_eq!(
            journal(folder.path()),
            ["owner", "push 1", "push 2", "done 2", "done 1"]
        );
        assert_eq!(stack.unwind(), []);
    }

    #[test]
    fn a_panic_undoes() {
        let (folder, mut stack) = stack();
        let (one, undo) = file(folder.path(), "one");
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            stack.push("one", undo).expect("pushed");
            std::panic::resume_unwind(Box::new("planned"));
        }));
        assert!(panicked.is_err());
        assert!(!one.exists());
    }

    #[test]
    fn a_step_that_was_healed_is_left_alone_and_one_can_be_undone_early() {
        let (folder, mut stack) = stack();
        let (one, undo_one) = file(folder.path(), "one");
        let (two, undo_two) = file(folder.path(), "two");
        let first = stack.push("one", undo_one).expect("pushed");
        let second = stack.push("two", undo_two).expect("pushed");
        stack.done(first);
        stack.done(first);
        assert_eq!(stack.undo(second), Ok(()));
        assert_eq!(stack.undo(second), Ok(()));
        drop(stack);
        assert!(one.exists() && !two.exists());
        assert_eq!(
            journal(folder.path()),
            ["owner", "push 1", "push 2", "done 1", "done 2"]
        );
    }

    #[test]
    fn a_failure_is_told_and_stops_nothing() {
        let (folder, mut stack) = stack();
        let (one, undo) = file(folder.path(), "one");
        let stubborn = folder.path().join("stubborn");
        fs::create_dir(&stubborn).expect("made");
        stack.push("one", undo).expect("pushed");
        stack
            .push("the stubborn one", Undo::RemoveFile { path: stubborn })
            .expect("pushed");
        let errors = stack.unwind();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].what, "the stubborn one");
        assert!(errors[0].how.contains("by hand"), "{}", errors[0]);
        assert!(!one.exists());
        assert_eq!(
            journal(folder.path()),
            ["owner", "push 1", "push 2", "failed 2", "done 1"]
        );
    }

    #[test]
    fn only_squalls_own_files_are_ever_removed() {
        let (folder, mut stack) = stack();
        for path in ["/etc/hostname", "/tmp/squall-x/../other", "/"] {
            assert!(
                stack
                    .push("a file", Undo::RemoveFile { path: path.into() })
                    .is_err(),
                "{path}"
            );
        }
        let elsewhere = tempfile::tempdir().expect("a folder");
        let (path, undo) = file(elsewhere.path(), "squall-page");
        stack.push("a page", undo).expect("pushed");
        let place = Place {
            folder: folder.path().into(),
            processes: Processes::Same,
        };
        let foreign = Undo::RemoveFile {
            path: elsewhere.path().join("page"),
        };
        assert!(foreign.perform(&place).is_err(), "also when a journal says so");
        assert_eq!(stack.unwind(), []);
        assert!(!path.exists());
    }

    #[test]
    fn only_squalls_own_proxies_on_this_machine_are_ever_deleted() {
        let place = Place {
            folder: "/".into(),
            processes: Processes::Same,
        };
        let delete = |api: &str, name: &str| {
            let undo = Undo::DeleteToxiproxyProxy {
                api: api.parse().expect("an address"),
                name: name.to_owned(),
            };
            undo.perform(&place)
        };
        for (api, name) in [
            ("192.0.2.7:8474", "squall-a-1-2.0.feed.ranking"),
            ("127.0.0.1:1", "feed"),
            ("127.0.0.1:1", "squall-a/../feed"),
        ] {
            let (why, how) = delete(api, name).expect_err(name);
            assert!(
                why == "squall makes no such proxy" && how.contains("by hand"),
                "{why}; {how}"
            );
        }
        // Whoever listened there is gone, and its proxies with it.
        assert_eq!(delete("127.0.0.1:1", "squall-a-1-2.0.feed.ranking"), Ok(()));
    }

    #[test]
    fn only_the_process_itself_is_killed() {
        let (_folder, mut stack) = stack();
        let mut child = Command::new("sleep").arg("1000").spawn().expect("sleep starts");
        let process = Identity::of(child.id().cast_signed()).expect("it runs");
        let other = Identity {
            start_time: process.start_time + 1,
            ..process
        };
        stack
            .push(
                "other",
                Undo::KillProcess {
                    process: other,
                    group: true,
                },
            )
            .expect("pushed");
        assert_eq!(stack.unwind(), []);
        assert!(process.is_alive());
        process.signal(Signal::STOP).expect("stopped");
        stack
            .push("it", Undo::KillProcess { process, group: true })
            .expect("pushed");
        assert_eq!(stack.unwind(), []);
        assert!(!process.is_alive());
        child.wait().expect("reaped");
    }

    #[test]
    fn processes_of_another_boot_are_gone_and_those_of_a_container_are_out_of_reach() {
        let own = Identity::own().expect("it runs");
        let undo = Undo::KillProcess {
            process: own,
            group: false,
        };
        let place = |processes| Place {
            folder: "/".into(),
            processes,
        };
        assert_eq!(undo.perform(&place(Processes::Gone)), Ok(()));
        assert!(undo.perform(&place(Processes::Elsewhere)).is_err());
    }
}
