//! The generator's one clock: monotonic, counted from the run's epoch.
//!
//! Timeline positions are nanoseconds inside this crate and microseconds outside. Wall time is read for one purpose: to place
//! the kernel's time stamps, which are wall time, on the timeline.

use std::time::{Duration, Instant};

pub(crate) const NS_PER_US: u64 = 1_000;
pub(crate) const NS_PER_MS: u64 = 1_000_000;
pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// Reads the time since the run's epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
}

impl Clock {
    pub(crate) fn new(epoch: Instant) -> Clock {
        Clock { epoch }
    }

    /// Nanoseconds since the epoch; zero before it.
    #[inline]
    pub(crate) fn now_ns(self) -> u64 {
        duration_ns(self.epoch.elapsed())
    }

    /// How far wall time is ahead of the timeline at this moment, in nanoseconds: what to take from a kernel's time stamp.
    #[inline]
    pub(crate) fn wall_ahead_ns(self) -> u64 {
        let wall = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        (wall.tv_sec as u64 * NS_PER_S + wall.tv_nsec as u64).wrapping_sub(self.now_ns())
    }
}

/// A duration in nanoseconds; 584 years at most.
#[inline]
pub(crate) fn duration_ns(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(NS_PER_S)
        .saturating_add(u64::from(duration.subsec_nanos()))
}

/// Microseconds of the timeline as nanoseconds.
pub(crate) fn us_to_ns(us: u64) -> u64 {
    us.saturating_mul(NS_PER_US)
}

/// CPU time that the calling thread has used, in microseconds.
pub(crate) fn thread_cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / NS_PER_US
}
