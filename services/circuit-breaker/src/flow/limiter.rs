//! Admits at most so many calls in a window, exactly, from any number of threads.
//!
//! **What is guaranteed.** Each admission counts in one bucket and says in which, by a time in it: the caller's own, or the begin of the bucket
//! that the limiter had moved on to where the caller's clock was behind that of others. By these times at most `limit` calls are
//! admitted in any window that is made of `buckets` whole buckets, and so in *any* span of time no longer than `(buckets - 1) / buckets`
//! of the window, wherever it begins. With Sentinel's second of two buckets: at most `limit` in any 500 ms and in each second
//! that begins with a bucket, and never more than twice `limit` in any second. With ten buckets: at most `limit` in any
//! 900 ms. Sentinel checks and counts in two steps, and threads that pass between them are admitted beyond the limit;
//! here that cannot happen.
//!
//! By the callers' own readings nothing of this holds for one that was held up, between its reading and its call, until a later
//! bucket had begun: it counts in the later one. Nor does it hold while the limit itself changes: what the old limit admitted counts,
//! and is not taken back.
//!
//! **How.** One word holds the bucket of now and how many permits of it are gone. Moving on to a later bucket first
//! writes the old one's count to the history, then swaps the word, so whoever sees the new bucket sees the whole
//! history. So that threads do not fight for the word, each takes a few permits at a time, a lease, and spends them from
//! a word of its own. Who finds no permit left takes one from another's lease before it is refused. Leases that are left over when
//! the bucket ends are revoked and handed back. Every race errs towards refusing.
//!
//! **When the limit changes**, a new limiter takes over the counts, not the leases: what was leased under the old limit
//! is never spent under the new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shard::{self, Line, SHARDS};
use crate::window::Span;

/// The most that a limit can be.
pub const LIMIT_MAX: u64 = (1 << COUNT_BITS) - 1;

const COUNT_BITS: u32 = 28;
/// The last bucket that fits a word: 21 years after zero of the clock where buckets are shortest. Later calls count in it.
const BUCKET_MAX: u64 = u64::MAX >> COUNT_BITS;
/// How many permits a thread takes at a time where plenty are left.
const LEASE_MAX: u64 = 64;

/// A bucket's number and a count of permits, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word {
    bucket: u64,
    count: u64,
}

impl Word {
    fn load(from: &AtomicU64) -> Self {
        Self::unpack(from.load(Ordering::Acquire))
    }

    fn unpack(word: u64) -> Self {
        Self {
            bucket: word >> COUNT_BITS,
            count: word & LIMIT_MAX,
        }
    }

    fn pack(self) -> u64 {
        self.bucket << COUNT_BITS | self.count
    }

