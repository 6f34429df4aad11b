//! Several runs on one axis of time.
//!
//! The axis is that of the first side's run. Every other run is moved along it until the moments that should coincide do:
//! the injection of the first fault; in runs without faults, the begin of the first measured phase.

use std::collections::BTreeMap;

use crate::over_time::{cores, requests, window_us};
use crate::recording::Recording;
use crate::window::{Pieces, Span, pieces};

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

/// A run that is moved by so many microseconds.
pub(super) struct Aligned<'r> {
    recording: &'r Recording,
    by_us: i64,
}

impl<'r> Aligned<'r> {
    /// `recording` so that its `zero_us` falls on `onto_us` of the axis.
    pub(super) fn new(recording: &'r Recording, zero_us: u64, onto_us: u64) -> Aligned<'r> {
        Aligned {
            recording,
            by_us: onto_us.cast_signed() - zero_us.cast_signed(),
        }
    }

    /// Where the run ends on the axis.
    pub(super) fn end_us(&self) -> u64 {
        self.recording.end_us().saturating_add_signed(self.by_us)
    }

    /// P99 of a load.
    pub(super) fn p99(&self, load: &str) -> Pieces {
        self.moved(self.recording.calm_p99(load))
    }

    /// Requests of a load that were completed per second.
    pub(super) fn throughput(&self, load: &str) -> Pieces {
        self.moved(&requests(self.recording, load).completed())
    }

    /// The longest pause of any service.
    pub(super) fn longest_pause(&self) -> Pieces {
        let mut longest: BTreeMap<u64, u64> = BTreeMap::new();
        let window_us = window_us(self.recording);
        for row in self.recording.service_rows() {
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
        self.moved(&cores(self.recording))
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
