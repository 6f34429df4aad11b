//! Whether the blocks that there is time for can show anything, before they are run.
//!
//! An effect d beyond a margin m is found by N = 16.6 (s / (D - M))^2 blocks, where D and M are d and m on the axis of the test and s
//! is the standard deviation of a block's change there. The constant is that of a one-sided test at 1 % that finds it in 95 of 100
//! cases, (2.326 + 1.645)^2 = 15.8, times pi / 3 for the signed-rank test's efficiency on normal data (Lehmann, "Nonparametrics",
//! 1975): 16.5, and a little more.
//!
//! N says which metrics are worth waiting for. It does not promise 95 of 100: each look spends less than the 1 %, and several metrics
//! share it. So the smallest regression that would be seen, which is a promise to whoever reads it, is worked out by what the last look there is
//! time for really spends on one metric. How far the two are apart: docs/decisions/022-what-the-plan-promises.md.

use std::f64::consts::FRAC_PI_3;

use super::limits::Limits;
use super::looks::{self, BETA, MOST_BLOCKS, Tests};

/// How many blocks an effect needs that is as large as the noise of one.
const BLOCKS: f64 = 16.6;

/// How much a metric varies where nothing changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// The standard deviation of a block's change, on the axis of the test.
    pub spread: f64,
    /// The share of blocks that have a value, above 0 and at most 1.
    pub share: f64,
}

/// What so many blocks can show of one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// How many blocks it takes to find a regression of the tolerated size, by the formula. Not rounded.
    pub needed: f64,
    /// The look at which there are as many; nothing where there is no time for it.
    pub look: Option<usize>,
    /// The smallest regression that the last look there is time for finds in about 95 of 100 gates, as a share of the base or a
    /// difference. Nothing where there won't even be a first look, or where a look spends too little for any bound.
    pub smallest: Option<f64>,
}

/// The standard deviation of changes, one a block, with n - 1 as divisor; nothing with fewer than two, or where one is not finite.
pub fn spread(changes: &[f64]) -> Option<f64> {
    let count = changes.len() as f64;
    if changes.len() < 2 || changes.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mean = changes.iter().sum::<f64>() / count;
    let squares: f64 = changes.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (count - 1.0)).sqrt())
}

/// How many blocks it takes to find a regression of the tolerated size. Not rounded.
pub fn needed(noise: Noise, limits: Limits) -> f64 {
    BLOCKS * (noise.spread / room(limits)).powi(2) / noise.share
}

/// The largest spread with which `blocks` blocks are enough.
pub fn bearable(limits: Limits, blocks: usize) -> f64 {
    room(limits) * (blocks as f64 / BLOCKS).sqrt()
}

/// The smallest regression that the look after `blocks` blocks finds in about 95 of 100 gates by what it spends on one metric.
pub fn smallest(noise: Noise, limits: Limits, blocks: usize, tests: Tests) -> Option<f64> {
    let alpha = looks::levels(blocks, tests.gates)?.alpha / tests.metrics as f64;
    let values = blocks as f64 * noise.share;
    // The rarest that so many values can come out is that all lie on one side.
    if alpha < 0.5_f64.powf(values) {
        return None;
    }
    let rare = normal_tail(alpha);
    // Few blocks say less than so many of a normal test, whose spread is known: Guenther, "Sample size formulas for normal theory T
    // tests", The American Statistician 35 (1981).
    let telling = values - rare * rare / 2.0;
    let steps = (rare + normal_tail(BETA)) * (FRAC_PI_3 / telling).sqrt();
    (telling > 0.0).then(|| limits.share(limits.axis_margin() + noise.spread * steps))
}

/// What a budget of `blocks` blocks in all, the ones that have run among them, can show.
pub fn plan(noise: Noise, limits: Limits, blocks: usize, tests: Tests) -> Plan {
    let needed = needed(noise, limits);
    let last = looks::last_until(blocks.min(MOST_BLOCKS));
    let look = last.filter(|last| needed <= *last as f64);
    Plan {
        needed,
        look: look.map(|last| looks::first_from(needed.ceil() as usize).unwrap_or(last)),
        smallest: last.and_then(|last| smallest(noise, limits, last, tests)),
    }
}

/// What lies between what is of no interest and what must not stay hidden.
fn room(limits: Limits) -> f64 {
    limits.axis_tolerance() - limits.axis_margin()
}

