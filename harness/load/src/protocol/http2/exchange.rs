//! One request and its answer, from the stream's first frame to its last.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream, SendStream};

use crate::fields::Fields;
use crate::protocol::{Answer, KEPT_BODY_BYTES_MAX, Keep, Tag};
use crate::report::EXAMPLE_BODY_BYTES;

/// The places of exchanges for which something has come.
#[derive(Debug, Default)]
pub(super) struct Woken(Mutex<Vec<u32>>);

impl Woken {
    fn places(&self) -> MutexGuard<'_, Vec<u32>> {
        // The list is whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them, taken from the list.
    pub(super) fn take(&self) -> Option<u32> {
        self.places().pop()
    }
}

/// Notes its place when h2 has something for the exchange there.
struct Bell {
    place: u32,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.places().push(self.place);
    }
}

/// What is awaited of an answer.
enum Awaited {
    Head(ResponseFuture),
    Body(RecvStream),
}

/// A request under way.
struct Running {
    tag: Tag,
    sending: SendStream<Bytes>,
    awaited: Awaited,
}

/// How an exchange ended.
pub(super) struct Ended {
    pub(super) tag: Tag,
    pub(super) result: Result<(), h2::Error>,
}

/// A place for one exchange after the other.
pub(super) struct Exchange {
    waker: Waker,
    running: Option<Running>,
    status: u16,
    fields: Fields,
    body: Vec<u8>,
    body_bytes: u64,
    whole: bool,
}

impl Exchange {
    pub(super) fn new(place: u32, woken: &Arc<Woken>) -> Exchange {
        let woken = Arc::clone(woken);
        Exchange {
            waker: Arc::new(Bell { place, woken }).into(),
            running: None,
            status: 0,
            fields: Fields::default(),
            body: Vec::new(),
            body_bytes: 0,
            whole: true,
        }
    }

    /// The request that it carries.
    pub(super) fn tag(&self) -> Option<Tag> {
        self.running.as_ref().map(|running| running.tag)
    }

    /// Begins a new exchange; looks for its answer once, so that h2 knows whom to wake.
    pub(super) fn begin(&mut self, tag: Tag, head: ResponseFuture, sending: SendStream<Bytes>) {
        self.running = Some(Running {
            tag,
            sending,
            awaited: Awaited::Head(head),
        });
        self.fields.clear();
        self.body.clear();
        self.body_bytes = 0;
        self.whole = true;
        self.waker.wake_by_ref();
    }

    /// Takes what has come. Once all is there, or an error is, the place is free again.
    pub(super) fn advance(&mut self, keep: Keep) -> Poll<Ended> {
        let Some(running) = &mut self.running else {
            return Poll::Pending;
        };
        let tag = running.tag;
        let result = loop {
            let mut cx = Context::from_waker(&self.waker);
            match &mut running.awaited {
                Awaited::Head(head) => match Pin::new(head).poll(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => break Err(error),
                    Poll::Ready(Ok(response)) => {
                        self.status = response.status().as_u16();
                        if keep.fields {
                            for (name, value) in response.headers() {
                                self.fields.push(name.as_ref(), value.as_bytes());
                            }
                        }
                        running.awaited = Awaited::Body(response.into_body());
                    }
                },
                Awaited::Body(body) => match body.poll_data(&mut cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => break Ok(()),
                    Poll::Ready(Some(Ok(piece))) => {
                        // Read is read: the target may send as much again. It fails where the stream is gone, which then shows.
                        let _ = body.flow_control().release_capacity(piece.len());
                        keep_piece(&mut self.body, &piece, self.status, keep);
                        self.body_bytes += piece.len() as u64;
                        self.whole = self.body.len() as u64 == self.body_bytes;
                    }
                    // An answer that did not need all of the request (RFC 9113, 8.1): it is whole.
                    Poll::Ready(Some(Err(error)))
                        if error.reason() == Some(Reason::NO_ERROR) && error.is_reset() =>
                    {
                        break Ok(());
                    }
                    Poll::Ready(Some(Err(error))) => break Err(error),
                },
            }
        };
        self.running = None;
        Poll::Ready(Ended { tag, result })
    }

    /// The answer, after [`advance`](Exchange::advance) has said that it is whole.
    pub(super) fn answer(&self, tag: Tag) -> Answer<'_> {
        Answer {
            tag,
            status: self.status,
            fields: &self.fields,
            body: &self.body,
            body_bytes: self.body_bytes,
            whole: self.whole,
            holds: false,
        }
    }

    /// Gives the request up and tells the target.
    pub(super) fn cancel(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.sending.send_reset(Reason::CANCEL);
        }
    }
}

fn keep_piece(body: &mut Vec<u8>, piece: &[u8], status: u16, keep: Keep) {
    let limit = match (keep.body, status) {
        (true, _) => KEPT_BODY_BYTES_MAX,
        (false, 400..) => EXAMPLE_BODY_BYTES,
        (false, _) => 0,
    };
    let room = limit.saturating_sub(body.len());
    body.extend_from_slice(&piece[..piece.len().min(room)]);
}
