//! What a service reports through: its metrics, and its events.
//!
//! Metrics are the [`prometheus_client`] crate's and carry the service's name as a prefix, such as
//! `id_generator_ids`. Events are for what happens rarely: a state entered, a defence engaged. Neither may be used
//! for what happens with each request, except a counter.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::clock;
use crate::hiccup::{Hiccups, Pause};
use crate::ring::Ring;

/// How many events are kept.
const EVENTS_MAX: usize = 4096;

/// The numbered events of a service.
#[derive(Debug, Clone)]
pub struct Events(Arc<Ring<Event>>);

/// Where a service tells of pauses that it knows of itself, such as one of the thread that serves, which the meter in
/// another thread can't see.
#[derive(Debug, Clone)]
pub struct Pauses(Arc<Hiccups>);

/// Something that happened within a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in microseconds of `CLOCK_MONOTONIC`.
    pub at_us: u64,
    /// What kind of thing, as the service's page lists them.
    pub kind: &'static str,
    /// The particulars.
    pub text: String,
    /// The change of state that it was, if it was one.
    pub transition: Option<Transition>,
}

/// Something within a service went from one of its states to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// What changed its state, such as a breaker's name.
    pub of: String,
    /// The state it left.
    pub from: &'static str,
    /// The state it entered.
    pub to: &'static str,
}

/// The metrics and events of a service that is about to start.
#[derive(Debug)]
pub struct Telemetry {
    registry: Registry,
    pub(crate) hiccups: Arc<Hiccups>,
    events: Events,
}

impl Events {
    /// Records that `kind` happened now.
    pub fn record(&self, kind: &'static str, text: String) {
        self.push(kind, text, None);
    }

    /// Records that `of` went from one state to another now, of the kind `state`. Whoever changes a state from several threads
    /// records its changes in the order in which they came about, such as by a lock.
    pub fn transition(&self, of: impl Into<String>, from: &'static str, to: &'static str, why: String) {
        let of = of.into();
        self.push("state", why, Some(Transition { of, from, to }));
    }

    fn push(&self, kind: &'static str, text: String, transition: Option<Transition>) {
        self.0.push(Event {
            at_us: clock::monotonic_us(),
            kind,
            text,
            transition,
        });
    }

    pub(crate) fn ring(&self) -> &Ring<Event> {
        &self.0
    }
}

impl Pauses {
    /// Records that the service stood still for `length_us` from `at_us` of `CLOCK_MONOTONIC` on.
    pub fn record(&self, at_us: u64, length_us: u64) {
        // Known, not measured by a sleep: there is no period to correct for.
        let late_us = length_us;
        self.0.listed.push(Pause {
            at_us,
            length_us,
            late_us,
        });
    }
}

impl Telemetry {
    /// The metrics every service has, and no events.
    pub fn new() -> Self {
        let hiccups = Arc::new(Hiccups::new());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&hiccups)));
        Self {
            registry,
            hiccups,
            events: Events(Arc::new(Ring::new(EVENTS_MAX))),
        }
    }

    /// Where the service records its events.
    pub fn events(&self) -> Events {
        self.events.clone()
    }

    /// Where the service records pauses of its own.
    pub fn pauses(&self) -> Pauses {
        Pauses(Arc::clone(&self.hiccups))
    }

    /// Every metric as it stands, as OpenMetrics 1.0 text.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut body = String::new();
        text::encode(&mut body, &self.registry)?;
        Ok(body)
    }

    /// Adds a counter; `_total` is added to its name where it is exported.
    pub fn counter(&mut self, name: &str, help: &str) -> Counter {
        let counter = Counter::default();
        self.registry.register(name, help, counter.clone());
        counter
    }

    /// Adds a gauge of whole numbers.
    pub fn gauge(&mut self, name: &str, help: &str) -> Gauge {
        let gauge = Gauge::default();
        self.registry.register(name, help, gauge.clone());
        gauge
    }

    /// Adds a gauge of seconds; `_seconds` is added to its name.
    pub fn seconds(&mut self, name: &str, help: &str) -> Gauge<f64, AtomicU64> {
        let gauge = Gauge::<f64, AtomicU64>::default();
        self.registry
            .register_with_unit(name, help, Unit::Seconds, gauge.clone());
        gauge
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}
