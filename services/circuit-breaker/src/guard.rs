//! What a call gets when it asks, and how it says what came of it.

use std::mem;
use std::time::Duration;

use crate::board::{ResourceId, Switchboard};
use crate::breaker::Ticket;
use crate::event::State;
use crate::rule::BREAKERS_MAX;

/// The answer to a call.
#[must_use = "a call that is not made has to give its guard up"]
#[derive(Debug)]
pub enum Entry<'a> {
    /// It may go; the guard is to be told how it ended.
    Pass(Guard<'a>),
    /// It may go later.
    Wait(Waiting<'a>),
    /// It may not go.
    Blocked(Blocked),
}

/// Why a call may not go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// There were as many calls in the window as there may be.
    #[error("more calls per second than the flow rule admits")]
    Qps,
    /// It would have to wait longer than calls may.
    #[error("the queue of the flow rule is longer than calls may wait")]
    QueueFull,
    /// There are as many calls under way as there may be.
    #[error("more calls at a time than the flow rule admits")]
    Concurrency,
    /// A breaker refuses calls.
    #[error("the circuit breaker is {0}")]
    Breaker(State),
}

/// A call that may go later: its place in the queue. Dropped, the place stays empty.
#[must_use = "the place in the queue is taken"]
pub struct Waiting<'a> {
    board: &'a Switchboard,
    resource: ResourceId,
    wait: Duration,
}

impl<'a> Waiting<'a> {
    pub(crate) fn new(board: &'a Switchboard, resource: ResourceId, wait: Duration) -> Self {
        Self {
            board,
            resource,
            wait,
        }
    }

    /// How long to wait, from the time at which the call asked.
    pub fn wait(&self) -> Duration {
        self.wait
    }

    /// Goes on after the wait, at this time: to pass, or to be blocked by what is not flow control.
    pub fn enter(self, now_ns: u64) -> Entry<'a> {
        self.board
            .enter(&self.board.table(), self.resource, now_ns, now_ns)
    }
}

impl std::fmt::Debug for Waiting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting")
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

/// A call that goes.
///
/// Dropped without a word, it counts as neither good nor bad: a probe is given up, so that another call can be it. A guard
/// that is leaked keeps its place for ever.
#[must_use = "tell how the call ended"]
pub struct Guard<'a> {
    board: &'a Switchboard,
    resource: ResourceId,
    entered_ns: u64,
    admitted_ns: u64,
    version: u64,
    tickets: [Ticket; BREAKERS_MAX],
    occupies: bool,
}

impl<'a> Guard<'a> {
    pub(crate) fn new(
        board: &'a Switchboard,
        resource: ResourceId,
        (entered_ns, admitted_ns): (u64, u64),
        version: u64,
        tickets: [Ticket; BREAKERS_MAX],
        occupies: bool,
    ) -> Self {
        Self {
            board,
            resource,
            entered_ns,
            admitted_ns,
            version,
            tickets,
            occupies,
        }
    }

    /// The call succeeded, at this time.
    #[inline]
    pub fn succeed(self, now_ns: u64) {
        self.end(now_ns, false);
    }

    /// The call failed, at this time.
    #[inline]
    pub fn fail(self, now_ns: u64) {
        self.end(now_ns, true);
    }

    /// Whether a breaker that is not closed let it pass to learn from it.
    pub fn is_probe(&self) -> bool {
        self.tickets.iter().any(|ticket| ticket.is_probe())
    }

    /// The time at which it passed.
    pub fn entered_ns(&self) -> u64 {
        self.entered_ns
    }

    /// The time at which flow control counts it: the one at which it passed, unless the caller's clock was behind that of others.
    pub fn admitted_ns(&self) -> u64 {
        self.admitted_ns
    }

    #[inline]
    fn end(self, now_ns: u64, failed: bool) {
        let response_ns = now_ns.saturating_sub(self.entered_ns);
        let table = self.board.table();
        let guarded = table.guarded(self.resource);
        guarded.stats.complete(now_ns, response_ns, failed);
        // A breaker that came later knows nothing of this call.
        for breaker in guarded
            .breakers
            .iter()
            .filter(|breaker| breaker.since() <= self.version)
        {
            breaker.complete(self.tickets[breaker.slot()], now_ns, response_ns, failed);
        }
        if let Some(latency) = &guarded.latency {
            latency.record(now_ns, response_ns);
        }
        if self.occupies {
            guarded.stats.vacate();
        }
        mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let table = self.board.table();
        let guarded = table.guarded(self.resource);
        for breaker in guarded
            .breakers
            .iter()
            .filter(|breaker| breaker.since() <= self.version)
        {
            breaker.abandon(self.tickets[breaker.slot()], self.entered_ns);
        }
        if self.occupies {
            guarded.stats.vacate();
        }
    }
}

impl std::fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard")
            .field("resource", &self.resource)
            .field("entered_ns", &self.entered_ns)
            .finish_non_exhaustive()
    }
}
