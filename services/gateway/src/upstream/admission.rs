//! How many requests a cluster works on at once, and how many wait for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds of a cluster.
#[derive(Debug)]
pub struct Admission {
    slots: Arc<Semaphore>,
    pending: AtomicUsize,
    pending_max: usize,
}

/// As many requests wait as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

/// Counts one that waits, also if it stops waiting because it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Admission {
    /// Room for `requests` at once, and for `pending` that wait.
    pub fn new(requests: usize, pending: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(requests)),
            pending: AtomicUsize::new(0),
            pending_max: pending,
        }
    }

    /// Takes a place, which is free again when the permit is dropped. Waits for one in order of arrival.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit, Overloaded> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(permit);
        }
        let before = self.pending.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.pending);
        if before >= self.pending_max {
            return Err(Overloaded);
        }
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        Ok(permit.expect("the semaphore is never closed"))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Admission, Overloaded};

    #[test]
    fn what_may_wait_waits_in_turn_and_what_may_not_is_refused() {
        let mut context = Context::from_waker(Waker::noop());
        let admission = Admission::new(1, 2);
        let Poll::Ready(Ok(first)) = pin!(admission.enter()).poll(&mut context) else {
            panic!("there was room");
        };
        let mut second = pin!(admission.enter());
        let mut third = Box::pin(admission.enter());
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(third.as_mut().poll(&mut context).is_pending());
        let refused = pin!(admission.enter()).poll(&mut context);
        assert!(matches!(refused, Poll::Ready(Err(Overloaded))));
        // Whoever gives up leaves a place to wait.
        drop(third);
        let mut fourth = pin!(admission.enter());
        assert!(fourth.as_mut().poll(&mut context).is_pending());
        drop(first);
        let Poll::Ready(Ok(_second)) = second.as_mut().poll(&mut context) else {
            panic!("the place was free");
        };
        assert!(fourth.as_mut().poll(&mut context).is_pending());
    }
}
