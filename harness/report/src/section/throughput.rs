//! Requests per second over time: what was asked for, what was done, what failed; a chart per load.

use squall_model::record::LoadMode;
use squall_model::series::LoadRow;

use super::Detail;
use super::latency::{CHARTS, pieces};
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Part};
use crate::figure::{self, Unit};
use crate::marks::marks;
use crate::recording::Recording;
use crate::window::Span;

/// The shortest window that rates are counted in: shorter ones show the arrivals, not the service.
const WINDOW_US: u64 = 500_000;
/// The most windows in a chart.
const WINDOWS: u64 = 480;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = recording.loads();
    let charts = loads.iter().take(CHARTS).enumerate();
    let charts = charts.flat_map(|(at, load)| [done(recording, at, load), lost(recording, at, load)]);
    charts
        .flatten()
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect()
}

/// What was completed per second.
pub(super) fn rate_line(recording: &Recording, load: &str) -> Vec<Vec<(f64, f64)>> {
    let rows: Vec<&LoadRow> = recording.load_rows(load).collect();
    let window_us = WINDOW_US.max(recording.end_us() / WINDOWS);
    let windows = windows(&rows, window_us, running(recording, load));
    pieces(&rates(&windows, recording.repeats(), |window| window.completed))
}

/// What was asked for and what was done.
fn done(recording: &Recording, at: usize, load: &str) -> Option<Chart> {
    let rows: Vec<&LoadRow> = recording.load_rows(load).collect();
    let window_us = WINDOW_US.max(recording.end_us() / WINDOWS);
    let windows = windows(&rows, window_us, running(recording, load));
    let line = |label: &str, ink, spans: &[Span]| Line {
        label: label.to_owned(),
        ink,
        pieces: pieces(spans),
    };
    let target = target(recording, load);
    let done = rates(&windows, recording.repeats(), |window| window.completed);
    if done.is_empty() && target.is_empty() {
        return None;
    }
    let mut lines = vec![line("completed", Ink::Series(0), &done)];
    if !target.is_empty() {
        let steps = target.iter().map(|span| {
            vec![
                (span.start_us as f64, span.value),
                (span.end_us as f64, span.value),
            ]
        });
        lines.push(Line {
            label: "target".to_owned(),
            ink: Ink::Target,
            pieces: steps.collect(),
        });
    }
    Some(Chart {
        id: format!("throughput-{at}"),
        title: format!("{load}: requests per second"),
        about: format!(
            "Completed requests against the target, in windows of {}.",
            figure::duration(window_us as f64)
        ),
        x: Horizontal::Time {
            end_us: recording.end_us(),
        },
        unit: Unit::Rate,
        lines,
        marks: marks(recording),
        part: Part::Whole,
    })
}

/// What failed and what was never sent, of its own so that a few can be seen beside thousands; none where all went well.
fn lost(recording: &Recording, at: usize, load: &str) -> Option<Chart> {
    let rows: Vec<&LoadRow> = recording.load_rows(load).collect();
    let windows = windows(
        &rows,
        WINDOW_US.max(recording.end_us() / WINDOWS),
        running(recording, load),
    );
    let sum = |of: fn(&Window) -> u64| windows.iter().map(of).sum::<u64>();
    let (failed, dropped) = (sum(|window| window.failed), sum(|window| window.dropped));
    let line = |label: &str, ink, of| Line {
        label: label.to_owned(),
        ink,
        pieces: pieces(&rates(&windows, recording.repeats(), of)),
    };
    let (mut lines, mut parts) = (Vec::new(), Vec::new());
    if failed > 0 {
        parts.push(format!("{} failed", figure::count(failed)));
        lines.push(line("failed", Ink::Bad, |window| window.failed));
    }
    if dropped > 0 {
        parts.push(format!(
            "{} were dropped before they were sent",
            figure::count(dropped)
        ));
        lines.push(line("dropped", Ink::Doubt, |window| window.dropped));
    }
    (!lines.is_empty()).then(|| Chart {
        id: format!("errors-{at}"),
        title: format!("{load}: errors per second"),
        about: format!("{}.", parts.join(", ")),
        x: Horizontal::Time {
            end_us: recording.end_us(),
        },
        unit: Unit::Rate,
        lines,
        marks: marks(recording),
        part: Part::Whole,
    })
}

