//! Arrival processes: when requests are meant to be sent.
//!
//! A pacer lists intended send times as offsets from the start of its phase. The list depends only on what was asked for and
//! the seed: never on a clock, on responses, on other loads, or on how many threads share it. Each arrival is a pure function
//! of its number: where the rate changes, the inverse of the arrivals asked for so far ([`Curve`]). One file per process; a
//! new one is a file, a variant of [`PacerKind`] and a line in [`PacerKind::with`]. Nothing here may sleep or read a clock.

mod burst;
mod curve;
mod even;
mod grouped;
mod poisson;
mod ramp;
mod sine;
mod steady;
mod step;
mod trace;

pub use burst::Burst;
pub use curve::{Curve, Spread};
pub use even::Even;
pub use grouped::{APART_PER_S, Grouped, MOMENTS_PER_S};
pub use poisson::Poisson;
pub use ramp::Ramp;
pub use sine::Sine;
pub use step::{STAIRS_MAX, Step};
pub use trace::{ARRIVALS_MAX, Trace, TraceError};

use std::fmt;
use std::time::Duration;

use squall_model::seed::Seed;
use steady::Steady;

/// The highest rate that a load may ask for, in requests per second: more than one machine can send, and the queue of a load,
/// which may hold ten seconds of its rate, stays within a few hundred megabytes.
pub const RATE_PER_S_MAX: f64 = 1_000_000.0;

/// An arrival process. Those with fields have rates of their own; the others have the rate of their load.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum PacerKind {
    /// Arrivals at equal distances.
    #[default]
    Even,
    /// Arrivals independent of each other.
    Poisson,
    /// A rate that goes evenly from one to another.
    Ramp(Ramp),
    /// A rate that goes from one to another in stairs.
    Step(Step),
    /// A rate that swings around a mean.
    Sine(Sine),
    /// Many arrivals at once, again and again.
    Burst(Burst),
    /// Arrivals as they were recorded.
    Trace(Trace),
}

/// What every arrival process can say of itself.
trait Process {
    /// Whether it can be paced at all; the highest rate is checked by [`PacerKind::check`].
    fn check(&self) -> Result<(), PacerError>;

    /// The most arrivals that it asks for within any one second, give or take one.
    fn peak_per_s(&self) -> f64;

    /// The arrivals that it asks for in the first `length`: of a random process, on average.
    fn count_within(&self, length: Duration) -> f64;

    /// Its arrivals.
    fn pacer(&self, seed: Seed) -> Box<dyn Pacer>;
}

impl PacerKind {
    /// Shows the process to `see`; `rate_per_s` is only for those without rates of their own.
    fn with<T>(&self, rate_per_s: f64, see: impl FnOnce(&dyn Process) -> T) -> T {
        match self {
            PacerKind::Even => see(&Steady::new(rate_per_s, Spread::Even)),
            PacerKind::Poisson => see(&Steady::new(rate_per_s, Spread::Poisson)),
            PacerKind::Ramp(ramp) => see(ramp),
            PacerKind::Step(step) => see(step),
            PacerKind::Sine(sine) => see(sine),
            PacerKind::Burst(burst) => see(burst),
            PacerKind::Trace(trace) => see(trace),
        }
    }

    /// Whether it can be paced at `rate_per_s`, or at its own rates.
    pub fn check(&self, rate_per_s: f64) -> Result<(), PacerError> {
        check_rate(rate_per_s)?;
        self.with(rate_per_s, |process| {
            process.check()?;
            check_rate(process.peak_per_s())
        })
    }

    /// Whether it has rates of its own, and so needs none of its load.
    pub fn has_own_rates(&self) -> bool {
        !matches!(self, PacerKind::Even | PacerKind::Poisson)
    }

    /// Whether one with rates of its own can be paced.
    pub fn check_own(&self) -> Result<(), PacerError> {
        // Such a process looks at no other rate.
        self.check(1.0)
    }

    /// The most arrivals that it asks for within any one second, give or take one.
    pub fn peak_per_s(&self, rate_per_s: f64) -> f64 {
        self.with(rate_per_s, |process| process.peak_per_s())
    }

    /// The arrivals that it asks for in the first `length`; where they are drawn at random, on average.
    pub fn count_within(&self, rate_per_s: f64, length: Duration) -> f64 {
        self.with(rate_per_s, |process| process.count_within(length))
    }

    /// Whether how many arrivals come in a given time depends on the seed, by more than one.
    pub fn is_random(&self) -> bool {
        match self {
            PacerKind::Poisson => true,
            PacerKind::Ramp(Ramp { spread, .. })
            | PacerKind::Step(Step { spread, .. })
            | PacerKind::Sine(Sine { spread, .. }) => *spread == Spread::Poisson,
            PacerKind::Even | PacerKind::Burst(_) | PacerKind::Trace(_) => false,
        }
    }
}

