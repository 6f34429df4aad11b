//! The numbers of phases that a run was cut off in.
//!
//! A phase's result is written once everything intended in it has ended. A run that dies before has only the series and
//! the interval logs of that phase; they are keyed by the time at which requests ended, so what is put together here is
//! approximate and marked so. This module must never touch a phase that has its own result.

use std::collections::BTreeMap;

use squall_model::event::{EventKind, PlannedPhase};
use squall_model::histogram::{Distribution, Histogram, sum};
use squall_model::hlog::{Interval, Kind};
use squall_model::record::{LoadMode, LoadRecord, PhaseRecord, ServiceRecord};
use squall_model::series::Row;

use crate::recording::Recording;

/// Fills the phases that began and have no result.
pub(crate) fn fill(recording: &mut Recording) {
    let last_us = last_us(recording);
    recording.record.duration_us = recording.record.duration_us.max(last_us);
    let planned: BTreeMap<String, PlannedPhase> = recording
        .header()
        .map(|header| {
            header
                .phases
                .iter()
                .map(|phase| (phase.name.clone(), phase.clone()))
                .collect()
        })
        .unwrap_or_default();
    for at in 0..recording.record.phases.len() {
        let phase = &recording.record.phases[at];
        if !began(recording, &phase.name) || !phase.load.is_empty() {
            continue;
        }
        // The phase that was running when the run died goes on in the series beyond the last event.
        let later = recording.record.phases[at + 1..]
            .iter()
            .any(|next| began(recording, &next.name));
        let end_us = if phase.complete || later {
            phase.end_us
        } else {
            phase.end_us.max(last_us)
        };
        let (start_us, name) = (phase.start_us, phase.name.clone());
        // A row that lies only in part within the phases belongs to the one that it lies in, so that each is counted.
        let earlier = recording.record.phases[..at]
            .iter()
            .any(|before| began(recording, &before.name));
        let rows = Rows {
            from_us: if earlier { start_us } else { 0 },
            to_us: if later { end_us } else { u64::MAX },
        };
        let load = loads(recording, planned.get(&name), rows, (start_us, end_us));
        let services = services(recording, start_us, end_us);
        if load.is_empty() && services.is_empty() {
            continue;
        }
        let phase: &mut PhaseRecord = &mut recording.record.phases[at];
        (phase.end_us, phase.load, phase.services) = (end_us, load, services);
        recording.approximate.insert(name);
    }
}

fn began(recording: &Recording, name: &str) -> bool {
    recording
        .events
        .iter()
        .any(|event| matches!(&event.kind, EventKind::PhaseStarted { phase } if phase == name))
}

fn last_us(recording: &Recording) -> u64 {
    let rows = recording.series.iter().map(|row| match row {
        Row::Load(row) => row.end_us,
        Row::Service(row) => row.end_us,
    });
    let events = recording.events.iter().map(|event| event.at_us);
    rows.chain(events).max().unwrap_or(0)
}

/// The stretch of time whose rows and intervals count for a phase.
#[derive(Clone, Copy)]
struct Rows {
    from_us: u64,
    to_us: u64,
}

impl Rows {
    /// Whether the middle of a row or an interval lies in it.
    fn hold(self, start_us: u64, end_us: u64) -> bool {
        let middle = start_us + end_us.saturating_sub(start_us) / 2;
        (self.from_us..self.to_us).contains(&middle)
    }
}

fn loads(
    recording: &Recording,
    planned: Option<&PlannedPhase>,
    rows: Rows,
    phase: (u64, u64),
) -> BTreeMap<String, LoadRecord> {
    let names = recording.loads().into_iter().map(str::to_owned);
    let filled = names.filter_map(|name| {
        let record = load(recording, &name, planned, rows, phase);
        (record.intended > 0 || record.completed > 0 || record.response.count > 0).then_some((name, record))
    });
    filled.collect()
}

