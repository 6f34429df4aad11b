//! One row for each scenario: how it ended last, how fast it was, and what changed last.

use super::super::series::Scenario;
use super::super::{Index, chart};
use super::scenario;
use crate::block::{Block, Cell, Column, Link, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::render::Part;
use crate::section::Detail;

pub(super) fn parts(index: &Index, detail: Detail) -> Vec<Part> {
    if index.scenarios.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::left("Scenario", 0),
        Column::right("Runs", 1),
        Column::left("Ended last", 0),
        Column::left("Newest run", 2),
        Column::right("Its P99", 0),
        Column::right("Median P99", 1),
        Column::wide("Last change point", 1),
    ];
    let rows = index.scenarios.iter().enumerate();
    let rows = rows
        .map(|(at, scenario)| row(index, at, scenario, detail))
        .collect();
    let table = Block::Table(Table::of("The scenarios", columns, rows));
    vec![Part::new("scenarios", "Scenarios", vec![table])]
}

fn row(index: &Index, at: usize, scenario: &Scenario, detail: Detail) -> Vec<Cell> {
    let run = scenario.runs[0];
    let newest = index.summary(run);
    let p99 = scenario.points[&run].as_ref().ok();
    let level = scenario.series[scenario.series_of[&run]].levels();
    let changed = chart::lettered(index, scenario).pop();
    let changed = changed.map_or_else(String::new, |(letter, _, change)| {
        let after = index.summary(change.between.1);
        let more = match detail {
            Detail::Brief => " ",
            Detail::Full => "\n",
        };
        format!(
            "{letter} {}{more}{}, revision {}",
            change.times(),
            figure::wall_time(&after.started_at),
            after.revision
        )
    });
    vec![
        Cell::plain(scenario.name.clone()).linked(Link::inside(&scenario::id(at))),
        figure::count(scenario.runs.len() as u64).into(),
        Cell::verdict(newest.verdict),
        figure::wall_time(&newest.started_at).into(),
        p99.map_or_else(
            || ABSENT.to_owned(),
            |point| figure::duration(point.p99_us as f64),
        )
        .into(),
        level
            .last()
            .map_or_else(
                || ABSENT.to_owned(),
                |(_, _, median_us)| figure::duration(*median_us),
            )
            .into(),
        Cell::plain(changed).toned(Tone::Plain),
    ]
}
