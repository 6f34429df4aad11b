//! Where `now_ns` comes from: nanoseconds since a point of this process's own, which never go back.
//!
//! Nothing else in this crate reads a clock. The wall clock is read nowhere: a step of it can neither admit a call nor
//! open or close a breaker.

use std::time::Instant;

/// The monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct MonotonicClock {
    zero: Instant,
}

impl Default for MonotonicClock {
    fn default() -> Self {
        Self { zero: Instant::now() }
    }
}

impl MonotonicClock {
    /// Nanoseconds since the clock was made.
    pub fn now_ns(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
