//! The circuit breaker of one degrade rule.
//!
//! Source: `AbstractCircuitBreaker`, `ResponseTimeCircuitBreaker` and `ExceptionCircuitBreaker` of alibaba/Sentinel 1.8. Over a
//! statistic interval with `calls` calls that ended, `bad` of them slow or failed, a closed breaker opens once
//!
//! ```text
//! calls >= minRequestAmount  and   slow-call ratio, error ratio:  bad / calls > threshold, or both are 1
//!                                  error count:                   bad > threshold
//! ```
//!
//! See [`State`] for the diagram. One word holds the state, so that a call reads one word to pass; every
//! change goes through a lock, under which it is told, so what is told is in order.
//!
//! Each change gives the state a new stamp, and a call keeps the stamp it came in under. So only the probe itself
//! decides what comes of a probe, and a slow call from before the breaker opened cannot open it again after it has closed.
//! In Sentinel any call that ends while half-open passes for the probe.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::event::{Event, Observer, Reason, State, Transition};
use crate::plant::Plant;
use crate::rule::degrade::{DegradeRule, Strategy};
use crate::shard::Line;
use crate::window::{NS_PER_MS, SlidingWindow};

const CALLS: usize = 0;
const BAD: usize = 1;

/// What a call takes along from a breaker that let it pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ticket {
    stamp: u32,
    probe: bool,
}

impl Ticket {
    pub(crate) fn is_probe(self) -> bool {
        self.probe
    }
}

/// State, stamp and the end of the recovery timeout, as they fit one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word {
    state: State,
    /// Whether a probe is under way.
    probing: bool,
    stamp: u32,
    /// Milliseconds, rounded up.
    retry_at_ms: u64,
}

const STAMP_BITS: u32 = 21;
const RETRY_BITS: u32 = 40;
const RETRY_MAX: u64 = (1 << RETRY_BITS) - 1;

impl Word {
    fn pack(self) -> u64 {
        let state = match self.state {
            State::Closed => 0,
            State::Open => 1,
            State::HalfOpen => 2,
            State::Recovering => 3,
        };
        state << 62 | u64::from(self.probing) << 61 | u64::from(self.stamp) << RETRY_BITS | self.retry_at_ms
    }

    #[inline]
    fn unpack(word: u64) -> Self {
        Self {
            state: match word >> 62 {
                0 => State::Closed,
                1 => State::Open,
                2 => State::HalfOpen,
                _ => State::Recovering,
            },
            probing: word >> 61 & 1 == 1,
            stamp: (word >> RETRY_BITS) as u32 & ((1 << STAMP_BITS) - 1),
            retry_at_ms: word & RETRY_MAX,
        }
    }

    #[inline]
    fn refuses(self, now_ns: u64) -> bool {
        match self.state {
            State::Closed => false,
            State::Open => now_ns / NS_PER_MS < self.retry_at_ms,
            State::HalfOpen => true,
            State::Recovering => self.probing,
        }
    }
}

/// A breaker.
pub(crate) struct Breaker {
    rule: DegradeRule,
    resource: Arc<str>,
    /// Which of the resource's breakers.
    slot: usize,
    /// The version of the rule set that brought it.
    since: u64,
    word: Line<AtomicU64>,
    window: SlidingWindow<2>,
    /// Where `minRequestAmount` was last seen reached, by [`enough`]. There only a bad call can open the breaker.
    enough: Line<AtomicU64>,
    /// Whoever holds this may change the word.
    progress: Mutex<Progress>,
    observer: Observer,
    plant: Plant,
}

/// What goes with the word and is not needed to pass.
#[derive(Debug, Default)]
struct Progress {
    /// How many probes were good in a row.
    good_probes: u32,
    /// Whether other rules are in force. Calls that came in under the old ones change nothing any more, so that nothing is told of a
    /// breaker that is gone.
    retired: bool,
}

/// A bucket and the stamp under which it was counted in one word, which is never 0: what was enough before the breaker last
/// changed says nothing of what has been counted since.
#[inline]
fn enough(stamp: u32, bucket: u64) -> u64 {
    u64::from(stamp) << (64 - STAMP_BITS) | (bucket + 1) & (u64::MAX >> STAMP_BITS)
}

impl Breaker {
    pub(crate) fn new(
        rule: DegradeRule,
        resource: Arc<str>,
        slot: usize,
        since: u64,
        observer: Observer,
        plant: Plant,
    ) -> Self {
        let closed = Word {
            state: State::Closed,
            probing: false,
            stamp: 0,
            retry_at_ms: 0,
        };
        Self {
            window: SlidingWindow::new(rule.span()),
            rule,
            resource,
            slot,
            since,
            word: Line(AtomicU64::new(closed.pack())),
            enough: Line::default(),
            progress: Mutex::default(),
            observer,
            plant,
        }
    }

