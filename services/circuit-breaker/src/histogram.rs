//! Response times in cells whose width grows with them: counts that cost one addition and need no memory per call.
//!
//! A value of `m` microseconds goes to a cell by its highest bit and the four bits below it: values below 16 us
//! each have their own cell, beyond that each power of two is cut into 16. So a cell is at most 1/16 as wide as the values in it, and a
//! quantile, which is answered by the last value of its cell, is never below the true one and at most 6.25 % above it. Values beyond 67 s count
//! as 67 s. The layout is HdrHistogram's, with 16 sub-buckets.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shard::{self, Line, SHARDS};

/// Bits that stand below the highest one in a cell's number.
const FINE_BITS: u32 = 4;
const FINE: usize = 1 << FINE_BITS;
/// The largest value, in microseconds.
const VALUE_MAX: u64 = (1 << 26) - 1;
const CELLS: usize = FINE * (26 - FINE_BITS as usize + 1);

/// A histogram that many threads write. It only ever grows: who reads it subtracts what was there before.
#[derive(Debug)]
pub(crate) struct Histogram {
    shards: Box<[Line<[AtomicU64; CELLS]>]>,
}

/// What a histogram held at some time, by cell.
#[derive(Debug)]
pub(crate) struct Counts(Box<[u64]>);

impl Default for Histogram {
    fn default() -> Self {
        let empty = || Line([const { AtomicU64::new(0) }; CELLS]);
        Self {
            shards: (0..SHARDS).map(|_| empty()).collect(),
        }
    }
}

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; CELLS].into())
    }
}

impl Histogram {
    #[inline]
    pub(crate) fn record(&self, us: u64) {
        let shard = shard::own();
        shard::update(shard, &self.shards[shard].0[cell(us)], |count| count + 1);
    }

    /// How many values were recorded since `before`, and the value that this share of them is at most. Brings `before` up to date.
    pub(crate) fn since(&self, before: &mut Counts, share: f64) -> (u64, u64) {
        let sum = |at: usize| -> u64 {
            let of = |shard: &Line<[AtomicU64; CELLS]>| shard.0[at].load(Ordering::Acquire);
            self.shards.iter().map(of).sum()
        };
        let mut counts = [0_u64; CELLS];
        for (at, (count, before)) in counts.iter_mut().zip(&mut before.0).enumerate() {
            let now = sum(at);
            *count = now - *before;
            *before = now;
        }
        let total: u64 = counts.iter().sum();
        let rank = ((total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let at = counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        (total, at.map_or(0, last_of))
    }
}

/// The cell of a value.
#[inline]
fn cell(us: u64) -> usize {
    let us = us.min(VALUE_MAX);
    let high = (us | 1).ilog2();
    if high < FINE_BITS {
        return us as usize;
    }
    let shift = high - FINE_BITS;
    FINE * (shift as usize + 1) + ((us >> shift) as usize - FINE)
}

/// The largest value of a cell.
fn last_of(cell: usize) -> u64 {
    match (cell / FINE).checked_sub(1) {
        None => cell as u64,
        Some(shift) => (((cell % FINE + FINE + 1) as u64) << shift) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{CELLS, Counts, Histogram, VALUE_MAX, cell, last_of};

    #[test]
    fn every_value_is_at_most_a_sixteenth_below_the_last_of_its_cell() {
        let all = (0..10_000).chain((0..26).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for us in all.filter(|us| *us <= VALUE_MAX) {
            let last = last_of(cell(us));
            assert!(last >= us && last - us <= us / 16, "{us} in a cell up to {last}");
        }
        assert_eq!(cell(u64::MAX), CELLS - 1);
    }

    #[test]
    fn a_quantile_is_that_of_the_values_since_it_was_asked_for_last() {
        let (histogram, mut before) = (Histogram::default(), Counts::default());
        (1..=1000).for_each(|ms| histogram.record(ms * 1_000));
        let (total, p99) = histogram.since(&mut before, 0.99);
        assert_eq!(total, 1_000);
        assert!((990_000..=990_000 * 17 / 16).contains(&p99), "{p99}");
        assert_eq!(histogram.since(&mut before, 0.99), (0, 0));
        histogram.record(7);
        assert_eq!(histogram.since(&mut before, 0.99), (1, 7));
    }
}
