//! Bugs on request, so that whoever checks the ids can be seen to find them. Never the default.

use std::sync::atomic::{AtomicU64, Ordering};

/// Every how many-th update of the sequence is lost by [`Plant::LostSequence`].
const LOSE_EVERY: u64 = 8;
/// The grain, in milliseconds, at which the clock is read with [`Plant::LostSequence`].
const COARSE_MS: u64 = 8;

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// After a step back the generator follows the clock, and so issues ids again for milliseconds it already used.
    ReuseAfterRollback,
    /// Every eighth update of the sequence is lost, as by a read and a write that are not one atomic step. The clock
    /// is read at a grain of 8 ms, as from a cached tick, so that ids share a tick and the loss shows at any rate.
    LostSequence,
}

impl Plant {
    /// The words of the setting.
    pub const WORDS: &[&str] = &["none", "reuse-after-rollback", "lost-sequence"];

    /// The plant of one of [`Plant::WORDS`].
    pub fn named(word: &str) -> Self {
        match word {
            "reuse-after-rollback" => Self::ReuseAfterRollback,
            "lost-sequence" => Self::LostSequence,
            _ => Self::None,
        }
    }

    /// The wall clock as the bug reads it.
    pub(crate) fn reads(self, wall_ms: u64) -> u64 {
        if self == Self::LostSequence {
            wall_ms - wall_ms % COARSE_MS
        } else {
            wall_ms
        }
    }

    /// Whether the update after the take that `takes` counts is lost.
    pub(crate) fn loses(self, takes: &AtomicU64) -> bool {
        self == Self::LostSequence && (takes.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(LOSE_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::Plant;

    #[test]
    fn each_word_names_a_plant_of_its_own() {
        let plants: Vec<Plant> = Plant::WORDS.iter().map(|word| Plant::named(word)).collect();
        assert_eq!(
            plants,
            [Plant::None, Plant::ReuseAfterRollback, Plant::LostSequence]
        );
    }
}
