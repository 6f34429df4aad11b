//! Whether the load generator itself kept up: a late generator makes slow numbers that are not the service's.

use squall_model::record::{GeneratorPhase, LatencyError};

use super::Detail;
use crate::block::{Block, Cell, Column, Group, Table, Tone};
use crate::figure::{self, ABSENT};
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let generator = &recording.record.generator;
    if detail == Detail::Brief || generator.threads == 0 {
        return Vec::new();
    }
    let duration = |us: Option<u64>| figure::or_absent(us, |us| figure::duration(us as f64));
    let lag = &generator.schedule_lag;
    let host = &generator.host_pauses;
    let completed: u64 = recording
        .record
        .phases
        .iter()
        .flat_map(|p| p.load.values())
        .map(|load| load.completed)
        .sum();
    let per_request = (completed > 0).then(|| generator.cpu_us as f64 / completed as f64);
    let mut rows: Vec<(String, Cell)> = Vec::new();
    if let Some(verdict) = generator.verdict {
        rows.push(("Kept its schedule".to_owned(), Cell::verdict(verdict)));
    }
    let mut row = |name: &str, text: String| rows.push((name.to_owned(), Cell::plain(text)));
    if lag.count > 0 {
        row(
            "Behind its schedule",
            format!(
                "P50 {}, P99 {}, at most {}",
                duration(lag.p50),
                duration(lag.p99),
                duration(lag.max)
            ),
        );
    }
    let each = per_request.map_or_else(String::new, |us| {
        format!(", {} per request", figure::duration(us))
    });
    let threads = if generator.threads == 1 {
        "1 thread".to_owned()
    } else {
        format!("{} threads", generator.threads)
    };
    row(
        "CPU time",
        format!("{} on {threads}{each}", figure::duration(generator.cpu_us as f64)),
    );
    if !generator.placement.is_empty() {
        row("Placement", generator.placement.clone());
    }
    row(
        "Pauses of this machine",
        format!(
            "{} in all, {} long together, P99 {}, longest {}",
            figure::count(host.count),
            figure::duration(host.total as f64),
            duration(host.p99),
            duration(host.max)
        ),
    );
    row(
        "Cost of watching the machine",
        format!(
            "{} of CPU time",
            figure::duration(generator.host_meter_cpu_us as f64)
        ),
    );
    if generator.suspended_us > 0 {
        let text = format!(
            "suspended for {}",
            figure::duration(generator.suspended_us as f64)
        );
        rows.push(("This machine".to_owned(), Cell::plain(text).toned(Tone::Bad)));
    }
    let mut blocks = vec![Block::Definitions(rows)];
    blocks.extend(phases(recording));
    blocks
}

/// What the machine did to the generator, and how much of each percentile that may be.
fn phases(recording: &Recording) -> Vec<Block> {
    let seen = &recording.record.generator.phases;
    let phases = recording.record.phases.iter();
    let rows: Vec<Vec<Cell>> = phases
        .filter_map(|phase| Some(row(&phase.name, seen.get(&phase.name)?)))
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::left("Phase", 0),
        Column::right("Busiest thread", 0),
        Column::right("Waited for a core", 0),
        Column::right("Other programs", 0),
        Column::right("Stolen by the host", 1),
        Column::right("Held by a quota", 2),
        Column::right("CPU pressure", 2),
        Column::right("Oversleep P99", 1),
        Column::right("Longest", 2),
        Column::left("Own lateness in the latency", 0),
    ];
    let text = "Shares are parts of the phase; those of other programs and of the host are parts of the time of all the processors \
                that the run could use. Own lateness is an estimate of how much of a percentile comes from requests sent late and answers \
                read late; nothing was corrected by it.";
    let table = Table {
        caption: "The generator and its machine per phase".to_owned(),
        columns,
        groups: vec![Group {
            rows,
            ..Group::default()
        }],
    };
    vec![Block::Paragraph(text.to_owned()), Block::Table(table)]
}

fn row(name: &str, seen: &GeneratorPhase) -> Vec<Cell> {
    let share = |us: u64| figure::ratio(us as f64 / seen.watched_us.max(1) as f64);
    let most = |of: fn(&squall_model::record::GeneratorThread) -> u64| {
        figure::or_absent(seen.threads.iter().map(of).max(), share)
    };
    let duration = |us: Option<u64>| figure::or_absent(us, |us| figure::duration(us as f64));
    vec![
        name.to_owned().into(),
        most(|thread| thread.cpu_us).into(),
        most(|thread| thread.wait_us).into(),
        figure::or_absent(seen.strangers, figure::ratio).into(),
        figure::or_absent(seen.steal, figure::ratio).into(),
        figure::or_absent(seen.throttled_us, share).into(),
        figure::or_absent(seen.pressure, figure::ratio).into(),
        duration(seen.oversleep_us_p99).into(),
        duration(seen.oversleep_us_max).into(),
        errors(seen).into(),
    ]
}

fn errors(seen: &GeneratorPhase) -> String {
    let one = |(load, error): (&String, &LatencyError)| {
        let off_us = (error.measured_us - error.without_us).max(0.0);
        format!(
            "{load}: {} of P{:.0} {}",
            figure::duration(off_us.round()),
            error.quantile * 100.0,
            figure::duration(error.measured_us)
        )
    };
    let all: Vec<String> = seen.error.iter().map(one).collect();
    if all.is_empty() {
        ABSENT.to_owned()
    } else {
        all.join("; ")
    }
}
