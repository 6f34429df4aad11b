//! The generator's one clock: monotonic, counted from the run's epoch; and the timer that wakes a thread by it.
//!
//! Timeline positions are nanoseconds inside this crate and microseconds outside. Nothing here reads wall time.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

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

/// A timer in the poll set. The timeout of `epoll_wait` is whole milliseconds and subject to timer slack; a `timerfd` has neither.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: OwnedFd,
    clock: Clock,
    armed_ns: Option<u64>,
}

impl Timer {
    /// Makes the timer and adds it to `registry` under `token`.
    pub(crate) fn new(clock: Clock, registry: &mio::Registry, token: mio::Token) -> std::io::Result<Timer> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, mio::Interest::READABLE)?;
        Ok(Timer {
            fd,
            clock,
            armed_ns: None,
        })
    }

    /// Makes sure that the poll ends at `wake_ns` or before; it may end earlier.
    ///
    /// A timer set to an earlier moment is left as it is: being woken once too often costs less than a system call each round.
    pub(crate) fn arm(&mut self, now_ns: u64, wake_ns: u64) -> std::io::Result<()> {
        if self
            .armed_ns
            .is_some_and(|armed_ns| armed_ns <= wake_ns && armed_ns > now_ns)
        {
            return Ok(());
        }
        // Zero would disarm it. A moment far beyond any run is cut off so that the kernel's signed seconds hold it.
        let at_ns = self
            .clock
            .epoch_monotonic_ns
            .saturating_add(wake_ns)
            .clamp(1, i64::MAX as u64);
        let it_value = Timespec {
            tv_sec: (at_ns / NS_PER_S) as i64,
            tv_nsec: (at_ns % NS_PER_S) as i64,
        };
        let once = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value,
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::ABSTIME, &once)?;
        self.armed_ns = Some(wake_ns);
        Ok(())
    }

    /// To be called when the poll reports the timer.
    pub(crate) fn fired(&mut self) {
        self.armed_ns = None;
    }
}
