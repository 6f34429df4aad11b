//! The numbers that are held against each other, run by run.

use std::collections::BTreeSet;

use squall_model::record::{Each, LoadMode, LoadRecord, PhaseRecord, ServiceRecord, Spoils};

use super::Side;
use crate::figure::Unit;
use crate::recording::Recording;

/// How two values of a metric are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// One over the other.
    Ratio,
    /// One minus the other: of shares that are mostly zero.
    Difference,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
    /// Neither: of another load it says nothing.
    Neither,
}

/// What is compared of a load, of the services together, or of one service.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Its name in JSON.
    pub(crate) key: &'static str,
    /// Its name in a table.
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) by: By,
    pub(crate) better: Better,
}

macro_rules! metric {
    ($name:ident, $key:literal, $text:literal, $unit:ident, $by:ident, $better:ident) => {
        pub(crate) static $name: Metric = Metric {
            key: $key,
            name: $text,
            unit: Unit::$unit,
            by: By::$by,
            better: Better::$better,
        };
    };
}

metric!(P50, "p50", "P50", Duration, Ratio, Lower);
metric!(P99, "p99", "P99", Duration, Ratio, Lower);
metric!(P999, "p999", "P99.9", Duration, Ratio, Lower);
metric!(THROUGHPUT, "throughput", "Throughput", Rate, Ratio, Higher);
metric!(ERRORS, "errors", "Errors", Ratio, Difference, Lower);
metric!(
    CPU_PER_REQUEST,
    "cpu_per_request",
    "CPU per request",
    Duration,
    Ratio,
    Lower
);
metric!(PAUSE_MAX, "pause_max", "Longest pause", Duration, Ratio, Lower);
metric!(CORES, "cores", "Cores used", Count, Ratio, Neither);
metric!(RSS_MAX, "rss_max", "Largest memory", Bytes, Ratio, Lower);
metric!(PAUSED, "paused", "Paused", Ratio, Ratio, Lower);

/// Of a load, in a phase.
pub(crate) static OF_LOAD: [&Metric; 5] = [&P50, &P99, &P999, &THROUGHPUT, &ERRORS];
/// Of all services together, in a phase.
pub(crate) static OF_ALL: [&Metric; 2] = [&CPU_PER_REQUEST, &PAUSE_MAX];
/// Of a service, in a phase.
pub(crate) static OF_SERVICE: [&Metric; 4] = [&CORES, &RSS_MAX, &PAUSE_MAX, &PAUSED];

/// What a row is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Load(String),
    /// All services together.
    All,
    Service(String),
}

/// One value of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Value {
    /// Absent where it was not measured.
    pub(crate) value: Option<f64>,
    /// Whether the run says itself that it can't be trusted.
    pub(crate) spoilt: bool,
}

/// One metric of one thing in one phase, in every run of every side.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) phase: String,
    pub(crate) of: Of,
    pub(crate) metric: &'static Metric,
    /// Per side, per run.
    pub(crate) sides: Vec<Vec<Value>>,
}

/// The phases that are compared: the measured ones of the first side that another has too; all where none is measured.
pub(crate) fn phases(sides: &[Side]) -> Vec<String> {
    let base = super::newest(&sides[0]);
    let any = base.record.phases.iter().any(|phase| phase.measure);
    let phases = base.record.phases.iter().filter(|phase| phase.measure || !any);
    let names = phases.map(|phase| phase.name.clone());
    names
        .filter(|name| {
            let has = |side: &Side| side.runs.iter().any(|run| phase(&run.recording, name).is_some());
            sides[1..].iter().any(has)
        })
        .collect()
}

/// The phase of that name, where the run reached it.
pub(crate) fn phase<'r>(recording: &'r Recording, name: &str) -> Option<&'r PhaseRecord> {
    let mut phases = recording.record.phases.iter();
    phases.find(|phase| phase.name == name && phase.end_us > phase.start_us)
}

/// All rows, in the order in which they are read.
pub(crate) fn rows(sides: &[Side]) -> Vec<Row> {
    let mut rows = Vec::new();
    for name in phases(sides) {
        let has_load = |load: &str| {
            recordings(sides)
                .any(|recording| phase(recording, &name).is_some_and(|phase| running(phase, load).is_some()))
        };
        let loads: Vec<String> = loads(sides).into_iter().filter(|load| has_load(load)).collect();
        let service_names = services(sides, &name);
        let everywhere = measured_everywhere(sides, &name, &service_names);
        let row = |of: Of, metric: &'static Metric, value: &dyn Fn(&PhaseRecord) -> Value| Row {
            phase: name.clone(),
            of,
            metric,
            sides: sides
                .iter()
                .map(|side| {
                    let runs = side.runs.iter();
                    runs.map(|run| phase(&run.recording, &name).map(value).unwrap_or_default())
                        .collect()
                })
                .collect(),
        };
        for load in &loads {
            for metric in OF_LOAD {
                rows.push(row(Of::Load(load.clone()), metric, &|phase| {
                    running(phase, load).map_or_else(Value::default, |record| of_load(metric, phase, record))
                }));
            }
        }
        for metric in OF_ALL {
            rows.push(row(Of::All, metric, &|phase| of_all(metric, phase, &everywhere)));
        }
        for service in &service_names {
            for metric in OF_SERVICE {
                rows.push(row(Of::Service(service.clone()), metric, &|phase| {
                    let record = phase.services.get(service);
                    record.map_or_else(Value::default, |record| of_service(metric, phase, record))
                }));
            }
        }
    }
    rows.retain(|row| row.sides.iter().flatten().any(|value| value.value.is_some()));
    rows
}