impl fmt::Display for PacerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PacerKind::Even => f.write_str("even"),
            PacerKind::Poisson => f.write_str("poisson"),
            PacerKind::Ramp(ramp) => ramp.fmt(f),
            PacerKind::Step(step) => step.fmt(f),
            PacerKind::Sine(sine) => sine.fmt(f),
            PacerKind::Burst(burst) => burst.fmt(f),
            PacerKind::Trace(trace) => trace.fmt(f),
        }
    }
}

/// The intended send times of one phase.
pub trait Pacer: Send {
    /// The next arrival, in nanoseconds since the start of the phase; never before the one returned last. `None` once there
    /// is none left.
    fn next_arrival_ns(&mut self) -> Option<u64>;
}

/// Why a pacer could not be built.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum PacerError {
    /// The rate is zero, negative, not a number or beyond [`RATE_PER_S_MAX`].
    #[error("pacing at {0} requests/s: a rate must be above 0 and at most {RATE_PER_S_MAX}")]
    Rate(f64),
    /// A rate on the way is negative or not a number.
    #[error("pacing a {process}: {rate_per_s} requests/s is no rate")]
    NoRate {
        /// The process.
        process: &'static str,
        /// What was given.
        rate_per_s: f64,
    },
    /// Nothing would ever arrive.
    #[error("pacing a {0}: all its rates are zero; give it one above")]
    AllZero(&'static str),
    /// A time that must not be zero is.
    #[error("pacing a {process}: its {what} is zero; give it a longer one")]
    NoLength {
        /// The process.
        process: &'static str,
        /// Which time.
        what: &'static str,
    },
    /// A staircase has too few or too many stairs.
    #[error("pacing a step: {0} stairs; there must be 2 to {STAIRS_MAX}")]
    Stairs(u64),
    /// A burst of nothing.
    #[error("pacing bursts of {0}: a size must be above 0")]
    Size(f64),
    /// A wave would swing below zero.
    #[error(
        "pacing a sine: an amplitude of {amplitude_per_s} requests/s is more than the mean of {mean_per_s}"
    )]
    Amplitude {
        /// The mean rate.
        mean_per_s: f64,
        /// How far it would swing.
        amplitude_per_s: f64,
    },
    /// A trace is replayed at a speed that is none.
    #[error("pacing a trace: a speed of {0}; it must be above 0")]
    Speed(f64),
}

/// Builds a pacer. `seed` belongs to one load and one phase, so that no load changes another's arrivals; `rate_per_s` is only
/// for a process without rates of its own.
pub fn build(kind: &PacerKind, rate_per_s: f64, seed: Seed) -> Result<Box<dyn Pacer>, PacerError> {
    kind.check(rate_per_s)?;
    let pacer = kind.with(rate_per_s, |process| process.pacer(seed));
    // Bursts and traces say themselves what comes together.
    let own_moments = matches!(kind, PacerKind::Burst(_) | PacerKind::Trace(_));
    Ok(if own_moments || kind.peak_per_s(rate_per_s) <= APART_PER_S {
        pacer
    } else {
        Box::new(Grouped::new(pacer))
    })
}

/// Whether `rate_per_s` can be paced.
pub fn check_rate(rate_per_s: f64) -> Result<(), PacerError> {
    if rate_per_s > 0.0 && rate_per_s <= RATE_PER_S_MAX {
        Ok(())
    } else {
        Err(PacerError::Rate(rate_per_s))
    }
}

/// Whether `rates` can be gone through: none negative, and not all zero.
fn check_rates(process: &'static str, rates: [f64; 2]) -> Result<(), PacerError> {
    if let Some(&rate_per_s) = rates.iter().find(|rate| !(**rate >= 0.0 && rate.is_finite())) {
        return Err(PacerError::NoRate { process, rate_per_s });
    }
    if rates.iter().all(|rate| *rate <= 0.0) {
        return Err(PacerError::AllZero(process));
    }
    Ok(())
}

/// Whether a time that a process is built on is one.
fn check_length(process: &'static str, what: &'static str, length: Duration) -> Result<(), PacerError> {
    if length.is_zero() {
        Err(PacerError::NoLength { process, what })
    } else {
        Ok(())
    }
}

/// One thread's part of a pacer: of `ways` threads the one at `at` takes the arrivals whose number leaves the remainder `at`.
///
/// Every thread walks the whole list and keeps its part, so that the list itself is the same however many share it.
pub(crate) struct Share {
    pacer: Box<dyn Pacer>,
    skip: usize,
    ways: usize,
    number: u64,
}

impl Share {
    pub(crate) fn new(pacer: Box<dyn Pacer>, at: usize, ways: usize) -> Share {
        Share {
            pacer,
            skip: at,
            ways,
            number: 0,
        }
    }

    /// The next arrival of this part, with its number in the whole list.
    pub(crate) fn next(&mut self) -> Option<(u64, u64)> {
        for _ in 0..self.skip {
            self.pacer.next_arrival_ns()?;
            self.number += 1;
        }
        self.skip = self.ways - 1;
        let offset_ns = self.pacer.next_arrival_ns()?;
        self.number += 1;
        Some((self.number - 1, offset_ns))
    }
}

#[cfg(test)]
#[path = "pacer/tests.rs"]
mod tests;
