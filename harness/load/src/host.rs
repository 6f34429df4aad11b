//! The host hiccup meter: how late this machine lets a thread run that has nothing else to do.
//!
//! A thread sleeps 1 ms at a time and records by how much it overslept (after Gil Tene's jHiccup). What it sees, every
//! process on the machine saw. It must stay cheap: its own CPU time is reported, apart from the generator's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use hdrhistogram::Histogram;
use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};
use squall_model::histogram::{HIGHEST_US, empty};

use crate::clock::{Clock, NS_PER_MS, NS_PER_S, NS_PER_US, thread_cpu_us};
use crate::recorder::{Recorder, Samples};
use crate::report::SLICE_US;

/// Time between two looks at the clock.
const PERIOD_NS: u64 = NS_PER_MS;
/// Oversleeping by this much or more is a hiccup of its own.
pub const HICCUP_US_MIN: u64 = 1_000;
/// Hiccups listed one by one; further ones are only counted.
pub const HICCUPS_MAX: usize = 10_000;

/// One long oversleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hiccup {
    /// When the thread should have woken, in microseconds since the epoch.
    pub at_us: u64,
    /// By how much it woke late.
    pub late_us: u64,
}

/// The oversleep of all sleeps that ended in a tenth of a second or so, short ones included.
#[derive(Clone, Debug)]
pub struct Oversleep {
    /// Where it ends, in microseconds since the epoch.
    pub end_us: u64,
    /// By how much each sleep was late, in microseconds.
    pub samples: Samples,
}

/// What the meter saw.
#[derive(Clone, Debug)]
pub struct HostPauses {
    /// Oversleep of every sleep, in microseconds.
    pub oversleep: Histogram<u64>,
    /// The first [`HICCUPS_MAX`] long ones, in order.
    pub hiccups: Vec<Hiccup>,
    /// Long ones beyond those listed.
    pub hiccups_unlisted: u64,
    /// CPU time the meter itself used, in microseconds.
    pub cpu_us: u64,
}

/// A running meter. Dropping it stops it.
#[derive(Debug)]
pub struct HiccupMeter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<HostPauses>>,
    hiccups: Receiver<Hiccup>,
    oversleeps: Receiver<Oversleep>,
}

/// Where the meter's thread tells what it sees.
struct Tell {
    hiccups: Sender<Hiccup>,
    oversleeps: Sender<Oversleep>,
}

impl HiccupMeter {
    /// Starts a meter whose times count from `epoch`.
    pub fn start(epoch: Instant) -> std::io::Result<HiccupMeter> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        // A thousand a second at the most, as long as each sleep is late by its whole length.
        let (tell_hiccups, hiccups) = unbounded();
        let (tell_oversleeps, oversleeps) = unbounded();
        let tell = Tell {
            hiccups: tell_hiccups,
            oversleeps: tell_oversleeps,
        };
        let thread = std::thread::Builder::new()
            .name("squall-hiccups".into())
            .spawn(move || measure(epoch, &tell, || seen.load(Ordering::Relaxed)))?;
        Ok(HiccupMeter {
            stop,
            thread: Some(thread),
            hiccups,
            oversleeps,
        })
    }

    /// Long oversleeps as they happen, also those that are only counted later.
    pub fn hiccups(&self) -> &Receiver<Hiccup> {
        &self.hiccups
    }

    /// The oversleep of every sleep, told ten times a second.
    pub fn oversleeps(&self) -> &Receiver<Oversleep> {
        &self.oversleeps
    }

    /// Stops it; `None` if its thread panicked.
    pub fn stop(mut self) -> Option<HostPauses> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }
}

