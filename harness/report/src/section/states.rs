//! The states that services told of: how long each thing was in each.

use super::Detail;
use crate::block::{Block, Cell, Column, Table};
use crate::figure;
use crate::recording::Recording;
use crate::states::{Machine, machines};
use crate::visible::shortened;

/// The most things listed.
const LISTED: usize = 100;
/// The longest name.
const NAME_LENGTH: usize = 60;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let machines = machines(recording);
    if detail == Detail::Brief || machines.is_empty() {
        return Vec::new();
    }
    let mut blocks = Vec::new();
    if machines.len() > LISTED {
        let text = format!(
            "{LISTED} of {} things that told of their states; all changes are in events.ndjson.",
            figure::count(machines.len() as u64)
        );
        blocks.push(Block::Paragraph(text));
    }
    let columns = vec![
        Column::left("Of", 0),
        Column::right("Changes", 0),
        Column::wide("Time in each state", 0),
    ];
    let rows = machines.iter().take(LISTED).map(row).collect();
    let title = "What told of its states, and how long it was in each";
    blocks.push(Block::Table(Table::of(title, columns, rows)));
    blocks
}

fn row(machine: &Machine) -> Vec<Cell> {
    let mut spent: Vec<(&str, u64)> = Vec::new();
    for stretch in &machine.track.stretches {
        let length_us = stretch.end_us - stretch.start_us;
        match spent.iter_mut().find(|(name, _)| *name == stretch.name) {
            Some((_, spent_us)) => *spent_us += length_us,
            None => spent.push((&stretch.name, length_us)),
        }
    }
    let spent: Vec<String> = spent
        .into_iter()
        .map(|(name, spent_us)| {
            format!(
                "{} {}",
                shortened(name, NAME_LENGTH),
                figure::duration(spent_us as f64)
            )
        })
        .collect();
    vec![
        shortened(&machine.track.name, NAME_LENGTH).into(),
        figure::count(machine.changes).into(),
        spent.join(", ").into(),
    ]
}
