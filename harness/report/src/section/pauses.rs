//! Pauses over time: the longest stretch in which a service could run and did not, and what its threads waited for a
//! processor; a line per service.

use std::cmp::Reverse;

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
    value: Value,
}

/// The longest pauses of the services that had the longest.
pub(super) fn longest(recording: &Recording, most: usize) -> Vec<Line> {
    lines(recording, |row| row.pause_max, most).0
}

/// What is drawn of a row.
type Value = fn(&ServiceRow) -> Option<u64>;

/// A line for each of the `most` services with the largest values; and of all services, each with its largest, the largest first.
fn lines(recording: &Recording, value: Value, most: usize) -> (Vec<Line>, Vec<(&str, u64)>) {
    let largest = recording
        .rows_by_service()
        .filter_map(|(service, rows)| Some((service, rows.filter_map(value).max()?)));
    let mut services: Vec<(&str, u64)> = largest.collect();
    services.sort_by_key(|(service, largest)| (Reverse(*largest), *service));
    let drawn = &services[..services.len().min(most)];
    let mut lines: Vec<(usize, Line)> = recording
        .rows_by_service()
        .filter_map(|(service, rows)| {
            let at = drawn.iter().position(|(name, _)| *name == service)?;
            let line = Line {
                label: service.to_owned(),
                ink: Ink::Series(at as u8),
                pieces: pieces(&spans(rows, value)),
            };
            Some((at, line))
        })
        .collect();
    lines.sort_by_key(|(at, _)| *at);
    (lines.into_iter().map(|(_, line)| line).collect(), services)
}

fn spans<'r>(rows: impl Iterator<Item = &'r ServiceRow>, value: Value) -> Vec<Span> {
    let spans = rows.filter_map(|row| {
        Some(Span {
            start_us: row.start_us,
            end_us: row.end_us,
            value: value(row)? as f64,
        })
    });
    spans.collect()
}

impl Drawn {
    fn chart(&self, recording: &Recording) -> Option<Chart> {
        let (lines, services) = lines(recording, self.value, LINES);
        let (worst, largest) = services.first()?;
        let about = format!(
            "{} {} in {worst}.{}",
            self.about,
            figure::duration(*largest as f64),
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
            lines,
            marks: recording.marks().clone(),
            heat: None,
            place: Place::Whole,
        })
    }
}