impl Drop for HiccupMeter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn measure(epoch: Instant, tell: &Tell, mut stop: impl FnMut() -> bool) -> HostPauses {
    // The default slack of 50 us would be measured too. Where it can't be lowered the histogram shows it.
    let _ = set_current_timer_slack(std::num::NonZeroU64::new(1));
    let clock = Clock::new(epoch);
    let mut pauses = HostPauses {
        oversleep: empty(),
        hiccups: Vec::new(),
        hiccups_unlisted: 0,
        cpu_us: 0,
    };
    let mut slice = Recorder::new();
    let mut slice_end_us = clock.now_ns() / NS_PER_US + SLICE_US;
    let mut wake_ns = monotonic_ns() + PERIOD_NS;
    while !stop() {
        let wake = Timespec {
            tv_sec: (wake_ns / NS_PER_S) as i64,
            tv_nsec: (wake_ns % NS_PER_S) as i64,
        };
        if clock_nanosleep_absolute(ClockId::Monotonic, &wake).is_err() {
            continue;
        }
        let now_ns = monotonic_ns();
        let late_us = now_ns.saturating_sub(wake_ns) / NS_PER_US;
        let now_us = clock.now_ns() / NS_PER_US;
        // Nobody listens any more once the meter is being stopped.
        if let Some(hiccup) = pauses.record(late_us, now_us) {
            let _ = tell.hiccups.send(hiccup);
        }
        slice.record_us(late_us);
        if now_us >= slice_end_us {
            let _ = tell.oversleeps.send(Oversleep {
                end_us: now_us,
                samples: slice.take(),
            });
            slice_end_us = now_us + SLICE_US;
        }
        // From now on: a long hiccup is one, and not followed by all the sleeps that it swallowed.
        wake_ns = now_ns + PERIOD_NS;
    }
    pauses.cpu_us = thread_cpu_us();
    pauses
}

impl HostPauses {
    /// Takes in one sleep; a long one is returned.
    fn record(&mut self, late_us: u64, now_us: u64) -> Option<Hiccup> {
        self.oversleep.saturating_record(late_us.min(HIGHEST_US));
        if late_us < HICCUP_US_MIN {
            return None;
        }
        let hiccup = Hiccup {
            at_us: now_us.saturating_sub(late_us),
            late_us,
        };
        if self.hiccups.len() < HICCUPS_MAX {
            self.hiccups.push(hiccup);
        } else {
            self.hiccups_unlisted += 1;
        }
        Some(hiccup)
    }
}

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * NS_PER_S + now.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_oversleeps_are_listed_with_when_they_began_and_the_list_is_bounded() {
        let mut pauses = HostPauses {
            oversleep: empty(),
            hiccups: Vec::new(),
            hiccups_unlisted: 0,
            cpu_us: 0,
        };
        pauses.record(999, 5_000);
        pauses.record(12_400, 50_000);
        assert_eq!(
            pauses.hiccups,
            [Hiccup {
                at_us: 37_600,
                late_us: 12_400
            }]
        );
        for _ in 0..HICCUPS_MAX {
            pauses.record(1_000, 60_000);
        }
        assert_eq!((pauses.hiccups.len(), pauses.hiccups_unlisted), (HICCUPS_MAX, 1));
        assert_eq!(pauses.oversleep.len(), HICCUPS_MAX as u64 + 2);
    }

    #[test]
    fn every_sleep_is_one_sample() {
        let mut looks = 0;
        let (hiccups, _) = unbounded();
        let (oversleeps, told) = unbounded();
        let pauses = measure(Instant::now(), &Tell { hiccups, oversleeps }, || {
            looks += 1;
            looks > 220
        });
        assert_eq!(pauses.oversleep.len(), 220);
        // 220 sleeps of a millisecond and more fill two slices; the last sleeps stand in none that has ended.
        let told: Vec<Oversleep> = told.try_iter().collect();
        let samples: u64 = told.iter().map(|one| one.samples.count()).sum();
        assert!(
            told.len() >= 2 && (1..=220).contains(&samples),
            "{} told, {samples}",
            told.len()
        );
        assert!(told.is_sorted_by_key(|one| one.end_us));
        assert!(pauses.hiccups.is_sorted_by_key(|hiccup| hiccup.at_us));
    }

    #[test]
    fn a_meter_ends_when_told() {
        let meter = HiccupMeter::start(Instant::now()).unwrap();
        assert!(meter.stop().is_some());
        drop(HiccupMeter::start(Instant::now()).unwrap());
    }
}
