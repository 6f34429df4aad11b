//! The meter of hiccups: time in which this process should have run and did not.
//!
//! One thread asks to sleep 1 ms at a time and measures how much later it woke. Whatever kept it (scheduler, stop
//! signal, throttling, a paging storm) kept the rest of the process too. It cannot see a pause of one other thread,
//! such as a task that blocks a worker. After Gil Tene's jHiccup.

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
/// The shortest hiccup that is kept one by one.
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

/// A hiccup of 1 ms or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// When the thread should have run, in microseconds of `CLOCK_MONOTONIC`.
    pub at_us: u64,
    /// How much later it did, in microseconds.
    pub length_us: u64,
}

/// What the meter has seen.
pub struct Hiccups {
    every: Mutex<Histogram<u64>>,
    /// Those of 1 ms or more, one by one.
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
        let length_us = late.as_micros() as u64;
        self.every
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .saturating_record(length_us);
        if length_us >= LISTED_US {
            let at_us = (began + PERIOD).as_micros() as u64;
            self.listed.push(Pause { at_us, length_us });
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

fn measure(hiccups: &Hiccups, stopped: &AtomicBool, mut began: Duration) {
    // The kernel may wake a thread up to its timer slack late, 50 us by default, to save power. That is no hiccup.
    // Where it cannot be lowered, every reading is that much too long.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    while !stopped.load(Ordering::Relaxed) {
        #[expect(
            clippy::disallowed_methods,
            reason = "how late the sleep ends is what is measured"
        )]
        thread::sleep(PERIOD);
        let ended = clock::monotonic();
        hiccups.record(began, ended);
        // Not a new reading: a pause between the two would go unseen.
        began = ended;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Arc, HiccupMeter, Hiccups, Pause};

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
                    at_us: 6_000,
                    length_us: 1_000
                },
                Pause {
                    at_us: 11_000,
                    length_us: 50_500
                }
            ]
        );
        assert_eq!(hiccups.every.lock().unwrap().len(), 4);
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
