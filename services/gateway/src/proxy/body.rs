//! Bodies of requests on their way to endpoints. None is gathered, except what is kept to be sent again.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;

/// A request's body on its way to an endpoint: all there, or still coming.
pub type Outgoing = Either<Full<Bytes>, Limited>;

/// A client's body, with what is left of its limit.
#[derive(Debug)]
pub struct Limited {
    inner: Incoming,
    left: u64,
    upload: Arc<Upload>,
}

/// How it goes with a client's body while it is sent, for whoever must tell the client's faults from the endpoint's.
#[derive(Debug, Default)]
pub struct Upload(Mutex<Course>);

#[derive(Debug, Clone, Copy, Default)]
enum Course {
    /// What has come was passed on, or the endpoint takes no more.
    #[default]
    Flows,
    /// The client is waited for.
    Awaited,
    /// It will not be whole.
    Failed(BodyFailure),
}

/// What was wrong with a client's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFailure {
    /// It is longer than may be.
    TooLong,
    /// It broke off.
    BrokenOff,
}

impl Upload {
    /// What is wrong with the body.
    pub fn failure(&self) -> Option<BodyFailure> {
        match self.course() {
            Course::Failed(failure) => Some(failure),
            Course::Flows | Course::Awaited => None,
        }
    }

    /// Whether all waits for the client: an endpoint that does not answer meanwhile is not to blame.
    pub fn holds_up(&self) -> bool {
        !matches!(self.course(), Course::Flows)
    }

    fn course(&self) -> Course {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes(&self, course: Course) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = course;
    }
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

/// A client's body, of which at most `most` bytes are passed on.
pub fn outgoing(body: Incoming, most: u64) -> Outgoing {
    if body.is_end_stream() {
        return Either::Left(Full::default());
    }
    Either::Right(Limited {
        inner: body,
        left: most,
        upload: Arc::default(),
    })
}

/// The same body once more, where it can be had.
pub fn again(body: &Outgoing) -> Option<Outgoing> {
    match body {
        Either::Left(whole) => Some(Either::Left(whole.clone())),
        Either::Right(_) => None,
    }
}

/// Where it is told how it goes with a body; none of one that is all there.
pub fn upload(body: &Outgoing) -> Option<Arc<Upload>> {
    match body {
        Either::Left(_) => None,
        Either::Right(limited) => Some(Arc::clone(&limited.upload)),
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
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let (course, frame) = match polled {
            Poll::Pending => (Course::Awaited, Poll::Pending),
            Poll::Ready(None) => (Course::Flows, Poll::Ready(None)),
            Poll::Ready(Some(Err(error))) => (
                Course::Failed(BodyFailure::BrokenOff),
                Poll::Ready(Some(Err(BodyError::Client(error)))),
            ),
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                if let Some(left) = this.left.checked_sub(length) {
                    this.left = left;
                    (Course::Flows, Poll::Ready(Some(Ok(frame))))
                } else {
                    let too_long = Course::Failed(BodyFailure::TooLong);
                    (too_long, Poll::Ready(Some(Err(BodyError::TooLong))))
                }
            }
        };
        this.upload.goes(course);
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
