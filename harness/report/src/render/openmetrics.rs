//! What happened over time as `OpenMetrics` 1.0 text with timestamps, for a time series database to take in.
//!
//! The names are those that `squall run --metrics` serves while a run goes on, with a sample a second, as if it had been
//! scraped: counts from the run's start, quantiles of one second each, and nothing where nothing was measured.
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use squall_model::counts::{Counts, Decoder};
use squall_model::hlog::{Interval, Kind};
use squall_model::record::Verdict;
use squall_model::series::{LoadRow, ServiceRow};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::marks::windows;
use crate::recording::Recording;

/// How far apart samples are; of a run longer than a day, so far that there are no more than these.
const STEP_US: u64 = 1_000_000;
const MOST_STEPS: u64 = 86_400;

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// Why there is no such text.
#[derive(Debug, thiserror::Error)]
#[error("`{started_at}` in the run record is no date of RFC 3339, so nothing can be given its time")]
pub struct NoStart {
    started_at: String,
    #[source]
    source: time::error::Parse,
}

/// The run as text that a time series database reads, such as `promtool tsdb create-blocks-from openmetrics`.
pub fn openmetrics(recording: &Recording) -> Result<String, NoStart> {
    let started_at = &recording.record.started_at;
    let started = OffsetDateTime::parse(started_at, &Rfc3339).map_err(|source| NoStart {
        started_at: started_at.clone(),
        source,
    })?;
    let mut page = Page {
        text: String::new(),
        started_ms: started.unix_timestamp_nanos() / 1_000_000,
        steps: steps(recording.end_us()),
    };
    page.run(recording);
    page.loads(recording);
    page.latencies(recording);
    page.services(recording);
    page.faults(recording);
    page.text.push_str("# EOF\n");
    Ok(page.text)
}

/// When samples are taken, the run's end included; a record may name any.
fn steps(end_us: u64) -> Vec<u64> {
    let apart_us = end_us.div_ceil(STEP_US).div_ceil(MOST_STEPS).max(1) * STEP_US;
    let whole = (0..end_us.div_ceil(apart_us)).map(|step| step * apart_us);
    distinct(whole.chain([end_us]).collect())
}

/// The moments in order, of those in one millisecond the last: a timestamp is no finer, and no series has two samples at one time.
fn distinct(mut moments: Vec<u64>) -> Vec<u64> {
    moments.sort_unstable_by_key(|at_us| std::cmp::Reverse(*at_us));
    moments.dedup_by_key(|at_us| *at_us / 1_000);
    moments.reverse();
    moments
}

/// Names and values of one sample's labels.
type Labels<'a> = [(&'a str, &'a str)];

