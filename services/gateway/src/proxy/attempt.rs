//! One try of a request at one endpoint.

use std::error::Error as _;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::body::{BodyError, Outgoing};
use super::forward::Worker;
use crate::upstream::cluster::Cluster;
use crate::upstream::connection::{self, ConnectError, Lease, SendError};
use crate::upstream::endpoint::Endpoint;

/// How many connections that were closed while unused may be met before a new one is opened.
const STALE_MAX: usize = 4;

/// Why a try came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// There is no connection: the endpoint has seen nothing.
    Connect(ConnectError),
    /// The endpoint broke off, after it may have seen the request.
    BrokenOff(hyper::Error),
    /// It took too long.
    Late,
    /// The client's body is too long, or broke off: no fault of the endpoint.
    Body(BodyFailure),
}

/// What was wrong with the client's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFailure {
    /// It is longer than may be.
    TooLong,
    /// It broke off.
    BrokenOff,
}

/// A try that came to nothing, with the request where none of it was sent.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub failure: Failure,
    /// The request.
    pub unsent: Option<Box<Request<Outgoing>>>,
}

/// Sends `request` to `endpoint` and waits for the head of its answer until `until`.
pub async fn attempt(
    worker: &Worker,
    cluster: &Cluster,
    endpoint: &Arc<Endpoint>,
    mut request: Request<Outgoing>,
    until: Instant,
) -> Result<(Response<Incoming>, Lease), Failed> {
    let mut stale = 0;
    loop {
        let (mut lease, is_reused) = match lease(worker, cluster, endpoint, stale < STALE_MAX, until).await {
            Ok(leased) => leased,
            Err(error) => {
                return Err(Failed {
                    failure: Failure::Connect(error),
                    unsent: Some(Box::new(request)),
                });
            }
        };
        let Ok(sent) = timeout_at(until, lease.send(request)).await else {
            return Err(Failed {
                failure: Failure::Late,
                unsent: None,
            });
        };
        match sent {
            Ok(response) => return Ok((response, lease)),
            // The endpoint closed the connection while nobody used it. That is no attempt.
            Err(SendError {
                unsent: Some(unsent), ..
            }) if is_reused => {
                stale += 1;
                request = *unsent;
            }
            Err(SendError { error, unsent }) => {
                let failure = body_failure(&error).map_or(Failure::BrokenOff(error), Failure::Body);
                return Err(Failed { failure, unsent });
            }
        }
    }
}

/// A connection, and whether it was there before.
async fn lease(
    worker: &Worker,
    cluster: &Cluster,
    endpoint: &Arc<Endpoint>,
    may_reuse: bool,
    until: Instant,
) -> Result<(Lease, bool), ConnectError> {
    let report = &worker.gateway.report;
    let policy = cluster.policy();
    let pool = endpoint.pool(worker.index);
    if !policy.http2 {
        if may_reuse && let Some(sender) = pool.take() {
            report.reused.inc();
            return Ok((Lease::Http1(sender), true));
        }
        let until = until.min(Instant::now() + policy.connect_timeout);
        report.connects.inc();
        return connection::http1(endpoint, until)
            .await
            .map(|sender| (Lease::Http1(sender), false));
    }
    // Whoever waits for another's connection waits no longer than for one of its own.
    let until = until.min(Instant::now() + policy.connect_timeout);
    let shared = timeout_at(until, pool.shared.lock()).await;
    let mut shared = shared.map_err(|_| ConnectError::Late)?;
    if let Some(sender) = shared.as_ref().filter(|sender| !sender.is_closed()) {
        report.reused.inc();
        return Ok((Lease::Http2(sender.clone()), true));
    }
    report.connects.inc();
    let sender = connection::http2(endpoint, until).await?;
    *shared = Some(sender.clone());
    Ok((Lease::Http2(sender), false))
}

/// Whether it was the client's body that ended a request.
fn body_failure(error: &hyper::Error) -> Option<BodyFailure> {
    let mut cause = error.source();
    while let Some(error) = cause {
        match error.downcast_ref::<BodyError>() {
            Some(BodyError::TooLong) => return Some(BodyFailure::TooLong),
            Some(_) => return Some(BodyFailure::BrokenOff),
            None => cause = error.source(),
        }
    }
    None
}
