//! Where the level of a series changed, by E-divisive means.
//!
//! The method: D. S. Matteson and N. A. James, "A Nonparametric Approach for Multiple Change Point Analysis of Multivariate
//! Data", *Journal of the American Statistical Association* 109 (2014), 334-345. The best split of a stretch is the one whose two sides
//! have the largest energy distance (G. J. Székely and M. L. Rizzo, "Energy statistics", 2013), and a permutation test says
//! whether chance splits as well. `MongoDB` (Daly et al., ICPE 2020) and Hunter (Fleming et al., ICPE 2023) look at benchmarks by it.
//!
//! The test assumes nothing of the distribution, only that runs of an unchanged program could have come in any order. A drift,
//! or neighbours that are more alike than others, break that, and look like changes.
//!
//! Pure and repeatable: the permutations come from a fixed seed.

use squall_model::seed::{Seed, unit};

/// The fewest runs of which anything is told. With fewer, a change would have to be larger than any that matters, or be chance.
pub const FEWEST: usize = 12;

/// The fewest runs between two changes: so that one or two odd runs are none.
pub const SHORTEST: usize = 4;

/// The most runs that are looked at, the newest: the time taken grows with their square.
pub const MOST: usize = 300;

/// How often chance may find a change in a series that has none.
pub const LEVEL: f64 = 0.01;

/// How many random orders a split is held against. With one less than a multiple of 1 / [`LEVEL`] the test is exact.
pub const PERMUTATIONS: usize = 499;

/// The most changes told of one series.
const MOST_CHANGES: usize = 20;

/// The root of the permutations: of no meaning, and always the same.
const SEED: Seed = Seed::new(2014);

/// A change of level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// The first value after it.
    pub at: usize,
    /// How often random orders have a split as good: at least 1 / ([`PERMUTATIONS`] + 1).
    pub p_value: f64,
}

/// Every change of level in `values`, in order; none where there are fewer than [`FEWEST`]. Values are compared by their differences, so
/// ratios want logarithms.
pub fn change_points(values: &[f64]) -> Vec<ChangePoint> {
    let mut found: Vec<ChangePoint> = Vec::new();
    if values.len() < FEWEST || values.iter().any(|value| !value.is_finite()) {
        return found;
    }
    let mut stretches = vec![(0, values.len())];
    while found.len() < MOST_CHANGES {
        let splits = stretches
            .iter()
            .filter_map(|&(from, to)| Some((best_split(&values[from..to])?, from)));
        let Some((best, from)) = splits.max_by(|(a, _), (b, _)| a.distance.total_cmp(&b.distance)) else {
            break;
        };
        let seed = SEED.nth(found.len() as u64);
        let Some(p_value) = significance(values, &stretches, best.distance, seed) else {
            break;
        };
        let at = from + best.at;
        found.push(ChangePoint { at, p_value });
        stretches = stretches
            .into_iter()
            .flat_map(|(from, to)| {
                let is_split = from < at && at < to;
                let halves = [(from, at), (at, to)];
                if is_split {
                    halves.to_vec()
                } else {
                    vec![(from, to)]
                }
            })
            .collect();
    }
    found.sort_by_key(|change| change.at);
    found
}

/// Two sides, and how far apart they lie.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Split {
    at: usize,
    distance: f64,
}

/// The split whose sides lie furthest apart, where the second side may end before the stretch does: what comes after another
/// change would hide this one. Nothing where the stretch is too short for two sides.
fn best_split(values: &[f64]) -> Option<Split> {
    let n = values.len();
    // Of each value: its distances to all before it, and to those on the left of the split.
    let before: Vec<f64> = (0..n)
        .map(|at| values[..at].iter().map(|value| (value - values[at]).abs()).sum())
        .collect();
    let mut to_left = vec![0.0; n];
    let mut within_left = 0.0;
    let mut best: Option<Split> = None;
    for at in 1..=n.saturating_sub(SHORTEST) {
        let joined = values[at - 1];
        within_left += before[at - 1];
        for (sum, value) in to_left.iter_mut().zip(values).skip(at) {
            *sum += (value - joined).abs();
        }
        if at < SHORTEST {
            continue;
        }
        let left = at as f64;
        let spread_left = 2.0 * within_left / (left * left);
        let (mut across, mut within_right, mut right) = (0.0, 0.0, 0.0);
        for (to_left, before) in to_left[at..].iter().zip(&before[at..]) {
            across += to_left;
            within_right += before - to_left;
            right += 1.0;
            if right < SHORTEST as f64 {
                continue;
            }
            let apart = 2.0 * across / (left * right) - spread_left - 2.0 * within_right / (right * right);
            let distance = left * right / (left + right) * apart;
            if best.is_none_or(|best| distance > best.distance) {
                best = Some(Split { at, distance });
            }
        }
    }
    best
}

/// How often a random order of the values, each inside its stretch, can be split as well as `distance`; nothing where that is more
/// often than [`LEVEL`].
fn significance(values: &[f64], stretches: &[(usize, usize)], distance: f64, seed: Seed) -> Option<f64> {
    let most = (LEVEL * (PERMUTATIONS + 1) as f64).round() as usize;
    // Equal but for rounding counts as equal.
    let reached = distance * (1.0 - 1e-9);
    let mut rng = seed.rng();
    let mut as_good = 1;
    let mut shuffled = values.to_vec();
    for _ in 0..PERMUTATIONS {
        let mut is_as_good = false;
        for &(from, to) in stretches {
            let stretch = &mut shuffled[from..to];
            for at in (1..stretch.len()).rev() {
                let other = (unit(&mut rng) * (at + 1) as f64) as usize;
                stretch.swap(at, other.min(at));
            }
            is_as_good |= best_split(stretch).is_some_and(|split| split.distance >= reached);
        }
        as_good += usize::from(is_as_good);
        // Chance has done as well too often already; the rest of the orders can't change that.
        if as_good > most {
            return None;
        }
    }
    Some(as_good as f64 / (PERMUTATIONS + 1) as f64)
}

#[cfg(test)]
mod tests;
