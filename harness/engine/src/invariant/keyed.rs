//! Texts by their hashes: a hash under the run's seed, and a bounded table of what belongs to each text.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher as _};

/// Hashes texts: `SipHash` under a seed. Two of a million texts have the same hash with odds of 3 in 10^8.
#[derive(Clone, Debug)]
pub(super) struct KeyedHash(DefaultHasher);

impl KeyedHash {
    /// `part` tells hashes apart that belong together.
    pub(super) fn new(seed: u64, part: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(seed);
        hasher.write_u64(part);
        Self(hasher)
    }

    pub(super) fn of(&self, text: &str) -> u64 {
        let mut hasher = self.0.clone();
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

/// What was first seen with each of many texts, for as many texts as memory allows.
#[derive(Debug)]
pub(super) struct Firsts<T> {
    hash: KeyedHash,
    most: usize,
    first: HashMap<u64, T>,
    /// Texts that found no room.
    unkept: u64,
}

impl<T: Copy> Firsts<T> {
    /// Bytes that a text takes beside its `T`, with room for the table to grow.
    const TEXT_BYTES: usize = 32;

    /// As many as fit into so many bytes.
    pub(super) fn new(seed: u64, memory_max: usize) -> Self {
        Self {
            hash: KeyedHash::new(seed, 0),
            most: memory_max / (Self::TEXT_BYTES + size_of::<T>()),
            first: HashMap::new(),
            unkept: 0,
        }
    }

    /// What was first seen with a text, if it was seen before.
    pub(super) fn get(&self, text: &str) -> Option<T> {
        self.first.get(&self.hash.of(text)).copied()
    }

    /// Keeps what was first seen with a text; false where there is no room for more.
    pub(super) fn keep(&mut self, text: &str, value: T) -> bool {
        let has_room = self.first.len() < self.most;
        if has_room {
            self.first.entry(self.hash.of(text)).or_insert(value);
        } else {
            self.unkept += 1;
        }
        has_room
    }

    /// Why what was kept doesn't suffice, if it doesn't.
    pub(super) fn doubt(&self) -> Option<String> {
        (self.unkept > 0).then(|| {
            format!(
                "{} responses had keys beyond the {} that are kept: run shorter, or with fewer keys",
                self.unkept, self.most
            )
        })
    }
}
