//! Flow rules.

use serde::{Deserialize, Serialize};

use super::RuleFaults;
use crate::flow::limiter::LIMIT_MAX;
use crate::window::Span;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Grade {
    /// Calls under way at a time: 0, Sentinel's threads.
    Concurrency,
    /// Calls per second: 1.
    Qps,
}

/// What happens to calls beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Behaviour {
    /// They are refused: 0.
    Reject,
    /// They are refused, and the limit grows from a third while the resource warms up: 1.
    WarmUp,
    /// They wait for their turn: 2.
    Queue,
    /// They wait for their turn, which comes more slowly while the resource warms up: 3.
    WarmUpQueue,
}

impl Behaviour {
    /// Whether calls beyond the limit wait.
    pub fn queues(self) -> bool {
        matches!(self, Self::Queue | Self::WarmUpQueue)
    }

    /// Whether the limit grows while the resource warms up.
    pub fn warms_up(self) -> bool {
        matches!(self, Self::WarmUp | Self::WarmUpQueue)
    }
}

impl TryFrom<u8> for Grade {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Concurrency),
            1 => Ok(Self::Qps),
            _ => Err(format!("grade is {number}; use 0 (concurrency) or 1 (QPS)")),
        }
    }
}

impl From<Grade> for u8 {
    fn from(grade: Grade) -> Self {
        match grade {
            Grade::Concurrency => 0,
            Grade::Qps => 1,
        }
    }
}

impl TryFrom<u8> for Behaviour {
    type Error = String;

    fn try_from(number: u8) -> Result<Self, String> {
        match number {
            0 => Ok(Self::Reject),
            1 => Ok(Self::WarmUp),
            2 => Ok(Self::Queue),
            3 => Ok(Self::WarmUpQueue),
            _ => Err(format!(
                "controlBehavior is {number}; use 0 (reject), 1 (warm-up), 2 (queueing) or 3 (warm-up and queueing)"
            )),
        }
    }
}

impl From<Behaviour> for u8 {
    fn from(behaviour: Behaviour) -> Self {
        match behaviour {
            Behaviour::Reject => 0,
            Behaviour::WarmUp => 1,
            Behaviour::Queue => 2,
            Behaviour::WarmUpQueue => 3,
        }
    }
}

/// Limits how a resource is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FlowRule {
    /// What is guarded.
    pub resource: String,
    /// What is limited; calls per second by default.
    pub grade: Grade,
    /// The limit. Of calls in a window a fraction is cut off; a queue takes it as it is.
    pub count: f64,
    /// What happens beyond it; refusing by default. Means nothing to a limit of concurrency.
    pub control_behavior: Behaviour,
    /// How long a resource warms up, in seconds.
    pub warm_up_period_sec: u32,
    /// How long a call may be told to wait at most, in milliseconds.
    pub max_queueing_time_ms: u32,
    /// Over which window `count` holds, in milliseconds; 1000 as in Sentinel, and nothing else where the resource warms up.
    pub stat_interval_ms: u32,
    /// In how many buckets the window slides; 2 as in Sentinel.
    pub stat_buckets: u32,
}

impl Default for FlowRule {
    fn default() -> Self {
        Self {
            resource: String::new(),
            grade: Grade::Qps,
            count: 0.0,
            control_behavior: Behaviour::Reject,
            warm_up_period_sec: 10,
            max_queueing_time_ms: 500,
            stat_interval_ms: 1_000,
            stat_buckets: 2,
        }
    }
}

impl FlowRule {
    /// The window of a valid rule.
    pub fn span(&self) -> Span {
        Span::new(self.stat_interval_ms, self.stat_buckets).unwrap_or(Span::SECOND)
    }

    pub(super) fn check(&self, faults: &mut RuleFaults<'_>) {
        faults.resource();
        faults.within("count", self.count, (0.0, LIMIT_MAX as f64));
        if self.grade == Grade::Concurrency {
            return;
        }
        faults.span(self.stat_interval_ms, self.stat_buckets);
        if self.control_behavior.warms_up() {
            faults.within(
                "warmUpPeriodSec",
                f64::from(self.warm_up_period_sec),
                (1.0, 86_400.0),
            );
            if self.count * f64::from(self.warm_up_period_sec) > f64::from(u32::MAX) {
                faults.add(
                    "warmUpPeriodSec",
                    format!(
                        "of {} is too long for {} calls/s",
                        self.warm_up_period_sec, self.count
                    ),
                    "shorten it",
                );
            }
        }
        if self.control_behavior != Behaviour::Reject && self.stat_interval_ms != 1_000 {
            faults.add(
                "statIntervalMs",
                format!(
                    "is {} where calls queue or a resource warms up",
                    self.stat_interval_ms
                ),
                "leave it at 1000",
            );
        }
    }
}
