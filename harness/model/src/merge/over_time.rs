//! What happened over time: rows and intervals that lie at the same place of the timeline become one.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use super::measured::Sum;
use super::{MergeError, Part};
use crate::histogram::encode;
use crate::hlog::{Interval, Kind};
use crate::series::{ByKind, LoadRow, Row, RowLatency, RowPauses, SeriesRow, ServiceRow};

/// The series. In repeats, counts are those of all of them together.
pub(super) fn series(parts: &[Part<'_>]) -> Vec<SeriesRow> {
    let mut rows: BTreeMap<(u64, u64, bool, SmolStr), SeriesRow> = BTreeMap::new();
    for row in parts.iter().flat_map(|part| part.series.iter().copied()) {
        let key = match row {
            Row::Load(row) => (row.start_us, row.end_us, false, row.load.clone()),
            Row::Service(row) => (row.start_us, row.end_us, true, row.service.clone()),
        };
        let merged = match (rows.remove(&key), row) {
            (Some(SeriesRow::Load(one)), Row::Load(other)) => SeriesRow::Load(load(one, other)),
            (Some(SeriesRow::Service(one)), Row::Service(other)) => SeriesRow::Service(service(one, other)),
            _ => row.to_owned(),
        };
        rows.insert(key, merged);
    }
    rows.into_values().collect()
}

fn load(one: LoadRow, other: &LoadRow) -> LoadRow {
    let mut errors = one.errors;
    for (kind, count) in &other.errors {
        *errors.entry(kind.clone()).or_insert(0) += count;
    }
    LoadRow {
        start_us: one.start_us,
        end_us: one.end_us,
        load: one.load,
        intended: one.intended + other.intended,
        sent: one.sent + other.sent,
        completed: one.completed + other.completed,
        failed: one.failed + other.failed,
        dropped: one.dropped + other.dropped,
        errors,
        response: latency(one.response, other.response),
        service: latency(one.service, other.service),
    }
}

/// Percentiles of two rows make no percentile of both; where one row is empty there is nothing to put together.
fn latency(one: RowLatency, other: RowLatency) -> RowLatency {
    match (one.max, other.max) {
        (_, None) => one,
        (None, _) => other,
        (one, other) => RowLatency {
            max: one.max(other),
            ..RowLatency::default()
        },
    }
}

fn service(one: ServiceRow, other: &ServiceRow) -> ServiceRow {
    let sum = |a: Option<u64>, b: Option<u64>| [a, b].into_iter().flatten().reduce(|a, b| a + b);
    ServiceRow {
        start_us: one.start_us,
        end_us: one.end_us,
        service: one.service,
        cpu_us: sum(one.cpu_us, other.cpu_us),
        rss: one.rss.max(other.rss),
        pause_max: one.pause_max.max(other.pause_max),
        pause_total: sum(one.pause_total, other.pause_total),
        threads: one.threads.max(other.threads),
        descriptors: one.descriptors.max(other.descriptors),
        voluntary_switches: sum(one.voluntary_switches, other.voluntary_switches),
        involuntary_switches: sum(one.involuntary_switches, other.involuntary_switches),
        run_queue: sum(one.run_queue, other.run_queue),
        pause_kinds: pause_kinds(one.pause_kinds, &other.pause_kinds),
    }
}

fn pause_kinds(mut one: ByKind<RowPauses>, other: &ByKind<RowPauses>) -> ByKind<RowPauses> {
    for (kind, pauses) in other {
        let known = one.entry(kind.clone()).or_default();
        known.max = known.max.max(pauses.max);
        known.total += pauses.total;
    }
    one
}

/// The interval histograms, by load. One that stands alone is kept as it is.
pub(super) fn intervals(parts: &[Part<'_>]) -> Result<BTreeMap<String, Vec<Interval>>, MergeError> {
    let loads: BTreeSet<&String> = parts.iter().flat_map(|part| part.intervals.keys()).collect();
    loads
        .into_iter()
        .map(|load| Ok((load.clone(), of_load(parts, load)?)))
        .collect()
}

/// An interval, with the run whose it is.
type OfRun<'a> = (&'a str, &'a Interval);

fn of_load(parts: &[Part<'_>], load: &str) -> Result<Vec<Interval>, MergeError> {
    let mut same: BTreeMap<(u64, u64, Kind), Vec<OfRun<'_>>> = BTreeMap::new();
    for part in parts {
        for interval in part.intervals.get(load).into_iter().flatten() {
            let key = (interval.start_us, interval.end_us, interval.kind);
            same.entry(key).or_default().push((&part.name, interval));
        }
    }
    let mut merged = Vec::new();
    for ((start_us, end_us, kind), all) in same {
        let hdr = if let [(_, alone)] = all[..] {
            alone.hdr.clone()
        } else {
            let what = format!("the interval of load {load} at {start_us} us");
            let mut sum = Sum::new(&what);
            for (run, interval) in all {
                sum.add(run, &interval.hdr)?;
            }
            encode(&sum.all)
        };
        merged.push(Interval {
            start_us,
            end_us,
            kind,
            hdr,
        });
    }
    Ok(merged)
}
