//! Latency histograms as the run record carries them.
//!
//! Values are whole microseconds. The text form is the standard one: `HdrHistogram` V2, deflated, base64, so that any
//! `HdrHistogram` implementation re-asks a percentile, and runs merge without loss.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// The histogram used everywhere: counts of latencies in microseconds.
pub type Histogram = hdrhistogram::Histogram<u64>;

/// Significant decimal digits kept of a value.
pub const SIGNIFICANT_DIGITS: u8 = 3;

/// The longest latency that can be told from longer ones: one hour, in microseconds.
pub const HIGHEST_US: u64 = 3_600_000_000;

/// A percentile is reported only if at least this many samples lie beyond it.
pub const SAMPLES_BEYOND: f64 = 10.0;

/// An empty histogram from 1 us to one hour.
pub fn empty() -> Histogram {
    Histogram::new_with_bounds(1, HIGHEST_US, SIGNIFICANT_DIGITS).expect("the bounds are constants that fit")
}

/// An empty histogram that grows with what it holds: tens of KiB for milliseconds, where [`empty`] takes the 184 KiB of an
/// hour at once. Only for [`record`], since `saturating_record` counts a value that doesn't fit yet as one that does.
pub fn growing() -> Histogram {
    let mut histogram =
        Histogram::new_with_bounds(1, 2, SIGNIFICANT_DIGITS).expect("the bounds are constants that fit");
    histogram.auto(true);
    histogram
}

/// Records `count` times `value_us`, an hour if it is more, in [`growing`] or in [`empty`].
pub fn record(histogram: &mut Histogram, value_us: u64, count: u64) {
    histogram
        .record_n(value_us.min(HIGHEST_US), count)
        .expect("an hour fits into each of them");
}

/// All of `parts` together. One that does not fit, as only a foreign one with wider bounds, is left out.
pub fn sum(parts: impl IntoIterator<Item = Histogram>) -> Histogram {
    let mut all = empty();
    for part in parts {
        let _ = all.add(part);
    }
    all
}

/// The value at quantile `q` (0..1) in microseconds, or nothing where fewer than ten samples lie beyond it.
pub fn quantile(histogram: &Histogram, q: f64) -> Option<u64> {
    let beyond = histogram.len() as f64 * (1.0 - q);
    // A tolerance far below one sample, so that 1,000 samples carry a P99 in spite of binary fractions.
    (beyond >= SAMPLES_BEYOND - 1e-6).then(|| histogram.value_at_quantile(q))
}

/// Why an embedded histogram could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// The text is not base64.
    #[error("reading a histogram: not base64: {0}")]
    Base64(#[from] base64::DecodeError),
    /// The bytes are not an `HdrHistogram`.
    #[error("reading a histogram: not an HdrHistogram V2: {0}")]
    Format(String),
}

/// The standard text form of `histogram`.
pub fn encode(histogram: &Histogram) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a Vec takes every byte");
    STANDARD.encode(bytes)
}

/// Reads what [`encode`] wrote, or what another implementation did.
pub fn decode(text: &str) -> Result<Histogram, HistogramError> {
    let bytes = STANDARD.decode(text)?;
    let mut histogram: Histogram = Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|e| HistogramError::Format(e.to_string()))?;
    // So that whatever else was recorded can be added to it.
    histogram.auto(true);
    Ok(histogram)
}

/// A latency distribution in numbers, with the histogram they were read from. Durations in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Samples recorded.
    pub count: u64,
    /// Arithmetic mean; absent without samples.
    pub mean: Option<f64>,
    /// Smallest sample.
    pub min: Option<u64>,
    /// Percentiles; absent where fewer than ten samples lie beyond.
    pub p50: Option<u64>,
    /// 90th percentile.
    pub p90: Option<u64>,
    /// 95th percentile.
    pub p95: Option<u64>,
    /// 99th percentile.
    pub p99: Option<u64>,
    /// 99.9th percentile.
    pub p999: Option<u64>,
    /// 99.99th percentile.
    pub p9999: Option<u64>,
    /// Largest sample.
    pub max: Option<u64>,
    /// Standard deviation.
    pub stddev: Option<f64>,
    /// The histogram, see [`encode`].
    pub hdr: String,
}

impl Distribution {
    /// Reads the numbers off `histogram`.
    pub fn of(histogram: &Histogram) -> Distribution {
        let some = !histogram.is_empty();
        Distribution {
            count: histogram.len(),
            mean: some.then(|| histogram.mean()),
            min: some.then(|| histogram.min()),
            p50: quantile(histogram, 0.50),
            p90: quantile(histogram, 0.90),
            p95: quantile(histogram, 0.95),
            p99: quantile(histogram, 0.99),
            p999: quantile(histogram, 0.999),
            p9999: quantile(histogram, 0.9999),
            max: some.then(|| histogram.max()),
            stddev: some.then(|| histogram.stdev()),
            hdr: encode(histogram),
        }
    }

    /// The histogram the numbers were read from.
    pub fn histogram(&self) -> Result<Histogram, HistogramError> {
        if self.hdr.is_empty() {
            Ok(empty())
        } else {
            decode(&self.hdr)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = empty();
        values.into_iter().for_each(|v| histogram.saturating_record(v));
        histogram
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let table = [
            (19, 0.5, false),
            (20, 0.5, true),
            (999, 0.99, false),
            (1_000, 0.99, true),
            (9_999, 0.999, false),
        ];
        for (samples, q, present) in table {
            assert_eq!(
                quantile(&of(1..=samples), q).is_some(),
                present,
                "{samples} samples at {q}"
            );
        }
    }

    #[test]
    fn a_histogram_survives_its_text_form() {
        let histogram = of([1, 50, 50, 7_777, HIGHEST_US]);
        assert_eq!(decode(&encode(&histogram)).unwrap(), histogram);
        assert_eq!(Distribution::of(&histogram).histogram().unwrap(), histogram);
    }

    #[test]
    fn histograms_add_up_in_any_order_whatever_they_hold() {
        let mut short = growing();
        record(&mut short, 3, 1);
        record(&mut short, 900, 1);
        let mut long = growing();
        record(&mut long, u64::MAX, 1);
        let fixed = of([3, 900, HIGHEST_US]);
        for (first, second) in [(&short, &long), (&long, &short)] {
            let mut both = decode(&encode(first)).unwrap();
            both.add(second).unwrap();
            assert_eq!((both.len(), both.min(), both.max()), (3, 3, fixed.max()));
            assert_eq!(both.value_at_quantile(0.5), 900);
        }
        assert!(
            short.distinct_values() * 4 < fixed.distinct_values(),
            "it takes less room"
        );
    }

    #[test]
    fn no_samples_give_no_numbers() {
        let none = Distribution::of(&empty());
        assert_eq!((none.count, none.mean, none.max, none.p50), (0, None, None, None));
    }
}
