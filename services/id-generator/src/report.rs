//! The service's metrics and events.

use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use squall_service_kit::log;
use squall_service_kit::telemetry::{Events, Telemetry};

use crate::incident::{Defence, Incident, Observe};

/// Turns a generator's incidents into metrics, events and log entries, and counts what requests get.
#[derive(Debug)]
pub struct Report {
    /// Ids issued.
    pub(crate) ids: Counter,
    /// Requests refused because of the clock.
    pub(crate) rejected: Counter,
    spin: Counter,
    sleep: Counter,
    backup: Counter,
    exhausted: Counter,
    backup_active: Gauge,
    last_rollback: Gauge<f64, AtomicU64>,
    events: Events,
}

impl Report {
    /// Registers the metrics.
    pub fn new(telemetry: &mut Telemetry) -> Self {
        let mut counter = |name: &str, help: &str| telemetry.counter(&format!("id_generator_{name}"), help);
        Self {
            ids: counter("ids", "Ids issued"),
            rejected: counter("rollback_rejected", "Requests refused because of the clock"),
            spin: counter("rollback_spin", "Steps back of the clock that were spun out"),
            sleep: counter("rollback_sleep", "Steps back of the clock that were slept out"),
            backup: counter("rollback_backup", "Times the backup sequencer took over"),
            exhausted: counter("sequence_exhausted", "Milliseconds whose ids were all taken"),
            backup_active: telemetry.gauge(
                "id_generator_backup_active",
                "Whether the backup sequencer is in charge",
            ),
            last_rollback: telemetry.seconds(
                "id_generator_last_rollback",
                "Size of the last step back of the clock",
            ),
            events: telemetry.events(),
        }
    }

    fn alarm(&self, text: String) {
        log::warn(&text);
        self.events.record("alarm", text);
    }

    fn rollback(&self, step_ms: u64, behind_ms: u64, defence: Defence) {
        self.last_rollback.set(step_ms as f64 / 1e3);
        self.events.record(
            "rollback",
            format!("defence={defence} step_ms={step_ms} behind_ms={behind_ms}"),
        );
        match defence {
            Defence::Spin => drop(self.spin.inc()),
            Defence::Sleep => drop(self.sleep.inc()),
            Defence::Backup | Defence::Reject | Defence::Ignore => {}
        }
        let text = format!("clock stepped back {step_ms} ms, {behind_ms} ms behind the last id: {defence}");
        // A step short enough to be spun out is news, not an alarm.
        if defence == Defence::Spin {
            log::info(text);
        } else {
            self.alarm(text);
        }
    }
}

impl Observe for Report {
    fn note(&self, incident: &Incident) {
        match incident {
            Incident::Rollback {
                step_ms,
                behind_ms,
                defence,
            } => {
                self.rollback(*step_ms, *behind_ms, *defence);
            }
            Incident::Stalled { waited_ms, defence } => {
                self.alarm(format!(
                    "clock stands still, waited {waited_ms} ms for it: {defence}"
                ));
            }
            Incident::BackupEntered => {
                self.backup.inc();
                self.backup_active.set(1);
                self.events.record("backup-entered", String::new());
            }
            Incident::BackupLeft { lasted_ms } => {
                self.backup_active.set(0);
                log::info(format_args!(
                    "clock has caught up; the backup sequencer ran for {lasted_ms} ms"
                ));
                self.events
                    .record("backup-left", format!("lasted_ms={lasted_ms}"));
            }
            Incident::SequenceExhausted => drop(self.exhausted.inc()),
            Incident::SyncFailed { reason } => {
                self.alarm(format!(
                    "cannot sync the state file: {reason}; a loss of power now may repeat ids"
                ));
            }
        }
    }
}
