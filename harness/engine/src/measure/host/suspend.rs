//! Whether the machine was suspended: of two clocks that agree otherwise, one goes on while the machine sleeps.
//!
//! `CLOCK_BOOTTIME` is `CLOCK_MONOTONIC` plus the time spent suspended (`clock_gettime(2)`), so their difference changes at
//! nothing else. A run is measured on the latter, on which a suspend takes no time at all.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Less is taken for the time between the two looks, microseconds; no machine suspends and wakes within it.
const SHORTEST_US: u64 = 20_000;

/// Looks, of which the one that was disturbed least counts.
const LOOKS: usize = 5;

/// Watches for a suspend from its making on.
#[derive(Clone, Copy, Debug)]
pub struct Suspension {
    /// By how much the one clock was ahead of the other, microseconds.
    ahead_us: u64,
}

impl Suspension {
    /// Begins to watch.
    pub fn start() -> Suspension {
        Suspension { ahead_us: ahead_us() }
    }

    /// How long the machine was suspended since, microseconds.
    pub fn so_far_us(self) -> u64 {
        passed_us(self.ahead_us, ahead_us())
    }
}

fn passed_us(before_us: u64, now_us: u64) -> u64 {
    let passed_us = now_us.saturating_sub(before_us);
    if passed_us < SHORTEST_US { 0 } else { passed_us }
}

/// The smallest of a few looks: a pause between the two readings makes the difference larger, never smaller.
fn ahead_us() -> u64 {
    let look = |_| {
        let monotonic_us = us(clock_gettime(ClockId::Monotonic));
        us(clock_gettime(ClockId::Boottime)).saturating_sub(monotonic_us)
    };
    (0..LOOKS).map(look).min().unwrap_or(0)
}

fn us(time: Timespec) -> u64 {
    time.tv_sec.cast_unsigned().saturating_mul(1_000_000) + time.tv_nsec.cast_unsigned() / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_jump_is_a_suspend() {
        let table = [
            (5_000, 5_000, 0),
            (5_000, 12_000, 0),
            (9, 3_000_009, 3_000_000),
            (9_000, 0, 0),
        ];
        for (before_us, now_us, expected) in table {
            assert_eq!(passed_us(before_us, now_us), expected, "{before_us} {now_us}");
        }
    }

    #[test]
    fn a_machine_that_runs_was_not_suspended() {
        assert_eq!(Suspension::start().so_far_us(), 0);
    }
}
