//! The change that each block found, metric by metric, over the gate's minutes: drift, bursts and lonely blocks show here.

use crate::figure;
use squall_model::gate::{GateRecord, MetricRecord};

use super::super::{end_us, valid, wording};
use crate::block::Block;
use crate::chart::{Band, Chart, Horizontal, Ink, Line, Marks, Place, Shade, Shading};
use crate::section::Detail;
use crate::visible::shortened;

/// The most metrics drawn; those that decide come first.
const CHARTS: usize = 10;
/// After how many blocks the gate looks; those that a gate had are marked.
const LOOKS: [usize; 7] = crate::gate::looks::LOOKS;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let metrics = wording::by_gravity(record);
    let drawn: Vec<&MetricRecord> = metrics
        .into_iter()
        .filter(|metric| metric.changes.iter().any(Option::is_some))
        .collect();
    let marks = marks(record);
    let charts = drawn.iter().take(CHARTS).enumerate();
    let charts: Vec<Block> = charts
        .map(|(at, metric)| Block::Chart(Box::new(chart(record, &marks, at, metric))))
        .collect();
    if charts.is_empty() {
        return Vec::new();
    }
    let text = "A dot is what one block found; more is worse. The band above says at which look a block was first counted; blocks \
                that do not count are shaded, with their numbers.";
    let mut blocks = vec![Block::Paragraph(text.to_owned())];
    blocks.extend(charts);
    if drawn.len() > CHARTS {
        let more = figure::counted(
            (drawn.len() - CHARTS) as u64,
            "more metric is",
            "more metrics are",
        );
        blocks.push(Block::Paragraph(format!(
            "{more} not drawn; the numbers are in the table above."
        )));
    }
    blocks
}

fn chart(record: &GateRecord, marks: &Marks, at: usize, metric: &MetricRecord) -> Chart {
    let end = record.duration_us as f64;
    let dots = valid(record).zip(&metric.changes).filter_map(|(block, change)| {
        let middle = block.start_us as f64 + block.duration_us as f64 / 2.0;
        Some(vec![(middle, (*change)?)])
    });
    let none = wording::none(metric.scale);
    let level = |label: &str, ink: Ink, at: f64| Line {
        label: format!("{label} {}", wording::change(metric, at)),
        ink,
        pieces: vec![vec![(0.0, at), (end, at)]],
    };
    let mut lines = vec![Line {
        label: "a block".to_owned(),
        ink: Ink::Series(0),
        pieces: dots.collect(),
    }];
    if let Some(estimate) = wording::estimate(metric) {
        let label = if metric.finding.is_some() {
            "estimate"
        } else {
            "middle"
        };
        lines.push(level(label, Ink::Target, estimate));
    }
    if wording::weighs(metric) {
        lines.push(level("tolerance", Ink::Doubt, none + metric.tolerance));
    }
    let about = if metric.decides {
        String::new()
    } else {
        format!("Informs: {}", metric.why_not)
    };
    Chart {
        id: format!("blocks-{at}"),
        title: format!("{}: how much worse", shortened(&wording::title(metric), 60)),
        about,
        x: Horizontal::Time {
            end_us: record.duration_us.max(1),
        },
        unit: wording::unit_of_change(metric.scale),
        lines,
        marks: marks.clone(),
        heat: None,
        place: Place::Whole,
    }
}

/// The looks as a band, and the blocks that do not count.
pub(super) fn marks(record: &GateRecord) -> Marks {
    let invalid = record.blocks.iter().filter(|block| !block.is_valid());
    let shades = invalid.map(|block| Shade {
        start_us: block.start_us,
        end_us: end_us(block),
        letter: block.number.to_string(),
        name: String::new(),
        proved: true,
    });
    Marks {
        phases: looks(record),
        faults: shades.collect(),
        shading: Shading::InvalidBlock,
        ..Marks::default()
    }
}

/// From look to look, and what came after the last.
fn looks(record: &GateRecord) -> Vec<Band> {
    let ends: Vec<u64> = valid(record).map(end_us).collect();
    let mut bands: Vec<Band> = Vec::new();
    let mut from = 0;
    for look in LOOKS
        .into_iter()
        .filter(|look| *look <= record.looked_at as usize)
    {
        let Some(end_us) = ends.get(look - 1) else { break };
        bands.push(Band {
            start_us: from,
            end_us: *end_us,
            number: look,
            name: format!("look at {look}"),
        });
        from = *end_us;
    }
    if from < record.duration_us && ends.last().is_some_and(|last| *last > from) {
        bands.push(Band {
            start_us: from,
            end_us: record.duration_us,
            number: ends.len(),
            name: "not looked at".to_owned(),
        });
    }
    bands
}
