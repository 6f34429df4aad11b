//! The backup sequencer: a logical clock that goes on from the last id while the wall clock is behind it.
//!
//! It moves to the next millisecond only when the 4,096 ids of one are taken, so under ordinary load it hardly moves
//! and the wall clock catches up with it after about the size of the step. Under full load it would run away, so it
//! may go no faster than 63/64 of monotonic time: its lead over the wall clock never grows beyond the step, and
//! shrinks even then. Ids stay unique and increasing because both clocks only ever move the one position forward.

use std::sync::atomic::{AtomicU64, Ordering};

/// The logical clock may lose a 64th of real time, 4.03 million ids a second, so that the wall clock always gains on it.
const PACE_LOSS: u64 = 64;

/// The time base of the backup sequencer. Written by whoever enters it, before the position says that it is in charge.
#[derive(Debug, Default)]
pub(crate) struct BackupClock {
    /// The position's millisecond on entry.
    base_ms: AtomicU64,
    /// Monotonic time on entry.
    entered_us: AtomicU64,
    /// The wall clock as last read, to notice further steps back.
    wall_ms: AtomicU64,
}

impl BackupClock {
    /// Starts from this position and these clocks.
    pub(crate) fn enter(&self, base_ms: u64, monotonic_us: u64, wall_ms: u64) {
        self.base_ms.store(base_ms, Ordering::Release);
        self.entered_us.store(monotonic_us, Ordering::Release);
        self.wall_ms.store(wall_ms, Ordering::Release);
    }

    /// Whether millisecond `ms` may be used at this monotonic time.
    pub(crate) fn allows(&self, ms: u64, monotonic_us: u64) -> bool {
        let elapsed_us = self.elapsed_us(monotonic_us);
        let allowed_ms = (elapsed_us - elapsed_us / PACE_LOSS) / 1_000;
        ms.saturating_sub(self.base_ms.load(Ordering::Acquire)) <= allowed_ms
    }

    /// Time since entry.
    pub(crate) fn elapsed_us(&self, monotonic_us: u64) -> u64 {
        monotonic_us.saturating_sub(self.entered_us.load(Ordering::Acquire))
    }

    /// The wall clock as last read. To be called before it is read again.
    pub(crate) fn last_wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Acquire)
    }

    /// Takes note of a new reading of the wall clock; returns by how much it stepped back since `last_ms`, to one
    /// caller per step.
    pub(crate) fn read_wall(&self, last_ms: u64, now_ms: u64) -> Option<u64> {
        if last_ms == now_ms {
            return None;
        }
        // Where another thread has noted a reading meanwhile, that one stands: this one may be older.
        let noted = self
            .wall_ms
            .compare_exchange(last_ms, now_ms, Ordering::AcqRel, Ordering::Relaxed);
        noted.ok().and(last_ms.checked_sub(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::BackupClock;

    #[test]
    fn the_logical_clock_never_outpaces_real_time() {
        let clock = BackupClock::default();
        clock.enter(100, 5_000, 40);
        assert!(clock.allows(100, 5_000));
        assert!(!clock.allows(101, 5_900));
        assert!(clock.allows(101, 6_020));
        // A second later it may have gained 984 of the 1,000 ms.
        assert!(clock.allows(1_084, 1_005_000) && !clock.allows(1_085, 1_005_000));
    }

    #[test]
    fn a_step_is_told_to_one_reader() {
        let clock = BackupClock::default();
        clock.enter(100, 0, 40);
        assert_eq!(clock.read_wall(40, 41), None);
        assert_eq!(clock.read_wall(41, 30), Some(11));
        assert_eq!(clock.read_wall(41, 30), None, "another thread has told");
        assert_eq!(clock.last_wall_ms(), 30);
    }
}
