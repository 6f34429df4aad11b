//! What was broken, when, and the receipts: that the target felt it, and that it is over.

use std::collections::BTreeSet;

use squall_model::record::{FaultFelt, FaultRecord};

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
    let recovers = faults.iter().any(|fault| is_measured(&fault.felt));
    if detail == Detail::Full {
        columns.push(Column::wide("Over", 1));
        columns.extend(recovers.then(|| Column::wide("Recovered after", 3)));
    }
    let rows = faults
        .iter()
        .enumerate()
        .map(|(at, fault)| {
            let mut cells = row(recording, at, fault, detail);
            cells.extend((detail == Detail::Full && recovers).then(|| recovery(&fault.felt)));
            cells
        })
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
    if detail == Detail::Full && !recovers {
        blocks.extend(unmeasured(faults).map(Block::Paragraph));
    }
    blocks
}

/// Why it is not known how the loads took the faults, where a reason was recorded.
pub(super) fn unmeasured(faults: &[FaultRecord]) -> Option<String> {
    let why = faults.iter().map(|fault| fault.felt.unmeasured.as_str());
    let why = why.filter(|why| !why.is_empty()).collect::<BTreeSet<&str>>();
    let why: Vec<&str> = why.into_iter().collect();
    (!why.is_empty()).then(|| format!("Recovery was not measured: {}.", why.join("; ")))
}

/// Whether it is known if the loads were well again.
pub(super) fn is_measured(felt: &FaultFelt) -> bool {
    felt.recover_us.is_some() || felt.unrecovered_us.is_some()
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
    }
    row
}

/// How the loads took it: when it was felt, when it was over for them, what it cost those who waited.
fn recovery(felt: &FaultFelt) -> Cell {
    let duration = |us: u64| figure::duration(us as f64);
    let mut lines = Vec::new();
    let tone = match (felt.recover_us, felt.unrecovered_us) {
        (_, Some(us)) => {
            lines.push(format!("not within {}", duration(us)));
            Tone::Bad
        }
        (Some(us), None) => {
            lines.push(match felt.detect_us {
                None => "not felt by any load".to_owned(),
                Some(_) if us == 0 => "at once".to_owned(),
                Some(_) => duration(us),
            });
            Tone::Plain
        }
        (None, None) => {
            lines.extend((!felt.unmeasured.is_empty()).then(|| format!("not measured: {}", felt.unmeasured)));
            Tone::Plain
        }
    };
    lines.extend(felt.detect_us.map(|us| format!("felt after {}", duration(us))));
    let debt = felt.debt_us.filter(|us| *us > 0 && felt.detect_us.is_some());
    lines.extend(debt.map(|us| format!("{} of waiting in all", duration(us))));
    Cell::plain(lines.join("\n")).toned(tone)
}

fn receipt(what: &str, evidence: &str, good: bool, detail: Detail) -> Cell {
    let tone = if good { Tone::Good } else { Tone::Doubt };
    let words = if evidence.is_empty() || (good && detail == Detail::Brief) {
        what.to_owned()
    } else {
        format!("{what}\n{evidence}")
    };
    Cell::plain(words).toned(tone)
}
