//! In what the sides differ besides their numbers: scenario, revision, machine, seed.

use squall_model::record::RunRecord;
use squall_model::scenario::Network;

use super::super::diff::diff;
use super::super::trust::distinct;
use super::super::{Comparison, Side, newest};
use crate::block::{Block, Cell, Column, Table};
use crate::figure;
use crate::section::Detail;
use crate::visible::shortened;

/// The longest value in a cell, and the most values of one side.
const LONGEST: usize = 160;
const MOST_VALUES: usize = 5;

/// A name and how a record tells it.
type Fact = (&'static str, fn(&RunRecord) -> String);

static FACTS: [Fact; 9] = [
    ("Scenario", |record| record.scenario.clone()),
    ("Revision", |record| record.revision.clone()),
    ("Seed", |record| record.seed.to_string()),
    ("Phases", |record| {
        if record.quick {
            "scaled down by --quick"
        } else {
            "in full"
        }
        .to_owned()
    }),
    ("Machine", |record| {
        let machine = &record.machine;
        let memory = figure::bytes(machine.memory as f64);
        format!("{}, {} cores, {memory}", machine.cpu, machine.cores)
    }),
    ("System", |record| record.machine.os.clone()),
    ("Network", |record| match record.network {
        Network::Shared => "shared".to_owned(),
        Network::Isolated => "isolated".to_owned(),
    }),
    ("Squall", |record| record.squall.clone()),
    ("Command", |record| command(&record.command)),
];

/// A command without its seed, which has a row of its own, and without where its runs land.
fn command(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text.split(' ');
    while let Some(word) = rest.next() {
        match word {
            "--seed" | "--out" => drop(rest.next()),
            word => words.push(word),
        }
    }
    words.join(" ")
}

/// What differs: the name, and the value of each side.
pub(in super::super) fn facts(comparison: &Comparison) -> Vec<(&'static str, Vec<String>)> {
    let facts = FACTS.iter().map(|(name, of)| {
        let values = comparison.sides.iter().map(|side| value(side, *of));
        (*name, values.collect::<Vec<String>>())
    });
    let differs = |values: &[String]| values.iter().any(|value| *value != values[0]);
    facts.filter(|(_, values)| differs(values)).collect()
}

fn value(side: &Side, of: fn(&RunRecord) -> String) -> String {
    let mut values: Vec<String> = distinct(side.runs.iter(), of).into_iter().collect();
    // Numbers by their size.
    values.sort_by(|a, b| a.len().cmp(&b.len()).then(a.cmp(b)));
    let more = values.len().saturating_sub(MOST_VALUES);
    values.truncate(MOST_VALUES);
    if more > 0 {
        values.push(format!("{more} more"));
    }
    shortened(&values.join(", "), LONGEST)
}

/// Per side but the first: how its scenario's text differs from the first one's; empty where it does not.
pub(in super::super) fn sources(comparison: &Comparison) -> Vec<String> {
    let others = comparison
        .others()
        .map(|other| &newest(&comparison.sides[other]).record.source);
    others
        .map(|source| diff(&comparison.base().record.source, source))
        .collect()
}

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    let facts = facts(comparison);
    let sources = sources(comparison);
    let mut blocks = Vec::new();
    let known = |side: &Side| !newest(side).record.source.is_empty();
    let same_text = sources.iter().all(String::is_empty) && comparison.sides.iter().all(known);
    if facts.is_empty() && same_text {
        let text = "Nothing that was recorded: scenario, revision, seed, machine and command are the same.";
        return vec![Block::Paragraph(text.to_owned())];
    }
    let mut columns = vec![Column::left("", 0)];
    columns.extend(comparison.names.iter().map(|name| Column::wide(name, 0)));
    let rows = facts.into_iter().map(|(name, values)| {
        let cells = values.into_iter().map(Cell::plain);
        std::iter::once(Cell::plain(name)).chain(cells).collect()
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    if !rows.is_empty() {
        blocks.push(Block::Table(Table::of(
            "What differs between the sides",
            columns,
            rows,
        )));
    }
    if same_text {
        blocks.push(Block::Paragraph("The scenario's text is the same.".to_owned()));
    }
    for (at, text) in sources.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let name = &comparison.names[at + 1];
        if detail == Detail::Brief {
            blocks.push(Block::Paragraph(format!(
                "The scenario's text of {name} is another."
            )));
            continue;
        }
        blocks.push(Block::Paragraph(format!(
            "The scenario's text, from {} (−) to {name} (+):",
            comparison.names[0]
        )));
        blocks.push(Block::Code {
            label: format!("The scenario's text, from {} to {name}", comparison.names[0]),
            text: text.clone(),
        });
    }
    blocks
}
