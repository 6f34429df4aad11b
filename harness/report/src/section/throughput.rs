//! Requests per second over time: what was asked for, what was done, what failed; a chart per load.

use squall_model::record::LoadMode;

use super::Detail;
use crate::block::Block;
use crate::chart::{Chart, Horizontal, Ink, Line, Place};
use crate::figure::{self, Unit};
use crate::over_time::{CHARTS, Requests, window_us};
use crate::recording::Recording;
use crate::window::{Span, pieces};

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if detail == Detail::Brief {
        return Vec::new();
    }
    let loads = recording.loads();
    let charts = loads.iter().take(CHARTS).enumerate();
    let charts = charts.filter_map(|(at, load)| {
        let requests = recording.requests(load)?;
        Some([
            done(recording, at, load, requests),
            lost(recording, at, load, requests),
        ])
    });
    charts
        .flatten()
        .flatten()
        .map(|chart| Block::Chart(Box::new(chart)))
        .collect()
}

fn line(label: &str, ink: Ink, spans: &[Span]) -> Line {
    Line {
        label: label.to_owned(),
        ink,
        pieces: pieces(spans),
    }
}

/// What was asked for and what was done.
fn done(recording: &Recording, at: usize, load: &str, requests: &Requests) -> Option<Chart> {
    let target = target(recording, load);
    let done = requests.completed();
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
            figure::duration(window_us(recording) as f64)
        ),
        x: Horizontal::Time {
            end_us: recording.end_us(),
        },
        unit: Unit::Rate,
        lines,
        marks: recording.marks().clone(),
        heat: None,
        place: Place::Whole,
    })
}

/// What failed and what was never sent, of its own so that a few can be seen beside thousands; none where all went well.
fn lost(recording: &Recording, at: usize, load: &str, requests: &Requests) -> Option<Chart> {
    let (failed, dropped) = requests.lost();
    let (mut lines, mut parts) = (Vec::new(), Vec::new());
    if failed > 0 {
        parts.push(format!("{} failed", figure::count(failed)));
        lines.push(line("failed", Ink::Bad, &requests.failed()));
    }
    if dropped > 0 {
        parts.push(format!(
            "{} were dropped before they were sent",
            figure::count(dropped)
        ));
        lines.push(line("dropped", Ink::Doubt, &requests.dropped()));
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
        marks: recording.marks().clone(),
        heat: None,
        place: Place::Whole,
    })
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
