//! The numbers that are held against each other, run by run.

use std::collections::BTreeSet;

use squall_model::record::{Each, LoadMode, LoadRecord, PhaseRecord, ServiceRecord, Spoils};

use super::Side;
use super::change::Change;
use super::rank_sum::Cuts;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    P50,
    P99,
    P999,
    Throughput,
    Errors,
    CpuPerRequest,
    PauseMax,
    Cores,
    RssMax,
    Paused,
}

/// What is to be said of a metric.
struct About {
    key: &'static str,
    name: &'static str,
    unit: Unit,
    by: By,
    better: Better,
}

impl Metric {
    fn about(self) -> About {
        let about = |key, name, unit, by, better| About {
            key,
            name,
            unit,
            by,
            better,
        };
        let (ratio, lower) = (By::Ratio, Better::Lower);
        match self {
            Metric::P50 => about("p50", "P50", Unit::Duration, ratio, lower),
            Metric::P99 => about("p99", "P99", Unit::Duration, ratio, lower),
            Metric::P999 => about("p999", "P99.9", Unit::Duration, ratio, lower),
            Metric::Throughput => about("throughput", "Throughput", Unit::Rate, ratio, Better::Higher),
            Metric::Errors => about("errors", "Errors", Unit::Ratio, By::Difference, lower),
            Metric::CpuPerRequest => {
                about("cpu_per_request", "CPU per request", Unit::Duration, ratio, lower)
            }
            Metric::PauseMax => about("pause_max", "Longest pause", Unit::Duration, ratio, lower),
            Metric::Cores => about("cores", "Cores used", Unit::Count, ratio, Better::Neither),
            Metric::RssMax => about("rss_max", "Largest memory", Unit::Bytes, ratio, lower),
            Metric::Paused => about("paused", "Paused", Unit::Ratio, ratio, lower),
        }
    }

    /// Its name in JSON.
    pub(crate) fn key(self) -> &'static str {
        self.about().key
    }

    /// Its name in a table.
    pub(crate) fn name(self) -> &'static str {
        self.about().name
    }

    pub(crate) fn unit(self) -> Unit {
        self.about().unit
    }

    pub(crate) fn by(self) -> By {
        self.about().by
    }

    pub(crate) fn better(self) -> Better {
        self.about().better
    }
}

/// Of a load, in a phase.
pub(crate) const OF_LOAD: [Metric; 5] = [
    Metric::P50,
    Metric::P99,
    Metric::P999,
    Metric::Throughput,
    Metric::Errors,
];
/// Of all services together, in a phase.
pub(crate) const OF_ALL: [Metric; 2] = [Metric::CpuPerRequest, Metric::PauseMax];
/// Of a service, in a phase.
pub(crate) const OF_SERVICE: [Metric; 4] = [Metric::Cores, Metric::RssMax, Metric::PauseMax, Metric::Paused];

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
    pub(crate) metric: Metric,
    /// Per side, per run.
    pub(crate) sides: Vec<Vec<Value>>,
    /// Per side but the first, the change against that.
    changes: Vec<Change>,
}

impl Row {
    fn new(phase: String, of: Of, metric: Metric, sides: Vec<Vec<Value>>, cuts: &mut Cuts) -> Row {
        let others = sides.iter().skip(1);
        let changes = others
            .map(|other| Change::of(metric.by(), &sides[0], other, cuts))
            .collect();
        Row {
            phase,
            of,
            metric,
            sides,
            changes,
        }
    }

    /// The change from the first side to side `other`, which is not the first.
    pub(crate) fn change(&self, other: usize) -> &Change {
        &self.changes[other - 1]
    }
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
    let mut rows: Vec<Row> = Vec::new();
    let mut cuts = Cuts::default();
    for name in phases(sides) {
        let has_load = |load: &str| {
            recordings(sides)
                .any(|recording| phase(recording, &name).is_some_and(|phase| running(phase, load).is_some()))
        };
        let loads: Vec<String> = loads(sides).into_iter().filter(|load| has_load(load)).collect();
        let service_names = services(sides, &name);
        let everywhere = measured_everywhere(sides, &name, &service_names);
        let mut add = |of: Of, metric: Metric, value: &dyn Fn(&PhaseRecord) -> Value| {
            let values = |side: &Side| -> Vec<Value> {
                let runs = side.runs.iter();
                runs.map(|run| phase(&run.recording, &name).map(value).unwrap_or_default())
                    .collect()
            };
            let values: Vec<Vec<Value>> = sides.iter().map(values).collect();
            if values.iter().flatten().any(|value| value.value.is_some()) {
                rows.push(Row::new(name.clone(), of, metric, values, &mut cuts));
            }
        };
        for load in &loads {
            for metric in OF_LOAD {
                add(Of::Load(load.clone()), metric, &|phase| {
                    running(phase, load).map_or_else(Value::default, |record| of_load(metric, phase, record))
                });
            }
        }
        for metric in OF_ALL {
            add(Of::All, metric, &|phase| of_all(metric, phase, &everywhere));
        }
        for service in &service_names {
            for metric in OF_SERVICE {
                add(Of::Service(service.clone()), metric, &|phase| {
                    let record = phase.services.get(service);
                    record.map_or_else(Value::default, |record| of_service(metric, phase, record))
                });
            }
        }
    }
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

fn of_load(metric: Metric, phase: &PhaseRecord, load: &LoadRecord) -> Value {
    let micros = |value: Option<u64>| value.map(|us| us as f64);
    let everything = load.spoils == Some(Spoils::Everything) || !phase.complete;
    let times = everything || load.spoils.is_some();
    let (value, spoilt) = match metric {
        Metric::P50 => (micros(load.response.p50), times),
        Metric::P99 => (micros(load.response.p99), times),
        Metric::P999 => (micros(load.response.p999), times),
        Metric::Throughput => (Some(load.throughput), everything),
        Metric::Errors => (
            (load.completed > 0).then(|| load.failed as f64 / load.completed as f64),
            everything,
        ),
        Metric::CpuPerRequest | Metric::PauseMax | Metric::Cores | Metric::RssMax | Metric::Paused => {
            (None, everything)
        }
    };
    Value { value, spoilt }
}

fn of_all(metric: Metric, phase: &PhaseRecord, services: &BTreeSet<String>) -> Value {
    let value = if metric == Metric::CpuPerRequest {
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

fn of_service(metric: Metric, phase: &PhaseRecord, service: &ServiceRecord) -> Value {
    let length_us = phase.end_us.saturating_sub(phase.start_us) as f64;
    let value = match metric {
        Metric::Cores => service.cpu_us.map(|us| us as f64 / length_us),
        Metric::RssMax => service.rss_max.map(|bytes| bytes as f64),
        Metric::PauseMax => longest_pause(service).map(|us| us as f64),
        Metric::Paused => {
            let pauses = service.pauses.as_ref();
            pauses.map(|pauses| pauses.total as f64 / length_us)
        }
        Metric::P50
        | Metric::P99
        | Metric::P999
        | Metric::Throughput
        | Metric::Errors
        | Metric::CpuPerRequest => None,
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
