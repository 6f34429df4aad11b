//! Several runs on one axis of time.
//!
//! The axis is that of the first side's run. Every other run is moved along it until the moments that should coincide do:
//! the injection of the first fault; in runs without faults, the begin of the first measured phase.

use std::collections::BTreeMap;

use squall_model::hlog::Kind;
use squall_model::series::{LoadRow, SeriesRow, ServiceRow};

use crate::marks::{edges, marks};
use crate::recording::Recording;
use crate::section::latency::pieces;
use crate::window::{Span, from_rows, streamed};

/// The shortest window that rates and processor time are counted in.
const WINDOW_US: u64 = 500_000;
/// The most windows of a line.
const WINDOWS: u64 = 480;

/// A line in pieces.
pub(super) type Pieces = Vec<Vec<(f64, f64)>>;

/// The moment that is made to coincide, and what it is.
pub(super) fn zero(recording: &Recording, with_faults: bool) -> (u64, String) {
    let faults = recording.record.faults.iter();
    let first = faults
        .filter_map(|fault| Some((fault.injected_us?, &fault.name)))
        .min_by_key(|(at_us, _)| *at_us);
    if let Some((at_us, name)) = first.filter(|_| with_faults) {
        return (at_us, format!("the injection of {name}"));
    }
    let phases = &recording.record.phases;
    let phase = phases.iter().find(|phase| phase.measure).or(phases.first());
    phase.map_or((0, "the start".to_owned()), |phase| {
        (phase.start_us, format!("the begin of {}", phase.name))
    })
}

/// Whether every run has a fault that was injected.
pub(super) fn all_have_faults<'r>(mut recordings: impl Iterator<Item = &'r Recording>) -> bool {
    recordings.all(|recording| {
        let faults = &recording.record.faults;
        faults.iter().any(|fault| fault.injected_us.is_some())
    })
}

/// A run whose rows are sorted out once, and that is moved by so many microseconds.
pub(super) struct Aligned<'r> {
    recording: &'r Recording,
    by_us: i64,
    loads: BTreeMap<&'r str, Vec<&'r LoadRow>>,
    services: Vec<&'r ServiceRow>,
}

impl<'r> Aligned<'r> {
    /// `recording` so that its `zero_us` falls on `onto_us` of the axis.
    pub(super) fn new(recording: &'r Recording, zero_us: u64, onto_us: u64) -> Aligned<'r> {
        let mut loads: BTreeMap<&str, Vec<&LoadRow>> = BTreeMap::new();
        let mut services = Vec::new();
        for row in &recording.series {
            match row {
                SeriesRow::Load(row) => loads.entry(&row.load).or_default().push(row),
                SeriesRow::Service(row) => services.push(row),
            }
        }
        Aligned {
            recording,
            by_us: onto_us.cast_signed() - zero_us.cast_signed(),
            loads,
            services,
        }
    }

    /// Where the run ends on the axis.
    pub(super) fn end_us(&self) -> u64 {
        self.recording.end_us().saturating_add_signed(self.by_us)
    }

    /// P99 of a load, as fine as the data allows.
    pub(super) fn p99(&self, load: &str) -> Pieces {
        let rows = self.rows(load);
        let from_intervals = || {
            let intervals = self.recording.intervals.get(load).map_or(&[][..], Vec::as_slice);
            let edges = edges(&marks(self.recording));
            let least_us = self.recording.end_us() / WINDOWS;
            streamed(intervals, Kind::Response, 0.99, &edges, least_us)
        };
        self.moved(&from_rows(rows, |row| row.p99).unwrap_or_else(from_intervals))
    }

    /// Requests of a load that were completed per second.
    pub(super) fn throughput(&self, load: &str) -> Pieces {
        let counts = self.rows(load).iter().map(|row| (row.start_us, row.completed));
        let per_run = self.recording.repeats();
        self.moved(&self.windows(counts, |sum, length_us| {
            sum as f64 / (length_us as f64 / 1e6) / per_run
        }))
    }

    /// The longest pause of any service.
    pub(super) fn longest_pause(&self) -> Pieces {
        let mut longest: BTreeMap<u64, u64> = BTreeMap::new();
        let window_us = self.window_us();
        for row in &self.services {
            if let Some(pause) = row.pause_max {
                let held = longest.entry(row.start_us / window_us).or_default();
                *held = pause.max(*held);
            }
        }
        let spans: Vec<Span> = longest
            .into_iter()
            .map(|(at, pause)| Span {
                start_us: at * window_us,
                end_us: (at + 1) * window_us,
                value: pause as f64,
            })
            .collect();
        self.moved(&spans)
    }

    /// Processors that all services together kept busy.
    pub(super) fn cores(&self) -> Pieces {
        let used = self
            .services
            .iter()
            .filter_map(|row| Some((row.start_us, row.cpu_us?)));
        let per_run = self.recording.repeats();
        self.moved(&self.windows(used, |sum, length_us| sum as f64 / length_us as f64 / per_run))
    }

    fn rows(&self, load: &str) -> &[&'r LoadRow] {
        self.loads.get(load).map_or(&[][..], Vec::as_slice)
    }

    fn window_us(&self) -> u64 {
        WINDOW_US.max(self.recording.end_us() / WINDOWS)
    }

    /// What falls into each window, summed; the last window is left out where the run ends inside it.
    fn windows(
        &self,
        counts: impl Iterator<Item = (u64, u64)>,
        value: impl Fn(u64, u64) -> f64,
    ) -> Vec<Span> {
        let window_us = self.window_us();
        let mut sums: BTreeMap<u64, u64> = BTreeMap::new();
        for (start_us, count) in counts {
            *sums.entry(start_us / window_us).or_default() += count;
        }
        let ran = |at: u64| {
            let mut phases = self.recording.record.phases.iter();
            let (start_us, end_us) = (at * window_us, (at + 1) * window_us);
            phases.any(|phase| phase.start_us < end_us && start_us < phase.end_us)
                && self
                    .recording
                    .record
                    .phases
                    .last()
                    .is_some_and(|phase| end_us <= phase.end_us + window_us / 10)
                && self
                    .recording
                    .record
                    .phases
                    .first()
                    .is_some_and(|phase| phase.start_us <= start_us + window_us / 10)
        };
        let inside = sums.into_iter().filter(|(at, _)| ran(*at));
        inside
            .map(|(at, sum)| Span {
                start_us: at * window_us,
                end_us: (at + 1) * window_us,
                value: value(sum, window_us),
            })
            .collect()
    }

    /// Spans as a line on the common axis. What came before the axis begins is cut off.
    fn moved(&self, spans: &[Span]) -> Pieces {
        let moved = spans.iter().filter_map(|span| {
            let end_us = span.end_us.checked_add_signed(self.by_us)?;
            let start_us = span.start_us.saturating_add_signed(self.by_us);
            (end_us > start_us).then_some(Span {
                start_us,
                end_us,
                ..*span
            })
        });
        pieces(&moved.collect::<Vec<Span>>())
    }
}
