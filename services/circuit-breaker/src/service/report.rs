//! Metrics, events and changes of state.
//!
//! A breaker is called by its resource, its second one `recall#1` and so on. Where its rule goes while it is not closed it becomes
//! `replaced`, and at once `closed`, as what stands there from then on is. The choice of model is `model-choice`: `full` or `light`.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use squall_config_client::Incident;
use squall_service_kit::log;
use squall_service_kit::telemetry::{Events, Telemetry};

use crate::feed::MODEL;
use crate::{Event, Observe, Slowness, State, Transition};

/// What the service counts and tells.
#[derive(Debug)]
pub struct Report {
    pub(crate) requests: Counter,
    pub(crate) served: Counter,
    pub(crate) failed: Counter,
    pub(crate) shed: Counter,
    pub(crate) recall_failed: Counter,
    pub(crate) recall_cached: Counter,
    pub(crate) model_full: Counter,
    pub(crate) model_light: Counter,
    pub(crate) model_failed: Counter,
    opened: Counter,
    half_opened: Counter,
    recovering: Counter,
    reclosed: Counter,
    unclosed: Gauge,
    switched_light: Counter,
    switched_back: Counter,
    rules_applied: Counter,
    rules_from_copy: Counter,
    rules_from_accepted: Counter,
    rules_refused: Counter,
    rules_version: Gauge,
    connected: Gauge,
    server_away: Counter,
    events: Events,
}

/// What the client of config-center tells.
#[derive(Debug)]
pub struct ClientTold {
    report: Arc<Report>,
    /// The last of its events, so that a server that stays away fills no ring.
    last: Mutex<String>,
}

impl Report {
    /// Registers the metrics.
    pub fn new(telemetry: &mut Telemetry) -> Self {
        let mut gauge = |name: &str, help: &str| telemetry.gauge(&format!("circuit_breaker_{name}"), help);
        let unclosed = gauge("unclosed", "Breakers that are not closed");
        let rules_version = gauge("rules_version", "How many rule sets have come into force");
        let connected = gauge("connected", "Whether config-center answers");
        let mut counter =
            |name: &str, help: &str| telemetry.counter(&format!("circuit_breaker_{name}"), help);
        Self {
            requests: counter("requests", "Refreshes that were asked for"),
            served: counter("served", "Those that were served"),
            failed: counter("failed", "Those that were admitted and failed"),
            shed: counter("shed", "Those that were answered with the fallback card"),
            recall_failed: counter("recall_failed", "Calls to recall that failed"),
            recall_cached: counter(
                "recall_cached",
                "Refreshes whose recall was served from the cache",
            ),
            model_full: counter("model_full", "Calls to the full model"),
            model_light: counter("model_light", "Calls to the light model"),
            model_failed: counter("model_failed", "Calls to either model that failed"),
            opened: counter("opened", "Times that a breaker opened"),
            half_opened: counter("half_opened", "Times that a breaker let a first probe through"),
            recovering: counter(
                "recovering",
                "Times that a first probe succeeded and more were to follow",
            ),
            reclosed: counter("reclosed", "Times that a breaker closed again"),
            unclosed,
            switched_light: counter("switched_light", "Times that the light model took over"),
            switched_back: counter("switched_back", "Times that the full model took over again"),
            rules_applied: counter("rules_applied", "Rule sets of config-center that came into force"),
            rules_from_copy: counter(
                "rules_from_copy",
                "Those of them that came from the client's copy, as config-center was away",
            ),
            rules_from_accepted: counter(
                "rules_from_accepted",
                "Those of them that were accepted before, as there were no others that could be used",
            ),
            rules_refused: counter("rules_refused", "Rule sets of config-center that were refused"),
            rules_version,
            connected,
            server_away: counter("server_away", "Times that config-center did not answer"),
            events: telemetry.events(),
        }
    }

    /// Rules of config-center are in force: as it has them, or as the copy of its client has.
    pub(crate) fn rules_applied(&self, live: bool, what: String) {
        self.rules_applied.inc();
        if !live {
            self.rules_from_copy.inc();
        }
        self.tell("rules-applied", what);
    }

    /// Those that were accepted last are in force again.
    pub(crate) fn accepted_applied(&self, what: String) {
        self.rules_applied.inc();
        self.rules_from_accepted.inc();
        self.tell("rules-applied", what);
    }

    /// The copy of rules that are in force could not be written.
    pub(crate) fn rules_not_kept(&self, what: String) {
        self.tell("rules-not-kept", what);
    }

