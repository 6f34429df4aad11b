//! A compressed, append-only set of keys that remembers in which window each was first seen.
//!
//! A log-structured merge: each new chunk becomes a run of its own, and runs merge so that each is at least twice
//! as long as the next. So there are few, each key is rewritten about once per doubling, and looking a chunk up in
//! all of them stays cheap: where it overlaps none, as ids made from the time do, it costs next to nothing. It
//! must never drop a key.

mod builder;
mod key;
mod merge;
mod pack;
mod run;

pub(super) use key::{Key, TextKey};
use run::Run;

/// The set; see the module.
#[derive(Debug)]
pub(super) struct RunSet<K> {
    /// Longest first.
    runs: Vec<Run<K>>,
}

/// A key that was looked up and is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    /// Its index among those looked up.
    pub(super) index: usize,
    /// The window in which it was first seen.
    pub(super) window: u32,
}

impl<K: Key> RunSet<K> {
    pub(super) const fn new() -> Self {
        Self { runs: Vec::new() }
    }

    /// Which of the ascending `keys` the set holds, in their order; replaces what is in `hits`.
    pub(super) fn find(&self, keys: &[K], hits: &mut Vec<Hit>) {
        hits.clear();
        for run in &self.runs {
            run.find(keys, &mut |index, window| hits.push(Hit { index, window }));
        }
        hits.sort_unstable_by_key(|hit| hit.index);
    }

    /// Adds ascending `keys`, none of which the set may hold, first seen in `window`.
    pub(super) fn insert(&mut self, keys: &[K], window: u32) {
        if keys.is_empty() {
            return;
        }
        let mut run = Run::of(keys, window);
        while let Some(before) = self.runs.pop_if(|before| before.len() < 2 * run.len()) {
            run = merge::merge(before, run);
        }
        self.runs.push(run);
    }

    /// Keys held.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(Run::len).sum()
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        self.runs.iter().map(Run::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use proptest::prelude::*;

    use super::*;

    /// Feeds chunks to the set and to a map, which must agree on what was there already and since when.
    fn agree<K: Key + Debug>(chunks: impl IntoIterator<Item = Vec<K>>) -> RunSet<K> {
        let mut set = RunSet::new();
        let mut model = BTreeMap::new();
        let mut hits = Vec::new();
        for (window, mut chunk) in chunks.into_iter().enumerate() {
            chunk.sort_unstable();
            chunk.dedup();
            set.find(&chunk, &mut hits);
            let expected: Vec<Hit> = chunk
                .iter()
                .enumerate()
                .filter_map(|(index, key)| model.get(key).map(|&window| Hit { index, window }))
                .collect();
            assert_eq!(hits, expected, "chunk {window}");
            chunk.retain(|key| !model.contains_key(key));
            model.extend(chunk.iter().map(|&key| (key, window as u32)));
            set.insert(&chunk, window as u32);
        }
        assert_eq!(set.len(), model.len());
        set.find(&model.keys().copied().collect::<Vec<_>>(), &mut hits);
        assert!(
            hits.iter().map(|hit| hit.window).eq(model.into_values()),
            "a key or its window was lost"
        );
        set
    }

    fn key() -> impl Strategy<Value = u64> {
        prop_oneof![
            4 => 0..500_u64,
            2 => any::<u64>(),
            1 => (0..40_u64).prop_map(|low| u64::MAX - low),
            1 => (0..8_u64, 0..200_u64).prop_map(|(ms, sequence)| ms << 22 | sequence),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_a_map_on_integers(
            chunks in prop::collection::vec(prop::collection::vec(key(), 0..400), 1..30),
        ) {
            agree(chunks);
        }

        /// Few heads, so that keys differ in the tail alone and heads repeat across blocks.
        #[test]
        fn agrees_with_a_map_on_texts(
            chunks in prop::collection::vec(prop::collection::vec((0..4_u64, 0..2000_u64), 0..400), 1..20),
        ) {
            agree(chunks.into_iter().map(|chunk| {
                chunk.into_iter().map(|(head, tail)| TextKey::of(head << 60, tail)).collect()
            }));
        }
    }

    #[test]
    fn whole_segments_change_hands_without_loss() {
        // Random values fill segments soon; ranges alternate between overlapping and disjoint.
        let random = |seed: u64| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed << 40) >> 8;
        agree((0..24_u64).map(|chunk| {
            let base = (chunk % 5) << 57;
            (0..20_000).map(|i| base | random(chunk * 20_000 + i)).collect()
        }));
    }

    #[test]
    fn dense_ids_take_little_memory_and_runs_stay_few() {
        let set = agree((0..64_u64).map(|chunk| (chunk * 4096..(chunk + 1) * 4096).collect()));
        assert!(
            set.bytes() < set.len(),
            "{} bytes for {} ids",
            set.bytes(),
            set.len()
        );
        assert!(set.runs.len() <= 18);
    }
}
