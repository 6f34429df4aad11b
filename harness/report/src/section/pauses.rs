//! Pauses over time: the longest stretch in which a service could run and did not, a line per service.

use std::collections::BTreeMap;

use super::Detail;
use super::latency::pieces;
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line};
use crate::figure::{self, Unit};
use crate::marks::marks;
use crate::recording::Recording;
use crate::window::Span;

/// The most services drawn, those with the longest pauses.
const LINES: usize = 7;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    chart(recording)
        .map(|chart| Block::Chart(Box::new(chart)))
        .into_iter()
        .collect()
}

fn chart(recording: &Recording) -> Option<Chart> {
    let mut by_service: BTreeMap<&str, Vec<Span>> = BTreeMap::new();
    for row in recording.service_rows() {
        if let Some(max) = row.pause_max {
            let span = Span {
                start_us: row.start_us,
                end_us: row.end_us,
                value: max as f64,
            };
            by_service.entry(&row.service).or_default().push(span);
        }
    }
    let longest = |spans: &[Span]| spans.iter().map(|span| span.value).fold(0.0, f64::max);
    let mut services: Vec<(&str, Vec<Span>)> = by_service.into_iter().collect();
    services.sort_by(|a, b| longest(&b.1).total_cmp(&longest(&a.1)).then(a.0.cmp(b.0)));
    let (worst, spans) = services.first()?;
    let about = format!(
        "The longest pause in each interval, per service. The longest of all was {} in {worst}.{}",
        figure::duration(longest(spans)),
        match services.len().saturating_sub(LINES) {
            0 => String::new(),
            n => format!(" {n} more services with shorter pauses are not drawn."),
        }
    );
    let lines = services
        .iter()
        .take(LINES)
        .enumerate()
        .map(|(at, (service, spans))| Line {
            label: (*service).to_owned(),
            ink: Ink::Series(at as u8),
            pieces: pieces(spans),
        });
    Some(Chart {
        id: "pauses".to_owned(),
        title: "Longest pause".to_owned(),
        about,
        x: Horizontal::Time {
            end_us: recording.end_us(),
        },
        unit: Unit::Duration,
        lines: lines.collect(),
        marks: marks(recording),
    })
}
