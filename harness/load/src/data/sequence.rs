//! Counts up: every request gets the next number, whatever its thread and phase.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Feed;

/// Whole numbers in order, each once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequence {
    from: u64,
}

impl Sequence {
    /// Counts from `from`.
    pub fn new(from: u64) -> Sequence {
        Sequence { from }
    }
}

impl Feed for Sequence {
    fn draw(&self, _number: u64, count: &AtomicU64) -> u64 {
        self.from.wrapping_add(count.fetch_add(1, Ordering::Relaxed))
    }

    fn write(&self, drawn: u64, _field: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(itoa::Buffer::new().format(drawn).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_get_each_number_once() {
        let (feed, count) = (Sequence::new(100), AtomicU64::new(0));
        let drawn = |_| {
            (0..1_000)
                .map(|number| feed.draw(number, &count))
                .collect::<Vec<u64>>()
        };
        let mut all: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|at| scope.spawn(move || drawn(at))).collect();
            threads.into_iter().flat_map(|one| one.join().unwrap()).collect()
        });
        all.sort_unstable();
        assert_eq!(all, (100..4_100).collect::<Vec<u64>>());
    }
}
