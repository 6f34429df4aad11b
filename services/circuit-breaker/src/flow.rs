//! Flow control: how many calls a resource may be asked for, and what happens to those beyond.

pub mod limiter;
pub mod queue;
pub mod warm_up;

use std::sync::Arc;

use crate::rule::flow::{Behaviour, FlowRule, Grade};
use crate::stats::Stats;
use crate::window::NS_PER_MS;
use limiter::Limiter;
use queue::{Place, Queue};
use warm_up::WarmUp;

/// What a rule makes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// It may go.
    Pass,
    /// It may go after this many nanoseconds.
    Wait(u64),
    /// It may not.
    Refuse,
}

/// A rule that limits calls per second, with its state.
#[derive(Debug)]
pub(crate) struct FlowControl {
    rule: FlowRule,
    /// Handed on to a rule that differs in its count alone, so that a change of the limit forgets no admission.
    limiter: Limiter,
    warm_up: Option<WarmUp>,
    queue: Option<Queue>,
}

impl FlowControl {
    /// The controls of valid rules that limit calls per second. What did not change goes on as it is; what changed goes on
    /// counting in the limiter of a control of its kind, if one of `before` is to spare.
    pub(crate) fn renew(rules: &[&FlowRule], before: &[Arc<Self>]) -> Box<[Arc<Self>]> {
        let mut spare = before.to_vec();
        let mut take = |is_like: &dyn Fn(&Self) -> bool| {
            let at = spare.iter().position(|old| is_like(old))?;
            Some(spare.remove(at))
        };
        let unchanged: Vec<_> = rules.iter().map(|rule| take(&|old| old.rule == **rule)).collect();
        let renew = |(rule, unchanged): (&&FlowRule, Option<Arc<Self>>)| {
            unchanged.unwrap_or_else(|| {
                let is_like = |old: &Self| {
                    old.limiter.span() == rule.span() && old.rule.control_behavior == rule.control_behavior
                };
                let limiter = take(&is_like).map(|old| old.limiter.succeed());
                Arc::new(Self::new(rule, limiter))
            })
        };
        rules.iter().zip(unchanged).map(renew).collect()
    }

    fn new(rule: &FlowRule, limiter: Option<Limiter>) -> Self {
        debug_assert_eq!(rule.grade, Grade::Qps);
        let warms_up = matches!(rule.control_behavior, Behaviour::WarmUp | Behaviour::WarmUpQueue);
        let queues = matches!(rule.control_behavior, Behaviour::Queue | Behaviour::WarmUpQueue);
        let max_wait_ns = u64::from(rule.max_queueing_time_ms) * NS_PER_MS;
        Self {
            limiter: limiter.unwrap_or_else(|| Limiter::new(rule.span())),
            warm_up: warms_up.then(|| WarmUp::new(rule.count, rule.warm_up_period_sec)),
            queue: queues.then(|| Queue::new(max_wait_ns)),
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
        match &self.queue {
            Some(queue) => match queue.join(now_ns, rate) {
                Place::Now => Check::Pass,
                Place::After(wait_ns) => Check::Wait(wait_ns),
                Place::Full => Check::Refuse,
            },
            None if self.limiter.admit(now_ns, rate as u64) => Check::Pass,
            None => Check::Refuse,
        }
    }

    /// Takes back a pass at this time, since something else refused the call. A place in a queue stays taken, as in Sentinel.
    pub(crate) fn give_back(&self, now_ns: u64) {
        if self.queue.is_none() {
            self.limiter.give_back(now_ns);
        }
    }
}
