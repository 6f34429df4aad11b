//! `slicer`: chunks are cut into pieces about a size, with a pause after each.

use std::collections::VecDeque;
use std::time::Duration;

use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::{Chunk, Rule, ToxicKind, ToxicType, Verdict, count, microseconds};

pub(super) const TYPE: ToxicType = ToxicType {
    name: "slicer",
    about: "cuts bytes into small pieces, with a pause after each",
};

/// The pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Slicer {
    /// Bytes of a piece on average; 0 counts as 1.
    #[serde(with = "count")]
    pub average_size: u64,
    /// By how many bytes a cut may be off.
    #[serde(with = "count")]
    pub size_variation: u64,
    /// The pause after each piece.
    #[serde(with = "microseconds")]
    pub delay: Duration,
}

impl From<Slicer> for ToxicKind {
    fn from(it: Slicer) -> ToxicKind {
        ToxicKind::Slicer(it)
    }
}

/// The rule.
pub(super) struct Knife {
    slicer: Slicer,
    rng: Xoshiro256PlusPlus,
    /// Sizes of the pieces of the present chunk that are still to come.
    pieces: VecDeque<usize>,
    free_ns: u64,
}

impl Knife {
    pub(super) fn new(slicer: Slicer, rng: Xoshiro256PlusPlus) -> Knife {
        Knife {
            slicer,
            rng,
            pieces: VecDeque::new(),
            free_ns: 0,
        }
    }

    /// Halves what is longer than a piece may be, and the halves again, each time a little off the middle.
    fn plan(&mut self, bytes: usize) {
        let average = self.slicer.average_size.max(1);
        let variation = self.slicer.size_variation;
        let mut waiting = vec![bytes as u64];
        while let Some(length) = waiting.pop() {
            if length <= 1 || length.saturating_sub(average) <= variation {
                self.pieces.push_back(length as usize);
                continue;
            }
            let off = match variation {
                0 => 0,
                _ => self.rng.next_u64() % variation.saturating_mul(2),
            };
            let left = (length / 2 + off).saturating_sub(variation).clamp(1, length - 1);
            waiting.push(length - left);
            waiting.push(left);
        }
    }
}

impl Rule for Knife {
    fn chunk(&mut self, chunk: Chunk, now_ns: u64) -> Verdict {
        if self.pieces.is_empty() {
            self.plan(chunk.bytes);
        }
        let bytes = self.pieces.pop_front().unwrap_or(chunk.bytes);
        let at_ns = self.free_ns.max(now_ns);
        self.free_ns = at_ns.saturating_add(self.slicer.delay.as_nanos() as u64);
        if bytes >= chunk.bytes {
            return Verdict::Until(at_ns);
        }
        Verdict::Cut { bytes, at_ns }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use squall_model::seed::Seed;

    use super::*;

    /// The sizes and times of the pieces of one chunk that came at 0.
    fn cut(slicer: Slicer, bytes: usize) -> Vec<(usize, u64)> {
        let mut knife = Knife::new(slicer, Seed::new(7).rng());
        let (mut left, mut now_ns, mut pieces) = (bytes, 0, Vec::new());
        while left > 0 {
            let (size, at_ns) = match knife.chunk(
                Chunk {
                    bytes: left,
                    came_ns: 0,
                },
                now_ns,
            ) {
                Verdict::Cut { bytes, at_ns } => (bytes, at_ns),
                Verdict::Until(at_ns) => (left, at_ns),
                other => panic!("{other:?}"),
            };
            pieces.push((size, at_ns));
            left -= size;
            now_ns = at_ns;
        }
        pieces
    }

    #[test]
    fn pieces_are_about_the_size_with_a_pause_after_each() {
        let slicer = Slicer {
            average_size: 10,
            size_variation: 0,
            delay: Duration::from_micros(2),
        };
        let pieces = cut(slicer, 80);
        let expected: Vec<_> = (0..8).map(|nth| (10, nth * 2_000)).collect();
        assert_eq!(pieces, expected);
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_chunk(average in 0_u64..200, variation in 0_u64..200, bytes in 1_usize..3_000) {
            let slicer = Slicer { average_size: average, size_variation: variation, delay: Duration::ZERO };
            let pieces = cut(slicer, bytes);
            prop_assert_eq!(pieces.iter().map(|(size, _)| size).sum::<usize>(), bytes);
            let longest = average.max(1) + variation;
            prop_assert!(pieces.iter().all(|(size, _)| *size >= 1 && *size as u64 <= longest));
        }
    }
}
