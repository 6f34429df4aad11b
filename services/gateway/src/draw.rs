//! Random numbers, for spreading load and for weights: fast, shared without a lock, of no use where somebody may not guess them.
//!
//! A counter that is mixed (Steele, Lea and Flood's `SplitMix64`, 2014), begun at a number: sources of different numbers draw differently, and no state of
//! the machine is asked for.

use std::sync::atomic::{AtomicU64, Ordering};

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A source of random numbers.
#[derive(Debug)]
pub struct Source(AtomicU64);

impl Source {
    /// The source with this number.
    pub fn new(number: u64) -> Self {
        Self(AtomicU64::new(mix(number)))
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        mix(self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }

    /// A number below `bound`, which is at least 1. (Lemire's multiplication; its bias is below `bound` / 2^32.)
    pub fn below(&self, bound: usize) -> usize {
        (((self.next() >> 32) * bound as u64) >> 32) as usize
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[test]
    fn numbers_below_a_bound_are_spread_evenly() {
        let draw = Source::new(7);
        let mut counts = [0u32; 5];
        for _ in 0..50_000 {
            counts[draw.below(5)] += 1;
        }
        // 10,000 each, and a standard deviation of 89.
        assert!(
            counts.iter().all(|count| count.abs_diff(10_000) < 600),
            "{counts:?}"
        );
    }

    #[test]
    fn sources_differ() {
        assert_ne!(Source::new(1).next(), Source::new(2).next());
        assert_eq!(Source::new(3).below(1), 0);
    }
}
