//! Arrival processes: when requests are meant to be sent.
//!
//! A pacer lists intended send times as offsets from the start of its phase. The list depends only on the rate and the
//! seed: never on a clock, on responses, or on how many threads share it. One file per process; a new one is a file, a
//! variant of [`PacerKind`] and a line in [`build`]. Nothing here may sleep or read a clock.

mod even;
mod poisson;

pub use even::Even;
pub use poisson::Poisson;

use squall_model::seed::Seed;

/// The highest rate that a load may ask for, in requests per second: more than one machine can send, and the queue of a load,
/// which may hold ten seconds of its rate, stays within a few hundred megabytes.
pub const RATE_PER_S_MAX: f64 = 1_000_000.0;

/// An arrival process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacerKind {
    /// Arrivals at equal distances.
    #[default]
    Even,
    /// Arrivals independent of each other.
    Poisson,
}

impl PacerKind {
    /// Every arrival process: its name in a scenario, and a line about it.
    pub const ALL: [(&'static str, &'static str, PacerKind); 2] = [
        ("even", "arrivals at equal distances", PacerKind::Even),
        (
            "poisson",
            "arrivals independent of each other, as from many unrelated callers",
            PacerKind::Poisson,
        ),
    ];
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
}

/// Builds a pacer. `seed` belongs to one load and one phase, so that no load changes another's arrivals.
pub fn build(kind: PacerKind, rate_per_s: f64, seed: Seed) -> Result<Box<dyn Pacer>, PacerError> {
    check_rate(rate_per_s)?;
    Ok(match kind {
        PacerKind::Even => Box::new(Even::new(rate_per_s, seed)),
        PacerKind::Poisson => Box::new(Poisson::new(rate_per_s, seed)),
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
mod tests {
    use super::*;

    #[test]
    fn rates_that_cannot_be_paced_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, RATE_PER_S_MAX * 1.01] {
            assert!(build(PacerKind::Even, rate, Seed::new(1)).is_err(), "{rate}");
        }
        assert!(build(PacerKind::Poisson, RATE_PER_S_MAX, Seed::new(1)).is_ok());
    }

    #[test]
    fn parts_for_any_number_of_threads_make_up_the_same_list() {
        let whole: Vec<u64> = {
            let mut pacer = build(PacerKind::Poisson, 1_000.0, Seed::new(7)).unwrap();
            (0..1_000).map(|_| pacer.next_arrival_ns().unwrap()).collect()
        };
        for ways in [1, 2, 3, 7] {
            let mut joined = Vec::new();
            for at in 0..ways {
                let mut share = Share::new(
                    build(PacerKind::Poisson, 1_000.0, Seed::new(7)).unwrap(),
                    at,
                    ways,
                );
                joined.extend((0..1_000 / ways).map(|_| share.next().unwrap()));
            }
            joined.sort_unstable();
            for (number, offset_ns) in joined {
                assert_eq!(
                    whole[number as usize], offset_ns,
                    "arrival {number} with {ways} threads"
                );
            }
        }
    }
}
