//! Many arrivals at once, again and again.
//!
//! Burst `j = 0, 1, 2, ...` comes `j w` seconds after the start, the first with it, and arrival `i` belongs to burst
//! `ceil((i + 1) / s) - 1`, `s` being the size. A size that is no whole number, as scaling makes one, lets some bursts have one
//! more than others: the first `j` together have `floor(j s)`. Nothing is drawn: bursts stand where they were asked for, also
//! those of several loads.

use std::fmt;
use std::time::Duration;

use squall_model::seed::Seed;
use squall_model::units::human;

use super::{Pacer, PacerError, Process, check_length};

/// Bursts of one size at one distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burst {
    /// Arrivals in each, on average.
    pub size: f64,
    /// From one to the next.
    pub every: Duration,
}

impl Burst {
    /// The arrivals in the first `bursts`.
    fn first(&self, bursts: f64) -> f64 {
        (self.size * bursts).floor()
    }
}

impl Process for Burst {
    fn check(&self) -> Result<(), PacerError> {
        if self.size <= 0.0 || !self.size.is_finite() {
            return Err(PacerError::Size(self.size));
        }
        check_length("burst", "distance", self.every)
    }

    fn peak_per_s(&self) -> f64 {
        self.size * (1.0 / self.every.as_secs_f64()).ceil().max(1.0)
    }

    fn count_within(&self, length: Duration) -> f64 {
        self.first((length.as_secs_f64() / self.every.as_secs_f64()).ceil())
    }

    fn pacer(&self, _seed: Seed) -> Box<dyn Pacer> {
        Box::new(Bursts {
            burst: *self,
            count: 0,
        })
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = human::number(self.size);
        write!(f, "bursts of {size} every {}", human::duration(self.every))
    }
}

struct Bursts {
    burst: Burst,
    count: u64,
}

impl Pacer for Bursts {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        self.count += 1;
        let burst = (self.count as f64 / self.burst.size).ceil() as u64 - 1;
        let at_ns = u128::from(burst) * self.burst.every.as_nanos();
        u64::try_from(at_ns).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(size: f64, every_ms: u64, count: usize) -> Vec<u64> {
        let every = Duration::from_millis(every_ms);
        let mut pacer = Burst { size, every }.pacer(Seed::new(7));
        (0..count)
            .map(|_| pacer.next_arrival_ns().unwrap() / 1_000_000)
            .collect()
    }

    #[test]
    fn arrivals_stand_where_the_formula_has_them() {
        let table: &[(f64, u64, &[u64])] = &[
            (3.0, 50, &[0, 0, 0, 50, 50, 50, 100]),
            (1.0, 20, &[0, 20, 40]),
            // Two and three in turn; one in every second.
            (2.5, 10, &[0, 0, 10, 10, 10, 20, 20, 30, 30, 30]),
            (0.5, 10, &[10, 30, 50]),
        ];
        for (size, every_ms, expected) in table {
            assert_eq!(times(*size, *every_ms, expected.len()), *expected, "{size}");
        }
    }

    #[test]
    fn the_count_within_a_time_is_that_of_its_arrivals() {
        for (size, every_ms) in [(100.0, 1_000), (7.3, 90), (0.4, 3)] {
            let every = Duration::from_millis(every_ms);
            for length_ms in [1, every_ms, every_ms + 1, 2_000] {
                let length = Duration::from_millis(length_ms);
                let counted = times(size, every_ms, 10_000)
                    .iter()
                    .filter(|ms| **ms < length_ms)
                    .count();
                let told = Burst { size, every }.count_within(length);
                assert_eq!(
                    told as usize, counted,
                    "{size} each {every_ms} ms in {length_ms} ms"
                );
            }
        }
    }

    #[test]
    fn bursts_that_are_none_are_refused() {
        let every = Duration::from_secs(1);
        assert!(Burst { size: 0.0, every }.check().is_err());
        assert!(
            Burst {
                size: f64::NAN,
                every
            }
            .check()
            .is_err()
        );
        let no_time = Burst {
            size: 5.0,
            every: Duration::ZERO,
        };
        assert!(no_time.check().is_err());
        assert!(Burst { size: 5.0, every }.check().is_ok());
    }
}
