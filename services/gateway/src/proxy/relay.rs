//! Bodies of answers on their way to clients, and what their requests hold meanwhile.
//!
//! A body that a client does not take is not asked for: hyper asks for no more while its buffer, or the client's window, is full. So what a
//! request holds does not hang on being asked. It is noted with its worker, whose sweep lets go of what is past its deadline.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::body::{BodyError, Upload};
use super::client::{Busy, Client};
use super::forward::Worker;
use crate::upstream::cluster::Cluster;
use crate::upstream::connection::Lease;
use crate::upstream::endpoint::{Endpoint, InFlight};

/// How many pieces of an answer that nobody wants are read, so that its connection can be used again.
const DRAINED_MAX: usize = 16;

/// For so long after its deadline a passage is left to its own timer, which knows whether the endpoint or the client took the time.
const SWEPT_AFTER: Duration = Duration::from_millis(100);

/// A client that takes so long for a piece may be why the endpoint breaks off: that need not wait for ever either.
const STALLED: Duration = Duration::from_secs(1);

/// The body of what a client is answered: the gateway's own, or an endpoint's on its way.
pub type Answer = Either<Full<Bytes>, Relay>;

/// An endpoint's body on its way to a client. What the request held is given back when it ends, however it ends.
#[derive(Debug)]
pub struct Relay {
    /// None once the body has ended.
    passage: Option<Registered>,
    /// Made when there is something to wait for, which for most answers there is not.
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether the endpoint, not the client, is waited for since the last look.
    waits: bool,
    /// When the client was last given something.
    given: Instant,
    /// Whether it ever took longer than [`STALLED`] to ask for more.
    stalled: bool,
}

/// What a request holds until its answer has been passed on.
#[derive(Debug)]
pub struct Held {
    /// The connection.
    pub lease: Lease,
    /// Whose pool it goes back to.
    pub worker: Arc<Worker>,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Its cluster.
    pub cluster: Arc<Cluster>,
    /// Its place in the endpoint's count.
    pub in_flight: InFlight,
    /// What became of the client's body, where one was still coming.
    pub upload: Option<Arc<Upload>>,
    /// Whether it is the client that is in a hurry.
    pub by_client: bool,
    /// Its places in the cluster and with the client; none while an answer may still be thrown away for another attempt.
    pub places: Option<(OwnedSemaphorePermit, Busy)>,
}

/// A body, and what its request holds, which may be let go whether or not somebody looks.
#[derive(Debug)]
struct Passage {
    until: Instant,
    client: Arc<Client>,
    /// None once it was let go.
    passing: Mutex<Option<Passing>>,
}

#[derive(Debug)]
struct Passing {
    body: Incoming,
    held: Held,
}

/// The bodies that a worker passes on, by number.
#[derive(Debug, Default)]
pub struct Passages(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    next: u64,
    open: HashMap<u64, Arc<Passage>>,
}

/// A passage that its worker knows, until this is dropped.
#[derive(Debug)]
struct Registered {
    number: u64,
    passage: Arc<Passage>,
    worker: Arc<Worker>,
}

/// What a look at a passage came to.
enum Looked {
    Frame { frame: Frame<Bytes>, is_last: bool },
    End,
    Broken(hyper::Error),
    Pending,
    LetGo,
}

impl Held {
    /// Whether it is the client's own body that the endpoint waits for, or that broke off.
    fn is_held_up(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| upload.holds_up())
    }

    /// The answer has been read: the connection can be used again.
    fn finish(self) {
        if let Lease::Http1(sender) = self.lease {
            let most = self.cluster.policy().limits.idle;
            self.endpoint.pool(self.worker.index).put(sender, most);
        }
    }
}

