//! Rows of a file, kept by column: only what placeholders name is in memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rand_distr::{Distribution as _, Uniform};
use squall_model::seed::Seed;

use super::Feed;
use crate::phase::PHASE_SHIFT;

/// Which row a request gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pick {
    /// One after the other, from the first again after the last and in each phase.
    #[default]
    InOrder,
    /// Any, each as likely.
    Random,
}

/// One column, end to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Column {
    /// Adds a value below the others; all of them together are at most [`FILE_BYTES_MAX`](super::FILE_BYTES_MAX) long.
    pub(super) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as u32);
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[row] as usize]
    }
}

/// A feed of rows; a field is a column.
#[derive(Clone, Debug)]
pub struct Rows {
    columns: Vec<Arc<Column>>,
    count: u64,
    pick: Pick,
    seed: Seed,
}

impl Rows {
    /// Rows of `columns`, all equally long; `rows` is at least 1.
    pub(super) fn new(columns: Vec<Arc<Column>>, rows: usize, pick: Pick, seed: Seed) -> Rows {
        debug_assert!(
            rows > 0 && columns.iter().all(|column| column.len() == rows),
            "whole rows"
        );
        Rows {
            columns,
            count: rows as u64,
            pick,
            seed,
        }
    }
}

impl Feed for Rows {
    fn draw(&self, number: u64, _count: &AtomicU64) -> u64 {
        match self.pick {
            // The number within the phase.
            Pick::InOrder => (number & ((1 << PHASE_SHIFT) - 1)) % self.count,
            Pick::Random => {
                Uniform::new(0, self.count).map_or(0, |rows| rows.sample(&mut self.seed.nth(number).rng()))
            }
        }
    }

    fn write(&self, drawn: u64, field: u16, out: &mut Vec<u8>) {
        if let Some(column) = self.columns.get(usize::from(field)) {
            out.extend_from_slice(column.get(drawn as usize));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::assert_distributed;

    fn rows(pick: Pick) -> Rows {
        let mut column = Column::default();
        for text in ["a", "", "ccc"] {
            column.push(text.as_bytes());
        }
        Rows::new(vec![Arc::new(column)], 3, pick, Seed::new(3))
    }

    #[test]
    fn rows_come_in_order_from_the_first_in_each_phase() {
        let feed = rows(Pick::InOrder);
        let written = |number| {
            let mut out = Vec::new();
            feed.write(feed.draw(number, &AtomicU64::new(0)), 0, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!([0, 1, 2, 3].map(written), ["a", "", "ccc", "a"]);
        assert_eq!([5 << PHASE_SHIFT, 5 << PHASE_SHIFT | 1].map(written), ["a", ""]);
    }

    #[test]
    fn rows_at_random_are_each_as_likely() {
        let feed = rows(Pick::Random);
        let mut counts = [0; 3];
        for number in 0..30_000 {
            counts[feed.draw(number, &AtomicU64::new(0)) as usize] += 1;
        }
        assert_distributed(&counts, &[10_000.0; 3]);
    }
}
