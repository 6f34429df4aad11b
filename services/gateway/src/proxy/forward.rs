//! One request, from its head to the head of its answer: routed, let in, tried, tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::attempt::{Answered, Failed, Failure, attempt};
use super::body::{self, BodyFailure, Outgoing};
use super::client::{Busy, Client};
use super::deadline::Deadline;
use super::refusal::{Reason, Refusal};
use super::relay::{Answer, Held, Passages, Relay};
use super::{head, hop, replay};
use crate::draw::Source;
use crate::plant::Plant;
use crate::report::Report;
use crate::route::{Route, RouteReason, RouteRequest, Router};
use crate::upstream::Clusters;
use crate::upstream::cluster::Cluster;
use crate::upstream::connection::ConnectError;
use crate::upstream::endpoint::Endpoint;

/// Says which cluster took a request.
pub const CLUSTER: HeaderName = HeaderName::from_static("x-gateway-cluster");
/// Says why.
pub const ROUTE: HeaderName = HeaderName::from_static("x-gateway-route");
/// Says how often a request was tried, where that is more than once.
pub const ATTEMPTS: HeaderName = HeaderName::from_static("x-gateway-attempts");
/// Says whose request it was.
pub const USER: HeaderName = HeaderName::from_static("x-gateway-user");

const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
/// Before the attempt after the next the wait is between one and two of these, then twice as long each time.
const BACKOFF_MS: u64 = 5;
/// A planted bug repeats for so often, so that the machine it runs on lives.
const PLANTED_RETRIES_MAX: u32 = 1_000;

/// What all workers share.
#[derive(Debug)]
pub struct Gateway {
    /// The clusters in force.
    pub clusters: ArcSwap<Clusters>,
    /// The routes in force.
    pub router: Router,
    /// Metrics and events.
    pub report: Arc<Report>,
    /// The most bytes of a request's head.
    pub head_max: usize,
    /// The most bytes of a request's body.
    pub body_max: u64,
    /// A bug to plant.
    pub plant: Plant,
    /// Of a planted bug: a plug-in is being swapped.
    pub swapping: AtomicBool,
}

/// One of the threads that serve.
#[derive(Debug)]
pub struct Worker {
    /// Its number, by which it has pools of its own.
    pub index: usize,
    /// What it shares.
    pub gateway: Arc<Gateway>,
    /// Its random numbers.
    pub draw: Source,
    /// The answers that it passes on.
    pub passages: Passages,
}

/// A request that is being tried.
struct Trial<'a> {
    worker: &'a Arc<Worker>,
    client: &'a Arc<Client>,
    cluster: &'a Arc<Cluster>,
    deadline: Deadline,
    is_idempotent: bool,
    /// Attempts so far.
    attempts: u32,
}

/// What an attempt came to.
enum Step {
    Answered(Response<Relay>),
    Again(Request<Outgoing>),
}

/// Answers one request.
pub async fn handle(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    request: Request<Incoming>,
) -> Response<Answer> {
    worker.gateway.report.requests.inc();
    let busy = client.busy();
    let user = request.headers().get(USER_ID).cloned();
    let mut answer = match forward(worker, client, busy, request).await {
        Ok(response) => response,
        Err(refusal) => {
            let report = &worker.gateway.report;
            report.failed.inc();
            match refusal.reason {
                Reason::Overloaded => drop(report.overloaded.inc()),
                Reason::Deadline => drop(report.deadlines.inc()),
                _ => {}
            }
            refusal.answer()
        }
    };
    if let Some(user) = user {
        answer.headers_mut().insert(USER, user);
    }
    answer
}

async fn forward(
    worker: &Arc<Worker>,
    client: &Arc<Client>,
    busy: Busy,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Refusal> {
    let gateway = &*worker.gateway;
    let (mut parts, body) = request.into_parts();
    head::check(&mut parts, gateway.head_max)?;
    let length = content_length(&parts.headers);
    if length.is_some_and(|length| length > gateway.body_max) {
        return Err(too_long(gateway.body_max));
    }
    let route = gateway
        .router
        .route(&RouteRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            headers: &parts.headers,
        })
        .await;
    let route = planted(worker, route)?;
    let cluster = gateway.clusters.load().get(&route.cluster).cloned();
    let cluster = cluster.ok_or_else(|| {
        let text = format!("there is no cluster called {}", route.cluster);
        Refusal::new(Reason::NoCluster, text).of(&route.cluster)
    })?;
    let of_cluster = |refusal: Refusal| refusal.of(&route.cluster);
    let policy = cluster.policy();
    let deadline = Deadline::of(&mut parts.headers, policy.deadline, Instant::now());
    head::prepare(&mut parts, policy.http2, client.peer()).map_err(of_cluster)?;
    let mut trial = Trial {
        worker,
        client,
        cluster: &cluster,
        deadline,
        is_idempotent: replay::is_idempotent(&parts.method),
        attempts: 0,
    };
    let answer = trial.run(Request::from_parts(parts, body), length, busy).await;
    let mut response = answer.map_err(of_cluster)?;
    // The gateway's own, whatever the endpoint speaks (RFC 9110, 2.5): hyper lowers it for clients of HTTP/1.0.
    *response.version_mut() = Version::HTTP_11;
    let headers = response.headers_mut();
    hop::strip(headers, false);
    headers.insert(CLUSTER, cluster.header().clone());
    headers.insert(ROUTE, HeaderValue::from_static(route.reason.as_str()));
    if trial.attempts > 1 {
        headers.insert(ATTEMPTS, HeaderValue::from(trial.attempts));
    }
    Ok(response)
}

