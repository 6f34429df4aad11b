//! The numbers of each phase and load: what was asked for, what was done, how long it took.

use squall_model::histogram::Distribution;
use squall_model::record::{LoadMode, LoadRecord, PhaseRecord, Spoils};

use super::Detail;
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::marks::{letter, window};
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    if recording.record.phases.is_empty() {
        return Vec::new();
    }
    let table = match detail {
        Detail::Brief => brief(recording),
        Detail::Full => full(recording),
    };
    let mut blocks = Vec::new();
    if detail == Detail::Full {
        let text = "Response time counts from the moment a request was meant to be sent, so waiting for the service shows; \
                    service time counts from the moment it was sent.";
        blocks.push(Block::Paragraph(text.to_owned()));
    }
    let absent = table
        .groups
        .iter()
        .flat_map(|group| group.rows.iter().flatten())
        .any(|cell| cell.text == ABSENT);
    blocks.push(Block::Table(table));
    if absent {
        let text = format!("{ABSENT}: not measured, or fewer than 10 samples beyond the percentile.");
        blocks.push(Block::Paragraph(text));
    }
    blocks.extend(closed_loops(recording));
    if detail == Detail::Full {
        blocks.extend(missed_targets(recording));
    }
    for phase in recording
        .record
        .phases
        .iter()
        .filter(|phase| !phase.invalid.is_empty())
    {
        let spoiled = match phase.load.values().filter_map(|load| load.spoils).max() {
            Some(Spoils::Times) => "latencies",
            Some(Spoils::Everything) | None => "numbers",
        };
        let text = format!(
            "{}: its {spoiled} can't be trusted: {}",
            phase.name,
            phase.invalid.join("; ")
        );
        blocks.push(Block::Note {
            tone: Tone::Doubt,
            text,
        });
    }
    blocks
}

/// Where a load sent more or less than its rate asks for, and why.
fn missed_targets(recording: &Recording) -> impl Iterator<Item = Block> {
    recording.record.phases.iter().flat_map(|phase| {
        let missed = phase
            .load
            .iter()
            .filter_map(|(name, load)| Some((name, load.target_missed.as_ref()?)));
        missed.map(|(name, why)| Block::Paragraph(format!("{}, {name}: {why}.", phase.name)))
    })
}

fn closed_loops(recording: &Recording) -> Option<Block> {
    let closed: Vec<&str> = recording
        .loads()
        .into_iter()
        .filter(|name| {
            let parts = recording
                .record
                .phases
                .iter()
                .filter_map(|phase| phase.load.get(*name));
            parts.into_iter().any(|part| part.mode == LoadMode::Closed)
        })
        .collect();
    let text = format!(
        "{}: closed loop. It sends only after an answer came, so it slows down with the service and can't see queueing; \
         its latency is that of a service with as many waiting as there are users, not of one under a given rate.",
        closed.join(", ")
    );
    (!closed.is_empty()).then_some(Block::Note {
        tone: Tone::Doubt,
        text,
    })
}

fn full(recording: &Recording) -> Table {
    let columns = vec![
        Column::left("Load", 0),
        Column::right("Target", 1),
        Column::right("Achieved", 1),
        Column::right("Sent", 3),
        Column::right("Failed", 0),
        Column::right("Dropped", 2),
        Column::left("Time", 0),
        Column::right("P50", 1),
        Column::right("P90", 4),
        Column::right("P99", 0),
        Column::right("P99.9", 2),
        Column::right("Max", 1),
    ];
    let phases = recording.record.phases.iter().enumerate();
    let mut loads = recording
        .record
        .phases
        .iter()
        .flat_map(|phase| phase.load.values());
    let any_dropped = loads.any(|load| load.dropped > 0);
    let groups = phases
        .map(|(at, phase)| group(recording, at + 1, phase, any_dropped))
        .collect();
    Table {
        caption: "Requests and latency per phase and load".to_owned(),
        columns,
        groups,
    }
}

fn group(recording: &Recording, number: usize, phase: &PhaseRecord, any_dropped: bool) -> Group {
    let running = phase.load.iter().filter(|(_, load)| load.mode != LoadMode::Off);
    let rows: Vec<Vec<Cell>> = running
        .flat_map(|(name, load)| load_rows(name, load, any_dropped))
        .collect();
    let tone = if phase.invalid.is_empty() {
        Tone::Plain
    } else {
        Tone::Doubt
    };
    Group {
        title: format!("{number}. {}", phase.name),
        about: about(recording, phase),
        tone,
        rows,
    }
}

