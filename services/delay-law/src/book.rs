//! What was intended for each request, and what came of it.
//!
//! | distribution | of each request, from its arrival on |
//! | --- | --- |
//! | `intended` | until it was due: the law, and whatever stall, queue or recovery the timetable planned |
//! | `held` | until its reply was written |
//! | `unread` | until it was read and understood: how late the server was to notice it |
//! | `shadow` | `held` of the requests that the server asked of itself, evenly spaced, see [`crate::server`] |
//!
//! `held` beside `intended` is the server's own error, and so what is to be subtracted from a load generator's. The server's
//! thread never waits here for whoever reads: it keeps what it can't hand over.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde_json::{Value, json};

use crate::law::Law;

/// The longest time told from longer ones: two hours.
const LONGEST_NS: u64 = 7_200_000_000_000;
/// How many samples are kept back while someone reads.
const PENDING_MAX: usize = 65_536;
/// The percentiles given, and their names.
const QUANTILES: [(&str, f64); 6] = [
    ("p50_us", 0.5),
    ("p90_us", 0.9),
    ("p95_us", 0.95),
    ("p99_us", 0.99),
    ("p999_us", 0.999),
    ("p9999_us", 0.9999),
];

/// One answered request, in nanoseconds from its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// A request that was received.
    Request {
        /// Until it was due.
        intended_ns: u64,
        /// Until its reply was written.
        held_ns: u64,
        /// Until it was read.
        unread_ns: u64,
    },
    /// One that the server asked of itself.
    Shadow {
        /// Until it would have been answered.
        held_ns: u64,
    },
}

/// The distributions.
pub struct Book(Mutex<Kept>);

struct Kept {
    intended: Histogram<u64>,
    held: Histogram<u64>,
    unread: Histogram<u64>,
    shadow: Histogram<u64>,
}

impl Book {
    /// Nothing answered yet.
    pub fn new() -> Self {
        let empty = || Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are valid");
        Self(Mutex::new(Kept {
            intended: empty(),
            held: empty(),
            unread: empty(),
            shadow: empty(),
        }))
    }

    /// Takes over `samples`, unless someone is reading at this moment: then they stay where they are, up to a bound.
    pub fn take(&self, samples: &mut Vec<Sample>) {
        let mut kept = match self.0.try_lock() {
            Ok(kept) => kept,
            Err(TryLockError::WouldBlock) if samples.len() < PENDING_MAX => return,
            Err(TryLockError::WouldBlock) => self.lock(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        for sample in samples.drain(..) {
            match sample {
                Sample::Request {
                    intended_ns,
                    held_ns,
                    unread_ns,
                } => {
                    kept.intended.saturating_record(intended_ns);
                    kept.held.saturating_record(held_ns);
                    kept.unread.saturating_record(unread_ns);
                }
                Sample::Shadow { held_ns } => kept.shadow.saturating_record(held_ns),
            }
        }
    }

    /// All of it as JSON, beside what `law` says; times in microseconds. `hdr` is the histogram, in nanoseconds:
    /// HdrHistogram V2, deflated, base64.
    pub fn json(&self, law: &Law) -> Value {
        let copies = {
            let kept = self.lock();
            [&kept.intended, &kept.held, &kept.unread, &kept.shadow].map(Clone::clone)
        };
        let [intended, held, unread, shadow] = copies.each_ref().map(distribution);
        let mut quantiles = json!({ "word": law.word() });
        for (name, q) in QUANTILES {
            quantiles[name] = json!(microseconds(law.quantile(q)));
        }
        json!({ "law": quantiles, "intended": intended, "held": held, "unread": unread, "shadow": shadow })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Book {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").finish_non_exhaustive()
    }
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e3
}

/// A distribution as JSON; what no sample tells is null.
fn distribution(histogram: &Histogram<u64>) -> Value {
    let us = |ns: u64| json!(ns as f64 / 1e3);
    let mut bytes = Vec::new();
    let hdr = V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .map(|_| base64::engine::general_purpose::STANDARD.encode(&bytes));
    let mut value = json!({ "count": histogram.len(), "hdr": hdr.ok() });
    if histogram.is_empty() {
        return value;
    }
    value["mean_us"] = json!(histogram.mean() / 1e3);
    value["min_us"] = us(histogram.min());
    value["max_us"] = us(histogram.max());
    for (name, q) in QUANTILES {
        value[name] = us(histogram.value_at_quantile(q));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::{Book, Duration, Law, Sample};

    const LAW: Law = Law::Constant {
        delay: Duration::from_millis(5),
    };

    fn sample(intended_ns: u64) -> Sample {
        Sample::Request {
            intended_ns,
            held_ns: intended_ns + 100_000,
            unread_ns: 20_000,
        }
    }

    #[test]
    fn what_came_of_requests_stands_beside_the_law() {
        let book = Book::new();
        let mut samples: Vec<Sample> = (0..1_000).map(|_| sample(5_000_000)).collect();
        samples.push(Sample::Shadow { held_ns: 7_000 });
        book.take(&mut samples);
        assert!(samples.is_empty());
        let json = book.json(&LAW);
        assert_eq!(json["law"]["word"], "constant");
        assert_eq!(json["law"]["p99_us"], 5_000.0);
        assert_eq!(
            (&json["held"]["count"], &json["shadow"]["count"]),
            (&1_000.into(), &1.into())
        );
        let held = json["held"]["p99_us"].as_f64().unwrap();
        assert!((held - 5_100.0).abs() < 5.1, "{held}");
        assert!(json["held"]["hdr"].as_str().unwrap().len() > 20);
    }

    #[test]
    fn nothing_answered_is_no_number() {
        let json = Book::new().json(&LAW);
        assert_eq!(json["held"]["count"], 0);
        assert!(json["held"]["p99_us"].is_null());
    }

    #[test]
    fn a_reader_holds_nobody_up_and_costs_no_sample() {
        let book = Book::new();
        let mut samples = vec![sample(1_000); 3];
        let reading = book.lock();
        book.take(&mut samples);
        assert_eq!(samples.len(), 3);
        drop(reading);
        book.take(&mut samples);
        assert_eq!(book.json(&LAW)["held"]["count"], 3);
    }
}
