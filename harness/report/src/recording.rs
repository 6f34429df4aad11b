//! What was recorded of a run, whole or cut off, and what follows from it.
//!
//! Only a run of which nothing is known is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use squall_model::event::{Event, EventKind, RunHeader};
use squall_model::hlog::{self, Interval};
use squall_model::record::{RunRecord, SCHEMA};
use squall_model::replay::{self, ReplayError};
use squall_model::series::{LoadRow, ServiceRow};

use crate::chart::Marks;
use crate::marks::marks;
use crate::over_time::{CHARTS, Percentiles, Requests, calm_p99, percentiles, requests};
use crate::partial;
use crate::reading::{Events, Texts};
use crate::series::Series;
use crate::window::Span;

/// All that was recorded of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The result.
    pub record: RunRecord,
    /// The timeline.
    pub events: Vec<Event>,
    /// What happened over time.
    pub series: Series,
    /// Per load, the interval histograms.
    pub intervals: BTreeMap<String, Vec<Interval>>,
    /// Phases whose numbers were put together from the series and the interval logs, because the run was cut off before
    /// it could write their result. Requests then belong to the phase in which they ended, not the one they were meant
    /// for.
    pub approximate: BTreeSet<String>,
    /// Whether the record was made from the events, because the run left none of its own.
    pub is_remade: bool,
    /// What could not be read, in words; empty for a folder in order.
    pub reading_notes: Vec<String>,
    /// The last run of the same scenario before this one that could be judged, where whoever read this one found it.
    pub previous: Option<Box<RunRecord>>,
    derived: Derived,
}

/// What follows from the rest of a recording, worked out when it is first asked for.
#[derive(Debug, Default)]
struct Derived {
    marks: OnceLock<Marks>,
    percentiles: OfLoads<Percentiles>,
    requests: OfLoads<Requests>,
    calm_p99: OfLoads<Vec<Span>>,
}

/// Something of every load, worked out load by load, so that several threads can do it.
#[derive(Debug)]
struct OfLoads<T>(OnceLock<BTreeMap<String, OnceLock<T>>>);

impl<T> Default for OfLoads<T> {
    fn default() -> OfLoads<T> {
        OfLoads(OnceLock::new())
    }
}

impl<T> OfLoads<T> {
    /// That of one load; nothing for a load that the recording doesn't have.
    fn get(&self, recording: &Recording, load: &str, work_out: fn(&Recording, &str) -> T) -> Option<&T> {
        let all = self.0.get_or_init(|| {
            let loads = recording.loads().into_iter();
            loads.map(|load| (load.to_owned(), OnceLock::new())).collect()
        });
        Some(all.get(load)?.get_or_init(|| work_out(recording, load)))
    }
}

/// The rest can be changed in a copy, so a copy works it out for itself.
impl Clone for Derived {
    fn clone(&self) -> Derived {
        Derived::default()
    }
}

/// It follows from the rest, which is compared.
impl PartialEq for Derived {
    fn eq(&self, _: &Derived) -> bool {
        true
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// `run.json` is there and is not a run record.
    #[error("reading run.json: {0}; remove it to rebuild the record from events.ndjson")]
    Record(#[source] serde_json::Error),
    /// `run.json` has a shape that this version doesn't know.
    #[error(
        "reading run.json: it has schema {found}, this squall reads schema {SCHEMA}; use the version that wrote it"
    )]
    Schema {
        /// The one it has.
        found: u32,
    },
    /// Nothing is known of the run.
    #[error("rebuilding the record from events.ndjson: {0}; is this the folder of a run?")]
    Replay(#[from] ReplayError),
}

/// Reads a run from the texts in its folder: `events.ndjson`, `series.ndjson`, `<load>.hlog` by load, and `run.json`,
/// which an interrupted run lacks. A `run.json` that is cut off counts as lacking.
pub fn recording(
    events_ndjson: &str,
    series_ndjson: &str,
    hlogs: &BTreeMap<String, &str>,
    run_json: Option<&str>,
) -> Result<Recording, ReportError> {
    let logs = hlogs.iter().map(|(load, text)| (load.clone(), hlog::parse(text)));
    let texts = Texts {
        events: Events::read(events_ndjson),
        series: Series::read(series_ndjson),
        logs: logs.collect(),
    };
    recording_of(texts, run_json)
}

/// [`recording()`] of texts that were read already, as several threads can do it.
pub fn recording_of(texts: Texts, run_json: Option<&str>) -> Result<Recording, ReportError> {
    let mut reading_notes = texts.notes();
    let events = texts.events.values;
    let series = texts.series;
    let logs = texts.logs.into_iter();
    let intervals = logs.map(|(load, log)| (load, log.intervals)).collect();
    let mut written = match run_json {
        Some(text) => written(text, &mut reading_notes)?,
        None => None,
    };
    // A record that was made of what an interrupted run left is made again, so that it stays marked as such.
    if cut_off(&events) {
        written = None;
    }
    let whole = written.is_some();
    let record = match written {
        Some(record) => record,
        None => replay::record(&events)?,
    };
    let approximate = BTreeSet::new();
    let mut recording = Recording {
        record,
        events,
        series,
        intervals,
        approximate,
        is_remade: !whole,
        reading_notes,
        previous: None,
        derived: Derived::default(),
    };
    if !whole {
        partial::fill(&mut recording);
    }
    Ok(recording)
}

/// Whether these are the events of a run that began and has no end.
fn cut_off(events: &[Event]) -> bool {
    let any = |is_it: fn(&EventKind) -> bool| events.iter().any(|event| is_it(&event.kind));
    any(|kind| matches!(kind, EventKind::RunStarted(_)))
        && !any(|kind| matches!(kind, EventKind::RunEnded { .. }))
}

/// The record in `text`; nothing where it is cut off, which only a crash while writing can do.
fn written(text: &str, notes: &mut Vec<String>) -> Result<Option<RunRecord>, ReportError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        schema: u32,
    }
    match serde_json::from_str::<Versioned>(text) {
        Ok(Versioned { schema }) if schema != SCHEMA => Err(ReportError::Schema { found: schema }),
        Ok(_) => serde_json::from_str(text).map(Some).map_err(ReportError::Record),
        Err(error) if error.is_eof() => {
            notes.push("run.json is cut off; the record was made again from events.ndjson".to_owned());
            Ok(None)
        }
        Err(error) => Err(ReportError::Record(error)),
    }
}

