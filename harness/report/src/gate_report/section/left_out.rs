//! The blocks that do not count, each with the reasons, and where the record of each that was kept lies.

use squall_model::gate::{BlockRecord, GateRecord};

use crate::block::{Block, Cell, Column, Link, Table};
use crate::figure;
use crate::section::Detail;
use crate::visible::shortened;

/// The most blocks listed where it must be short, and the longest reason there.
const MOST_BRIEF: usize = 4;
const LONGEST_BRIEF: usize = 80;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let left_out: Vec<&BlockRecord> = record.blocks.iter().filter(|block| !block.is_valid()).collect();
    if left_out.is_empty() {
        return Vec::new();
    }
    let most = if detail == Detail::Brief {
        MOST_BRIEF
    } else {
        usize::MAX
    };
    let columns = vec![
        Column::right("Block", 0),
        Column::right("Began at", 1),
        Column::right("Took", 2),
        Column::wide("Why it does not count", 0),
        Column::left("Its record", 3),
    ];
    let rows: Vec<Vec<Cell>> = left_out
        .iter()
        .take(most)
        .map(|block| row(block, detail))
        .collect();
    let more = left_out.len() - rows.len();
    let mut blocks = vec![Block::Table(Table::of("Blocks that do not count", columns, rows))];
    if more > 0 {
        let more = figure::counted(more as u64, "more is", "more are");
        blocks.push(Block::Paragraph(format!("{more} in the report.")));
    }
    blocks
}

fn row(block: &BlockRecord, detail: Detail) -> Vec<Cell> {
    let why = match detail {
        Detail::Brief => shortened(&block.invalid.join("; "), LONGEST_BRIEF),
        Detail::Full => block.invalid.join("\n"),
    };
    let folder = match (&block.folder, detail) {
        (Some(folder), Detail::Full) => Cell::plain(folder.clone()).linked(Link::file(folder.as_bytes())),
        _ => Cell::default(),
    };
    vec![
        Cell::plain(block.number.to_string()),
        Cell::plain(figure::duration(block.start_us as f64)),
        Cell::plain(figure::duration(block.duration_us as f64)),
        Cell::plain(why),
        folder,
    ]
}
