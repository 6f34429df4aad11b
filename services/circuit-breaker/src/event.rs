//! What is told to whoever watches: rare things, each once, those of one breaker in the order in which they happened.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Where a breaker stands.
///
/// ```text
///              threshold exceeded             recovery timeout over: one probe
///   closed ───────────────────────► open ◄─────────────────────────────► half-open
///     ▲                              ▲      probe failed or abandoned        │
///     │                              │                                       │ probe succeeded
///     │  the last probe succeeded    │ probe failed                          ▼
///     └──────────────────────────────┴─────────────────────────────────  recovering
/// ```
///
/// From half-open straight to closed where one good probe is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused until the recovery timeout is over.
    Open,
    /// One probe is under way; all other calls are refused.
    HalfOpen,
    /// Probes succeeded, not yet enough of them: one call at a time passes, as the next probe.
    Recovering,
}

impl State {
    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::Recovering => "recovering",
        }
    }

    /// Whether the diagram has an arrow from this state to that.
    pub fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Closed, Self::Open)
                | (Self::Open, Self::HalfOpen)
                | (Self::HalfOpen, Self::Open | Self::Recovering | Self::Closed)
                | (Self::Recovering, Self::Open | Self::Closed)
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a breaker changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Too many of the calls in the statistic interval were slow or failed.
    ThresholdExceeded,
    /// The recovery timeout is over and a call came to probe with.
    RecoveryTimeoutOver,
    /// The probe was good.
    ProbeSucceeded,
    /// The probe was slow or failed.
    ProbeFailed,
    /// The probe ended without a result, or something else refused it.
    ProbeAbandoned,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThresholdExceeded => "threshold exceeded",
            Self::RecoveryTimeoutOver => "recovery timeout over",
            Self::ProbeSucceeded => "probe succeeded",
            Self::ProbeFailed => "probe failed",
            Self::ProbeAbandoned => "probe abandoned",
        })
    }
}

/// A breaker's change of state.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The resource.
    pub resource: Arc<str>,
    /// Which of the resource's breakers, from 0. It stays with a rule that does not change.
    pub breaker: usize,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// Calls in the statistic interval, or 0 where the change is not about them.
    pub calls: u64,
    /// Those of them that were slow or failed, as the rule has it.
    pub bad: u64,
    /// Probes that were good in a row.
    pub good_probes: u32,
    /// When, in nanoseconds of the caller's clock.
    pub at_ns: u64,
}

/// A resource became slow or quick again by its latency rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slowness {
    /// The resource.
    pub resource: Arc<str>,
    /// Whether it is slow now.
    pub slow: bool,
    /// How many calls the last verdict goes by.
    pub calls: u64,
    /// How many of them were above the threshold.
    pub above: u64,
    /// The threshold for the P99, in milliseconds.
    pub threshold_ms: u32,
    /// When, in nanoseconds of the caller's clock.
    pub at_ns: u64,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A breaker changed its state.
    Transition(Transition),
    /// A resource became slow or quick again.
    Slowness(Slowness),
    /// A breaker that was not closed is gone, since its rule is: calls pass, or another breaker begins closed in its place.
    Replaced {
        /// The resource.
        resource: Arc<str>,
        /// Which of the resource's breakers.
        breaker: usize,
        /// The state that it was in.
        state: State,
    },
    /// A resource that was slow counts as quick, since its latency rule is gone.
    Forgotten {
        /// The resource.
        resource: Arc<str>,
    },
    /// A rule set came into force.
    RulesApplied {
        /// How many were applied before, plus one.
        version: u64,
        /// How many rules it has.
        rules: usize,
    },
}

/// Someone who watches. Called in the midst of a call and under a lock, so it must return soon, must not call back and must not panic.
pub trait Observe: Send + Sync {
    /// Takes note.
    fn note(&self, event: &Event);
}

/// Who watches a switchboard, held off from harming it.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Observe>);

impl Observer {
    pub(crate) fn new(observe: Arc<dyn Observe>) -> Self {
        Self(observe)
    }

    /// Tells an event. A panic ends here: it would unwind through a change that is half done, and a breaker would wait for ever for a probe
    /// whose guard was never handed out.
    #[cold]
    pub(crate) fn tell(&self, event: &Event) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.0.note(event)));
    }
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn note(&self, _: &Event) {}
}
