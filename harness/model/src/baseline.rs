//! Stored baselines: what earlier runs of a scenario measured on one machine, kept in a small file that git can carry.
//!
//! A file holds entries, the oldest first. An entry is one run, or the medians of several runs of the same thing. Here are the shape of
//! the file and the rules of its entries; what is read off a run, and what a run is held to, is decided elsewhere. Nothing here
//! opens a file or asks a clock.

mod file;
mod fingerprint;
mod held;
mod meaning;
mod values;

use serde::{Deserialize, Serialize};

use crate::record::Machine;

pub use file::{BYTES_MAX, FileError};
pub use fingerprint::{fingerprint, is_fingerprint};
pub use held::{HeldTo, Spread};
pub use meaning::meaning;
pub use values::{Key, Values, dimension};

/// Version of the file's shape.
pub const SCHEMA: u32 = 1;

/// The most entries that are kept: the oldest go.
pub const ENTRIES_MAX: usize = 200;

/// What is stored of one scenario on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The scenario's name.
    pub scenario: String,
    /// The machine, as the newest entry's runs recorded it.
    pub machine: Machine,
    /// What was stored, the oldest first; at least one.
    pub entries: Vec<Entry>,
}

/// What was stored at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it was stored, RFC 3339 in UTC.
    pub saved_at: String,
    /// When the newest of its runs began, RFC 3339 in UTC.
    pub measured_at: String,
    /// The revision of its runs.
    pub revision: String,
    /// The folders of its runs, by their own names; at least one.
    pub runs: Vec<String>,
    /// The root seed of each.
    pub seeds: Vec<u64>,
    /// What the scenario did, as a hash: see [`meaning`].
    pub meaning: String,
    /// What was measured: of several runs the medians, of what each of them has.
    pub values: Values,
}

/// Why an entry is not added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// A run is in an earlier entry: counted twice, it would make runs look more alike than they are.
    #[error("the run {run} is stored already, in the entry of {saved_at}")]
    Known {
        /// The run.
        run: String,
        /// When that entry was saved.
        saved_at: String,
    },
}

impl Baseline {
    /// The fingerprint of its machine.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.machine)
    }

    /// The entry that counts: the one that was stored last.
    pub fn newest(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Adds an entry of `machine`, and lets the oldest go where there are too many; says how many went.
    ///
    /// # Errors
    ///
    /// That one of its runs is in another entry.
    pub fn add(&mut self, machine: Machine, entry: Entry) -> Result<usize, AddError> {
        for known in &self.entries {
            if let Some(run) = entry.runs.iter().find(|run| known.runs.contains(run)) {
                return Err(AddError::Known {
                    run: run.clone(),
                    saved_at: known.saved_at.clone(),
                });
            }
        }
        self.machine = machine;
        self.entries.push(entry);
        let gone = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..gone);
        Ok(gone)
    }

    /// The newest entries that were made by a scenario that does the same as that of the newest, the oldest first: what a trend may be
    /// drawn through. Older ones are of another thing.
    pub fn comparable(&self) -> &[Entry] {
        comparable(&self.entries)
    }
}

/// See [`Baseline::comparable`].
pub fn comparable(entries: &[Entry]) -> &[Entry] {
    let Some(newest) = entries.last() else {
        return entries;
    };
    let other = entries.iter().rposition(|entry| entry.meaning != newest.meaning);
    &entries[other.map_or(0, |at| at + 1)..]
}

#[cfg(test)]
mod tests;
