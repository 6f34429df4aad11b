//! The file of a baseline: JSON, an entry on each line, so that git shows what was added and nothing else.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{Baseline, Entry, SCHEMA, fingerprint};
use crate::record::Machine;

/// The most that is read of a file: it is far more than one with all its entries has.
pub const BYTES_MAX: u64 = 32 << 20;

/// Why a text is no baseline.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is no JSON, or not of this shape.
    #[error("it is no stored baseline: {0}")]
    Shape(#[from] serde_json::Error),
    /// It is of another version.
    #[error("it has schema {found}, this squall reads schema {SCHEMA}")]
    Schema {
        /// Its version.
        found: u32,
    },
    /// It says nothing.
    #[error("it has no entry")]
    Empty,
    /// An entry is of no run.
    #[error("its entry {number} names no run")]
    NoRun {
        /// Which, from 1.
        number: usize,
    },
    /// What it says of its machine is not what its machine's fingerprint says.
    #[error("it says that its machine is {said}, and describes {is}")]
    Machine {
        /// As written.
        said: String,
        /// As follows from the description.
        is: String,
    },
}

#[derive(Deserialize)]
struct Head {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct Described {
    fingerprint: String,
    #[serde(flatten)]
    machine: Machine,
}

#[derive(Deserialize)]
struct Document {
    scenario: String,
    machine: Described,
    entries: Vec<Entry>,
}

impl Baseline {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// That it is none of this version, or contradicts itself.
    pub fn read(text: &str) -> Result<Baseline, FileError> {
        let head: Head = serde_json::from_str(text)?;
        if head.schema != SCHEMA {
            return Err(FileError::Schema { found: head.schema });
        }
        let Document {
            scenario,
            machine,
            entries,
        } = serde_json::from_str(text)?;
        if entries.is_empty() {
            return Err(FileError::Empty);
        }
        if let Some(at) = entries.iter().position(|entry| entry.runs.is_empty()) {
            return Err(FileError::NoRun { number: at + 1 });
        }
        let is = fingerprint(&machine.machine);
        if machine.fingerprint != is {
            return Err(FileError::Machine {
                said: machine.fingerprint,
                is,
            });
        }
        Ok(Baseline {
            scenario,
            machine: machine.machine,
            entries,
        })
    }

    /// The text of the file: the same for the same baseline.
    pub fn text(&self) -> String {
        let machine = Described {
            fingerprint: self.fingerprint(),
            machine: self.machine.clone(),
        };
        let mut text = String::from("{\n");
        let _ = writeln!(text, "  \"schema\": {SCHEMA},");
        let _ = writeln!(text, "  \"scenario\": {},", line(&self.scenario));
        let _ = writeln!(text, "  \"machine\": {},", line(&machine));
        text.push_str("  \"entries\": [\n");
        for (at, entry) in self.entries.iter().enumerate() {
            let comma = if at + 1 < self.entries.len() { "," } else { "" };
            let _ = writeln!(text, "    {}{comma}", line(entry));
        }
        text.push_str("  ]\n}\n");
        text
    }
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain values with text keys")
}