    pub(crate) fn rule(&self) -> &DegradeRule {
        &self.rule
    }

    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    pub(crate) fn since(&self) -> u64 {
        self.since
    }

    pub(crate) fn state(&self) -> State {
        self.load().state
    }

    /// The state in which it would refuse a call now, if it would.
    #[inline]
    pub(crate) fn refuses(&self, now_ns: u64) -> Option<State> {
        let word = self.load();
        word.refuses(now_ns).then_some(word.state)
    }

    /// Lets a call pass, as a probe if it takes one; or the state in which it does not.
    #[inline]
    pub(crate) fn admit(&self, now_ns: u64) -> Result<Ticket, State> {
        let word = self.load();
        if word.state == State::Closed {
            let stamp = word.stamp;
            return Ok(Ticket { stamp, probe: false });
        }
        if word.refuses(now_ns) {
            return Err(word.state);
        }
        self.admit_probe(now_ns)
    }

    #[cold]
    fn admit_probe(&self, now_ns: u64) -> Result<Ticket, State> {
        let mut progress = self.lock();
        let word = self.load();
        if word.refuses(now_ns) || progress.retired {
            return Err(word.state);
        }
        if self.plant == Plant::SkipsHalfOpen && word.state == State::Open {
            let stamp = self.change(
                word,
                State::Closed,
                Reason::RecoveryTimeoutOver,
                now_ns,
                (0, 0),
                0,
            );
            return Ok(Ticket { stamp, probe: false });
        }
        let probe = word.state != State::Closed;
        let stamp = match word.state {
            State::Closed => word.stamp,
            State::Open => {
                progress.good_probes = 0;
                self.change(
                    word,
                    State::HalfOpen,
                    Reason::RecoveryTimeoutOver,
                    now_ns,
                    (0, 0),
                    0,
                )
            }
            State::HalfOpen | State::Recovering => self.store(Word {
                probing: true,
                ..word
            }),
        };
        Ok(Ticket { stamp, probe })
    }

    /// A call that it let pass has ended.
    #[inline]
    pub(crate) fn complete(&self, ticket: Ticket, now_ns: u64, response_ns: u64, failed: bool) {
        let bad = match self.rule.grade {
            Strategy::SlowRatio => response_ns > self.rule.slow_above_ns(),
            Strategy::ErrorRatio | Strategy::ErrorCount => failed,
        };
        if ticket.probe {
            return self.end_probe(ticket, now_ns, bad);
        }
        let word = self.load();
        if word.state != State::Closed || word.stamp != ticket.stamp {
            return;
        }
        let bucket = self.window.span().bucket(now_ns);
        if bad {
            self.window.add(bucket, [(CALLS, 1), (BAD, 1)]);
        } else {
            self.window.add(bucket, [(CALLS, 1)]);
        }
        if !bad && self.enough.0.load(Ordering::Acquire) == enough(word.stamp, bucket) {
            // A good call lowers the ratio. It can only open the breaker by making the calls enough, or their window new.
            return;
        }
        self.judge(word, bucket, now_ns, || ());
    }

    /// A call that it let pass ended without a result, or did not take place at all.
    pub(crate) fn abandon(&self, ticket: Ticket, now_ns: u64) {
        if !ticket.probe {
            return;
        }
        let progress = self.lock();
        let word = self.load();
        if word.stamp != ticket.stamp || progress.retired {
            return;
        }
        if word.state == State::HalfOpen {
            // The recovery timeout has been waited for: the next call probes at once.
            self.change(
                word,
                State::Open,
                Reason::ProbeAbandoned,
                now_ns,
                (0, 0),
                progress.good_probes,
            );
        } else {
            self.store(Word {
                probing: false,
                ..word
            });
        }
    }

    /// Other rules come into force, in which it does not occur. Told if it was not closed, and from then on it tells nothing.
    pub(crate) fn retire(&self) {
        let mut progress = self.lock();
        let state = self.load().state;
        if !progress.retired && state != State::Closed {
            self.observer.tell(&Event::Replaced {
                resource: Arc::clone(&self.resource),
                breaker: self.slot,
                state,
            });
        }
        progress.retired = true;
    }

