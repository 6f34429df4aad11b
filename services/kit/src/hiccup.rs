//! The meter of hiccups: time in which this process should have run and did not.
//!
//! One thread asks to sleep 1 ms at a time and measures how much later it woke. Whatever kept it (scheduler, stop
//! signal, throttling, a paging storm) kept the rest of the process too. It cannot see a pause of one other thread,
//! such as a task that blocks a worker. After Gil Tene's jHiccup.
//!
//! **The correction.** A pause of length L begins a time s after the thread went to sleep, and of the period P the thread
//! would have slept P - s anyway; so it wakes L - (P - s) late. Nothing ties s to the pause, so what goes unseen is spread
//! evenly from 0 to P, and is P / 2 at the mean and at the median. That half period is added to each pause that is listed:
//! right within half a millisecond either way, and not biased. A pause whose begin is the thread's own wake-up (a
//! processor that is busy with others) loses nothing and is told half a period too long. How late the thread woke is
//! told beside it. A pause of 2 ms or more is always listed, one of 1 to 2 ms the likelier the longer it is.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;

use crate::clock;
use crate::ring::Ring;

/// How long the meter's thread asks to sleep.
const PERIOD: Duration = Duration::from_millis(1);
/// What a period hides of a pause, at the mean and at the median.
const HIDDEN: Duration = Duration::from_micros(500);
/// The least lateness that is kept one by one.
const LISTED_US: u64 = 1_000;
/// How many of those are kept.
const LISTED_MAX: usize = 65_536;
/// The longest hiccup the histogram tells from longer ones: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Upper bounds of the exported buckets.
const BOUNDS_US: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    5_000_000, 30_000_000,
];

/// A pause after which the thread woke 1 ms late or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When it is taken to have begun, in microseconds of `CLOCK_MONOTONIC`: `length_us` before the thread woke.
    pub at_us: u64,
    /// How long it is taken to have been, in microseconds: what was measured and half a period.
    pub length_us: u64,
    /// How late the thread woke, in microseconds, as measured.
    pub late_us: u64,
}

/// What the meter has seen.
pub struct Hiccups {
    every: Mutex<Histogram<u64>>,
    /// Those of 1 ms or more, one by one, corrected for the period.
    pub listed: Ring<Pause>,
}

/// The running meter; stops when dropped.
#[derive(Debug)]
pub struct HiccupMeter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Hiccups {
    /// Nothing seen yet.
    pub fn new() -> Self {
        let every = Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are valid");
        Self {
            every: Mutex::new(every),
            listed: Ring::new(LISTED_MAX),
        }
    }

    /// Records a period that began and ended at these times.
    fn record(&self, began: Duration, ended: Duration) {
        let late = ended.saturating_sub(began).saturating_sub(PERIOD);
        let late_us = late.as_micros() as u64;
        self.every
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(late_us);
        if late_us >= LISTED_US {
            let length = late + HIDDEN;
            self.listed.push(Pause {
                at_us: ended.saturating_sub(length).as_micros() as u64,
                length_us: length.as_micros() as u64,
                late_us,
            });
        }
    }
}

impl Default for Hiccups {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Hiccups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hiccups").finish_non_exhaustive()
    }
}

impl Collector for Hiccups {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let every = self.every.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut buckets = Vec::with_capacity(BOUNDS_US.len() + 1);
        let mut below = 0;
        for bound_us in BOUNDS_US {
            let upto = every.count_between(0, bound_us);
            buckets.push((bound_us as f64 / 1e6, upto - below));
            below = upto;
        }
        buckets.push((f64::INFINITY, every.len() - below));
        let sum_s = every.mean() * every.len() as f64 / 1e6;
        let help = "How much later than asked a thread woke from a sleep of 1 ms";
        let mut metric = encoder.encode_descriptor("hiccup_seconds", help, None, MetricType::Histogram)?;
        metric.encode_histogram::<[(String, String); 0]>(sum_s, every.len(), &buckets, None)
    }
}

impl HiccupMeter {
    /// Starts the meter's thread, which records into `hiccups`.
    ///
    /// The first period begins now and not once the thread runs: a pause right after the service says that it is
    /// ready must not go unseen.
    pub fn start(hiccups: Arc<Hiccups>) -> io::Result<Self> {
        let began = clock::monotonic();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("hiccup-meter".to_owned())
            .spawn(move || measure(&hiccups, &stopped, began))?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
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

fn measure(hiccups: &Hiccups, stopped: &AtomicBool, began: Duration) {
    // The kernel may wake a thread up to its timer slack late, 50 us by default, to save power. That is no hiccup.
    // Where it cannot be lowered, every reading is that much too long.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let sleep = || {
        if stopped.load(Ordering::Relaxed) {
            return None;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "how late the sleep ends is what is measured"
        )]
        thread::sleep(PERIOD);
        Some(clock::monotonic())
    };
    follow(hiccups, began, sleep);
}

