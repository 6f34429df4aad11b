//! Words that threads write without getting into each other's way.
//!
//! A thread owns one of a few shards while it lives, and is the only one to write there, so that counting is a load and a store. When all are
//! owned, the threads that are left share one more, and write it by compare-and-swap.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How many shards can be owned.
const OWNED: usize = 8;
/// The shard that threads without one of their own share.
const SHARED: usize = OWNED;
/// How many shards there are of whatever is sharded.
pub(crate) const SHARDS: usize = OWNED + 1;

/// Which shards are owned, a bit for each. It decides nothing but which memory a thread writes.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// A value with cache lines of its own. Two of 64 bytes, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// A thread's shard, given back when the thread ends.
struct Own(usize);

impl Own {
    fn take() -> Self {
        let mut taken = TAKEN.load(Ordering::Relaxed);
        loop {
            let free = taken.trailing_ones() as usize;
            if free >= OWNED {
                return Self(SHARED);
            }
            // Acquire: what the owner before wrote is seen.
            match TAKEN.compare_exchange_weak(taken, taken | 1 << free, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return Self(free),
                Err(now) => taken = now,
            }
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if self.0 < OWNED {
            TAKEN.fetch_and(!(1 << self.0), Ordering::Release);
        }
    }
}

thread_local! {
    static OWN: Own = Own::take();
}

/// The calling thread's shard. A thread that is ending shares one.
#[inline]
pub(crate) fn own() -> usize {
    OWN.try_with(|own| own.0).unwrap_or(SHARED)
}

/// Replaces a word of the calling thread's shard, of which nobody else may write this word.
#[inline]
pub(crate) fn update(shard: usize, word: &AtomicU64, next: impl Fn(u64) -> u64) {
    let mut now = word.load(Ordering::Relaxed);
    if shard != SHARED {
        word.store(next(now), Ordering::Release);
        return;
    }
    while let Err(other) = word.compare_exchange_weak(now, next(now), Ordering::AcqRel, Ordering::Relaxed) {
        now = other;
    }
}
