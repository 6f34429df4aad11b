//! Arrivals that follow a rate which changes over time.
//!
//! A [`Curve`] says how many arrivals were asked for in the first `t` seconds, `L(t)`, the integral of the rate, and when a
//! number of them is reached, its inverse. Arrival `i = 0, 1, 2, ...` then comes at
//!
//! - even: `L⁻¹(i + u)`, with one `u` in `[0, 1)` drawn from the load's seed, so that several loads of one curve do not ask at
//!   the same moments. In `t` seconds `ceil(L(t) - u)` arrive: exactly `L(t)` where that is a whole number;
//! - poisson: `L⁻¹(E0 + ... + Ei)`, with `E` exponential of mean 1. By the time-rescaling theorem these are the events of the
//!   Poisson process whose rate is the curve's (Çinlar, Introduction to Stochastic Processes, 1975, section 4.7; Devroye,
//!   Non-Uniform Random Variate Generation, 1986, VI.1.3).

use rand_core::Rng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use squall_model::seed::{Seed, unit};

use super::Pacer;

/// How arrivals are spread along a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// At distances that follow from the rate alone.
    #[default]
    Even,
    /// Independent of each other.
    Poisson,
}

/// A rate over time, by its integral.
pub trait Curve: Clone + Send + 'static {
    /// Arrivals asked for in the first `at_s` seconds. Never falls.
    fn count_at(&self, at_s: f64) -> f64;

    /// The inverse: the seconds after which `count` arrivals were asked for; infinite if there are never so many.
    fn reached_s(&self, count: f64) -> f64;
}

/// The arrivals along a curve.
pub(super) struct Along<C> {
    curve: C,
    counts: Counts,
    last_ns: u64,
}

/// The values of the curve's integral at which arrivals stand.
enum Counts {
    Even {
        next: u64,
        shift: f64,
    },
    /// Whole arrivals, and apart from them the fraction: a sum kept in one double would lose precision with time.
    Poisson {
        whole: u64,
        fraction: f64,
        rng: Xoshiro256PlusPlus,
    },
}

/// A number in `[0, 1)` with 32 bits, so that a count below four million plus it is exact.
fn shift(seed: Seed) -> f64 {
    (seed.rng().next_u64() >> 32) as f64 / (1_u64 << 32) as f64
}

impl Counts {
    fn next(&mut self) -> f64 {
        match self {
            Counts::Even { next, shift } => {
                *next += 1;
                (*next - 1) as f64 + *shift
            }
            Counts::Poisson { whole, fraction, rng } => {
                *fraction -= (1.0 - unit(rng)).ln();
                *whole += *fraction as u64;
                *fraction = fraction.fract();
                *whole as f64 + *fraction
            }
        }
    }
}

impl<C: Curve> Along<C> {
    pub(super) fn new(curve: C, spread: Spread, seed: Seed) -> Along<C> {
        let counts = match spread {
            Spread::Even => Counts::Even {
                next: 0,
                shift: shift(seed),
            },
            Spread::Poisson => Counts::Poisson {
                whole: 0,
                fraction: 0.0,
                rng: seed.rng(),
            },
        };
        Along {
            curve,
            counts,
            last_ns: 0,
        }
    }
}

impl<C: Curve> Pacer for Along<C> {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        // A double holds a month of seconds to a nanosecond.
        let at_ns = self.curve.reached_s(self.counts.next()) * 1e9;
        if at_ns.is_nan() || at_ns >= u64::MAX as f64 {
            return None;
        }
        // Rounding may put an arrival a nanosecond before the one at the same moment.
        self.last_ns = self.last_ns.max(at_ns as u64);
        Some(self.last_ns)
    }
}

impl Spread {
    /// What is said of it behind the curve.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Spread::Even => "",
            Spread::Poisson => ", poisson",
        }
    }
}
