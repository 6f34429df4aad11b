//! The generic invariant checkers: what must hold over everything that the load saw.
//!
//! A checker is fed batches of observations and says what it found. It never reads a clock, a file or a socket,
//! starts no thread and never trusts what a service says of itself: the supervisor runs it on a thread of its own.
//! Its memory is bounded; where that makes it forget, its verdict says so instead of passing.

use std::fmt;

use squall_model::observation::ObservedBatch;

mod agree;
mod bound;
mod chunk;
mod keyed;
mod monotonic;
mod run_set;
mod split;
mod sticky;
mod timeline;
mod transitions;
mod unique;

pub use agree::Agree;
pub use bound::{Bound, Limit};
pub use monotonic::Monotonic;
pub use split::{Draws, Shares, Split, SplitRecipe};
pub use sticky::Sticky;
pub use transitions::{Arrow, ArrowError, Heard, Transitions};
pub use unique::Unique;

/// A property of everything that one or more loads observe.
pub trait Invariant: Send {
    /// Takes one batch and returns the violations found by now, at most [`REPORTED_MAX`] a call; further ones only
    /// count.
    fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation>;

    /// Checks what is still held back and returns the result. Nothing may be observed afterwards; asking again
    /// gives the same result with an empty `last`.
    fn finish(&mut self) -> Outcome;
}

/// Bytes that all checkers together may keep: 930 MiB, which holds 100 million values of any shape and leaves a process under 1 GiB.
pub const MEMORY_MAX: usize = 930 << 20;

/// Most violations that one call spells out.
pub const REPORTED_MAX: usize = 16;

/// Most examples that an outcome keeps.
pub const EXAMPLES_MAX: usize = 10;

/// One breach, in words for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The value, when and by which load it was seen, and what it contradicts.
    pub text: String,
    /// When the contradicting response was received, in microseconds since the run began.
    pub at_us: u64,
}

/// What a checker found over a whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Values seen.
    pub checked: u64,
    /// Violations, all counted where only some were spelled out.
    pub violations: u64,
    /// Whether the invariant held.
    pub verdict: Verdict,
    /// Why what was seen, or kept, doesn't suffice for a pass; empty where it does. Beside a fail it means that
    /// there may be more violations than were counted.
    pub reason: String,
    /// The first violations found, at most [`EXAMPLES_MAX`].
    pub examples: Vec<String>,
    /// Violations found only by [`Invariant::finish`], at most [`REPORTED_MAX`]; they belong on the timeline like
    /// those that [`Invariant::observe`] returns.
    pub last: Vec<Violation>,
}

/// Whether an invariant held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It held over every value seen.
    Pass,
    /// It was violated at least once.
    Fail,
    /// Nothing contradicts it, but too little was seen, or kept, to say that it held.
    Unknown,
}

impl Verdict {
    /// The word used in the run record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

/// What a checker needs to know of the run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names of the loads, by the index that batches carry.
    pub loads: Vec<String>,
    /// Keys the hash under which texts are kept.
    pub seed: u64,
    /// Bytes that what one checker keeps may take; past it a checker that has to keep more can't pass any more.
    pub memory_max: usize,
    /// How long a request can take at most, in microseconds: the longest timeout of the loads. [`Monotonic`]
    /// forgets what was received longer ago.
    pub request_max_us: u64,
    /// How much later than a batch with newer responses a batch may come, in microseconds: the generator threads'
    /// hand-over interval with ample room.
    pub reorder_max_us: u64,
}

impl Default for Settings {
    /// [`MEMORY_MAX`] for one checker; the loads' default timeout of 30 s; batches up to 2 s late.
    fn default() -> Self {
        Self {
            loads: Vec::new(),
            seed: 0,
            memory_max: MEMORY_MAX,
            request_max_us: 30_000_000,
            reorder_max_us: 2_000_000,
        }
    }
}

/// Makes a checker that takes nothing besides the values.
pub type Make = fn(Settings) -> Box<dyn Invariant>;

/// An invariant over values in responses, as it is planned: what makes its checker.
pub trait Recipe: fmt::Debug + Send + Sync {
    /// A checker that has seen nothing.
    fn make(&self, settings: Settings) -> Box<dyn Invariant>;
}

impl Recipe for Make {
    fn make(&self, settings: Settings) -> Box<dyn Invariant> {
        self(settings)
    }
}

/// Counts violations, keeps the first as examples and holds those that the current call will return.
#[derive(Debug, Default)]
struct Findings {
    violations: u64,
    examples: Vec<String>,
    reported: Vec<Violation>,
}

impl Findings {
    /// Whether this call can still spell one out; where it can't, making its text would be wasted.
    fn has_room(&self) -> bool {
        self.reported.len() < REPORTED_MAX
    }

    /// Counts violations that are not spelled out.
    fn count(&mut self, violations: u64) {
        self.violations += violations;
    }

    /// Spells one out that has been counted, where there's room.
    fn report(&mut self, violation: Violation) {
        if !self.has_room() {
            return;
        }
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(violation.text.clone());
        }
        self.reported.push(violation);
    }

    /// Ends a call: what it found, oldest first.
    fn take_reported(&mut self) -> Vec<Violation> {
        let mut reported = std::mem::take(&mut self.reported);
        reported.sort_by_key(|violation| violation.at_us);
        reported
    }

    /// The outcome; `doubt` says why the absence of violations proves nothing.
    fn outcome(&mut self, checked: u64, doubt: Option<String>) -> Outcome {
        let verdict = match doubt {
            _ if self.violations > 0 => Verdict::Fail,
            Some(_) => Verdict::Unknown,
            None => Verdict::Pass,
        };
        Outcome {
            checked,
            violations: self.violations,
            verdict,
            reason: doubt.unwrap_or_default(),
            examples: self.examples.clone(),
            last: self.take_reported(),
        }
    }
}

/// A moment of the run as `12.345678 s`: as many decimals as the clock has, as ids may repeat within a
/// millisecond.
struct Moment(u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// The name of a load, or its number where the plan gave none.
fn load_name(loads: &[String], load: u16) -> String {
    loads
        .get(usize::from(load))
        .cloned()
        .unwrap_or_else(|| format!("load {load}"))
}

/// A value cut to a length that fits a line of a report.
fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{:?}… ({} bytes)", &text[..cut], text.len()),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_unprintable_values_stay_on_a_line() {
        assert_eq!(shortened("id-1"), r#""id-1""#);
        assert_eq!(shortened("a\nb"), r#""a\nb""#);
        let long = shortened(&"é".repeat(500));
        assert!(
            long.chars().count() < 110 && long.ends_with("(1000 bytes)"),
            "{long}"
        );
    }
}
