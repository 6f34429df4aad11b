//! Where the middle of paired differences lies, and how sure that is.
//!
//! The test is that of Wilcoxon ("Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945): rank the
//! differences by size, and add up the ranks of those above zero. If they lie symmetrically about zero, each sign is a
//! fair coin, so the chance of every sum can be counted. Zeros as Pratt has it ("Remarks on zeros and ties in the Wilcoxon signed
//! rank procedures", Journal of the American Statistical Association 54, 1959): they take part in the ranking, and their ranks are then
//! left out. Ties share the mean of their ranks, and the distribution is counted for just these ranks, so the p-value stays exact.
//!
//! The estimate and the bounds come from the Walsh averages, the means of all pairs of differences, each with itself too: their
//! median is the estimate of Hodges and Lehmann ("Estimates of location based on rank tests", Annals of Mathematical
//! Statistics 34, 1963), and as many are cut off at an end as the distribution allows (Hollander and Wolfe, "Nonparametric
//! Statistical Methods", section 3.3). Where values tie, the bounds lie further out than they need, never nearer (Noether, "Wilcoxon
//! confidence intervals for location parameters in the discrete case", Journal of the American Statistical Association 62, 1967).
//!
//! It asks for independent, symmetric differences. Chances are counted in whole numbers and rounded once, at the end.

use std::collections::BTreeMap;

/// The most differences that are taken: of more, the ways to set the signs no longer fit the integer that they are counted in.
pub const MOST: usize = 127;

/// Why no test is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// There is nothing to test.
    #[error("no differences to test")]
    Empty,
    /// A difference is infinite or not a number.
    #[error("difference {at} is no finite number")]
    NotFinite {
        /// Which one, counted from 0.
        at: usize,
    },
    /// More than [`MOST`].
    #[error("{count} differences, and at most {MOST} are taken")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// What a test looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// The middle lies above.
    Greater,
    /// The middle lies below.
    Less,
    /// It lies elsewhere: twice the smaller of the two chances.
    TwoSided,
}

/// One end of a one-sided confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// Where it lies, in the unit of the differences.
    pub at: f64,
    /// How often such a bound misses the middle: never more than was asked for, and seldom just that, since the distribution has steps.
    pub missed: f64,
}

/// A two-sided interval, ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// How often such an interval holds the middle: never below what was asked for.
    pub confidence: f64,
}

/// Paired differences, at least one, at most [`MOST`], all finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Sorted.
    values: Vec<f64>,
    /// The means of all pairs, sorted: n (n + 1) / 2.
    walsh: Vec<f64>,
}

impl Sample {
    /// Takes the differences, in any order.
    pub fn new(values: &[f64]) -> Result<Sample, SampleError> {
        if values.is_empty() {
            return Err(SampleError::Empty);
        }
        if values.len() > MOST {
            return Err(SampleError::TooMany { count: values.len() });
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(SampleError::NotFinite { at });
        }
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        // The pairs of each value come in order, which a stable sort makes use of.
        let pairs = values
            .iter()
            .enumerate()
            .flat_map(|(at, &value)| values[at..].iter().map(move |&other| f64::midpoint(value, other)));
        let mut walsh: Vec<f64> = pairs.collect();
        walsh.sort_by(f64::total_cmp);
        Ok(Sample { values, walsh })
    }

    /// How often chance alone puts the differences as far from `middle` as they are, if they lie symmetrically about it.
    pub fn p_value(&self, middle: f64, alternative: Alternative, nulls: &mut Nulls) -> f64 {
        let signed = Signed::about(&self.values, middle);
        let own;
        let null = if signed.is_plain() {
            nulls.of(signed.ranks.len())
        } else {
            own = Null::of_ranks(&signed.ranks);
            &own
        };
        let all: usize = signed.ranks.iter().sum();
        let greater = null.at_most(all - signed.above);
        let less = null.at_most(signed.above);
        match alternative {
            Alternative::Greater => greater,
            Alternative::Less => less,
            Alternative::TwoSided => (2.0 * greater.min(less)).min(1.0),
        }
    }

    /// The estimate of the middle: the median of the Walsh averages.
    pub fn estimate(&self) -> f64 {
        let middle = self.walsh.len() / 2;
        if self.walsh.len().is_multiple_of(2) {
            f64::midpoint(self.walsh[middle - 1], self.walsh[middle])
        } else {
            self.walsh[middle]
        }
    }

