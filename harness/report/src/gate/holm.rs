//! Several metrics in one look, and still one chance of a false alarm.
//!
//! Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979): the smallest of k p-values
//! must be below level / k, the next below level / (k - 1), and so on; the first that fails ends it. The chance that any true
//! hypothesis is rejected stays within the level, however the metrics hang together.

/// Each p-value adjusted, in the order given: a metric is told of at a level where its adjusted value does not exceed it. What is no
/// chance between 0 and 1 counts as 1, which tells nothing.
pub fn adjusted(p_values: &[f64]) -> Vec<f64> {
    let mut adjusted = vec![1.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (step, at) in ascending(p_values).into_iter().enumerate() {
        let left = (p_values.len() - step) as f64;
        largest = largest.max(left * chance(p_values[at])).min(1.0);
        adjusted[at] = largest;
    }
    adjusted
}

/// What came of one metric on the way down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The level that its test or bound was held to. After the first that failed all have the level of that one: with it, their
    /// bounds hold all together (Guilbaud, "Simultaneous confidence regions corresponding to Holm's step-down procedure", Biometrical
    /// Journal 50, 2008).
    pub level: f64,
    /// Whether the hypothesis that nothing is wrong with it was rejected.
    pub is_rejected: bool,
}

/// Goes through the metrics from the smallest p-value up, and asks `rejects` with a metric's index and level, until it says no.
/// The order only makes it sharper: the level holds for any. What comes out is in the order given.
pub fn step_down(p_values: &[f64], level: f64, mut rejects: impl FnMut(usize, f64) -> bool) -> Vec<Step> {
    let count = p_values.len();
    let nothing = Step {
        level,
        is_rejected: false,
    };
    let mut steps = vec![nothing; count];
    let mut failed = None;
    for (step, at) in ascending(p_values).into_iter().enumerate() {
        let level = failed.unwrap_or(level / (count - step) as f64);
        let is_rejected = failed.is_none() && rejects(at, level);
        if !is_rejected {
            failed = Some(level);
        }
        steps[at] = Step { level, is_rejected };
    }
    steps
}

/// A p-value that is none counts as 1.
fn chance(p_value: f64) -> f64 {
    if (0.0..=1.0).contains(&p_value) {
        p_value
    } else {
        1.0
    }
}

/// The indices from the smallest p-value to the largest; of equal ones the first comes first.
fn ascending(p_values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| chance(p_values[a]).total_cmp(&chance(p_values[b])));
    order
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::float_cmp,
        reason = "levels and p-values must come out to the last bit"
    )]

    use squall_model::seed::{Seed, unit};

    use super::*;

    /// As R says: `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`, by hand 4 x 0.005, 3 x 0.01, 2 x 0.03, and not below that.
    #[test]
    fn a_small_case_is_as_by_hand() {
        let found = adjusted(&[0.01, 0.04, 0.03, 0.005]);
        for (found, by_hand) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - by_hand).abs() < 1e-15, "{found} is not {by_hand}");
        }
        assert_eq!(adjusted(&[0.4]), [0.4]);
        assert_eq!(adjusted(&[0.7, 0.6]), [1.0, 1.0]);
        assert_eq!(adjusted(&[]), [0.0_f64; 0]);
    }

    #[test]
    fn what_is_no_chance_counts_as_one() {
        assert_eq!(adjusted(&[f64::NAN, 0.1, 1.5, -0.1]), [1.0, 0.4, 1.0, 1.0]);
        let steps = step_down(&[-0.1, 0.001], 0.05, |_, _| true);
        assert_eq!([steps[0].level, steps[1].level], [0.05, 0.025]);
    }

    #[test]
    fn adjusted_values_keep_the_order_and_never_fall() {
        let mut rng = Seed::new(1979).rng();
        for _ in 0..500 {
            let p_values: Vec<f64> = (0..8).map(|_| unit(&mut rng).powi(3)).collect();
            let adjusted = adjusted(&p_values);
            for (a, p) in p_values.iter().enumerate() {
                assert!(
                    adjusted[a] >= *p && adjusted[a] <= (8.0 * p).min(1.0),
                    "{p_values:?}"
                );
                for (b, other) in p_values.iter().enumerate() {
                    assert!(p > other || adjusted[a] <= adjusted[b], "{p_values:?}");
                }
            }
        }
    }

    #[test]
    fn the_way_down_rejects_what_the_adjusted_values_reject() {
        let mut rng = Seed::new(6).rng();
        let mut rejected = [0; 6];
        for _ in 0..500 {
            let p_values: Vec<f64> = (0..5).map(|_| unit(&mut rng).powi(4)).collect();
            let steps = step_down(&p_values, 0.05, |at, level| p_values[at] <= level);
            let adjusted = adjusted(&p_values);
            for (step, adjusted) in steps.iter().zip(adjusted) {
                assert_eq!(step.is_rejected, adjusted <= 0.05, "{p_values:?}");
            }
            rejected[steps.iter().filter(|step| step.is_rejected).count()] += 1;
        }
        assert!(
            rejected.iter().all(|times| *times > 0),
            "of every kind: {rejected:?}"
        );
    }

    #[test]
    fn those_after_the_first_that_failed_share_its_level() {
        let steps = step_down(&[0.2, 0.001, 0.02, 0.3], 0.04, |at, _| at == 1);
        let third = 0.04 / 3.0;
        let levels: Vec<f64> = steps.iter().map(|step| step.level).collect();
        assert_eq!(levels, [third, 0.01, third, third]);
        assert!(steps[1].is_rejected && !steps[2].is_rejected);
    }
}
