//! Counts over a sliding window: Sentinel's leap array, on atomics alone.
//!
//! Time is cut into buckets of equal length, aligned at zero of the clock. A window is the bucket of now and the ones
//! just before it. Bucket `b` lives in cell `b mod kept`, and each word holds the number of its bucket next to the count, so
//! that counting in a cell and taking it over from an older bucket are one compare-and-swap, and nothing is ever
//! cleared in two steps. Sentinel's `LeapArray` takes a lock to reset a bucket and can lose what is counted meanwhile.
//!
//! Each thread counts in a shard of its own; a sum adds the shards up. A sum taken while others count may miss what they
//! count at that moment.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::shard::{self, Line, SHARDS};

/// Nanoseconds in a millisecond.
pub(crate) const NS_PER_MS: u64 = 1_000_000;
/// The shortest bucket, in milliseconds. Bucket numbers would repeat too soon with shorter ones.
pub const BUCKET_MS_MIN: u32 = 10;
/// The most buckets that a window may have.
pub const BUCKETS_MAX: u32 = 60;

/// How a window is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    bucket_ms: u32,
    buckets: u32,
}

impl Span {
    /// One second in two buckets, as Sentinel has it.
    pub const SECOND: Self = Self {
        bucket_ms: 500,
        buckets: 2,
    };

    /// A window of so many milliseconds in so many buckets. `None` unless the buckets are 1 to [`BUCKETS_MAX`], divide the
    /// window evenly and are at least [`BUCKET_MS_MIN`] long.
    pub fn new(interval_ms: u32, buckets: u32) -> Option<Self> {
        let fits = (1..=BUCKETS_MAX).contains(&buckets)
            && interval_ms.is_multiple_of(buckets)
            && interval_ms / buckets >= BUCKET_MS_MIN;
        fits.then(|| Self {
            bucket_ms: interval_ms / buckets,
            buckets,
        })
    }

    /// The number of the bucket that this time is in.
    #[inline]
    pub fn bucket(self, now_ns: u64) -> u64 {
        // In two steps: the first is a multiplication, and what is left fits 32 bits for seven weeks, where a division is cheap.
        now_ns / NS_PER_MS / u64::from(self.bucket_ms)
    }

    /// When a bucket begins, in nanoseconds.
    pub(crate) fn begins_ns(self, bucket: u64) -> u64 {
        bucket.saturating_mul(u64::from(self.bucket_ms) * NS_PER_MS)
    }

    /// How many buckets the window has.
    pub fn buckets(self) -> u32 {
        self.buckets
    }

    /// How long the window is, in nanoseconds.
    pub fn interval_ns(self) -> u64 {
        u64::from(self.bucket_ms) * NS_PER_MS * u64::from(self.buckets)
    }

    /// The first bucket of the window that ends with `bucket`.
    fn first(self, bucket: u64) -> u64 {
        (bucket + 1).saturating_sub(u64::from(self.buckets))
    }
}

/// How many words a cache line pair holds.
const WORDS: usize = 16;
/// Bits of a word that count; the rest are the bucket's number. 36 bits hold 19 hours of response time in microseconds.
const COUNT_BITS: u32 = 36;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const EPOCH_MASK: u64 = u64::MAX >> COUNT_BITS;

/// Counts of several kinds over one window.
#[derive(Debug)]
pub struct SlidingWindow<const KINDS: usize> {
    span: Span,
    /// A power of two, so that finding a cell divides nothing.
    kept: u64,
    /// How much is added to the number of each bucket.
    skipped: AtomicU64,
    lines_per_shard: usize,
    lines: Box<[Line<[AtomicU64; WORDS]>]>,
}

impl<const KINDS: usize> SlidingWindow<KINDS> {
    /// An empty window.
    pub fn new(span: Span) -> Self {
        // Twice as many as the window has: the window before this one can be read too.
        let kept = (u64::from(span.buckets) * 2).next_power_of_two();
        let lines_per_shard = (kept as usize * KINDS).div_ceil(WORDS);
        let lines = (0..lines_per_shard * SHARDS).map(|_| Line::default()).collect();
        Self {
            span,
            kept,
            skipped: AtomicU64::new(0),
            lines_per_shard,
            lines,
        }
    }

    /// How it is cut.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Counts so much of each of these kinds in this bucket.
    #[inline]
    pub fn add<const N: usize>(&self, bucket: u64, amounts: [(usize, u64); N]) {
        let shard = shard::own();
        let bucket = bucket + self.skipped.load(Ordering::Acquire);
        let epoch = bucket & EPOCH_MASK;
        for (kind, amount) in amounts {
            shard::update(shard, self.cell(shard, bucket, kind), |word| {
                let (of, count) = (word >> COUNT_BITS, word & COUNT_MAX);
                if is_before(of, epoch) {
                    epoch << COUNT_BITS | amount.min(COUNT_MAX)
                } else {
                    // Of this bucket, or of a later one if this thread was held up: then it counts there.
                    of << COUNT_BITS | (count + amount).min(COUNT_MAX)
                }
            });
        }
    }