struct Page {
    text: String,
    started_ms: i128,
    steps: Vec<u64>,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let text = &mut self.text;
        writeln!(text, "# TYPE {name} {kind}").expect(INFALLIBLE);
        if !unit.is_empty() {
            writeln!(text, "# UNIT {name} {unit}").expect(INFALLIBLE);
        }
        writeln!(text, "# HELP {name} {help}").expect(INFALLIBLE);
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl Display, at_us: u64) {
        self.text.push_str(name);
        for (at, (label, of)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            write!(self.text, "{open}{label}=\"{}\"", label_value(of)).expect(INFALLIBLE);
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let at_ms = self.started_ms + i128::from(at_us / 1_000);
        let (seconds, ms) = (at_ms.div_euclid(1_000), at_ms.rem_euclid(1_000));
        writeln!(self.text, " {value} {seconds}.{ms:03}").expect(INFALLIBLE);
    }

    /// A count from the run's start, at each step. `grown` has what it grew by, and when, in order.
    fn counter(&mut self, name: &str, labels: &Labels<'_>, grown: &[(u64, u64)], unit: Unit) {
        let mut rest = grown.iter().peekable();
        let mut count = 0_u64;
        for at_us in self.steps.clone() {
            while let Some((_, by)) = rest.next_if(|(when, _)| *when <= at_us) {
                count = count.saturating_add(*by);
            }
            self.sample(name, labels, unit.of(count), at_us);
        }
    }

    fn run(&mut self, recording: &Recording) {
        let record = &recording.record;
        let seed = record.seed.to_string();
        let facts = [
            ("scenario", record.scenario.as_str()),
            ("seed", &seed),
            ("revision", &record.revision),
            ("started_at", &record.started_at),
            ("squall", &record.squall),
        ];
        self.family("squall_run", "info", "", "The run");
        for at_us in self.steps.clone() {
            self.sample("squall_run_info", &facts, 1, at_us);
        }
        self.family("squall_phase", "info", "", "The phase that ran");
        let of = record.phases.len().to_string();
        for (at, phase) in record.phases.iter().enumerate() {
            let number = (at + 1).to_string();
            let labels = [("phase", phase.name.as_str()), ("number", &number), ("of", &of)];
            let steps = self.steps.iter().copied();
            let within = steps.filter(|at_us| (phase.start_us..phase.end_us).contains(at_us));
            for at_us in distinct(within.chain([phase.start_us]).collect()) {
                self.sample("squall_phase_info", &labels, 1, at_us);
            }
        }
        self.family("squall_run_verdict", "stateset", "", "How the run ended");
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Invalid] {
            let labels = [("squall_run_verdict", verdict.as_str())];
            let is_it = u8::from(verdict == record.verdict);
            self.sample("squall_run_verdict", &labels, is_it, recording.end_us());
        }
    }

    fn loads(&mut self, recording: &Recording) {
        let loads = recording.loads();
        self.family("squall_requests", "counter", "", "Requests that ended, by how");
        let outcomes: [(&str, OfLoad); 2] = [
            ("ok", |row| row.completed.saturating_sub(row.failed)),
            ("failed", |row| row.failed),
        ];
        for load in &loads {
            for (outcome, of) in outcomes {
                let labels = [("load", *load), ("outcome", outcome)];
                let grown = grown(recording.load_rows(load).map(|row| (row.end_us, of(row))));
                self.counter("squall_requests_total", &labels, &grown, Unit::One);
            }
        }
        self.family(
            "squall_request_errors",
            "counter",
            "",
            "Requests that failed, by kind of error",
        );
        for load in &loads {
            for (kind, grown) in errors(recording, load) {
                let labels = [("load", *load), ("kind", kind)];
                self.counter("squall_request_errors_total", &labels, &grown, Unit::One);
            }
        }
        let counts: [(&str, &str, OfLoad); 3] = [
            (
                "squall_requests_intended",
                "Requests that the schedule asked for",
                |row| row.intended,
            ),
            ("squall_requests_sent", "Requests handed to a connection", |row| {
                row.sent
            }),
            (
                "squall_requests_dropped",
                "Requests never sent for want of a connection",
                |row| row.dropped,
            ),
        ];
        for (name, help, of) in counts {
            self.family(name, "counter", "", help);
            for load in &loads {
                let grown = grown(recording.load_rows(load).map(|row| (row.end_us, of(row))));
                self.counter(&format!("{name}_total"), &[("load", load)], &grown, Unit::One);
            }
        }
    }

    fn latencies(&mut self, recording: &Recording) {
        let kinds = [
            ("squall_response_time_recent_seconds", Kind::Response),
            ("squall_service_time_recent_seconds", Kind::Service),
        ];
        for (name, kind) in kinds {
            let help = "Quantiles of the requests that ended in the second before";
            self.family(name, "gauge", "seconds", help);
            for (load, intervals) in &recording.intervals {
                let intervals = decoded(intervals, kind);
                for q in QUANTILES {
                    let quantile = q.to_string();
                    let labels = [("load", load.as_str()), ("quantile", quantile.as_str())];
                    for (end_us, counts) in &intervals {
                        if let Some(us) = counts.quantile(q) {
                            self.sample(name, &labels, Unit::Seconds.of(us), *end_us);
                        }
                    }
                }
            }
        }
    }

    fn services(&mut self, recording: &Recording) {
        let rows: Vec<(&str, Vec<&ServiceRow>)> = recording
            .rows_by_service()
            .map(|(service, rows)| (service, rows.collect()))
            .collect();
        let counts: [(&str, &str, OfService); 2] = [
            (
                "squall_service_cpu_seconds",
                "CPU time of a service's processes",
                |row| row.cpu_us,
            ),
            (
                "squall_service_paused_seconds",
                "Pauses of a service that ended, summed up",
                |row| row.pause_total,
            ),
        ];
        for (name, help, of) in counts {
            self.family(name, "counter", "seconds", help);
            for (service, rows) in &rows {
                let grown = grown(rows.iter().filter_map(|row| Some((row.end_us, of(row)?))));
                if !grown.is_empty() {
                    let labels = [("service", *service)];
                    self.counter(&format!("{name}_total"), &labels, &grown, Unit::Seconds);
                }
            }
        }
        let gauges: [(&str, &str, &str, Unit, Reading); 2] = [
            (
                "squall_service_resident_memory_bytes",
                "bytes",
                "Resident set of a service's processes",
                Unit::One,
                (|row| row.rss, |_, last| last),
            ),
            (
                "squall_service_pause_longest_seconds",
                "seconds",
                "The longest pause of a service that ended in the second before",
                Unit::Seconds,
                (|row| row.pause_max, u64::max),
            ),
        ];
        for (name, unit_name, help, unit, (of, fold)) in gauges {
            self.family(name, "gauge", unit_name, help);
            for (service, rows) in &rows {
                let mut values = rows
                    .iter()
                    .filter_map(|row| Some((row.end_us, of(row)?)))
                    .peekable();
                for at_us in self.steps.clone() {
                    let mut value = None;
                    while let Some((_, one)) = values.next_if(|(when, _)| *when <= at_us) {
                        value = Some(value.map_or(one, |before| fold(before, one)));
                    }
                    if let Some(value) = value {
                        self.sample(name, &[("service", service)], unit.of(value), at_us);
                    }
                }
            }
        }
    }

    fn faults(&mut self, recording: &Recording) {
        let faults = &recording.record.faults;
        self.family("squall_fault_holds", "gauge", "", "Whether a fault holds");
        for fault in faults {
            let windows = windows(recording, fault);
            let mut moments = self.steps.clone();
            moments.extend(windows.iter().flat_map(|(start_us, end_us)| [*start_us, *end_us]));
            let labels = [("fault", fault.name.as_str()), ("kind", fault.kind.as_str())];
            for at_us in distinct(moments) {
                let holds = windows
                    .iter()
                    .any(|(start_us, end_us)| (*start_us..*end_us).contains(&at_us));
                self.sample("squall_fault_holds", &labels, u8::from(holds), at_us);
            }
        }
        let help = "Whether a fault has been proven to have met its target";
        self.family("squall_fault_proved", "gauge", "", help);
        for fault in faults {
            let labels = [("fault", fault.name.as_str()), ("kind", fault.kind.as_str())];
            let is_proved = u8::from(fault.proved);
            self.sample("squall_fault_proved", &labels, is_proved, recording.end_us());
        }
    }
}

