//! The gateway's metrics and events.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use squall_service_kit::log;
use squall_service_kit::telemetry::{Events, Telemetry};

use crate::route::{Event, Observe};

/// Counts what the gateway does.
#[derive(Debug)]
pub struct Report {
    pub(crate) requests: Counter,
    pub(crate) failed: Counter,
    pub(crate) connects: Counter,
    pub(crate) reused: Counter,
    pub(crate) retried: Counter,
    pub(crate) exhausted: Counter,
    pub(crate) deadlines: Counter,
    pub(crate) overloaded: Counter,
    pub(crate) ejected: Counter,
    pub(crate) restored: Counter,
    pub(crate) checks_failed: Counter,
    pub(crate) config_applied: Counter,
    pub(crate) config_refused: Counter,
    pub(crate) plugin_swapped: Counter,
    pub(crate) plugin_failed: Counter,
    pub(crate) bucket_by_hash: Counter,
    pub(crate) connections: Gauge,
    pub(crate) in_flight: Gauge,
    events: Events,
}

impl Report {
    /// Registers the metrics.
    pub fn new(telemetry: &mut Telemetry) -> Self {
        let connections = telemetry.gauge("gateway_connections", "Connections of clients");
        let in_flight = telemetry.gauge("gateway_in_flight", "Requests that upstreams work on");
        let mut counter = |name: &str, help: &str| telemetry.counter(&format!("gateway_{name}"), help);
        Self {
            requests: counter("requests", "Requests taken in"),
            failed: counter("failed", "Requests answered with an error of the gateway's own"),
            connects: counter("connects", "Connections opened to upstreams"),
            reused: counter("reused", "Requests sent on a connection that was there"),
            retried: counter("retried", "Attempts after the first of a request"),
            exhausted: counter("budget_exhausted", "Retries that the budget did not allow"),
            deadlines: counter("deadline_exceeded", "Requests that ran out of time"),
            overloaded: counter("overloaded", "Requests refused because too many were there"),
            ejected: counter("ejected", "Times that an endpoint was taken out"),
            restored: counter("restored", "Times that an endpoint was let in again"),
            checks_failed: counter("checks_failed", "Health checks that failed"),
            config_applied: counter("config_applied", "Documents put into force"),
            config_refused: counter(
                "config_refused",
                "Documents refused, so that the one before stayed",
            ),
            plugin_swapped: counter("plugin_swapped", "Plug-ins put into force"),
            plugin_failed: counter(
                "plugin_failed",
                "Runs of a plug-in that gave no route, and plug-ins refused",
            ),
            bucket_by_hash: counter(
                "bucket_by_hash",
                "Users whose variant could be neither found nor kept, so that the hash decided",
            ),
            connections,
            in_flight,
            events: telemetry.events(),
        }
    }

    /// An endpoint went from one state to another, and why.
    pub(crate) fn endpoint(&self, label: &str, from: &'static str, to: &'static str, why: &str) {
        log::info(format_args!("{label}: {from} to {to}: {why}"));
        self.events.transition(label, from, to, why.to_owned());
    }

    /// Something that happens rarely.
    pub(crate) fn event(&self, kind: &'static str, text: String) {
        log::info(format_args!("{kind}: {text}"));
        self.events.record(kind, text);
    }
}

/// What the router tells, as metrics and events.
#[derive(Debug)]
pub(crate) struct OfRoutes(pub(crate) Arc<Report>);

impl Observe for OfRoutes {
    fn note(&self, event: &Event<'_>) {
        let report = &self.0;
        match event {
            Event::TableApplied { .. } => {}
            Event::PluginSwapped { number } => {
                report.plugin_swapped.inc();
                report.event("plugin-swapped", format!("plug-in {number} is in force"));
            }
            Event::PluginRefused { number, error } => {
                report.plugin_failed.inc();
                report.event("plugin-refused", format!("plug-in {number}: {error}"));
            }
            Event::PluginRemoved { number } => {
                report.event("plugin-removed", format!("plug-in {number} is in force no more"));
            }
            // With each request that meets it: counted, not told.
            Event::PluginFailed { .. } => {
                report.plugin_failed.inc();
            }
            Event::BucketByHash { .. } => {
                report.bucket_by_hash.inc();
            }
            Event::BucketsFull { users } => {
                report.event(
                    "buckets-full",
                    format!("{users} users are remembered, and no more"),
                );
            }
            Event::BucketStoreAway { why } => report.event("bucket-store-away", (*why).to_owned()),
            Event::BucketStoreBack => report.event("bucket-store-back", "buckets are kept again".to_owned()),
            Event::PluginQuarantined { number } => {
                report.event(
                    "plugin-quarantined",
                    format!("plug-in {number} failed too often, and is asked no more"),
                );
            }
        }
    }
}
