//! Every request of a load over time: where most lie, and what percentiles hide, such as two groups that are fast and slow.

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Heat, Horizontal, Place};
use crate::figure::{self, Unit};
use crate::over_time::CHARTS;
use crate::recording::Recording;

/// Values are told apart by this many of their highest bits: finer than a cell is high.
const BITS: u32 = 5;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = recording.loads();
    let charts = loads.iter().take(CHARTS).enumerate();
    let charts: Vec<Block> = charts
        .filter_map(|(at, load)| chart(recording, at, load))
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect();
    let mut blocks = Vec::new();
    if !charts.is_empty() {
        let text = "The stronger the shade of a cell, the more requests ended in its stretch of time after about so long; shades are steps of the \
                    logarithm of their number, so that one slow request among thousands is still seen.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    blocks.extend(charts);
    blocks
}

fn chart(recording: &Recording, at: usize, load: &str) -> Option<Chart> {
    let over_time = recording.percentiles(load)?;
    let (columns, wide_us) = (&over_time.columns, over_time.wide_us);
    let requests: u64 = columns.iter().map(squall_model::counts::Counts::len).sum();
    let end_us = recording.end_us();
    (requests > 0).then(|| Chart {
        id: format!("heat-{at}"),
        title: format!("{load}: requests by response time"),
        about: format!(
            "{} requests, in columns of {}.",
            figure::count(requests),
            figure::duration(wide_us as f64)
        ),
        x: Horizontal::Time { end_us },
        unit: Unit::Duration,
        lines: Vec::new(),
        heat: Some(Heat {
            wide: wide_us as f64 / end_us as f64,
            columns: columns.iter().map(|counts| coarse(counts.places())).collect(),
        }),
        marks: recording.marks().clone(),
        place: Place::Whole,
    })
}

/// Values that agree in their highest bits, as one.
fn coarse(places: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut coarse: Vec<(u64, u64)> = Vec::new();
    for (value, count) in places {
        let low = u64::BITS.saturating_sub(value.leading_zeros() + BITS);
        let value = value >> low << low;
        match coarse.last_mut() {
            Some((last, sum)) if *last == value => *sum = sum.saturating_add(*count),
            _ => coarse.push((value, *count)),
        }
    }
    coarse
}

#[cfg(test)]
mod tests {
    use super::coarse;

    #[test]
    fn values_close_to_each_other_are_one_and_none_is_lost() {
        let places = [
            (0, 1),
            (31, 2),
            (32, 3),
            (33, 4),
            (1_000, 5),
            (1_023, 6),
            (1_024, 7),
        ];
        assert_eq!(coarse(&places), [(0, 1), (31, 2), (32, 7), (992, 11), (1_024, 7)]);
    }
}
