//! Latency samples on their way to a histogram: cheap to record, cheap to hand over.
//!
//! A [`Recorder`] has the bucket layout of `HdrHistogram` with a lowest value of 1 us and three significant digits. It lists the buckets it has
//! touched, so that handing over 100 ms of samples costs as much as there were distinct values, not the 23,552 buckets that
//! a whole histogram has. Nothing here may round in another way than `HdrHistogram` would.

use hdrhistogram::Histogram;
use squall_model::histogram::{HIGHEST_US, SIGNIFICANT_DIGITS, record};

/// The lowest value told apart; anything below counts as this.
pub const LOWEST_US: u64 = 1;

/// Linear buckets in the first power of two: the next one above `2 * 10^SIGNIFICANT_DIGITS`.
const SUB_BUCKETS: u64 = 2048;
const SUB_BUCKETS_HALF: u64 = SUB_BUCKETS / 2;
const SUB_BUCKET_BITS: u32 = SUB_BUCKETS_HALF.trailing_zeros();
const BUCKETS: usize = bucket_of(HIGHEST_US) + 1;

const _: () = assert!(
    SIGNIFICANT_DIGITS == 3,
    "the layout below is that of three digits"
);

/// The index of the bucket that holds `value_us`, as `HdrHistogram` counts them: 2,048 of width one, then 1,024 for each
/// further power of two.
#[inline]
const fn bucket_of(value_us: u64) -> usize {
    let power = (value_us | (SUB_BUCKETS - 1)).ilog2() - SUB_BUCKET_BITS;
    (power as u64 * SUB_BUCKETS_HALF + (value_us >> power)) as usize
}

/// The lowest value that falls into bucket `index`.
const fn lowest_of(index: u64) -> u64 {
    if index < SUB_BUCKETS {
        return index;
    }
    let power = index / SUB_BUCKETS_HALF - 1;
    (index - power * SUB_BUCKETS_HALF) << power
}

/// Collects samples of one kind (response time, service time or lag).
#[derive(Debug)]
pub struct Recorder {
    counts: Box<[u32]>,
    touched: Vec<u32>,
    saturated: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// An empty recorder; about 92 KiB.
    pub fn new() -> Recorder {
        Recorder {
            counts: vec![0; BUCKETS].into_boxed_slice(),
            touched: Vec::with_capacity(1024),
            saturated: 0,
        }
    }

    /// Records a duration in nanoseconds, rounded down to a microsecond.
    #[inline]
    pub fn record_ns(&mut self, value_ns: u64) {
        self.record_us(value_ns / 1_000);
    }

    /// Records a value in microseconds.
    #[inline]
    pub fn record_us(&mut self, value_us: u64) {
        if value_us > HIGHEST_US {
            self.saturated += 1;
        }
        let index = bucket_of(value_us.clamp(LOWEST_US, HIGHEST_US));
        let count = &mut self.counts[index];
        if *count == 0 {
            self.touched.push(index as u32);
        }
        // Between two hand-overs of 100 ms a bucket would need 42 billion samples a second to overflow.
        *count = count.saturating_add(1);
    }

    /// What was recorded since the last call; the recorder is empty afterwards.
    pub fn take(&mut self) -> Samples {
        self.touched.sort_unstable();
        let buckets = self.touched.drain(..).map(|index| {
            let count = std::mem::take(&mut self.counts[index as usize]);
            (lowest_of(u64::from(index)) as u32, count)
        });
        Samples {
            buckets: buckets.collect(),
            saturated: std::mem::take(&mut self.saturated),
        }
    }
}

/// Samples in the sparse form in which they leave the generator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Lowest value of each bucket in microseconds, rising, with the number of samples in it.
    buckets: Box<[(u32, u32)]>,
    /// Samples above [`HIGHEST_US`], recorded as that.
    pub saturated: u64,
}

impl Samples {
    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&(_, count)| u64::from(count)).sum()
    }

    /// The lowest value of the highest bucket that holds a sample, in microseconds.
    pub fn max_us(&self) -> Option<u64> {
        self.buckets.last().map(|&(value_us, _)| u64::from(value_us))
    }

    /// Each bucket's lowest value in microseconds with its number of samples, rising.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets
            .iter()
            .map(|&(value_us, count)| (u64::from(value_us), u64::from(count)))
    }

    /// Adds the samples to `histogram`, made by [`squall_model::histogram::empty`] or [`squall_model::histogram::growing`].
    pub fn add_to(&self, histogram: &mut Histogram<u64>) {
        for &(value_us, count) in &self.buckets {
            record(histogram, u64::from(value_us), u64::from(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use squall_model::histogram::empty;

    #[test]
    fn buckets_cover_all_values_without_gap() {
        let mut value_us = 0;
        for index in 0..BUCKETS as u64 {
            assert_eq!(lowest_of(index), value_us, "bucket {index}");
            assert_eq!(bucket_of(value_us) as u64, index, "value {value_us}");
            value_us = lowest_of(index + 1);
            assert_eq!(bucket_of(value_us - 1) as u64, index, "value {}", value_us - 1);
        }
        assert!(value_us > HIGHEST_US);
    }

    #[test]
    fn values_out_of_range_are_kept_at_its_ends_and_counted() {
        let mut recorder = Recorder::new();
        for value_us in [0, 1, HIGHEST_US, HIGHEST_US + 1, u64::MAX] {
            recorder.record_us(value_us);
        }
        let samples = recorder.take();
        assert_eq!((samples.count(), samples.saturated), (5, 2));
        let mut histogram = empty();
        samples.add_to(&mut histogram);
        assert_eq!(histogram.len(), 5);
        assert_eq!((histogram.count_at(1), histogram.count_at(HIGHEST_US)), (2, 3));
        assert_eq!(recorder.take(), Samples::default(), "empty after it was taken");
    }

    proptest! {
        #[test]
        fn samples_end_in_the_same_histogram_as_values_recorded_directly(
            values in proptest::collection::vec(prop_oneof![1..5_000_u64, 1..HIGHEST_US], 0..300)
        ) {
            let (mut recorder, mut direct, mut through) = (Recorder::new(), empty(), empty());
            for &value_us in &values {
                direct.record(value_us).unwrap();
                recorder.record_us(value_us);
            }
            recorder.take().add_to(&mut through);
            prop_assert_eq!(direct, through);
        }
    }
}
