//! Making a run: blocks are packed as they fill, segments closed as they reach their size.

use super::key::Key;
use super::pack;
use super::run::{BLOCK, Header, Run, Segment};

/// Words of packed data in a full segment: 256 KiB.
pub(super) const SEGMENT_WORDS: usize = 32 * 1024;

/// Makes a run from keys in ascending order.
#[derive(Debug)]
pub(super) struct Builder<K> {
    keys: [K; BLOCK],
    windows: [u32; BLOCK],
    filled: usize,
    headers: Vec<Header<K>>,
    words: Vec<u64>,
    last: K,
    segment_keys: usize,
    run: Run<K>,
}

impl<K: Key> Default for Builder<K> {
    fn default() -> Self {
        Self {
            keys: [K::default(); BLOCK],
            windows: [0; BLOCK],
            filled: 0,
            headers: Vec::new(),
            words: Vec::new(),
            last: K::default(),
            segment_keys: 0,
            run: Run::new(),
        }
    }
}

impl<K: Key> Builder<K> {
    #[inline]
    pub(super) fn push(&mut self, key: K, window: u32) {
        self.keys[self.filled] = key;
        self.windows[self.filled] = window;
        self.filled += 1;
        if self.filled == BLOCK {
            self.close_block();
        }
    }

    fn close_block(&mut self) {
        let (keys, windows) = (&self.keys[..self.filled], &self.windows[..self.filled]);
        let Some((&first, &last)) = keys.first().zip(keys.last()) else {
            return;
        };
        debug_assert!(keys.is_sorted_by(|a, b| a < b), "keys of a run must ascend");
        let mut deltas = [0; BLOCK];
        let mut delta_max = 0;
        for (delta, pair) in deltas[1..].iter_mut().zip(keys.windows(2)) {
            *delta = pair[1].head() - pair[0].head();
            delta_max |= *delta;
        }
        let window_base = windows.iter().copied().min().unwrap_or(0);
        let window_max = windows.iter().copied().max().unwrap_or(0);
        let header = Header {
            first,
            start: self.words.len() as u32,
            window_base,
            len: keys.len() as u8,
            delta_bits: pack::width_of(delta_max),
            window_bits: pack::width_of(u64::from(window_max - window_base)),
        };
        pack::pack(
            deltas[..keys.len()].iter().copied(),
            header.delta_bits,
            &mut self.words,
        );
        pack::pack(
            windows.iter().map(|w| u64::from(w - window_base)),
            header.window_bits,
            &mut self.words,
        );
        pack::pack(keys.iter().map(|key| key.tail()), K::TAIL_BITS, &mut self.words);
        self.headers.push(header);
        self.last = last;
        self.segment_keys += keys.len();
        self.filled = 0;
        if self.words.len() >= SEGMENT_WORDS {
            self.close_segment();
        }
    }

    /// Copies the segment out at its exact size, so that runs carry no slack and the buffers are used again.
    fn close_segment(&mut self) {
        self.close_block();
        if self.headers.is_empty() {
            return;
        }
        // Unpacking reads the word after the last value, also of a block's last column.
        self.words.push(0);
        let segment = Segment {
            headers: self.headers.as_slice().into(),
            words: self.words.as_slice().into(),
            last: self.last,
            keys: self.segment_keys,
        };
        self.headers.clear();
        self.words.clear();
        self.segment_keys = 0;
        self.run.append(segment);
    }

    /// Appends a whole segment as it is; its keys must all come after those pushed so far.
    pub(super) fn take_segment(&mut self, segment: Segment<K>) {
        self.close_segment();
        self.run.append(segment);
    }

    pub(super) fn finish(mut self) -> Run<K> {
        self.close_segment();
        self.run
    }
}
