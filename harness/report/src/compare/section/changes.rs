//! The ratios per phase and load.

use super::super::Comparison;
use super::super::change::Change;
use super::super::measure::{By, Metric, OF_ALL, OF_LOAD, Of, Row};
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::section::Detail;

/// The most rows of the table; the JSON has all.
const MOST_ROWS: usize = 400;

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    let mut groups: Vec<Group> = Vec::new();
    let mut left = MOST_ROWS;
    for phase in phases(comparison) {
        let mut rows = rows(comparison, phase, detail);
        rows.truncate(left);
        left -= rows.len();
        if !rows.is_empty() {
            groups.push(Group {
                title: numbered(comparison, phase),
                about: String::new(),
                tone: Tone::Plain,
                rows,
            });
        }
    }
    if groups.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::left("Load", 0),
        Column::left("Run", 0),
        Column::right(Metric::P50.name(), 1),
        Column::right(Metric::P99.name(), 0),
        Column::right(Metric::P999.name(), 2),
        Column::right(Metric::Throughput.name(), 1),
        Column::right(Metric::Errors.name(), 1),
        Column::right("CPU/request", 3),
        Column::right(Metric::PauseMax.name(), 4),
    ];
    let mut blocks = Vec::new();
    if detail == Detail::Full {
        blocks.push(Block::Paragraph(explained(comparison)));
    }
    let base = &comparison.names[0];
    blocks.push(Block::Table(Table {
        caption: format!("Change against {base} per phase and load"),
        columns,
        groups,
    }));
    if detail == Detail::Brief {
        let text = if comparison.one_run_each() {
            format!("×: against {base}. Errors: the difference.")
        } else {
            format!(
                "×: against {base}, with the interval at 95 % where the runs suffice. Errors: the difference."
            )
        };
        blocks.push(Block::Paragraph(text));
    }
    let spoilt = comparison
        .rows
        .iter()
        .any(|row| comparison.others().any(|other| row.change(other).spoilt));
    if spoilt {
        let text =
            "?: a run says itself that this number of its can't be trusted, and its side has no other.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    if left == 0 {
        blocks.push(Block::Paragraph(format!(
            "Only the first {MOST_ROWS} rows are shown; squall compare --json has all."
        )));
    }
    blocks
}

fn explained(comparison: &Comparison) -> String {
    let base = &comparison.names[0];
    let head = format!(
        "×1.10 is 10 % more than in {base}; errors are subtracted. Below each, the value there and here. Response times, so waiting for \
         the service counts."
    );
    if comparison.one_run_each() {
        return format!(
            "{head} Nothing is coloured, since one run each can't say what is a change and what is chance."
        );
    }
    format!(
        "{head} Of repeats, the median of each side, and the Hodges-Lehmann ratio with its interval from the exact rank-sum \
         distribution; it is coloured where that interval leaves out “no change”."
    )
}

/// The phase with the number that names it in charts.
pub(super) fn numbered(comparison: &Comparison, phase: &str) -> String {
    let mut phases = comparison.base().record.phases.iter();
    let at = phases.position(|one| one.name == phase);
    at.map_or_else(|| phase.to_owned(), |at| format!("{}. {phase}", at + 1))
}

fn phases(comparison: &Comparison) -> Vec<&str> {
    let mut phases: Vec<&str> = Vec::new();
    for row in &comparison.rows {
        if !phases.contains(&row.phase.as_str()) {
            phases.push(&row.phase);
        }
    }
    phases
}

fn rows(comparison: &Comparison, phase: &str, detail: Detail) -> Vec<Vec<Cell>> {
    let of_phase: Vec<&Row> = comparison.rows.iter().filter(|row| row.phase == phase).collect();
    let mut loads: Vec<&str> = Vec::new();
    for row in &of_phase {
        if let Of::Load(load) = &row.of
            && !loads.contains(&load.as_str())
        {
            loads.push(load);
        }
    }
    let find = |of: &Of, metric: Metric| {
        let mut rows = of_phase.iter();
        rows.find(|row| row.of == *of && row.metric == metric).copied()
    };
    // What is of all services stands beside the only load, else in a row of its own.
    let together = loads.len() == 1;
    let mut rows = Vec::new();
    let all = |other: usize| OF_ALL.map(|metric| cell(find(&Of::All, metric), other, detail));
    for load in &loads {
        let of = Of::Load((*load).to_owned());
        for other in comparison.others() {
            let mut cells = names(comparison, load, other);
            cells.extend(OF_LOAD.map(|metric| cell(find(&of, metric), other, detail)));
            cells.extend(if together { all(other) } else { Default::default() });
            rows.push(cells);
        }
    }
    if !together && of_phase.iter().any(|row| row.of == Of::All) {
        for other in comparison.others() {
            let mut cells = names(comparison, "all services", other);
            cells.extend(OF_LOAD.map(|_| Cell::default()));
            cells.extend(all(other));
            rows.push(cells);
        }
    }
    rows
}

/// The first two cells: whose row it is, and of several sides which.
fn names(comparison: &Comparison, of: &str, other: usize) -> Vec<Cell> {
    let side = if comparison.sides.len() > 2 {
        comparison.names[other].as_str()
    } else {
        ""
    };
    vec![Cell::plain(if other == 1 { of } else { "" }), Cell::plain(side)]
}

/// A change in a cell: in full the values and the interval below it.
pub(super) fn cell(row: Option<&Row>, other: usize, detail: Detail) -> Cell {
    let Some(row) = row else {
        return Cell::default();
    };
    let change = row.change(other);
    let (by, better) = (row.metric.by(), row.metric.better());
    let text = match detail {
        Detail::Brief => brief(change, by),
        Detail::Full => {
            let mut text = change.text(by);
            if change.before.is_some() || change.after.is_some() {
                text.push('\n');
                text += &change.values_text(row.metric.unit());
            }
            if let Some(interval) = change.interval_text(by) {
                text.push('\n');
                text += &interval;
            }
            text
        }
    };
    Cell::plain(text).toned(change.tone(by, better))
}

fn brief(change: &Change, by: By) -> String {
    match change.interval_text(by) {
        Some(interval) => format!("{} ({})", change.text(by), interval.replace(" to ", "–")),
        None => change.text(by),
    }
}
