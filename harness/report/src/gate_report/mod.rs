//! What a gate's record says, for people and for machines: a page, a screen, a comment, JUnit and annotations.
//!
//! Decides nothing. Verdict, reasons and numbers are those of the record (`gate/` came to them); here they are only told, so that the same
//! record says the same everywhere. `wording.rs` is how a metric and its change are told in words.
//!
//! As in a report, each file in `section/` turns the record into blocks, and the same renderers turn blocks into a format.

mod annotations;
mod comment;
mod junit;
mod section;
mod wording;

use squall_model::gate::{BlockRecord, GateRecord, MetricRecord};

use crate::figure;
use crate::render::{Frame, Part};
use crate::section::Detail;

pub use annotations::annotations;
pub use comment::{markdown, markdown_all, step_summary};
pub use junit::junit;

/// The gate as one page.
pub fn html(record: &GateRecord) -> String {
    let verdict = wording::verdict(record.verdict);
    let frame = Frame {
        title: format!("{} – {verdict}", record.scenario),
        heading: format!("Gate: {}", record.scenario),
        about: record.about.clone(),
        origin: origin(record),
        skip: "Skip to the verdict",
        script: "",
    };
    crate::render::page(&frame, &parts(record, Detail::Full))
}

/// The gate for a screen `width` characters wide, with ANSI colours if `colours`.
pub fn terminal(record: &GateRecord, width: usize, colours: bool) -> String {
    crate::render::screen(&record.scenario, &parts(record, Detail::Brief), width, colours)
}

/// The sections that have something to say.
fn parts(record: &GateRecord, detail: Detail) -> Vec<Part> {
    let sections = section::SECTIONS
        .iter()
        .map(|section| Part::new(section.id, section.title, (section.blocks)(record, detail)));
    sections.filter(|part| !part.blocks.is_empty()).collect()
}

/// When and of what, in a line.
fn origin(record: &GateRecord) -> String {
    let mut parts = vec![
        figure::wall_time(&record.started_at),
        figure::duration(record.duration_us as f64),
        format!("seed {}", record.seed),
    ];
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

/// The blocks that count, in order; the values of a metric are by these.
fn valid(record: &GateRecord) -> impl Iterator<Item = &BlockRecord> {
    record.blocks.iter().filter(|block| block.is_valid())
}

/// How long the gate had run when the last look had its blocks; nothing where it never looked.
fn looked_after_us(record: &GateRecord) -> Option<u64> {
    let last = usize::try_from(record.looked_at).ok()?.checked_sub(1)?;
    valid(record).nth(last).map(end_us)
}

/// When a block ended.
fn end_us(block: &BlockRecord) -> u64 {
    block.start_us.saturating_add(block.duration_us)
}

/// The middle of a metric's changes over the blocks: all there is where no look found more.
fn middle(metric: &MetricRecord) -> Option<f64> {
    let changes: Vec<f64> = metric.changes.iter().flatten().copied().collect();
    crate::compare::median(&changes)
}
