//! From a scenario to a valid plan, or every error at once.
//!
//! A plan is data: what will run, when, and what is judged. Nothing downstream checks a name, a unit or a time again.
//! Planning reads no socket and starts nothing.

mod checks;
mod compile;
mod data;
mod edges;
mod expectations;
mod faults;
mod gate;
mod invariants;
mod isolated;
mod loads;
mod metric;
mod nameable;
mod names;
mod pacers;
mod protocol;
mod services;
mod show;
mod stored;
mod think;
mod windows;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regex_lite::Regex;
use squall_load::journey::Part;
use squall_load::{Arrivals, Extraction, Tls};
use squall_model::expression::Operator;
use squall_model::placeholder::Template;
use squall_model::scenario::{Address, Network};
use squall_model::seed::Seed;

pub use compile::{Settings, compile};
pub use data::Data;
pub use edges::{PlannedCrossing, PlannedEdge};
pub use expectations::is_known_in;
pub use gate::{PlannedGate, PlannedLimits};
pub use invariants::{INVARIANTS, InvariantKind, Takes};
pub use metric::{
    EdgeMetric, FaultMetric, LoadMetric, Metric, PauseStat, ServiceMetric, Stat, show as show_value,
};
pub use nameable::nameable;
pub use names::{NamedService, Names};
pub use pacers::{PACERS, PacerEntry};
pub use protocol::{Asked, PROTOCOLS, Protocol};
pub use show::show;
pub use stored::{Limit, Stored, stored_scope};
pub use windows::{TIMES_MAX, Window};

use crate::fault::{FaultSpec, PacketSpec};
use crate::invariant::{Arrow, Recipe};

/// What will run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// What it says of itself.
    pub about: String,
    /// Its text as it was.
    pub source: String,
    /// Values that must appear in no record or report.
    pub secrets: Vec<String>,
    /// The folder that its paths are relative to.
    pub base: PathBuf,
    /// The root seed.
    pub seed: Seed,
    /// Whether phases were scaled down.
    pub quick: bool,
    /// The network in which services and loads are.
    pub network: Network,
    /// In the order in which they start: callees first.
    pub services: Vec<PlannedService>,
    /// The loads.
    pub loads: Vec<PlannedLoad>,
    /// The phases, in order.
    pub phases: Vec<PlannedPhase>,
    /// The faults, by the time of their injection.
    pub faults: Vec<PlannedFault>,
    /// The edges that have a proxy, because a fault uses it.
    pub edges: Vec<PlannedEdge>,
    /// The Toxiproxy server that does their faults, in place of squall's own proxies.
    pub toxiproxy: Option<Address>,
    /// What is checked over all data.
    pub invariants: Vec<PlannedInvariant>,
    /// What is expected.
    pub expectations: Vec<PlannedExpectation>,
    /// How a gate compares two arms of it.
    pub gate: PlannedGate,
    /// Threads that generate load; by default [`squall_load`] decides.
    pub generator_threads: Option<usize>,
}

impl Plan {
    /// Length of all phases together.
    pub fn length(&self) -> Duration {
        self.phases.iter().map(|phase| phase.length).sum()
    }
}

/// A service to start, or to find running.
#[derive(Clone, Debug)]
pub struct PlannedService {
    /// Its name.
    pub name: String,
    /// How it comes to be.
    pub start: Start,
    /// Roles it calls, and the service that plays each.
    pub calls: BTreeMap<String, String>,
    /// How a load begins TLS with it, where it does.
    pub tls: Option<Tls>,
}

/// How a service comes to be.
#[derive(Clone, Debug)]
pub enum Start {
    /// A bundled service.
    Bundled {
        /// Its name in the catalogue.
        service: String,
        /// Settings, as `--set key=value`.
        settings: Vec<(String, String)>,
        /// How long it may take to be ready.
        within: Duration,
    },
    /// The user's own program.
    Run {
        /// The program and its arguments.
        command: Vec<Template>,
        /// Where it runs: the scenario's folder.
        directory: PathBuf,
        /// Environment on top of Squall's own.
        env: BTreeMap<String, Template>,
        /// How to tell that it is ready.
        ready: ReadyWhen,
        /// How long that may take.
        within: Duration,
        /// Names of the ports it is given; the first is the one that callers use.
        ports: Vec<String>,
    },
    /// Already running.
    At {
        /// Where; a unix socket's path is an absolute one.
        address: Address,
    },
}

/// How to tell that a program of the user's is ready.
#[derive(Clone, Debug)]
pub enum ReadyWhen {
    /// As soon as it runs.
    Running,
    /// Its port accepts connections.
    Tcp,
    /// A GET of this path answers 2xx.
    Http(String),
    /// A line of its output matches.
    Log(Regex),
}

