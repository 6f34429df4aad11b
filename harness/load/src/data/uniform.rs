//! Whole numbers between two bounds, each as likely as any other.

use std::sync::atomic::AtomicU64;

use rand_distr::{Distribution as _, Uniform as Between};
use squall_model::seed::Seed;

use super::{Feed, FeedError};

/// A whole number between two bounds, both included.
#[derive(Clone, Copy, Debug)]
pub struct Uniform {
    between: Between<i64>,
    seed: Seed,
}

impl Uniform {
    /// Numbers from `min` to `max`.
    pub fn new(min: i64, max: i64, seed: Seed) -> Result<Uniform, FeedError> {
        let between = Between::new_inclusive(min, max)
            .map_err(|_| FeedError::Parameters(format!("there is no number from {min} to {max}")))?;
        Ok(Uniform { between, seed })
    }
}

impl Feed for Uniform {
    fn draw(&self, number: u64, _count: &AtomicU64) -> u64 {
        self.between
            .sample(&mut self.seed.nth(number).rng())
            .cast_unsigned()
    }

    fn write(&self, drawn: u64, _field: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(drawn.cast_signed()).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::assert_distributed;

    #[test]
    fn every_number_between_the_bounds_is_as_likely() {
        let feed = Uniform::new(-2, 7, Seed::new(3)).unwrap();
        let mut counts = [0; 10];
        for number in 0..50_000 {
            let drawn = feed.draw(number, &AtomicU64::new(0)).cast_signed();
            counts[usize::try_from(drawn + 2).unwrap()] += 1;
        }
        assert_distributed(&counts, &[5_000.0; 10]);
    }

    #[test]
    fn bounds_may_be_the_extremes_and_must_not_cross() {
        let drawn = |min, max| {
            let feed = Uniform::new(min, max, Seed::new(3)).unwrap();
            let mut out = Vec::new();
            feed.write(feed.draw(1, &AtomicU64::new(0)), 0, &mut out);
            String::from_utf8(out).unwrap().parse::<i64>().unwrap()
        };
        assert_eq!(drawn(-9, -9), -9);
        assert_eq!(drawn(i64::MIN, i64::MIN), i64::MIN);
        drawn(i64::MIN, i64::MAX);
        let error = Uniform::new(2, 1, Seed::new(3)).unwrap_err().to_string();
        assert_eq!(error, "there is no number from 2 to 1");
    }
}