    /// Rules of config-center were refused.
    pub(crate) fn rules_refused(&self, what: String) {
        self.rules_refused.inc();
        self.tell("rules-refused", what);
    }

    fn tell(&self, kind: &'static str, what: String) {
        log::info(format_args!("{kind}: {what}"));
        self.events.record(kind, what);
    }

    fn count(&self, from: State, to: State) {
        match to {
            State::Open => drop(self.opened.inc()),
            State::HalfOpen => drop(self.half_opened.inc()),
            State::Closed => drop(self.reclosed.inc()),
            State::Recovering => drop(self.recovering.inc()),
        }
        if from == State::Closed {
            self.unclosed.inc();
        } else if to == State::Closed {
            self.unclosed.dec();
        }
    }

    fn transition(&self, change: &Transition) {
        self.count(change.from, change.to);
        let of = machine(&change.resource, change.breaker);
        let why = format!(
            "{}; {} calls, {} bad, {} good probes",
            change.reason, change.calls, change.bad, change.good_probes
        );
        log::info(format_args!("{of}: {} to {}: {why}", change.from, change.to));
        self.events
            .transition(of, change.from.name(), change.to.name(), why);
    }

    fn slowness(&self, change: &Slowness) {
        if *change.resource != *MODEL {
            return;
        }
        let (from, to) = if change.slow {
            self.switched_light.inc();
            (FULL, LIGHT)
        } else {
            self.switched_back.inc();
            (LIGHT, FULL)
        };
        let why = format!(
            "{} of the last {} calls took over {} ms",
            change.above, change.calls, change.threshold_ms
        );
        log::info(format_args!("{MODEL}: {from} to {to}: {why}"));
        self.events.transition(CHOICE, from, to, why);
    }
}

const FULL: &str = "full";
const LIGHT: &str = "light";
/// What the choice of model is called among what changes its state; a breaker of the model is called `model`.
const CHOICE: &str = "model-choice";
const REPLACED: &str = "replaced";

fn machine(resource: &str, breaker: usize) -> String {
    if breaker == 0 {
        resource.to_owned()
    } else {
        format!("{resource}#{breaker}")
    }
}

impl Observe for Report {
    fn note(&self, event: &Event) {
        match event {
            Event::Transition(change) => self.transition(change),
            Event::Slowness(change) => self.slowness(change),
            Event::Replaced {
                resource,
                breaker,
                state,
            } => {
                self.unclosed.dec();
                let of = machine(resource, *breaker);
                let why = || "its rule changed".to_owned();
                self.events.transition(of.clone(), state.name(), REPLACED, why());
                self.events.transition(of, REPLACED, State::Closed.name(), why());
            }
            Event::Forgotten { resource } if **resource == *MODEL => {
                self.switched_back.inc();
                self.events
                    .transition(CHOICE, LIGHT, FULL, "its rule changed".to_owned());
            }
            // Who applied them tells more of it, and knows where they are from.
            Event::RulesApplied { version, .. } => drop(self.rules_version.set(*version as i64)),
            Event::Forgotten { .. } => {}
        }
    }
}

impl ClientTold {
    /// A client that has told nothing.
    pub fn new(report: Arc<Report>) -> Self {
        Self {
            report,
            last: Mutex::default(),
        }
    }
}

impl squall_config_client::Observe for ClientTold {
    fn note(&self, incident: &Incident) {
        let what = match incident {
            Incident::Connected => {
                self.report.connected.set(1);
                "answers".to_owned()
            }
            Incident::Away { reason, .. } => {
                self.report.connected.set(0);
                self.report.server_away.inc();
                format!("away: {reason}")
            }
            Incident::FromSnapshot { version, .. } => {
                format!("away, and version {version} is known from its copy")
            }
            Incident::SnapshotIgnored { file, what } => format!("the copy {file} is passed over: {what}"),
            Incident::SnapshotFailed { file, reason } => format!("the copy {file} was not written: {reason}"),
            Incident::Stale { held, seen, .. } => format!("older than version {held}: {seen:?}"),
            Incident::Refused { reason, .. } => format!("does not give the rules: {reason}"),
            Incident::Mismatch { .. } => "a content without its MD5".to_owned(),
            Incident::Heartbeat | Incident::Updated { .. } | Incident::Evicted { .. } => return,
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != what {
            last.clone_from(&what);
            self.report.tell("config-center", what);
        }
    }
}
