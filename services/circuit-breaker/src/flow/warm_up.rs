//! How much a cold resource may be asked for: Sentinel's warm-up.
//!
//! Source: `WarmUpController` of alibaba/Sentinel, which turns `SmoothWarmingUp` of Guava's `RateLimiter` from intervals
//! between calls into calls per second. With `count` calls per second, `period` seconds and cold factor `c` (3):
//!
//! ```text
//! warning = floor(period * count) / (c - 1)                          an integer division
//! max     = warning + floor(2 * period * count / (1 + c))
//! slope   = (c - 1) / count / (max - warning)
//!
//! allowed(tokens) = count                                            tokens <  warning
//!                 = 1 / ((tokens - warning) * slope + 1 / count)     tokens >= warning
//! ```
//!
//! so `count / c` when there are `max` tokens, which is where a resource starts. The bucket changes once in each second of the clock, by
//! whichever call comes first: it gains `count` tokens for each second since it last changed, if it is below `warning`,
//! or above it and the previous second passed fewer than `floor(count) / c` calls (an integer division); then it loses what the previous
//! second passed, and stays within 0 and `max`. A resource that is idle for long is cold again.
//!
//! Where `max = warning`, a limit and period of about 1, Sentinel divides by zero and refuses every call. Here such a resource has
//! nothing to warm up and is allowed `count`.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many times slower than warm a cold resource is.
pub const COLD_FACTOR: u32 = 3;

const NS_PER_SEC: u64 = 1_000_000_000;

/// The token bucket of a resource that warms up. More tokens mean colder.
#[derive(Debug)]
pub struct WarmUp {
    count: f64,
    warning: u64,
    max: u64,
    slope: f64,
    cold_below: u64,
    /// The number of the second in which the tokens last changed, plus one, in the upper half; the tokens in the lower.
    state: AtomicU64,
}

impl WarmUp {
    /// A cold resource that may be asked `count` times a second after `period_sec`. Their product must fit 32 bits.
    pub fn new(count: f64, period_sec: u32) -> Self {
        let cold = f64::from(COLD_FACTOR);
        let calls = f64::from(period_sec) * count;
        let warning = calls as u64 / u64::from(COLD_FACTOR - 1);
        let max = warning + (2.0 * calls / (1.0 + cold)) as u64;
        Self {
            count,
            warning,
            max,
            slope: (cold - 1.0) / count / (max - warning) as f64,
            cold_below: count as u64 / u64::from(COLD_FACTOR),
            state: AtomicU64::new(0),
        }
    }

    /// Calls per second that are allowed now. `passed` says how many the previous second passed, and is asked only when the second is new.
    pub fn allowed(&self, now_ns: u64, passed: impl FnOnce() -> u64) -> f64 {
        let tokens = self.tokens(now_ns, passed);
        if tokens < self.warning || self.max == self.warning {
            return self.count;
        }
        (1.0 / ((tokens - self.warning) as f64 * self.slope + 1.0 / self.count)).next_up()
    }

    fn tokens(&self, now_ns: u64, passed: impl FnOnce() -> u64) -> u64 {
        let second = (now_ns / NS_PER_SEC + 1).min(u64::from(u32::MAX));
        let word = self.state.load(Ordering::Acquire);
        let (last, tokens) = (word >> 32, word & u64::from(u32::MAX));
        if second <= last {
            return tokens;
        }
        let filled = self.fill(last, tokens, second, passed());
        let next = second << 32 | filled;
        match self
            .state
            .compare_exchange(word, next, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => filled,
            Err(other) => other & u64::from(u32::MAX),
        }
    }

    fn fill(&self, last: u64, tokens: u64, second: u64, passed: u64) -> u64 {
        if last == 0 {
            return self.max;
        }
        let is_idle = passed < self.cold_below;
        let gains = tokens < self.warning || (tokens > self.warning && is_idle);
        let filled = if gains {
            (tokens as f64 + (second - last) as f64 * self.count) as u64
        } else {
            tokens
        };
        filled.min(self.max).saturating_sub(passed)
    }
}

#[cfg(test)]
mod tests {
    use super::{NS_PER_SEC, WarmUp};

    #[test]
    fn a_cold_resource_is_allowed_a_third_and_a_warm_one_all() {
        let warm_up = WarmUp::new(300.0, 10);
        let mut allowed = Vec::new();
        let mut passed = 0;
        for second in 0..15 {
            let now = warm_up.allowed(second * NS_PER_SEC, || passed);
            passed = now as u64;
            allowed.push(passed);
        }
        assert_eq!(allowed[0], 100);
        assert_eq!(*allowed.last().unwrap(), 300);
        assert!(allowed.is_sorted(), "{allowed:?}");
    }

    #[test]
    fn an_idle_resource_is_cold_again() {
        let warm_up = WarmUp::new(30.0, 10);
        for second in 0..40 {
            warm_up.allowed(second * NS_PER_SEC, || 30);
        }
        assert!((warm_up.allowed(40 * NS_PER_SEC, || 30) - 30.0).abs() < 1e-9);
        let later = warm_up.allowed(100 * NS_PER_SEC, || 0);
        assert!((later - 10.0).abs() < 1e-9, "{later}");
    }

    #[test]
    fn a_limit_too_small_to_warm_up_is_allowed_at_once() {
        let warm_up = WarmUp::new(1.0, 1);
        assert!((warm_up.allowed(0, || 0) - 1.0).abs() < 1e-9);
    }
}
