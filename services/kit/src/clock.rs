//! The clock that stamps events and pauses.
//!
//! It must never be the wall clock: a reference service reads that only where its own logic does, so that a proof
//! that the service saw a clock fault proves something.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`: the same for every process on the machine, and never stepped.
///
/// Asked of the kernel directly and not through libc, so that a library that was preloaded to shift a program's own
/// clocks does not shift the stamps by which its behaviour is judged.
pub fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// [`monotonic`] in whole microseconds.
pub fn monotonic_us() -> u64 {
    monotonic().as_micros() as u64
}
