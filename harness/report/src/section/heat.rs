//! Every request of a load over time: where most lie, and what percentiles hide, such as two groups that are fast and slow.

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Heat, Horizontal, Place};
use crate::figure::{self, Unit};
use crate::over_time::CHARTS;
use crate::recording::Recording;

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
    let columns = &recording.percentiles(load)?.columns;
    let values = columns.values();
    let counts = values.iter().flatten().map(|(_, count)| *count);
    let requests = counts.fold(0, u64::saturating_add);
    let end_us = recording.end_us();
    (requests > 0).then(|| Chart {
        id: format!("heat-{at}"),
        title: format!("{load}: requests by response time"),
        about: format!(
            "{} requests, in columns of {}.",
            figure::count(requests),
            figure::duration(columns.wide_us as f64)
        ),
        x: Horizontal::Time { end_us },
        unit: Unit::Duration,
        lines: Vec::new(),
        heat: Some(Heat {
            wide: columns.wide_us as f64 / end_us as f64,
            columns: values,
        }),
        marks: recording.marks().clone(),
        place: Place::Whole,
    })
}
