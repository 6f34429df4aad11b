//! What a load does when nothing is wrong: the band that its baseline gives. Pure.
//!
//! Of the baseline's requests one in a hundred is over its P99, by definition. Of the n requests of another row as many are as a
//! binomial distribution says, and a row is outside when it has more than all but one row in a million would have by chance.
//! Requests of one row share what befalls them, so the worst row of the baseline itself, as a share, is inside too. Errors are
//! judged alike, by the baseline's own share of them, at least one in as many as it had.

use squall_load::Samples;
use squall_model::histogram::{self, Histogram};

use super::Row;

/// How rarely a row may be outside by chance.
const BY_CHANCE: f64 = 1e-6;

/// The share of requests over the P99.
const OVER: f64 = 0.01;

/// From this many expected ones on, the normal distribution stands for the binomial one.
const MANY: f64 = 100.0;

/// The standard normal's quantile of 1 - [`BY_CHANCE`].
const DEVIATIONS: f64 = 4.753;

/// What a load's rows are held to.
#[derive(Clone, Debug)]
pub struct Band {
    p99_us: u64,
    mean_us: f64,
    /// The share of a row that may be over the P99, where the baseline's own rows were worse than chance.
    worst_over: f64,
    error_share: f64,
    worst_failed: f64,
}

/// Why a baseline gives no band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the baseline has {0} requests, too few for a P99: it takes 1,000")]
pub struct TooFew(pub u64);

impl Band {
    /// The band of a baseline's rows, each with its response times.
    pub fn of(rows: &[(Row, Vec<Samples>)]) -> Result<Band, TooFew> {
        let mut all: Histogram = histogram::empty();
        for samples in rows.iter().flat_map(|(_, samples)| samples) {
            samples.add_to(&mut all);
        }
        let p99_us = histogram::quantile(&all, 0.99).ok_or(TooFew(all.len()))?;
        let ended: u64 = rows.iter().map(|(row, _)| row.ended).sum();
        let failed: u64 = rows.iter().map(|(row, _)| row.failed).sum();
        let sum_us: u64 = rows.iter().map(|(row, _)| row.sum_us).sum();
        let share = |part: u64, row: &Row| part as f64 / row.ended.max(1) as f64;
        let shares_over = rows
            .iter()
            .map(|(row, samples)| share(over(samples, p99_us), row));
        let shares_failed = rows.iter().map(|(row, _)| share(row.failed, row));
        Ok(Band {
            p99_us,
            mean_us: sum_us as f64 / ended.max(1) as f64,
            worst_over: shares_over.fold(0.0, f64::max),
            error_share: (failed + 1) as f64 / (ended + 1) as f64,
            worst_failed: shares_failed.fold(0.0, f64::max),
        })
    }

    /// The baseline's P99 of response times, microseconds: what a request must be over to count as such.
    pub fn p99_us(&self) -> u64 {
        self.p99_us
    }

    /// The baseline's mean response time, microseconds.
    pub fn mean_us(&self) -> f64 {
        self.mean_us
    }

    /// Whether a row shows something that the baseline and chance don't.
    pub fn is_outside(&self, row: &Row) -> bool {
        let is_more = |count: u64, share: f64, worst: f64| {
            let by_chance = limit(row.ended, share);
            count > by_chance && count as f64 > worst * row.ended as f64
        };
        (row.ended == 0 && row.intended > 0)
            || is_more(row.over, OVER, self.worst_over)
            || is_more(row.failed, self.error_share, self.worst_failed)
    }
}

/// How many samples lie over a value.
pub(super) fn over(samples: &[Samples], value_us: u64) -> u64 {
    let buckets = samples.iter().flat_map(Samples::buckets);
    buckets
        .filter(|(us, _)| *us > value_us)
        .map(|(_, count)| count)
        .sum()
}

/// The most of `n`, each with a chance of `share`, that more than one time in a million are reached: the quantile of the binomial
/// distribution, from many on that of the normal one with the same mean and deviation.
fn limit(n: u64, share: f64) -> u64 {
    let mean = n as f64 * share;
    if mean > MANY {
        return (mean + DEVIATIONS * (mean * (1.0 - share)).sqrt()).ceil() as u64;
    }
    let mut chance = (1.0 - share).powf(n as f64);
    let mut below = chance;
    for k in 1..=n {
        if 1.0 - below < BY_CHANCE {
            return k - 1;
        }
        chance *= (n - k + 1) as f64 / k as f64 * share / (1.0 - share);
        below += chance;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::limit;

    #[test]
    fn chance_is_the_binomial_distributions() {
        // scipy.stats.binom.isf(1e-6, n, share)
        let table = [
            (10, 0.01, 4),
            (200, 0.01, 12),
            (2_000, 0.01, 44),
            (200, 0.000_1, 3),
            (0, 0.01, 0),
            (3, 1.0, 3),
        ];
        for (n, share, expected) in table {
            assert_eq!(limit(n, share), expected, "{n} with {share}");
        }
        // Where the normal distribution takes over, the two agree within a twentieth: binom.isf(1e-6, 20000, 0.01) is 270.
        assert!(
            (limit(20_000, 0.01) as f64 / 270.0 - 1.0).abs() < 0.05,
            "{}",
            limit(20_000, 0.01)
        );
    }
}
