//! One refresh of a feed: L1 in front, recall behind the breaker of L3, then the model that L2 picks.
//!
//! Recall comes first, since its answer is what the model ranks. Both have one deadline, and recall a shorter one within it, so that a recall that
//! hangs leaves time for the model. A recall that is refused or fails is served from the cache; a model that fails fails the refresh.
//!
//! A client that leaves ends its refresh, of which L1's resource then learns nothing. A call that was made for it is [seen out](super::seen_out) and
//! judged, so that clients without patience hide nothing from L2 and L3.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use tokio::time::{Instant, sleep_until};

use super::cache::Cache;
use super::report::Report;
use super::seen_out::{Client, Left, seen_out};
use super::time::Time;
use super::upstream::{CallError, Upstream};
use crate::feed::{Admission, Model, Recall, Scoring};
use crate::{Blocked, Entry, FeedPolicy, Guard, Waiting};

/// What every refresh needs.
pub struct Refresh {
    /// The three layers.
    pub policy: FeedPolicy,
    /// The role `recall`.
    pub recall: Upstream,
    /// The role `model`.
    pub model: Upstream,
    /// The role `model-light`.
    pub model_light: Upstream,
    /// What was recalled last.
    pub cache: Cache,
    /// How long a refresh may take.
    pub deadline: Duration,
    /// How much of it recall may take.
    pub recall_timeout: Duration,
    /// The clock.
    pub time: Time,
    /// What is counted.
    pub report: Arc<Report>,
    /// How many times a model was to be called: the number of the next one, by which samples are taken.
    pub number: AtomicU64,
}

/// Where what is shown was recalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recalled {
    /// By the call.
    Live,
    /// By an earlier one.
    Cache,
}

/// What comes of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// It is served.
    Feed {
        /// When L1 counts it, in nanoseconds of the clock.
        admitted_ns: u64,
        /// Where what is shown was recalled.
        recalled: Recalled,
        /// Which model ranked it.
        model: Model,
    },
    /// L1 refuses it.
    FallbackCard(Blocked),
    /// It was admitted, and nothing came of it.
    Failed {
        /// When L1 counts it, likewise.
        admitted_ns: u64,
        /// Why.
        why: Failure,
    },
}

/// Why nothing comes of a refresh that was admitted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Nothing is recalled, and nothing was before.
    #[error("recall failed, and nothing is in the cache yet")]
    NothingRecalled,
    /// The model did not answer.
    #[error("the model failed: {0}")]
    Model(#[source] CallError),
    /// A rule refuses the call to the model.
    #[error("a rule refuses the model: {0}")]
    ModelRefused(#[source] Blocked),
    /// Nobody waits for it.
    #[error(transparent)]
    ClientLeft(#[from] Left),
}

impl Refresh {
    /// Does one.
    pub async fn run(self: &Arc<Self>) -> Refreshed {
        self.report.requests.inc();
        let by = Instant::now() + self.deadline;
        let guard = match self.policy.admit(self.time.now_ns()) {
            Admission::Serve(guard) => guard,
            Admission::ServeAfter(waiting) => match self.wait(waiting, by).await {
                Ok(guard) => guard,
                Err(blocked) => return self.shed(blocked),
            },
            Admission::FallbackCard(blocked) => return self.shed(blocked),
        };
        let admitted_ns = guard.admitted_ns();
        match self.serve(by).await {
            Ok((recalled, model)) => {
                guard.succeed(self.time.now_ns());
                self.report.served.inc();
                Refreshed::Feed {
                    admitted_ns,
                    recalled,
                    model,
                }
            }
            Err(why) => {
                guard.fail(self.time.now_ns());
                self.report.failed.inc();
                Refreshed::Failed { admitted_ns, why }
            }
        }
    }

    fn shed(&self, blocked: Blocked) -> Refreshed {
        self.report.shed.inc();
        Refreshed::FallbackCard(blocked)
    }

    async fn serve(self: &Arc<Self>, by: Instant) -> Result<(Recalled, Model), Failure> {
        let refresh = Arc::clone(self);
        let live = seen_out(|client| async move { refresh.recall(by, client).await }).await?;
        let (recalled, source) = if let Some(recalled) = live {
            (recalled, Recalled::Live)
        } else {
            let cached = self.cache.last().ok_or(Failure::NothingRecalled)?;
            self.report.recall_cached.inc();
            (cached, Recalled::Cache)
        };
        let refresh = Arc::clone(self);
        let model = seen_out(|client| async move { refresh.rank(recalled, by, client).await }).await?;
        Ok((source, model))
    }

    /// L3: what is recalled now. `None` where that is refused or fails.
    async fn recall(&self, by: Instant, mut client: Client) -> Result<Option<Bytes>, Left> {
        let by = by.min(Instant::now() + self.recall_timeout);
        let guard = match self.policy.recall(self.time.now_ns()) {
            Recall::Call(guard) => guard,
            Recall::CallAfter(waiting) => match client.unless_left(self.wait(waiting, by)).await? {
                Ok(guard) => guard,
                Err(_) => return Ok(None),
            },
            Recall::Cache(_) => return Ok(None),
        };
        let place = client.unless_left(self.recall.place(by)).await?;
        let recalled = match place {
            Ok(place) => {
                self.recall
                    .call(place, Uri::from_static("/recall"), None, by)
                    .await
            }
            Err(late) => Err(late),
        };
        self.end(guard, &recalled);
        match &recalled {
            Ok(recalled) => self.cache.keep(recalled),
            Err(_) => drop(self.report.recall_failed.inc()),
        }
        Ok(recalled.ok())
    }

    /// L2: has what was recalled ranked, and says by which model.
    async fn rank(&self, recalled: Bytes, by: Instant, mut client: Client) -> Result<Model, Failure> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (model, guard) = match self.policy.model(self.time.now_ns(), number) {
            Scoring::Call(model, guard) => (model, guard),
            Scoring::CallAfter(model, waiting) => {
                let waited = client.unless_left(self.wait(waiting, by)).await?;
                (model, waited.map_err(Failure::ModelRefused)?)
            }
            Scoring::None(blocked) => return Err(Failure::ModelRefused(blocked)),
        };
        let (upstream, calls) = match model {
            Model::Full => (&self.model, &self.report.model_full),
            Model::Light => (&self.model_light, &self.report.model_light),
        };
        let place = client.unless_left(upstream.place(by)).await?;
        calls.inc();
        let ranked = match place {
            Ok(place) => {
                let target = Uri::from_static("/rank");
                upstream.call(place, target, Some(recalled), by).await
            }
            Err(late) => Err(late),
        };
        self.end(guard, &ranked);
        match ranked {
            Ok(_) => Ok(model),
            Err(why) => {
                self.report.model_failed.inc();
                Err(Failure::Model(why))
            }
        }
    }

    fn end(&self, guard: Guard<'_>, outcome: &Result<Bytes, CallError>) {
        let now_ns = self.time.now_ns();
        if outcome.is_ok() {
            guard.succeed(now_ns);
        } else {
            guard.fail(now_ns);
        }
    }

    /// Waits for a place in a queue, unless that is too late anyway.
    pub async fn wait<'a>(&self, waiting: Waiting<'a>, by: Instant) -> Result<Guard<'a>, Blocked> {
        let until = Instant::now() + waiting.wait();
        if until > by {
            return Err(Blocked::QueueFull);
        }
        sleep_until(until).await;
        match waiting.enter(self.time.now_ns()) {
            Entry::Pass(guard) => Ok(guard),
            Entry::Blocked(blocked) => Err(blocked),
            Entry::Wait(_) => Err(Blocked::QueueFull),
        }
    }
}
