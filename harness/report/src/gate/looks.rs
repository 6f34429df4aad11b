//! When the gate looks at its blocks, and what chance of an error each look may take.
//!
//! Who looks at growing data again and again, each time at 1 %, is wrong far more often than 1 % of the time. So the chances of a
//! false alarm (alpha) and of a false pass (beta) are spent over the looks, as much by each as there was new information: the
//! spending function of Lan and `DeMets` ("Discrete sequential boundaries for clinical trials", Biometrika 70, 1983) that grows
//! linearly. Information is the count of blocks. Each look is held to what is new since the look before, so the errors of all looks
//! add up to no more than the whole, whatever the distribution and however alike the looks are; Lan and `DeMets` gain a little
//! by counting on that likeness, which needs normal data.

use std::num::NonZeroU32;

/// After how many blocks the gate looks.
pub const LOOKS: [usize; 7] = [14, 20, 28, 40, 56, 72, 90];

/// The most blocks of a gate: those of the last look.
pub const MOST_BLOCKS: usize = LOOKS[LOOKS.len() - 1];

/// How often a gate may block a change that made nothing worse.
pub const ALPHA: f64 = 0.01;

/// How often it may pass a metric that is as much worse as is not tolerated.
pub const BETA: f64 = 0.05;

/// Chances of an error, both one-sided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Levels {
    /// Of a false alarm.
    pub alpha: f64,
    /// Of a false pass.
    pub beta: f64,
}

/// What shares alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tests {
    /// Candidates of one command.
    pub gates: NonZeroU32,
    /// Metrics of one candidate, by Holm; at least one.
    pub metrics: usize,
}

/// What the look after `blocks` blocks may spend, in a gate of so many candidates; nothing where the gate doesn't look then. A gate
/// of several candidates blocks falsely no more often than a gate of one: its candidates share alpha equally. They don't
/// share beta, since each passes for itself.
pub fn levels(blocks: usize, candidates: NonZeroU32) -> Option<Levels> {
    let look = LOOKS.iter().position(|look| *look == blocks)?;
    let before = look.checked_sub(1).map_or(0, |before| LOOKS[before]);
    let share = (blocks - before) as f64 / MOST_BLOCKS as f64;
    Some(Levels {
        alpha: ALPHA * share / f64::from(candidates.get()),
        beta: BETA * share,
    })
}

/// The first look for which at least `blocks` blocks are there; nothing after the last.
pub fn first_from(blocks: usize) -> Option<usize> {
    LOOKS.into_iter().find(|look| *look >= blocks)
}

/// The last look that comes with `blocks` blocks or before; nothing before the first.
pub fn last_until(blocks: usize) -> Option<usize> {
    LOOKS.into_iter().rev().find(|look| *look <= blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(count: u32) -> NonZeroU32 {
        NonZeroU32::new(count).unwrap()
    }

    #[test]
    fn the_looks_spend_the_whole_and_no_more() {
        for count in 1..=4 {
            let spent = |part: fn(Levels) -> f64| -> f64 {
                LOOKS
                    .iter()
                    .map(|look| part(levels(*look, candidates(count)).unwrap()))
                    .sum()
            };
            let alpha = spent(|levels| levels.alpha) * f64::from(count);
            let beta = spent(|levels| levels.beta);
            assert!(
                (alpha - ALPHA).abs() < 1e-15 && (beta - BETA).abs() < 1e-15,
                "{alpha} {beta}"
            );
        }
    }

    #[test]
    fn a_look_spends_by_its_new_blocks() {
        let alpha = |blocks| levels(blocks, candidates(1)).map(|levels| levels.alpha * 9_000.0);
        for (blocks, new) in LOOKS.into_iter().zip([14.0, 6.0, 8.0, 12.0, 16.0, 16.0, 18.0]) {
            assert!((alpha(blocks).unwrap() - new).abs() < 1e-9, "after {blocks}");
        }
        for between in [0, 13, 15, 89, 91] {
            assert_eq!(alpha(between), None);
        }
    }

    #[test]
    fn looks_are_found_from_and_until_a_count() {
        assert_eq!(
            [0, 14, 15, 90, 91].map(first_from),
            [Some(14), Some(14), Some(20), Some(90), None]
        );
        assert_eq!(
            [13, 14, 27, 90, 500].map(last_until),
            [None, Some(14), Some(20), Some(90), Some(90)]
        );
    }
}
