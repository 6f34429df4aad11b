//! One try of a request at one endpoint.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::body::{self, BodyFailure, Outgoing, Upload};
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
    /// It took too long, though it had all that the client sends.
    Late,
    /// The client did not send its body in time.
    Slow,
    /// The client's body is too long, or broke off: no fault of the endpoint.
    Body(BodyFailure),
}

/// A try that came to nothing, with the request where none of it was sent.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub failure: Failure,
    /// The request.
    pub unsent: Option<Box<Request<Outgoing>>>,
}

/// The head of an answer, and what its body comes on.
#[derive(Debug)]
pub struct Answered {
    /// The answer.
    pub response: Response<Incoming>,
    /// The connection.
    pub lease: Lease,
    /// How it goes with the client's body, where that was still coming.
    pub upload: Option<Arc<Upload>>,
}

/// Sends `request` to `endpoint` and waits for the head of its answer until `until`.
pub async fn attempt(
    worker: &Worker,
    cluster: &Cluster,
    endpoint: &Arc<Endpoint>,
    mut request: Request<Outgoing>,
    until: Instant,
) -> Result<Answered, Failed> {
    let upload = body::upload(request.body());
    let holds_up = || upload.as_ref().is_some_and(|upload| upload.holds_up());
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
            let failure = if holds_up() { Failure::Slow } else { Failure::Late };
            let unsent = None;
            return Err(Failed { failure, unsent });
        };
        match sent {
            Ok(response) => {
                return Ok(Answered {
                    response,
                    lease,
                    upload,
                });
            }
            // The endpoint closed the connection while nobody used it. That is no attempt.
            Err(SendError {
                unsent: Some(unsent), ..
            }) if is_reused => {
                stale += 1;
                request = *unsent;
            }
            Err(SendError { error, unsent }) => {
                let of_body = upload.as_ref().and_then(|upload| upload.failure());
                let failure = of_body.map_or(Failure::BrokenOff(error), Failure::Body);
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