    /// Puts `to` in the place of this one, if it is still there.
    fn replace(self, at: &AtomicU64, to: Self) -> bool {
        at.compare_exchange(self.pack(), to.pack(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

/// What was admitted, by bucket.
#[derive(Debug)]
struct Ledger {
    span: Span,
    /// The bucket of now, and how many of its permits are gone.
    head: Line<AtomicU64>,
    /// What was used of the buckets before.
    history: Box<[AtomicU64]>,
}

/// Counts permits over a window.
#[derive(Debug)]
pub struct Limiter {
    ledger: Arc<Ledger>,
    /// Permits that were taken from the ledger and not yet used.
    leases: [Line<AtomicU64>; SHARDS],
}

impl Limiter {
    /// With nothing admitted yet.
    pub fn new(span: Span) -> Self {
        Self {
            ledger: Arc::new(Ledger {
                span,
                head: Line::default(),
                history: (0..span.buckets()).map(|_| AtomicU64::new(0)).collect(),
            }),
            leases: Default::default(),
        }
    }

    /// One that goes on with what another has admitted. Calls that still ask the other one count too.
    #[must_use]
    pub fn succeed(&self) -> Self {
        let bucket = Word::load(&self.ledger.head.0).bucket;
        let unused = self.revoke(bucket, (bucket + 1).min(BUCKET_MAX));
        self.ledger.hand_back(bucket, unused);
        Self {
            ledger: Arc::clone(&self.ledger),
            leases: Default::default(),
        }
    }

    /// How its window is cut.
    pub fn span(&self) -> Span {
        self.ledger.span
    }

    /// Admits a call if fewer than `limit` were admitted in the window of now. The time by which it counts: `now_ns`, or the begin of
    /// the bucket that the limiter had moved on to.
    #[inline]
    pub fn admit(&self, now_ns: u64, limit: u64) -> Option<u64> {
        let bucket = self.span().bucket(now_ns).min(BUCKET_MAX);
        if take_from(&self.leases[shard::own()].0, bucket) {
            return Some(now_ns);
        }
        let counted = self.lease(bucket, limit.min(LIMIT_MAX))?;
        Some(now_ns.max(self.span().begins_ns(counted)))
    }

    /// Takes back the admission of a call that something else refused.
    pub fn give_back(&self, now_ns: u64) {
        let lease = &self.leases[shard::own()].0;
        let bucket = self.span().bucket(now_ns).min(BUCKET_MAX);
        loop {
            let word = Word::load(lease);
            if word.bucket > bucket {
                return;
            }
            // What an older lease still holds has been counted as used.
            let count = if word.bucket == bucket { word.count + 1 } else { 1 };
            if word.replace(lease, Word { bucket, count }) {
                return;
            }
        }
    }

    /// Takes permits from the head: one for this call, more for the next ones. The bucket in which the call counts.
    #[cold]
    fn lease(&self, bucket: u64, limit: u64) -> Option<u64> {
        loop {
            let head = Word::load(&self.ledger.head.0);
            if head.bucket < bucket {
                self.move_on(bucket);
                continue;
            }
            // A thread that was held up counts in the bucket that is there now.
            let free = limit.saturating_sub(self.ledger.used_before(head.bucket) + head.count);
            if free == 0 {
                let mut leases = self.leases.iter();
                let is_left = leases.any(|lease| take_from(&lease.0, head.bucket));
                return is_left.then_some(head.bucket);
            }
            let taken = (free / (2 * SHARDS as u64)).clamp(1, LEASE_MAX);
            let to = Word {
                count: head.count + taken,
                ..head
            };
            if head.replace(&self.ledger.head.0, to) {
                self.keep(head.bucket, taken - 1);
                return Some(head.bucket);
            }
        }
    }

    /// Puts permits that were taken from the head into this thread's lease.
    fn keep(&self, bucket: u64, permits: u64) {
        let lease = &self.leases[shard::own()].0;
        loop {
            let word = Word::load(lease);
            if word.bucket > bucket {
                return self.ledger.hand_back(bucket, permits);
            }
            let count = if word.bucket == bucket {
                word.count + permits
            } else {
                permits
            };
            if word.replace(lease, Word { bucket, count }) {
                return;
            }
        }
    }

    /// Makes `to` the bucket of now.
    fn move_on(&self, to: u64) {
        let mut revoked = 0;
        let mut closing = None;
        loop {
            let head = Word::load(&self.ledger.head.0);
            if head.bucket >= to {
                return;
            }
            if closing != Some(head.bucket) {
                (closing, revoked) = (Some(head.bucket), 0);
            }
            revoked += self.revoke(head.bucket, to);
            let used = Word {
                count: head.count.saturating_sub(revoked),
                ..head
            };
            // The largest wins: of a bucket that is what was counted last, and a later bucket's word is larger anyway.
            let at = (head.bucket % self.ledger.history.len() as u64) as usize;
            self.ledger.history[at].fetch_max(used.pack(), Ordering::AcqRel);
            if head.replace(&self.ledger.head.0, Word { bucket: to, count: 0 }) {
                return;
            }
        }
    }

    /// Empties the leases of a bucket that ends; how many permits were in them.
    fn revoke(&self, ending: u64, next: u64) -> u64 {
        let mut revoked = 0;
        for lease in &self.leases {
            loop {
                let word = Word::load(&lease.0);
                if word.bucket >= next {
                    break;
                }
                if word.replace(
                    &lease.0,
                    Word {
                        bucket: next,
                        count: 0,
                    },
                ) {
                    revoked += if word.bucket == ending { word.count } else { 0 };
                    break;
                }
            }
        }
        revoked
    }
}

impl Ledger {
    /// Puts permits that were taken from the head back there, unless it has moved on. The bucket is about to end.
    fn hand_back(&self, bucket: u64, permits: u64) {
        loop {
            let head = Word::load(&self.head.0);
            if head.bucket != bucket {
                return;
            }
            let to = Word {
                count: head.count.saturating_sub(permits),
                ..head
            };
            if head.replace(&self.head.0, to) {
                return;
            }
        }
    }

    /// What was used in the window that ends with `bucket`, other than in that bucket.
    fn used_before(&self, bucket: u64) -> u64 {
        let buckets = self.history.len() as u64;
        let first = (bucket + 1).saturating_sub(buckets);
        (first..bucket)
            .map(|past| {
                let word = Word::load(&self.history[(past % buckets) as usize]);
                if word.bucket == past { word.count } else { 0 }
            })
            .sum()
    }
}

/// Takes a permit of this bucket from a lease.
#[inline]
fn take_from(lease: &AtomicU64, bucket: u64) -> bool {
    loop {
        let word = Word::load(lease);
        if word.bucket != bucket || word.count == 0 {
            return false;
        }
        let to = Word {
            count: word.count - 1,
            ..word
        };
        if word.replace(lease, to) {
            return true;
        }
    }
}
