//! How far two sets of repeated runs lie apart, and how sure that is.
//!
//! The estimate is that of Hodges and Lehmann ("Estimates of location based on rank tests", Annals of Mathematical
//! Statistics 34, 1963): the median of all differences between a run of one side and a run of the other. The interval
//! comes from the exact distribution of the rank-sum statistic (Mann and Whitney, "On a test of whether one of two random
//! variables is stochastically larger than the other", Annals of Mathematical Statistics 18, 1947), inverted as in Hollander
//! and Wolfe, "Nonparametric Statistical Methods", section 4.3. It asks for independent runs and nothing of their
//! distribution. Ties, which a continuous quantity does not have, make it wider than it need be, never narrower.

use std::collections::BTreeMap;

/// How often an interval holds the truth, at the least.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// The most runs of a side that are taken: the exact distribution is counted in time with their fourth power.
pub const MOST_RUNS: usize = 40;

/// How far the second sample lies above the first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shift {
    /// The estimate.
    pub(crate) estimate: f64,
    /// What it may as well be; nothing where the samples are too small for any interval.
    pub(crate) interval: Option<Interval>,
}

/// An interval, ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// How often such an interval holds the truth: never below [`CONFIDENCE`], and seldom exactly that, since the
    /// distribution has steps.
    pub(crate) confidence: f64,
}

/// What [`cut`] found for samples of the sizes that came before: rows of one comparison nearly all have the same.
#[derive(Debug, Default)]
pub(crate) struct Cuts(BTreeMap<(usize, usize), Option<(usize, f64)>>);

impl Cuts {
    fn of(&mut self, first: usize, second: usize) -> Option<(usize, f64)> {
        *self
            .0
            .entry((first, second))
            .or_insert_with(|| cut(first, second))
    }
}

/// The shift from `first` to `second`; nothing where one of them is empty or holds what is no number.
pub(crate) fn shift(first: &[f64], second: &[f64], cuts: &mut Cuts) -> Option<Shift> {
    let mut differences: Vec<f64> = second
        .iter()
        .flat_map(|b| first.iter().map(move |a| b - a))
        .collect();
    if differences.is_empty() || differences.iter().any(|difference| !difference.is_finite()) {
        return None;
    }
    differences.sort_by(f64::total_cmp);
    let middle = differences.len() / 2;
    let estimate = if differences.len().is_multiple_of(2) {
        f64::midpoint(differences[middle - 1], differences[middle])
    } else {
        differences[middle]
    };
    let interval = cuts
        .of(first.len(), second.len())
        .map(|(critical, confidence)| Interval {
            low: differences[critical],
            high: differences[differences.len() - 1 - critical],
            confidence,
        });
    Some(Shift { estimate, interval })
}

/// Whether so many runs can yield an interval at all: of all orders in which they can fall, the one with all runs of one side above
/// those of the other must be rare enough.
pub(crate) fn is_enough(first: usize, second: usize) -> bool {
    if first == 0 || second == 0 || first.max(second) > MOST_RUNS {
        return false;
    }
    let orders: f64 = (1..=second).map(|at| (first + at) as f64 / at as f64).product();
    1.0 / orders <= (1.0 - CONFIDENCE) / 2.0
}

/// The critical value for samples of these sizes, the largest `u` with P(U ≤ u) ≤ 2.5 %, and the confidence that it leaves.
/// As many of the sorted differences are cut off at each end. Nothing where not even U = 0 is rare enough, or where there are
/// more than [`MOST_RUNS`].
fn cut(first: usize, second: usize) -> Option<(usize, f64)> {
    if first == 0 || second == 0 || first.max(second) > MOST_RUNS {
        return None;
    }
    let counts = counts(first, second);
    let all: f64 = counts.iter().sum();
    let most = (1.0 - CONFIDENCE) / 2.0;
    let mut below = 0.0;
    let mut found = None;
    for (u, count) in counts.iter().enumerate() {
        below += count / all;
        if below > most {
            break;
        }
        found = Some((u, 1.0 - 2.0 * below));
    }
    found
}

/// How many of the orders in which the runs of two samples can fall give each value of U, from 0 to the product of the
/// sizes. By the recurrence of Mann and Whitney, whose sums have no rounding below 2^53 and next to none above: the run that
/// is largest of all is of the first sample, and above all of the second, or it is of the second.
fn counts(first: usize, second: usize) -> Vec<f64> {
    let most = first * second;
    // Of samples of `m` and, row after row, `n`.
    let mut of_n: Vec<Vec<f64>> = vec![single(most); first + 1];
    for n in 1..=second {
        for m in 1..=first {
            let (before, here) = of_n.split_at_mut(m);
            let fewer = &before[m - 1];
            for u in n..=most {
                here[0][u] += fewer[u - n];
            }
        }
    }
    of_n.swap_remove(first)
}

