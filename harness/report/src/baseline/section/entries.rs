//! Every entry, the newest first.

use super::super::Shown;
use crate::block::{Block, Cell, Column, Table};
use crate::figure;
use crate::render::Part;
use crate::section::Detail;

pub(super) fn part(shown: &Shown, detail: Detail) -> Option<Part> {
    if detail == Detail::Brief {
        return None;
    }
    let columns = vec![
        Column::left("Saved", 0),
        Column::left("Newest run", 2),
        Column::left("Revision", 0),
        Column::right("Runs", 0),
        Column::wide("Their folders", 2),
        Column::left("Scenario", 1),
    ];
    let newest = shown.baseline.newest()?;
    let rows = shown.baseline.entries.iter().rev().map(|entry| {
        let is_same = entry.meaning == newest.meaning;
        let cells: Vec<Cell> = vec![
            figure::wall_time(&entry.saved_at).into(),
            figure::wall_time(&entry.measured_at).into(),
            entry.revision.clone().into(),
            figure::count(entry.runs.len() as u64).into(),
            entry.runs.join("\n").into(),
            if is_same { "as in the newest" } else { "another" }.into(),
        ];
        cells
    });
    let table = Table::of("What was stored, the newest first", columns, rows.collect());
    Some(Part::new("entries", "Entries", vec![Block::Table(table)]))
}
