//! Ranks after Zipf's law: the k-th most frequent comes up `1 / k^s` as often as the first.
//!
//! Sampled by `rand_distr`, by rejection: no table, so that a million ranks cost no more than ten.

use std::sync::atomic::AtomicU64;

use rand_distr::Distribution as _;
use squall_model::seed::Seed;

use super::{Feed, FeedError};

/// The largest number of ranks: beyond it a floating point number has gaps.
pub const RANKS_MAX: u64 = 1 << 53;
/// The largest exponent: beyond it the first rank is all there is.
pub const EXPONENT_MAX: f64 = 20.0;

/// A rank from 1 to `n`, with weight `1 / rank^s`.
#[derive(Clone, Copy, Debug)]
pub struct Zipf {
    law: rand_distr::Zipf<f64>,
    n: u64,
    seed: Seed,
}

impl Zipf {
    /// Ranks from 1 to `n`; an `s` of 0 makes all equal.
    pub fn new(n: u64, s: f64, seed: Seed) -> Result<Zipf, FeedError> {
        let wrong = |text: String| Err(FeedError::Parameters(text));
        if !(1..=RANKS_MAX).contains(&n) {
            return wrong(format!("`n` must be between 1 and {RANKS_MAX}, not {n}"));
        }
        if !(0.0..=EXPONENT_MAX).contains(&s) {
            return wrong(format!("`s` must be between 0 and {EXPONENT_MAX}, not {s}"));
        }
        match rand_distr::Zipf::new(n as f64, s) {
            Ok(law) => Ok(Zipf { law, n, seed }),
            Err(error) => wrong(error.to_string()),
        }
    }
}

impl Feed for Zipf {
    fn draw(&self, number: u64, _count: &AtomicU64) -> u64 {
        // Rounding may reach beyond the last rank.
        (self.law.sample(&mut self.seed.nth(number).rng()) as u64).clamp(1, self.n)
    }

    fn write(&self, drawn: u64, _field: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(drawn).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::assert_distributed;

    #[test]
    fn ranks_come_up_as_the_law_says() {
        for s in [0.0, 0.5, 0.99, 1.0, 1.1, 3.0] {
            let feed = Zipf::new(20, s, Seed::new(11)).unwrap();
            let mut counts = [0_u64; 20];
            for number in 0..100_000 {
                counts[feed.draw(number, &AtomicU64::new(0)) as usize - 1] += 1;
            }
            let weights: Vec<f64> = (1..=20).map(|rank| f64::from(rank).powf(-s)).collect();
            let total: f64 = weights.iter().sum();
            let expected: Vec<f64> = weights.iter().map(|weight| weight / total * 100_000.0).collect();
            assert_distributed(&counts, &expected);
        }
    }

    #[test]
    fn another_law_is_told_apart() {
        let feed = Zipf::new(20, 1.1, Seed::new(11)).unwrap();
        let mut counts = [0_u64; 20];
        for number in 0..100_000 {
            counts[feed.draw(number, &AtomicU64::new(0)) as usize - 1] += 1;
        }
        let uniform = std::panic::catch_unwind(|| assert_distributed(&counts, &[5_000.0; 20]));
        assert!(uniform.is_err(), "the test of distributions must be able to fail");
    }

    #[test]
    fn ranks_stay_within_bounds() {
        for (n, s) in [
            (1, 0.0),
            (1, 20.0),
            (2, 1.000_000_1),
            (RANKS_MAX, 0.1),
            (RANKS_MAX, 1.0),
        ] {
            let feed = Zipf::new(n, s, Seed::new(5)).unwrap();
            for number in 0..1_000 {
                assert!(
                    (1..=n).contains(&feed.draw(number, &AtomicU64::new(0))),
                    "{n} {s}"
                );
            }
        }
        for (n, s) in [
            (0, 1.0),
            (u64::MAX, 1.0),
            (5, -0.1),
            (5, f64::NAN),
            (5, f64::INFINITY),
        ] {
            assert!(Zipf::new(n, s, Seed::new(5)).is_err(), "{n} {s}");
        }
    }
}
