//! Whether the blocks that there is time for can show anything, before they are run.
//!
//! An effect d beyond a margin m is found by N = 16.6 (s / (ln(1 + d) - ln(1 + m)))^2 blocks, where s is the standard deviation
//! of a block's log ratio. The constant is that of a one-sided test at 1 % that finds it in 95 of 100 cases, (2.326 + 1.645)^2 =
//! 15.8, times pi / 3 for the signed-rank test's efficiency on normal data (Lehmann, "Nonparametrics", 1975): 16.5, and a little more.
//! It is a plan: the looks spend less than the whole at once, and the noise of later blocks may differ from that of the first.

use super::looks::{self, MOST_BLOCKS};
use super::verdict::Limits;

/// How many blocks an effect needs that is as large as the noise of one.
const BLOCKS: f64 = 16.6;

/// What so many blocks can show of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reach {
    /// A regression of the tolerated size would be found in about 95 of 100 gates by one test at 1 %; the looks, which spend less each, and
    /// further metrics make it fewer.
    Enough {
        /// By the look after so many blocks.
        look: usize,
    },
    /// It would not. To go on would be waiting for nothing.
    Short {
        /// How many blocks it would take: more than the budget, or than a gate ever runs.
        needed: f64,
        /// The smallest regression that would be found: 0.3 is 30 % worse. Nothing where there won't even be a first look.
        smallest: Option<f64>,
    },
}

/// The standard deviation of log ratios, one a block, with n - 1 as divisor; nothing with fewer than two, or where one is not finite.
pub fn spread(log_ratios: &[f64]) -> Option<f64> {
    let count = log_ratios.len() as f64;
    if log_ratios.len() < 2 || log_ratios.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mean = log_ratios.iter().sum::<f64>() / count;
    let squares: f64 = log_ratios.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

/// How many blocks it takes to find a regression of the tolerated size; `spread` is that of the log ratios, from 0 up. Not rounded.
pub fn needed(spread: f64, limits: Limits) -> f64 {
    BLOCKS * (spread / (limits.log_tolerance() - limits.log_margin())).powi(2)
}

/// The smallest regression that `blocks` blocks find: 0.3 is 30 % worse. No block finds any: infinite.
pub fn smallest(spread: f64, limits: Limits, blocks: usize) -> f64 {
    if blocks == 0 {
        return f64::INFINITY;
    }
    (limits.log_margin() + spread * (BLOCKS / blocks as f64).sqrt()).exp_m1()
}

/// Whether a budget of `blocks` blocks in all, the ones that have run among them, finds a regression of the tolerated size.
pub fn reach(spread: f64, limits: Limits, blocks: usize) -> Reach {
    let needed = needed(spread, limits);
    let last = looks::last_until(blocks.min(MOST_BLOCKS));
    match last {
        Some(last) if needed <= last as f64 => Reach::Enough {
            look: looks::first_from(needed.ceil() as usize).unwrap_or(last),
        },
        _ => Reach::Short {
            needed,
            smallest: last.map(|last| smallest(spread, limits, last)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    /// By hand: ln 1.05 = 0.048790164, ln 1.02 = 0.019802627, and 16.6 (0.05 / 0.028987537)^2 = 49.388.
    #[test]
    fn the_formula_gives_what_it_gives_by_hand() {
        let blocks = needed(0.05, Limits::USUAL);
        assert!((blocks - 49.388).abs() < 1e-3, "{blocks}");
        assert!(
            close(needed(0.1, Limits::USUAL), 4.0 * blocks),
            "with the square of the noise"
        );
    }

    #[test]
    fn the_smallest_effect_of_the_blocks_needed_is_the_tolerance() {
        for blocks in [14, 40, 90] {
            for limits in [Limits::USUAL, Limits::TAIL, Limits::new(0.0, 0.5).unwrap()] {
                let spread = (limits.log_tolerance() - limits.log_margin()) * (blocks as f64 / BLOCKS).sqrt();
                assert!(close(needed(spread, limits), blocks as f64));
                assert!(close(smallest(spread, limits, blocks), limits.tolerance()));
            }
        }
        for spread in [0.0, 0.1] {
            assert!(smallest(spread, Limits::USUAL, 0).is_infinite());
        }
    }

    #[test]
    fn a_budget_reaches_or_says_what_it_would_see() {
        let by = |look| Reach::Enough { look };
        assert_eq!(reach(0.05, Limits::USUAL, 90), by(56));
        assert_eq!(reach(0.05, Limits::USUAL, 56), by(56));
        assert_eq!(reach(0.0, Limits::USUAL, 90), by(14));
        let Reach::Short { needed, smallest } = reach(0.05, Limits::USUAL, 55) else {
            panic!("the look after 40 is the last there is");
        };
        assert!((needed - 49.388).abs() < 1e-3 && smallest.unwrap() > 0.05);
        let Reach::Short { needed, smallest } = reach(0.5, Limits::USUAL, 10_000) else {
            panic!("a gate never runs so many blocks");
        };
        assert!(needed > 90.0);
        assert!(close(smallest.unwrap(), super::smallest(0.5, Limits::USUAL, 90)));
        let Reach::Short { smallest, .. } = reach(0.01, Limits::USUAL, 13) else {
            panic!("there is no look before 14");
        };
        assert_eq!(smallest, None);
    }

    #[test]
    fn the_spread_is_the_standard_deviation_of_a_sample() {
        // By hand: the mean is 5, the squares add up to 32.
        assert!(close(
            spread(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap(),
            (32.0_f64 / 7.0).sqrt()
        ));
        assert_eq!(spread(&[0.1]), None);
        assert_eq!(spread(&[0.1, f64::NAN]), None);
    }
}
