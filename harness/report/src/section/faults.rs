//! What was broken, when, and the receipts: that the target felt it, and that it is over.

use squall_model::record::FaultRecord;

use super::Detail;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::marks::letter;
use crate::recording::Recording;
use crate::story::proved_after;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let faults = &recording.record.faults;
    if faults.is_empty() {
        return Vec::new();
    }
    let mut columns = vec![
        Column::left("", 0),
        Column::wide("Fault", 0),
        Column::left("On", 1),
        Column::left("Phase", 2),
        Column::right("From", 0),
        Column::right("To", 1),
        Column::wide("Took effect", 0),
    ];
    if detail == Detail::Full {
        columns.push(Column::wide("Over", 1));
        columns.push(Column::right("Recovered after", 3));
    }
    let rows = faults
        .iter()
        .enumerate()
        .map(|(at, fault)| row(recording, at, fault, detail))
        .collect();
    let mut blocks = Vec::new();
    if detail == Detail::Full {
        let text = "Each fault carries two receipts, gathered outside the code that injected it: that its target felt \
                    it, and that it is over. The letters stand in the charts.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    blocks.push(Block::Table(Table::of(
        "Faults and their receipts",
        columns,
        rows,
    )));
    blocks
}

fn row(recording: &Recording, at: usize, fault: &FaultRecord, detail: Detail) -> Vec<Cell> {
    let on = fault
        .edge
        .as_ref()
        .or(fault.target.as_ref())
        .cloned()
        .unwrap_or_default();
    let what = if fault.about.is_empty() {
        fault.name.clone()
    } else {
        format!("{}\n{}", fault.name, fault.about)
    };
    let felt = match proved_after(recording, fault) {
        Some(after) if fault.proved => format!("proved after {}", figure::duration(after as f64)),
        _ if fault.proved => "proved".to_owned(),
        _ => "not proved".to_owned(),
    };
    let mut row = vec![
        letter(at).into(),
        what.into(),
        on.into(),
        fault.phase.clone().into(),
        figure::or_absent(fault.injected_us, figure::moment).into(),
        figure::or_absent(fault.healed_us, figure::moment).into(),
        receipt(&felt, &fault.evidence, fault.proved, detail),
    ];
    if detail == Detail::Full {
        let over = if fault.undone {
            "undone"
        } else {
            "not shown to be over"
        };
        row.push(receipt(over, &fault.undone_evidence, fault.undone, detail));
        row.push(
            fault
                .recover_us
                .map_or_else(String::new, |us| figure::duration(us as f64))
                .into(),
        );
    }
    row
}

fn receipt(what: &str, evidence: &str, good: bool, detail: Detail) -> Cell {
    let tone = if good { Tone::Good } else { Tone::Doubt };
    let words = if evidence.is_empty() || (good && detail == Detail::Brief) {
        what.to_owned()
    } else {
        format!("{what}\n{evidence}")
    };
    Cell { text: words, tone }
}
