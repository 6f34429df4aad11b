//! Degrade rules: when a circuit breaker opens, and when it closes again.

use serde::{Deserialize, Serialize};

use super::RuleFaults;
use crate::window::{NS_PER_MS, Span};

/// What opens a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Strategy {
    /// The share of slow calls: 0.
    SlowRatio,
    /// The share of failed calls: 1.
    ErrorRatio,
    /// The number of failed calls: 2.
    ErrorCount,
}

impl TryFrom<u8> for Strategy {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::SlowRatio),
            1 => Ok(Self::ErrorRatio),
            2 => Ok(Self::ErrorCount),
            _ => Err(format!(
                "grade is {number}; use 0 (slow-call ratio), 1 (error ratio) or 2 (error count)"
            )),
        }
    }
}

impl From<Strategy> for u8 {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::SlowRatio => 0,
            Strategy::ErrorRatio => 1,
            Strategy::ErrorCount => 2,
        }
    }
}

/// Breaks the circuit to a resource that is slow or fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DegradeRule {
    /// What is guarded.
    pub resource: String,
    /// What opens the breaker; the share of slow calls by default.
    pub grade: Strategy,
    /// By grade: the response time in milliseconds beyond which a call is slow; the ratio of errors, 0 to 1; their number.
    pub count: f64,
    /// The recovery timeout: how long the breaker stays open before it probes, in seconds.
    pub time_window: u32,
    /// With fewer calls than this in the statistic interval nothing is decided.
    pub min_request_amount: u64,
    /// The ratio of slow calls beyond which the breaker opens, 0 to 1.
    pub slow_ratio_threshold: f64,
    /// The statistic interval, in milliseconds.
    pub stat_interval_ms: u32,
    /// In how many buckets the interval slides; 1 as in Sentinel, which begins anew with each interval.
    pub stat_buckets: u32,
    /// How many probes in a row must be good; 3 as the platform has it, 1 to do as Sentinel does.
    pub recovery_probes: u32,
}

impl Default for DegradeRule {
    fn default() -> Self {
        Self {
            resource: String::new(),
            grade: Strategy::SlowRatio,
            count: 0.0,
            time_window: 0,
            min_request_amount: 5,
            slow_ratio_threshold: 1.0,
            stat_interval_ms: 1_000,
            stat_buckets: 1,
            recovery_probes: 3,
        }
    }
}

impl DegradeRule {
    /// The window of a valid rule.
    pub fn span(&self) -> Span {
        Span::new(self.stat_interval_ms, self.stat_buckets).unwrap_or(Span::SECOND)
    }

    pub(crate) fn slow_above_ns(&self) -> u64 {
        (self.count * NS_PER_MS as f64) as u64
    }

    pub(crate) fn recovery_timeout_ns(&self) -> u64 {
        u64::from(self.time_window) * 1_000 * NS_PER_MS
    }

    /// Whether these calls are enough to open the breaker, if there are enough of them at all.
    pub(crate) fn is_exceeded(&self, bad: u64, calls: u64) -> bool {
        let above = |threshold: f64| {
            let ratio = bad as f64 / calls as f64;
            // No ratio is above 1, so there all calls must be bad.
            ratio > threshold || (threshold >= 1.0 && bad >= calls)
        };
        match self.grade {
            Strategy::SlowRatio => above(self.slow_ratio_threshold),
            Strategy::ErrorRatio => above(self.count),
            Strategy::ErrorCount => bad as f64 > self.count,
        }
    }

    pub(super) fn check(&self, faults: &mut RuleFaults<'_>) {
        faults.resource();
        let count = match self.grade {
            Strategy::SlowRatio => (0.0, 3_600_000.0),
            Strategy::ErrorRatio => (0.0, 1.0),
            Strategy::ErrorCount => (0.0, 1e9),
        };
        faults.within("count", self.count, count);
        if self.grade == Strategy::SlowRatio {
            faults.within("slowRatioThreshold", self.slow_ratio_threshold, (0.0, 1.0));
        }
        faults.within("timeWindow", f64::from(self.time_window), (1.0, 86_400.0));
        faults.within("minRequestAmount", self.min_request_amount as f64, (1.0, 1e9));
        faults.within("recoveryProbes", f64::from(self.recovery_probes), (1.0, 1_000.0));
        faults.span(self.stat_interval_ms, self.stat_buckets);
    }
}
