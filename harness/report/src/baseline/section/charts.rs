//! The trends, drawn.

use super::super::{Shown, chart};
use super::{first, section};
use crate::block::Block;
use crate::render::Part;
use crate::section::Detail;

/// The most charts on a page; the table below has every metric.
const MOST: usize = 24;

pub(super) fn part(shown: &Shown, detail: Detail) -> Option<Part> {
    if detail == Detail::Brief {
        return None;
    }
    let drawn = first(shown);
    let more = drawn.len().saturating_sub(MOST);
    let charts = drawn.into_iter().take(MOST).enumerate();
    let mut blocks: Vec<Block> = charts
        .map(|(at, trend)| Block::Chart(Box::new(chart::chart(shown, at, trend))))
        .collect();
    if more > 0 {
        blocks.push(Block::Paragraph(format!(
            "{more} more are not drawn; --metric NAME draws one."
        )));
    }
    Some(section("trends", "Trends", blocks))
}
