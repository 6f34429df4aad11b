//! The counters of an edge: written by the threads that move bytes, read by whoever asks. Apart from the code that acts, so that
//! what a fault did is counted where bytes pass and not where the fault was ordered.
//!
//! Relaxed atomics: a snapshot is no single moment, but each of its numbers was true at one, and none goes back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::now_ns;
use crate::seen::{Amount, DirectionSeen, EdgeSeen, HttpFaultSeen, HttpSeen, Met, PartitionSeen, ToxicSeen};
use crate::spec::Direction;

/// Toxics, partitions and HTTP faults that a snapshot tells of, each; the oldest go first.
const KEPT: usize = 1_024;

/// How often a snapshot looks for a moment in which nothing came; after that what is held may come out as more than it is.
const STEADY_TRIES: u32 = 100;

/// Chunks and bytes.
#[derive(Debug, Default)]
pub(crate) struct AmountTally {
    chunks: AtomicU64,
    bytes: AtomicU64,
}

impl AmountTally {
    #[inline]
    pub(crate) fn add(&self, bytes: usize) {
        self.chunks.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn seen(&self) -> Amount {
        Amount {
            chunks: self.chunks.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }
}

/// The first and the last time of something. Zero is never, since the clock counts from the start of the machine.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    first_ns: AtomicU64,
    last_ns: AtomicU64,
}

impl Moments {
    pub(crate) fn note(&self, now_ns: u64) {
        // Another thread may have been first; then its moment stays.
        let _ = self.first_ns.compare_exchange(0, now_ns, Relaxed, Relaxed);
        self.last_ns.fetch_max(now_ns, Relaxed);
    }

    pub(crate) fn first_ns(&self) -> Option<u64> {
        moment(&self.first_ns)
    }

    pub(crate) fn last_ns(&self) -> Option<u64> {
        moment(&self.last_ns)
    }
}

fn moment(at: &AtomicU64) -> Option<u64> {
    Some(at.load(Relaxed)).filter(|at_ns| *at_ns > 0)
}

/// The longest time without bytes while something was open.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    since_ns: AtomicU64,
    longest_ns: AtomicU64,
}

impl Silence {
    /// It begins.
    pub(crate) fn begin(&self, now_ns: u64) {
        self.since_ns.store(now_ns, Relaxed);
    }

    /// It is broken, or over with what was open.
    #[inline]
    pub(crate) fn interrupt(&self, now_ns: u64) {
        let gap_ns = now_ns.saturating_sub(self.since_ns.load(Relaxed));
        self.since_ns.store(now_ns, Relaxed);
        if gap_ns > self.longest_ns.load(Relaxed) {
            self.longest_ns.fetch_max(gap_ns, Relaxed);
        }
    }

    pub(crate) fn longest_ns(&self, goes_on: bool, now_ns: u64) -> u64 {
        let present_ns = now_ns.saturating_sub(self.since_ns.load(Relaxed));
        let longest_ns = self.longest_ns.load(Relaxed);
        longest_ns.max(if goes_on { present_ns } else { 0 })
    }
}

/// What met something.
#[derive(Debug, Default)]
pub(crate) struct MetTally {
    connections: AtomicU64,
    amount: AmountTally,
    ends: AtomicU64,
    end_held_max_ns: AtomicU64,
    moments: Moments,
}

impl MetTally {
    /// Bytes met it, or an end did, which has none. `first`: of their connection.
    pub(crate) fn note(&self, bytes: usize, first: bool, now_ns: u64) {
        if first {
            self.connections.fetch_add(1, Relaxed);
        }
        if bytes > 0 {
            self.amount.add(bytes);
        }
        self.moments.note(now_ns);
    }

    /// An end that met it before goes on, so long after.
    pub(crate) fn end_goes_on(&self, held_ns: u64) {
        self.end_held_max_ns.fetch_max(held_ns, Relaxed);
        self.ends.fetch_add(1, Relaxed);
    }

    pub(crate) fn seen(&self) -> Met {
        Met {
            connections: self.connections.load(Relaxed),
            amount: self.amount.seen(),
            ends: self.ends.load(Relaxed),
            end_held_max_ns: self.end_held_max_ns.load(Relaxed),
            first_ns: self.moments.first_ns(),
            last_ns: self.moments.last_ns(),
        }
    }
}

/// Counters of one toxic.
#[derive(Debug)]
pub(crate) struct ToxicTally {
    name: String,
    type_name: &'static str,
    stream: Direction,
    added_ns: AtomicU64,
    removed_ns: AtomicU64,
    pub(crate) met: MetTally,
}

