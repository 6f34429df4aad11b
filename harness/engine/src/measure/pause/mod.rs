//! The kinds of pause: what each is called, what it counts, and who tells of it.
//!
//! A kind is one file and one line in [`KINDS`]. One that can't be seen of a process is listed with the reason; it is never
//! shown as zero, because a run-queue delay of zero says nothing of a collector.

pub mod collector;
pub mod gctrace;
pub mod hiccup;
pub mod jvm;
pub mod run_queue;
pub mod stopped;

use squall_model::record::Each;

/// A kind of pause.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// As it is called in the record, the series and expectations.
    pub name: &'static str,
    /// What it is, for a person.
    pub about: &'static str,
    /// Whether it counts single pauses or sums over intervals.
    pub each: Each,
}

/// All kinds, in the order in which they are told.
pub static KINDS: [&Kind; 5] = [
    &hiccup::KIND,
    &collector::GC,
    &collector::SAFEPOINT,
    &stopped::KIND,
    &run_queue::KIND,
];

/// A pause of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it ended, since the run's start.
    pub at_us: u64,
    /// How long it was.
    pub length_us: u64,
}
