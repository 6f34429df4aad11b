//! The newest runs of all scenarios together. Every run is listed below, by scenario.

use super::super::Index;
use super::runs;
use crate::block::{Block, Table};
use crate::figure;
use crate::render::Part;
use crate::section::Detail;

/// The most that are listed.
const LISTED: usize = 10;

pub(super) fn parts(index: &Index, _: Detail) -> Vec<Part> {
    let all = index.newest_first();
    if all.is_empty() {
        return Vec::new();
    }
    let newest = all.iter().take(LISTED);
    let rows = newest.map(|(run, scenario)| runs::row(index, scenario, *run, true));
    let table = Table::of("The newest runs", runs::columns(true), rows.collect());
    let mut blocks = vec![Block::Table(table)];
    if all.len() > LISTED {
        blocks.push(Block::Paragraph(format!(
            "The newest {LISTED} of {}; the page lists all of them by scenario.",
            figure::counted(all.len() as u64, "run", "runs")
        )));
    }
    vec![Part::new("newest", "Newest runs", blocks)]
}
