//! Calls to another service over HTTP/1.1: connections are kept and used again, bounded in number, and every wait has an end.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::Authority;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

/// Bounds of the calls to one service.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections at a time.
    pub connections: usize,
    /// The most bytes of an answer.
    pub answer_max: usize,
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No whole answer came in time; waiting for a connection counts.
    #[error("no answer in time")]
    Late,
    /// There is no connection to be had.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] hyper::Error),
    /// The answer says that the call failed.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// The answer broke off or is too long.
    #[error("its answer cannot be read: {0}")]
    Answer(String),
}

type Connection = SendRequest<Full<Bytes>>;

/// The right to one connection.
#[derive(Debug)]
pub struct Place<'a> {
    _permit: SemaphorePermit<'a>,
}

/// A service that is called.
#[derive(Debug)]
pub struct Upstream {
    /// `HOST:PORT`.
    address: Authority,
    host: HeaderValue,
    answer_max: usize,
    /// As many as there may be connections in use.
    places: Semaphore,
    /// Connections that nobody uses, the last one used last: never more than there are places.
    idle: Mutex<Vec<Connection>>,
}

impl Upstream {
    /// No connection yet. `None` where the address is no `HOST:PORT`.
    pub fn new(address: &str, limits: Limits) -> Option<Self> {
        let authority: Authority = address.parse().ok()?;
        let is_plain = !authority.host().is_empty() && !address.contains('@');
        authority.port_u16().filter(|port| is_plain && *port > 0)?;
        Some(Self {
            address: authority,
            host: HeaderValue::from_str(address).ok()?,
            answer_max: limits.answer_max,
            places: Semaphore::new(limits.connections),
            idle: Mutex::default(),
        })
    }

    /// Waits for a connection that may be used, until then.
    pub async fn place(&self, by: Instant) -> Result<Place<'_>, CallError> {
        let permit = timeout_at(by, self.places.acquire()).await;
        let permit = permit.map_err(|_| CallError::Late)?.expect("it is never closed");
        Ok(Place { _permit: permit })
    }

    /// The body of a successful answer, by then, to what is sent: nothing is by `GET`. If this is dropped before, the connection ends.
    pub async fn call(
        &self,
        _place: Place<'_>,
        target: Uri,
        sent: Option<Bytes>,
        by: Instant,
    ) -> Result<Bytes, CallError> {
        timeout_at(by, self.exchange(target, sent))
            .await
            .unwrap_or(Err(CallError::Late))
    }

    async fn exchange(&self, target: Uri, sent: Option<Bytes>) -> Result<Bytes, CallError> {
        let is_sent = sent.is_some();
        let mut request = Request::new(Full::new(sent.unwrap_or_default()));
        if is_sent {
            *request.method_mut() = Method::POST;
        }
        *request.uri_mut() = target;
        request.headers_mut().insert(HOST, self.host.clone());
        let (response, connection) = self.send(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, self.answer_max).collect().await;
        let body = body.map_err(|error| CallError::Answer(error.to_string()))?;
        if !connection.is_closed() {
            self.idle().push(connection);
        }
        if parts.status.is_success() {
            Ok(body.to_bytes())
        } else {
            Err(CallError::Status(parts.status))
        }
    }

    /// Sends a request over a connection that was kept, or a new one. One that was kept may have been closed meanwhile, which shows when it takes no
    /// request: then another one is tried. A request that may have arrived is not sent again.
    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(hyper::Response<hyper::body::Incoming>, Connection), CallError> {
        loop {
            let kept = self.idle().pop();
            let is_kept = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            if connection.ready().await.is_err() {
                if is_kept {
                    continue;
                }
                return Err(CallError::Connect(io::ErrorKind::ConnectionReset.into()));
            }
            match connection.try_send_request(request).await {
                Ok(response) => return Ok((response, connection)),
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if is_kept => request = unsent,
                    _ => return Err(CallError::Broken(failed.into_error())),
                },
            }
        }
    }

    async fn connect(&self) -> Result<Connection, CallError> {
        let stream = TcpStream::connect(self.address.as_str())
            .await
            .map_err(CallError::Connect)?;
        stream.set_nodelay(true).map_err(CallError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(CallError::Broken)?;
        // It ends with its sender; its error is that of the request that it fails.
        drop(tokio::spawn(connection));
        Ok(sender)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, Upstream};

    #[test]
    fn only_a_host_with_a_port_can_be_called() {
        let limits = Limits {
            connections: 1,
            answer_max: 1,
        };
        for address in ["127.0.0.1:80", "[::1]:80", "model.internal:9002"] {
            assert!(Upstream::new(address, limits).is_some(), "{address}");
        }
        let none = [
            "",
            "model",
            "model:",
            ":80",
            "model:0",
            "model:65536",
            "a b:80",
            "me@model:80",
            "http://model:80",
        ];
        for address in none {
            assert!(Upstream::new(address, limits).is_none(), "{address}");
        }
    }
}