/// Records period after period; `sleep` sleeps through one and tells when it woke, or that it is over.
fn follow(hiccups: &Hiccups, mut began: Duration, mut sleep: impl FnMut() -> Option<Duration>) {
    while let Some(ended) = sleep() {
        hiccups.record(began, ended);
        // Not a new reading: a pause between the two would go unseen.
        began = ended;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Arc, HiccupMeter, Hiccups, PERIOD, Pause, follow};

    #[test]
    fn only_lateness_of_a_millisecond_or_more_is_listed() {
        let hiccups = Hiccups::new();
        for (began_us, ended_us) in [(0, 1_000), (0, 1_999), (5_000, 7_000), (10_000, 61_500)] {
            hiccups.record(Duration::from_micros(began_us), Duration::from_micros(ended_us));
        }
        let listed: Vec<Pause> = hiccups
            .listed
            .since(0)
            .entries
            .into_iter()
            .map(|(_, pause)| pause)
            .collect();
        assert_eq!(
            listed,
            [
                Pause {
                    at_us: 5_500,
                    length_us: 1_500,
                    late_us: 1_000
                },
                Pause {
                    at_us: 10_500,
                    length_us: 51_000,
                    late_us: 50_500
                }
            ]
        );
        assert_eq!(hiccups.every.lock().unwrap().len(), 4);
    }

    /// What the meter lists where every second the whole process is held for `stall`, `times` times; each sleep ends
    /// `slack` late of itself. Time is made up, and the stalls begin anywhere within a period.
    fn listed(stall: Duration, times: u32, slack: Duration) -> Vec<(Pause, Duration)> {
        // From stall to stall the place within the period moves by ever more, so that all places come up.
        let place = |n: u32| Duration::from_nanos(u64::from(n).pow(2) * 61_803 % 1_000_000);
        let begins: Vec<Duration> = (1..=times)
            .map(|n| Duration::from_secs(u64::from(n)) + place(n))
            .collect();
        let (hiccups, mut now) = (Hiccups::new(), Duration::ZERO);
        let end = Duration::from_secs(u64::from(times) + 2);
        let mut ahead = begins.iter().peekable();
        follow(&hiccups, now, || {
            now += PERIOD + slack;
            // Held while it should have woken: it wakes when the stall is over.
            if let Some(begin) = ahead.next_if(|begin| **begin <= now) {
                now = now.max(*begin + stall);
            }
            (now < end).then_some(now)
        });
        let entries = hiccups.listed.since(0).entries;
        assert_eq!(entries.len(), begins.len(), "each stall once, and nothing else");
        entries.into_iter().map(|(_, pause)| pause).zip(begins).collect()
    }

    #[test]
    fn a_stall_is_told_within_half_a_period_and_the_median_is_right() {
        for (stall_us, slack_us) in [(12_400, 0), (3_100, 0), (12_400, 60), (3_100, 60)] {
            let stall = Duration::from_micros(stall_us);
            let found = listed(stall, 60, Duration::from_micros(slack_us));
            let mut lengths: Vec<u64> = found.iter().map(|(pause, _)| pause.length_us).collect();
            lengths.sort_unstable();
            let median = lengths[lengths.len() / 2];
            assert!(
                median.abs_diff(stall_us) * 10 <= stall_us,
                "{median} us of {stall_us} us"
            );
            for (pause, begin) in found {
                let begin_us = begin.as_micros() as u64;
                assert!(
                    pause.length_us.abs_diff(stall_us) <= 501 + slack_us,
                    "{pause:?} of {stall_us}"
                );
                assert!(
                    pause.at_us.abs_diff(begin_us) <= 501 + slack_us,
                    "{pause:?} at {begin_us}"
                );
            }
        }
    }

    #[test]
    fn without_the_correction_a_short_stall_would_be_told_too_short() {
        let found = listed(Duration::from_micros(3_100), 60, Duration::ZERO);
        let mut late: Vec<u64> = found.iter().map(|(pause, _)| pause.late_us).collect();
        late.sort_unstable();
        assert!(late[late.len() / 2] * 10 < 3_100 * 9, "{late:?}");
    }

    #[test]
    fn the_meter_records_until_dropped() {
        let hiccups = Arc::new(Hiccups::new());
        let meter = HiccupMeter::start(Arc::clone(&hiccups)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while hiccups.every.lock().unwrap().len() < 3 {
            assert!(Instant::now() < deadline, "the meter recorded nothing in 10 s");
            std::thread::yield_now();
        }
        drop(meter);
        assert_eq!(Arc::strong_count(&hiccups), 1, "the thread has let go");
    }
}
