//! The made-up run as a slower program would have made it: every answer takes so much longer, everywhere it is recorded.

use std::collections::BTreeMap;

use squall_model::histogram::{Distribution, Histogram, empty};
use squall_model::hlog::{self, Interval};
use squall_model::series::{RowLatency, SeriesRow};
use squall_report::Recording;

/// `recording` with every answer `factor` times as slow.
pub(crate) fn slower(mut recording: Recording, factor: f64) -> Recording {
    for load in recording
        .record
        .phases
        .iter_mut()
        .flat_map(|phase| phase.load.values_mut())
    {
        load.response = Distribution::of(&scaled(&load.response.histogram().unwrap(), factor));
    }
    for service in recording
        .record
        .phases
        .iter_mut()
        .flat_map(|phase| phase.services.values_mut())
    {
        service.cpu_us = service.cpu_us.map(|us| (us as f64 * factor) as u64);
    }
    let mut rows: Vec<SeriesRow> = recording
        .series
        .iter()
        .map(squall_model::series::Row::to_owned)
        .collect();
    for row in &mut rows {
        if let SeriesRow::Load(row) = row {
            let longer = |value: Option<u64>| value.map(|us| (us as f64 * factor) as u64);
            row.response = RowLatency {
                max: longer(row.response.max),
                p50: longer(row.response.p50),
                p90: longer(row.response.p90),
                p99: longer(row.response.p99),
                p999: longer(row.response.p999),
            };
        }
    }
    recording.series = rows.into_iter().collect();
    recording.intervals = recording
        .intervals
        .iter()
        .map(|(load, intervals)| {
            (
                load.clone(),
                intervals.iter().map(|one| interval(one, factor)).collect(),
            )
        })
        .collect::<BTreeMap<String, Vec<Interval>>>();
    recording
}

fn interval(interval: &Interval, factor: f64) -> Interval {
    let histogram = scaled(&interval.histogram().unwrap(), factor);
    let text = hlog::line(interval.kind, interval.start_us, interval.end_us, &histogram);
    hlog::parse(&text).intervals.remove(0)
}

fn scaled(histogram: &Histogram, factor: f64) -> Histogram {
    let mut longer = empty();
    for step in histogram.iter_recorded() {
        let us = (step.value_iterated_to() as f64 * factor) as u64;
        longer.record_n(us.max(1), step.count_at_value()).unwrap();
    }
    longer
}
