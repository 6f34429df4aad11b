//! What the generator tells whoever watches it: rare things, each told once.

use std::fmt;

/// What is done about a step back of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defence {
    /// Wait for the clock to catch up, reading it again and again.
    Spin,
    /// Wait for the clock to catch up, asleep.
    Sleep,
    /// Go on without the wall clock.
    Backup,
    /// Issue no id until the clock has caught up.
    Reject,
    /// Nothing: only where that bug was planted.
    Ignore,
}

impl fmt::Display for Defence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spin => "spin",
            Self::Sleep => "sleep",
            Self::Backup => "backup",
            Self::Reject => "reject",
            Self::Ignore => "ignore",
        })
    }
}

/// Something that happened to a generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incident {
    /// The clock was seen to have stepped back. Told once per step, however many ids wait for it.
    Rollback {
        /// By how much, in milliseconds.
        step_ms: u64,
        /// How far the clock now is behind the last id, in milliseconds.
        behind_ms: u64,
        /// What is done about it.
        defence: Defence,
    },
    /// The clock stands still although time passes.
    Stalled {
        /// For how long it has been waited for, in milliseconds.
        waited_ms: u64,
        /// What is done about it.
        defence: Defence,
    },
    /// The backup sequencer has taken over.
    BackupEntered,
    /// The wall clock has caught up and is in charge again.
    BackupLeft {
        /// How long the backup sequencer was in charge, in milliseconds.
        lasted_ms: u64,
    },
    /// All ids of a millisecond are taken; the next one waits for the next millisecond.
    SequenceExhausted,
    /// The mark could not be forced to disk: ids might repeat after a loss of power, though not after a crash.
    SyncFailed {
        /// What the system said.
        reason: String,
    },
}

/// Someone who watches a generator. Called in the midst of issuing ids, so it must return soon.
pub trait Observe: Send + Sync {
    /// Takes note of an incident.
    fn note(&self, incident: &Incident);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn note(&self, _: &Incident) {}
}
