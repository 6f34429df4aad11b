//! A rate that goes from one to another in stairs of one length, and stays on the last.
//!
//! Stair `j = 0 .. m-1` has the rate `r(j) = a + j (b - a) / (m - 1)` from `j w` to `(j + 1) w` seconds. Before it come
//! `L(j w) = w (j a + (b - a) / (m - 1) · j (j - 1) / 2)` arrivals; on it, `n` is reached after `j w + (n - L(j w)) / r(j)`.

use std::fmt;
use std::time::Duration;

use squall_model::seed::Seed;
use squall_model::units::human;

use super::curve::Along;
use super::{Curve, Pacer, PacerError, Process, Spread, check_length, check_rates};

/// The most stairs.
pub const STAIRS_MAX: u32 = 100_000;

/// From one rate to another in stairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Requests per second on the first stair.
    pub from_per_s: f64,
    /// Requests per second on the last stair, and from then on.
    pub to_per_s: f64,
    /// How many there are: 2 to [`STAIRS_MAX`].
    pub stairs: u32,
    /// How long each lasts.
    pub every: Duration,
    /// How arrivals are spread along the rate.
    pub spread: Spread,
}

impl Step {
    /// What each stair adds.
    fn rise(&self) -> f64 {
        (self.to_per_s - self.from_per_s) / f64::from(self.stairs - 1)
    }

    fn rate(&self, stair: u32) -> f64 {
        // The last is exact, so that a staircase down to nothing ends there.
        if stair + 1 >= self.stairs {
            self.to_per_s
        } else {
            self.from_per_s + f64::from(stair) * self.rise()
        }
    }

    /// The arrivals before `stair`.
    fn before(&self, stair: u32) -> f64 {
        let stair = f64::from(stair);
        let sum = stair * self.from_per_s + self.rise() * stair * (stair - 1.0) / 2.0;
        sum * self.every.as_secs_f64()
    }
}

impl Curve for Step {
    fn count_at(&self, at_s: f64) -> f64 {
        let every_s = self.every.as_secs_f64();
        let stair = ((at_s / every_s) as u32).min(self.stairs - 1);
        self.before(stair) + (at_s - f64::from(stair) * every_s) * self.rate(stair)
    }

    fn reached_s(&self, count: f64) -> f64 {
        // The last stair before which fewer have come: a search among at most STAIRS_MAX, so 17 steps.
        let (mut low, mut high) = (0, self.stairs - 1);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.before(middle) < count {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        let start_s = f64::from(low) * self.every.as_secs_f64();
        let rest = count - self.before(low);
        match self.rate(low) {
            rate if rate > 0.0 => start_s + rest.max(0.0) / rate,
            // A first stair of nothing: the arrival at which the next one begins.
            _ if rest <= 0.0 && low + 1 < self.stairs => start_s + self.every.as_secs_f64(),
            _ => f64::INFINITY,
        }
    }
}

impl Process for Step {
    fn check(&self) -> Result<(), PacerError> {
        if !(2..=STAIRS_MAX).contains(&self.stairs) {
            return Err(PacerError::Stairs(u64::from(self.stairs)));
        }
        check_rates("step", [self.from_per_s, self.to_per_s])?;
        check_length("step", "stair", self.every)
    }

    fn peak_per_s(&self) -> f64 {
        self.from_per_s.max(self.to_per_s)
    }

    fn count_within(&self, length: Duration) -> f64 {
        self.count_at(length.as_secs_f64())
    }

    fn pacer(&self, seed: Seed) -> Box<dyn Pacer> {
        Box::new(Along::new(*self, self.spread, seed))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (human::rate(self.from_per_s), human::rate(self.to_per_s));
        let (stairs, every) = (self.stairs, human::duration(self.every));
        write!(f, "{stairs} stairs of {every} from {from} to {to}")?;
        f.write_str(self.spread.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from_per_s: f64, to_per_s: f64, stairs: u32) -> Step {
        Step {
            from_per_s,
            to_per_s,
            stairs,
            every: Duration::from_secs(2),
            spread: Spread::Even,
        }
    }

    #[test]
    fn arrivals_stand_where_the_formula_has_them() {
        // (step, count, seconds): stairs of two seconds.
        let table = [
            // 10/s, 20/s, 30/s.
            (step(10.0, 30.0, 3), 5.0, 0.5),
            (step(10.0, 30.0, 3), 20.0, 2.0),
            (step(10.0, 30.0, 3), 40.0, 3.0),
            (step(10.0, 30.0, 3), 75.0, 4.5),
            (step(10.0, 30.0, 3), 120.0, 6.0),
            // It stays on the last stair.
            (step(10.0, 30.0, 3), 180.0, 8.0),
            // Down, and up from nothing.
            (step(30.0, 10.0, 2), 70.0, 3.0),
            (step(0.0, 10.0, 2), 5.0, 2.5),
        ];
        for (step, count, at_s) in table {
            let reached_s = step.reached_s(count);
            assert!(
                (reached_s - at_s).abs() < 1e-9,
                "{step:?}: {count} at {reached_s} s"
            );
            assert!((step.count_at(at_s) - count).abs() < 1e-6, "{step:?} at {at_s} s");
        }
    }

    #[test]
    fn stairs_down_to_nothing_end_and_stairs_up_from_nothing_begin_late() {
        let ends = step(10.0, 0.0, 2);
        assert!(ends.reached_s(19.99).is_finite());
        assert!(ends.reached_s(20.5).is_infinite());
        assert!(step(0.0, 10.0, 2).reached_s(0.0) >= 2.0);
    }

    #[test]
    fn stairs_that_are_none_are_refused() {
        assert!(step(1.0, 2.0, 1).check().is_err());
        assert!(step(1.0, 2.0, STAIRS_MAX + 1).check().is_err());
        assert!(step(0.0, 0.0, 3).check().is_err());
        let every = Duration::ZERO;
        assert!(
            Step {
                every,
                ..step(1.0, 2.0, 3)
            }
            .check()
            .is_err()
        );
        assert!(step(0.0, 2.0, 3).check().is_ok());
    }
}
