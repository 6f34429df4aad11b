//! What a reader sees first: the run in one chart, what was expected, how the loads took the faults, and how to run it again.

use squall_model::histogram::{Histogram, quantile, sum};
use squall_model::record::{ExpectationRecord, FaultRecord, RunRecord, Verdict};

use super::faults::{is_measured, unmeasured};
use super::{Detail, pauses};
use crate::block::{Block, Cell, Column, Table, Tone};
use crate::chart::{Chart, Horizontal, Ink, Line, Marks, Place, stacked};
use crate::figure::{self, Unit};
use crate::marks::letter;
use crate::recording::Recording;
use crate::visible::shortened;
use crate::window::pieces;

/// The most loads and services drawn; the sections below have all.
const LINES: usize = 4;
/// The most expectations listed: those that did not hold come first.
const EXPECTATIONS: usize = 8;
/// The most faults listed.
const FAULTS: usize = 6;
/// The longest text of an expectation.
const TEXT_LENGTH: usize = 60;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let panels = panels(recording);
    let mut main = Vec::new();
    if !panels.is_empty() {
        main.push(Block::Stack(panels));
    }
    let mut side = expectations(recording);
    side.extend(recoveries(recording));
    side.extend(change(recording));
    if !recording.record.command.is_empty() {
        main.push(Block::Code {
            label: "The command that repeats this run".to_owned(),
            text: recording.record.command.clone(),
        });
    }
    if main.is_empty() && side.is_empty() {
        return Vec::new();
    }
    vec![Block::Beside { main, side }]
}

/// P99, the longest pause and what was completed, on one axis.
fn panels(recording: &Recording) -> Vec<Chart> {
    let mut marks = recording.marks().clone();
    marks.tracks.truncate(2);
    let loads = recording.loads();
    let loads = || loads.iter().take(LINES).enumerate();
    let line = |(at, load): (usize, &&str), pieces| Line {
        label: (*load).to_owned(),
        ink: Ink::Series(at as u8),
        pieces,
    };
    let of = |id: &str, title: &str, unit, lines: Vec<Line>| Chart {
        id: format!("overview-{id}"),
        title: title.to_owned(),
        about: String::new(),
        x: Horizontal::Time {
            end_us: recording.end_us(),
        },
        unit,
        lines,
        marks: Marks::default(),
        heat: None,
        place: Place::Middle,
    };
    let p99 = loads()
        .map(|one| {
            let over_time = recording.percentiles(one.1);
            line(one, over_time.map_or_else(Vec::new, |all| pieces(&all.p99)))
        })
        .collect();
    let done = loads()
        .map(|one| {
            let requests = recording.requests(one.1);
            line(
                one,
                requests.map_or_else(Vec::new, |all| pieces(&all.completed())),
            )
        })
        .collect();
    let mut panels = vec![
        of("p99", "P99 response time", Unit::Duration, p99),
        of(
            "pauses",
            "Longest pause",
            Unit::Duration,
            pauses::longest(recording, LINES),
        ),
        of("done", "Completed per second", Unit::Rate, done),
    ];
    panels.retain(|panel| panel.lines.iter().any(|line| line.points().next().is_some()));
    for panel in &mut panels {
        panel.marks = marks.clone();
    }
    stacked(&mut panels);
    panels
}

fn expectations(recording: &Recording) -> Vec<Block> {
    let record = &recording.record;
    let broken = record
        .invariants
        .iter()
        .filter(|one| one.verdict != Verdict::Pass);
    let mut rows: Vec<Vec<Cell>> = broken
        .map(|one| {
            let what = if one.verdict == Verdict::Fail {
                format!("{} violations", figure::count(one.violations))
            } else {
                "not known".to_owned()
            };
            vec![
                Cell::plain(shortened(&one.path(), TEXT_LENGTH)).toned(one.verdict.into()),
                Cell::plain(what).toned(one.verdict.into()),
                Cell::default(),
            ]
        })
        .collect();
    let mut judged: Vec<&ExpectationRecord> = record.expectations.iter().collect();
    judged.sort_by_key(|one| match one.verdict {
        Verdict::Fail => 0,
        Verdict::Invalid => 1,
        Verdict::Pass => 2,
    });
    rows.extend(judged.iter().map(|one| expectation(one)));
    let total = rows.len();
    if total == 0 {
        return Vec::new();
    }
    rows.truncate(EXPECTATIONS);
    let columns = vec![
        Column::wide("Expected", 0),
        Column::right("Measured", 0),
        Column::right("Margin", 0),
    ];
    let shown = rows.len();
    let mut blocks = vec![Block::Table(Table::of(
        "What was expected, and by how much it held",
        columns,
        rows,
    ))];
    if shown < total {
        let text = format!("And {} more, below.", figure::count((total - shown) as u64));
        blocks.push(Block::Paragraph(text));
    }
    blocks
}

fn expectation(one: &ExpectationRecord) -> Vec<Cell> {
    let unit = Unit::of_expectation(one);
    let scope = if one.scope == "run" {
        String::new()
    } else {
        format!("\nin {}", one.scope)
    };
    let measured = match (one.value, one.limit) {
        (None, None) => one.verdict.as_str().to_owned(),
        (value, _) => figure::or_absent(value, |value| unit.print(value)),
    };
    let tone = Tone::from(one.verdict);
    vec![
        Cell::plain(format!("{}{scope}", shortened(&one.text, TEXT_LENGTH))),
        Cell::plain(measured).toned(tone),
        margin(one).map_or_else(Cell::default, |margin| figure::percent(margin).into()),
    ]
}

