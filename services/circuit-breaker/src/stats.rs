//! What is counted of a resource, whatever its rules: kept for as long as the process runs.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shard::Line;
use crate::window::{SlidingWindow, Span};

const PASSED: usize = 0;
const REFUSED: usize = 1;
const COMPLETED: usize = 2;
const FAILED: usize = 3;
const RESPONSE_US: usize = 4;
const KINDS: usize = 5;

/// What was counted of a resource in the last second, by the clock's buckets of 500 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Calls that were let through.
    pub passed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that ended.
    pub completed: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Their response times added up, in microseconds.
    pub response_us: u64,
}

impl Snapshot {
    /// The mean response time in microseconds. `None` if no call ended.
    pub fn mean_response_us(&self) -> Option<u64> {
        self.response_us.checked_div(self.completed)
    }
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Stats {
    window: SlidingWindow<KINDS>,
    /// Calls under way that a limit of concurrency counts.
    concurrency: Line<AtomicU64>,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            window: SlidingWindow::new(Span::SECOND),
            concurrency: Line::default(),
        }
    }
}

impl Stats {
    #[inline]
    pub(crate) fn pass(&self, now_ns: u64) {
        self.window.add(Span::SECOND.bucket(now_ns), [(PASSED, 1)]);
    }

    pub(crate) fn refuse(&self, now_ns: u64) {
        self.window.add(Span::SECOND.bucket(now_ns), [(REFUSED, 1)]);
    }

    #[inline]
    pub(crate) fn complete(&self, now_ns: u64, response_ns: u64, failed: bool) {
        let bucket = Span::SECOND.bucket(now_ns);
        let ended = [(COMPLETED, 1), (RESPONSE_US, response_ns / 1_000)];
        self.window.add(bucket, ended);
        if failed {
            self.window.add(bucket, [(FAILED, 1)]);
        }
    }

    pub(crate) fn passed_in_previous_second(&self, now_ns: u64) -> u64 {
        self.window.sum_of_previous(Span::SECOND.bucket(now_ns), PASSED)
    }

    pub(crate) fn snapshot(&self, now_ns: u64) -> Snapshot {
        let sum = |kind| self.window.sum(Span::SECOND.bucket(now_ns), kind);
        Snapshot {
            passed: sum(PASSED),
            refused: sum(REFUSED),
            completed: sum(COMPLETED),
            failed: sum(FAILED),
            response_us: sum(RESPONSE_US),
        }
    }

    /// Counts a call as under way unless `limit` are. Strict, so one word for all threads.
    pub(crate) fn occupy(&self, limit: u64) -> bool {
        let concurrency = &self.concurrency.0;
        let mut under_way = concurrency.load(Ordering::Relaxed);
        loop {
            if under_way >= limit {
                return false;
            }
            match concurrency.compare_exchange_weak(
                under_way,
                under_way + 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => under_way = now,
            }
        }
    }

    /// Counts it as ended.
    pub(crate) fn vacate(&self) {
        self.concurrency.0.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn under_way(&self) -> u64 {
        self.concurrency.0.load(Ordering::Acquire)
    }
}
