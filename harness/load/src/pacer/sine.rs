//! A rate that swings around a mean.
//!
//! `r(t) = m + a sin(2π t / p)`, beginning at the mean and going up. So `L(t) = m t + a p / 2π · (1 - cos(2π t / p))`: after
//! each whole period exactly `m p` more. The inverse has no closed form. Within one period it is found by Newton's method, held
//! between bounds that close in on it, so that it ends also where the rate touches zero.

use std::f64::consts::TAU;
use std::fmt;
use std::time::Duration;

use squall_model::seed::Seed;
use squall_model::units::human;

use super::curve::Along;
use super::{Curve, Pacer, PacerError, Process, Spread, check_length, check_rates};

/// A wave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sine {
    /// Requests per second on average.
    pub mean_per_s: f64,
    /// How far the rate swings to either side; at most the mean.
    pub amplitude_per_s: f64,
    /// The time from one crest to the next.
    pub period: Duration,
    /// How arrivals are spread along the rate.
    pub spread: Spread,
}

/// Halving a period so often leaves less than a nanosecond of a century; Newton's method mostly needs five.
const TURNS_MAX: usize = 64;

/// A hundredth of a nanosecond.
const CLOSE_S: f64 = 1e-11;

impl Sine {
    /// The arrivals in the first `at_s` seconds of a period.
    fn within_period(&self, at_s: f64) -> f64 {
        let period_s = self.period.as_secs_f64();
        let angle = TAU * at_s / period_s;
        self.mean_per_s * at_s + self.amplitude_per_s * period_s / TAU * (1.0 - angle.cos())
    }

    fn rate(&self, at_s: f64) -> f64 {
        self.mean_per_s + self.amplitude_per_s * (TAU * at_s / self.period.as_secs_f64()).sin()
    }

    /// The seconds into a period after which `count` arrivals were asked for.
    fn solve(&self, count: f64) -> f64 {
        let (mut low_s, mut high_s) = (0.0, self.period.as_secs_f64());
        let mut at_s = (count / self.mean_per_s).clamp(low_s, high_s);
        for _ in 0..TURNS_MAX {
            let over = self.within_period(at_s) - count;
            if over > 0.0 {
                high_s = at_s;
            } else {
                low_s = at_s;
            }
            let newton_s = at_s - over / self.rate(at_s);
            // Where the rate is near zero, Newton's step leaves the bounds or is no number.
            let next_s = if newton_s >= low_s && newton_s <= high_s {
                newton_s
            } else {
                f64::midpoint(low_s, high_s)
            };
            if (next_s - at_s).abs() < CLOSE_S {
                return next_s;
            }
            at_s = next_s;
        }
        at_s
    }
}

impl Curve for Sine {
    fn count_at(&self, at_s: f64) -> f64 {
        let period_s = self.period.as_secs_f64();
        let periods = (at_s / period_s).floor();
        periods * self.mean_per_s * period_s + self.within_period(at_s - periods * period_s)
    }

    fn reached_s(&self, count: f64) -> f64 {
        let period_s = self.period.as_secs_f64();
        let each = self.mean_per_s * period_s;
        let periods = (count / each).floor();
        periods * period_s + self.solve((count - periods * each).max(0.0))
    }
}

impl Process for Sine {
    fn check(&self) -> Result<(), PacerError> {
        let (mean_per_s, amplitude_per_s) = (self.mean_per_s, self.amplitude_per_s);
        check_rates("sine", [mean_per_s, amplitude_per_s])?;
        if amplitude_per_s > mean_per_s {
            return Err(PacerError::Amplitude {
                mean_per_s,
                amplitude_per_s,
            });
        }
        check_length("sine", "period", self.period)
    }

    fn peak_per_s(&self) -> f64 {
        self.mean_per_s + self.amplitude_per_s
    }

    fn count_within(&self, length: Duration) -> f64 {
        self.count_at(length.as_secs_f64())
    }

    fn pacer(&self, seed: Seed) -> Box<dyn Pacer> {
        Box::new(Along::new(*self, self.spread, seed))
    }
}

impl fmt::Display for Sine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = human::rate(self.mean_per_s - self.amplitude_per_s);
        let high = human::rate(self.mean_per_s + self.amplitude_per_s);
        write!(
            f,
            "sine from {low} to {high} every {}",
            human::duration(self.period)
        )?;
        f.write_str(self.spread.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(mean_per_s: f64, amplitude_per_s: f64, period_ms: u64) -> Sine {
        Sine {
            mean_per_s,
            amplitude_per_s,
            period: Duration::from_millis(period_ms),
            spread: Spread::Even,
        }
    }

    #[test]
    fn arrivals_stand_where_the_formula_has_them() {
        // (sine, seconds, count): after a whole period the mean, after half of one `a p / π` more.
        let half = 100.0 * 5.0 + 60.0 * 10.0 / std::f64::consts::PI;
        let table = [
            (sine(100.0, 60.0, 10_000), 10.0, 1_000.0),
            (sine(100.0, 60.0, 10_000), 5.0, half),
            (sine(100.0, 60.0, 10_000), 35.0, 3_000.0 + half),
            (sine(100.0, 100.0, 10_000), 20.0, 2_000.0),
            (sine(100.0, 0.0, 10_000), 0.5, 50.0),
        ];
        for (sine, at_s, count) in table {
            assert!((sine.count_at(at_s) - count).abs() < 1e-9, "{sine:?} at {at_s} s");
            // Where the rate is zero, a whole stretch of times has nearly one count.
            let found = sine.count_at(sine.reached_s(count));
            assert!((found - count).abs() < 1e-9, "{sine:?}: {found} for {count}");
        }
    }

    #[test]
    fn the_inverse_is_one_everywhere() {
        for sine in [
            sine(1_000.0, 1_000.0, 700),
            sine(3.7, 3.6, 86_400_000),
            sine(5e5, 4e5, 13),
        ] {
            for turn in 0..20_000 {
                let count = f64::from(turn) * 0.37;
                let found = sine.count_at(sine.reached_s(count));
                assert!(
                    (found - count).abs() < 1e-6 * count.max(1.0),
                    "{sine:?}: {found} for {count}"
                );
            }
        }
    }

    #[test]
    fn waves_that_are_none_are_refused() {
        assert!(sine(0.0, 0.0, 1).check().is_err());
        assert!(sine(10.0, 10.1, 1).check().is_err());
        assert!(sine(10.0, -1.0, 1).check().is_err());
        assert!(sine(10.0, 5.0, 0).check().is_err());
        assert!(sine(10.0, 10.0, 1).check().is_ok());
    }
}
