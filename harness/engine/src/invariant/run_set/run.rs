//! A run: distinct keys in ascending order, compressed, each with the number of the window it was first seen in.
//!
//! Keys lie in blocks of up to 128. A block stores the differences of the heads at the width of the greatest, the
//! window numbers less the smallest at the width of the greatest, and the tails: dense ids take under a byte each,
//! 100 million random 64-bit numbers about six. Blocks lie in segments of one size, the unit in which memory is
//! given back while runs merge.

use std::collections::VecDeque;

use super::builder::Builder;
use super::key::Key;
use super::pack;

/// Keys in a full block.
pub(super) const BLOCK: usize = 128;

/// What a block needs to be read.
#[derive(Clone, Debug)]
pub(super) struct Header<K> {
    pub(super) first: K,
    /// Where the block starts in the segment's words.
    pub(super) start: u32,
    pub(super) window_base: u32,
    pub(super) len: u8,
    pub(super) delta_bits: u8,
    pub(super) window_bits: u8,
}

/// Blocks with their packed words, and one word of padding for the unpacking that reads ahead.
#[derive(Debug)]
pub(super) struct Segment<K> {
    pub(super) headers: Box<[Header<K>]>,
    pub(super) words: Box<[u64]>,
    pub(super) last: K,
    pub(super) keys: usize,
}

/// Keys in ascending order, none twice.
#[derive(Debug)]
pub(super) struct Run<K> {
    pub(super) segments: VecDeque<Segment<K>>,
    len: usize,
    bytes: usize,
}

impl<K: Key> Run<K> {
    pub(super) const fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            len: 0,
            bytes: 0,
        }
    }

    /// Appends a segment, whose keys must all come after those of the run.
    pub(super) fn append(&mut self, segment: Segment<K>) {
        self.len += segment.keys;
        self.bytes += segment.bytes();
        self.segments.push_back(segment);
    }

    /// A run of ascending `keys`, all first seen in `window`.
    pub(super) fn of(keys: &[K], window: u32) -> Self {
        let mut builder = Builder::default();
        for &key in keys {
            builder.push(key, window);
        }
        builder.finish()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory the run takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tells `found` the index of each of the ascending `keys` that the run holds, and its window.
    pub(super) fn find(&self, keys: &[K], found: &mut impl FnMut(usize, u32)) {
        let (mut next, mut at) = (0, 0);
        while let Some(&key) = keys.get(next) {
            at += gallop(at, self.segments.len(), |i| self.segments[i].last < key);
            let Some(segment) = self.segments.get(at) else {
                return;
            };
            next = segment.find(keys, next, found);
        }
    }
}

impl<K: Key> Segment<K> {
    fn bytes(&self) -> usize {
        size_of_val(&*self.headers) + size_of_val(&*self.words) + size_of::<Self>()
    }

    /// As [`Run::find`] for the keys from `next` up to the segment's last; returns the index of the first beyond
    /// it.
    fn find(&self, keys: &[K], mut next: usize, found: &mut impl FnMut(usize, u32)) -> usize {
        let mut heads = [0; BLOCK];
        let mut block = 0;
        while let Some(&key) = keys.get(next)
            && key <= self.last
        {
            // Now `block` is the last one that starts at or before the key, if there's one.
            block += gallop(block + 1, self.headers.len(), |i| self.headers[i].first <= key);
            let header = &self.headers[block];
            if key < header.first {
                next += gallop(next, keys.len(), |i| keys[i] < header.first);
                continue;
            }
            let words = &self.words[header.start as usize..];
            let heads = header.heads(words, &mut heads);
            let mut at = 0;
            while let Some(&key) = keys.get(next)
                && self
                    .headers
                    .get(block + 1)
                    .is_none_or(|following| key < following.first)
                && key <= self.last
            {
                at += heads[at..].partition_point(|&head| head < key.head());
                let same = heads[at..].iter().take_while(|&&head| head == key.head()).count();
                if let Some(index) =
                    (at..at + same).find(|&index| header.tail::<K>(words, index) == key.tail())
                {
                    found(next, header.window(words, index));
                }
                next += 1;
            }
        }
        next
    }
}

/// How many of `from..end` in a row hold `before`, which is true up to some index and false from there; quick
/// where that is few.
fn gallop(from: usize, end: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut known, mut step) = (from, 1);
    while known + step <= end && before(known + step - 1) {
        known += step;
        step *= 2;
    }
    let mut above = end.min(known + step);
    while known < above {
        let middle = known + (above - known) / 2;
        if before(middle) {
            known = middle + 1;
        } else {
            above = middle;
        }
    }
    known - from
}

impl<K: Key> Header<K> {
    pub(super) fn windows_start(&self) -> usize {
        pack::words_of(usize::from(self.len), self.delta_bits)
    }

    pub(super) fn tails_start(&self) -> usize {
        self.windows_start() + pack::words_of(usize::from(self.len), self.window_bits)
    }

    /// The heads of all keys in the block, whose words are `words`.
    pub(super) fn heads<'a>(&self, words: &[u64], out: &'a mut [u64; BLOCK]) -> &'a [u64] {
        let out = &mut out[..usize::from(self.len)];
        pack::unpack(words, self.delta_bits, out);
        let mut head = self.first.head();
        for value in &mut *out {
            head += *value;
            *value = head;
        }
        out
    }

    fn window(&self, words: &[u64], index: usize) -> u32 {
        self.window_base + pack::value_at(&words[self.windows_start()..], self.window_bits, index) as u32
    }

    fn tail<T: Key>(&self, words: &[u64], index: usize) -> u64 {
        pack::value_at(&words[self.tails_start()..], T::TAIL_BITS, index)
    }
}
