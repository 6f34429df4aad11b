//! Pauses over time: the longest stretch in which a service could run and did not, and what its threads waited for a
//! processor; a line per service.

use squall_model::series::ServiceRow;

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Place};
use crate::figure::{self, Unit};
use crate::recording::Recording;
use crate::window::{Span, pieces};

/// The most services drawn, those with the longest pauses.
const LINES: usize = 7;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    [longest_pauses(recording), run_queues(recording)]
        .into_iter()
        .flatten()
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect()
}

fn longest_pauses(recording: &Recording) -> Option<Chart> {
    let drawn = Drawn {
        id: "pauses",
        title: "Longest pause",
        about: "The longest pause in each interval, per service. The longest of all was",
        rest: "more services with shorter pauses are not drawn",
        value: |row| row.pause_max,
    };
    drawn.chart(recording)
}

/// Waiting is summed over threads, so it has a chart of its own: it may exceed the interval.
fn run_queues(recording: &Recording) -> Option<Chart> {
    let drawn = Drawn {
        id: "run-queue",
        title: "Waiting for a processor",
        about: "What all threads of a service together waited for a processor in each interval; it is no single pause and may \
                exceed the interval. The most was",
        rest: "more services that waited less are not drawn",
        value: |row| row.run_queue,
    };
    drawn.chart(recording)
}

/// What a chart shows of the rows.
struct Drawn {
    id: &'static str,
    title: &'static str,
    about: &'static str,
    rest: &'static str,
    value: fn(&ServiceRow) -> Option<u64>,
}

/// The longest pauses of the services that had the longest.
pub(super) fn longest(recording: &Recording, most: usize) -> Vec<Line> {
    let services = by_service(recording, |row| row.pause_max);
    lines(&services, most)
}

/// The spans of each service, the one with the largest value first.
fn by_service(recording: &Recording, value: fn(&ServiceRow) -> Option<u64>) -> Vec<(&str, Vec<Span>)> {
    let of_rows = recording.rows_by_service().map(|(service, rows)| {
        let spans = rows.filter_map(|row| {
            Some(Span {
                start_us: row.start_us,
                end_us: row.end_us,
                value: value(row)? as f64,
            })
        });
        (service, spans.collect::<Vec<Span>>())
    });
    let mut services: Vec<(&str, Vec<Span>)> = of_rows.filter(|(_, spans)| !spans.is_empty()).collect();
    services.sort_by(|a, b| largest(&b.1).total_cmp(&largest(&a.1)).then(a.0.cmp(b.0)));
    services
}

fn largest(spans: &[Span]) -> f64 {
    spans.iter().map(|span| span.value).fold(0.0, f64::max)
}

fn lines(services: &[(&str, Vec<Span>)], most: usize) -> Vec<Line> {
    let lines = services
        .iter()
        .take(most)
        .enumerate()
        .map(|(at, (service, spans))| Line {
            label: (*service).to_owned(),
            ink: Ink::Series(at as u8),
            pieces: pieces(spans),
        });
    lines.collect()
}

impl Drawn {
    fn chart(&self, recording: &Recording) -> Option<Chart> {
        let services = by_service(recording, self.value);
        let (worst, spans) = services.first()?;
        let about = format!(
            "{} {} in {worst}.{}",
            self.about,
            figure::duration(largest(spans)),
            match services.len().saturating_sub(LINES) {
                0 => String::new(),
                n => format!(" {n} {}.", self.rest),
            }
        );
        Some(Chart {
            id: self.id.to_owned(),
            title: self.title.to_owned(),
            about,
            x: Horizontal::Time {
                end_us: recording.end_us(),
            },
            unit: Unit::Duration,
            lines: lines(&services, LINES),
            marks: recording.marks().clone(),
            heat: None,
            place: Place::Whole,
        })
    }
}
