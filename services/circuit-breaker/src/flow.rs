//! Flow control: how many calls a resource may be asked for, and what happens to those beyond.

pub mod limiter;
pub mod queue;
pub mod warm_up;

use std::sync::Arc;

use crate::plant::Plant;
use crate::rule::flow::{FlowRule, Grade};
use crate::stats::Stats;
use crate::window::NS_PER_MS;
use limiter::Limiter;
use queue::{Place, Queue};
use warm_up::WarmUp;

/// What a rule makes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// It may go, and counts at this time.
    Pass(u64),
    /// It may go after this many nanoseconds.
    Wait(u64),
    /// It may not.
    Refuse,
}

/// A rule that limits calls per second, with its state.
#[derive(Debug)]
pub(crate) struct FlowControl {
    rule: FlowRule,
    warm_up: Option<WarmUp>,
    gate: Gate,
    plant: Plant,
}

/// What lets calls through at a rate. It is handed on to the rule that takes its rule's place, so that a change of the limit forgets neither
/// who was admitted nor who stands in line.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are few of them, and a box would be one more miss of the cache for each call"
)]
enum Gate {
    Limiter(Limiter),
    Queue(Queue),
}

impl Gate {
    /// The gate of a rule that nothing came before.
    fn new(rule: &FlowRule) -> Self {
        if rule.control_behavior.queues() {
            Self::Queue(Queue::new(max_wait_ns(rule)))
        } else {
            Self::Limiter(Limiter::new(rule.span()))
        }
    }

    /// Whether it can go on under this rule.
    fn suits(&self, rule: &FlowRule) -> bool {
        match self {
            Self::Queue(_) => rule.control_behavior.queues(),
            Self::Limiter(limiter) => !rule.control_behavior.queues() && limiter.span() == rule.span(),
        }
    }

    /// The same gate under a rule that it suits.
    fn succeed(&self, rule: &FlowRule) -> Self {
        match self {
            Self::Queue(queue) => Self::Queue(queue.succeed(max_wait_ns(rule))),
            Self::Limiter(limiter) => Self::Limiter(limiter.succeed()),
        }
    }
}

fn max_wait_ns(rule: &FlowRule) -> u64 {
    u64::from(rule.max_queueing_time_ms) * NS_PER_MS
}

impl FlowControl {
    /// The controls of valid rules that limit calls per second. What did not change goes on as it is; what changed goes on with the gate of
    /// a control of its kind, if one of `before` is to spare. A changed rule that warms up starts cold, as in Sentinel.
    pub(crate) fn renew(rules: &[&FlowRule], before: &[Arc<Self>], plant: Plant) -> Box<[Arc<Self>]> {
        let mut spare = before.to_vec();
        let mut take = |is_like: &dyn Fn(&Self) -> bool| {
            let at = spare.iter().position(|old| is_like(old))?;
            Some(spare.remove(at))
        };
        let unchanged: Vec<_> = rules.iter().map(|rule| take(&|old| old.rule == **rule)).collect();
        let renew = |(rule, unchanged): (&&FlowRule, Option<Arc<Self>>)| {
            unchanged.unwrap_or_else(|| {
                let gate = match take(&|old| old.gate.suits(rule)) {
                    Some(old) => old.gate.succeed(rule),
                    None => Gate::new(rule),
                };
                Arc::new(Self::new(rule, gate, plant))
            })
        };
        rules.iter().zip(unchanged).map(renew).collect()
    }

    fn new(rule: &FlowRule, gate: Gate, plant: Plant) -> Self {
        debug_assert_eq!(rule.grade, Grade::Qps);
        let warms_up = rule.control_behavior.warms_up();
        Self {
            warm_up: warms_up.then(|| WarmUp::new(rule.count, rule.warm_up_period_sec)),
            gate,
            plant,
            rule: rule.clone(),
        }
    }

    pub(crate) fn rule(&self) -> &FlowRule {
        &self.rule
    }

    #[inline]
    pub(crate) fn check(&self, now_ns: u64, stats: &Stats) -> Check {
        let rate = match &self.warm_up {
            Some(warm_up) => warm_up.allowed(now_ns, || stats.passed_in_previous_second(now_ns)),
            None => self.rule.count,
        };
        let rate = if self.plant == Plant::AdmitsMore {
            rate * 1.5
        } else {
            rate
        };
        match &self.gate {
            Gate::Limiter(limiter) => limiter
                .admit(now_ns, rate as u64)
                .map_or(Check::Refuse, Check::Pass),
            Gate::Queue(queue) => match queue.join(now_ns, rate) {
                Place::Now => Check::Pass(now_ns),
                Place::After(wait_ns) => Check::Wait(wait_ns),
                Place::Full => Check::Refuse,
            },
        }
    }

    /// Takes back a pass at this time, since something else refused the call. A place in a queue stays taken, as in Sentinel.
    pub(crate) fn give_back(&self, now_ns: u64) {
        if let Gate::Limiter(limiter) = &self.gate {
            limiter.give_back(now_ns);
        }
    }
}
