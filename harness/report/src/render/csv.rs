//! What happened over time as a table: a row per interval for each load and each service, for spreadsheets and data
//! frames.
//!
//! One header, whose names say their units. An empty field is what was not measured, which is not zero. The dialect is
//! that of RFC 4180.

use squall_model::record::PhaseRecord;
use squall_model::series::{LoadRow, Row, RowLatency, ServiceRow};

use crate::recording::Recording;

/// The columns. Those of a load are empty in the rows of a service, and the other way round.
const HEADER: [&str; 28] = [
    "row",
    "name",
    "phase",
    "faults",
    "start_us",
    "end_us",
    "intended",
    "sent",
    "completed",
    "failed",
    "dropped",
    "completed_per_s",
    "errors",
    "response_p50_us",
    "response_p90_us",
    "response_p99_us",
    "response_p999_us",
    "response_max_us",
    "service_p50_us",
    "service_p90_us",
    "service_p99_us",
    "service_p999_us",
    "service_max_us",
    "cpu_us",
    "cores_used",
    "rss_bytes",
    "pause_max_us",
    "pause_total_us",
];

/// Columns that only loads fill, and only services.
const OF_LOADS: usize = 17;
const OF_SERVICES: usize = 5;

/// The series as CSV.
pub fn csv(recording: &Recording) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = recording.series.iter().map(|row| match row {
        Row::Load(row) => load(recording, row),
        Row::Service(row) => service(recording, row),
    });
    for fields in std::iter::once(HEADER.map(str::to_owned).to_vec()).chain(rows) {
        writer
            .write_record(&fields)
            .expect("a Vec takes every byte, and every row has every column");
    }
    let bytes = writer.into_inner().expect("a Vec takes every byte");
    String::from_utf8(bytes).expect("only texts were written")
}

fn load(recording: &Recording, row: &LoadRow) -> Vec<String> {
    let errors: Vec<String> = row
        .errors
        .iter()
        .map(|(kind, count)| format!("{kind}={count}"))
        .collect();
    let mut fields = place(recording, "load", &row.load, row.start_us, row.end_us);
    let counts = [row.intended, row.sent, row.completed, row.failed, row.dropped];
    fields.extend(counts.map(|count| count.to_string()));
    let seconds = row.end_us.saturating_sub(row.start_us) as f64 / 1e6;
    let rate = (seconds > 0.0).then(|| row.completed as f64 / seconds / recording.repeats());
    fields.push(field(rate));
    fields.push(errors.join(";"));
    fields.extend(latency(&row.response));
    fields.extend(latency(&row.service));
    fields.extend(std::iter::repeat_n(String::new(), OF_SERVICES));
    fields
}

fn service(recording: &Recording, row: &ServiceRow) -> Vec<String> {
    let length_us = row.end_us.saturating_sub(row.start_us) as f64;
    let cores = row.cpu_us.filter(|_| length_us > 0.0);
    let cores = cores.map(|cpu| cpu as f64 / length_us / recording.repeats());
    let mut fields = place(recording, "service", &row.service, row.start_us, row.end_us);
    fields.extend(std::iter::repeat_n(String::new(), OF_LOADS));
    fields.push(field(row.cpu_us));
    fields.push(field(cores));
    fields.extend([row.rss, row.pause_max, row.pause_total].map(field));
    fields
}

/// What every row begins with: whose it is, and where on the timeline its middle lies.
fn place(recording: &Recording, kind: &str, name: &str, start_us: u64, end_us: u64) -> Vec<String> {
    let middle = start_us + end_us.saturating_sub(start_us) / 2;
    let is_in = |phase: &&PhaseRecord| (phase.start_us..phase.end_us).contains(&middle);
    let phase = recording.record.phases.iter().find(is_in);
    let holding = recording.record.faults.iter().filter(|fault| {
        let healed_us = fault.healed_us.unwrap_or(u64::MAX);
        fault
            .injected_us
            .is_some_and(|injected_us| (injected_us..healed_us).contains(&middle))
    });
    let faults: Vec<&str> = holding.map(|fault| fault.name.as_str()).collect();
    vec![
        kind.to_owned(),
        name.to_owned(),
        phase.map_or_else(String::new, |phase| phase.name.clone()),
        faults.join(";"),
        start_us.to_string(),
        end_us.to_string(),
    ]
}

fn latency(row: &RowLatency) -> [String; 5] {
    [row.p50, row.p90, row.p99, row.p999, row.max].map(field)
}

/// A number; empty where nothing was measured.
fn field(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_belongs_to_all_rows_to_loads_or_to_services() {
        assert_eq!(HEADER[6..].len(), OF_LOADS + OF_SERVICES);
        assert_eq!((HEADER[6], HEADER[6 + OF_LOADS]), ("intended", "cpu_us"));
    }
}
