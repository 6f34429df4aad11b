//! Think time: how long a user of a closed loop pauses between an answer and the next request.
//!
//! A draw follows from its generator alone. Must never read a clock or wait: the ledger and the journeys do.

use std::time::Duration;

use rand_core::Rng;
use squall_model::seed::{Seed, unit};

use crate::clock::duration_ns;

/// The longest exponential pause in means, where the distribution is cut off, as TPC-C (5.2.5.4) cuts its think times.
const MEANS_MAX: f64 = 10.0;

/// How long a user pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Think {
    /// Always as long.
    Fixed(Duration),
    /// Uniform between two lengths.
    Uniform {
        /// The shortest.
        from: Duration,
        /// The longest; not below the shortest.
        to: Duration,
    },
    /// Exponential, cut off at ten times its mean: most pauses are short, a few are long.
    Exponential {
        /// The mean before the cut, which shortens it by less than 0.01 %.
        mean: Duration,
    },
}

impl Think {
    /// No pause.
    pub const NONE: Think = Think::Fixed(Duration::ZERO);

    /// Whether there is never a pause.
    pub fn is_none(self) -> bool {
        self == Think::NONE
    }

    /// One pause.
    pub(crate) fn draw(self, rng: &mut impl Rng) -> Duration {
        match self {
            Think::Fixed(length) => length,
            Think::Uniform { from, to } => from + to.saturating_sub(from).mul_f64(unit(rng)),
            // By inversion (Devroye, Non-Uniform Random Variate Generation, 1986, II.2.1).
            Think::Exponential { mean } => mean.mul_f64((-(1.0 - unit(rng)).ln()).min(MEANS_MAX)),
        }
    }
}

impl From<Duration> for Think {
    fn from(length: Duration) -> Think {
        Think::Fixed(length)
    }
}

/// The pauses of a load in a phase: the one after request `number` is the same, whoever sends it and whatever came before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pauses {
    /// Nanoseconds, so that an answer costs no conversion.
    Fixed(u64),
    Drawn(Think, Seed),
}

impl Pauses {
    pub(crate) fn new(think: Think, seed: Seed) -> Pauses {
        match think {
            Think::Fixed(length) => Pauses::Fixed(duration_ns(length)),
            drawn => Pauses::Drawn(drawn, seed),
        }
    }

    #[inline]
    pub(crate) fn after_ns(self, number: u64) -> u64 {
        match self {
            Pauses::Fixed(ns) => ns,
            Pauses::Drawn(think, seed) => duration_ns(think.draw(&mut seed.nth(number).rng())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: Duration = Duration::from_millis(200);
    const UNIFORM: Think = Think::Uniform {
        from: Duration::from_millis(100),
        to: Duration::from_millis(300),
    };
    const EXPONENTIAL: Think = Think::Exponential { mean: MEAN };

    fn draws(think: Think, seed: u64) -> Vec<u64> {
        let pauses = Pauses::new(think, Seed::new(seed));
        (0..100_000).map(|number| pauses.after_ns(number)).collect()
    }

    fn share_below(draws: &[u64], limit: Duration) -> f64 {
        let below = draws.iter().filter(|ns| **ns < duration_ns(limit)).count();
        below as f64 / draws.len() as f64
    }

    #[test]
    fn a_pause_follows_from_the_seed_and_the_requests_number() {
        for think in [UNIFORM, EXPONENTIAL] {
            assert_eq!(draws(think, 7), draws(think, 7));
            assert_ne!(draws(think, 7), draws(think, 8));
        }
        assert!(draws(MEAN.into(), 7).iter().all(|ns| *ns == duration_ns(MEAN)));
    }

    #[test]
    fn every_distribution_has_its_mean_and_shape() {
        for think in [UNIFORM, EXPONENTIAL] {
            let draws = draws(think, 7);
            let mean_ns = draws.iter().sum::<u64>() as f64 / draws.len() as f64;
            let off = mean_ns / duration_ns(MEAN) as f64 - 1.0;
            assert!(off.abs() < 0.01, "{think:?}: {off}");
        }
        let uniform = draws(UNIFORM, 7);
        assert!((share_below(&uniform, Duration::from_millis(150)) - 0.25).abs() < 0.01);
        assert!(uniform.iter().all(|ns| (100_000_000..=300_000_000).contains(ns)));
        let exponential = draws(EXPONENTIAL, 7);
        assert!((share_below(&exponential, MEAN) - (1.0 - (-1.0_f64).exp())).abs() < 0.01);
        assert!(exponential.iter().all(|ns| *ns <= 10 * duration_ns(MEAN)));
    }

    #[test]
    fn an_exponential_pause_is_cut_off_at_ten_means() {
        struct Ones;
        impl rand_core::TryRng for Ones {
            type Error = std::convert::Infallible;
            fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
                Ok(u32::MAX)
            }
            fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
                Ok(u64::MAX)
            }
            fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
                out.fill(u8::MAX);
                Ok(())
            }
        }
        assert_eq!(EXPONENTIAL.draw(&mut Ones), 10 * MEAN);
    }
}
