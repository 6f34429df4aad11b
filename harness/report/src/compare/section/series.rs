//! The sides over time on one axis, aligned at the faults: per load P99 and what was completed, then pauses and CPU.

use super::super::align::{Aligned, all_have_faults, zero};
use super::super::measure::{Metric, Of, loads};
use super::super::{Comparison, newest};
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Marks, Place};
use crate::figure::{self, Unit};
use crate::recording::Recording;
use crate::section::Detail;
use crate::window::Pieces;

/// The most sides drawn: as many as there are inks that the colour-blind can tell apart.
pub(super) const LINES: usize = 7;

/// The most loads that are drawn.
const LOADS: usize = 4;

/// The loads that are drawn, those whose P99 differs most first.
pub(super) fn drawn(comparison: &Comparison) -> Vec<String> {
    let difference = |load: &String| {
        let of = Of::Load(load.clone());
        let rows = comparison
            .rows
            .iter()
            .filter(|row| row.of == of && row.metric == Metric::P99);
        let sizes = rows.flat_map(|row| {
            comparison
                .others()
                .map(|other| row.change(other).size(row.metric.by()))
        });
        sizes.fold(0.0, f64::max)
    };
    let mut loads: Vec<(f64, String)> = loads(&comparison.sides)
        .into_iter()
        .map(|load| (difference(&load), load))
        .collect();
    loads.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    loads.into_iter().take(LOADS).map(|(_, load)| load).collect()
}

/// The newest run of each side, on the axis of the first.
pub(super) struct Together<'c> {
    comparison: &'c Comparison,
    runs: Vec<Aligned<'c>>,
    marks: Marks,
    /// What coincides, and when, in words.
    pub(super) at: String,
}

impl<'c> Together<'c> {
    pub(super) fn new(comparison: &'c Comparison) -> Together<'c> {
        let recordings: Vec<&Recording> = comparison.sides.iter().take(LINES).map(newest).collect();
        let with_faults = all_have_faults(recordings.iter().copied());
        let (onto_us, at) = zero(recordings[0], with_faults);
        let runs = recordings.iter();
        let mut marks = recordings[0].marks().clone();
        // Of one run only; the reader might take them for those of all.
        marks.tracks.clear();
        Together {
            comparison,
            runs: runs
                .map(|recording| Aligned::new(recording, zero(recording, with_faults).0, onto_us))
                .collect(),
            marks,
            at: format!("{at}, at {}", figure::about_moment(onto_us)),
        }
    }

    pub(super) fn chart(
        &self,
        id: String,
        title: String,
        unit: Unit,
        of: impl Fn(&Aligned<'c>) -> Pieces,
    ) -> Option<Chart> {
        let lines: Vec<Line> = self
            .runs
            .iter()
            .zip(&self.comparison.names)
            .enumerate()
            .map(|(at, (run, name))| Line {
                label: name.clone(),
                ink: Ink::Series(at as u8),
                pieces: of(run),
            })
            .collect();
        let is_drawn = lines.iter().any(|line| line.points().next().is_some());
        is_drawn.then(|| Chart {
            id,
            title,
            about: String::new(),
            x: Horizontal::Time {
                end_us: self.runs.iter().map(Aligned::end_us).max().unwrap_or(1).max(1),
            },
            unit,
            lines,
            marks: self.marks.clone(),
            heat: None,
            place: Place::Whole,
        })
    }
}

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let together = Together::new(comparison);
    let loads = drawn(comparison);
    let mut charts: Vec<Chart> = Vec::new();
    // The first of them is on the first screen.
    for (at, load) in loads.iter().enumerate().skip(1) {
        charts.extend(together.chart(
            format!("p99-{at}"),
            format!("{load}: P99 response time"),
            Unit::Duration,
            |run| run.p99(load),
        ));
        charts.extend(together.chart(
            format!("done-{at}"),
            format!("{load}: completed per second"),
            Unit::Rate,
            |run| run.throughput(load),
        ));
    }
    charts.extend(together.chart(
        "cores".to_owned(),
        "Cores used by all services".to_owned(),
        Unit::Count,
        Aligned::cores,
    ));
    if charts.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![Block::Paragraph(explained(comparison, &together))];
    blocks.extend(charts.into_iter().map(|chart| Block::Chart(Box::new(chart))));
    let more = loads_of(comparison).saturating_sub(loads.len());
    if more > 0 {
        let text = format!(
            "{more} more loads, whose P99 differs less, are not drawn; their numbers are in the tables."
        );
        blocks.push(Block::Paragraph(text));
    }
    blocks
}

fn loads_of(comparison: &Comparison) -> usize {
    loads(&comparison.sides).len()
}

/// How the lines came onto one axis, and of which runs they are.
pub(super) fn explained(comparison: &Comparison, together: &Together<'_>) -> String {
    let mut text = format!(
        "All runs are aligned at {} of {}, whose phases and faults are marked.",
        together.at, comparison.names[0]
    );
    if !comparison.one_run_each() {
        text += " Of repeats the newest run is drawn.";
    }
    if comparison.sides.len() > LINES {
        let more = format!(" Only the first {LINES} of {} are drawn.", comparison.sides.len());
        text.push_str(&more);
    }
    text
}
