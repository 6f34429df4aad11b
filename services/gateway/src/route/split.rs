//! From a draw to one of several, by weight.
//!
//! A draw is one of 2^53 numbers, each as likely as any other. Weights are whole numbers, so the draws are dealt out in whole numbers too: what
//! falls to a weight is its share of 2^53, off by less than one draw.

/// How many draws there are: as many as a double can tell apart below 1.
const DRAWS: u64 = 1 << 53;

/// One of 2^53 equally likely numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Draw(u64);

impl Draw {
    /// From 64 random bits, of which the upper 53 are taken.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits >> 11)
    }

    /// Whether it is among the first `share` of all draws. A share outside of 0 to 1 counts as the nearer of the two, one that is NaN as 0.
    pub fn is_within(self, share: f64) -> bool {
        // Exact: a draw has no more bits than a double, and scaling by a power of two loses none.
        (self.0 as f64) < share * DRAWS as f64
    }
}

/// Weights that can be drawn against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The first draw that no longer falls to each of them; rises, and ends with 2^53.
    ends: Box<[u64]>,
}

impl Split {
    /// From weights of any sum; none where all are zero or there is none.
    pub fn new(weights: &[u32]) -> Option<Self> {
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        let mut sum = 0_u128;
        let end = |&weight: &u32| {
            sum += u128::from(weight);
            (sum * u128::from(DRAWS)).checked_div(total).map(|end| end as u64)
        };
        let ends = weights.iter().map(end).collect::<Option<Box<[u64]>>>()?;
        (!ends.is_empty()).then_some(Self { ends })
    }

    /// Which of the weights this draw falls to; never one of weight zero.
    pub fn pick(&self, draw: Draw) -> usize {
        self.ends.partition_point(|&end| end <= draw.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{DRAWS, Draw, Split};

    #[test]
    fn nothing_can_be_drawn_of_nothing() {
        assert_eq!(Split::new(&[]), None);
        assert_eq!(Split::new(&[0, 0]), None);
    }

    #[test]
    fn a_share_takes_exactly_its_draws() {
        let last_within = Draw(DRAWS / 4 - 1);
        assert!(last_within.is_within(0.25) && !Draw(DRAWS / 4).is_within(0.25));
        assert!(!Draw(0).is_within(0.0) && Draw(DRAWS - 1).is_within(1.0));
        assert!(!Draw(0).is_within(f64::NAN) && !Draw(0).is_within(-1.0));
    }

    proptest! {
        #[test]
        fn each_weight_gets_its_share_of_all_draws(weights in prop::collection::vec(any::<u32>(), 1..20)) {
            let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
            prop_assume!(total > 0);
            let split = Split::new(&weights).expect("some weight is not zero");
            let mut begin = 0;
            for (end, weight) in split.ends.iter().zip(&weights) {
                let ideal = f64::from(*weight) / total as f64 * DRAWS as f64;
                // 2 of 2^53 is what the check itself rounds away.
                prop_assert!(((end - begin) as f64 - ideal).abs() <= 3.0, "{begin}..{end} for {weight} of {total}");
                begin = *end;
            }
            prop_assert_eq!(begin, DRAWS);
        }

        #[test]
        fn a_draw_falls_to_a_weight_that_is_not_zero(
            weights in prop::collection::vec(0_u32..3, 1..20),
            bits in any::<u64>(),
        ) {
            if let Some(split) = Split::new(&weights) {
                for bits in [bits, 0, u64::MAX] {
                    prop_assert!(weights[split.pick(Draw::from_bits(bits))] > 0);
                }
            }
        }
    }
}
