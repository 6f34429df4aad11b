//! Response time over time: percentiles and the slowest request, a chart per load.

use squall_model::hlog::Kind;
use squall_model::series::{LoadRow, RowLatency};

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Part};
use crate::figure::{self, Unit};
use crate::marks::{edges, marks};
use crate::recording::Recording;
use crate::window::{Span, decoded, from_rows, largest, widened};

/// The most loads that get a chart of their own.
pub(crate) const CHARTS: usize = 12;

/// The field of a row that holds a percentile.
type OfRow = fn(&RowLatency) -> Option<u64>;

/// Name, quantile, field of a row.
const PERCENTILES: [(&str, f64, OfRow); 4] = [
    ("P50", 0.5, |row| row.p50),
    ("P90", 0.9, |row| row.p90),
    ("P99", 0.99, |row| row.p99),
    ("P99.9", 0.999, |row| row.p999),
];

/// Spans this long are drawn as steps: a point in the middle would hide how long they are.
const STEP_US: u64 = 500_000;

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
pub(crate) fn left_out(loads: usize) -> Option<String> {
    (loads > CHARTS).then(|| {
        format!(
            "{} more loads are not drawn; their numbers are in the tables.",
            loads - CHARTS
        )
    })
}

fn chart(recording: &Recording, at: usize, load: &str) -> Option<Chart> {
    let marks = marks(recording);
    let edges = edges(&marks);
    let rows: Vec<&LoadRow> = recording.load_rows(load).collect();
    let intervals = decoded(
        recording.intervals.get(load).map_or(&[][..], Vec::as_slice),
        Kind::Response,
    );
    let mut lines = Vec::new();
    for (ink, (name, q, of)) in PERCENTILES.into_iter().enumerate() {
        let spans = from_rows(&rows, of).unwrap_or_else(|| widened(&intervals, q, &edges));
        lines.push(Line {
            label: name.to_owned(),
            ink: Ink::Series(ink as u8),
            pieces: pieces(&spans),
        });
    }
    let max = from_rows(&rows, |row| row.max).unwrap_or_else(|| largest(&intervals));
    // Behind the percentiles: the slowest request of each interval is noise that must not cover them.
    lines.insert(
        0,
        Line {
            label: "max".to_owned(),
            ink: Ink::Extreme,
            pieces: pieces(&max),
        },
    );
    lines.retain(|line| line.points().next().is_some());
    let slowest = max.iter().map(|span| span.value).fold(0.0, f64::max);
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
        marks,
        part: Part::Whole,
    })
}

/// P99 over time, as fine as the data allows.
pub(super) fn p99(recording: &Recording, load: &str) -> Vec<Vec<(f64, f64)>> {
    let rows: Vec<&LoadRow> = recording.load_rows(load).collect();
    let spans = from_rows(&rows, |row| row.p99).unwrap_or_else(|| {
        let intervals = recording.intervals.get(load).map_or(&[][..], Vec::as_slice);
        widened(
            &decoded(intervals, Kind::Response),
            0.99,
            &edges(&marks(recording)),
        )
    });
    pieces(&spans)
}

/// Spans as pieces of a line; a gap ends a piece.
pub(crate) fn pieces(spans: &[Span]) -> Vec<Vec<(f64, f64)>> {
    let mut pieces: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut previous: Option<&Span> = None;
    for span in spans {
        let length = span.end_us - span.start_us;
        let joined = previous
            .is_some_and(|p| span.start_us <= p.end_us + length.min(p.end_us - p.start_us).min(STEP_US) / 2);
        if !joined {
            pieces.push(Vec::new());
        }
        if let Some(piece) = pieces.last_mut() {
            if length >= STEP_US {
                piece.extend([
                    (span.start_us as f64, span.value),
                    (span.end_us as f64, span.value),
                ]);
            } else {
                piece.push(((span.start_us + length / 2) as f64, span.value));
            }
        }
        previous = Some(span);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_without_data_breaks_the_line() {
        let span = |start: u64, end: u64| Span {
            start_us: start * 100_000,
            end_us: end * 100_000,
            value: 1.0,
        };
        let lengths = |spans: &[Span]| pieces(spans).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[span(0, 1), span(1, 2), span(4, 5)]), [2, 1]);
        assert_eq!(lengths(&[span(0, 10), span(10, 20)]), [4], "long spans are steps");
        assert_eq!(lengths(&[]), [0; 0]);
    }
}
