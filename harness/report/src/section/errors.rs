//! What failed, by kind, with a few failures in words.

use super::Detail;
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::recording::Recording;
use crate::visible::shortened;

/// The most kinds listed, the most frequent of each phase and load first.
const ROWS: usize = 60;
/// The most examples of one kind, and the longest of them.
const EXAMPLES: usize = 3;
const EXAMPLE_LENGTH: usize = 300;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let rows = rows(recording);
    if rows.is_empty() {
        let sent: u64 = recording
            .record
            .phases
            .iter()
            .flat_map(|p| p.load.values())
            .map(|load| load.sent)
            .sum();
        let text = "No request failed, and none was dropped.";
        return if sent > 0 {
            vec![Block::Paragraph(text.to_owned())]
        } else {
            Vec::new()
        };
    }
    let columns = vec![
        Column::left("Phase", 0),
        Column::left("Load", 1),
        Column::left("Kind", 0),
        Column::right("Count", 0),
        Column::wide("Examples", 1),
    ];
    let more = rows.len().saturating_sub(ROWS);
    let table = Table::of("Failures by kind", columns, rows.into_iter().take(ROWS).collect());
    let mut blocks = vec![Block::Table(table)];
    if more > 0 {
        blocks.push(Block::Paragraph(format!("{more} more kinds are in run.json.")));
    }
    blocks
}

fn rows(recording: &Recording) -> Vec<Vec<Cell>> {
    let mut rows = Vec::new();
    for phase in &recording.record.phases {
        for (name, load) in &phase.load {
            let mut kinds: Vec<(&String, &u64)> = load.errors.iter().filter(|(_, n)| **n > 0).collect();
            kinds.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            for (kind, n) in kinds {
                let examples = load.error_examples.get(kind).map_or(&[][..], Vec::as_slice);
                let examples = examples
                    .iter()
                    .take(EXAMPLES)
                    .map(|text| shortened(text, EXAMPLE_LENGTH));
                rows.push(row(
                    &phase.name,
                    name,
                    kind,
                    *n,
                    examples.collect::<Vec<_>>().join("\n"),
                ));
            }
            if load.dropped > 0 {
                let text = "never sent: the queue was full, or their time ran out in it".to_owned();
                rows.push(row(&phase.name, name, "dropped", load.dropped, text));
            }
            if load.unsent_by_generator > 0 {
                let text = "never sent: the load generator was too slow".to_owned();
                rows.push(row(
                    &phase.name,
                    name,
                    "unsent by generator",
                    load.unsent_by_generator,
                    text,
                ));
            }
        }
    }
    rows
}

fn row(phase: &str, load: &str, kind: &str, n: u64, examples: String) -> Vec<Cell> {
    let count = Cell::plain(figure::count(n)).toned(Tone::Bad);
    vec![phase.into(), load.into(), kind.into(), count, examples.into()]
}
