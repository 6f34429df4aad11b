//! A load's books on one thread: what was asked for, what waits, what is in flight, how it ended.
//!
//! Every request that enters leaves exactly once, and the counts of a phase add up as [`Slice`](crate::Slice) says. No sockets here, so
//! the rules can be tested without any.
//!
//! Rules of time: the timeout of a request runs from its actual send. One that waits for a connection has no timeout of its own; it is
//! dropped once its phase has been over for the length of the timeout. So a phase is wholly over at most two timeouts after its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::check::{Checks, beginning};
use crate::clock::{NS_PER_MS, NS_PER_S, NS_PER_US};
use crate::extract::Extraction;
use crate::in_flight::{InFlight, Request};
use crate::phase::{Phase, Source};
use crate::protocol::Answer;
use crate::readings::Readings;
use crate::report::ErrorKind;

/// How late after the end of its phase an arrival may still be taken up, unless its load's timeout is shorter; what is later counts
/// as not sent by the generator. Long enough
/// that a machine's hiccup costs no request: the lag shows it in any case.
const LATE_NS: u64 = NS_PER_S;
/// A user whose connection failed, or whose request could not be written, waits this long, so that closed loop does not become a
/// flood of attempts.
pub(crate) const CONNECT_PAUSE_NS: u64 = 10 * NS_PER_MS;
/// Arrivals taken or given up in one go, so that a thread that fell behind still reads answers.
const BATCH: usize = 16_384;

/// The books.
pub(crate) struct Ledger {
    pub(crate) timeout_ns: u64,
    checks: Checks,
    pub(crate) phases: Vec<Phase>,
    /// Phases before this one are over.
    pub(crate) first_live: usize,
    /// Requests that wait for a connection, oldest first.
    pub(crate) queue: VecDeque<Request>,
    pub(crate) in_flight: InFlight,
    /// When users' pauses end, with their phase.
    thinking: BinaryHeap<Reverse<(u64, u32)>>,
    /// Users who stay on the connection of an answer that goes on (an event stream).
    pub(crate) held: usize,
    /// Nothing where no value is read.
    pub(crate) readings: Option<Readings>,
}

/// How a request ended, for [`Ledger::finish`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) request: Request,
    pub(crate) started_ns: u64,
    pub(crate) now_ns: u64,
}

impl Ledger {
    pub(crate) fn new(load: u16, timeout_ns: u64, extractions: Vec<Extraction>, checks: Checks) -> Ledger {
        Ledger {
            timeout_ns,
            checks,
            phases: Vec::new(),
            first_live: 0,
            queue: VecDeque::new(),
            in_flight: InFlight::new(),
            thinking: BinaryHeap::new(),
            held: 0,
            readings: (!extractions.is_empty()).then(|| Readings::new(load, extractions)),
        }
    }

    /// The numbers of the phases that have begun and are not over.
    pub(crate) fn live(&self, now_ns: u64) -> std::ops::Range<usize> {
        let begun = self.phases[self.first_live..]
            .iter()
            .take_while(|phase| phase.start_ns <= now_ns)
            .count();
        self.first_live..self.first_live + begun
    }

    /// The phase that runs, the later one where two do.
    pub(crate) fn live_phase(&mut self, now_ns: u64) -> Option<&mut Phase> {
        let live = self.live(now_ns);
        self.phases[live].last_mut()
    }

    /// Takes from the schedules what is due, lets users begin or go on, drops what has waited too long.
    ///
    /// `behind`: the thread never rests; then arrivals stay in the schedule until a connection is free for them, so that the
    /// generator's own slowness shows as lag and not as waiting for the service.
    pub(crate) fn advance(&mut self, now_ns: u64, behind: bool) {
        for at in self.live(now_ns) {
            self.start_users(at, now_ns);
            self.take_due(at, now_ns, behind);
            if now_ns >= self.too_late_ns(at) {
                self.phases[at].give_up_schedule(BATCH);
            }
        }
        while let Some(&Reverse((wake_ns, phase))) = self.thinking.peek()
            && wake_ns <= now_ns
        {
            self.thinking.pop();
            self.next_of_user(phase, now_ns);
        }
        self.drop_stale(now_ns);
    }

    fn start_users(&mut self, at: usize, now_ns: u64) {
        let phase = &mut self.phases[at];
        if let Source::Closed {
            users,
            started: started @ false,
            ..
        } = &mut phase.source
        {
            *started = true;
            // Who stayed on an event stream goes on with it.
            let users = users.saturating_sub(self.held);
            phase.outstanding += users as u64;
            for _ in 0..users {
                self.next_of_user(at as u32, now_ns);
            }
        }
    }

