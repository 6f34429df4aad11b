//! Words that threads write without getting into each other's way.
//!
//! Each thread is given one of a few shards for life. Two threads may share one: what is built on shards must be right
//! then too, only slower.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many shards there are of whatever is sharded.
pub(crate) const SHARDS: usize = 8;

/// A value with cache lines of its own. Two of 64 bytes, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// The calling thread's shard.
#[inline]
pub(crate) fn own() -> usize {
    /// Deals out the shards in turn. It decides nothing but which memory a thread writes to.
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const NONE: usize = usize::MAX;
    thread_local! {
        static OWN: Cell<usize> = const { Cell::new(NONE) };
    }
    let known = OWN.get();
    if known != NONE {
        return known;
    }
    let shard = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    OWN.set(shard);
    shard
}
