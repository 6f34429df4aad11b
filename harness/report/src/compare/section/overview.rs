//! The first screen: the sides over time in one stack of charts, and beside it which run is which.

use super::super::{Comparison, newest, runs};
use super::series::{Together, drawn, explained};
use crate::block::{Block, Cell, Column, Table};
use crate::chart::{Chart, stacked};
use crate::compare::align::Aligned;
use crate::figure::{self, Unit};
use crate::section::Detail;
use crate::visible::shortened;

/// The most sides listed.
const SIDES: usize = 7;
/// The most faults listed; a section below has all.
const FAULTS: usize = 6;

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let together = Together::new(comparison);
    let loads = drawn(comparison);
    let first = loads.first().map_or("", String::as_str);
    let panel = |id: &str, title: String, unit, of: &dyn Fn(&Aligned<'_>) -> _| {
        together.chart(format!("first-{id}"), title, unit, of)
    };
    let name = shortened(first, 40);
    let mut charts: Vec<Chart> = [
        panel(
            "p99",
            format!("{name}: P99 response time"),
            Unit::Duration,
            &|run| run.p99(first),
        ),
        panel(
            "pauses",
            "Longest pause of any service".to_owned(),
            Unit::Duration,
            &|run| run.longest_pause(),
        ),
        panel(
            "done",
            format!("{name}: completed per second"),
            Unit::Rate,
            &|run| run.throughput(first),
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    if charts.is_empty() {
        return Vec::new();
    }
    stacked(&mut charts);
    let main = vec![Block::Stack(charts)];
    let mut side = vec![sides(comparison)];
    side.extend(super::faults::recoveries(comparison, FAULTS));
    side.push(Block::Paragraph(explained(comparison, &together)));
    vec![Block::Beside { main, side }]
}

/// Which side is which.
fn sides(comparison: &Comparison) -> Block {
    let columns = vec![
        Column::wide("Run", 0),
        Column::left("Ended", 0),
        Column::wide("Revision, start", 0),
    ];
    let sides = comparison.sides.iter().zip(&comparison.names).take(SIDES);
    let rows = sides.map(|(side, name)| {
        let record = &newest(side).record;
        let many = match side.runs.len() {
            1 => String::new(),
            n => format!("\n{}", runs(n)),
        };
        vec![
            Cell::plain(format!("{name}{many}")),
            super::runs::verdicts(side),
            Cell::plain(format!(
                "{}\n{}",
                record.revision,
                figure::wall_time(&record.started_at).trim_end_matches(" UTC")
            )),
        ]
    });
    Block::Table(Table::of("Which run is which", columns, rows.collect()))
}
