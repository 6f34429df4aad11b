//! `transitions`: how a service may change its states.

use squall_model::decode::{Decode, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics, suggest};
use squall_model::name::Name;
use squall_model::node::Node;
use squall_model::record;
use squall_model::span::Spanned;

use super::{Ground, Planned};
use crate::catalogue::Promise;
use crate::invariant::{Arrow, ArrowError};
use crate::plan::{Check, Start};

record! {
    /// How a service may change its states.
    pub struct Transitions {
        /// The service: a bundled one that has states.
        pub of: Spanned<Name>,
        /// The changes that may be, each as `FROM -> TO`.
        pub allowed: NonEmpty<Spanned<String>>,
    }
}

pub(super) fn schema() -> Schema {
    Transitions::schema()
}

pub(super) fn plan(params: &Node, ground: &mut Ground<'_>) -> Option<Planned> {
    let written = Transitions::decode(params, ground.diagnostics)?;
    let service = service(&written.of, ground);
    let allowed = arrows(&written.allowed, ground.diagnostics);
    Some(Planned::as_its_kind(Check::Transitions {
        service: service?,
        allowed,
    }))
}

/// The service, by index. One that never tells of a state would keep any promise about them.
fn service(of: &Spanned<Name>, ground: &mut Ground<'_>) -> Option<usize> {
    let named = |name: &str| name == of.value.as_str();
    let Some(index) = ground.services.iter().position(|service| named(&service.name)) else {
        let error = Diagnostic::error(of.span, format!("there is no service called `{}`", of.value));
        let names = ground.services.iter().map(|service| service.name.as_str());
        let help = suggest(of.value.as_str(), names);
        ground.diagnostics.push(error.help_if(help));
        return None;
    };
    let bundled = match &ground.services[index].start {
        Start::Bundled { service, .. } => ground.catalogue.service(service),
        Start::Run { .. } | Start::At { .. } => None,
    };
    let has_states = bundled.is_some_and(|bundled| {
        let mut promises = bundled.invariants.iter();
        promises.any(|invariant| matches!(invariant.promise, Promise::Transitions(_)))
    });
    if has_states {
        return Some(index);
    }
    let error = Diagnostic::error(of.span, format!("`{}` tells nobody of its states", of.value));
    ground
        .diagnostics
        .push(error.help("name a bundled service that does, such as a circuit-breaker"));
    None
}

fn arrows(written: &NonEmpty<Spanned<String>>, diagnostics: &mut Diagnostics) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for text in written {
        match text.parse() {
            Ok(arrow) => arrows.push(arrow),
            Err(error) => {
                let error: ArrowError = error;
                diagnostics.push(Diagnostic::error(text.span, error.to_string()));
            }
        }
    }
    arrows
}
