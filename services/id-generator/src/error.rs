//! Why no id could be issued, and why a node's state could not be opened or kept.

use std::io;
use std::path::PathBuf;

/// Why no id was issued.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// The clock stepped back by 50 ms or more and the policy is to reject. The text is part of the service's contract.
    #[error("clock moved backward, reject ID generation")]
    ClockMovedBackward,
    /// The clock has not moved although time has passed, and the policy is to reject.
    #[error("clock stands still, reject ID generation")]
    ClockStandsStill,
    /// The clock is past what 41 bits of milliseconds hold.
    #[error("clock is beyond the year 2093, which ids cannot express; set it right")]
    ClockBeyondLayout,
    /// The mark that keeps ids unique across restarts could not be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a node's state file could not be used. Whatever the cause, no id is issued that it does not cover.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Reading, writing or making it failed.
    #[error("cannot {doing} {path}: {source}; see that the disk has space and that the file is writable")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process, or another generator of this one, holds it.
    #[error("{path} is held by another process; stop it, or give this one another node or data folder")]
    Held {
        /// The file.
        path: PathBuf,
    },
    /// It is not a state file, or it was damaged.
    #[error(
        "{path} is damaged: {what}; restore it, or remove it once the clock is past every id that node {node} ever issued"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
        /// The node it should belong to.
        node: u16,
    },
    /// It was written by a version with another record.
    #[error(
        "{path} has layout version {found}, this program reads {expected}; use the program that wrote it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: u32,
        /// The version this program reads.
        expected: u32,
    },
    /// It belongs to another node.
    #[error(
        "{path} belongs to node {found}, not to node {expected}; start with node={found} or use another data folder"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The node it names.
        found: u32,
        /// The node that was asked for.
        expected: u16,
    },
}