    /// Opens the breaker if too many calls were bad. `meanwhile` is what other threads do between two readings: nothing, but in a test.
    #[cold]
    fn judge(&self, seen: Word, bucket: u64, now_ns: u64, meanwhile: impl FnOnce()) {
        // Of two calls that end at once, at least one sees what both have counted: without it each could add up before it
        // sees the other's, and neither would open the breaker.
        fence(Ordering::SeqCst);
        let were_enough = self.window.sum(bucket, CALLS) >= self.rule.min_request_amount;
        // A bad call that is not in the sum below sees, by its own fence, at least the calls that were in the one above. If those were
        // enough it opens the breaker itself; if not, it may have found too few, and the next call of any kind is to judge.
        fence(Ordering::SeqCst);
        // The bad ones first: calls that end meanwhile can only make the ratio look smaller.
        let bad = self.window.sum(bucket, BAD);
        meanwhile();
        let calls = self.window.sum(bucket, CALLS);
        if calls < self.rule.min_request_amount {
            return;
        }
        if !self.rule.is_exceeded(bad, calls) {
            if were_enough {
                self.enough.0.store(enough(seen.stamp, bucket), Ordering::Release);
            }
            return;
        }
        let progress = self.lock();
        let word = self.load();
        if word == seen && !progress.retired {
            let retry_at_ms = self.retry_at_ms(now_ns);
            let word = Word { retry_at_ms, ..word };
            self.change(
                word,
                State::Open,
                Reason::ThresholdExceeded,
                now_ns,
                (calls, bad),
                0,
            );
        }
    }

    #[cold]
    fn end_probe(&self, ticket: Ticket, now_ns: u64, bad: bool) {
        let mut progress = self.lock();
        let word = self.load();
        if word.stamp != ticket.stamp || progress.retired {
            return;
        }
        if bad {
            let failed = progress.good_probes;
            progress.good_probes = 0;
            let retry_at_ms = self.retry_at_ms(now_ns);
            let word = Word { retry_at_ms, ..word };
            self.change(word, State::Open, Reason::ProbeFailed, now_ns, (1, 1), failed);
            return;
        }
        progress.good_probes += u32::from(self.plant != Plant::NeverRecloses);
        let good = progress.good_probes;
        if good >= self.rule.recovery_probes {
            self.window.clear();
            self.change(word, State::Closed, Reason::ProbeSucceeded, now_ns, (1, 0), good);
        } else if word.state == State::HalfOpen {
            self.change(
                word,
                State::Recovering,
                Reason::ProbeSucceeded,
                now_ns,
                (1, 0),
                good,
            );
        } else {
            self.store(Word {
                probing: false,
                ..word
            });
        }
    }

    /// Under the lock: changes the state and tells it. The new stamp.
    fn change(
        &self,
        word: Word,
        to: State,
        reason: Reason,
        at_ns: u64,
        (calls, bad): (u64, u64),
        good_probes: u32,
    ) -> u32 {
        debug_assert!(
            word.state.may_become(to) || self.plant == Plant::SkipsHalfOpen,
            "{} to {to}",
            word.state
        );
        let stamp = self.store(Word {
            state: to,
            probing: to == State::HalfOpen,
            ..word
        });
        self.observer.tell(&Event::Transition(Transition {
            resource: Arc::clone(&self.resource),
            breaker: self.slot,
            from: word.state,
            to,
            reason,
            calls,
            bad,
            good_probes,
            at_ns,
        }));
        stamp
    }

    /// Under the lock: puts a word in force, with a new stamp, which is returned.
    fn store(&self, word: Word) -> u32 {
        let stamp = (word.stamp + 1) & ((1 << STAMP_BITS) - 1);
        self.word
            .0
            .store(Word { stamp, ..word }.pack(), Ordering::Release);
        stamp
    }

    fn retry_at_ms(&self, now_ns: u64) -> u64 {
        let at_ns = now_ns.saturating_add(self.rule.recovery_timeout_ns());
        at_ns.div_ceil(NS_PER_MS).min(RETRY_MAX)
    }

    #[inline]
    fn load(&self) -> Word {
        Word::unpack(self.word.0.load(Ordering::Acquire))
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Breaker, CALLS, DegradeRule, Observer, Plant, State, Strategy};
    use crate::event::Unobserved;

    /// A good call adds up, and meanwhile a bad one finds too few calls and a third makes them enough. Were the good call, which has not seen the bad
    /// one, to note that they are, nobody would look again.
    #[test]
    fn a_good_call_hides_no_bad_one_that_it_has_not_seen() {
        let rule = DegradeRule {
            resource: "r".to_owned(),
            grade: Strategy::ErrorRatio,
            count: 0.2,
            time_window: 1,
            min_request_amount: 3,
            ..DegradeRule::default()
        };
        let observer = Observer::new(Arc::new(Unobserved));
        let breaker = Breaker::new(rule, "r".into(), 0, 0, observer, Plant::None);
        let end = |failed| breaker.complete(breaker.admit(0).unwrap(), 0, 0, failed);
        breaker.window.add(0, [(CALLS, 1)]);
        breaker.judge(breaker.load(), 0, 0, || {
            end(true);
            breaker.window.add(0, [(CALLS, 1)]);
        });
        assert_eq!(breaker.state(), State::Closed);
        end(false);
        assert_eq!(breaker.state(), State::Open);
    }
}
