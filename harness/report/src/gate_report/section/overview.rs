//! The first screen: every metric with its interval over the zones that it is judged by, and what was held against what.

use squall_model::gate::{Arm, GateRecord, MetricRecord, MetricScale};

use super::super::{looked_after_us, valid, wording};
use super::verdict;
use crate::block::{Block, Cell};
use crate::chart::{Estimate, Forest};
use crate::figure;
use crate::section::Detail;

/// How such a plot is read.
const ABOUT: &str = "A square is the estimate, the line its interval; further right is worse.";
/// The most estimates of a plot; the table below has all.
const MOST: usize = 14;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let mut main: Vec<Block> = [MetricScale::Ratio, MetricScale::Difference]
        .into_iter()
        .filter_map(|scale| forest(record, scale))
        .map(|forest| Block::Forest(Box::new(forest)))
        .collect();
    if detail == Detail::Brief {
        return main;
    }
    if !record.command.is_empty() {
        main.push(Block::Code {
            label: "The command that repeats this gate".to_owned(),
            text: record.command.clone(),
        });
    }
    let mut side = vec![Block::Definitions(facts(record))];
    side.extend(verdict::early(record).map(Block::Paragraph));
    vec![Block::Beside { main, side }]
}

/// The estimates on one axis; nothing where there is none.
fn forest(record: &GateRecord, scale: MetricScale) -> Option<Forest> {
    let metrics = wording::by_gravity(record);
    let of_scale = metrics.into_iter().filter(|metric| metric.scale == scale);
    let drawn: Vec<&MetricRecord> = of_scale
        .filter(|metric| wording::estimate(metric).is_some())
        .collect();
    if drawn.is_empty() {
        return None;
    }
    let (id, title, about) = match scale {
        MetricScale::Ratio => ("ratios", "How much worse the candidate is", ABOUT),
        MetricScale::Difference => ("differences", "How much worse, in percentage points", ""),
    };
    let about = match drawn.len().saturating_sub(MOST) {
        0 => about.to_owned(),
        more => format!("{about} {more} more are in the table below."),
    };
    Some(Forest {
        id: id.to_owned(),
        title: title.to_owned(),
        about,
        unit: wording::unit_of_change(scale),
        has_legend: scale == MetricScale::Ratio,
        rows: drawn.into_iter().take(MOST).map(row).collect(),
    })
}

fn row(metric: &MetricRecord) -> Estimate {
    let said = wording::said(metric);
    let at = wording::estimate(metric);
    // Of what is found to have changed it is of no interest whether a pass would have waited for it.
    let about = if wording::weighs(metric) || metric.why_not.is_empty() {
        String::new()
    } else {
        format!("Does not decide: {}", metric.why_not)
    };
    Estimate {
        name: wording::title(metric),
        about,
        at,
        low: metric.finding.and_then(|finding| finding.lower),
        high: metric.finding.and_then(|finding| finding.upper),
        margin: metric.margin,
        tolerance: metric.tolerance,
        says: said.text,
        figures: figure::or_absent(at, |at| wording::change(metric, at)),
        tone: said.tone,
        informs: !wording::weighs(metric),
    }
}

/// What was held against what, and on what.
fn facts(record: &GateRecord) -> Vec<(String, Cell)> {
    let mut facts = Vec::new();
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            facts.push((name.to_owned(), Cell::plain(text)));
        }
    };
    for (arm, name) in [(Arm::Base, "Base"), (Arm::Candidate, "Candidate")] {
        let about = record.arms.of(arm);
        let mut lines = vec![about.about.clone()];
        if !about.revision.is_empty() && !about.about.contains(&about.revision) {
            lines.push(format!("revision {}", about.revision));
        }
        lines.extend(
            about
                .build_us
                .map(|us| format!("built in {}", figure::duration(us as f64))),
        );
        lines.retain(|line| !line.is_empty());
        fact(name, lines.join("\n"));
    }
    let (all, good) = (record.blocks.len(), valid(record).count());
    let blocks = match all - good {
        0 => figure::count(all as u64),
        left_out => format!("{} count\n{left_out} left out", figure::count(good as u64)),
    };
    fact("Blocks", blocks);
    let decided = match (record.looked_at, looked_after_us(record)) {
        (0, _) | (_, None) => "none was taken".to_owned(),
        (blocks, Some(us)) => format!(
            "after {}\n{}",
            wording::blocks(blocks as usize),
            figure::duration(us as f64)
        ),
    };
    fact("Last look", decided);
    fact(
        "Time",
        format!(
            "{} of {}\n{}",
            figure::duration(record.duration_us as f64),
            figure::duration(record.budget_us as f64),
            wording::end(record)
        ),
    );
    fact("Machine", super::machine::in_short(record));
    if record.gates > 1 {
        fact(
            "Gates",
            format!(
                "{} of one command\nwhich share its chance of a false alarm",
                record.gates
            ),
        );
    }
    facts
}
