//! Every metric with its numbers: how much worse, how sure, from how many blocks, and what would have been seen.

use squall_model::gate::{GateRecord, GateVerdict, MetricRecord};

use super::super::{looked_after_us, wording};
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::render::sign;
use crate::section::Detail;

/// The most rows that only inform where it must be short.
const MOST_BRIEF: usize = 12;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    if record.metrics.is_empty() {
        return Vec::new();
    }
    let (decide, inform): (Vec<_>, Vec<_>) = wording::by_gravity(record)
        .into_iter()
        .partition(|metric| wording::weighs(metric));
    let shown = if detail == Detail::Brief {
        MOST_BRIEF
    } else {
        usize::MAX
    };
    let more = inform.len().saturating_sub(shown);
    let of = |title: &str, metrics: &[&MetricRecord]| Group {
        title: title.to_owned(),
        about: String::new(),
        tone: Tone::Plain,
        rows: metrics.iter().map(|metric| row(record, metric, detail)).collect(),
    };
    let mut groups = vec![
        of("What counts", &decide),
        of("What informs", &inform[..inform.len() - more]),
    ];
    groups.retain(|group| !group.rows.is_empty());
    if let [only] = &mut groups[..]
        && !decide.is_empty()
    {
        only.title.clear();
    }
    let columns = vec![
        Column::wide("Metric", 0),
        Column::right("Worse by", 0),
        Column::right("Interval", 0),
        Column::left("Verdict", 0),
        Column::right("p", 2),
        Column::right("Would see", 1),
        Column::right("Seen in", 3),
    ];
    let mut blocks = Vec::new();
    if detail == Detail::Full {
        blocks.push(Block::Paragraph(explained(record)));
    }
    blocks.push(Block::Table(Table {
        caption: "What was found of each metric".to_owned(),
        columns,
        groups,
    }));
    if more > 0 {
        blocks.push(Block::Paragraph(format!(
            "{more} more that inform are in the report."
        )));
    }
    if detail == Detail::Brief {
        blocks.extend(why_not(record));
    }
    blocks
}

/// Those that a reader of a comment must see: what decides, and of the rest nothing.
pub(in super::super) fn decisive(record: &GateRecord) -> Option<Block> {
    let metrics = wording::by_gravity(record)
        .into_iter()
        .filter(|metric| wording::weighs(metric));
    let rows: Vec<Vec<Cell>> = metrics.map(|metric| row(record, metric, Detail::Brief)).collect();
    let columns = vec![
        Column::wide("Metric", 0),
        Column::right("Worse by", 0),
        Column::right("Interval", 0),
        Column::left("Verdict", 0),
    ];
    let marked = |mut row: Vec<Cell>| {
        row.truncate(columns.len());
        // Markdown has no colours.
        if let Some(said) = row.last_mut() {
            said.text = format!("{} {}", sign(said.tone), said.text);
        }
        row
    };
    let rows: Vec<Vec<Cell>> = rows.into_iter().map(marked).collect();
    (!rows.is_empty()).then(|| Block::Table(Table::of("What decides", columns, rows)))
}

fn explained(record: &GateRecord) -> String {
    let worse = if record.benchmarks.is_some() {
        "More is worse in every row."
    } else {
        "More is worse in every row: throughput is base over candidate, and errors are subtracted, in percentage points (pp)."
    };
    let text = "The estimate is that of Hodges and Lehmann; the interval, and the p-value of a regression beyond the margin, are those of the \
                exact signed-rank test, adjusted for all metrics that decide (Holm) and for the looks. A regression beyond the \
                tolerance must not stay hidden. “Would see” is the smallest one that would show in the blocks there is time for. A pass waits for what decides; \
                a regression blocks wherever it was tested.";
    if record.looked_at == 0 {
        return format!("{worse} {text} No look was taken, so there is no interval yet.");
    }
    format!("{worse} {text}")
}

