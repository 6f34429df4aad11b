//! One of a few texts, each with its weight.

use std::sync::atomic::AtomicU64;

use rand_distr::Distribution as _;
use rand_distr::weighted::WeightedAliasIndex;
use squall_model::seed::Seed;

use super::{Feed, FeedError};

/// Texts to choose from.
#[derive(Clone, Debug)]
pub struct Choice {
    texts: Vec<String>,
    weights: WeightedAliasIndex<u64>,
    seed: Seed,
}

impl Choice {
    /// Texts with their weights; at least one, and one with a weight.
    pub fn new(choices: Vec<(String, u32)>, seed: Seed) -> Result<Choice, FeedError> {
        let (texts, weights): (Vec<String>, Vec<u64>) = choices
            .into_iter()
            .map(|(text, weight)| (text, u64::from(weight)))
            .unzip();
        let weights = WeightedAliasIndex::new(weights).map_err(|_| {
            FeedError::Parameters("nothing to choose from: give at least one a weight".into())
        })?;
        Ok(Choice { texts, weights, seed })
    }
}

impl Feed for Choice {
    fn draw(&self, number: u64, _count: &AtomicU64) -> u64 {
        self.weights.sample(&mut self.seed.nth(number).rng()) as u64
    }

    fn write(&self, drawn: u64, _field: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(self.texts[drawn as usize].as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::assert_distributed;

    #[test]
    fn texts_come_up_by_their_weights() {
        let weights = [3, 1, 0, 6];
        let choices = weights.iter().map(|&weight| (format!("w{weight}"), weight));
        let feed = Choice::new(choices.collect(), Seed::new(3)).unwrap();
        let mut counts = [0; 4];
        for number in 0..20_000 {
            counts[feed.draw(number, &AtomicU64::new(0)) as usize] += 1;
        }
        assert_eq!(counts[2], 0);
        assert_distributed(&[counts[0], counts[1], counts[3]], &[6_000.0, 2_000.0, 12_000.0]);
        let mut out = Vec::new();
        feed.write(3, 0, &mut out);
        assert_eq!(out, b"w6");
    }

    #[test]
    fn there_must_be_something_to_choose() {
        assert!(Choice::new(Vec::new(), Seed::new(3)).is_err());
        assert!(Choice::new(vec![("a".into(), 0)], Seed::new(3)).is_err());
    }
}