    /// What was counted of a kind in the window that ends with this bucket.
    pub fn sum(&self, bucket: u64, kind: usize) -> u64 {
        self.sum_between(self.span.first(bucket), bucket, kind)
    }

    /// What was counted in the last whole window before this bucket, windows being laid end to end from zero of the clock.
    /// With [`Span::SECOND`] that is the last whole second, Sentinel's `previousPassQps`.
    pub fn sum_of_previous(&self, bucket: u64, kind: usize) -> u64 {
        let buckets = u64::from(self.span.buckets);
        match (bucket / buckets * buckets).checked_sub(buckets) {
            Some(first) => self.sum_between(first, first + buckets - 1, kind),
            None => 0,
        }
    }

    /// Forgets everything: from now on buckets have numbers that put all earlier ones out of the window.
    pub fn clear(&self) {
        self.skipped.fetch_add(self.kept, Ordering::AcqRel);
    }

    fn sum_between(&self, first: u64, last: u64, kind: usize) -> u64 {
        let skipped = self.skipped.load(Ordering::Acquire);
        let mut sum = 0;
        for bucket in first + skipped..=last + skipped {
            for shard in 0..SHARDS {
                let word = self.cell(shard, bucket, kind).load(Ordering::Acquire);
                if word >> COUNT_BITS == bucket & EPOCH_MASK {
                    sum += word & COUNT_MAX;
                }
            }
        }
        sum
    }

    #[inline]
    fn cell(&self, shard: usize, bucket: u64, kind: usize) -> &AtomicU64 {
        let at = (bucket & (self.kept - 1)) as usize * KINDS + kind;
        &self.lines[shard * self.lines_per_shard + at / WORDS].0[at % WORDS]
    }
}

/// A thread is held up for at most so many buckets. What seems to be further ahead is of an earlier round of the numbers, or was never
/// written. In the last so many buckets of a round, four years long where a bucket is half a second, what was never written seems to be
/// ahead: what is counted there then is not seen.
const LATE_MAX: u64 = 1 << 16;

/// Whether one bucket's number comes before another's, which stays right when the numbers start over.
#[inline]
fn is_before(one: u64, other: u64) -> bool {
    one.wrapping_sub(other) & EPOCH_MASK > LATE_MAX
}

#[cfg(test)]
mod tests {
    use super::{SlidingWindow, Span};

    #[test]
    fn a_new_window_counts_at_any_time_of_the_clock() {
        for bucket in [0, 1, 1 << 16, (1 << 27) - 1, 1 << 27, (1 << 27) + 5, 1 << 28] {
            let window = SlidingWindow::<2>::new(Span::SECOND);
            window.add(bucket, [(1, 1)]);
            assert_eq!(window.sum(bucket, 1), 1, "bucket {bucket}");
        }
    }

    #[test]
    fn a_window_holds_its_buckets_and_forgets_older_ones() {
        let window = SlidingWindow::<2>::new(Span::SECOND);
        for (bucket, amount) in [(10, 1), (11, 2), (12, 4), (13, 8)] {
            window.add(bucket, [(1, amount)]);
        }
        let sums: Vec<u64> = (10..17).map(|bucket| window.sum(bucket, 1)).collect();
        assert_eq!(sums, [1, 3, 6, 12, 8, 0, 0]);
        assert_eq!(window.sum(13, 0), 0, "another kind is another count");
    }

    #[test]
    fn the_previous_window_is_the_last_whole_one() {
        let window = SlidingWindow::<1>::new(Span::SECOND);
        window.add(2, [(0, 5)]);
        window.add(3, [(0, 7)]);
        let previous: Vec<u64> = (2..8).map(|bucket| window.sum_of_previous(bucket, 0)).collect();
        assert_eq!(previous, [0, 0, 12, 12, 0, 0]);
    }

    #[test]
    fn a_bucket_that_takes_a_cell_over_starts_from_nothing() {
        let window = SlidingWindow::<1>::new(Span::SECOND);
        window.add(1, [(0, 100)]);
        window.add(1 + 4, [(0, 1)]);
        assert_eq!(window.sum(5, 0), 1);
        window.add(1, [(0, 1)]);
        assert_eq!(
            window.sum(5, 0),
            2,
            "who is late counts in the bucket that is there now"
        );
    }

    #[test]
    fn what_is_cleared_is_gone_and_what_comes_after_counts() {
        let window = SlidingWindow::<1>::new(Span::SECOND);
        window.add(6, [(0, 3)]);
        window.add(7, [(0, 4)]);
        window.clear();
        assert_eq!(window.sum(7, 0), 0);
        window.add(7, [(0, 5)]);
        assert_eq!((window.sum(7, 0), window.sum(8, 0), window.sum(9, 0)), (5, 5, 0));
    }

    #[test]
    fn only_windows_that_divide_evenly_are_cut() {
        assert_eq!(Span::new(1000, 2), Some(Span::SECOND));
        for (interval_ms, buckets) in [(1000, 0), (1000, 3), (1000, 101), (50, 10), (0, 1)] {
            assert_eq!(
                Span::new(interval_ms, buckets),
                None,
                "{interval_ms} ms in {buckets}"
            );
        }
    }
}
