//! Counts in stretches of time that are all as long, with values told apart about as finely as a reader can see.
//!
//! A second has hundreds of different latencies, and a column of a heat map of an hour thirty seconds. Exact counts would be merged
//! over and over for cells that hold twenty values each, so here a value keeps its five highest bits.

use squall_model::counts::Counts;

/// How many of its highest bits a value keeps.
const BITS: u32 = 5;
/// Values below this are kept as they are.
const WHOLE: u64 = 1 << BITS;
/// Places for every doubling.
const HALF: u64 = WHOLE / 2;
/// Places for all values.
const PLACES: usize = (WHOLE + (u64::BITS - BITS) as u64 * HALF) as usize;

/// What was counted in each stretch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns {
    /// How long each is.
    pub(crate) wide_us: u64,
    counts: Vec<[u64; PLACES]>,
}

impl Columns {
    /// So many from the run's begin on, without counts.
    pub(crate) fn new(number: usize, wide_us: u64) -> Columns {
        Columns {
            wide_us: wide_us.max(1),
            counts: vec![[0; PLACES]; number],
        }
    }

    /// Adds what was counted about a moment; what is later than all columns is in the last.
    pub(crate) fn add(&mut self, at_us: u64, counts: &Counts) {
        let Some(last) = self.counts.len().checked_sub(1) else {
            return;
        };
        let at = usize::try_from(at_us / self.wide_us).unwrap_or(last).min(last);
        let column = &mut self.counts[at];
        for (value, count) in counts.places() {
            let sum = &mut column[place(*value)];
            *sum = sum.saturating_add(*count);
        }
    }

    /// Each with its values, the least that have the same highest bits, and how often they were seen.
    pub(crate) fn values(&self) -> Vec<Vec<(u64, u64)>> {
        let values = |column: &[u64; PLACES]| {
            let seen = column.iter().enumerate().filter(|(_, count)| **count > 0);
            seen.map(|(place, count)| (least(place as u64), *count)).collect()
        };
        self.counts.iter().map(values).collect()
    }
}

fn place(value: u64) -> usize {
    let doublings = u64::from((u64::BITS - value.leading_zeros()).saturating_sub(BITS));
    let highest = value >> doublings;
    (highest + doublings * HALF) as usize
}

fn least(place: u64) -> u64 {
    if place < WHOLE {
        return place;
    }
    let doublings = (place - HALF) / HALF;
    (place - doublings * HALF) << doublings
}

#[cfg(test)]
mod tests {
    use squall_model::histogram::{empty, encode};

    use super::*;

    fn counts(values: &[(u64, u64)]) -> Counts {
        let mut histogram = empty();
        for (value, count) in values {
            histogram.record_n(*value, *count).unwrap();
        }
        Counts::decode(&encode(&histogram)).unwrap()
    }

    #[test]
    fn values_close_to_each_other_are_one_and_none_is_lost() {
        let mut columns = Columns::new(1, 1);
        columns.add(
            0,
            &counts(&[
                (1, 1),
                (31, 2),
                (32, 3),
                (33, 4),
                (1_000, 5),
                (1_023, 6),
                (1_024, 7),
            ]),
        );
        assert_eq!(
            columns.values(),
            [[(1, 1), (31, 2), (32, 7), (992, 11), (1_024, 7)]]
        );
    }

    #[test]
    fn every_value_has_a_place_of_values_that_agree_in_their_highest_bits() {
        let values = (0..u64::BITS)
            .flat_map(|bit| [0, 1, (1 << bit) / 3, (1 << bit) / 2].map(|more| (1 << bit) + more));
        for value in values.chain([0, u64::MAX]) {
            let (at, least) = (place(value), least(place(value) as u64));
            assert!(at < PLACES && least <= value, "{value}");
            assert!(value - least <= value / HALF, "{value} is {least}");
            assert_eq!(place(least), at, "{value}");
        }
    }

    #[test]
    fn every_moment_is_in_its_column_and_what_ends_late_in_the_last() {
        let mut columns = Columns::new(3, 2_000_000);
        for (at_us, times) in [
            (0, 1),
            (1_999_999, 2),
            (2_000_000, 4),
            (5_000_000, 8),
            (90_000_000, 16),
        ] {
            columns.add(at_us, &counts(&[(7, times)]));
        }
        assert_eq!(columns.values(), [[(7, 3)], [(7, 4)], [(7, 24)]]);
        columns = Columns::new(0, 0);
        columns.add(1, &counts(&[(7, 1)]));
        assert_eq!(columns.values(), [[]; 0]);
    }
}
