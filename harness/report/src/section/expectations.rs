//! What the scenario expected, what was measured, and how far apart they are.

use squall_model::record::{ExpectationRecord, Verdict};

use super::Detail;
use crate::baseline;
use crate::block::{Block, Cell, Column, Table, Tone};
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
        if all.is_empty() {
            return Vec::new();
        }
        let mut blocks = vec![Block::Paragraph(text)];
        blocks.extend(weaknesses(recording));
        return blocks;
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
    blocks.extend(weaknesses(recording));
    blocks
}

/// What the expectations against stored values are worth.
fn weaknesses(recording: &Recording) -> impl Iterator<Item = Block> {
    let lines = baseline::weaknesses(&recording.record).into_iter();
    lines.map(|text| Block::Note {
        tone: Tone::Doubt,
        text,
    })
}

fn row(expectation: &ExpectationRecord) -> Vec<Cell> {
    let unit = Unit::of_expectation(expectation);
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
