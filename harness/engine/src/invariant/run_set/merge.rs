//! Merging two runs into one, in one pass that gives their memory back as it goes.

use std::collections::VecDeque;

use super::builder::{Builder, SEGMENT_WORDS};
use super::key::Key;
use super::pack;
use super::run::{BLOCK, Run, Segment};

/// One run of all keys of both; no key may be in both. Memory of the two is given back as they are read.
pub(super) fn merge<K: Key>(one: Run<K>, other: Run<K>) -> Run<K> {
    let (mut one, mut other) = (Cursor::new(one), Cursor::new(other));
    let mut builder = Builder::default();
    loop {
        if one.hand_over(other.next_key(), &mut builder) || other.hand_over(one.next_key(), &mut builder) {
            continue;
        }
        if one.is_done() || other.is_done() {
            break;
        }
        Cursor::merge_blocks(&mut one, &mut other, &mut builder);
    }
    for rest in [&mut one, &mut other] {
        while !rest.is_done() {
            if !rest.hand_over(None, &mut builder) {
                rest.copy_block(&mut builder);
            }
        }
    }
    builder.finish()
}

/// Reads a run from its start, giving its segments back one by one.
#[derive(Debug)]
struct Cursor<K> {
    segments: VecDeque<Segment<K>>,
    /// The next block to read in the first segment.
    block: usize,
    keys: [K; BLOCK],
    windows: [u32; BLOCK],
    at: usize,
    len: usize,
}

impl<K: Key> Default for Cursor<K> {
    fn default() -> Self {
        Self {
            segments: VecDeque::new(),
            block: 0,
            keys: [K::default(); BLOCK],
            windows: [0; BLOCK],
            at: 0,
            len: 0,
        }
    }
}

impl<K: Key> Cursor<K> {
    fn new(run: Run<K>) -> Self {
        let mut cursor = Self {
            segments: run.segments,
            ..Self::default()
        };
        cursor.load_block();
        cursor
    }

    /// Whether every key has been read.
    fn is_done(&self) -> bool {
        self.at == self.len
    }

    /// The next key, unless every one has been read.
    fn next_key(&self) -> Option<K> {
        (!self.is_done()).then(|| self.keys[self.at])
    }

    /// Reads the next block, where there's one.
    fn load_block(&mut self) {
        (self.at, self.len) = (0, 0);
        let Some(mut segment) = self.segments.front() else {
            return;
        };
        if self.block == segment.headers.len() {
            self.segments.pop_front();
            self.block = 0;
            let Some(following) = self.segments.front() else {
                return;
            };
            segment = following;
        }
        let header = &segment.headers[self.block];
        let words = &segment.words[header.start as usize..];
        let (mut heads, mut windows, mut tails) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
        self.len = header.heads(words, &mut heads).len();
        pack::unpack(
            &words[header.windows_start()..],
            header.window_bits,
            &mut windows[..self.len],
        );
        pack::unpack(
            &words[header.tails_start()..],
            K::TAIL_BITS,
            &mut tails[..self.len],
        );
        for index in 0..self.len {
            self.keys[index] = K::of(heads[index], tails[index]);
            self.windows[index] = header.window_base + windows[index] as u32;
        }
        self.block += 1;
    }

    /// Moves the whole first segment to the builder, unread, if nothing of it has been taken and all of it comes
    /// before `limit`. Small ones are left to be copied, so that they join.
    fn hand_over(&mut self, limit: Option<K>, builder: &mut Builder<K>) -> bool {
        let untouched = self.block == 1 && self.at == 0;
        let Some(segment) = self.segments.front() else {
            return false;
        };
        let before_other = limit.is_none_or(|limit| segment.last < limit);
        if !untouched || !before_other || segment.words.len() < SEGMENT_WORDS / 2 {
            return false;
        }
        builder.take_segment(
            self.segments
                .pop_front()
                .expect("the first segment was looked at above"),
        );
        self.block = 0;
        self.load_block();
        true
    }

    /// Takes keys from both in ascending order until the block of one is used up.
    fn merge_blocks(one: &mut Self, other: &mut Self, builder: &mut Builder<K>) {
        while one.at < one.len && other.at < other.len {
            let (a, b) = (one.keys[one.at], other.keys[other.at]);
            debug_assert_ne!(a, b, "a key may be in one run only");
            // Written so that it compiles to conditional moves: which comes first can't be predicted.
            let first = a < b;
            let window = if first {
                one.windows[one.at]
            } else {
                other.windows[other.at]
            };
            builder.push(if first { a } else { b }, window);
            one.at += usize::from(first);
            other.at += usize::from(!first);
        }
        for cursor in [one, other] {
            if cursor.is_done() {
                cursor.load_block();
            }
        }
    }

    /// Takes what is left of the block.
    fn copy_block(&mut self, builder: &mut Builder<K>) {
        for index in self.at..self.len {
            builder.push(self.keys[index], self.windows[index]);
        }
        self.load_block();
    }
}
