//! Measured numbers by where, of what, and which.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};

use crate::expression::Dimension;

/// Where a number stands: `steady`, `refresh`, `service.p99`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// A phase, a fault's name, or `run`.
    pub scope: String,
    /// What it is of: a load, a service, a fault, or `edge.A->B`.
    pub of: String,
    /// Which number of that: `p99`, `pauses.max`.
    pub metric: String,
}

impl Key {
    /// As expectations write it: `refresh.service.p99`.
    pub fn path(&self) -> String {
        format!("{}.{}", self.of, self.metric)
    }

    /// What it measures.
    pub fn dimension(&self) -> Dimension {
        dimension(&self.metric)
    }
}

/// What a metric with this name or path measures. The name says it, so that a file does not have to.
pub fn dimension(name: &str) -> Dimension {
    let mut segments = name.rsplit('.');
    let last = segments.next().unwrap_or_default();
    if segments.next() == Some("metrics") {
        return Dimension::Number;
    }
    match last {
        "errors" | "achieved" => Dimension::Ratio,
        "throughput" | "connections_per_s_max" => Dimension::Rate,
        "rss_max" | "bytes" => Dimension::Bytes,
        "requests_per_call" => Dimension::Number,
        "sent"
        | "completed"
        | "failed"
        | "dropped"
        | "threads_max"
        | "descriptors_max"
        | "voluntary_switches"
        | "involuntary_switches"
        | "restarts"
        | "connections"
        | "count" => Dimension::Count,
        _ => Dimension::Duration,
    }
}

/// Numbers by scope, by what they are of, and by metric; durations in microseconds, ratios 0..1, rates per second, sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Values(BTreeMap<String, BTreeMap<String, BTreeMap<String, Number>>>);

/// A number that is written without a point where it has nothing behind it, which most have not: files stay short.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(transparent)]
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < WHOLE_MAX {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

/// Whole numbers below this are exact.
const WHOLE_MAX: f64 = 1e15;

/// Digits that are kept: histograms hold three, means and rates do not carry more than six.
const DIGITS: i32 = 6;

impl Values {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number at `key`.
    pub fn get(&self, key: &Key) -> Option<f64> {
        self.0
            .get(&key.scope)?
            .get(&key.of)?
            .get(&key.metric)
            .map(|number| number.0)
    }

    /// Puts a number there, to six significant digits; one that is not finite is left out.
    pub fn put(&mut self, key: Key, value: f64) {
        if !value.is_finite() {
            return;
        }
        let of = self.0.entry(key.scope).or_default();
        of.entry(key.of)
            .or_default()
            .insert(key.metric, Number(rounded(value)));
    }

    /// All of them, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, f64)> {
        self.0.iter().flat_map(|(scope, of)| {
            of.iter().flat_map(move |(of, metrics)| {
                metrics.iter().map(move |(metric, value)| {
                    let key = Key {
                        scope: scope.clone(),
                        of: of.clone(),
                        metric: metric.clone(),
                    };
                    (key, value.0)
                })
            })
        })
    }

    /// The median of each number that all of `runs` have. What one of them lacks is not known of all.
    pub fn medians(runs: &[&Values]) -> Values {
        let mut medians = Values::default();
        let Some((first, others)) = runs.split_first() else {
            return medians;
        };
        for (key, value) in first.iter() {
            let others: Option<Vec<f64>> = others.iter().map(|run| run.get(&key)).collect();
            if let Some(mut all) = others {
                all.push(value);
                medians.put(key, median(&mut all));
            }
        }
        medians
    }
}

/// The median of at least one number.
fn median(all: &mut [f64]) -> f64 {
    all.sort_by(f64::total_cmp);
    let upper = all[all.len() / 2];
    if all.len().is_multiple_of(2) {
        f64::midpoint(all[all.len() / 2 - 1], upper)
    } else {
        upper
    }
}

fn rounded(value: f64) -> f64 {
    if value == 0.0 || (value.fract() == 0.0 && value.abs() < WHOLE_MAX) {
        return value;
    }
    let place = DIGITS - 1 - value.abs().log10().floor() as i32;
    if !(-300..=300).contains(&place) {
        return value;
    }
    let scale = 10f64.powi(place);
    (value * scale).round() / scale
}