impl ToxicTally {
    pub(crate) fn new(name: &str, type_name: &'static str, stream: Direction) -> ToxicTally {
        ToxicTally {
            name: name.to_owned(),
            type_name,
            stream,
            added_ns: AtomicU64::new(now_ns()),
            removed_ns: AtomicU64::new(0),
            met: MetTally::default(),
        }
    }

    /// It is in force on every connection.
    pub(crate) fn added(&self) {
        self.added_ns.store(now_ns(), Relaxed);
    }

    pub(crate) fn removed(&self) {
        self.removed_ns.store(now_ns(), Relaxed);
    }

    fn seen(&self) -> ToxicSeen {
        ToxicSeen {
            name: self.name.clone(),
            type_name: self.type_name,
            stream: self.stream,
            added_ns: self.added_ns.load(Relaxed),
            removed_ns: moment(&self.removed_ns),
            met: self.met.seen(),
        }
    }
}

/// Counters of one partition.
#[derive(Debug, Default)]
pub(crate) struct PartitionTally {
    began_ns: AtomicU64,
    healed_ns: AtomicU64,
    pub(crate) met: [MetTally; 2],
    reset: AtomicU64,
    refused: AtomicU64,
}

impl PartitionTally {
    /// It is in force on every connection.
    pub(crate) fn began(&self) {
        self.began_ns.store(now_ns(), Relaxed);
    }

