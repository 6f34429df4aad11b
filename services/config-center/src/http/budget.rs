//! How many bytes of request bodies are held at once.
//!
//! A body takes its part as it comes, not as it is announced, and gives it back when what was made of it is gone. A body for which there
//! is none left is refused at once: were it to wait with what it has, bodies that are half read could wait for each other.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes that bodies of one kind may have, together.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    left: Arc<Semaphore>,
    /// Counts bodies for which there was none left.
    refused: Counter,
}

/// A body's part of a budget, given back when dropped.
#[derive(Debug, Default)]
pub(super) struct Held(Option<OwnedSemaphorePermit>);

impl Budget {
    pub(super) fn new(bytes: usize, refused: Counter) -> Self {
        Self {
            left: Arc::new(Semaphore::new(bytes)),
            refused,
        }
    }

    /// Takes so many bytes more; false if there are not so many.
    pub(super) fn take(&self, bytes: usize, held: &mut Held) -> bool {
        let more = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| Arc::clone(&self.left).try_acquire_many_owned(bytes).ok());
        let Some(more) = more else {
            self.refused.inc();
            return false;
        };
        match &mut held.0 {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        true
    }

    /// How many bytes are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.left.available_permits()
    }
}
