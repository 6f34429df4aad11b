//! The generator's one clock: monotonic, counted from the run's epoch; and sleeping by it.
//!
//! Timeline positions are nanoseconds inside this crate and microseconds outside. Wall time is read for one purpose: to place
//! the kernel's time stamps, which are wall time, on the timeline.

use std::time::{Duration, Instant};

use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

pub(crate) const NS_PER_US: u64 = 1_000;
pub(crate) const NS_PER_MS: u64 = 1_000_000;
pub(crate) const NS_PER_S: u64 = 1_000_000_000;

/// Reads the time since the run's epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    epoch: Instant,
    /// The epoch on `CLOCK_MONOTONIC`, which `Instant` reads too but does not show.
    epoch_monotonic_ns: u64,
}

impl Clock {
    pub(crate) fn new(epoch: Instant) -> Clock {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let now_ns = now.tv_sec as u64 * NS_PER_S + now.tv_nsec as u64;
        Clock {
            epoch,
            epoch_monotonic_ns: now_ns.saturating_sub(duration_ns(epoch.elapsed())),
        }
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

    /// Sleeps until `wake_ns`; a signal may end it early.
    pub(crate) fn sleep_until(self, wake_ns: u64) {
        // A moment far beyond any run is cut off so that the kernel's signed seconds hold it.
        let at_ns = self
            .epoch_monotonic_ns
            .saturating_add(wake_ns)
            .min(i64::MAX as u64);
        let at = Timespec {
            tv_sec: (at_ns / NS_PER_S) as i64,
            tv_nsec: (at_ns % NS_PER_S) as i64,
        };
        // Interrupted is as good as slept: the caller looks at the clock.
        let _ = clock_nanosleep_absolute(ClockId::Monotonic, &at);
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
