//! What the scenario expected, what was measured, and how far apart they are.

use squall_model::record::{ExpectationRecord, Verdict};

use super::Detail;
use crate::block::{Block, Cell, Column, Table};
use crate::figure::{self, Unit};
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let all = &recording.record.expectations;
    let shown: Vec<&ExpectationRecord> = all
        .iter()
        .filter(|e| detail == Detail::Full || e.verdict != Verdict::Pass)
        .collect();
    let held = all
        .iter()
        .filter(|expectation| expectation.verdict == Verdict::Pass)
        .count();
    if shown.is_empty() {
        let text = format!("{held} of {} expectations held.", all.len());
        return if all.is_empty() {
            Vec::new()
        } else {
            vec![Block::Paragraph(text)]
        };
    }
    let columns = vec![
        Column::left("Verdict", 0),
        Column::left("In", 0),
        Column::wide("Expected", 0),
        Column::right("Measured", 0),
        Column::right("Of the limit", 2),
        Column::wide("Why", 1),
    ];
    let rows = shown.iter().map(|expectation| row(expectation)).collect();
    let mut blocks = vec![Block::Table(Table::of(
        "What was expected and what was measured",
        columns,
        rows,
    ))];
    if detail == Detail::Brief && held > 0 {
        blocks.push(Block::Paragraph(format!(
            "{held} of {} expectations held.",
            all.len()
        )));
    }
    blocks
}

fn row(expectation: &ExpectationRecord) -> Vec<Cell> {
    let unit = Unit::of_limit(&expectation.text);
    let share = match (expectation.value, expectation.limit) {
        (Some(value), Some(limit)) if limit > 0.0 && expectation.text.contains('<') => {
            figure::ratio(value / limit)
        }
        _ => String::new(),
    };
    let measured = match (expectation.value, expectation.limit) {
        (None, None) => String::new(),
        (value, _) => figure::or_absent(value, |value| unit.print(value)),
    };
    vec![
        Cell::verdict(expectation.verdict),
        expectation.scope.clone().into(),
        expectation.text.clone().into(),
        Cell::plain(measured),
        Cell::plain(if share.ends_with('%') {
            rounded(&share)
        } else {
            share
        }),
        expectation.reason.clone().into(),
    ]
}

/// A share of a limit needs no decimals once it is above 10 %.
fn rounded(share: &str) -> String {
    let number: f64 = share.trim_end_matches(" %").parse().unwrap_or(0.0);
    if (10.0..99.0).contains(&number) || number > 101.0 {
        format!("{number:.0} %")
    } else {
        share.to_owned()
    }
}
