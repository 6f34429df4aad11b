//! The connections that one worker has to one endpoint.
//!
//! HTTP/1.1: those that are not in use, the one used last on top, so that the rest can grow old and be closed. HTTP/2: one that all
//! requests share. A worker's pool is touched by that worker alone, so its locks are never waited for; a connection's other half is a
//! task of the same worker, so that using one wakes no other thread.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use tokio::time::Instant;

use crate::proxy::body::Outgoing;

/// How many idle connections are looked at for one that is ready.
const LOOKED_AT_MAX: usize = 8;

/// The connections of one worker to one endpoint.
#[derive(Debug, Default)]
pub struct Pool {
    idle: Mutex<Vec<Idle>>,
    /// Locked while one is opened, so that of many requests one opens it.
    pub(crate) shared: tokio::sync::Mutex<Option<http2::SendRequest<Outgoing>>>,
}

#[derive(Debug)]
struct Idle {
    sender: http1::SendRequest<Outgoing>,
    since: Instant,
}

impl Pool {
    /// A connection that is ready for a request.
    pub fn take(&self) -> Option<http1::SendRequest<Outgoing>> {
        let mut idle = self.lock();
        let mut index = idle.len();
        for _ in 0..LOOKED_AT_MAX {
            index = index.checked_sub(1)?;
            // One whose request is still being sent though its answer is complete is neither.
            if idle[index].sender.is_closed() {
                idle.remove(index);
            } else if idle[index].sender.is_ready() {
                return Some(idle.remove(index).sender);
            }
        }
        None
    }

    /// Keeps a connection whose answer has been read, unless `most` are kept.
    pub fn put(&self, sender: http1::SendRequest<Outgoing>, most: usize) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        if idle.len() < most {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    /// Closes what was not used for `longest`.
    pub fn sweep(&self, longest: Duration) {
        self.lock()
            .retain(|it| !it.sender.is_closed() && it.since.elapsed() < longest);
    }

    /// The connections that are not in use.
    pub fn idle(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
