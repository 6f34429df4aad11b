//! The feed's three layers of protection, put together from rules.
//!
//! | layer | when | what then | made of |
//! | --- | --- | --- | --- |
//! | L1 | more than 5,000 requests per second | answer the fallback card | a flow rule on `feed` |
//! | L2 | P99 above 800 ms for 30 s | call the light model | a latency rule on `model` |
//! | L3 | more than 5 % errors in 10 s | serve recall from the cache | a degrade rule on `recall` |
//!
//! L1 admits at most its limit in any second, wherever it begins: its window is longer by one bucket of 20 ms, see
//! [the limiter](crate::flow::limiter).
//!
//! The layers are nothing but rules on three resources: another rule set with the same names changes them while they are in use.
//! `feed` stands in front of the request, `model` and `recall` in front of the calls it makes.

use std::sync::Arc;

use crate::board::{ResourceId, Switchboard, TooManyResources};
use crate::guard::{Blocked, Entry, Guard, Waiting};
use crate::rule::{DegradeRule, FlowRule, LatencyRule, RuleSet, Strategy};

/// The resource of the request as a whole.
pub const FEED: &str = "feed";
/// The resource of the call that recalls candidates.
pub const RECALL: &str = "recall";
/// The resource of the full recommendation model.
pub const MODEL: &str = "model";
/// The resource of the light one.
pub const MODEL_LIGHT: &str = "model-light";

/// Which model a request is to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// The full one.
    Full,
    /// The light one, since the full one is slow.
    Light,
}

/// The layers over a switchboard.
#[derive(Clone)]
pub struct FeedPolicy {
    board: Arc<Switchboard>,
    feed: ResourceId,
    recall: ResourceId,
    model: ResourceId,
    model_light: ResourceId,
}

/// What L1 makes of a request.
#[must_use = "tell the guard how the request ended"]
#[derive(Debug)]
pub enum Admission<'a> {
    /// It is served.
    Serve(Guard<'a>),
    /// It is served after a wait: only where a rule set puts a queue there.
    ServeAfter(Waiting<'a>),
    /// It is answered with the fallback card.
    FallbackCard(Blocked),
}

/// What L3 makes of a recall.
#[must_use = "tell the guard how the call ended"]
#[derive(Debug)]
pub enum Recall<'a> {
    /// Call it.
    Call(Guard<'a>),
    /// Call it after a wait: only where a rule set puts a queue there.
    CallAfter(Waiting<'a>),
    /// Serve from the cache.
    Cache(Blocked),
}

/// What L2 makes of a call to the model.
#[must_use = "tell the guard how the call ended"]
#[derive(Debug)]
pub enum Scoring<'a> {
    /// Call this model.
    Call(Model, Guard<'a>),
    /// Call this model after a wait: only where a rule set puts a queue there.
    CallAfter(Model, Waiting<'a>),
    /// Call none: only where a rule set guards the models by more than latency.
    None(Blocked),
}

impl FeedPolicy {
    /// The layers, without putting any rule in force.
    pub fn new(board: Arc<Switchboard>) -> Result<Self, TooManyResources> {
        Ok(Self {
            feed: board.resource(FEED)?,
            recall: board.resource(RECALL)?,
            model: board.resource(MODEL)?,
            model_light: board.resource(MODEL_LIGHT)?,
            board,
        })
    }

    /// The rules with the platform's figures.
    ///
    /// The limit slides over 1,020 ms in 51 buckets, so that it holds in any second. The ratio of errors slides over 10 s in ten, asks for 20 calls at least, and the breaker probes
    /// after 5 s: the platform says nothing of these.
    pub fn rules() -> RuleSet {
        RuleSet {
            flow: vec![FlowRule {
                resource: FEED.to_owned(),
                count: 5_000.0,
                stat_interval_ms: 1_020,
                stat_buckets: 51,
                ..FlowRule::default()
            }],
            degrade: vec![DegradeRule {
                resource: RECALL.to_owned(),
                grade: Strategy::ErrorRatio,
                count: 0.05,
                time_window: 5,
                min_request_amount: 20,
                stat_interval_ms: 10_000,
                stat_buckets: 10,
                ..DegradeRule::default()
            }],
            latency: vec![LatencyRule {
                resource: MODEL.to_owned(),
                ..LatencyRule::default()
            }],
        }
    }

    /// L1: whether a request is served.
    #[inline]
    pub fn admit(&self, now_ns: u64) -> Admission<'_> {
        match self.board.entry(self.feed, now_ns) {
            Entry::Pass(guard) => Admission::Serve(guard),
            Entry::Wait(waiting) => Admission::ServeAfter(waiting),
            Entry::Blocked(blocked) => Admission::FallbackCard(blocked),
        }
    }

    /// L2: which model to call. The full one's response times are what switches, so while the light one is called nothing is
    /// known of the full one: every [`Self::SAMPLED`]th call and the first in each step of the rule go to it all the same, so that the
    /// switch back rests on measurement, however few calls there are.
    #[inline]
    pub fn model(&self, now_ns: u64, number: u64) -> Scoring<'_> {
        // Asked of every call, so that one that is a sample by its number is the step's sample too.
        let is_light = self.board.is_slow(self.model)
            && !self.board.wants_sample(self.model, now_ns)
            && !number.is_multiple_of(Self::SAMPLED);
        let (model, resource) = if is_light {
            (Model::Light, self.model_light)
        } else {
            (Model::Full, self.model)
        };
        match self.board.entry(resource, now_ns) {
            Entry::Pass(guard) => Scoring::Call(model, guard),
            Entry::Wait(waiting) => Scoring::CallAfter(model, waiting),
            Entry::Blocked(blocked) => Scoring::None(blocked),
        }
    }

    /// Which model requests are to call, apart from those that measure the full one.
    pub fn model_in_use(&self) -> Model {
        if self.board.is_slow(self.model) {
            Model::Light
        } else {
            Model::Full
        }
    }

    /// Of how many requests one goes to a model that is slow.
    pub const SAMPLED: u64 = 20;

    /// L3: whether to recall.
    #[inline]
    pub fn recall(&self, now_ns: u64) -> Recall<'_> {
        match self.board.entry(self.recall, now_ns) {
            Entry::Pass(guard) => Recall::Call(guard),
            Entry::Wait(waiting) => Recall::CallAfter(waiting),
            Entry::Blocked(blocked) => Recall::Cache(blocked),
        }
    }

    /// The switchboard.
    pub fn board(&self) -> &Arc<Switchboard> {
        &self.board
    }
}
