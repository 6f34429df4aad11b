//! Whether a resource has been slow for long: its P99, step by step.
//!
//! Time is cut into steps, a second long by default. The first call that ends in a new step takes the P99 of the one that ended, by
//! [the histogram](crate::histogram) within 6.25 %, always upwards. When every step that had enough calls was slow for as long as the
//! rule says, the resource is slow; when every one was quick for as long, it is quick again. A step with too few calls counts for neither, and so
//! do steps in which nothing was called.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::{Event, Observe, Slowness};
use crate::histogram::{Counts, Histogram};
use crate::rule::latency::LatencyRule;
use crate::shard::Line;
use crate::window::NS_PER_MS;

const SHARE: f64 = 0.99;

/// The watch over one resource.
pub(crate) struct LatencyWatch {
    rule: LatencyRule,
    resource: Arc<str>,
    histogram: Histogram,
    /// The step that is under way, plus one.
    step: Line<AtomicU64>,
    slow: AtomicBool,
    judgement: Mutex<Judgement>,
    observer: Arc<dyn Observe>,
}

/// What the steps so far come to.
#[derive(Debug, Default)]
struct Judgement {
    /// How many steps in a row said the opposite of what holds.
    contrary: u64,
    /// What the histogram held when the last step ended.
    before: Counts,
}

impl LatencyWatch {
    pub(crate) fn new(rule: LatencyRule, resource: Arc<str>, observer: Arc<dyn Observe>) -> Self {
        Self {
            rule,
            resource,
            histogram: Histogram::default(),
            step: Line::default(),
            slow: AtomicBool::new(false),
            judgement: Mutex::default(),
            observer,
        }
    }

    pub(crate) fn rule(&self) -> &LatencyRule {
        &self.rule
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Acquire)
    }

    /// A call ended.
    #[inline]
    pub(crate) fn record(&self, now_ns: u64, response_ns: u64) {
        let step = now_ns / (u64::from(self.rule.step_ms) * NS_PER_MS) + 1;
        let under_way = self.step.0.load(Ordering::Acquire);
        if step > under_way {
            self.begin(under_way, step, now_ns);
        }
        self.histogram.record(response_ns / 1_000);
    }

    /// Ends the step under way and judges it, unless another thread does.
    #[cold]
    fn begin(&self, under_way: u64, step: u64, now_ns: u64) {
        let mut judgement = self.judgement.lock().unwrap_or_else(PoisonError::into_inner);
        let Judgement { contrary, before } = &mut *judgement;
        let is_first = self
            .step
            .0
            .compare_exchange(under_way, step, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if !is_first {
            return;
        }
        let (calls, p99_us) = self.histogram.since(before, SHARE);
        if calls < self.rule.min_request_amount {
            return;
        }
        let threshold_us = u64::from(self.rule.p99_ms) * 1_000;
        let slow = self.is_slow();
        if (p99_us > threshold_us) == slow {
            *contrary = 0;
            return;
        }
        *contrary += 1;
        let hold_ms = if slow {
            self.rule.quick_for_ms
        } else {
            self.rule.slow_for_ms
        };
        if *contrary * u64::from(self.rule.step_ms) < u64::from(hold_ms) {
            return;
        }
        *contrary = 0;
        self.slow.store(!slow, Ordering::Release);
        self.observer.note(&Event::Slowness(Slowness {
            resource: Arc::clone(&self.resource),
            slow: !slow,
            p99_us,
            threshold_us,
            at_ns: now_ns,
        }));
    }
}