/// A load.
#[derive(Clone, Debug)]
pub struct PlannedLoad {
    /// Its name.
    pub name: String,
    /// The service it calls.
    pub to: String,
    /// What it sends.
    pub asked: Asked,
    /// Connections at most.
    pub connections: usize,
    /// How long an answer may take.
    pub timeout: Duration,
    /// What is read out of responses, for the invariants.
    pub extract: Vec<Extraction>,
    /// Seed of its arrivals.
    pub seed: Seed,
}

impl PlannedLoad {
    /// Whether it is a step of another load's journeys, so that all it counts is counted there too.
    pub fn is_step(&self) -> bool {
        matches!(self.asked.protocol.part(), Part::Step(_))
    }
}

/// A phase.
#[derive(Clone, Debug)]
pub struct PlannedPhase {
    /// Its name.
    pub name: String,
    /// Its length.
    pub length: Duration,
    /// Whether expectations on `run` include it.
    pub measure: bool,
    /// Whether recovery is measured against it.
    pub baseline: bool,
    /// Per load, in the plan's order.
    pub arrivals: Vec<Arrivals>,
    /// What its arrivals and values are drawn by, beside each load's seed: no load may ask for anything in two phases of one draw.
    pub draw: u32,
}

/// A fault, with its window counted from the begin of the first phase.
#[derive(Clone, Debug)]
pub struct PlannedFault {
    /// Its kind.
    pub kind: &'static str,
    /// Its name: `as`, or the kind.
    pub name: String,
    /// The phase it begins in, by index.
    pub phase: usize,
    /// When it holds: at least one window, in order, none of which touches another.
    pub windows: Vec<Window>,
    /// The edges that it hits by their proxies.
    pub crossings: Vec<PlannedCrossing>,
    /// What it does to packets, and to which, where it does that.
    pub packets: Option<PacketSpec>,
    /// What it does, and to whom.
    pub spec: Arc<dyn FaultSpec>,
}

impl PlannedFault {
    /// What it does, in words.
    pub fn about(&self) -> String {
        match (&self.packets, self.spec.ends()) {
            (Some(packets), Some(ends)) => packets.about(ends),
            _ => self.spec.about(),
        }
    }

    /// When it is injected first.
    pub fn begin(&self) -> Duration {
        self.windows.first().map_or(Duration::ZERO, |window| window.from)
    }

    /// When it is healed last.
    pub fn end(&self) -> Duration {
        self.windows.last().map_or(Duration::ZERO, |window| window.to)
    }

    /// The service that it hits the n-th time, counted from zero, where it hits one.
    pub fn target_of(&self, time: usize) -> Option<&str> {
        let targets = self.spec.targets();
        targets.get(time % targets.len().max(1)).copied()
    }
}

/// Something checked over all data of a run.
#[derive(Clone, Debug)]
pub struct PlannedInvariant {
    /// The service it belongs to; empty for the scenario's own.
    pub service: String,
    /// Its name.
    pub name: String,
    /// One line.
    pub about: String,
    /// What is checked.
    pub check: Check,
}

impl PlannedInvariant {
    /// Its name in expectations: `ids.unique`, or the bare name of the scenario's own.
    pub fn path(&self) -> String {
        if self.service.is_empty() {
            self.name.clone()
        } else {
            format!("{}.{}", self.service, self.name)
        }
    }
}

/// What an invariant checks.
#[derive(Clone, Debug)]
pub enum Check {
    /// A property of the values in responses.
    Values {
        /// The generic checker.
        kind: &'static str,
        /// What makes it.
        recipe: Arc<dyn Recipe>,
        /// What is checked.
        feeds: Vec<Feed>,
    },
    /// A service may change its states only so.
    Transitions {
        /// The service, by index.
        service: usize,
        /// The changes that may be.
        allowed: Vec<Arrow>,
    },
    /// Something that must have happened.
    Reached {
        /// The condition, over metrics of services at the end of the run.
        condition: Condition,
    },
}

/// One of the things read out of the responses to a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The load, by index.
    pub load: usize,
    /// Which of the things that are read out of its responses.
    pub reading: usize,
}

impl Check {
    /// The generic checker's name.
    pub fn kind(&self) -> &'static str {
        match self {
            Check::Values { kind, .. } => kind,
            Check::Transitions { .. } => "transitions",
            Check::Reached { .. } => "reached",
        }
    }
}

/// Something expected.
#[derive(Clone, Debug)]
pub struct PlannedExpectation {
    /// What part of the run it is judged over.
    pub scope: Scope,
    /// The condition.
    pub condition: Condition,
}

/// What part of a run an expectation is judged over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every measured phase.
    Run,
    /// One phase, by index.
    Phase(usize),
    /// While a fault holds, by index.
    Fault(usize),
}

/// A metric and what it must be.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As written.
    pub text: String,
    /// What is looked at.
    pub metric: Metric,
    /// How it is compared, and with what, in the record's unit; nothing for a bare invariant.
    pub limit: Option<(Operator, Limit)>,
}
