//! What each service used and how it paused, phase by phase.

use super::super::Comparison;
use super::super::measure::{Metric, OF_SERVICE, Of, Row};
use super::changes::{cell, numbered};
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::section::Detail;

/// The most rows of the table; the JSON has all.
const MOST_ROWS: usize = 300;

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut total = 0;
    let rows = comparison.rows.iter();
    let mut of_services: Vec<(&str, &str, Vec<&Row>)> = Vec::new();
    for row in rows {
        let Of::Service(service) = &row.of else { continue };
        match of_services.last_mut() {
            Some((phase, name, rows)) if *phase == row.phase && name == service => rows.push(row),
            _ => of_services.push((&row.phase, service, vec![row])),
        }
    }
    for (phase, service, rows) in &of_services {
        let title = numbered(comparison, phase);
        if groups.last().is_none_or(|group| group.title != title) {
            groups.push(Group {
                title,
                about: String::new(),
                tone: Tone::Plain,
                rows: Vec::new(),
            });
        }
        for other in comparison.others() {
            total += 1;
            if total > MOST_ROWS {
                continue;
            }
            let several = comparison.sides.len() > 2;
            let side = if several {
                comparison.names[other].as_str()
            } else {
                ""
            };
            let mut cells = vec![
                Cell::plain(if other == 1 { *service } else { "" }),
                Cell::plain(side),
            ];
            let find = |metric: Metric| rows.iter().find(|row| row.metric == metric).copied();
            cells.extend(OF_SERVICE.map(|metric| cell(find(metric), other, detail)));
            if let Some(group) = groups.last_mut() {
                group.rows.push(cells);
            }
        }
    }
    groups.retain(|group| !group.rows.is_empty());
    if groups.is_empty() {
        return Vec::new();
    }
    let mut columns = vec![Column::left("Service", 0), Column::left("Run", 0)];
    let ranked = OF_SERVICE.iter().zip([0, 1, 0, 2]);
    columns.extend(ranked.map(|(metric, rank)| Column::right(metric.name(), rank)));
    let text = "Cores used is CPU time over the length of the phase, paused the share of it that all pauses together took. A dash means that \
                it could not be seen.";
    let mut blocks = vec![
        Block::Paragraph(text.to_owned()),
        Block::Table(Table {
            caption: format!("What the services used against {}", comparison.names[0]),
            columns,
            groups,
        }),
    ];
    if total > MOST_ROWS {
        blocks.push(Block::Paragraph(format!(
            "{} more rows are not shown; squall compare --json has all.",
            total - MOST_ROWS
        )));
    }
    blocks
}
