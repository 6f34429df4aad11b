//! The service's metrics and events.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use squall_service_kit::telemetry::{Events, Pauses, Telemetry};

use crate::behaviour::Answer;
use crate::timetable::{Cause, Halt};

/// How late a reply is to be counted as late, in nanoseconds.
const LATE_NS: u64 = 1_000_000;

/// Counts what requests get, and tells of each time the server stood still.
#[derive(Debug)]
pub struct Report {
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Requests that were no HTTP.
    pub(crate) malformed: Counter,
    /// Requests whose arrival the kernel did not stamp.
    pub(crate) unstamped: Counter,
    requests: Counter,
    errors: Counter,
    refused: Counter,
    late: Counter,
    stalls: Counter,
    pauses: Counter,
    outages: Counter,
    events: Events,
    known_pauses: Pauses,
}

impl Report {
    /// Registers the metrics.
    pub fn new(telemetry: &mut Telemetry) -> Self {
        let mut counter = |name: &str, help: &str| telemetry.counter(&format!("delay_law_{name}"), help);
        Self {
            malformed: counter("malformed", "Requests that could not be understood"),
            unstamped: counter(
                "unstamped",
                "Requests that count from when they were read, for want of a stamp",
            ),
            requests: counter("requests", "Requests answered"),
            errors: counter("errors", "Requests answered with an error that was drawn"),
            refused: counter("refused", "Requests refused during an outage"),
            late: counter("late", "Replies written 1 ms or more after they were due"),
            stalls: counter("stalls", "Stalls"),
            pauses: counter("pauses", "Planted pauses"),
            outages: counter("outages", "Outages in which the server stood still"),
            connections: telemetry.gauge("delay_law_connections", "Open connections"),
            events: telemetry.events(),
            known_pauses: telemetry.pauses(),
        }
    }

    /// Notes that a request was answered, so long after it was due.
    pub(crate) fn answered(&self, answer: Answer, late_ns: u64) {
        self.requests.inc();
        match answer {
            Answer::Good => {}
            Answer::Error => drop(self.errors.inc()),
            Answer::Refused => drop(self.refused.inc()),
        }
        if late_ns >= LATE_NS {
            self.late.inc();
        }
    }

    /// Notes that the server stood still, from `began_us` of `CLOCK_MONOTONIC` on.
    pub(crate) fn halted(&self, halt: Halt, began_us: u64, length_us: u64) {
        let (kind, counter) = match halt.cause {
            Cause::Stall => ("stall", &self.stalls),
            Cause::Pause => ("pause", &self.pauses),
            Cause::Outage => ("outage", &self.outages),
        };
        counter.inc();
        if halt.cause == Cause::Pause {
            self.known_pauses.record(began_us, length_us);
        }
        let planned_us = (halt.end_ns - halt.start_ns) / 1_000;
        self.events.record(
            kind,
            format!("began_us={began_us} length_us={length_us} planned_us={planned_us}"),
        );
    }
}
