//! Why there are no two arms, in words that say what, where and what to do, and the exit code that it amounts to.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use squall_model::exit::Exit;

use super::accept::AcceptError;
use super::settings::SettingsError;
use crate::output;

/// Why there are no two arms.
#[derive(Debug, thiserror::Error)]
pub enum ArmsError {
    /// There is no git to ask.
    #[error(
        "there is no `git` on the PATH, and the base is found and checked out with it; install git, or give both arms as commands or addresses"
    )]
    GitMissing,
    /// Git said no.
    #[error("{doing}: git says: {words}")]
    Git {
        /// What was being done, with what.
        doing: String,
        /// Git's own words.
        words: String,
    },
    /// Git gave no answer.
    #[error("{doing}: git gave no answer within {}", seconds(*.within))]
    GitSlow {
        /// What was being done, with what.
        doing: String,
        /// How long it had.
        within: Duration,
    },
    /// The scenario is in no repository.
    #[error("{} is in no git repository, so there is no base to build; what is gated has to be in the repository of what it measures, or give both arms as commands or addresses", .folder.display())]
    NotARepository {
        /// The scenario's folder.
        folder: PathBuf,
    },
    /// Nothing is committed yet.
    #[error("the repository {} has no commit yet, so there is no base to hold the working tree against", .root.display())]
    Unborn {
        /// The repository's root.
        root: PathBuf,
    },
    /// What can't be the name of a revision.
    #[error("`{revision}` can't be a revision: the name of one is not empty and begins with no `-`")]
    NoName {
        /// As it was given.
        revision: String,
    },
    /// A revision that the repository doesn't know.
    #[error("the repository {} knows no revision `{revision}`; {help}", .root.display())]
    UnknownRevision {
        /// The repository's root.
        root: PathBuf,
        /// As it was given.
        revision: String,
        /// What to do.
        help: String,
    },
    /// The history that is there does not reach back to where the two parted.
    #[error(
        "this clone is shallow, and what is there of its history does not reach back to where HEAD and `{revision}` parted; run `git fetch --unshallow`, or in a pipeline check out with `fetch-depth: 0` (GitHub) or `GIT_DEPTH: 0` (GitLab)"
    )]
    Shallow {
        /// As it was given.
        revision: String,
    },
    /// They never were one.
    #[error(
        "HEAD and `{revision}` have no commit in common, so there is no base; name a revision that the work began from"
    )]
    Unrelated {
        /// As it was given.
        revision: String,
    },
    /// A submodule of the base that this clone can't give.
    #[error("the base has the submodule {} at {commit}, which is not in this clone; run `git -C {} fetch --tags origin {commit}` first", .path.display(), .owner.display())]
    Submodule {
        /// Where it is checked out, below the root.
        path: PathBuf,
        /// The candidate's checkout of it.
        owner: PathBuf,
        /// The commit that the base has of it.
        commit: String,
    },
    /// A file or folder.
    #[error("{doing} {}: {source}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program that could be neither started nor waited for.
    #[error("running `{program}`: {source}")]
    Program {
        /// The program.
        program: String,
        /// The system's answer.
        source: io::Error,
    },
    /// Another gate did not finish its builds.
    #[error("another gate of this repository has been building for {}; wait for it, or end it (it holds {})", seconds(*.waited), .lock.display())]
    Busy {
        /// How long this one waited.
        waited: Duration,
        /// What the other holds.
        lock: PathBuf,
    },
    /// `squall.toml` is wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A commit accepts something in a form that can't be read.
    #[error(transparent)]
    Accept(#[from] AcceptError),
    /// Both arms would be built into one folder.
    #[error(
        "`{command}` would build both arms into {folder}, and one would be taken for the other; leave `--target-dir` out, or name a folder below the arm's root"
    )]
    SharedTarget {
        /// The command.
        command: String,
        /// What it says.
        folder: String,
    },
    /// What builds the candidate is not on this machine.
    #[error(
        "the candidate is built with `{command}`, and there is no program `{program}`; install it, or say how to build under `gate: build:` of the scenario or in squall.toml"
    )]
    BuildProgram {
        /// The whole command.
        command: String,
        /// What is missing.
        program: String,
    },
    /// The working tree does not build.
    #[error("the candidate does not build: {0}")]
    CandidateBuild(BuildFailure),
    /// The base does not build: there is nothing to hold the candidate against.
    #[error("the base does not build: {0}")]
    BaseBuild(BuildFailure),
    /// Ctrl-C, or SIGTERM.
    #[error("interrupted")]
    Stopped(Exit),
}

impl ArmsError {
    /// The exit code it amounts to. For [`ArmsError::BaseBuild`] a gate decides otherwise: it has no base, says so, and passes.
    pub fn exit(&self) -> Exit {
        match self {
            ArmsError::NoName { .. } | ArmsError::UnknownRevision { .. } => Exit::Usage,
            ArmsError::GitMissing | ArmsError::BuildProgram { .. } => Exit::MissingCapability,
            ArmsError::Stopped(exit) => *exit,
            _ => Exit::Internal,
        }
    }

    /// For `map_err` of what reads and writes files.
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> ArmsError {
        let path = path.into();
        move |source| ArmsError::File { doing, path, source }
    }
}

/// How a build failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFailure {
    /// The command, as it would be typed.
    pub command: String,
    /// Where it ran.
    pub root: PathBuf,
    /// How it ended: `exited with 101`, `took longer than 30 min`.
    pub ending: String,
    /// Its whole output.
    pub log: PathBuf,
    /// The last lines of it.
    pub last_lines: Vec<String>,
}

impl fmt::Display for BuildFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {} {}", self.command, self.root.display(), self.ending)?;
        if self.last_lines.is_empty() {
            return write!(f, " and printed nothing");
        }
        write!(
            f,
            "; the whole output is in {}, its last lines are",
            self.log.display()
        )?;
        for line in &self.last_lines {
            write!(f, "\n  {}", output::harmless(&line.replace('\t', "    ")))?;
        }
        Ok(())
    }
}

/// A bound in words.
pub fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        whole if whole >= 120 && whole % 60 == 0 => format!("{} min", whole / 60),
        whole if whole > 0 => format!("{whole} s"),
        _ => format!("{} ms", duration.as_millis()),
    }
}
