//! A few kinds as registries would have them, to test the open parts with.

use crate::decode::{Decode, NonEmpty, Text};
use crate::diagnostic::Diagnostics;
use crate::name::Name;
use crate::placeholder::Template;
use crate::record;
use crate::scenario::{Described, Scenario, Vocabulary};
use crate::units::{Rate, SignedDuration};

record! {
    /// A clock is set.
    pub(super) struct Clock {
        /// Whose clock.
        pub target: Name,
        /// By how much.
        pub step: Option<SignedDuration>,
        /// Stop it.
        pub freeze: Option<bool>,
    }
    exactly_one ["step", "freeze"];
}

record! {
    /// Two ends cannot talk.
    pub(super) struct Partition {
        /// The ends.
        pub between: NonEmpty<Name>,
    }
}

record! {
    /// Nothing listens.
    pub(super) struct Down {
        /// On which edge.
        pub edge: Option<Text>,
    }
}

record! {
    /// An HTTP request.
    pub(super) struct Http {
        /// The path.
        pub get: Template,
    }
}

record! {
    /// At random.
    pub(super) struct Poisson {}
}

record! {
    /// Ever more.
    pub(super) struct Ramp {
        /// The rate at the end.
        pub to: Rate,
    }
}

record! {
    /// Nothing is lost.
    pub(super) struct Complete {
        /// What goes in.
        pub sent: String,
        /// What comes out.
        pub seen: String,
    }
}

type Read = fn(&crate::node::Node, &mut Diagnostics);

const FAULTS: &[(&str, Read)] = &[
    ("clock", read::<Clock>),
    ("partition", read::<Partition>),
    ("down", read::<Down>),
];
const PROTOCOLS: &[(&str, Read)] = &[("http", read::<Http>)];
const ARRIVALS: &[(&str, Read)] = &[("poisson", read::<Poisson>), ("ramp", read::<Ramp>)];
const INVARIANTS: &[(&str, Read)] = &[("complete", read::<Complete>)];

fn read<T: Decode>(node: &crate::node::Node, diagnostics: &mut Diagnostics) {
    T::decode(node, diagnostics);
}

fn described<T: Decode>(name: &'static str) -> Described {
    Described {
        name,
        about: "A kind of the tests.",
        schema: T::schema(),
    }
}

/// What a registry would hand to the schema.
pub(super) fn vocabulary() -> Vocabulary {
    Vocabulary {
        faults: vec![
            described::<Clock>("clock"),
            described::<Partition>("partition"),
            described::<Down>("down"),
        ],
        protocols: vec![described::<Http>("http")],
        arrivals: vec![described::<Poisson>("poisson"), described::<Ramp>("ramp")],
        invariants: vec![described::<Complete>("complete")],
    }
}

/// Reads the open parts as a registry would.
pub(super) fn read_open_parts(scenario: &Scenario, diagnostics: &mut Diagnostics) {
    let mut open = |kinds: &[(&str, Read)],
                    kind: &crate::span::Spanned<String>,
                    params: &crate::node::Node| {
        match kinds.iter().find(|(name, _)| *name == kind.value) {
            Some((_, read)) => read(params, diagnostics),
            None => diagnostics.push(crate::diagnostic::Diagnostic::error(kind.span, "no such kind")),
        }
    };
    for (_, fault) in scenario.faults() {
        open(FAULTS, &fault.kind, &fault.params);
    }
    for (_, load) in &scenario.load {
        open(PROTOCOLS, &load.protocol.kind, &load.protocol.params);
        if let Some(arrivals) = &load.arrivals {
            open(ARRIVALS, &arrivals.kind, &arrivals.params);
        }
    }
    for phase in &scenario.phases {
        for (_, change) in &phase.load {
            if let crate::scenario::LoadOverride::Change(change) = change
                && let Some(arrivals) = &change.arrivals
            {
                open(ARRIVALS, &arrivals.kind, &arrivals.params);
            }
        }
    }
    for (_, invariant) in &scenario.invariants {
        open(INVARIANTS, &invariant.kind, &invariant.params);
    }
}