fn row(record: &GateRecord, metric: &MetricRecord, detail: Detail) -> Vec<Cell> {
    let full = detail == Detail::Full;
    let mut name = wording::title(metric);
    if full {
        let below = if metric.why_not.is_empty() || wording::weighs(metric) {
            &metric.name
        } else {
            &metric.why_not
        };
        if name != *below {
            name = format!("{name}\n{below}");
        }
    }
    let estimate = wording::estimate(metric);
    let said = wording::said(metric);
    let mut change = Cell::plain(figure::or_absent(estimate, |at| wording::change(metric, at)));
    if metric
        .finding
        .is_some_and(|finding| finding.verdict == GateVerdict::Regressed)
    {
        change = change.toned(said.tone);
    }
    let finding = metric.finding.as_ref();
    let interval = finding.map_or_else(String::new, |finding| wording::interval(metric, finding));
    let p = finding.map_or_else(String::new, |finding| {
        let p = wording::p_value(finding.p_value);
        if full {
            format!("{p}\nheld to {}", figure::three(finding.alpha))
        } else {
            p
        }
    });
    let count = match finding {
        Some(finding) => finding.blocks as usize,
        None => metric.changes.iter().flatten().count(),
    };
    let seen_in = match finding.and_then(|_| looked_after_us(record)) {
        None => wording::blocks(count),
        Some(us) => {
            let between = if full { "\n" } else { ", " };
            format!(
                "{}{between}{}",
                wording::blocks(count),
                figure::duration(us as f64)
            )
        }
    };
    vec![
        Cell::plain(name),
        change,
        Cell::plain(if full {
            judged_by(metric, &interval)
        } else {
            interval
        }),
        said,
        Cell::plain(p),
        Cell::plain(would_see(metric, full)),
        Cell::plain(seen_in),
    ]
}

/// The interval with what it is held to below it.
fn judged_by(metric: &MetricRecord, interval: &str) -> String {
    if !wording::weighs(metric) {
        return interval.to_owned();
    }
    let interval = if interval.is_empty() { ABSENT } else { interval };
    format!(
        "{interval}\nmargin {}, tolerance {}",
        wording::size(metric, metric.margin),
        wording::size(metric, metric.tolerance)
    )
}

fn would_see(metric: &MetricRecord, full: bool) -> String {
    let Some(plan) = metric.plan else {
        return String::new();
    };
    let smallest = figure::or_absent(plan.smallest, |smallest| wording::size(metric, smallest));
    let smallest = if plan.smallest.is_some() {
        format!("+{smallest}")
    } else {
        smallest
    };
    if !full {
        return smallest;
    }
    let needs = match (plan.needed, plan.needed_us) {
        (None, _) => "no number of blocks is enough".to_owned(),
        (Some(blocks), us) => {
            let time = us.map_or_else(String::new, |us| format!(", {}", figure::duration(us as f64)));
            format!("needs {}{time}", wording::blocks(blocks.ceil() as usize))
        }
    };
    format!("{smallest}\n{needs}")
}

/// Why metrics do not decide, in one paragraph.
fn why_not(record: &GateRecord) -> Option<Block> {
    let told = record
        .metrics
        .iter()
        .filter(|metric| !wording::weighs(metric) && !metric.why_not.is_empty());
    let mut by_reason: Vec<(&str, Vec<String>)> = Vec::new();
    for metric in told.take(MOST_BRIEF) {
        match by_reason.iter_mut().find(|(why, _)| *why == metric.why_not) {
            Some((_, names)) => names.push(wording::name(metric)),
            None => by_reason.push((&metric.why_not, vec![wording::name(metric)])),
        }
    }
    let texts: Vec<String> = by_reason
        .iter()
        .map(|(why, names)| format!("{} ({why})", names.join(", ")))
        .collect();
    (!texts.is_empty()).then(|| Block::Paragraph(format!("Not deciding: {}.", texts.join("; "))))
}
