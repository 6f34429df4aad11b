//! One rate throughout: what [`Even`] and [`Poisson`] have in common.

use std::time::Duration;

use squall_model::seed::Seed;

use super::{Even, Pacer, PacerError, Poisson, Process, Spread, check_rate};

/// `rate * t` arrivals in the first `t` seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steady {
    rate_per_s: f64,
    spread: Spread,
}

impl Steady {
    pub(super) fn new(rate_per_s: f64, spread: Spread) -> Steady {
        Steady { rate_per_s, spread }
    }
}

impl Process for Steady {
    fn check(&self) -> Result<(), PacerError> {
        check_rate(self.rate_per_s)
    }

    fn peak_per_s(&self) -> f64 {
        self.rate_per_s
    }

    fn count_within(&self, length: Duration) -> f64 {
        self.rate_per_s * length.as_secs_f64()
    }

    fn pacer(&self, seed: Seed) -> Box<dyn Pacer> {
        match self.spread {
            Spread::Even => Box::new(Even::new(self.rate_per_s, seed)),
            Spread::Poisson => Box::new(Poisson::new(self.rate_per_s, seed)),
        }
    }
}
