//! How long requests took: P50, P99 and P99.9 of each load that is not a closed loop.
//!
//! A closed loop sends when the last answer came, so its latencies leave out what waited meanwhile; its throughput is told instead.

use squall_model::counts::{Counts, Decoder};
use squall_model::gate::{MetricKind, StretchLoad};

use super::super::quantile;
use super::{MetricId, Pair, Paired, Reading, Readings, loads};

/// A quantile and how many requests it is of: those of the arm that had fewer.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Requests.
    pub requests: u64,
    /// Absent where too few for this quantile.
    pub paired: Option<Paired>,
}

/// A quantile in one block, by both ways to take it.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Which one, 0 to 1.
    pub quantile: f64,
    /// Of each pair of slices; empty for one that is only ever taken from the block.
    pub slices: Vec<Held>,
    /// Of all slices merged.
    pub block: Held,
}

/// The quantiles, and whether slices may tell them. P99.9 has so few requests above it that it is of the whole block.
const QUANTILES: [(MetricKind, f64, bool); 3] = [
    (MetricKind::P50, 0.5, true),
    (MetricKind::P99, 0.99, true),
    (MetricKind::P999, 0.999, false),
];

pub(super) fn read(slices: &[Pair<'_>], readings: &mut Readings) {
    let mut decoder = Decoder::default();
    for name in loads(slices) {
        let of_load: Vec<(&StretchLoad, &StretchLoad)> = slices
            .iter()
            .filter_map(|pair| Some((pair.base.load.get(name)?, pair.candidate.load.get(name)?)))
            .collect();
        if of_load
            .iter()
            .any(|(base, candidate)| base.closed || candidate.closed)
        {
            continue;
        }
        let counts: Result<Vec<[Counts; 2]>, String> = of_load
            .iter()
            .map(|(base, candidate)| Ok([counts(base, &mut decoder)?, counts(candidate, &mut decoder)?]))
            .collect();
        for (kind, quantile, by_slices) in QUANTILES {
            let reading = match &counts {
                Ok(counts) => Reading::Latency(latency(counts, quantile, by_slices)),
                Err(why) => Reading::Absent(why.clone()),
            };
            readings.insert(MetricId::new(kind, name), reading);
        }
    }
}

/// A stretch without requests may have no histogram.
fn counts(load: &StretchLoad, decoder: &mut Decoder) -> Result<Counts, String> {
    if load.response.is_empty() {
        return Ok(Counts::default());
    }
    decoder.decode(&load.response).map_err(|error| error.to_string())
}

fn latency(slices: &[[Counts; 2]], quantile: f64, by_slices: bool) -> Latency {
    let mut merged = [Counts::default(), Counts::default()];
    for slice in slices {
        for (all, one) in merged.iter_mut().zip(slice) {
            all.add(one);
        }
    }
    let of_slices = slices.iter().filter(|_| by_slices);
    Latency {
        quantile,
        slices: of_slices.map(|slice| held(slice, quantile)).collect(),
        block: held(&merged, quantile),
    }
}

fn held([base, candidate]: &[Counts; 2], quantile: f64) -> Held {
    let requests = base.len().min(candidate.len());
    let needed = quantile::needed(quantile).unwrap_or(u64::MAX);
    let paired = || {
        let base = base.quantile(quantile)?;
        let candidate = candidate.quantile(quantile)?;
        // A microsecond is as fine as it is recorded.
        Some(Paired::ratio(base as f64, candidate as f64, 1.0))
    };
    Held {
        requests,
        paired: if requests >= needed { paired() } else { None },
    }
}
