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
pub use split::{Draws, Shares, Split};
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
    /// Keys the hash under which [`Unique`] keeps texts.
    pub seed: u64,
    /// Bytes that the values kept may take; past it [`Unique`] keeps no new ones and can't pass any more.
    pub memory_max: usize,
    /// How long a request can take at most, in microseconds: the longest timeout of the loads. [`Monotonic`]
    /// forgets what was received longer ago.
    pub request_max_us: u64,
    /// How much later than a batch with newer responses a batch may come, in microseconds: the generator threads'
    /// hand-over interval with ample room.
    pub reorder_max_us: u64,
}

impl Default for Settings {
    /// 930 MiB, which holds 100 million values of any shape and leaves a process under 1 GiB; the loads' default
    /// timeout of 30 s; batches up to 2 s late.
    fn default() -> Self {
        Self {
            loads: Vec::new(),
            seed: 0,
            memory_max: 930 << 20,
            request_max_us: 30_000_000,
            reorder_max_us: 2_000_000,
        }
    }
}

/// A kind of invariant that a scenario can name.
#[derive(Clone, Copy, Debug)]
pub struct InvariantKind {
    /// As written in a scenario.
    pub name: &'static str,
    /// One line for `squall list`.
    pub about: &'static str,
    /// What it is judged on.
    pub source: Source,
}

/// What an invariant is judged on.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Values read from the responses that the load received, by the checker that this makes.
    Values(fn(Settings) -> Box<dyn Invariant>),
    /// Values, and the part of all that each is to be: [`Split`].
    Shares,
    /// Keys and their values: [`Sticky`].
    Keyed,
    /// Moments, and how many there may be in how long: [`Bound`].
    Moments,
    /// Changes of state that a service tells on its admin endpoint: [`Transitions`].
    Changes,
    /// Metrics that services tell, at the end of the run.
    Metrics,
}

/// Makes the checker of an invariant that looks at responses.
#[derive(Clone, Debug)]
pub enum Checker {
    /// One that takes nothing besides.
    Plain(fn(Settings) -> Box<dyn Invariant>),
    /// [`Split`].
    Split(Shares, Draws),
    /// [`Sticky`].
    Sticky,
    /// [`Bound`].
    Bound(Limit),
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn make(&self, settings: Settings) -> Box<dyn Invariant> {
        match self {
            Self::Plain(make) => make(settings),
            Self::Split(shares, draws) => Box::new(Split::new(settings, shares.clone(), *draws)),
            Self::Sticky => Box::new(Sticky::new(settings)),
            Self::Bound(limit) => Box::new(Bound::new(&settings, *limit)),
        }
    }
}

/// Every kind of invariant, in the order in which they are listed.
pub static INVARIANTS: &[InvariantKind] = &[
    InvariantKind {
        name: "unique",
        about: "no value is ever seen twice, over all loads that feed it",
        source: Source::Values(|settings| Box::new(Unique::new(settings))),
    },
    InvariantKind {
        name: "monotonic",
        about: "a request sent after a response came back gets greater values than that response had",
        source: Source::Values(|settings| Box::new(Monotonic::new(settings))),
    },
    InvariantKind {
        name: "nondecreasing",
        about: "a request sent after a response came back gets values that are not less than that response had",
        source: Source::Values(|settings| Box::new(Monotonic::nondecreasing(settings))),
    },
    InvariantKind {
        name: "agree",
        about: "the values in one response are all the same",
        source: Source::Values(|settings| Box::new(Agree::new(settings))),
    },
    InvariantKind {
        name: "split",
        about: "values come in given shares, as when traffic is split by weights",
        source: Source::Shares,
    },
    InvariantKind {
        name: "sticky",
        about: "a key always comes with the same value",
        source: Source::Keyed,
    },
    InvariantKind {
        name: "bound",
        about: "no stretch of a given length holds more than a given number of moments",
        source: Source::Moments,
    },
    InvariantKind {
        name: "transitions",
        about: "what a service tells of changes its state only as it may",
        source: Source::Changes,
    },
    InvariantKind {
        name: "reached",
        about: "the machinery under test engaged at least once, or the run proves nothing",
        source: Source::Metrics,
    },
];

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
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_kind_has_its_own_name_and_a_fresh_checker_never_passes() {
        let mut names: Vec<_> = INVARIANTS.iter().map(|kind| kind.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), INVARIANTS.len());
        let shares = || Shares::from([("a".to_owned(), 1.0)]);
        let limit = Limit {
            at_most: 1,
            per: Duration::from_secs(1),
        };
        for kind in INVARIANTS {
            let made = match kind.source {
                Source::Values(make) => Checker::Plain(make),
                Source::Shares => Checker::Split(shares(), Draws::Responses),
                Source::Keyed => Checker::Sticky,
                Source::Moments => Checker::Bound(limit),
                Source::Changes | Source::Metrics => continue,
            };
            let mut checker = made.make(Settings::default());
            assert!(checker.observe(&ObservedBatch::new(0)).is_empty());
            let outcome = checker.finish();
            assert_eq!(
                (outcome.checked, outcome.verdict),
                (0, Verdict::Unknown),
                "{}",
                kind.name
            );
            assert!(!outcome.reason.is_empty(), "{}", kind.name);
        }
    }

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
