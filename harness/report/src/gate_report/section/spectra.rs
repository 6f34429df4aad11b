//! The whole distributions of response time of both arms, laid over each other, per load.

use crate::figure;
use std::collections::BTreeSet;

use squall_model::gate::{Arm, GateRecord};
use squall_model::histogram::{self, Histogram, sum};

use super::super::valid;
use crate::block::Block;
use crate::chart::{Chart, Ink, Line};
use crate::section::Detail;
use crate::section::spectrum::{points, spectrum};

/// The most loads drawn.
const CHARTS: usize = 12;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = loads(record);
    let charts = loads.iter().take(CHARTS).enumerate();
    let charts: Vec<Block> = charts
        .filter_map(|(at, load)| chart(record, at, load))
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect();
    if charts.is_empty() {
        return Vec::new();
    }
    let text = "Response time by percentile, each step to the right one more nine: all requests of the slices without a fault, of all \
                blocks that count. A line ends where fewer than 10 requests lie beyond. To look at: the verdict comes from the blocks, \
                since requests within one are not independent.";
    let mut blocks = vec![Block::Paragraph(text.to_owned())];
    blocks.extend(charts);
    if loads.len() > CHARTS {
        let more = figure::counted((loads.len() - CHARTS) as u64, "more load is", "more loads are");
        blocks.push(Block::Paragraph(format!(
            "{more} not drawn; the numbers are in the tables."
        )));
    }
    blocks
}

/// The loads of all blocks that count, by name.
pub(super) fn loads(record: &GateRecord) -> Vec<&str> {
    let stretches = valid(record).flat_map(|block| Arm::BOTH.map(|arm| &block.arms.of(arm).stretches));
    let names: BTreeSet<&str> = stretches
        .flatten()
        .flat_map(|stretch| stretch.load.keys())
        .map(String::as_str)
        .collect();
    names.into_iter().collect()
}

fn chart(record: &GateRecord, at: usize, load: &str) -> Option<Chart> {
    let lines: Vec<Line> = Arm::BOTH
        .into_iter()
        .enumerate()
        .map(|(ink, arm)| Line {
            label: arm.as_str().to_owned(),
            ink: Ink::Series(ink as u8 * 2),
            pieces: vec![points(&together(record, arm, load))],
        })
        .collect();
    spectrum(at, load, String::new(), lines)
}

/// The requests of an arm outside of faults.
fn together(record: &GateRecord, arm: Arm, load: &str) -> Histogram {
    let stretches = valid(record).flat_map(|block| &block.arms.of(arm).stretches);
    let plain = stretches.filter(|stretch| stretch.faults.is_empty());
    let texts = plain.filter_map(|stretch| stretch.load.get(load).map(|load| &load.response));
    sum(texts
        .filter(|text| !text.is_empty())
        .filter_map(|text| histogram::decode(text).ok()))
}
