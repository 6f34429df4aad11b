//! The trends, drawn.

use super::super::trend::Trend;
use super::super::{Shown, chart};
use super::{FIRST, first};
use crate::block::Block;
use crate::render::Part;
use crate::section::Detail;

/// The most charts on a page; the table below has every metric.
const MOST: usize = 24;

pub(super) fn part(shown: &Shown, detail: Detail) -> Option<Part> {
    if detail == Detail::Brief {
        return None;
    }
    let mut drawn = first(shown);
    // What changed comes first, then what users feel.
    drawn.sort_by_key(|trend| (trend.changes.is_empty(), rank(trend)));
    let all = drawn.len();
    drawn.retain(|trend| shown.is_filtered || !is_flat(trend));
    let flat = all - drawn.len();
    let more = drawn.len().saturating_sub(MOST);
    let charts = drawn.into_iter().take(MOST).enumerate();
    let mut blocks: Vec<Block> = charts
        .map(|(at, trend)| Block::Chart(Box::new(chart::chart(shown, at, trend))))
        .collect();
    let left_out = [(flat, "never had another value and"), (more, "of the others")];
    for (number, which) in left_out.into_iter().filter(|(number, _)| *number > 0) {
        blocks.push(Block::Paragraph(format!(
            "{number} {which} {} not drawn; the table has them, and --metric NAME draws one.",
            if number == 1 { "is" } else { "are" }
        )));
    }
    Some(Part::new("trends", "Trends", blocks))
}

/// Whether there is nothing to see: several values, all the same.
fn is_flat(trend: &Trend) -> bool {
    let first = trend.points.first().map(|(_, value)| value.to_bits());
    trend.points.len() > 1
        && trend
            .points
            .iter()
            .all(|(_, value)| Some(value.to_bits()) == first)
}

fn rank(trend: &Trend) -> usize {
    let rank = FIRST.iter().position(|name| *name == trend.key.metric);
    rank.unwrap_or(FIRST.len())
}
