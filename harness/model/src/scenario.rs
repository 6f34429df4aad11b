//! The scenario as written: one YAML text in, values that know their places out, or every error at once.
//!
//! [`parse`] reads the text, replaces `${NAME}`, applies overrides, decodes, and checks what can be checked without
//! knowing any fault, protocol, arrival process, invariant or bundled service: names, references, timelines. What those
//! registries know is checked by whoever has them, on the parts kept here as trees ([`Kinded`](crate::decode::Kinded),
//! [`Fault::params`], [`Service::with`]), into the same [`Diagnostics`]. Nothing here reads a file or the environment.

mod address;
pub mod data;
mod environment;
mod fault;
mod gate;
mod generator;
mod invariant;
mod load;
mod names;
mod network;
mod overrides;
mod phase;
mod references;
mod schema;
mod service;
mod timeline;

pub use address::{Address, AddressError, Scheme, is_named};
pub use fault::{Fault, Schedule};
pub use gate::{Gate, GateLimits};
pub use generator::Generator;
pub use invariant::Invariant;
pub use load::{Amount, Arrivals, Load, LoadChange, LoadOverride, Pause};
pub use names::{Class, Declared, Names};
pub use network::Network;
pub use phase::Phase;
pub use schema::{Described, Vocabulary, schema};
pub use service::{Call, Calls, Command, Ready, Service, Settings, Tls};

use serde_json::json;

use crate::decode::{Decode, Map, NonEmpty, Schema, expected};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::expression::Expression;
use crate::name::{EnvName, Name};
use crate::node::{self, Kind, Limits, Node, Scalar};
use crate::record;
use crate::span::{Sources, Spanned};

record! {
    /// What to start, what load to put on it, what to break, and what must hold.
    pub struct Scenario {
        /// The version of this language: 1.
        pub squall: Version,
        /// What the scenario is called; its reports land under this name.
        pub name: Spanned<Name>,
        /// One sentence on what it shows.
        pub about: Option<String>,
        /// What every random choice derives from; drawn and printed if left out.
        pub seed: Option<u64>,
        /// Words to select scenarios by.
        pub tags: Vec<Spanned<Name>> = Vec::new(),
        /// What runs, by name.
        pub services: Map<Name, Service> = Map::new(),
        /// What puts requests on it, by name.
        pub load: Map<Name, Load> = Map::new(),
        /// What happens, one phase after the other.
        pub phases: NonEmpty<Phase>,
        /// What must hold, by the phase or fault while which it must, or `run` for all of it.
        pub expect: Map<Name, Vec<Spanned<Expression>>> = Map::new(),
        /// Further invariants, by name; bundled services bring their own.
        pub invariants: Map<Name, Invariant> = Map::new(),
        /// How two arms are held against each other.
        pub gate: Option<Gate>,
        /// How the load is generated.
        pub generator: Option<Generator>,
        /// The network in which services and loads are; the machine's own if left out.
        pub network: Option<Spanned<Network>>,
        /// A Toxiproxy server that does the faults of edges, by its HTTP API.
        pub toxiproxy: Option<Spanned<Address>>,
        /// Environment variables whose values appear in no record, log or report.
        pub secrets: Vec<Spanned<EnvName>> = Vec::new(),
    }
    later ["include", "matrix", "prepare", "cleanup", "abort", "nemesis"];
}

impl Scenario {
    /// The network in which services and loads are.
    pub fn network(&self) -> Network {
        self.network
            .as_ref()
            .map(|network| network.value)
            .unwrap_or_default()
    }

    /// The phase called `name`, with its index.
    pub fn phase(&self, name: &str) -> Option<(usize, &Phase)> {
        self.phases
            .iter()
            .enumerate()
            .find(|(_, phase)| *phase.name.value == *name)
    }

    /// Every fault with the index of the phase in which it begins.
    pub fn faults(&self) -> impl Iterator<Item = (usize, &Fault)> {
        self.phases
            .iter()
            .enumerate()
            .flat_map(|(at, phase)| phase.faults.iter().map(move |fault| (at, fault)))
    }
}

/// The version of the language that a scenario is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version;

impl Version {
    /// The one that is read.
    pub const CURRENT: u64 = 1;
}

impl Decode for Version {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Version> {
        let found = node.as_scalar().and_then(Scalar::as_integer);
        if found == Some(i128::from(Version::CURRENT)) {
            return Some(Version);
        }
        diagnostics.push(match found {
            Some(other) => {
                let message = format!("version {other} of the scenario language is unknown");
                Diagnostic::error(node.head, message).help("this squall reads version 1: write `squall: 1`")
            }
            None => expected("the version of the scenario language", node).help("write `squall: 1`"),
        });
        None
    }

    fn schema() -> Schema {
        json!({"const": Version::CURRENT})
    }

    fn stand_in(_span: crate::span::Span) -> Option<Version> {
        Some(Version)
    }
}

/// Reads a scenario. `name` is what the user calls the text, `environment` gives the value of a variable.
///
/// A scenario is also returned after errors if enough of it could be read, so that more can be checked: it must not run
/// unless [`Diagnostics::ok`].
pub fn parse(
    name: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> (Option<Scenario>, Diagnostics, Sources) {
    parse_with(name, text, &[], environment)
}

/// Reads a scenario with `overrides` such as `load.refresh.rate=1k/s`, each a path of keys and a value in YAML.
pub fn parse_with(
    name: &str,
    text: &str,
    overrides: &[String],
    environment: &dyn Fn(&str) -> Option<String>,
) -> (Option<Scenario>, Diagnostics, Sources) {
    let mut sources = Sources::new();
    let mut diagnostics = Diagnostics::new();
    // A text too large to read is not kept for showing either.
    let kept = if text.len() > Limits::SCENARIO.bytes {
        ""
    } else {
        text
    };
    let id = sources.add(name, kept);
    let scenario = node::parse(id, text, &Limits::SCENARIO, &mut diagnostics).and_then(|mut root| {
        for one in overrides {
            overrides::apply(&mut root, one, &mut sources, &mut diagnostics);
        }
        let read = environment::substitute(&mut root, environment, &mut diagnostics);
        let mut found = Diagnostics::new();
        let scenario = decode(&mut root, &mut found);
        // What a value is without its variable is no news.
        let is_news = |one: &Diagnostic| !one.span.is_some_and(|span| read.unresolved.contains(&span));
        // A value of three characters is no secret, and would be found everywhere.
        for (reference, value) in read.values.iter().filter(|(_, value)| value.len() > 3) {
            found.redact(value, reference);
        }
        diagnostics.extend_where(found, is_news);
        scenario
    });
    (scenario, diagnostics, sources)
}

/// Decodes and checks the root of a scenario.
fn decode(root: &mut Node, diagnostics: &mut Diagnostics) -> Option<Scenario> {
    let Kind::Mapping(mapping) = &mut root.kind else {
        let error = Diagnostic::error(
            root.head,
            format!("expected a scenario, found {}", root.describe()),
        );
        diagnostics.push(error.help("a scenario begins with `squall: 1` and `name: NAME`"));
        return None;
    };
    mapping.entries.retain(|(key, _)| !key.starts_with("x-"));
    let names = Names::gather(root);
    let scenario = Scenario::decode(root, diagnostics);
    names.check(diagnostics);
    let scenario = scenario?;
    references::check(&scenario, &names, diagnostics);
    timeline::check(&scenario, &names, diagnostics);
    Some(scenario)
}

#[cfg(test)]
mod tests;