/// How far a value is on the right side of its limit, as a part of the limit; below zero on the wrong side.
fn margin(one: &ExpectationRecord) -> Option<f64> {
    let (value, limit) = (one.value?, one.limit.filter(|limit| *limit > 0.0)?);
    let over = value / limit - 1.0;
    match one.text.find(['<', '>']).map(|at| one.text.as_bytes()[at]) {
        Some(b'<') => Some(-over),
        Some(b'>') => Some(over),
        _ => None,
    }
}

/// What is different from the last run that could be judged, without a verdict on it.
fn change(recording: &Recording) -> Option<Block> {
    let (now, before) = (&recording.record, recording.previous.as_deref()?);
    let loads = recording.loads();
    let mut changes: Vec<String> = Vec::new();
    for load in loads.iter().take(2) {
        let p99 = |record: &RunRecord| {
            let response = response(record, load);
            quantile(&response, 0.99).map(|us| us as f64)
        };
        if let (Some(was), Some(is)) = (p99(before), p99(now)) {
            let by = figure::percent(is / was - 1.0);
            let by = if is > was { format!("+{by}") } else { by };
            let (was, is) = (figure::duration(was), figure::duration(is));
            changes.push(format!("P99 of {load} {was} → {is} ({by})"));
        }
    }
    if before.verdict != now.verdict {
        changes.insert(
            0,
            format!("{} → {}", before.verdict.as_str(), now.verdict.as_str()),
        );
    }
    let when = figure::wall_time(&before.started_at);
    let text = format!(
        "Since the last valid run ({when}, revision {}): {}. With one run each, this can't be told from what runs vary by anyhow.",
        before.revision,
        if changes.is_empty() {
            "too few requests to compare".to_owned()
        } else {
            changes.join("; ")
        }
    );
    Some(Block::Paragraph(text))
}

/// The response times of a load over the phases that count.
fn response(record: &RunRecord, load: &str) -> Histogram {
    let phases = record.phases.iter().filter(|phase| phase.measure);
    let parts = phases.filter_map(|phase| phase.load.get(load));
    sum(parts.filter_map(|part| part.response.histogram().ok()))
}

/// How the loads took each fault.
fn recoveries(recording: &Recording) -> Option<Block> {
    let faults = recording.record.faults.iter().enumerate();
    let rows: Vec<Vec<Cell>> = faults
        .filter(|(_, fault)| fault.injected_us.is_some())
        .take(FAULTS)
        .map(|(at, fault)| recovery(at, fault))
        .collect();
    if recording
        .record
        .faults
        .iter()
        .all(|fault| !is_measured(&fault.felt) && fault.proved)
    {
        return unmeasured(&recording.record.faults).map(Block::Paragraph);
    }
    let columns = vec![
        Column::wide("Fault", 0),
        Column::right("Felt after", 0),
        Column::right("Recovered after", 0),
    ];
    (!rows.is_empty()).then(|| Block::Table(Table::of("How the loads took the faults", columns, rows)))
}

fn recovery(at: usize, fault: &FaultRecord) -> Vec<Cell> {
    let duration = |us: u64| figure::duration(us as f64);
    let felt = &fault.felt;
    let back = match (felt.recover_us, felt.unrecovered_us) {
        (_, Some(us)) => Cell::plain(format!("not within {}", duration(us))).toned(Tone::Bad),
        (Some(us), None) if felt.detect_us.is_some() && us > 0 => duration(us).into(),
        (Some(_), None) if felt.detect_us.is_some() => "at once".into(),
        _ => Cell::default(),
    };
    let noticed = match felt.detect_us {
        Some(us) => duration(us),
        None if felt.recover_us.is_some() => "not felt".to_owned(),
        None => "not measured".to_owned(),
    };
    let name = format!("{} {}", letter(at), shortened(&fault.name, TEXT_LENGTH));
    let name = if fault.proved {
        Cell::plain(name)
    } else {
        Cell::plain(format!("{name}\nnot shown to have taken effect")).toned(Tone::Doubt)
    };
    vec![name, noticed.into(), back]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_what_is_left_of_the_limit() {
        let of = |text: &str, value, limit| {
            let one = ExpectationRecord {
                scope: "run".to_owned(),
                text: text.to_owned(),
                value: Some(value),
                limit: Some(limit),
                verdict: Verdict::Pass,
                reason: String::new(),
                baseline: None,
                lacks_baseline: false,
            };
            margin(&one).map(figure::percent)
        };
        assert_eq!(of("a.p99 < 20ms", 5_000.0, 20_000.0).as_deref(), Some("75 %"));
        assert_eq!(of("a.p99 < 20ms", 30_000.0, 20_000.0).as_deref(), Some("−50 %"));
        assert_eq!(of("a.achieved > 80%", 0.88, 0.8).as_deref(), Some("10 %"));
        assert_eq!(of("a.errors == 0%", 0.0, 0.0), None);
    }
}