    /// A user of `phase` is ready: queues the next request, or ends if the phase has.
    fn next_of_user(&mut self, phase: u32, now_ns: u64) {
        let run = &mut self.phases[phase as usize];
        if now_ns >= run.end_ns {
            run.outstanding -= 1;
        } else {
            run.tally().counts.intended += 1;
            let Source::Closed {
                next_number, ways, ..
            } = &mut run.source
            else {
                return;
            };
            self.queue.push_back(Request {
                phase,
                number: *next_number,
                intended_ns: now_ns,
            });
            *next_number += *ways;
        }
    }

    /// From then on arrivals of a phase are no longer taken up: they could not be sent in time.
    fn too_late_ns(&self, at: usize) -> u64 {
        self.phases[at]
            .end_ns
            .saturating_add(self.timeout_ns.min(LATE_NS))
    }

    fn take_due(&mut self, at: usize, now_ns: u64, behind: bool) {
        let too_late_ns = self.too_late_ns(at);
        for _ in 0..BATCH {
            match self.phases[at].next_arrival() {
                Some((_, due_ns)) if due_ns <= now_ns && now_ns < too_late_ns => {}
                _ => return,
            }
            if behind && !self.queue.is_empty() {
                return;
            }
            self.take_arrival(at, now_ns);
        }
    }

    fn take_arrival(&mut self, at: usize, now_ns: u64) {
        let phase = &mut self.phases[at];
        let Some((number, intended_ns)) = phase.next_arrival() else {
            return;
        };
        phase.step();
        let queue_max = phase.queue_max;
        let tally = phase.tally();
        tally.counts.intended += 1;
        tally.lag.record_ns(now_ns - intended_ns);
        if self.queue.len() >= queue_max {
            tally.counts.dropped += 1;
        } else {
            phase.outstanding += 1;
            self.queue.push_back(Request {
                phase: at as u32,
                number,
                intended_ns,
            });
        }
    }

    /// The next request for a free connection: the one that has waited longest, else one that has just become due.
    pub(crate) fn next_request(&mut self, now_ns: u64) -> Option<Request> {
        if self.queue.is_empty() {
            for at in self.live(now_ns) {
                let is_due = self.phases[at]
                    .next_arrival()
                    .is_some_and(|(_, due_ns)| due_ns <= now_ns);
                if is_due && now_ns < self.too_late_ns(at) {
                    self.take_arrival(at, now_ns);
                    break;
                }
            }
        }
        self.queue.pop_front()
    }

    fn drop_stale(&mut self, now_ns: u64) {
        while let Some(request) = self.queue.front()
            && self.phases[request.phase as usize]
                .end_ns
                .saturating_add(self.timeout_ns)
                <= now_ns
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(request) = self.queue.pop_front() {
            let phase = &mut self.phases[request.phase as usize];
            phase.outstanding -= 1;
            phase.tally().counts.dropped += 1;
        }
    }

    /// A sent request ended well or badly.
    pub(crate) fn finish(&mut self, ended: Ended, error: Option<(ErrorKind, impl FnOnce() -> String)>) {
        let Ended { request, now_ns, .. } = ended;
        let phase = &mut self.phases[request.phase as usize];
        let tally = phase.tally();
        tally.complete(&ended);
        let mut pause_ns = 0;
        if let Some((kind, example)) = error {
            tally.fail(kind, example);
            if kind.is_before_sending() {
                pause_ns = CONNECT_PAUSE_NS;
            }
        }
        match phase.source {
            Source::Closed { pauses, .. } => match pauses.after_ns(request.number).max(pause_ns) {
                0 => self.next_of_user(request.phase, now_ns),
                pause_ns => self
                    .thinking
                    .push(Reverse((now_ns.saturating_add(pause_ns), request.phase))),
            },
            _ => phase.outstanding -= 1,
        }
    }

    /// Counts an answer of which only this thread knows when it came.
    #[inline]
    pub(crate) fn count_unstamped(&mut self, ended: &Ended, came_ns: Option<u64>) {
        if came_ns.is_none() {
            self.phases[ended.request.phase as usize].tally().counts.unstamped += 1;
        }
    }

    /// A whole answer came: judges it, reads values from it.
    pub(crate) fn answered(&mut self, ended: Ended, answer: &Answer<'_>) {
        if answer.holds {
            return self.hold(ended);
        }
        if answer.status >= 400 && self.checks.status.is_empty() {
            // A target that is overloaded may answer so all the time: words only for the few that are kept.
            let example = || format!("{}: {}", answer.status, beginning(answer));
            self.finish(ended, Some((ErrorKind::Status(answer.status), example)));
        } else if let Err(failure) = self.checks.judge(answer) {
            self.finish(ended, Some((failure.kind, || failure.text)));
        } else if let Err(problem) = self.read_values(&ended, answer) {
            self.finish(ended, Some((ErrorKind::Extract, || problem)));
        } else {
            self.finish(ended, None::<(ErrorKind, fn() -> String)>);
        }
    }

