//! Regressions that commits accept.

use squall_model::gate::GateRecord;

use super::super::wording;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::section::Detail;

/// The most rows, and the most told in a sentence.
const MOST: usize = 40;
const MOST_TOLD: usize = 3;

pub(super) fn blocks(record: &GateRecord, _: Detail) -> Vec<Block> {
    if record.accepted.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::wide("Metric", 0),
        Column::right("Up to", 0),
        Column::left("Used", 0),
        Column::wide("Reason", 0),
        Column::left("Commit", 1),
    ];
    let rows = record.accepted.iter().take(MOST).map(|accepted| {
        let used = if accepted.used {
            Cell::plain("yes").toned(Tone::Doubt)
        } else {
            Cell::plain("no: nothing regressed that it accepts")
        };
        vec![
            Cell::plain(accepted.metric.clone()),
            Cell::plain(format!("+{}", figure::ratio(accepted.by))),
            used,
            Cell::plain(accepted.reason.clone()),
            Cell::plain(wording::short(&accepted.commit)),
        ]
    });
    let rows = rows.collect();
    vec![Block::Table(Table::of(
        "Regressions that commits accept",
        columns,
        rows,
    ))]
}

/// Those that made a difference, in a sentence.
pub(super) fn used(record: &GateRecord) -> Option<String> {
    let used: Vec<_> = record.accepted.iter().filter(|accepted| accepted.used).collect();
    let mut told: Vec<String> = used
        .iter()
        .take(MOST_TOLD)
        .map(|one| wording::accepted(one))
        .collect();
    if used.len() > MOST_TOLD {
        told.push(format!("and {} more", used.len() - MOST_TOLD));
    }
    (!told.is_empty()).then(|| {
        format!(
            "A regression is accepted and does not block: {}.",
            told.join("; ")
        )
    })
}
