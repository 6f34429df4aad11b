//! How the sides took each fault: after how long it was felt, and how long it took them to be well again.

use squall_model::record::FaultRecord;

use super::super::change::median;
use super::super::{Comparison, Side, newest};
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::section::Detail;
use crate::visible::shortened;

/// The most faults listed.
const MOST: usize = 60;

/// What is measured of a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Felt {
    Detect,
    Recover,
    Debt,
}

impl Felt {
    const ALL: [Felt; 3] = [Felt::Detect, Felt::Recover, Felt::Debt];

    fn name(self) -> &'static str {
        match self {
            Felt::Detect => "Felt after",
            Felt::Recover => "Recovered after",
            Felt::Debt => "Waited in all",
        }
    }

    fn of(self, fault: &FaultRecord) -> Option<u64> {
        match self {
            Felt::Detect => fault.felt.detect_us,
            Felt::Recover => fault.felt.recover_us,
            Felt::Debt => fault.felt.debt_us,
        }
    }
}

/// The names of the faults of all sides, those of the first in its order.
pub(in super::super) fn names(comparison: &Comparison) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for fault in comparison
        .sides
        .iter()
        .flat_map(|side| &newest(side).record.faults)
    {
        if !names.contains(&fault.name.as_str()) {
            names.push(&fault.name);
        }
    }
    names
}

/// That fault in each run of a side.
pub(in super::super) fn of_side<'s>(side: &'s Side, name: &str) -> Vec<Option<&'s FaultRecord>> {
    let runs = side.runs.iter();
    runs.map(|run| {
        run.recording
            .record
            .faults
            .iter()
            .find(|fault| fault.name == name)
    })
    .collect()
}

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    let names = names(comparison);
    let rows: Vec<Group> = names
        .iter()
        .take(MOST)
        .map(|name| group(comparison, name))
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut columns = vec![Column::left("Run", 0), Column::wide("Took effect", 1)];
    columns.extend(
        Felt::ALL
            .iter()
            .zip([1, 0, 3])
            .map(|(felt, rank)| Column::right(felt.name(), rank)),
    );
    let mut blocks = Vec::new();
    if detail == Detail::Full {
        let text = "Held to each run's own baseline phase. Of repeats, the median with the least and the most; a run that was not \
                    seen to recover has no time, and is counted.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    blocks.push(Block::Table(Table {
        caption: "How each side took the faults".to_owned(),
        columns,
        groups: rows,
    }));
    if names.len() > MOST {
        let text = format!(
            "{} more faults are not listed; squall compare --json has all.",
            names.len() - MOST
        );
        blocks.push(Block::Paragraph(text));
    }
    blocks
}

/// How long each side took to be well again, for the first screen; nothing where it was not measured, or of too many sides.
pub(super) fn recoveries(comparison: &Comparison, most: usize) -> Option<Block> {
    if comparison.sides.len() > 3 {
        return None;
    }
    let mut columns = vec![Column::wide(Felt::Recover.name(), 0)];
    columns.extend(comparison.names.iter().map(|name| Column::right(name, 0)));
    let rows = names(comparison).into_iter().take(most).map(|name| {
        let mut cells = vec![Cell::plain(shortened(name, 32))];
        cells.extend(comparison.sides.iter().map(|side| {
            let faults: Vec<&FaultRecord> = of_side(side, name).into_iter().flatten().collect();
            let cell = value(Felt::Recover, &faults);
            // How far repeats lie apart stands in the section on faults.
            Cell {
                text: cell.text.lines().next().unwrap_or_default().to_owned(),
                ..cell
            }
        }));
        cells
    });
    let rows: Vec<Vec<Cell>> = rows
        .filter(|cells| cells[1..].iter().any(|cell| cell.text != ABSENT))
        .collect();
    (!rows.is_empty()).then(|| Block::Table(Table::of("How long it took to recover", columns, rows)))
}

fn group(comparison: &Comparison, name: &str) -> Group {
    let sides = comparison.sides.iter().zip(&comparison.names);
    let rows = sides.map(|(side, label)| {
        let faults = of_side(side, name);
        let there: Vec<&FaultRecord> = faults.iter().copied().flatten().collect();
        let mut cells = vec![Cell::plain(label.clone()), effect(&there, side.runs.len())];
        cells.extend(Felt::ALL.map(|felt| value(felt, &there)));
        cells
    });
    let about = comparison.sides.iter().find_map(|side| {
        let faults = &newest(side).record.faults;
        faults
            .iter()
            .find(|fault| fault.name == name)
            .map(|fault| fault.about.clone())
    });
    Group {
        title: name.to_owned(),
        about: about.unwrap_or_default(),
        tone: Tone::Plain,
        rows: rows.collect(),
    }
}

/// Whether it was shown to have hit.
fn effect(faults: &[&FaultRecord], runs: usize) -> Cell {
    let proved = faults.iter().filter(|fault| fault.proved).count();
    match (faults.len(), runs) {
        (0, _) => Cell::plain("not in it").toned(Tone::Doubt),
        (_, 1) if proved == 1 => Cell::plain("proved"),
        (_, 1) => Cell::plain("not proved").toned(Tone::Doubt),
        (_, runs) if proved == runs => Cell::plain(format!("proved in all {runs}")),
        (_, runs) => Cell::plain(format!("proved in {proved} of {runs}")).toned(Tone::Doubt),
    }
}

fn value(felt: Felt, faults: &[&FaultRecord]) -> Cell {
    let values: Vec<f64> = faults
        .iter()
        .filter_map(|fault| felt.of(fault))
        .map(|us| us as f64)
        .collect();
    let lost = faults
        .iter()
        .filter(|fault| fault.felt.unrecovered_us.is_some())
        .count();
    let lost = if felt == Felt::Recover { lost } else { 0 };
    let Some(middle) = median(&values) else {
        return match (lost, faults.len()) {
            (0, _) => Cell::plain(ABSENT),
            (_, 1) => Cell::plain("not seen").toned(Tone::Bad),
            (lost, n) => Cell::plain(format!("not seen in {lost} of {n}")).toned(Tone::Bad),
        };
    };
    let mut lines = vec![figure::duration(middle)];
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    if least < most {
        lines.push(format!(
            "{} to {}",
            figure::duration(least),
            figure::duration(most)
        ));
    }
    if lost > 0 {
        lines.push(format!("not seen in {lost} of {}", faults.len()));
        return Cell::plain(lines.join("\n")).toned(Tone::Bad);
    }
    Cell::plain(lines.join("\n"))
}
