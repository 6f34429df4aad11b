//! How many runs there are, how they ended, and what changed last.

use squall_model::record::Verdict;

use super::super::series::{Change, Scenario, Series};
use super::super::{Index, change_point, chart};
use crate::block::{Block, Figure, Tone};
use crate::figure;
use crate::render::Part;
use crate::section::Detail;

pub(super) fn parts(index: &Index, _: Detail) -> Vec<Part> {
    let mut blocks = vec![figures(index)];
    blocks.extend(index.notes.iter().map(|text| Block::Note {
        tone: Tone::Doubt,
        text: text.clone(),
    }));
    blocks.push(Block::Lead(found(index)));
    vec![Part::new("summary", "", blocks)]
}

fn figures(index: &Index) -> Block {
    let ended = |verdict: Verdict| {
        let read = index
            .entries
            .iter()
            .filter_map(|entry| entry.summary.as_ref().ok());
        read.filter(|summary| summary.verdict == verdict).count()
    };
    let figure = |name: &str, value: usize, beside: String| Figure {
        name: name.to_owned(),
        value: figure::count(value as u64),
        beside,
    };
    let changes = index.scenarios.iter().map(|scenario| scenario.changes().count());
    let tested = tested(index);
    Block::Figures(vec![
        figure(
            "Runs",
            index.entries.len(),
            format!(
                "of {}",
                figure::counted(index.scenarios.len() as u64, "scenario", "scenarios")
            ),
        ),
        figure("Pass", ended(Verdict::Pass), "held".to_owned()),
        figure("Fail", ended(Verdict::Fail), "did not hold".to_owned()),
        figure("Invalid", ended(Verdict::Invalid), "not in the trend".to_owned()),
        figure("Unreadable", index.unread().count(), "listed below".to_owned()),
        figure(
            "Change points",
            changes.sum(),
            format!("in {}", figure::counted(tested as u64, "series", "series")),
        ),
    ])
}

/// How many series were long enough to look for changes.
pub(super) fn tested(index: &Index) -> usize {
    let series = index.scenarios.iter().flat_map(|scenario| &scenario.series);
    series.filter(|series| series.is_tested()).count()
}

/// The last change, in a sentence, or why there is none.
fn found(index: &Index) -> String {
    if tested(index) == 0 {
        return format!(
            "No change points are told: that takes {} valid runs of one scenario text on one machine, and no scenario has them yet.",
            change_point::FEWEST
        );
    }
    let changes = index.scenarios.iter().flat_map(|scenario| {
        scenario
            .changes()
            .map(move |(series, change)| (scenario, series, change))
    });
    let began = |change: &Change| index.summary(change.between.1).started_at.as_str();
    let newest = changes.max_by(|(_, _, a), (_, _, b)| began(a).cmp(began(b)));
    let Some((scenario, series, change)) = newest else {
        return "P99 has not changed its level in any series that has enough runs to tell.".to_owned();
    };
    format!(
        "The newest change point: {}",
        sentence(index, scenario, series, change)
    )
}

/// `P99 of read in steady of my-service went from 4.13 ms to 5.87 ms (×1.42) with the run of 2026-01-15 09:30:12 UTC, revision 9d0e7f1.`
fn sentence(index: &Index, scenario: &Scenario, series: &Series, change: &Change) -> String {
    let after = index.summary(change.between.1);
    let subject = series
        .of
        .as_ref()
        .map_or_else(String::new, |of| format!(" of {} in {}", of.load, of.phase));
    let letter = chart::lettered(index, scenario)
        .into_iter()
        .find(|(_, _, other)| std::ptr::eq(*other, change))
        .map_or_else(String::new, |(letter, ..)| format!(" ({letter})"));
    format!(
        "in {}{letter}, P99{subject} went from {} to {} ({}) with the run of {}, revision {}.",
        scenario.name,
        figure::duration(change.medians_us.0),
        figure::duration(change.medians_us.1),
        change.times(),
        figure::wall_time(&after.started_at),
        after.revision
    )
}
