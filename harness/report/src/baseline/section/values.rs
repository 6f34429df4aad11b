//! The newest values, beside those of the entries before.

use super::super::Shown;
use super::super::trend::Trend;
use super::first;
use crate::block::{Block, Cell, Column, Group, Table};
use crate::figure::{self, ABSENT};
use crate::render::Part;
use crate::section::Detail;

pub(super) fn part(shown: &Shown, detail: Detail) -> Option<Part> {
    shown.trends.first()?;
    let trends: Vec<&Trend> = match detail {
        Detail::Full => shown.trends.iter().collect(),
        Detail::Brief => first(shown),
    };
    let columns = vec![
        Column::wide("Metric", 0),
        Column::right("Newest", 0),
        Column::right("Since the last change", 1),
        Column::right("Entries", 2),
        Column::wide("Last change point", 1),
    ];
    let mut groups: Vec<Group> = Vec::new();
    for trend in &trends {
        let scope = &trend.key.scope;
        if groups.last().is_none_or(|group| group.title != *scope) {
            groups.push(Group {
                title: scope.clone(),
                ..Group::default()
            });
        }
        if let Some(group) = groups.last_mut() {
            group.rows.push(row(shown, trend));
        }
    }
    let table = Block::Table(Table {
        caption: "The newest values, and how those of the entries lie".to_owned(),
        columns,
        groups,
    });
    let left_out = shown.trends.len() - trends.len();
    let mut blocks = vec![table];
    if left_out > 0 {
        blocks.push(Block::Paragraph(format!(
            "{} more are in the page and in --json; --metric NAME shows one.",
            figure::count(left_out as u64)
        )));
    }
    Some(Part::new("values", "Values", blocks))
}

fn row(shown: &Shown, trend: &Trend) -> Vec<Cell> {
    let spread = trend.spread();
    let print = |value: f64| trend.unit.print(value);
    let level = if spread.entries < 2 {
        ABSENT.to_owned()
    } else {
        format!("{} to {}", print(spread.min), print(spread.max))
    };
    let changed = trend.changes.last().map_or_else(String::new, |change| {
        let after = &shown.baseline.entries[trend.points[change.at].0];
        let how = change
            .times()
            .unwrap_or_else(|| format!("{} to {}", print(change.medians.0), print(change.medians.1)));
        let when = figure::wall_time(&after.measured_at);
        format!("{how} at {}, {}", after.revision, when.trim_end_matches(" UTC"))
    });
    vec![
        trend.key.path().into(),
        print(trend.newest()).into(),
        level.into(),
        figure::count(trend.points.len() as u64).into(),
        changed.into(),
    ]
}