impl Trial<'_> {
    /// The body to send: kept where it is short and the request may be sent again, else passed on as it comes.
    async fn body(&self, body: Incoming, length: Option<u64>) -> Result<Outgoing, Refusal> {
        let gateway = &self.worker.gateway;
        let retry = &self.cluster.policy().retry;
        let outgoing = body::outgoing(body, gateway.body_max);
        let keep = self.is_idempotent
            && retry.attempts > 0
            && length.is_some_and(|length| length <= retry.body_max as u64);
        if !keep || matches!(outgoing, Outgoing::Left(_)) {
            return Ok(outgoing);
        }
        match timeout_at(self.deadline.at, outgoing.collect()).await {
            Ok(Ok(whole)) => Ok(Outgoing::Left(Full::new(whole.to_bytes()))),
            Ok(Err(error)) => Err(Refusal::new(Reason::BadRequest, error.to_string())),
            Err(_) => Err(self.late()),
        }
    }

    /// Tries until there is an answer, or a reason to stop.
    async fn run(
        &mut self,
        request: Request<Incoming>,
        length: Option<u64>,
        busy: Busy,
    ) -> Result<Response<Answer>, Refusal> {
        let entered = timeout_at(self.deadline.at, self.cluster.admission().enter()).await;
        let permit = entered.map_err(|_| self.late())?.map_err(|_| {
            let text = "as many requests wait as may; try again later";
            Refusal::new(Reason::Overloaded, text)
        })?;
        self.cluster.budget().deposit(Instant::now());
        // Only now, so that no more bodies are kept than requests are let in.
        let (parts, body) = request.into_parts();
        let mut request = Request::from_parts(parts, self.body(body, length).await?);
        let mut last: Option<Arc<Endpoint>> = None;
        loop {
            let endpoint = Arc::clone(self.cluster.choose(&self.worker.draw, last.as_ref()));
            match self.step(&endpoint, request).await? {
                Step::Answered(response) => {
                    return Ok(response.map(|mut relay| {
                        relay.hold(permit, busy);
                        Answer::Right(relay)
                    }));
                }
                Step::Again(again) => request = again,
            }
            last = Some(endpoint);
        }
    }

    /// One attempt, and whether another follows.
    async fn step(&mut self, endpoint: &Arc<Endpoint>, request: Request<Outgoing>) -> Result<Step, Refusal> {
        self.attempts += 1;
        let copy = self.copy(&request);
        match self.attempt(endpoint, request).await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let text = format!("{} switched protocols, which nobody asked for", endpoint.label());
                Err(Refusal::new(Reason::BrokenOff, text))
            }
            Ok(response) => {
                let is_failure = self.is_failure(response.status());
                match copy {
                    Some(copy) if is_failure && self.may_retry().await => {
                        response.into_body().drain();
                        Ok(Step::Again(copy))
                    }
                    _ => Ok(Step::Answered(response)),
                }
            }
            Err(Failed { failure, unsent }) => {
                let again = unsent.map(|unsent| *unsent).or(copy);
                match again {
                    Some(again)
                        if !matches!(failure, Failure::Body(_) | Failure::Slow) && self.may_retry().await =>
                    {
                        Ok(Step::Again(again))
                    }
                    _ => Err(self.refusal(endpoint, &failure)),
                }
            }
        }
    }

    /// One attempt, and what it says about the endpoint.
    async fn attempt(
        &self,
        endpoint: &Arc<Endpoint>,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Relay>, Failed> {
        let now = Instant::now();
        let of_attempt = self.cluster.policy().retry.attempt_timeout;
        let of_attempt = of_attempt
            .filter(|_| self.is_idempotent)
            .map(|length| now + length);
        let until = of_attempt.map_or(self.deadline.at, |at| at.min(self.deadline.at));
        self.deadline.tell(request.headers_mut(), until, now);
        let in_flight = endpoint.begin();
        let tried = attempt(self.worker, self.cluster, endpoint, request, until).await;
        let is_well = match &tried {
            Ok(answered) => !self.is_failure(answered.response.status()),
            Err(Failed { failure, .. }) => match failure {
                // A client that is in a hurry ejects nobody.
                Failure::Late | Failure::Connect(ConnectError::Late) => {
                    self.deadline.by_client && Instant::now() >= self.deadline.at
                }
                Failure::Connect(_) | Failure::BrokenOff(_) => false,
                Failure::Body(_) | Failure::Slow => true,
            },
        };
        if !is_well {
            self.cluster.failed(endpoint);
        } else if tried.is_ok() {
            endpoint.succeeded();
        }
        let Answered {
            response,
            lease,
            upload,
        } = tried?;
        let held = Held {
            lease,
            worker: Arc::clone(self.worker),
            endpoint: Arc::clone(endpoint),
            cluster: Arc::clone(self.cluster),
            in_flight,
            upload,
            by_client: self.deadline.by_client,
            places: None,
        };
        Ok(response.map(|body| Relay::new(body, held, self.deadline.at, self.client)))
    }

    /// The request once more, where it may be sent again although it was seen.
    fn copy(&self, request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
        let is_planted = self.worker.gateway.plant == Plant::RetriesForever;
        let another = self.attempts <= self.cluster.policy().retry.attempts || is_planted;
        (self.is_idempotent && another)
            .then(|| replay::again(request))
            .flatten()
    }

    fn is_failure(&self, status: StatusCode) -> bool {
        self.cluster.policy().retry.statuses.contains(&status.as_u16())
    }

    /// Whether there may be another attempt: by number, by the budget, by time. Waits until it is due.
    async fn may_retry(&self) -> bool {
        let report = &self.worker.gateway.report;
        if self.worker.gateway.plant == Plant::RetriesForever {
            report.retried.inc();
            return self.attempts < PLANTED_RETRIES_MAX;
        }
        let now = Instant::now();
        if self.attempts > self.cluster.policy().retry.attempts {
            return false;
        }
        let wait = self.backoff();
        // Asked last, so that nothing is taken out for an attempt that does not come, and before the wait, so that none is waited for in vain.
        if now + wait >= self.deadline.at {
            return false;
        }
        if !self.cluster.budget().withdraw(now) {
            report.exhausted.inc();
            return false;
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        report.retried.inc();
        true
    }

    /// How long to wait before the next attempt. The first retry goes elsewhere, where there is an elsewhere, and need not wait.
    fn backoff(&self) -> Duration {
        let Some(doublings) = self.attempts.checked_sub(2) else {
            return Duration::ZERO;
        };
        let least = BACKOFF_MS << doublings.min(10);
        Duration::from_millis(least + self.worker.draw.below(least as usize) as u64)
    }

    fn refusal(&self, endpoint: &Endpoint, failure: &Failure) -> Refusal {
        let label = endpoint.label();
        let attempts = self.attempts;
        match failure {
            Failure::Body(BodyFailure::TooLong) => too_long(self.worker.gateway.body_max),
            Failure::Body(BodyFailure::BrokenOff) => {
                Refusal::new(Reason::BadRequest, "the request's body broke off")
            }
            _ if Instant::now() >= self.deadline.at => self.late(),
            Failure::Connect(error) => {
                let text = format!("cannot connect to {label}: {error} (attempt {attempts})");
                Refusal::new(Reason::Unreachable, text)
            }
            Failure::BrokenOff(error) => {
                let text = format!("{label} gave no answer: {error} (attempt {attempts})");
                Refusal::new(Reason::BrokenOff, text)
            }
            Failure::Slow => Refusal::new(Reason::Deadline, "the request's body did not come in time"),
            Failure::Late => {
                let text = format!("{label} did not answer in the time of an attempt (attempt {attempts})");
                Refusal::new(Reason::Deadline, text)
            }
        }
    }

    fn late(&self) -> Refusal {
        let text = format!("there was no answer in time, after {} attempts", self.attempts);
        Refusal::new(Reason::Deadline, text)
    }
}

/// What a planted bug makes of a route.
fn planted(worker: &Worker, route: Route) -> Result<Route, Refusal> {
    let gateway = &worker.gateway;
    let is_lost = match gateway.plant {
        Plant::IgnoresWeights => route.reason == RouteReason::Weight,
        Plant::ForgetsBuckets => route.reason == RouteReason::Bucket,
        Plant::FailsOnSwap if gateway.swapping.load(Ordering::Relaxed) => {
            return Err(Refusal::new(Reason::Planted, "a plug-in is being swapped"));
        }
        Plant::None | Plant::RetriesForever | Plant::FailsOnSwap | Plant::EjectsDown => false,
    };
    if !is_lost {
        return Ok(route);
    }
    let clusters = gateway.clusters.load();
    let names: Vec<_> = clusters.iter().map(|cluster| &cluster.spec().name).collect();
    let cluster = Arc::clone(names[worker.draw.below(names.len())]);
    Ok(Route { cluster, ..route })
}

fn too_long(most: u64) -> Refusal {
    Refusal::new(Reason::BodyTooLong, format!("a body may have {most} bytes"))
}

/// The length that a request says its body has. Hyper has refused what is no length.
fn content_length(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
