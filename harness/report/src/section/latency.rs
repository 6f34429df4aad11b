//! Response time over time: percentiles and the slowest request, a chart per load.

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Place};
use crate::figure::{self, Unit};
use crate::over_time::CHARTS;
use crate::recording::Recording;
use crate::window::pieces;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = recording.loads();
    let charts: Vec<Block> = loads
        .iter()
        .take(CHARTS)
        .enumerate()
        .filter_map(|(at, load)| chart(recording, at, load))
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect();
    let mut blocks = Vec::new();
    if !charts.is_empty() {
        let text = "Each line is as fine as the data allows: where 100 ms hold too few requests for a percentile, longer \
                    stretches are merged until at least 10 lie beyond it. A missing stretch means too few requests, or none.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    blocks.extend(charts);
    if let Some(text) = left_out(loads.len()) {
        blocks.push(Block::Paragraph(text));
    }
    blocks
}

/// What to say of loads beyond the bound.
fn left_out(loads: usize) -> Option<String> {
    (loads > CHARTS).then(|| {
        format!(
            "{} more loads are not drawn; their numbers are in the tables.",
            loads - CHARTS
        )
    })
}

fn chart(recording: &Recording, at: usize, load: &str) -> Option<Chart> {
    let over_time = recording.percentiles(load)?;
    // Behind the percentiles: the slowest request of each interval is noise that must not cover them.
    let lines = [
        ("max", Ink::Extreme, &over_time.max),
        ("P50", Ink::Series(0), &over_time.p50),
        ("P90", Ink::Series(1), &over_time.p90),
        ("P99", Ink::Series(2), &over_time.p99),
        ("P99.9", Ink::Series(3), &over_time.p999),
    ];
    let mut lines: Vec<Line> = lines
        .into_iter()
        .map(|(name, ink, spans)| Line {
            label: name.to_owned(),
            ink,
            pieces: pieces(spans),
        })
        .collect();
    lines.retain(|line| line.points().next().is_some());
    let slowest = over_time.max.iter().map(|span| span.value).fold(0.0, f64::max);
    (!lines.is_empty()).then(|| Chart {
        id: format!("latency-{at}"),
        title: format!("{load}: response time"),
        about: format!(
            "Percentiles of response time over the run. The slowest took {}.",
            figure::duration(slowest)
        ),
        x: Horizontal::Time {
            end_us: recording.end_us(),
        },
        unit: Unit::Duration,
        lines,
        marks: recording.marks().clone(),
        heat: None,
        place: Place::Whole,
    })
}