/// What a row of a load holds, and what one of a service.
type OfLoad = fn(&LoadRow) -> u64;
type OfService = fn(&ServiceRow) -> Option<u64>;

/// What a row of a service holds, and how the rows of one step become one value.
type Reading = (OfService, fn(u64, u64) -> u64);

/// The unit that a value is given in; times are known in microseconds.
#[derive(Clone, Copy)]
enum Unit {
    One,
    Seconds,
}

impl Unit {
    fn of(self, value: u64) -> String {
        match self {
            Unit::One => value.to_string(),
            Unit::Seconds => format!("{}.{:06}", value / 1_000_000, value % 1_000_000),
        }
    }
}

const INFALLIBLE: &str = "a String takes every text";

/// What the intervals of one kind counted, in order: the end, and the counts.
fn decoded(intervals: &[Interval], kind: Kind) -> Vec<(u64, Counts)> {
    let mut decoder = Decoder::default();
    let of_kind = intervals.iter().filter(|interval| interval.kind == kind);
    let mut decoded: Vec<(u64, Counts)> = of_kind
        .filter_map(|interval| Some((interval.end_us, decoder.decode(&interval.hdr).ok()?)))
        .collect();
    decoded.sort_by_key(|(end_us, _)| *end_us);
    decoded
}

/// In the order in which the rows end: those of merged runs lie in the order in which they begin.
fn grown(rows: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut grown: Vec<(u64, u64)> = rows.collect();
    grown.sort_by_key(|(end_us, _)| *end_us);
    grown
}

fn errors<'r>(recording: &'r Recording, load: &'r str) -> BTreeMap<&'r str, Vec<(u64, u64)>> {
    let mut kinds: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for row in recording.load_rows(load) {
        for (kind, count) in &row.errors {
            kinds.entry(kind).or_default().push((row.end_us, *count));
        }
    }
    for grown in kinds.values_mut() {
        grown.sort_by_key(|(end_us, _)| *end_us);
    }
    kinds
}

/// A label's value as the format has it.
fn label_value(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
