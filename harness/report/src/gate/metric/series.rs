//! The blocks of one metric in a row.
//!
//! Where a quantile is taken from is chosen once, by the blocks of the pilot, and holds for those that follow: a metric must not change
//! its meaning half way. It goes by how many requests there are, never by how long they took.

use squall_model::gate::Both;

use super::super::quantile::{self, Source};
use super::{Latency, MetricId, Paired, Reading, Readings};

/// A metric over the blocks that count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What was measured, absent where a block has none.
    pub values: Vec<Option<Both<f64>>>,
    /// The changes, on the axis of the test.
    pub changes: Vec<Option<f64>>,
    /// Why blocks have none: the first reason; empty where all have one.
    pub why_not: String,
}

impl Series {
    /// The changes of the first `blocks` blocks that have one.
    pub fn until(&self, blocks: usize) -> Vec<f64> {
        let blocks = &self.changes[..blocks.min(self.changes.len())];
        blocks.iter().flatten().copied().collect()
    }
}

/// Of the metric `id`, where the first `pilot` blocks say where a quantile is taken from.
pub fn series(blocks: &[Readings], id: &MetricId, pilot: usize) -> Series {
    let source = source(&blocks[..pilot.min(blocks.len())], id);
    let mut series = Series::default();
    for readings in blocks {
        let paired = match readings.get(id) {
            Some(Reading::Paired(paired)) => Ok(paired.clone()),
            Some(Reading::Latency(latency)) => source.clone().and_then(|source| taken(latency, source)),
            Some(Reading::Absent(why)) => Err(why.clone()),
            None => Err("not in every block".to_owned()),
        };
        if let Err(why) = &paired
            && series.why_not.is_empty()
        {
            series.why_not.clone_from(why);
        }
        let paired = paired.ok();
        series.changes.push(paired.as_ref().map(|paired| paired.change));
        series.values.push(paired.map(|paired| paired.values));
    }
    series
}

/// Of a metric that is no quantile, the block, which nothing asks for.
fn source(pilot: &[Readings], id: &MetricId) -> Result<Source, String> {
    let latencies = || {
        pilot.iter().filter_map(|readings| match readings.get(id) {
            Some(Reading::Latency(latency)) => Some(latency),
            _ => None,
        })
    };
    let Some(quantile) = latencies().next().map(|latency| latency.quantile) else {
        return Ok(Source::Block);
    };
    let slices = latencies().map(|latency| latency.slices.iter().map(|slice| slice.requests).min());
    let block = latencies().map(|latency| latency.block.requests).min();
    // One that has no slices is not taken from them.
    let slice = slices.map(Option::unwrap_or_default).min();
    quantile::source(quantile, slice.unwrap_or_default(), block.unwrap_or_default())
        .map_err(|error| error.to_string())
}

/// After the pilot a pair of slices may hold fewer requests than it takes: it is left out, and the block where fewer than half are left.
fn taken(latency: &Latency, source: Source) -> Result<Paired, String> {
    let too_few = || {
        let needed = quantile::needed(latency.quantile).unwrap_or(u64::MAX);
        format!("fewer than {needed} requests where it is taken from")
    };
    match source {
        Source::Block => latency.block.paired.clone().ok_or_else(too_few),
        Source::Slices => {
            let told: Vec<Paired> = latency
                .slices
                .iter()
                .filter_map(|slice| slice.paired.clone())
                .collect();
            if told.len() * 2 < latency.slices.len() {
                return Err(too_few());
            }
            Paired::median(&told).ok_or_else(too_few)
        }
    }
}
