//! Every run that went in.

use squall_model::record::Verdict;

use super::super::{Comparison, Side};
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure;
use crate::section::Detail;

/// How the runs of a side ended: the word where all ended alike, else how many passed.
pub(super) fn verdicts(side: &Side) -> Cell {
    let verdicts = || side.runs.iter().map(|run| run.recording.record.verdict);
    let worst = verdicts().max_by_key(|verdict| match verdict {
        Verdict::Pass => 0,
        Verdict::Fail => 1,
        Verdict::Invalid => 2,
    });
    let worst = worst.unwrap_or(Verdict::Invalid);
    let alike = verdicts().filter(|verdict| *verdict == worst).count();
    if alike == side.runs.len() {
        Cell::verdict(worst)
    } else {
        Cell::plain(format!("{alike} of {} {}", side.runs.len(), worst.as_str())).toned(worst.into())
    }
}

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    let mut columns = vec![
        Column::wide("Run", 0),
        Column::left("Ended", 0),
        Column::left("Started", 2),
        Column::left("Revision", 1),
        Column::right("Seed", 3),
    ];
    if detail == Detail::Full {
        columns.push(Column::right("Took", 1));
    }
    let sides = comparison.sides.iter().zip(&comparison.names);
    let groups = sides.map(|(side, name)| {
        let rows = side.runs.iter().map(|run| {
            let record = &run.recording.record;
            let mut cells = vec![
                Cell::plain(run.name.clone()),
                Cell::verdict(record.verdict),
                Cell::plain(figure::wall_time(&record.started_at)),
                Cell::plain(record.revision.clone()),
                Cell::plain(record.seed.to_string()),
            ];
            if detail == Detail::Full {
                cells.push(Cell::plain(figure::duration(record.duration_us as f64)));
            }
            cells
        });
        Group {
            title: name.clone(),
            about: String::new(),
            tone: Tone::Plain,
            rows: rows.collect(),
        }
    });
    vec![Block::Table(Table {
        caption: "The runs".to_owned(),
        columns,
        groups: groups.collect(),
    })]
}
