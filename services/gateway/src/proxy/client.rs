//! A client's connection as its requests know it: whose it is, whether it is in use, and a way to cut it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

/// A client's connection.
#[derive(Debug)]
pub struct Client {
    peer: HeaderValue,
    is_http2: bool,
    uses: Mutex<Uses>,
    cut: Notify,
}

#[derive(Debug)]
struct Uses {
    /// Requests that are worked on, or whose answers are passed on.
    requests: usize,
    /// When that last changed.
    since: Instant,
}

/// A request of a client, until this is dropped.
#[derive(Debug)]
pub struct Busy(Arc<Client>);

impl Client {
    /// The connection of a client with this address.
    pub fn new(peer: HeaderValue, is_http2: bool) -> Self {
        Self {
            peer,
            is_http2,
            uses: Mutex::new(Uses {
                requests: 0,
                since: Instant::now(),
            }),
            cut: Notify::new(),
        }
    }

    /// Its address.
    pub fn peer(&self) -> &HeaderValue {
        &self.peer
    }

    /// Whether its requests come on streams of HTTP/2.
    pub fn is_http2(&self) -> bool {
        self.is_http2
    }

    /// Counts a request until what is returned is dropped.
    pub fn busy(self: &Arc<Self>) -> Busy {
        let mut uses = self.uses();
        uses.requests += 1;
        uses.since = Instant::now();
        drop(uses);
        Busy(Arc::clone(self))
    }

    /// One of its requests is over and its answer can't be ended. A connection that has no others is cut; with HTTP/2 the stream is, when it is
    /// next looked at, and the connection once it has been unused for long.
    pub fn give_up_request(&self) {
        if !self.is_http2 {
            self.cut.notify_one();
        }
    }

    /// Done once the connection is to be cut.
    pub async fn is_cut(&self) {
        self.cut.notified().await;
    }

    /// Done once there has been no request for `longest`, at most twice as long after the last one ended.
    pub async fn is_unused_for(&self, longest: Duration) {
        loop {
            let (requests, until) = {
                let uses = self.uses();
                (uses.requests, uses.since + longest)
            };
            if requests > 0 {
                sleep(longest).await;
            } else if until <= Instant::now() {
                return;
            } else {
                sleep_until(until).await;
            }
        }
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut uses = self.0.uses();
        uses.requests -= 1;
        uses.since = Instant::now();
    }
}
