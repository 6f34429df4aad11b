//! The made-up minute stretched to an hour, with more loads and services: as large a run as reports are meant for.

use std::collections::BTreeMap;

use squall_model::event::EventKind;
use squall_model::hlog::Interval;
use squall_model::replay;
use squall_model::series::{LoadRow, RowPauses, SeriesRow, ServiceRow};
use squall_report::Recording;

use crate::synthetic;

/// How many loads it has.
pub(crate) const LOADS: usize = 10;
/// How many services.
const SERVICES: usize = 18;
/// How many minutes.
const MINUTES: u64 = 60;
const SECOND: u64 = 1_000_000;
/// A service on a shared machine pauses in one row of so many.
const PAUSED_IN: usize = 3;

/// The name of a load.
pub(crate) fn load(at: usize) -> String {
    format!("journey-{at}")
}

fn service(at: usize) -> String {
    format!("shop-service-{at}")
}

/// The hour, with a row each `row_us` for each load and each service. Everything follows from the seed.
pub(crate) fn recording(seed: u64, row_us: u64) -> Recording {
    let mut hour = synthetic::folder(seed).recording();
    for event in &mut hour.events {
        event.at_us *= MINUTES;
        many(&mut event.kind);
    }
    hour.record = replay::record(&hour.events).unwrap();
    let rows: Vec<SeriesRow> = hour
        .series
        .iter()
        .map(squall_model::series::Row::to_owned)
        .collect();
    hour.series = series(&rows, row_us).into_iter().collect();
    let minute = hour
        .intervals
        .pop_first()
        .map(|(_, intervals)| intervals)
        .unwrap_or_default();
    let minute: Vec<Interval> = minute
        .into_iter()
        .filter(|one| one.end_us <= 60 * SECOND)
        .collect();
    let tiled: Vec<Interval> = (0..MINUTES)
        .flat_map(|at| {
            minute.iter().map(move |one| Interval {
                start_us: one.start_us + at * 60 * SECOND,
                end_us: one.end_us + at * 60 * SECOND,
                ..one.clone()
            })
        })
        .collect();
    hour.intervals = (0..LOADS).map(|at| (load(at), tiled.clone())).collect();
    hour
}

/// What was of one load and one service is of all.
fn many(kind: &mut EventKind) {
    fn all<T: Clone>(
        one: &BTreeMap<String, T>,
        count: usize,
        name: fn(usize) -> String,
    ) -> BTreeMap<String, T> {
        let value = one.values().next();
        value.map_or_else(BTreeMap::new, |value| {
            (0..count).map(|at| (name(at), value.clone())).collect()
        })
    }
    match kind {
        EventKind::RunStarted(header) => {
            header.loads = (0..LOADS).map(load).collect();
            header.services = (0..SERVICES).map(service).collect();
            for phase in &mut header.phases {
                phase.length_us *= MINUTES;
                phase.target_rate = all(&phase.target_rate, LOADS, load);
            }
        }
        EventKind::PhaseResult {
            load: of_loads,
            services,
            ..
        } => {
            *of_loads = all(of_loads, LOADS, load);
            *services = all(services, SERVICES, service);
        }
        _ => {}
    }
}

/// Rows of an hour, taken in turn from those of the minute and differing a little from load to load and from minute to minute.
fn series(minute: &[SeriesRow], row_us: u64) -> Vec<SeriesRow> {
    let loads: Vec<&LoadRow> = minute
        .iter()
        .filter_map(|row| match row {
            SeriesRow::Load(row) => Some(row),
            SeriesRow::Service(_) => None,
        })
        .collect();
    let services: Vec<&ServiceRow> = minute
        .iter()
        .filter_map(|row| match row {
            SeriesRow::Service(row) => Some(row),
            SeriesRow::Load(_) => None,
        })
        .collect();
    let mut rows = Vec::new();
    for at in 0..MINUTES * 60 * SECOND / row_us {
        let (start_us, end_us) = (at * row_us, (at + 1) * row_us);
        let turn = at as usize;
        for number in 0..LOADS {
            let mut row = loads[(turn + 37 * number) % loads.len()].clone();
            (row.start_us, row.end_us, row.load) = (start_us, end_us, load(number).into());
            row.completed = row.completed * row_us / 100_000;
            rows.push(SeriesRow::Load(row));
        }
        for number in 0..SERVICES {
            let mut row = services[(turn + 41 * number) % services.len()].clone();
            (row.start_us, row.end_us, row.service) = (start_us, end_us, service(number).into());
            tell_pauses(&mut row, (turn + number).is_multiple_of(PAUSED_IN));
            rows.push(SeriesRow::Service(row));
        }
    }
    rows
}

/// Says of what kind a row's pause was, or takes it out.
fn tell_pauses(row: &mut ServiceRow, paused: bool) {
    if !paused {
        (row.pause_max, row.pause_total) = (Some(0), Some(0));
    } else if let (Some(max), Some(total)) = (row.pause_max, row.pause_total) {
        row.pause_kinds.insert("hiccup".into(), RowPauses { max, total });
    }
}
