//! `events.ndjson`: the timeline of a run, one event per line, in the order in which they happened.
//!
//! Events are enough to make the run record again: [`crate::replay`] folds them, at the end of a run and for a run that
//! was cut off. So an event carries results, not only names.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::baseline::Values;
use crate::record::{
    EdgeRecord, ExpectationRecord, FaultFelt, GeneratorRecord, InvariantRecord, LoadRecord, Machine,
    MergedFrom, ServiceRecord, Verdict,
};
use crate::scenario::Network;

/// One line of `events.ndjson`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in microseconds since the run's start.
    pub at_us: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The run began: everything about it that is known beforehand.
    RunStarted(Box<RunHeader>),
    /// A service was spawned.
    ServiceStarted {
        /// Its name.
        service: String,
        /// Its process.
        pid: u32,
    },
    /// A service answered its readiness check.
    ServiceReady {
        /// Its name.
        service: String,
        /// Where it listens, as `host:port`.
        address: Option<String>,
    },
    /// A service told something of itself on its admin endpoint.
    ServiceEvent {
        /// Its name.
        service: String,
        /// The kind it gave, such as `rollback`.
        kind: String,
        /// Its words.
        text: String,
        /// The change of state that it was, if it was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transition: Option<Transition>,
    },
    /// A service ended without being asked to.
    ServiceDied {
        /// Its name.
        service: String,
        /// How: exit code or signal.
        status: String,
        /// The last lines it wrote.
        last_lines: Vec<String>,
    },
    /// A service was stopped.
    ServiceStopped {
        /// Its name.
        service: String,
        /// How it ended.
        status: String,
    },
    /// A phase began.
    PhaseStarted {
        /// Its name.
        phase: String,
    },
    /// A phase's time is over; requests intended in it may still be on their way.
    PhaseEnded {
        /// Its name.
        phase: String,
        /// False where an interruption cut it short.
        complete: bool,
    },
    /// Everything intended in a phase has ended: its numbers.
    PhaseResult {
        /// Its name.
        phase: String,
        /// Per load.
        load: BTreeMap<String, LoadRecord>,
        /// Per service.
        services: BTreeMap<String, ServiceRecord>,
        /// Why its numbers can't be trusted.
        invalid: Vec<String>,
    },
    /// A fault was injected.
    FaultInjected {
        /// Its name.
        fault: String,
    },
    /// The target felt it.
    FaultProved {
        /// Its name.
        fault: String,
        /// The receipt.
        evidence: String,
    },
    /// It could not be injected, or nothing showed that the target felt it.
    FaultNotProved {
        /// Its name.
        fault: String,
        /// Why.
        reason: String,
    },
    /// It was taken back.
    FaultHealed {
        /// Its name.
        fault: String,
    },
    /// It was shown to be over.
    FaultUndone {
        /// Its name.
        fault: String,
        /// The second receipt.
        evidence: String,
        /// How long the target was held, microseconds, where its kind measures that.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        held_us: Option<f64>,
    },
    /// Nothing showed that it is over, or it could not be taken back.
    FaultNotUndone {
        /// Its name.
        fault: String,
        /// Why.
        reason: String,
    },
    /// What the proxies saw; told at the end of the run.
    Edges {
        /// Per edge that has one.
        results: Vec<EdgeRecord>,
    },
    /// How the loads took a fault; told at the end of the run.
    FaultFelt {
        /// Its name.
        fault: String,
        /// What was measured.
        felt: FaultFelt,
    },
    /// An invariant was violated (the first few of each are events, all are counted).
    InvariantViolated {
        /// As in expectations: `ids.unique`.
        invariant: String,
        /// The evidence.
        text: String,
    },
    /// Something worth knowing that is no failure.
    Warning {
        /// What.
        text: String,
    },
    /// The user, or the system, asked for an end.
    Interrupted {
        /// The signal.
        signal: String,
    },
    /// All invariants, judged.
    Invariants {
        /// In the order of the scenario.
        results: Vec<InvariantRecord>,
    },
    /// The generator, over the whole run.
    Generator {
        /// What it used and how it kept up.
        result: Box<GeneratorRecord>,
    },
    /// All expectations, judged.
    Expectations {
        /// In the order of the scenario.
        results: Vec<ExpectationRecord>,
    },
    /// What expectations could have named, as far as nothing spoiled it.
    Measured {
        /// By scope.
        values: Values,
    },
    /// The last event of a run that ended.
    RunEnded {
        /// How.
        verdict: Verdict,
        /// Why.
        reasons: Vec<String>,
        /// The exit code.
        exit_code: u8,
    },
}

/// Something within a service went from one of its states to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// What changed its state, such as a breaker's name.
    pub of: String,
    /// The state it left.
    pub from: String,
    /// The state it entered.
    pub to: String,
}

/// What is known of a run before it begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunHeader {
    /// The version of Squall.
    pub squall: String,
    /// The scenario's name.
    pub scenario: String,
    /// What it says of itself.
    pub about: String,
    /// Its file, secrets redacted.
    pub source: String,
    /// The command line that repeats the run.
    pub command: String,
    /// The root seed.
    pub seed: u64,
    /// Wall time of the start, RFC 3339 in UTC.
    pub started_at: String,
    /// The revision.
    pub revision: String,
    /// Whether phases were scaled down.
    pub quick: bool,
    /// The network in which services and loads are.
    #[serde(default)]
    pub network: Network,
    /// The machine.
    pub machine: Machine,
    /// The loads, in order.
    pub loads: Vec<String>,
    /// The services, in order.
    pub services: Vec<String>,
    /// The phases, in order.
    pub phases: Vec<PlannedPhase>,
    /// The faults, in order of injection.
    pub faults: Vec<PlannedFault>,
    /// Where this was merged from several runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Box<MergedFrom>>,
}

/// A phase as planned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// Its length, microseconds.
    pub length_us: u64,
    /// Whether expectations on `run` include it.
    pub measure: bool,
    /// Whether recovery is measured against it.
    pub baseline: bool,
    /// Per load: requests per second, absent in closed loop or where it is off.
    pub target_rate: BTreeMap<String, Option<f64>>,
}

/// A fault as planned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// What it does, in words.
    pub about: String,
    /// The service it hits, where it hits one.
    pub target: Option<String>,
    /// The edge it hits, where it hits one.
    pub edge: Option<String>,
    /// The phase it begins in.
    pub phase: String,
    /// How often it comes.
    #[serde(default = "once")]
    pub times: u64,
    /// How long it is to hold each time, microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_us: Option<u64>,
}

fn once() -> u64 {
    1
}

impl Default for PlannedFault {
    fn default() -> PlannedFault {
        PlannedFault {
            kind: String::new(),
            name: String::new(),
            about: String::new(),
            target: None,
            edge: None,
            phase: String::new(),
            times: once(),
            asked_us: None,
        }
    }
}