/// The point that a standard normal variable exceeds with the chance `tail`, from above 0 to a half, to within 0.000 45: Hastings's
/// approximation (Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.2.23), enough for a plan.
fn normal_tail(tail: f64) -> f64 {
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    t - above / below
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// One metric of one candidate.
    const ALONE: Tests = Tests {
        gates: NonZeroU32::MIN,
        metrics: 1,
    };

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9 * b.abs().max(1.0)
    }

    fn noise(spread: f64) -> Noise {
        Noise { spread, share: 1.0 }
    }

    /// By hand: ln 1.05 = 0.048790164, ln 1.02 = 0.019802627, and 16.6 (0.05 / 0.028987537)^2 = 49.388.
    #[test]
    fn the_formula_gives_what_it_gives_by_hand() {
        let blocks = needed(noise(0.05), Limits::USUAL);
        assert!((blocks - 49.388).abs() < 1e-3, "{blocks}");
        assert!(
            close(needed(noise(0.1), Limits::USUAL), 4.0 * blocks),
            "with the square of the noise"
        );
        let half = Noise {
            spread: 0.05,
            share: 0.5,
        };
        assert!(
            close(needed(half, Limits::USUAL), 2.0 * blocks),
            "where every other block has a value"
        );
        // 16.6 (0.0003 / 0.0015)^2 = 0.664.
        assert!(close(needed(noise(0.000_3), Limits::ERRORS), 0.664));
    }

    #[test]
    fn what_is_bearable_needs_all_the_blocks() {
        for blocks in [14, 40, 90] {
            for limits in [Limits::USUAL, Limits::TAIL, Limits::ERRORS] {
                let spread = bearable(limits, blocks);
                assert!(close(needed(noise(spread), limits), blocks as f64));
            }
        }
    }

    /// The quantiles of the normal distribution as any table has them.
    #[test]
    fn normal_tails_are_those_of_the_table() {
        for (tail, point) in [
            (0.5, 0.0),
            (0.05, 1.644_854),
            (0.01, 2.326_348),
            (0.001, 3.090_232),
            (1e-6, 4.753_424),
        ] {
            let found = normal_tail(tail);
            assert!((found - point).abs() < 4.5e-4, "{tail}: {found}, not {point}");
        }
    }

    /// By hand: the look after 90 spends 18 of 90 parts of 1 %, 0.002, whose normal point is 2.878; 90 less half of its square are 85.86,
    /// and (2.878 + 1.645) sqrt(1.0472 / 85.86) is 0.4995 spreads.
    #[test]
    fn what_would_be_seen_is_by_what_the_look_spends() {
        let seen = smallest(noise(0.1), Limits::USUAL, 90, ALONE).unwrap();
        let by_hand = (1.02_f64.ln() + 0.1 * 0.4995).exp() - 1.0;
        assert!((seen - by_hand).abs() < 1e-4, "{seen} is not {by_hand}");
        let shared = Tests { metrics: 8, ..ALONE };
        assert!(smallest(noise(0.1), Limits::USUAL, 90, shared).unwrap() > seen);
        assert!(smallest(noise(0.1), Limits::USUAL, 72, ALONE).unwrap() > seen);
        // After 14 blocks 0.14 % is spent, and 2^-14 is 0.006 %: of 26 metrics none can be told.
        let many = Tests { metrics: 26, ..ALONE };
        assert!(smallest(noise(0.1), Limits::USUAL, 14, ALONE).is_some());
        assert_eq!(smallest(noise(0.1), Limits::USUAL, 14, many), None);
    }

    #[test]
    fn a_budget_reaches_or_says_what_it_would_see() {
        let look = |spread, blocks| plan(noise(spread), Limits::USUAL, blocks, ALONE).look;
        assert_eq!(look(0.05, 90), Some(56));
        assert_eq!(look(0.05, 56), Some(56));
        assert_eq!(look(0.0, 90), Some(14));
        assert_eq!(look(0.05, 55), None, "the look after 40 is the last there is");
        assert_eq!(look(0.5, 10_000), None, "a gate never runs so many blocks");
        let short = plan(noise(0.5), Limits::USUAL, 10_000, ALONE);
        assert!(short.needed > 90.0);
        assert_eq!(
            short.smallest,
            smallest(noise(0.5), Limits::USUAL, 90, ALONE),
            "at the last look"
        );
        assert_eq!(
            plan(noise(0.01), Limits::USUAL, 13, ALONE).smallest,
            None,
            "there is no look before 14"
        );
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
