//! Rows of runs, as several sections list them.

use squall_model::record::Verdict;

use super::super::series::{Point, Scenario};
use super::super::{Index, Summary};
use crate::block::{Cell, Column};
use crate::compare::trust::hardware;
use crate::figure::{self, ABSENT};
use crate::visible::shortened;

/// The longest reason in a row; the run's report has all of it.
const REASON: usize = 160;

/// The columns of [`row`], with the scenario's name where the table is of several; what only matters inside one is left out then.
pub(super) fn columns(of_several: bool) -> Vec<Column> {
    let mut columns = vec![
        Column::left("Run", 0),
        Column::wide("Verdict", 0),
        Column::right("Took", 3),
        Column::right("P99", 0),
        Column::right("Throughput", 2),
        Column::left("Revision", 1),
    ];
    if of_several {
        columns.insert(0, Column::left("Scenario", 0));
    } else {
        columns.extend([Column::right("Series", 4), Column::left("Machine", 5)]);
    }
    columns
}

/// A run's name in a table: when it began, after which its folder is called; below that its folder where it is called anything else.
pub(super) fn name(index: &Index, run: usize) -> Cell {
    let summary = index.summary(run);
    let entry = &index.entries[run];
    let started = figure::wall_time(&summary.started_at);
    let digits: String = summary
        .started_at
        .chars()
        .filter(char::is_ascii_digit)
        .take(14)
        .collect();
    let folder: String = entry.name().chars().filter(char::is_ascii_digit).collect();
    let more = if folder.starts_with(&digits) {
        String::new()
    } else {
        format!("\n{}", entry.name())
    };
    entry.cell(&format!("{}{more}", started.trim_end_matches(" UTC")))
}

/// A machine as short as tells it from most: `2 × Xeon Platinum 8370C, 7.75 GiB`.
fn machine(summary: &Summary) -> String {
    let (cores, memory, cpu) = hardware(&summary.machine);
    let mut short = cpu.split(" @ ").next().unwrap_or(cpu).to_owned();
    for word in ["(R)", "(TM)", "(tm)", "Intel ", "AMD ", " CPU", " Processor"] {
        short = short.replace(word, "");
    }
    let short = shortened(&short, CPU);
    format!("{cores} × {short}, {}", figure::bytes((memory << 28) as f64))
}

/// The longest name of a processor.
const CPU: usize = 24;

/// A run. What is not in the trend says why, once.
pub(super) fn row(index: &Index, scenario: &Scenario, run: usize, of_several: bool) -> Vec<Cell> {
    let summary = index.summary(run);
    let point = &scenario.points[&run];
    let number = |of: &dyn Fn(&Point) -> String| {
        let point = point.as_ref().ok();
        Cell::plain(point.map_or_else(|| ABSENT.to_owned(), of))
    };
    let series = if scenario.series.len() > 1 {
        (scenario.series_of[&run] + 1).to_string()
    } else {
        String::new()
    };
    let mut cells = vec![
        name(index, run),
        verdict(summary, point),
        figure::duration(summary.duration_us as f64).into(),
        number(&|point| figure::duration(point.p99_us as f64)),
        number(&|point| figure::rate(point.per_second)),
        summary.revision.clone().into(),
    ];
    if of_several {
        cells.insert(0, scenario.name.clone().into());
    } else {
        cells.extend([series.into(), machine(summary).into()]);
    }
    cells
}

/// How it ended, and below that why: the gravest reason, and why it is not in the trend.
fn verdict(summary: &Summary, point: &Result<Point, String>) -> Cell {
    let mut text = summary.verdict.as_str().to_owned();
    if summary.quick {
        text.push_str(" (--quick)");
    }
    if let Some(reason) = summary.reasons.first() {
        text.push('\n');
        text.push_str(&shortened(reason, REASON));
    }
    let why = point.as_ref().err();
    if let Some(why) = why.filter(|_| summary.verdict != Verdict::Invalid) {
        text.push_str("\nnot in the trend: ");
        text.push_str(&shortened(why, REASON));
    }
    Cell::plain(text).toned(summary.verdict.into())
}
