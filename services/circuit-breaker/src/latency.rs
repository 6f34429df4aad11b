//! Whether a resource has been slow for long: its P99, step by step.
//!
//! Time is cut into steps, a second long by default. The first call that ends in a new step judges the one that ended. Its P99 is above the
//! threshold exactly if more than a hundredth of its calls are, so two counters suffice, and nothing is rounded:
//!
//! ```text
//! P99 > threshold   <=>   above > calls - ceil(0.99 * calls)
//! ```
//!
//! A step with too few calls goes by the verdict from before, and its calls count towards the next one. So a resource that is
//! asked seldom is judged seldom, but it is judged. Steps in which no call ended count for nothing. When as many steps in a row as the rule
//! asks for were slow the resource is slow, and when as many were quick it is quick again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Observer, Slowness};
use crate::rule::latency::LatencyRule;
use crate::shard::{self, Line, SHARDS};
use crate::window::NS_PER_MS;

/// The watch over one resource.
pub(crate) struct LatencyWatch {
    rule: LatencyRule,
    resource: Arc<str>,
    /// What threads have counted since it began.
    counts: [Line<Counts>; SHARDS],
    /// The step that is under way, plus one.
    step: Line<AtomicU64>,
    /// The last step in which a call was made although the resource is slow, plus one.
    sampled: AtomicU64,
    slow: AtomicBool,
    judgement: Mutex<Judgement>,
    observer: Observer,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    above: AtomicU64,
}

/// Calls that ended, and those of them that were above the threshold.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    calls: u64,
    above: u64,
}

impl Totals {
    fn since(self, before: Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            above: self.above - before.above,
        }
    }

    /// Whether the P99 is above the threshold.
    fn is_slow(self) -> bool {
        let rank = (self.calls * 99).div_ceil(100);
        self.above > self.calls - rank
    }
}

/// What the steps so far come to.
#[derive(Debug, Default)]
struct Judgement {
    /// How many steps in a row said the opposite of what holds.
    contrary: u64,
    /// What was counted when a step was judged by its own calls last.
    before: Totals,
    /// What came of that.
    was_slow: bool,
    /// Whether other rules are in force.
    retired: bool,
}

impl LatencyWatch {
    pub(crate) fn new(rule: LatencyRule, resource: Arc<str>, observer: Observer) -> Self {
        Self {
            rule,
            resource,
            counts: Default::default(),
            step: Line::default(),
            sampled: AtomicU64::new(0),
            slow: AtomicBool::new(false),
            judgement: Mutex::default(),
            observer,
        }
    }

    pub(crate) fn rule(&self) -> &LatencyRule {
        &self.rule
    }

    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Acquire)
    }

    /// Whether nobody asked this in the step that is under way: who is told so calls the slow resource all the same, so that
    /// every step has a call to go by.
    pub(crate) fn wants_sample(&self, now_ns: u64) -> bool {
        let step = self.step_of(now_ns);
        self.sampled.fetch_max(step, Ordering::AcqRel) < step
    }

    /// Other rules come into force, in which it does not occur. Told if the resource was slow, and from then on it tells nothing.
    pub(crate) fn retire(&self) {
        let mut judgement = self.judgement.lock().unwrap_or_else(PoisonError::into_inner);
        if !judgement.retired && self.is_slow() {
            let resource = Arc::clone(&self.resource);
            self.observer.tell(&Event::Forgotten { resource });
        }
        judgement.retired = true;
    }

    /// A call ended.
    #[inline]
    pub(crate) fn record(&self, now_ns: u64, response_ns: u64) {
        let step = self.step_of(now_ns);
        let under_way = self.step.0.load(Ordering::Acquire);
        if step > under_way {
            self.begin(under_way, step, now_ns);
        }
        let shard = shard::own();
        let Line(counts) = &self.counts[shard];
        shard::update(shard, &counts.calls, |count| count + 1);
        if response_ns > u64::from(self.rule.p99_ms) * NS_PER_MS {
            shard::update(shard, &counts.above, |count| count + 1);
        }
    }

    /// The number of a step, plus one.
    #[inline]
    fn step_of(&self, now_ns: u64) -> u64 {
        now_ns / NS_PER_MS / u64::from(self.rule.step_ms) + 1
    }

    fn totals(&self) -> Totals {
        let sum = |of: fn(&Counts) -> &AtomicU64| -> u64 {
            let shards = self.counts.iter();
            shards
                .map(|Line(counts)| of(counts).load(Ordering::Acquire))
                .sum()
        };
        // Those above first: a call that ends meanwhile is not to be above without being a call.
        let above = sum(|counts| &counts.above);
        let calls = sum(|counts| &counts.calls);
        Totals { calls, above }
    }

    /// Ends the step under way and judges it, unless another thread does.
    #[cold]
    fn begin(&self, under_way: u64, step: u64, now_ns: u64) {
        let mut judgement = self.judgement.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = self
            .step
            .0
            .compare_exchange(under_way, step, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if !is_first || judgement.retired {
            return;
        }
        let totals = self.totals();
        let seen = totals.since(judgement.before);
        if seen.calls >= self.rule.min_request_amount {
            judgement.before = totals;
            judgement.was_slow = seen.is_slow();
        }
        let slow = self.is_slow();
        if under_way == 0 || judgement.was_slow == slow {
            judgement.contrary = 0;
            return;
        }
        judgement.contrary += 1;
        let hold_ms = if slow {
            self.rule.quick_for_ms
        } else {
            self.rule.slow_for_ms
        };
        if judgement.contrary * u64::from(self.rule.step_ms) < u64::from(hold_ms) {
            return;
        }
        judgement.contrary = 0;
        // The call that has just ended is this step's sample.
        self.sampled.fetch_max(step, Ordering::AcqRel);
        self.slow.store(!slow, Ordering::Release);
        self.observer.tell(&Event::Slowness(Slowness {
            resource: Arc::clone(&self.resource),
            slow: !slow,
            calls: seen.calls,
            above: seen.above,
            threshold_ms: self.rule.p99_ms,
            at_ns: now_ns,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    /// The definition: the value that 99 of 100 calls are at most, of a sorted list.
    #[test]
    fn a_p99_is_above_the_threshold_exactly_if_more_than_a_hundredth_of_the_calls_are() {
        for calls in 1..=1_000_u64 {
            for above in 0..=calls.min(20) {
                let mut sorted = vec![1; (calls - above) as usize];
                sorted.resize(calls as usize, 2);
                let p99 = sorted[(calls * 99).div_ceil(100) as usize - 1];
                assert_eq!(Totals { calls, above }.is_slow(), p99 > 1, "{above} of {calls}");
            }
        }
    }
}
