//! What must hold over all data, how much data there was, and what broke it.

use squall_model::record::{InvariantRecord, Verdict};

use super::Detail;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::recording::Recording;

/// The most examples shown of one invariant.
const EXAMPLES: usize = 5;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let invariants = &recording.record.invariants;
    if invariants.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::left("Verdict", 0),
        Column::left("Invariant", 0),
        Column::wide("Promise", 2),
        Column::right("Checked", 0),
        Column::right("Violations", 0),
        Column::wide("Seen", 1),
    ];
    let examples = if detail == Detail::Full { EXAMPLES } else { 1 };
    let rows = invariants
        .iter()
        .map(|invariant| row(invariant, examples))
        .collect();
    vec![Block::Table(Table::of(
        "Invariants and what was checked",
        columns,
        rows,
    ))]
}

fn row(invariant: &InvariantRecord, examples: usize) -> Vec<Cell> {
    let violations = Cell::plain(figure::count(invariant.violations));
    let bad = invariant.verdict == Verdict::Fail;
    let mut seen: Vec<&str> = invariant
        .examples
        .iter()
        .take(examples)
        .map(String::as_str)
        .collect();
    if invariant.examples.len() > examples && examples > 1 {
        seen.push("…");
    }
    vec![
        Cell::verdict(invariant.verdict),
        invariant.path().into(),
        invariant.about.clone().into(),
        figure::count(invariant.checked).into(),
        if bad {
            violations.toned(Tone::Bad)
        } else {
            violations
        },
        seen.join("\n").into(),
    ]
}