/// From when to when the load ran.
fn running(recording: &Recording, load: &str) -> (u64, u64) {
    let phases = recording.record.phases.iter();
    let ran = || {
        phases.clone().filter(|phase| {
            phase
                .load
                .get(load)
                .is_some_and(|part| part.mode != LoadMode::Off)
        })
    };
    let start_us = ran().map(|phase| phase.start_us).min().unwrap_or(0);
    (
        start_us,
        ran().map(|phase| phase.end_us).max().unwrap_or(u64::MAX),
    )
}

/// What was asked for, phase by phase.
fn target(recording: &Recording, load: &str) -> Vec<Span> {
    let phases = recording.record.phases.iter();
    let asked = phases.filter_map(|phase| {
        let part = phase.load.get(load).filter(|part| part.mode == LoadMode::Open)?;
        Some(Span {
            start_us: phase.start_us,
            end_us: phase.end_us,
            value: part.target_rate?,
        })
    });
    asked.collect()
}

/// Counts over a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Window {
    start_us: u64,
    end_us: u64,
    completed: u64,
    failed: u64,
    dropped: u64,
}

/// Rows added up to windows of at least `window_us`. Rows at the ends are counted over the part in which the load
/// ran, or its first and last second would look slow.
fn windows(rows: &[&LoadRow], window_us: u64, running: (u64, u64)) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for row in rows {
        let start_us = row.start_us.max(running.0.min(row.end_us));
        let end_us = if row.start_us < running.1 {
            row.end_us.min(running.1)
        } else {
            row.end_us
        };
        match windows.last_mut() {
            Some(open)
                if open.end_us - open.start_us < window_us && row.start_us <= open.end_us + window_us / 2 =>
            {
                open.end_us = open.end_us.max(end_us);
                open.completed += row.completed;
                open.failed += row.failed;
                open.dropped += row.dropped;
            }
            _ => windows.push(Window {
                start_us,
                end_us,
                completed: row.completed,
                failed: row.failed,
                dropped: row.dropped,
            }),
        }
    }
    // A last window much shorter than the rest has too few requests to show a rate.
    if windows.len() > 1
        && windows
            .last()
            .is_some_and(|last| last.end_us - last.start_us < window_us / 2)
    {
        windows.pop();
    }
    windows
}

/// Per second of one timeline, where the windows hold what happened in `repeats` of it.
fn rates(windows: &[Window], repeats: f64, of: fn(&Window) -> u64) -> Vec<Span> {
    let timed = windows.iter().filter(|window| window.end_us > window.start_us);
    timed
        .map(|window| {
            let seconds = (window.end_us - window.start_us) as f64 / 1e6;
            Span {
                start_us: window.start_us,
                end_us: window.end_us,
                value: of(window) as f64 / seconds / repeats,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_add_up_to_windows_and_none_is_lost_but_a_stump() {
        let row = |at: u64| LoadRow {
            start_us: at * 100_000,
            end_us: (at + 1) * 100_000,
            completed: 200,
            failed: 1,
            ..LoadRow::default()
        };
        let rows: Vec<LoadRow> = (0..12).map(row).collect();
        let windows = windows(&rows.iter().collect::<Vec<_>>(), 500_000, (0, u64::MAX));
        assert_eq!(
            windows.iter().map(|w| w.completed).collect::<Vec<_>>(),
            [1_000, 1_000]
        );
        assert!(
            rates(&windows, 1.0, |w| w.completed)
                .iter()
                .all(|span| (span.value - 2_000.0).abs() < 1e-9)
        );
    }
}
