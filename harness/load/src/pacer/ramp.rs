//! A rate that goes evenly from one to another, and stays there.
//!
//! `r(t) = a + k t` with `k = (b - a) / d` until `t = d`, then `b`. So `L(t) = a t + k t² / 2`, and its inverse is
//! `2 n / (a + sqrt(a² + 2 k n))`: the usual solution of the quadratic equation, turned round so that it subtracts nothing
//! where `k` is small or negative. After `d`: `d + (n - L(d)) / b`.

use std::fmt;
use std::time::Duration;

use squall_model::seed::Seed;
use squall_model::units::human;

use super::curve::Along;
use super::{Curve, Pacer, PacerError, Process, Spread, check_length, check_rates};

/// From one rate to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp {
    /// Requests per second at the start.
    pub from_per_s: f64,
    /// Requests per second at the end, and from then on.
    pub to_per_s: f64,
    /// How long it takes.
    pub over: Duration,
    /// How arrivals are spread along the rate.
    pub spread: Spread,
}

impl Ramp {
    /// All arrivals until the rate stays.
    fn climbing(&self) -> f64 {
        f64::midpoint(self.from_per_s, self.to_per_s) * self.over.as_secs_f64()
    }
}

impl Curve for Ramp {
    fn count_at(&self, at_s: f64) -> f64 {
        let over_s = self.over.as_secs_f64();
        if at_s >= over_s {
            return self.climbing() + (at_s - over_s) * self.to_per_s;
        }
        let slope = (self.to_per_s - self.from_per_s) / over_s;
        at_s * (self.from_per_s + slope * at_s / 2.0)
    }

    fn reached_s(&self, count: f64) -> f64 {
        let over_s = self.over.as_secs_f64();
        let rest = count - self.climbing();
        if rest >= 0.0 {
            return if self.to_per_s > 0.0 {
                over_s + rest / self.to_per_s
            } else {
                f64::INFINITY
            };
        }
        let slope = (self.to_per_s - self.from_per_s) / over_s;
        // Below zero only by rounding, where a falling ramp ends at nothing.
        let root = (self.from_per_s * self.from_per_s + 2.0 * slope * count)
            .max(0.0)
            .sqrt();
        if count > 0.0 {
            (2.0 * count / (self.from_per_s + root)).min(over_s)
        } else {
            0.0
        }
    }
}

impl Process for Ramp {
    fn check(&self) -> Result<(), PacerError> {
        check_rates("ramp", [self.from_per_s, self.to_per_s])?;
        check_length("ramp", "length", self.over)
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

impl fmt::Display for Ramp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (human::rate(self.from_per_s), human::rate(self.to_per_s));
        write!(f, "ramp from {from} to {to} over {}", human::duration(self.over))?;
        f.write_str(self.spread.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(from_per_s: f64, to_per_s: f64, over_s: u64) -> Ramp {
        Ramp {
            from_per_s,
            to_per_s,
            over: Duration::from_secs(over_s),
            spread: Spread::Even,
        }
    }

    #[test]
    fn arrivals_stand_where_the_formula_has_them() {
        // (ramp, count, seconds): areas under a line, worked out by hand.
        let table = [
            // r = 10 t: 5 t² arrivals, so the fifth after a second and the twentieth after two.
            (ramp(0.0, 100.0, 10), 5.0, 1.0),
            (ramp(0.0, 100.0, 10), 20.0, 2.0),
            (ramp(0.0, 100.0, 10), 500.0, 10.0),
            // It holds the rate it has reached.
            (ramp(0.0, 100.0, 10), 600.0, 11.0),
            // r = 100 - 10 t.
            (ramp(100.0, 0.0, 10), 95.0, 1.0),
            (ramp(100.0, 0.0, 10), 180.0, 2.0),
            (ramp(100.0, 20.0, 4), 240.0, 4.0),
            (ramp(100.0, 20.0, 4), 260.0, 5.0),
            // A ramp that is none.
            (ramp(50.0, 50.0, 10), 25.0, 0.5),
            (ramp(50.0, 50.0, 10), 0.0, 0.0),
        ];
        for (ramp, count, at_s) in table {
            let reached_s = ramp.reached_s(count);
            assert!(
                (reached_s - at_s).abs() < 1e-9,
                "{ramp:?}: {count} at {reached_s} s"
            );
            assert!((ramp.count_at(at_s) - count).abs() < 1e-6, "{ramp:?} at {at_s} s");
        }
    }

    #[test]
    fn a_ramp_to_nothing_ends() {
        let ramp = ramp(100.0, 0.0, 10);
        assert!(ramp.reached_s(499.999).is_finite());
        assert!(ramp.reached_s(500.1).is_infinite());
        let mut pacer = ramp.pacer(Seed::new(7));
        let times: Vec<u64> = std::iter::from_fn(|| pacer.next_arrival_ns()).collect();
        assert_eq!(times.len(), 500);
        assert!(times.iter().all(|ns| *ns < 10_000_000_000));
    }

    #[test]
    fn ramps_that_are_none_are_refused() {
        assert!(ramp(0.0, 0.0, 1).check().is_err());
        assert!(ramp(-1.0, 5.0, 1).check().is_err());
        assert!(ramp(1.0, f64::NAN, 1).check().is_err());
        assert!(ramp(1.0, 5.0, 0).check().is_err());
        assert!(ramp(1.0, 0.0, 1).check().is_ok());
    }
}