/// Of no run against any number: one order, U = 0.
fn single(most: usize) -> Vec<f64> {
    let mut counts = vec![0.0; most + 1];
    counts[0] = 1.0;
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_distributions_are_those_that_can_be_counted_by_hand() {
        assert_eq!(counts(1, 3), [1.0, 1.0, 1.0, 1.0]);
        assert_eq!(counts(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(counts(3, 2), [1.0, 1.0, 2.0, 2.0, 2.0, 1.0, 1.0]);
        assert_eq!(counts(2, 3), counts(3, 2));
    }

    #[test]
    fn the_counts_add_up_to_all_orders() {
        let all = |first, second| counts(first, second).iter().sum::<f64>() as u64;
        assert_eq!(all(10, 10), 184_756);
        assert_eq!(all(20, 5), 53_130);
    }

    /// Two-sided, 5 %: the table of critical values of U that statistics books print, after Mann and Whitney and Auble (1953).
    #[test]
    fn critical_values_are_the_published_ones() {
        let table = [
            (2, 8, Some(0)),
            (3, 3, None),
            (3, 4, None),
            (3, 5, Some(0)),
            (4, 4, Some(0)),
            (4, 10, Some(5)),
            (5, 5, Some(2)),
            (5, 8, Some(6)),
            (5, 10, Some(8)),
            (6, 6, Some(5)),
            (7, 7, Some(8)),
            (8, 8, Some(13)),
            (9, 12, Some(26)),
            (10, 10, Some(23)),
            (12, 12, Some(37)),
            (15, 15, Some(64)),
            (20, 20, Some(127)),
        ];
        for (first, second, critical) in table {
            assert_eq!(
                cut(first, second).map(|(u, _)| u),
                critical,
                "{first} and {second} runs"
            );
        }
    }

    /// Hollander and Wolfe, table 4.1: permeability of the chorioamnion at term and at 12 to 26 weeks. They give 0.305 and,
    /// at 96 %, the interval from −0.15 to 0.76.
    #[test]
    fn a_worked_example_of_the_books_comes_out() {
        let at_term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let early = [1.15, 0.88, 0.90, 0.74, 1.21];
        let shift = shift(&early, &at_term, &mut Cuts::default()).unwrap();
        let interval = shift.interval.unwrap();
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(close(shift.estimate, 0.305), "{shift:?}");
        assert!(
            close(interval.low, -0.15) && close(interval.high, 0.76),
            "{interval:?}"
        );
        assert!((0.95..0.97).contains(&interval.confidence), "{interval:?}");
    }

    #[test]
    fn three_runs_a_side_have_an_estimate_and_no_interval() {
        let shift = shift(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0], &mut Cuts::default()).unwrap();
        assert_eq!(
            shift,
            Shift {
                estimate: 10.0,
                interval: None
            }
        );
        assert!(!is_enough(3, 3) && !is_enough(1, 1) && !is_enough(1, 38) && is_enough(4, 4));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let mut cuts = Cuts::default();
        assert_eq!(shift(&[], &[1.0], &mut cuts), None);
        assert_eq!(shift(&[1.0], &[], &mut cuts), None);
        assert_eq!(shift(&[f64::NAN], &[1.0], &mut cuts), None);
        assert_eq!(cut(MOST_RUNS + 1, 4), None, "more than is counted");
    }

    /// Two samples of the same: at most one interval in twenty misses zero, here over every order in which 4 and 4 runs can fall.
    #[test]
    fn over_all_orders_as_many_intervals_hold_the_truth_as_is_said() {
        let mut cuts = Cuts::default();
        let (mut held, mut all) = (0_u32, 0_u32);
        let mut confidence = 0.0;
        for chosen in (0_u32..256).filter(|bits| bits.count_ones() == 4) {
            let side = |wanted: bool| -> Vec<f64> {
                let ranks = (0..8).filter(|rank| (chosen >> rank & 1 == 1) == wanted);
                ranks.map(f64::from).collect()
            };
            let interval = shift(&side(true), &side(false), &mut cuts)
                .unwrap()
                .interval
                .unwrap();
            confidence = interval.confidence;
            all += 1;
            held += u32::from(interval.low < 0.0 && interval.high > 0.0);
        }
        assert!(
            (f64::from(held) / f64::from(all) - confidence).abs() < 1e-9,
            "{held} of {all}, {confidence}"
        );
        assert_eq!(cuts.0.len(), 1, "counted once for all of them");
    }

    #[test]
    fn what_is_enough_has_a_critical_value() {
        for first in 0..=12 {
            for second in 0..=MOST_RUNS + 1 {
                assert_eq!(
                    is_enough(first, second),
                    cut(first, second).is_some(),
                    "{first} and {second} runs"
                );
            }
        }
    }
}