    pub(crate) fn healed(&self) {
        self.healed_ns.store(now_ns(), Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.reset.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    fn seen(&self) -> PartitionSeen {
        PartitionSeen {
            began_ns: self.began_ns.load(Relaxed),
            healed_ns: moment(&self.healed_ns),
            met: [self.met[0].seen(), self.met[1].seen()],
            reset: self.reset.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

/// Counters of one HTTP fault.
#[derive(Debug)]
pub(crate) struct HttpFaultTally {
    name: String,
    added_ns: AtomicU64,
    removed_ns: AtomicU64,
    requests: AtomicU64,
    moments: Moments,
}

impl HttpFaultTally {
    pub(crate) fn new(name: &str) -> HttpFaultTally {
        HttpFaultTally {
            name: name.to_owned(),
            added_ns: AtomicU64::new(now_ns()),
            removed_ns: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            moments: Moments::default(),
        }
    }

    pub(crate) fn note(&self, now_ns: u64) {
        self.requests.fetch_add(1, Relaxed);
        self.moments.note(now_ns);
    }

    /// It is in force on every connection.
    pub(crate) fn added(&self) {
        self.added_ns.store(now_ns(), Relaxed);
    }

    pub(crate) fn removed(&self) {
        self.removed_ns.store(now_ns(), Relaxed);
    }

    fn seen(&self) -> HttpFaultSeen {
        HttpFaultSeen {
            name: self.name.clone(),
            added_ns: self.added_ns.load(Relaxed),
            removed_ns: moment(&self.removed_ns),
            requests: self.requests.load(Relaxed),
            first_ns: self.moments.first_ns(),
            last_ns: self.moments.last_ns(),
        }
    }
}

/// Counters of what passes as HTTP.
#[derive(Debug, Default)]
pub(crate) struct HttpTally {
    requests: AtomicU64,
    responses: AtomicU64,
    other_connections: AtomicU64,
}

impl HttpTally {
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    pub(crate) fn response(&self) {
        self.responses.fetch_add(1, Relaxed);
    }

    pub(crate) fn other_connection(&self) {
        self.other_connections.fetch_add(1, Relaxed);
    }

    fn seen(&self) -> HttpSeen {
        HttpSeen {
            requests: self.requests.load(Relaxed),
            responses: self.responses.load(Relaxed),
            other_connections: self.other_connections.load(Relaxed),
        }
    }
}

/// Counters of one direction.
#[derive(Debug, Default)]
pub(crate) struct DirectionTally {
    entered: AmountTally,
    forwarded: AmountTally,
    discarded_bytes: AtomicU64,
    inserted_bytes: AtomicU64,
    last_entered_ns: AtomicU64,
    last_forwarded_ns: AtomicU64,
}

impl DirectionTally {
    #[inline]
    pub(crate) fn forwarded(&self, bytes: usize, now_ns: u64) {
        self.forwarded.add(bytes);
        self.last_forwarded_ns.store(now_ns, Relaxed);
    }

    pub(crate) fn discarded(&self, bytes: usize) {
        if bytes > 0 {
            self.discarded_bytes.fetch_add(bytes as u64, Relaxed);
        }
    }

    pub(crate) fn inserted(&self, bytes: usize) {
        self.inserted_bytes.fetch_add(bytes as u64, Relaxed);
    }

    fn seen(&self) -> DirectionSeen {
        // What is held is a difference, and true only if nothing came while both were read.
        let read_came = || (self.entered.seen(), self.inserted_bytes.load(Relaxed));
        let read_left = || (self.forwarded.seen(), self.discarded_bytes.load(Relaxed));
        let (mut came, mut left) = (read_came(), read_left());
        for _ in 0..STEADY_TRIES {
            let again = read_came();
            if again == came {
                break;
            }
            (came, left) = (again, read_left());
        }
        let ((entered, inserted_bytes), (forwarded, discarded_bytes)) = (came, left);
        let held_bytes = (entered.bytes + inserted_bytes).saturating_sub(forwarded.bytes + discarded_bytes);
        DirectionSeen {
            entered,
            forwarded,
            discarded_bytes,
            inserted_bytes,
            held_bytes,
            last_entered_ns: moment(&self.last_entered_ns),
            last_forwarded_ns: moment(&self.last_forwarded_ns),
        }
    }
}

/// Something that is told about from when it began, and some time after it is over.
#[derive(Debug)]
struct History<T>(Mutex<VecDeque<Arc<T>>>);

impl<T> Default for History<T> {
    fn default() -> History<T> {
        History(Mutex::default())
    }
}

impl<T> History<T> {
    fn add(&self, one: &Arc<T>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= KEPT {
            all.pop_front();
        }
        all.push_back(Arc::clone(one));
    }

    /// What was seen of each that was not over before `since_ns`.
    fn since<U>(&self, since_ns: u64, over_ns: impl Fn(&T) -> &AtomicU64, seen: impl Fn(&T) -> U) -> Vec<U> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let concerns = |one: &&Arc<T>| moment(over_ns(one)).is_none_or(|over_ns| over_ns >= since_ns);
        all.iter().filter(concerns).map(|one| seen(one)).collect()
    }
}

/// Counters of one proxy for streams.
#[derive(Debug, Default)]
pub(crate) struct EdgeTally {
    opened: AtomicU64,
    refused: AtomicU64,
    reset: AtomicU64,
    unreachable: AtomicU64,
    closed: AtomicU64,
    pub(crate) directions: [DirectionTally; 2],
    silence: Silence,
    reads_http: bool,
    pub(crate) http: HttpTally,
    toxics: History<ToxicTally>,
    partitions: History<PartitionTally>,
    http_faults: History<HttpFaultTally>,
}

impl EdgeTally {
    pub(crate) fn new(reads_http: bool) -> EdgeTally {
        EdgeTally {
            reads_http,
            ..EdgeTally::default()
        }
    }

    pub(crate) fn opened(&self, now_ns: u64) {
        if self.opened.fetch_add(1, Relaxed) == self.closed.load(Relaxed) {
            self.silence.begin(now_ns);
        }
    }

    pub(crate) fn closed(&self, now_ns: u64) {
        if self.closed.fetch_add(1, Relaxed) + 1 == self.opened.load(Relaxed) {
            self.silence.interrupt(now_ns);
        }
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn reset(&self) {
        self.reset.fetch_add(1, Relaxed);
    }

    pub(crate) fn unreachable(&self) {
        self.unreachable.fetch_add(1, Relaxed);
    }

    #[inline]
    pub(crate) fn entered(&self, direction: Direction, bytes: usize, now_ns: u64) {
        let tally = &self.directions[direction.index()];
        tally.entered.add(bytes);
        tally.last_entered_ns.store(now_ns, Relaxed);
        self.silence.interrupt(now_ns);
    }

    pub(crate) fn tell_of_toxic(&self, toxic: &Arc<ToxicTally>) {
        self.toxics.add(toxic);
    }

    pub(crate) fn tell_of_partition(&self, partition: &Arc<PartitionTally>) {
        self.partitions.add(partition);
    }

    pub(crate) fn tell_of_http_fault(&self, fault: &Arc<HttpFaultTally>) {
        self.http_faults.add(fault);
    }

    /// What was seen, with those toxics, partitions and HTTP faults that were not over before `since_ns`.
    pub(crate) fn seen(&self, since_ns: u64) -> EdgeSeen {
        let at_ns = now_ns();
        let closed = self.closed.load(Relaxed);
        let opened = self.opened.load(Relaxed);
        EdgeSeen {
            at_ns,
            opened,
            refused: self.refused.load(Relaxed),
            reset: self.reset.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            closed,
            directions: [self.directions[0].seen(), self.directions[1].seen()],
            toxics: self
                .toxics
                .since(since_ns, |one| &one.removed_ns, ToxicTally::seen),
            partitions: self
                .partitions
                .since(since_ns, |one| &one.healed_ns, PartitionTally::seen),
            http_faults: self
                .http_faults
                .since(since_ns, |one| &one.removed_ns, HttpFaultTally::seen),
            longest_silence_ns: self.silence.longest_ns(opened > closed, at_ns),
            http: self.reads_http.then(|| self.http.seen()),
        }
    }
}