    /// The answer goes on: its user stays with it, in whatever phase.
    fn hold(&mut self, ended: Ended) {
        let phase = &mut self.phases[ended.request.phase as usize];
        phase.tally().complete(&ended);
        phase.outstanding -= 1;
        self.held += 1;
    }

    /// A connection on which a user stayed has ended: the user asks anew.
    pub(crate) fn stream_lost(&mut self, now_ns: u64) {
        let live = self.live(now_ns);
        let Some(at) = live.last() else { return };
        let phase = &mut self.phases[at];
        phase.tally().counts.streams_lost += 1;
        if let Source::Closed {
            pauses, next_number, ..
        } = phase.source
        {
            phase.outstanding += 1;
            let pause_ns = pauses.after_ns(next_number).max(CONNECT_PAUSE_NS);
            self.thinking
                .push(Reverse((now_ns.saturating_add(pause_ns), at as u32)));
        }
    }

    /// The target sent something of its own accord.
    pub(crate) fn message(&mut self, message: &[u8], now_ns: u64) {
        if let Some(phase) = self.live_phase(now_ns) {
            phase.tally().counts.messages += 1;
        }
        if let Some(readings) = &mut self.readings {
            readings.read_message(message, now_ns / NS_PER_US);
        }
    }

    fn read_values(&mut self, ended: &Ended, answer: &Answer<'_>) -> Result<(), String> {
        self.readings.as_mut().map_or(Ok(()), |readings| {
            readings.read(answer, ended.started_ns / NS_PER_US, ended.now_ns / NS_PER_US)
        })
    }

    /// A connection that was begun at `started_ns` could not be made: fails the request that waits longest, if one does.
    pub(crate) fn connect_failed(
        &mut self,
        started_ns: u64,
        now_ns: u64,
        kind: ErrorKind,
        example: impl FnOnce() -> String,
    ) {
        if let Some(mut request) = self.queue.pop_front() {
            let phase = &mut self.phases[request.phase as usize];
            phase.tally().counts.sent += 1;
            if phase.is_closed_loop() {
                request.intended_ns = request.intended_ns.max(started_ns);
            }
            let started_ns = started_ns.max(request.intended_ns);
            self.finish(
                Ended {
                    request,
                    started_ns,
                    now_ns,
                },
                Some((kind, example)),
            );
        }
    }

    /// Gives up everything at once: what is in flight counts as aborted, what waits as dropped.
    pub(crate) fn abort(&mut self, now_ns: u64) {
        while !self.queue.is_empty() {
            self.drop_first();
        }
        for phase in &mut self.phases[self.first_live..] {
            phase.end_ns = phase.end_ns.min(now_ns);
            phase.outstanding = 0;
            // What was due before the abort and not yet taken up: later than its time by the thread's own doing.
            phase.give_up_schedule(usize::MAX);
        }
        self.thinking.clear();
    }

    /// The next moment at which [`advance`](Ledger::advance) has something to do, or a wait runs out.
    pub(crate) fn next_wake_ns(&self, now_ns: u64, behind: bool) -> u64 {
        let mut wake_ns = u64::MAX;
        for phase in &self.phases[self.first_live..] {
            if phase.start_ns > now_ns {
                wake_ns = wake_ns.min(phase.start_ns);
                break;
            }
            if let Some((_, due_ns)) = phase.next_arrival() {
                // Held back: look again soon; an answer may come before.
                let held = behind && due_ns <= now_ns && !self.queue.is_empty();
                wake_ns = wake_ns.min(if held { now_ns + NS_PER_MS } else { due_ns });
            }
            if phase.end_ns > now_ns {
                wake_ns = wake_ns.min(phase.end_ns);
            }
        }
        if let Some((_, first)) = self.in_flight.first() {
            wake_ns = wake_ns.min(first.started_ns.saturating_add(self.timeout_ns));
        }
        if let Some(request) = self.queue.front() {
            wake_ns = wake_ns.min(
                self.phases[request.phase as usize]
                    .end_ns
                    .saturating_add(self.timeout_ns),
            );
        }
        self.thinking
            .peek()
            .map_or(wake_ns, |Reverse((at_ns, _))| wake_ns.min(*at_ns))
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
