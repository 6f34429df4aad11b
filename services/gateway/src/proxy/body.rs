//! Bodies on their way. None is gathered, except what is kept to be sent again.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use crate::report::Report;
use crate::upstream::cluster::Cluster;
use crate::upstream::connection::Lease;
use crate::upstream::endpoint::{Endpoint, InFlight};

/// How many pieces of an answer that nobody wants are read, so that its connection can be used again.
const DRAINED_MAX: usize = 16;

/// A request's body on its way to an endpoint.
#[derive(Debug)]
pub enum Outgoing {
    /// There is none.
    Empty,
    /// One that is all there; `None` once it was given.
    Whole(Option<Bytes>),
    /// One that is still coming.
    Stream(Limited),
}

/// A client's body, with what is left of its limit.
#[derive(Debug)]
pub struct Limited {
    inner: Incoming,
    left: u64,
}

/// Why a body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the gateway takes.
    #[error("the request's body is too long")]
    TooLong,
    /// The client broke off.
    #[error("the request's body broke off: {0}")]
    Client(#[source] hyper::Error),
    /// The answer took too long.
    #[error("the answer's body took too long")]
    Late,
    /// The endpoint broke off.
    #[error("the answer's body broke off: {0}")]
    Endpoint(#[source] hyper::Error),
}

impl Outgoing {
    /// A client's body, of which at most `most` bytes are passed on.
    pub fn new(body: Incoming, most: u64) -> Self {
        if body.is_end_stream() {
            Self::Empty
        } else {
            Self::Stream(Limited {
                inner: body,
                left: most,
            })
        }
    }

    /// The same once more, where it can be had.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Empty => Some(Self::Empty),
            Self::Whole(bytes) => Some(Self::Whole(bytes.clone())),
            Self::Stream(_) => None,
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(limited) => Pin::new(limited).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_none(),
            Self::Stream(limited) => limited.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(limited) => limited.inner.size_hint(),
        }
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)) else {
            return Poll::Ready(None);
        };
        let frame = frame.map_err(BodyError::Client)?;
        let length = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = this.left.checked_sub(length) else {
            return Poll::Ready(Some(Err(BodyError::TooLong)));
        };
        this.left = left;
        Poll::Ready(Some(Ok(frame)))
    }
}

/// The body of what a client is answered.
#[derive(Debug)]
pub enum Answer {
    /// The gateway's own.
    Own(Full<Bytes>),
    /// An endpoint's, on its way.
    Relay(Relay),
}

/// An endpoint's body on its way to a client. What the request held is given back when it ends, however it ends.
#[derive(Debug)]
pub struct Relay {
    inner: Incoming,
    held: Option<Held>,
    until: Instant,
    /// Made when there is something to wait for, which for most answers there is not.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What a request holds until its answer has been passed on.
#[derive(Debug)]
pub struct Held {
    /// The connection.
    pub lease: Lease,
    /// Whose pool it goes back to.
    pub worker: usize,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its cluster.
    pub cluster: Arc<Cluster>,
    /// Its place in the endpoint's count.
    pub in_flight: InFlight,
    /// Its place in the cluster; none while an answer may still be thrown away for another attempt.
    pub permit: Option<OwnedSemaphorePermit>,
    /// Where failures are counted.
    pub report: Arc<Report>,
}

impl Held {
    /// The answer has been read: the connection can be used again.
    fn finish(self) {
        if let Lease::Http1(sender) = self.lease {
            let most = self.cluster.policy().limits.idle;
            self.endpoint.pool(self.worker).put(sender, most);
        }
    }
}

impl Relay {
    /// An answer's body, which must have been passed on by `until`.
    pub fn new(inner: Incoming, held: Held, until: Instant) -> Self {
        let mut relay = Self {
            inner,
            held: Some(held),
            until,
            timer: None,
        };
        relay.finish_at_end();
        relay
    }

    /// Holds the request's place in its cluster until the end.
    pub fn hold(&mut self, permit: OwnedSemaphorePermit) {
        if let Some(held) = &mut self.held {
            held.permit = Some(permit);
        }
    }

    /// Reads what is there of an answer that nobody wants. Where that is all of it the connection is kept, else it is closed.
    pub fn drain(mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..DRAINED_MAX {
            match Pin::new(&mut self.inner).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(_))) => self.finish_at_end(),
                Poll::Ready(None) => {
                    self.finish();
                    return;
                }
                _ => return,
            }
        }
    }

    fn finish_at_end(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some(held) = self.held.take() {
            held.finish();
        }
    }

    /// The endpoint took too long, or broke off.
    fn fail(&mut self) {
        if let Some(held) = self.held.take() {
            held.cluster.failed(&held.endpoint);
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let until = self.until;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        timer.as_mut().poll(cx).is_ready()
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                this.finish_at_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.finish();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.fail();
                Poll::Ready(Some(Err(BodyError::Endpoint(error))))
            }
            Poll::Pending if this.held.is_some() && this.is_late(cx) => {
                if let Some(held) = &this.held {
                    held.report.deadlines.inc();
                }
                this.fail();
                Poll::Ready(Some(Err(BodyError::Late)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(full) => Pin::new(full).poll_frame(cx).map_err(|never| match never {}),
            Self::Relay(relay) => Pin::new(relay).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(full) => full.is_end_stream(),
            Self::Relay(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(full) => full.size_hint(),
            Self::Relay(relay) => relay.size_hint(),
        }
    }
}
