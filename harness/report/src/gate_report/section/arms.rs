//! What each arm did, beside the other: typical values, and what became of the requests.

use squall_model::gate::{Arm, GateRecord, StretchLoad};

use super::super::{valid, wording};
use super::spectra::loads;
use crate::block::{Block, Cell, Column, Table};
use crate::figure::{self, ABSENT};
use crate::section::Detail;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(table) = values(record) {
        if detail == Detail::Full {
            let text = "Medians over the blocks that count. The change is the estimate over pairs within blocks, so it need not be the ratio of \
                        the two medians.";
            blocks.push(Block::Paragraph(text.to_owned()));
        }
        blocks.push(table);
    }
    if detail == Detail::Full {
        blocks.extend(requests(record));
    }
    blocks
}

fn values(record: &GateRecord) -> Option<Block> {
    let columns = vec![
        Column::wide("Typical value", 0),
        Column::right("Base", 0),
        Column::right("Candidate", 0),
        Column::right("Worse by", 0),
    ];
    let measured = record
        .metrics
        .iter()
        .filter_map(|metric| Some((metric, metric.typical.as_ref()?)));
    let rows: Vec<Vec<Cell>> = measured
        .map(|(metric, typical)| {
            let unit = wording::unit(metric.kind);
            let change = wording::estimate(metric);
            vec![
                Cell::plain(wording::title(metric)),
                Cell::plain(unit.print(typical.base)),
                Cell::plain(unit.print(typical.candidate)),
                Cell::plain(figure::or_absent(change, |change| {
                    wording::change(metric, change)
                })),
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Block::Table(Table::of("Typical values of both arms", columns, rows)))
}

/// What became of the requests, by load and arm.
fn requests(record: &GateRecord) -> Option<Block> {
    let columns = vec![
        Column::wide("Load", 0),
        Column::left("Arm", 0),
        Column::right("Intended", 1),
        Column::right("Completed", 0),
        Column::right("Failed", 0),
        Column::right("Never sent", 1),
    ];
    let mut rows = Vec::new();
    for load in loads(record) {
        for arm in Arm::BOTH {
            let parts: Vec<&StretchLoad> = valid(record)
                .flat_map(|block| &block.arms.of(arm).stretches)
                .filter_map(|stretch| stretch.load.get(load))
                .collect();
            let sum = |of: fn(&StretchLoad) -> u64| parts.iter().map(|part| of(part)).sum::<u64>();
            let count = |n: u64| Cell::plain(figure::count(n));
            let name = match (arm, parts.iter().any(|part| part.closed)) {
                (Arm::Candidate, _) => String::new(),
                (Arm::Base, true) => format!("{load}\nclosed loop"),
                (Arm::Base, false) => load.to_owned(),
            };
            let intended = match sum(|part| part.intended) {
                0 => Cell::plain(ABSENT),
                n => count(n),
            };
            rows.push(vec![
                Cell::plain(name),
                Cell::plain(arm.as_str()),
                intended,
                count(sum(|part| part.completed)),
                count(sum(|part| part.failed)),
                count(sum(|part| part.dropped)),
            ]);
        }
    }
    (!rows.is_empty()).then(|| Block::Table(Table::of("What became of the requests", columns, rows)))
}
