//! The one pass from a scenario to a plan.
//!
//! Every part is compiled even where another failed, so that all errors come at once.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::gate::Arm;
use squall_model::scenario::{Address, Network, Scenario, Scheme};
use squall_model::seed::Seed;

use super::edges::Edges;
use super::names::{NamedService, Names};
use super::pacers::Stretch;
use super::stored::{Lookup, Stored};
use super::{Plan, PlannedPhase, expectations, faults, gate, invariants, isolated, loads, services};
use crate::catalogue::Catalogue;

/// What a plan depends on beside the scenario.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Values that must appear in no record, log line or report.
    pub secrets: Vec<String>,
    /// The seed to use instead of the scenario's.
    pub seed: Option<u64>,
    /// The seed of a scenario that has none.
    pub drawn: u64,
    /// Scale phases down to a few seconds.
    pub quick: bool,
    /// The folder that the scenario's paths are relative to.
    pub base: PathBuf,
    /// Hosts besides this machine on which load may be put.
    pub allow_hosts: Vec<String>,
    /// The scenario's text, secrets redacted.
    pub source: String,
    /// What `{arm}` stands for.
    pub arm: Arm,
    /// What is stored of the scenario's earlier runs; nothing where no expectation will be judged.
    pub stored: Option<Stored>,
}

/// Under `quick`, a phase that is longer is cut to this.
const QUICK: Duration = Duration::from_secs(2);

/// The plan, if nothing is wrong. Call it also for a scenario that had errors, to find the others.
pub fn compile(
    scenario: &Scenario,
    catalogue: &Catalogue,
    settings: Settings,
    diagnostics: &mut Diagnostics,
) -> Option<Plan> {
    let seed = Seed::new(settings.seed.or(scenario.seed).unwrap_or(settings.drawn));
    let scale = Scale {
        quick: settings.quick,
    };
    let services = services::compile(scenario, catalogue, &settings, diagnostics);
    isolated::check(scenario, diagnostics);
    let mut loads = loads::compile(scenario, seed, &settings, diagnostics);
    let pacing = loads::pacing(scenario, &settings.base, diagnostics);
    let phases: Vec<PlannedPhase> = scenario
        .phases
        .iter()
        .zip(0..)
        .map(|(phase, draw)| PlannedPhase {
            name: phase.name.value.to_string(),
            length: scale.of(phase.duration.value, phase.duration.value),
            measure: phase.measure,
            baseline: phase.baseline,
            arrivals: {
                let written = phase.duration.value;
                let context = loads::Context {
                    base: &settings.base,
                    phase: Stretch { scale, written },
                };
                let mut arrivals = loads::arrivals(scenario, &pacing, phase, context, diagnostics);
                loads::share_users(&loads, &mut arrivals);
                arrivals
            },
            draw,
        })
        .collect();
    let toxiproxy = toxiproxy(scenario, diagnostics);
    let mut edges = Edges::default();
    let faults = faults::compile(scenario, &phases, scale, &mut edges, diagnostics);
    let mut names = names(scenario, catalogue);
    let steps = loads.iter().filter(|load| load.is_step());
    names.loads.extend(steps.map(|load| load.name.clone()));
    names.edges = edges.planned.iter().map(super::PlannedEdge::name).collect();
    names.faults = faults.iter().map(|fault| fault.name.clone()).collect();
    let invariants = invariants::compile(
        scenario,
        catalogue,
        &services,
        &mut loads,
        &mut names,
        diagnostics,
    );
    let lookup = Lookup {
        is_told: Cell::new(false),
        stored: settings.stored.as_ref(),
        scenario: scenario.name.value.as_str(),
        source: &settings.source,
        quick: settings.quick,
    };
    let expectations = expectations::compile(scenario, &phases, &faults, &names, &lookup, diagnostics);
    let gate = gate::compile(scenario, &phases, &faults, diagnostics);
    if scenario.load.is_empty() && scenario.services.is_empty() {
        let span = scenario.name.span;
        diagnostics.push(Diagnostic::error(
            span,
            "this scenario has neither services nor loads: nothing would run",
        ));
    }
    diagnostics.ok().then(|| Plan {
        name: scenario.name.value.to_string(),
        about: scenario.about.clone().unwrap_or_default(),
        source: settings.source,
        secrets: settings.secrets,
        base: settings.base,
        seed,
        quick: settings.quick,
        network: scenario.network(),
        services,
        loads,
        phases,
        faults,
        edges: edges.planned,
        toxiproxy,
        invariants,
        expectations,
        gate,
        generator_threads: scenario
            .generator
            .as_ref()
            .and_then(|generator| generator.threads)
            .map(|threads| threads.get() as usize),
    })
}

/// A Toxiproxy server, whose API is plain HTTP, on this machine.
fn toxiproxy(scenario: &Scenario, diagnostics: &mut Diagnostics) -> Option<Address> {
    let written = scenario.toxiproxy.as_ref()?;
    let is_http = matches!(
        written.value,
        Address::Host {
            scheme: Scheme::Http | Scheme::None,
            ..
        }
    );
    let (message, help) = if !is_http {
        (
            "Toxiproxy's API is plain HTTP over TCP".to_owned(),
            "write `toxiproxy: http://127.0.0.1:8474`",
        )
    } else if !written.value.is_loopback() {
        (
            format!("`{}` is not on this machine", written.value),
            "name a server on this machine, such as http://127.0.0.1:8474: what squall starts is out of reach of others",
        )
    } else if scenario.network() == Network::Isolated {
        (
            "a Toxiproxy server is out of reach of an isolated network".to_owned(),
            "leave out either `toxiproxy` or `network: isolated`",
        )
    } else {
        return Some(written.value.clone());
    };
    diagnostics.push(Diagnostic::error(written.span, message).help(help));
    None
}

/// How times are scaled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    quick: bool,
}

impl Scale {
    /// `time`, inside a phase that is `phase` long as written.
    pub(super) fn of(self, time: Duration, phase: Duration) -> Duration {
        if self.quick && phase > QUICK {
            time.mul_f64(QUICK.as_secs_f64() / phase.as_secs_f64())
        } else {
            time
        }
    }
}

fn names(scenario: &Scenario, catalogue: &Catalogue) -> Names {
    let service = |(name, service): &(squall_model::span::Spanned<squall_model::name::Name>, _)| {
        let service: &squall_model::scenario::Service = service;
        let bundled = service
            .bundled
            .as_ref()
            .and_then(|bundled| catalogue.service(bundled.as_str()));
        NamedService {
            name: name.value.to_string(),
            told: bundled.map(|bundled| bundled.metrics.clone()),
        }
    };
    Names {
        loads: scenario.load.names().map(str::to_owned).collect(),
        services: scenario.services.iter().map(service).collect(),
        faults: Vec::new(),
        edges: Vec::new(),
        invariants: Vec::new(),
    }
}
