//! A bounded log whose entries are numbered from 1.
//!
//! The oldest entry makes room for a new one, and a reader that was too slow is told how many it missed: a gap is
//! never silent.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// A bounded log of `T`.
#[derive(Debug)]
pub struct Ring<T> {
    capacity: usize,
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    kept: VecDeque<T>,
    /// The number of the newest entry; 0 before the first.
    newest: u64,
}

/// What a [`Ring`] holds after a given entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Since<T> {
    /// Entries with their numbers, oldest first.
    pub entries: Vec<(u64, T)>,
    /// Entries after the given one that are no longer kept.
    pub dropped: u64,
    /// What to pass next to go on from here.
    pub next: u64,
}

impl<T: Clone> Ring<T> {
    /// A log of the newest `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a ring holds at least one entry");
        let entries = Mutex::new(Entries {
            kept: VecDeque::new(),
            newest: 0,
        });
        Self { capacity, entries }
    }

    /// Adds an entry and returns its number.
    pub fn push(&self, entry: T) -> u64 {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.kept.len() == self.capacity {
            entries.kept.pop_front();
        }
        entries.kept.push_back(entry);
        entries.newest += 1;
        entries.newest
    }

    /// The entries numbered above `after`.
    pub fn since(&self, after: u64) -> Since<T> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        // The number just before the oldest entry that is kept.
        let floor = entries.newest - entries.kept.len() as u64;
        let skip = after.clamp(floor, entries.newest) - floor;
        Since {
            entries: (floor + skip + 1..)
                .zip(entries.kept.iter().skip(skip as usize).cloned())
                .collect(),
            dropped: floor.saturating_sub(after),
            next: after.max(entries.newest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ring;

    /// A ring of three after `pushed` entries, each entry being its own number.
    fn check(pushed: u64, after: u64, expected: &[u64], dropped: u64, next: u64) {
        let ring = Ring::new(3);
        for number in 1..=pushed {
            assert_eq!(ring.push(number), number);
        }
        let since = ring.since(after);
        assert!(since.entries.iter().all(|(number, entry)| number == entry));
        let numbers: Vec<u64> = since.entries.iter().map(|(number, _)| *number).collect();
        assert_eq!(
            (numbers.as_slice(), since.dropped, since.next),
            (expected, dropped, next)
        );
    }

    #[test]
    fn a_reader_gets_each_entry_once_and_learns_what_it_missed() {
        check(0, 0, &[], 0, 0);
        check(2, 0, &[1, 2], 0, 2);
        check(2, 1, &[2], 0, 2);
        check(2, 2, &[], 0, 2);
        check(5, 0, &[3, 4, 5], 2, 5);
        check(5, 1, &[3, 4, 5], 1, 5);
        check(5, 4, &[5], 0, 5);
        check(2, 9, &[], 0, 9);
        check(2, u64::MAX, &[], 0, u64::MAX);
    }
}