    /// What the middle lies above or at, but for a chance of `level`; nothing where there are too few differences for any bound.
    pub fn lower(&self, level: f64, nulls: &mut Nulls) -> Option<Bound> {
        let cut = nulls.of(self.values.len()).critical(level)?;
        Some(Bound {
            at: self.walsh[cut.sum],
            missed: cut.chance,
        })
    }

    /// What the middle lies below or at, but for a chance of `level`; nothing where there are too few differences for any bound.
    pub fn upper(&self, level: f64, nulls: &mut Nulls) -> Option<Bound> {
        let cut = nulls.of(self.values.len()).critical(level)?;
        Some(Bound {
            at: self.walsh[self.walsh.len() - 1 - cut.sum],
            missed: cut.chance,
        })
    }

    /// The interval that misses the middle with a chance of `level` at most, half of it at each end; nothing where there are
    /// too few differences for any.
    pub fn interval(&self, level: f64, nulls: &mut Nulls) -> Option<Interval> {
        let low = self.lower(level / 2.0, nulls)?;
        let high = self.upper(level / 2.0, nulls)?;
        Some(Interval {
            low: low.at,
            high: high.at,
            confidence: 1.0 - (low.missed + high.missed),
        })
    }
}

/// Distributions without ties and zeros, each counted once: a gate asks for the same few again and again.
#[derive(Debug, Default)]
pub struct Nulls(BTreeMap<usize, Null>);

impl Nulls {
    fn of(&mut self, count: usize) -> &Null {
        self.0.entry(count).or_insert_with(|| {
            let ranks: Vec<usize> = (1..=count).collect();
            Null::of_ranks(&ranks)
        })
    }
}

/// The ranks of what does not lie at the middle, smallest first. With ties they are doubled, so that shared ranks are whole.
#[derive(Debug, PartialEq)]
struct Signed {
    ranks: Vec<usize>,
    /// The sum of the ranks that lie above.
    above: usize,
}

impl Signed {
    fn about(values: &[f64], middle: f64) -> Signed {
        let mut apart: Vec<f64> = values.iter().map(|value| value - middle).collect();
        apart.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
        let mut doubled = Vec::with_capacity(apart.len());
        for tied in apart.chunk_by(|a, b| a.abs().total_cmp(&b.abs()).is_eq()) {
            // The mean of the ranks from the first to the last of them, doubled, is the sum of the two.
            let first = doubled.len() + 1;
            let last = doubled.len() + tied.len();
            doubled.extend(tied.iter().map(|value| (first + last, *value)));
        }
        doubled.retain(|(_, value)| *value != 0.0);
        let scale = if doubled.iter().all(|(rank, _)| rank.is_multiple_of(2)) {
            2
        } else {
            1
        };
        let above = doubled.iter().filter(|(_, value)| *value > 0.0);
        Signed {
            above: above.map(|(rank, _)| rank / scale).sum(),
            ranks: doubled.iter().map(|(rank, _)| rank / scale).collect(),
        }
    }

    /// Whether the ranks are 1, 2, 3 and so on: neither ties nor zeros.
    fn is_plain(&self) -> bool {
        self.ranks.iter().copied().eq(1..=self.ranks.len())
    }
}

/// The chance of each sum of ranks or a smaller one, where every sign is a fair coin.
#[derive(Debug)]
struct Null(Vec<f64>);

/// The largest sum that is rare enough.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    sum: usize,
    /// The chance of it or a smaller one.
    chance: f64,
}

impl Null {
    /// Counts the subsets of the ranks by their sums, rank after rank: exact, since all of them are 2^n, and n is at most [`MOST`].
    fn of_ranks(ranks: &[usize]) -> Null {
        let mut counts: Vec<u128> = vec![0; ranks.iter().sum::<usize>() + 1];
        counts[0] = 1;
        let mut most = 0;
        for rank in ranks {
            most += rank;
            for sum in (*rank..=most).rev() {
                counts[sum] += counts[sum - rank];
            }
        }
        // A power of two: dividing by it rounds nothing.
        let all = (1_u128 << ranks.len()) as f64;
        let mut below = 0;
        let chances = counts.into_iter().map(|count| {
            below += count;
            below as f64 / all
        });
        Null(chances.collect())
    }

    fn at_most(&self, sum: usize) -> f64 {
        self.0[sum]
    }

    /// Nothing where not even a sum of 0 is as rare as `level`.
    fn critical(&self, level: f64) -> Option<Cut> {
        let rare = self
            .0
            .partition_point(|chance| *chance <= level && *chance <= 0.5);
        let sum = rare.checked_sub(1)?;
        Some(Cut {
            sum,
            chance: self.0[sum],
        })
    }
}

#[cfg(test)]
mod tests;
