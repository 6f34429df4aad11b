//! A service: a bundled one, a program of the user's, or an address where something already runs.

use serde_json::json;

use super::Address;
use crate::decode::{Decode, Map, NonEmpty, Schema, True, expected};
use crate::diagnostic::Diagnostics;
use crate::name::{EnvName, Name};
use crate::node::{Kind, Mapping, Node};
use crate::placeholder::Template;
use crate::record;
use crate::span::{Span, Spanned};
use std::time::Duration;

record! {
    /// Something that answers, started by squall or already there.
    pub struct Service {
        /// The bundled service to run.
        pub bundled as "use": Option<Spanned<Name>>,
        /// The user's program and its arguments. No shell is involved.
        pub run: Option<Command>,
        /// Where it already runs.
        pub at: Option<Spanned<Address>>,
        /// Settings of a bundled service.
        pub with: Option<Settings>,
        /// Environment variables, besides those that it inherits.
        pub env: Map<EnvName, Template> = Map::new(),
        /// The services that it calls: a list, or by the role that each has for it.
        pub calls: Calls = Calls::default(),
        /// How to find out that it can be used.
        pub ready: Option<Ready>,
        /// Names for several ports, each its `{port.NAME}`; without them there is one, `{port}`.
        pub ports: Vec<Spanned<Name>> = Vec::new(),
        /// It speaks TLS, which `https://` says too; an empty mapping where there is nothing else to say.
        pub tls: Option<Tls>,
        /// It has the addresses of those whom it calls from elsewhere, so its connects to them are led to the proxies.
        pub redirect: Option<Spanned<True>>,
    }
    exactly_one ["use", "run", "at"];
    needs ["with", "use"];
    needs ["ports", "run"];
    at_most_one ["at", "env"];
    at_most_one ["at", "calls"];
    at_most_one ["use", "tls"];
    later ["count", "after", "metrics"];
}

record! {
    /// How a service's TLS is checked.
    pub struct Tls {
        /// A PEM file with the certificates of the authorities to trust, instead of this machine's.
        pub ca: Option<Spanned<String>>,
        /// Any certificate will do, so what answers may be anybody.
        pub insecure: Option<True>,
        /// Whom the certificate must be for; the host of the address if left out.
        pub name: Option<Spanned<String>>,
    }
    at_most_one ["ca", "insecure"];
}

record! {
    /// How to find out that a service can be used.
    pub struct Ready {
        /// The path that answers with a 2xx status.
        pub http: Option<Spanned<String>>,
        /// The port accepts connections.
        pub tcp: Option<True>,
        /// A regular expression that a line of its output matches.
        pub log: Option<Spanned<String>>,
        /// The time that it has; 10 s if left out.
        pub within: Option<Spanned<Duration>>,
    }
    exactly_one ["http", "tcp", "log"];
}

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The program, then its arguments; at least the program.
    pub argv: Vec<Template>,
    /// Where each was written.
    pub spans: Vec<Span>,
}

impl Decode for Command {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Command> {
        if node.as_scalar().is_some_and(|_| !node.is_null()) {
            let error = expected("a list of the program and its arguments", node);
            diagnostics.push(error.help("write [PROGRAM, ARGUMENT, ...]; no shell splits a line"));
            return None;
        }
        let argv = NonEmpty::<Spanned<Template>>::decode(node, diagnostics)?;
        let spans = argv.iter().map(|one| one.span).collect();
        let argv: Vec<Template> = argv.iter().map(|one| one.value.clone()).collect();
        (!argv.is_empty()).then_some(Command { argv, spans })
    }

    fn schema() -> Schema {
        NonEmpty::<Template>::schema()
    }
}

/// The settings of a bundled service, a mapping that the service's own table gives a meaning.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings(pub Node);

impl Settings {
    /// The settings as keys and values.
    pub fn mapping(&self) -> &Mapping {
        static NONE: Mapping = Mapping {
            entries: Vec::new(),
            taken: &[],
        };
        self.0.as_mapping().unwrap_or(&NONE)
    }
}

impl Decode for Settings {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Settings> {
        if node.as_mapping().is_none() {
            diagnostics.push(expected("a mapping of settings", node));
            return None;
        }
        Some(Settings(node.clone()))
    }

    fn schema() -> Schema {
        json!({"type": "object"})
    }
}

/// A service that another calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What it is for the caller; its own name unless told otherwise.
    pub role: Spanned<Name>,
    /// The service.
    pub service: Spanned<Name>,
}

/// The services that one calls.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls(pub Vec<Call>);

impl Decode for Calls {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Calls> {
        let calls = match &node.kind {
            Kind::Sequence(_) => Vec::<Spanned<Name>>::decode(node, diagnostics)?
                .into_iter()
                .map(|service| Call {
                    role: service.clone(),
                    service,
                })
                .collect(),
            Kind::Mapping(_) => Map::<Name, Spanned<Name>>::decode(node, diagnostics)?
                .iter()
                .map(|(role, service)| Call {
                    role: role.clone(),
                    service: service.clone(),
                })
                .collect(),
            Kind::Scalar(_) => {
                let error = expected("a list of services or a mapping from roles to services", node);
                diagnostics.push(match node.as_str() {
                    Some(only) => error.help(format!("write [{only}]")),
                    None => error,
                });
                return None;
            }
        };
        Some(Calls(calls))
    }

    fn schema() -> Schema {
        json!({"anyOf": [Vec::<Name>::schema(), Map::<Name, Name>::schema()]})
    }
}