/// When it was and what is special about it.
fn about(recording: &Recording, phase: &PhaseRecord) -> String {
    if phase.end_us == 0 && phase.start_us == 0 {
        return "not reached".to_owned();
    }
    let span = format!(
        "{} to {}",
        figure::about_moment(phase.start_us),
        figure::about_moment(phase.end_us)
    );
    let mut parts = vec![span];
    if phase.baseline {
        parts.push("baseline".to_owned());
    }
    if !phase.measure {
        parts.push("not measured".to_owned());
    }
    if !phase.complete {
        parts.push("cut short".to_owned());
    }
    if recording.approximate.contains(&phase.name) {
        parts.push("approximate".to_owned());
    }
    let faults = faults_in(recording, phase);
    if !faults.is_empty() {
        parts.push(format!(
            "{} {}",
            if faults.len() == 1 { "fault" } else { "faults" },
            faults.join(" ")
        ));
    }
    if phase.load.is_empty() {
        parts.push("no result was recorded".to_owned());
    }
    if !phase.invalid.is_empty() {
        parts.push("invalid".to_owned());
    }
    parts.join(" · ")
}

fn faults_in(recording: &Recording, phase: &PhaseRecord) -> Vec<String> {
    let faults = recording.record.faults.iter().enumerate();
    let inside = faults.filter(|(_, fault)| {
        let window = window(fault, recording.end_us());
        window.is_some_and(|(from, to)| from < phase.end_us && to > phase.start_us)
    });
    inside.map(|(at, _)| letter(at)).collect()
}

fn load_rows(name: &str, load: &LoadRecord, any_dropped: bool) -> [Vec<Cell>; 2] {
    let failed = Cell::plain(figure::count(load.failed));
    // Where none was dropped at all the column goes; the section on errors says so in words.
    let dropped = Cell::plain(if any_dropped {
        figure::count(load.dropped)
    } else {
        String::new()
    });
    let mut response: Vec<Cell> = vec![
        name.into(),
        target(load).into(),
        achieved(load),
        figure::count(load.sent).into(),
        if load.failed > 0 {
            failed.toned(Tone::Bad)
        } else {
            failed
        },
        if load.dropped > 0 {
            dropped.toned(Tone::Bad)
        } else {
            dropped
        },
        "response".into(),
    ];
    response.extend(latencies(&load.response));
    let mut service = vec![Cell::default(); 6];
    service.push("service".into());
    service.extend(latencies(&load.service));
    [response, service]
}

fn target(load: &LoadRecord) -> String {
    match (load.target_rate, load.users) {
        (Some(rate), _) => figure::rate(rate),
        (None, Some(users)) => format!("{} users", figure::count(u64::from(users))),
        (None, None) => ABSENT.to_owned(),
    }
}

/// What was done a second, with its share of the target where that is not all; marked where more than one in a hundred
/// is missing.
fn achieved(load: &LoadRecord) -> Cell {
    let rate = figure::rate(load.throughput);
    match (load.mode, load.achieved) {
        (LoadMode::Open, Some(share)) if load.completed != load.intended => {
            let cell = Cell::plain(format!("{rate} ({})", figure::ratio(share)));
            if share < 0.99 {
                cell.toned(Tone::Doubt)
            } else {
                cell
            }
        }
        _ => Cell::plain(rate),
    }
}

fn latencies(of: &Distribution) -> [Cell; 5] {
    [of.p50, of.p90, of.p99, of.p999, of.max]
        .map(|value| figure::or_absent(value, |us| figure::duration(us as f64)).into())
}

/// One row per phase and load: response time only.
fn brief(recording: &Recording) -> Table {
    let columns = vec![
        Column::left("Phase", 0),
        Column::left("Load", 5),
        Column::right("Target", 3),
        Column::right("Done", 2),
        Column::right("Errors", 0),
        Column::right("P50", 1),
        Column::right("P99", 0),
        Column::right("P99.9", 2),
        Column::right("Max", 1),
    ];
    let mut rows = Vec::new();
    for phase in &recording.record.phases {
        for (name, load) in phase.load.iter().filter(|(_, load)| load.mode != LoadMode::Off) {
            let errors = if load.completed == 0 {
                None
            } else {
                Some(load.failed as f64 / load.completed as f64)
            };
            let tone = if load.failed > 0 { Tone::Bad } else { Tone::Plain };
            let [p50, _, p99, p999, max] = latencies(&load.response);
            rows.push(vec![
                phase.name.clone().into(),
                name.clone().into(),
                target(load).into(),
                figure::rate(load.throughput).into(),
                Cell::plain(figure::or_absent(errors, figure::ratio)).toned(tone),
                p50,
                p99,
                p999,
                max,
            ]);
        }
    }
    Table::of("Response time per phase and load", columns, rows)
}