fn recordings(sides: &[Side]) -> impl Iterator<Item = &Recording> {
    sides
        .iter()
        .flat_map(|side| side.runs.iter().map(|run| &run.recording))
}

/// The loads of all runs, those of the first in their order.
pub(crate) fn loads(sides: &[Side]) -> Vec<String> {
    let mut loads: Vec<String> = Vec::new();
    for load in recordings(sides).flat_map(Recording::loads) {
        if !loads.iter().any(|known| known == load) {
            loads.push(load.to_owned());
        }
    }
    loads
}

fn services(sides: &[Side], name: &str) -> BTreeSet<String> {
    let phases = recordings(sides).filter_map(|recording| phase(recording, name));
    phases.flat_map(|phase| phase.services.keys().cloned()).collect()
}

/// The services whose CPU time is known in every run that reached the phase: a sum over others would compare different things.
fn measured_everywhere(sides: &[Side], name: &str, services: &BTreeSet<String>) -> BTreeSet<String> {
    let knows = |service: &String| {
        recordings(sides)
            .filter_map(|recording| phase(recording, name))
            .all(|phase| {
                phase
                    .services
                    .get(service)
                    .is_some_and(|record| record.cpu_us.is_some())
            })
    };
    services
        .iter()
        .filter(|service| knows(service))
        .cloned()
        .collect()
}

fn running<'p>(phase: &'p PhaseRecord, load: &str) -> Option<&'p LoadRecord> {
    phase.load.get(load).filter(|record| record.mode != LoadMode::Off)
}

fn of_load(metric: &Metric, phase: &PhaseRecord, load: &LoadRecord) -> Value {
    let micros = |value: Option<u64>| value.map(|us| us as f64);
    let everything = load.spoils == Some(Spoils::Everything) || !phase.complete;
    let times = everything || load.spoils.is_some();
    let (value, spoilt) = match metric.key {
        "p50" => (micros(load.response.p50), times),
        "p99" => (micros(load.response.p99), times),
        "p999" => (micros(load.response.p999), times),
        "throughput" => (Some(load.throughput), everything),
        _ => (
            (load.completed > 0).then(|| load.failed as f64 / load.completed as f64),
            everything,
        ),
    };
    Value { value, spoilt }
}

fn of_all(metric: &Metric, phase: &PhaseRecord, services: &BTreeSet<String>) -> Value {
    let value = if metric.key == CPU_PER_REQUEST.key {
        let records = services.iter().filter_map(|name| phase.services.get(name));
        let cpu_us: u64 = records.filter_map(|record| record.cpu_us).sum();
        let completed: u64 = phase.load.values().map(|load| load.completed).sum();
        (!services.is_empty() && completed > 0).then(|| cpu_us as f64 / completed as f64)
    } else {
        phase
            .services
            .values()
            .filter_map(longest_pause)
            .max()
            .map(|us| us as f64)
    };
    let spoils = |load: &LoadRecord| load.spoils == Some(Spoils::Everything);
    Value {
        value,
        spoilt: !phase.complete || phase.load.values().any(spoils),
    }
}

fn of_service(metric: &Metric, phase: &PhaseRecord, service: &ServiceRecord) -> Value {
    let length_us = phase.end_us.saturating_sub(phase.start_us) as f64;
    let value = match metric.key {
        "cores" => service.cpu_us.map(|us| us as f64 / length_us),
        "rss_max" => service.rss_max.map(|bytes| bytes as f64),
        "pause_max" => longest_pause(service).map(|us| us as f64),
        _ => service
            .pauses
            .as_ref()
            .map(|pauses| pauses.total as f64 / length_us),
    };
    Value {
        value,
        spoilt: !phase.complete,
    }
}

/// The longest single pause of a service, whatever its kind; sums over intervals are none.
fn longest_pause(service: &ServiceRecord) -> Option<u64> {
    let kinds = service.pause_kinds.values();
    let singles = kinds.filter(|pauses| pauses.each == Each::Pause);
    singles
        .chain(&service.pauses)
        .filter_map(|pauses| pauses.max)
        .max()
}
