//! The retry budget: what keeps retries from becoming the load.
//!
//! Over the last `window`, retries are at most `ratio` of the requests, and `min_per_second` besides, so that a cluster of few requests
//! can retry too (as in Finagle and Linkerd). The window is ten slices; what is older than it does not count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Budget;

const SLICES: u64 = 10;

/// The budget of one cluster, shared by all workers.
#[derive(Debug)]
pub struct RetryBudget {
    ratio: f64,
    /// What is there without any request, for a whole window.
    reserve: f64,
    slice: Duration,
    since: Instant,
    requests: Window,
    retries: Mutex<Window>,
}

/// Counts over the last [`SLICES`] slices of time. Each word holds the slice's number in its upper half and its count in the lower.
#[derive(Debug, Default)]
struct Window([AtomicU64; SLICES as usize]);

impl Window {
    fn add(&self, slice: u64) {
        let word = &self.0[(slice % SLICES) as usize];
        let tag = (slice & 0xffff_ffff) << 32;
        let add = |old: u64| {
            if old & !0xffff_ffff == tag {
                // A count that is full stays full.
                Some(if old & 0xffff_ffff == 0xffff_ffff {
                    old
                } else {
                    old + 1
                })
            } else {
                Some(tag | 1)
            }
        };
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn sum(&self, slice: u64) -> u64 {
        let oldest = slice.saturating_sub(SLICES - 1);
        let counts = self.0.iter().map(|word| word.load(Ordering::Relaxed));
        counts
            .filter(|word| (oldest..=slice).any(|slice| slice & 0xffff_ffff == word >> 32))
            .map(|word| word & 0xffff_ffff)
            .sum()
    }
}

impl RetryBudget {
    /// A budget with no request in its window yet.
    pub fn new(budget: &Budget) -> Self {
        Self {
            ratio: budget.ratio,
            reserve: budget.min_per_second * budget.window.as_secs_f64(),
            slice: budget.window / SLICES as u32,
            since: Instant::now(),
            requests: Window::default(),
            retries: Mutex::default(),
        }
    }

    /// A request came, not counting its retries.
    pub fn deposit(&self, now: Instant) {
        self.requests.add(self.slice(now));
    }

    /// Takes a retry out; whether there was one.
    pub fn withdraw(&self, now: Instant) -> bool {
        let slice = self.slice(now);
        // Locked, so that workers don't take the same one.
        let retries = self.retries.lock().unwrap_or_else(PoisonError::into_inner);
        let allowed = self.requests.sum(slice) as f64 * self.ratio + self.reserve;
        let fits = (retries.sum(slice) + 1) as f64 <= allowed;
        if fits {
            retries.add(slice);
        }
        fits
    }

    /// The slice of `now`. The first is 1, since a word of zero is one that was never used.
    fn slice(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.since);
        (elapsed.as_nanos() / self.slice.as_nanos().max(1)) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::RetryBudget;
    use crate::config::Budget;

    fn budget(ratio: f64, min_per_second: f64) -> RetryBudget {
        RetryBudget::new(&Budget {
            ratio,
            min_per_second,
            window: Duration::from_secs(10),
        })
    }

    fn withdrawn(budget: &RetryBudget, now: Instant) -> usize {
        (0..10_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_share_of_the_requests_may_be_sent_again() {
        let budget = budget(0.2, 0.0);
        let now = Instant::now();
        assert_eq!(withdrawn(&budget, now), 0);
        for _ in 0..100 {
            budget.deposit(now);
        }
        assert_eq!(withdrawn(&budget, now), 20);
        assert_eq!(withdrawn(&budget, now + Duration::from_secs(5)), 0);
    }

    #[test]
    fn there_is_always_a_minimum() {
        let budget = budget(0.0, 3.0);
        let now = Instant::now();
        assert_eq!(withdrawn(&budget, now), 30);
        assert_eq!(withdrawn(&budget, now + Duration::from_secs(20)), 30);
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let budget = budget(0.2, 0.0);
        let now = Instant::now();
        for _ in 0..100 {
            budget.deposit(now);
        }
        assert_eq!(withdrawn(&budget, now + Duration::from_secs(12)), 0);
    }

    proptest! {
        #[test]
        fn no_window_has_more_retries_than_its_requests_allow(steps in prop::collection::vec((0u64..400, any::<bool>()), 1..400)) {
            let budget = budget(0.5, 0.0);
            let mut now = Instant::now();
            let (mut requests, mut retries) = (0u32, 0u32);
            for (wait_ms, request) in steps {
                now += Duration::from_millis(wait_ms);
                if request {
                    budget.deposit(now);
                    requests += 1;
                } else if budget.withdraw(now) {
                    retries += 1;
                }
                prop_assert!(f64::from(retries) <= f64::from(requests) * 0.5);
            }
        }
    }
}
