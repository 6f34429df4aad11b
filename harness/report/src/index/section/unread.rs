//! What looks like a run and can't be read.

use super::super::Index;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::render::Part;
use crate::section::Detail;

/// The most that a summary lists.
const LISTED: usize = 10;

pub(super) fn parts(index: &Index, detail: Detail) -> Vec<Part> {
    let columns = vec![Column::wide("Run", 0), Column::wide("Why it can't be read", 0)];
    let rows: Vec<Vec<Cell>> = index
        .unread()
        .map(|(entry, reason)| vec![entry.cell(&entry.folder), Cell::plain(reason).toned(Tone::Doubt)])
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let listed = if detail == Detail::Brief {
        LISTED
    } else {
        rows.len()
    };
    let more = rows.len().saturating_sub(listed);
    let rows = rows.into_iter().take(listed).collect();
    let table = Table::of("Runs that can't be read", columns, rows);
    let mut blocks = vec![Block::Table(table)];
    if more > 0 {
        blocks.push(Block::Paragraph(format!(
            "And {} more, which the page lists.",
            figure::counted(more as u64, "run", "runs")
        )));
    }
    vec![Part::new("unread", "Can't be read", blocks)]
}