impl Passages {
    /// Lets go of what should have been passed on before `now`.
    pub fn sweep(&self, now: Instant) {
        let overdue: Vec<Arc<Passage>> = {
            let noted = self.lock();
            let open = noted.open.values();
            open.filter(|passage| passage.until + SWEPT_AFTER <= now)
                .cloned()
                .collect()
        };
        for passage in overdue {
            if let Some(passing) = passage.take() {
                passing.held.worker.gateway.report.deadlines.inc();
                passage.client.give_up_request();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    fn new(passage: Passage, worker: Arc<Worker>) -> Self {
        let passage = Arc::new(passage);
        let mut noted = worker.passages.lock();
        let number = noted.next;
        noted.next += 1;
        noted.open.insert(number, Arc::clone(&passage));
        drop(noted);
        Self {
            number,
            passage,
            worker,
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.worker.passages.lock().open.remove(&self.number);
    }
}

impl Passage {
    fn lock(&self) -> MutexGuard<'_, Option<Passing>> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Passing> {
        self.lock().take()
    }

    fn look(&self, cx: &mut Context<'_>) -> Looked {
        let mut passing = self.lock();
        let Some(Passing { body, .. }) = &mut *passing else {
            return Looked::LetGo;
        };
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Looked::Frame {
                frame,
                is_last: body.is_end_stream(),
            },
            Poll::Ready(Some(Err(error))) => Looked::Broken(error),
            Poll::Ready(None) => Looked::End,
            Poll::Pending => Looked::Pending,
        }
    }
}

impl Relay {
    /// An answer's body, which `client` must have been passed by `until`.
    pub fn new(body: Incoming, held: Held, until: Instant, client: &Arc<Client>) -> Self {
        let passage = if body.is_end_stream() {
            held.finish();
            None
        } else {
            let worker = Arc::clone(&held.worker);
            let passage = Passage {
                until,
                client: Arc::clone(client),
                passing: Mutex::new(Some(Passing { body, held })),
            };
            Some(Registered::new(passage, worker))
        };
        Self {
            passage,
            timer: None,
            waits: false,
            given: Instant::now(),
            stalled: false,
        }
    }

    /// Holds the request's places until the end.
    pub fn hold(&mut self, permit: OwnedSemaphorePermit, busy: Busy) {
        if let Some(registered) = &self.passage
            && let Some(passing) = &mut *registered.passage.lock()
        {
            passing.held.places = Some((permit, busy));
        }
    }

    /// Reads what is there of an answer that nobody wants. Where that is all of it the connection is kept, else it is closed.
    pub fn drain(mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..DRAINED_MAX {
            match self.passage.as_ref().map(|it| it.passage.look(&mut cx)) {
                Some(Looked::Frame { is_last: false, .. }) => {}
                Some(Looked::Frame { is_last: true, .. } | Looked::End) => return self.finish(),
                _ => return,
            }
        }
    }

    /// All of the body has been read.
    fn finish(&mut self) {
        if let Some(passing) = self.let_go() {
            passing.held.finish();
        }
    }

    fn let_go(&mut self) -> Option<Passing> {
        self.passage.take()?.passage.take()
    }

    /// The body broke off. Where the client took too long for it, or its own body, which goes the other way, broke off, the endpoint is not to
    /// blame.
    fn break_off(&mut self) {
        if let Some(Passing { held, .. }) = self.let_go()
            && !held.is_held_up()
            && !self.stalled
        {
            held.cluster.failed(&held.endpoint);
        }
    }

    /// The time is over while the endpoint sends nothing: its fault, unless the client took the time or gave too little.
    fn end_late(&mut self, waited: bool) {
        if let Some(Passing { held, .. }) = self.let_go() {
            held.worker.gateway.report.deadlines.inc();
            if waited && !held.by_client && !held.is_held_up() {
                held.cluster.failed(&held.endpoint);
            }
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(registered) = &self.passage else {
            return false;
        };
        let until = registered.passage.until;
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
        let Some(registered) = &this.passage else {
            return Poll::Ready(None);
        };
        if !this.waits {
            this.stalled |= this.given.elapsed() > STALLED;
        }
        let looked = registered.passage.look(cx);
        let waited = std::mem::replace(&mut this.waits, matches!(looked, Looked::Pending));
        match looked {
            Looked::Frame { frame, is_last } => {
                this.given = Instant::now();
                if is_last {
                    this.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Looked::End => {
                this.finish();
                Poll::Ready(None)
            }
            Looked::Broken(error) => {
                this.break_off();
                Poll::Ready(Some(Err(BodyError::Endpoint(error))))
            }
            Looked::Pending if this.is_late(cx) => {
                this.end_late(waited);
                Poll::Ready(Some(Err(BodyError::Late)))
            }
            Looked::Pending => Poll::Pending,
            Looked::LetGo => {
                this.passage = None;
                Poll::Ready(Some(Err(BodyError::Late)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.passage.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.passage {
            None => SizeHint::with_exact(0),
            Some(registered) => match &*registered.passage.lock() {
                Some(passing) => passing.body.size_hint(),
                None => SizeHint::default(),
            },
        }
    }
}
