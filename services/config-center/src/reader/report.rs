//! The reader's metrics and events: what its clients tell.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use squall_service_kit::log;
use squall_service_kit::telemetry::{Events, Telemetry};

use squall_config_client::{Incident, Observe};

/// What all clients of the reader count in.
#[derive(Debug)]
pub struct Report {
    pub(crate) reads: Counter,
    connected: Gauge,
    connects: Counter,
    away: Counter,
    heartbeats: Counter,
    updates: Counter,
    stale: Counter,
    refused: Counter,
    mismatches: Counter,
    from_snapshot: Counter,
    snapshots_ignored: Counter,
    snapshots_failed: Counter,
    evicted: Counter,
    events: Events,
}

/// One client: all count, the first also tells.
#[derive(Debug)]
pub struct Told {
    report: Arc<Report>,
    is_first: bool,
}

impl Report {
    /// Registers the metrics.
    pub fn new(telemetry: &mut Telemetry) -> Self {
        let connected = telemetry.gauge("config_reader_connected", "Clients whose server answers");
        let mut counter = |name: &str, help: &str| telemetry.counter(&format!("config_reader_{name}"), help);
        Self {
            connected,
            reads: counter("reads", "Reads answered"),
            connects: counter("connects", "Times that the server answered again"),
            away: counter("away", "Times that the server did not answer"),
            heartbeats: counter("heartbeats", "Heartbeats that were answered"),
            updates: counter("updates", "Newer versions that were shown"),
            stale: counter("stale", "Answers older than what was held, which were dropped"),
            refused: counter(
                "refused",
                "Times that the server did not give a configuration any more",
            ),
            mismatches: counter("mismatches", "Contents that had not the MD5 that came with them"),
            from_snapshot: counter("from_snapshot", "Configurations shown from a snapshot"),
            snapshots_ignored: counter("snapshots_ignored", "Snapshots that could not be used"),
            snapshots_failed: counter("snapshots_failed", "Snapshots that could not be written"),
            evicted: counter("evicted", "Configurations that made room for others"),
            events: telemetry.events(),
        }
    }

    fn count(&self, incident: &Incident) {
        match incident {
            Incident::Connected => {
                self.connected.inc();
                self.connects.inc();
            }
            Incident::Away { was_connected, .. } => {
                self.away.inc();
                if *was_connected {
                    self.connected.dec();
                }
            }
            Incident::Heartbeat => drop(self.heartbeats.inc()),
            Incident::Updated { .. } => drop(self.updates.inc()),
            Incident::Stale { .. } => drop(self.stale.inc()),
            Incident::Refused { .. } => drop(self.refused.inc()),
            Incident::Mismatch { .. } => drop(self.mismatches.inc()),
            Incident::FromSnapshot { .. } => drop(self.from_snapshot.inc()),
            Incident::SnapshotIgnored { .. } => drop(self.snapshots_ignored.inc()),
            Incident::SnapshotFailed { .. } => drop(self.snapshots_failed.inc()),
            Incident::Evicted { .. } => drop(self.evicted.inc()),
        }
    }

    fn event(&self, incident: &Incident) {
        let (kind, text) = match incident {
            // As many as there are: the metric tells.
            Incident::Heartbeat => return,
            Incident::Connected => ("connected", String::new()),
            Incident::Away { reason, .. } => ("away", reason.clone()),
            Incident::Updated { key, version } => ("updated", format!("key={key} version={version}")),
            Incident::Stale { key, held, seen } => (
                "stale",
                format!(
                    "key={key} held={held} seen={}",
                    seen.map_or("unnumbered".to_owned(), |n| n.to_string())
                ),
            ),
            Incident::Refused { key, reason } => ("refused", format!("key={key} {reason}")),
            Incident::Mismatch { key } => ("mismatch", format!("key={key}")),
            Incident::FromSnapshot { key, version } => {
                ("from-snapshot", format!("key={key} version={version}"))
            }
            Incident::SnapshotIgnored { file, what } => ("snapshot-ignored", format!("{file}: {what}")),
            Incident::SnapshotFailed { file, reason } => ("snapshot-failed", format!("{file}: {reason}")),
            Incident::Evicted { key } => ("evicted", format!("key={key}")),
        };
        log::info(format_args!("{kind}: {text}"));
        self.events.record(kind, text);
    }
}

impl Told {
    /// The client of this number.
    pub fn new(report: Arc<Report>, number: usize) -> Self {
        Self {
            report,
            is_first: number == 0,
        }
    }
}

impl Observe for Told {
    fn note(&self, incident: &Incident) {
        self.report.count(incident);
        if self.is_first {
            self.report.event(incident);
        }
    }
}
