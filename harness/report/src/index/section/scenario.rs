//! A part for each scenario: P99 over its runs, what changed, how to compare two of them, and every run.

use super::super::series::{Scenario, Series};
use super::super::{Index, chart};
use super::runs;
use crate::block::{Block, Cell, Column, Table};
use crate::figure;
use crate::render::Part;
use crate::section::Detail;

/// The id of a scenario in the page, by its place.
pub(super) fn id(at: usize) -> String {
    format!("s{at}")
}

pub(super) fn parts(index: &Index, detail: Detail) -> Vec<Part> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let scenarios = index.scenarios.iter().enumerate();
    scenarios
        .map(|(at, scenario)| Part {
            id: id(at),
            title: scenario.name.clone(),
            bare: false,
            // The table of scenarios leads there; there may be many.
            in_navigation: false,
            blocks: blocks(index, at, scenario),
        })
        .collect()
}

fn blocks(index: &Index, at: usize, scenario: &Scenario) -> Vec<Block> {
    let mut blocks = Vec::new();
    let about = &index.summary(scenario.runs[0]).about;
    if !about.is_empty() {
        blocks.push(Block::Paragraph(about.clone()));
    }
    let chart = chart::chart(index, at, scenario);
    blocks.extend(chart.map(|chart| Block::Chart(Box::new(chart))));
    blocks.extend(changes(index, scenario));
    blocks.extend(series(scenario));
    blocks.extend(compare(index, scenario));
    let rows = scenario
        .runs
        .iter()
        .map(|run| runs::row(index, scenario, *run, false));
    blocks.push(Block::Table(Table::of(
        &format!("Runs of {}", scenario.name),
        runs::columns(false),
        rows.collect(),
    )));
    blocks
}

/// What changed, and between which runs.
fn changes(index: &Index, scenario: &Scenario) -> Option<Block> {
    let columns = vec![
        Column::left("Change point", 0),
        Column::right("P99 before", 1),
        Column::right("after", 1),
        Column::left("Last run before", 0),
        Column::left("First run after", 0),
        Column::wide("What differs", 1),
        Column::right("By chance", 2),
    ];
    let mut changes = chart::lettered(index, scenario);
    changes.reverse();
    let rows: Vec<Vec<Cell>> = changes
        .into_iter()
        .map(|(letter, series, change)| {
            let (before, after) = change.between;
            vec![
                Cell::plain(format!("{letter} {}", change.times())),
                figure::duration(change.medians_us.0).into(),
                figure::duration(change.medians_us.1).into(),
                runs::name(index, before),
                runs::name(index, after),
                differs(index, scenario, series, change.between).into(),
                figure::ratio(change.p_value).into(),
            ]
        })
        .collect();
    let table = Table::of("Change points, the newest first", columns, rows);
    (!table.groups[0].rows.is_empty()).then_some(Block::Table(table))
}

/// What is known to differ between two runs of a series.
fn differs(index: &Index, scenario: &Scenario, series: &Series, (before, after): (usize, usize)) -> String {
    let (one, two) = (index.summary(before), index.summary(after));
    let mut parts = Vec::new();
    if one.revision != two.revision {
        parts.push(format!("revision {} to {}", one.revision, two.revision));
    }
    if one.machine.os != two.machine.os {
        parts.push(format!("{} to {}", one.machine.os, two.machine.os));
    }
    if parts.is_empty() {
        parts.push("nothing that was recorded".to_owned());
    }
    if scenario.series.len() > 1 {
        parts.push(format!("series {}", scenario.series_of[&series.runs[0]] + 1));
    }
    parts.join("; ")
}

/// The series, where there are several.
fn series(scenario: &Scenario) -> Option<Block> {
    let columns = vec![
        Column::right("Series", 0),
        Column::wide("Runs that are alike", 0),
        Column::right("Runs", 0),
        Column::right("In the trend", 0),
        Column::wide("P99 of", 1),
    ];
    let rows: Vec<Vec<Cell>> = scenario
        .series
        .iter()
        .enumerate()
        .map(|(at, series)| {
            let of = series.of.as_ref();
            vec![
                (at + 1).to_string().into(),
                series.label.clone().into(),
                figure::count(series.runs.len() as u64).into(),
                figure::count(series.points.len() as u64).into(),
                of.map_or_else(String::new, |of| format!("{} in {}", of.load, of.phase))
                    .into(),
            ]
        })
        .collect();
    (rows.len() > 1).then(|| Block::Table(Table::of("Series", columns, rows)))
}

/// The command that compares the two newest runs of the newest series that has two.
fn compare(index: &Index, scenario: &Scenario) -> Option<Block> {
    let pair = scenario
        .series
        .iter()
        .find_map(|series| match &series.points[..] {
            [.., before, newest] => Some((before.run, newest.run)),
            _ => None,
        });
    let (before, newest) = pair.or_else(|| match &scenario.runs[..] {
        [newest, before, ..] => Some((*before, *newest)),
        _ => None,
    })?;
    let word = |run: usize| index.entries[run].argument.as_str();
    Some(Block::Code {
        label: format!(
            "The command that compares the two newest of {}",
            figure::counted(scenario.runs.len() as u64, "run", "runs")
        ),
        text: format!("squall compare {} {}", word(before), word(newest)),
    })
}