fn load(
    recording: &Recording,
    name: &str,
    planned: Option<&PlannedPhase>,
    rows: Rows,
    (start_us, end_us): (u64, u64),
) -> LoadRecord {
    let target_rate = planned
        .and_then(|phase| phase.target_rate.get(name).copied())
        .flatten();
    let mode = if target_rate.is_some() {
        LoadMode::Open
    } else {
        LoadMode::Closed
    };
    let mut record = LoadRecord {
        mode,
        target_rate,
        ..LoadRecord::default()
    };
    let (mut response_max, mut service_max, mut seen_until_us) = (None, None, start_us);
    for row in recording
        .load_rows(name)
        .filter(|row| rows.hold(row.start_us, row.end_us))
    {
        response_max = response_max.max(row.response.max);
        service_max = service_max.max(row.service.max);
        seen_until_us = seen_until_us.max(row.end_us);
        record.intended += row.intended;
        record.sent += row.sent;
        record.completed += row.completed;
        record.failed += row.failed;
        record.dropped += row.dropped;
        for (kind, n) in &row.errors {
            *record.errors.entry(kind.to_string()).or_default() += n;
        }
    }
    let intervals = recording.intervals.get(name).map_or(&[][..], Vec::as_slice);
    record.response = Distribution::of(&merged(intervals, Kind::Response, rows));
    record.service = Distribution::of(&merged(intervals, Kind::Service, rows));
    // The log's last whole second ends before the series does.
    record.response.max = record.response.max.max(response_max);
    record.service.max = record.service.max.max(service_max);
    record.achieved = (record.intended > 0).then(|| record.completed as f64 / record.intended as f64);
    // The series may end before the interval log; what the log holds did happen, so the counts are no less. Where it doesn't, its rows
    // have it all, and a second of the log that lies in two phases is no reason to count more.
    let series_until_us = recording.load_rows(name).map(|row| row.end_us).max().unwrap_or(0);
    let is_log_longer = intervals.iter().any(|one| one.start_us >= series_until_us);
    if is_log_longer && record.completed < record.response.count {
        record.completed = record.response.count;
        record.sent = record.sent.max(record.completed);
        record.intended = record.intended.max(record.sent);
        record.achieved = None;
    }
    // What happened after the last row was never written down, so no rate may be made of it.
    let counted_until_us = if seen_until_us > start_us {
        seen_until_us.min(end_us)
    } else {
        end_us
    };
    let seconds = counted_until_us.saturating_sub(start_us) as f64 / 1e6;
    record.throughput = if seconds > 0.0 {
        record.completed as f64 / seconds
    } else {
        0.0
    };
    record
}

fn merged(intervals: &[Interval], kind: Kind, rows: Rows) -> Histogram {
    let inside = intervals
        .iter()
        .filter(|i| i.kind == kind && rows.hold(i.start_us, i.end_us));
    sum(inside.filter_map(|interval| interval.histogram().ok()))
}

fn services(recording: &Recording, start_us: u64, end_us: u64) -> BTreeMap<String, ServiceRecord> {
    let rows = Rows {
        from_us: start_us,
        to_us: end_us,
    };
    let mut services: BTreeMap<String, ServiceRecord> = BTreeMap::new();
    for row in recording
        .service_rows()
        .filter(|row| rows.hold(row.start_us, row.end_us))
    {
        let service = services.entry(row.service.to_string()).or_default();
        if let Some(cpu_us) = row.cpu_us {
            *service.cpu_us.get_or_insert(0) += cpu_us;
        }
        service.rss_max = service.rss_max.max(row.rss);
        service.threads_max = service.threads_max.max(row.threads);
        service.descriptors_max = service.descriptors_max.max(row.descriptors);
        for (sum, more) in [
            (&mut service.voluntary_switches, row.voluntary_switches),
            (&mut service.involuntary_switches, row.involuntary_switches),
        ] {
            if let Some(more) = more {
                *sum.get_or_insert(0) += more;
            }
        }
    }
    services
}
