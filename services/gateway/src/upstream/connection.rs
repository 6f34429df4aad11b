//! Opening a connection to an endpoint, and sending a request on one.

use std::io;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use crate::proxy::body::Outgoing;

/// The most that is buffered of one connection, head or body, in bytes.
const BUFFER_MAX: usize = 64 << 10;
/// How often an HTTP/2 connection is asked whether the other side is there while requests wait on it, and how long it may take.
const PING_EVERY: Duration = Duration::from_secs(5);
const PING_WITHIN: Duration = Duration::from_secs(5);

/// A connection to send one request on.
#[derive(Debug)]
pub enum Lease {
    /// HTTP/1.1: this request's alone until its answer has been read.
    Http1(http1::SendRequest<Outgoing>),
    /// HTTP/2: one of many.
    Http2(http2::SendRequest<Outgoing>),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The system said no.
    #[error("{0}")]
    Refused(#[from] io::Error),
    /// It took too long.
    #[error("no answer in time")]
    Late,
    /// The endpoint does not speak HTTP/2, or broke off.
    #[error("{0}")]
    Handshake(#[from] hyper::Error),
}

/// Why a request was not answered.
#[derive(Debug)]
pub struct SendError {
    /// What happened.
    pub error: hyper::Error,
    /// The request, where none of it was sent.
    pub unsent: Option<Box<Request<Outgoing>>>,
}

impl Lease {
    /// Sends a request and waits for the head of its answer.
    pub async fn send(&mut self, request: Request<Outgoing>) -> Result<http::Response<Incoming>, SendError> {
        let answer = match self {
            Self::Http1(sender) => sender.try_send_request(request).await,
            Self::Http2(sender) => sender.try_send_request(request).await,
        };
        answer.map_err(|mut failed| SendError {
            unsent: failed.take_message().map(Box::new),
            error: failed.into_error(),
        })
    }
}

/// Opens a connection for HTTP/1.1.
pub async fn http1(
    endpoint: &Endpoint,
    until: Instant,
) -> Result<http1::SendRequest<Outgoing>, ConnectError> {
    let opened = timeout_at(until, async {
        let stream = stream(endpoint).await?;
        let shaken = http1::Builder::new()
            .max_buf_size(BUFFER_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok::<_, ConnectError>(shaken)
    });
    let (sender, connection) = opened.await.map_err(|_| ConnectError::Late)??;
    // Its errors are also those of the request that it carries.
    drop(tokio::spawn(connection));
    Ok(sender)
}

/// Opens a connection for HTTP/2.
pub async fn http2(
    endpoint: &Endpoint,
    until: Instant,
) -> Result<http2::SendRequest<Outgoing>, ConnectError> {
    let opened = timeout_at(until, async {
        let stream = stream(endpoint).await?;
        let shaken = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WITHIN)
            .max_header_list_size(BUFFER_MAX as u32)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok::<_, ConnectError>(shaken)
    });
    let (sender, connection) = opened.await.map_err(|_| ConnectError::Late)??;
    drop(tokio::spawn(connection));
    Ok(sender)
}

async fn stream(endpoint: &Endpoint) -> Result<TcpStream, ConnectError> {
    let stream = TcpStream::connect(endpoint.address()).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
