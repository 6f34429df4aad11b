//! Calls at a uniform rate: a leaky bucket that says how long to wait.
//!
//! Source: `RateLimiterController` (in newer versions `ThrottlingController`) of alibaba/Sentinel. With a rate of `r` calls per second and
//! the last call due at `latest`, a call at `now` is due at `latest + 1/r`. If that is past, it goes at once and `latest = now`; if
//! it is no more than the maximum queueing time ahead, it is told to wait until then and `latest += 1/r`; otherwise it is refused and nothing changes.
//!
//! The queue is one word that all threads share, since it is one line of calls: more threads do not make it faster. Sentinel
//! counts in milliseconds and sleeps in the caller's thread; this counts in nanoseconds and never sleeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Nobody has passed yet.
const NEVER: u64 = u64::MAX;

/// What a call is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Go at once.
    Now,
    /// Go after this many nanoseconds; the place is taken.
    After(u64),
    /// The queue is too long.
    Full,
}

/// The line.
#[derive(Debug)]
pub struct Queue {
    max_wait_ns: u64,
    /// When the last call in line is due.
    latest_ns: Arc<AtomicU64>,
}

impl Queue {
    /// An empty line in which nobody waits longer than this.
    pub fn new(max_wait_ns: u64) -> Self {
        Self {
            max_wait_ns,
            latest_ns: Arc::new(AtomicU64::new(NEVER)),
        }
    }

    /// The same line under another limit of waiting. Calls that still join the other one stand in it too.
    #[must_use]
    pub fn succeed(&self, max_wait_ns: u64) -> Self {
        Self {
            max_wait_ns,
            latest_ns: Arc::clone(&self.latest_ns),
        }
    }

    /// Joins the line, which moves at `rate` calls per second.
    pub fn join(&self, now_ns: u64, rate: f64) -> Place {
        if rate <= 0.0 {
            return Place::Full;
        }
        let cost_ns = (1e9 / rate).round() as u64;
        let mut latest = self.latest_ns.load(Ordering::Acquire);
        loop {
            let due_ns = if latest == NEVER {
                now_ns
            } else {
                latest.saturating_add(cost_ns).max(now_ns)
            };
            let wait_ns = due_ns - now_ns;
            if wait_ns > self.max_wait_ns {
                return Place::Full;
            }
            match self
                .latest_ns
                .compare_exchange_weak(latest, due_ns, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if wait_ns == 0 => return Place::Now,
                Ok(_) => return Place::After(wait_ns),
                Err(other) => latest = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Queue};

    #[test]
    fn calls_at_once_are_spread_until_the_queue_is_full() {
        let queue = Queue::new(250_000_000);
        let places: Vec<Place> = (0..5).map(|_| queue.join(7, 10.0)).collect();
        let after = |ms: u64| Place::After(ms * 1_000_000);
        assert_eq!(
            places,
            [Place::Now, after(100), after(200), Place::Full, Place::Full]
        );
    }

    #[test]
    fn who_comes_after_a_pause_goes_at_once_and_gains_nothing_by_it() {
        let queue = Queue::new(0);
        assert_eq!(queue.join(0, 10.0), Place::Now);
        assert_eq!(queue.join(5_000_000_000, 10.0), Place::Now);
        assert_eq!(queue.join(5_000_000_001, 10.0), Place::Full);
        assert_eq!(queue.join(5_100_000_000, 10.0), Place::Now);
    }

    #[test]
    fn a_rate_of_nothing_admits_nobody() {
        assert_eq!(Queue::new(1_000).join(0, 0.0), Place::Full);
    }
}
