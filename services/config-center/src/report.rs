//! The server's metrics and events.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use squall_service_kit::log;
use squall_service_kit::telemetry::{Events, Telemetry};

use crate::store::StoreError;

/// Counts what the server does.
#[derive(Debug)]
pub struct Report {
    pub(crate) configs: Gauge,
    pub(crate) watchers: Gauge,
    pub(crate) changes: Counter,
    pub(crate) refused: Counter,
    pub(crate) woken: Counter,
    pub(crate) polls: Counter,
    pub(crate) fetches: Counter,
    pub(crate) overloaded: Counter,
    failures: Counter,
    events: Events,
}

impl Report {
    /// Registers the metrics.
    pub fn new(telemetry: &mut Telemetry) -> Self {
        let configs = telemetry.gauge("config_center_configs", "Configurations");
        let watchers = telemetry.gauge("config_center_watchers", "Long polls that hang");
        let mut counter = |name: &str, help: &str| telemetry.counter(&format!("config_center_{name}"), help);
        Self {
            configs,
            watchers,
            changes: counter("changes", "Changes acknowledged, all of them on disk"),
            refused: counter("refused", "Changes refused, for a limit or a comparison"),
            woken: counter(
                "woken",
                "Long polls that hung and were answered because of a change",
            ),
            polls: counter("polls", "Long polls begun"),
            fetches: counter("fetches", "Configurations fetched"),
            overloaded: counter("overloaded", "Requests refused because too much was going on"),
            failures: counter("store_failures", "Groups of changes that the disk did not take"),
            events: telemetry.events(),
        }
    }

    pub(crate) fn store_failed(&self, error: &StoreError) {
        self.failures.inc();
        log::error(error);
        self.events.record("store-failed", error.to_string());
    }

    pub(crate) fn event(&self, kind: &'static str, text: String) {
        log::info(format_args!("{kind}: {text}"));
        self.events.record(kind, text);
    }
}
