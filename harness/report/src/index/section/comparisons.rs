//! The pages of comparisons that lie there already.

use super::super::Index;
use crate::block::{Block, Cell, Column, Table};
use crate::render::Part;
use crate::section::Detail;

pub(super) fn parts(index: &Index, detail: Detail) -> Vec<Part> {
    if detail == Detail::Brief || index.compared.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::wide("Page", 0),
        Column::wide("Held against", 0),
        Column::wide("Run", 0),
    ];
    let rows = index.compared.iter().map(|compared| {
        let run = |at: usize| {
            let run = compared.runs.get(at).map(|run| &index.entries[*run]);
            run.map_or_else(Cell::default, |entry| match &entry.report {
                Some(report) => Cell::plain(entry.name()).linked(report.clone()),
                None => Cell::plain(entry.name()),
            })
        };
        let page = Cell::plain(compared.name.clone()).linked(compared.page.clone());
        let names = || compared.runs.iter().skip(1).map(|run| index.entries[*run].name());
        // One of several is a page of its own, not that of any two of them.
        let others = match compared.runs.len() {
            0..=2 => run(1),
            _ => Cell::plain(names().collect::<Vec<_>>().join(", ")),
        };
        vec![page, run(0), others]
    });
    let table = Table::of("Comparisons", columns, rows.collect());
    let more = "squall compare writes such a page for two runs or more, and for repeats of them by the newest of each side: in reports/compare/ \
                without --out. These are the ones in compare/ beside this index.";
    let blocks = vec![Block::Table(table), Block::Paragraph(more.to_owned())];
    vec![Part::new("comparisons", "Comparisons", blocks)]
}
