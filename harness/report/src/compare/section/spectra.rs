//! The whole distributions of response time laid over each other, per phase and load.

use squall_model::histogram::{Histogram, sum};
use squall_model::record::LoadMode;

use super::super::measure::{loads, phase, phases};
use super::super::{Comparison, Side};
use super::series::LINES;
use crate::block::Block;
use crate::chart::{Chart, Ink, Line};
use crate::section::Detail;
use crate::section::spectrum::{points, spectrum};

/// The most charts.
const CHARTS: usize = 12;

pub(super) fn blocks(comparison: &Comparison, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = loads(&comparison.sides);
    let phases = phases(&comparison.sides);
    let pairs = phases
        .iter()
        .flat_map(|phase| loads.iter().map(move |load| (phase, load)));
    let wanted: Vec<(&String, &String)> = pairs
        .filter(|(phase, load)| ran(comparison, phase, load))
        .collect();
    let charts: Vec<Block> = wanted
        .iter()
        .take(CHARTS)
        .enumerate()
        .filter_map(|(at, (phase, load))| chart(comparison, at, phase, load))
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect();
    if charts.is_empty() {
        return Vec::new();
    }
    let mut text = "Response time by percentile, each step to the right one more nine. A line ends where fewer than 10 requests lie beyond.".to_owned();
    if !comparison.one_run_each() {
        text += " Of repeats all requests together.";
    }
    let mut blocks = vec![Block::Paragraph(text)];
    blocks.extend(charts);
    if wanted.len() > CHARTS {
        blocks.push(Block::Paragraph(format!(
            "{} more pairs of phase and load are not drawn; their numbers are in the tables.",
            wanted.len() - CHARTS
        )));
    }
    blocks
}

/// Whether the load had answers in the phase on any side.
fn ran(comparison: &Comparison, name: &str, load: &str) -> bool {
    let mut runs = comparison.sides.iter().flat_map(|side| &side.runs);
    runs.any(|run| {
        let record = phase(&run.recording, name).and_then(|phase| phase.load.get(load));
        record.is_some_and(|record| record.mode != LoadMode::Off && record.response.count > 0)
    })
}

fn chart(comparison: &Comparison, at: usize, name: &str, load: &str) -> Option<Chart> {
    let sides = comparison
        .sides
        .iter()
        .zip(&comparison.names)
        .take(LINES)
        .enumerate();
    let lines: Vec<Line> = sides
        .map(|(ink, (side, label))| Line {
            label: label.clone(),
            ink: Ink::Series(ink as u8),
            pieces: vec![points(&together(side, name, load))],
        })
        .collect();
    spectrum(at, &format!("{load} in {name}"), String::new(), lines)
}

/// The requests of all runs of a side.
fn together(side: &Side, name: &str, load: &str) -> Histogram {
    let records = side.runs.iter().filter_map(|run| {
        let phase = phase(&run.recording, name)?;
        phase.load.get(load)
    });
    sum(records.filter_map(|record| record.response.histogram().ok()))
}
