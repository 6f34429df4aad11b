//! Latency rules: when a resource counts as slow. Sentinel has none; the feed's second layer needs one.

use serde::{Deserialize, Serialize};

use super::RuleFaults;

/// Watches a resource's P99. It refuses nothing: who calls asks whether the resource is slow and calls something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LatencyRule {
    /// What is watched.
    pub resource: String,
    /// The P99 beyond which a step is slow, in milliseconds.
    pub p99_ms: u32,
    /// For how long every step must be slow, in milliseconds, before the resource is slow.
    pub slow_for_ms: u32,
    /// For how long every step must be quick, in milliseconds, before it is quick again.
    pub quick_for_ms: u32,
    /// The length of a step, in milliseconds: how often the P99 is taken.
    pub step_ms: u32,
    /// A step with fewer calls goes by the verdict from before, and its calls count towards the next one.
    pub min_request_amount: u64,
}

impl Default for LatencyRule {
    fn default() -> Self {
        Self {
            resource: String::new(),
            p99_ms: 800,
            slow_for_ms: 30_000,
            quick_for_ms: 30_000,
            step_ms: 1_000,
            min_request_amount: 5,
        }
    }
}

impl LatencyRule {
    pub(super) fn check(&self, faults: &mut RuleFaults<'_>) {
        faults.resource();
        faults.within("p99Ms", f64::from(self.p99_ms), (1.0, 60_000.0));
        faults.within("stepMs", f64::from(self.step_ms), (10.0, 60_000.0));
        let hold = (f64::from(self.step_ms), 3_600_000.0);
        faults.within("slowForMs", f64::from(self.slow_for_ms), hold);
        faults.within("quickForMs", f64::from(self.quick_for_ms), hold);
        faults.within("minRequestAmount", self.min_request_amount as f64, (1.0, 1e9));
    }
}
