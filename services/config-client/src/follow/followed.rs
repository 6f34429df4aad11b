//! What is known of one configuration that is followed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::GetError;
use crate::backoff::Backoff;
use crate::cache::{Cache, Crowded, Entry, Slot};
use crate::order::Held;
use crate::snapshot::Snapshot;

/// The first pause before a configuration is asked for again that the server refused, or said nothing new of.
const PUT_OFF_MIN: Duration = Duration::from_millis(100);
/// The longest.
const PUT_OFF_MAX: Duration = Duration::from_secs(30);
/// Somebody who waits for a configuration.
pub(super) type Waiting = oneshot::Sender<Result<Arc<Entry>, GetError>>;

/// What is known of a configuration that is followed.
#[derive(Debug)]
pub(super) struct Followed {
    /// Tells it from one of the same name that was followed before.
    pub(super) number: u64,
    pub(super) slot: Arc<Slot>,
    /// The newest that was judged; it may be on its way to the disk.
    pub(super) held: Option<Held>,
    /// What a snapshot holds, until something is shown.
    pub(super) kept: Option<Snapshot>,
    /// The MD5 that the server had when it was last asked, be it older than what is held: what changes from here on is
    /// news.
    pub(super) said: Arc<str>,
    /// When it is to be fetched. Until then it is left out of polls.
    pub(super) due: Option<Instant>,
    pub(super) backoff: Backoff,
    /// Whether its snapshot is still being read; nothing is asked before.
    pub(super) is_loading: bool,
    /// Whether the poll that is under way asks for it.
    pub(super) is_polled: bool,
    /// Whether the server said that it has changed.
    pub(super) is_told: bool,
    /// Why the server did not give it when it was last asked, if it did not.
    pub(super) refused: Option<String>,
    /// Whether the connection was lost since the server was last heard of it.
    pub(super) after_gap: bool,
    pub(super) is_writing: bool,
    /// What is to be written next.
    pub(super) next: Option<Entry>,
    pub(super) waiting: Vec<Waiting>,
}

impl Followed {
    /// One of which nothing is known but its place.
    pub(super) fn new(number: u64, slot: Arc<Slot>) -> Self {
        Self {
            number,
            slot,
            held: None,
            kept: None,
            said: "".into(),
            due: None,
            backoff: Backoff::new(PUT_OFF_MIN, PUT_OFF_MAX),
            is_loading: true,
            is_polled: false,
            is_told: false,
            refused: None,
            // What a snapshot holds was heard of by an earlier client.
            after_gap: true,
            is_writing: false,
            next: None,
            waiting: Vec::new(),
        }
    }

    pub(super) fn is_to_be_polled(&self) -> bool {
        !self.is_loading && self.due.is_none()
    }

    /// Why it must not leave memory, if it must not.
    pub(super) fn stays(&self) -> Option<Crowded> {
        if self.slot.is_watched() {
            return Some(Crowded::Watched);
        }
        let is_awaited = self.waiting.iter().any(|waiting| !waiting.is_closed());
        is_awaited.then_some(Crowded::Awaited)
    }

    /// Shows it to readers, and gives it to those who wait.
    pub(super) fn show(&mut self, cache: &Cache, entry: Entry) {
        self.kept = None;
        cache.show(&self.slot, entry);
        for waiting in self.waiting.drain(..) {
            // Whoever has gone in the meantime needs none.
            drop(cache.held(&self.slot).map(|entry| waiting.send(Ok(entry))));
        }
    }
}
