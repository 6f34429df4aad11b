//! A fault: what breaks, when, and for how long. What a kind of fault takes is not known here.

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::json;

use crate::decode::{Decode, Kinded, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::name::Name;
use crate::node::{Kind, Mapping, Node};
use crate::record;
use crate::span::Spanned;

record! {
    /// When a fault begins and ends, and what it is called.
    pub struct Schedule {
        /// What it is called in `expect` and in the report; its kind if left out.
        pub name as "as": Option<Spanned<Name>>,
        /// How long after the start of its phase it begins; at once if left out.
        pub after: Option<Spanned<Duration>>,
        /// How long it holds; to the end of its phase if left out.
        pub duration as "for": Option<Spanned<Duration>>,
        /// The later phase with whose end it ends, or with `every` the last in which it comes again.
        pub through: Option<Spanned<Name>>,
        /// From the begin of each time that it holds to the begin of the next; it comes once if left out.
        pub every: Option<Spanned<Duration>>,
        /// How often it comes; as often as fits if left out.
        pub times: Option<Spanned<NonZeroU32>>,
    }
    at_most_one_without ["every", "for", "through"];
    needs ["times", "every"];
}

impl Schedule {
    /// Every key that belongs to the schedule and not to the parameters.
    pub(super) const ALL: &'static [&'static str] = &["as", "after", "for", "through", "every", "times"];
}

/// A fault in a phase.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What breaks, such as `clock` or `partition`.
    pub kind: Spanned<String>,
    /// When, and its name.
    pub schedule: Schedule,
    /// What its kind takes: a mapping without the schedule's keys, or whatever was written instead of one.
    pub params: Node,
}

impl Fault {
    /// What it is called: the name that it was given, else its kind.
    pub fn name(&self) -> Spanned<&str> {
        match &self.schedule.name {
            Some(name) => Spanned::new(name.value.as_str(), name.span),
            None => Spanned::new(self.kind.value.as_str(), self.kind.span),
        }
    }

    /// How long after the start of its phase it begins.
    pub fn after(&self) -> Duration {
        self.schedule.after.map_or(Duration::ZERO, |after| after.value)
    }

    /// Reads the parameters as what the kind takes.
    pub fn decode_params<T: Decode>(&self, diagnostics: &mut Diagnostics) -> Option<T> {
        T::decode(&self.params, diagnostics)
    }
}

/// Callers are redirected, by a key of their own.
fn refuse_redirect(mapping: &mut Mapping, diagnostics: &mut Diagnostics) {
    mapping.entries.retain(|(key, _)| {
        let is_redirect = key.value == "redirect";
        if is_redirect {
            let error = Diagnostic::error(key.span, "a fault redirects nobody");
            diagnostics.push(error.help("write `redirect: true` at the service that calls"));
        }
        !is_redirect
    });
}

impl Decode for Fault {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Fault> {
        let Kinded { kind, params } = Kinded::decode(node, diagnostics)?;
        let (span, head) = (params.span, params.head);
        let (schedule, params) = match params.kind {
            Kind::Mapping(mut mapping) => {
                refuse_redirect(&mut mapping, diagnostics);
                let (schedule, params): (Vec<_>, Vec<_>) = mapping
                    .entries
                    .into_iter()
                    .partition(|(key, _)| Schedule::ALL.contains(&key.as_str()));
                let node = |entries, taken| Node {
                    span,
                    head,
                    kind: Kind::Mapping(Mapping { entries, taken }),
                };
                (node(schedule, &[]), node(params, Schedule::KEYS))
            }
            other => (
                Node::empty_mapping(head),
                Node {
                    span,
                    head,
                    kind: other,
                },
            ),
        };
        let schedule = Schedule::decode(&schedule, diagnostics)?;
        Some(Fault {
            kind,
            schedule,
            params,
        })
    }

    fn schema() -> Schema {
        let mut schema = Kinded::schema();
        schema["title"] = json!("Fault");
        schema
    }
}