impl Recording {
    /// What was known before the run began.
    pub fn header(&self) -> Option<&RunHeader> {
        self.events.iter().find_map(|event| match &event.kind {
            EventKind::RunStarted(header) => Some(header.as_ref()),
            _ => None,
        })
    }

    /// How the run was stopped, where it did not reach its end.
    pub fn interruption(&self) -> Option<String> {
        let signal = self.events.iter().find_map(|event| match &event.kind {
            EventKind::Interrupted { signal } => Some(signal),
            _ => None,
        });
        if let Some(signal) = signal {
            return Some(format!("interrupted by {signal}"));
        }
        let ended = self
            .events
            .iter()
            .any(|event| matches!(event.kind, EventKind::RunEnded { .. }));
        (!ended && !self.events.is_empty()).then(|| "cut off before it could end".to_owned())
    }

    /// The loads, in the scenario's order where that is known.
    pub fn loads(&self) -> Vec<&str> {
        let mut loads: Vec<&str> = self.header().map_or_else(Vec::new, |header| {
            header.loads.iter().map(String::as_str).collect()
        });
        let recorded = self.record.phases.iter().flat_map(|phase| phase.load.keys());
        for load in recorded.chain(self.intervals.keys()) {
            if !loads.contains(&load.as_str()) {
                loads.push(load);
            }
        }
        loads
    }

    /// The rows of one load.
    pub fn load_rows<'a>(&'a self, load: &str) -> impl Iterator<Item = &'a LoadRow> + use<'a> {
        self.series.of_load(load)
    }

    /// The rows of all services.
    pub fn service_rows(&self) -> impl Iterator<Item = &ServiceRow> {
        self.series.of_services()
    }

    /// Each service that has rows, with its rows.
    pub(crate) fn rows_by_service(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &ServiceRow>)> {
        self.series.by_service()
    }

    /// What every chart on the time axis shows beside its lines.
    pub(crate) fn marks(&self) -> &Marks {
        self.derived.marks.get_or_init(|| marks(self))
    }

    /// Response times of a load over time.
    pub(crate) fn percentiles(&self, load: &str) -> Option<&Percentiles> {
        self.derived.percentiles.get(self, load, percentiles)
    }

    /// What happened to the requests of a load over time.
    pub(crate) fn requests(&self, load: &str) -> Option<&Requests> {
        self.derived.requests.get(self, load, requests)
    }

    /// P99 of a load as a comparison draws it.
    pub(crate) fn calm_p99(&self, load: &str) -> &[Span] {
        let known = self.derived.calm_p99.get(self, load, calm_p99);
        known.map_or(&[], Vec::as_slice)
    }

    /// The loads that a report draws over time.
    pub fn drawn_loads(&self) -> Vec<&str> {
        let mut loads = self.loads();
        loads.truncate(CHARTS);
        loads
    }

    /// Works out ahead what a report draws of a load over time, which takes most of its time. Nothing depends on it; several threads may
    /// do it for several loads.
    pub fn work_out(&self, load: &str) {
        self.percentiles(load);
        self.requests(load);
    }

    /// Likewise what a comparison draws of all loads.
    pub fn work_out_to_compare(&self) {
        for load in self.drawn_loads() {
            self.calm_p99(load);
        }
    }

    /// How often the timeline was run: more than once where repeats were merged. Counts are those of all of them.
    pub fn repeats(&self) -> f64 {
        let merged = self.record.merged.as_ref();
        f64::from(merged.map_or(1, |merged| merged.repeats).max(1))
    }

    /// Where the time axis ends, microseconds since the run's start; never zero.
    pub fn end_us(&self) -> u64 {
        let phases = self.record.phases.iter().map(|phase| phase.end_us);
        phases.chain([self.record.duration_us, 1]).max().unwrap_or(1)
    }
}
