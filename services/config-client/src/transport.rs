//! One connection to the server, kept open between requests. What goes wrong ends it; the next request opens another.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The largest answer that is read.
const BYTES_MAX: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransportError {
    #[error("cannot connect to {server}: {source}")]
    Connect { server: String, source: io::Error },
    #[error("no answer from {server} within {} ms", .within.as_millis())]
    Timeout { server: String, within: Duration },
    #[error("the connection to {server} broke: {source}")]
    Broken { server: String, source: hyper::Error },
    #[error("cannot read the answer of {server}: {reason}")]
    Answer { server: String, reason: String },
}

/// A connection, once there was a request.
#[derive(Debug)]
pub(crate) struct Transport {
    server: String,
    connect_within: Duration,
    open: Option<SendRequest<Full<Bytes>>>,
    /// Whether one was lost, and not given up, since the last answer.
    has_lost: bool,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) form: String,
}

/// What the server said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether a connection was lost since the answer before: then this one may be of another server, or of one that lost data.
    pub(crate) after_gap: bool,
}

impl Answer {
    /// A header, where it is there and is text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Ask {
    pub(crate) fn get(target: String) -> Self {
        Self {
            method: Method::GET,
            target,
            headers: HeaderMap::new(),
            form: String::new(),
        }
    }
}

impl Transport {
    pub(crate) fn new(server: &str, connect_within: Duration) -> Self {
        Self {
            server: server.to_owned(),
            connect_within,
            open: None,
            has_lost: true,
        }
    }

    /// Whether the next answer comes after a gap, as far as is known yet.
    pub(crate) fn is_lost(&self) -> bool {
        self.has_lost || self.open.as_ref().is_some_and(SendRequest::is_closed)
    }

    /// Asks, and waits for the whole answer, in all at most `within`. If this is dropped before, the connection ends: that is no gap.
    pub(crate) async fn ask(&mut self, ask: &Ask, within: Duration) -> Result<Answer, TransportError> {
        let asked = timeout(within, self.exchange(ask)).await;
        let answer = asked.unwrap_or_else(|_| {
            Err(TransportError::Timeout {
                server: self.server.clone(),
                within,
            })
        });
        self.has_lost = answer.is_err();
        answer
    }

    async fn exchange(&mut self, ask: &Ask) -> Result<Answer, TransportError> {
        // Taken out while it is used: whatever cuts this short leaves none, and closes it.
        let mut open = self.open.take();
        // A server may have closed it since.
        if let Some(sender) = &mut open
            && (sender.is_closed() || sender.ready().await.is_err())
        {
            (open, self.has_lost) = (None, true);
        }
        let mut sender = match open {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let response = sender.send_request(self.request(ask)).await;
        let response = response.map_err(|source| TransportError::Broken {
            server: self.server.clone(),
            source,
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, BYTES_MAX).collect().await;
        let body = body.map_err(|error| TransportError::Answer {
            server: self.server.clone(),
            reason: error.to_string(),
        })?;
        self.open = Some(sender);
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
            after_gap: self.has_lost,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, TransportError> {
        let failed = |source| TransportError::Connect {
            server: self.server.clone(),
            source,
        };
        let connecting = timeout(self.connect_within, TcpStream::connect(&self.server));
        let stream = connecting
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|source| TransportError::Broken {
                    server: self.server.clone(),
                    source,
                })?;
        // Its error is that of the request that it fails.
        drop(tokio::spawn(connection));
        Ok(sender)
    }

    fn request(&self, ask: &Ask) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(ask.form.clone())));
        *request.method_mut() = ask.method.clone();
        *request.uri_mut() = ask
            .target
            .parse()
            .expect("targets are made of what is percent-encoded");
        let headers = request.headers_mut();
        headers.extend(ask.headers.clone());
        if let Ok(host) = HeaderValue::from_str(&self.server) {
            headers.insert(HOST, host);
        }
        if !ask.form.is_empty() {
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-www-form-urlencoded"),
            );
        }
        request
    }
}
