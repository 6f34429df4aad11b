//! `sticky`: which values stay with their keys.

use std::sync::Arc;

use squall_model::decode::{Decode, Schema};
use squall_model::node::Node;
use squall_model::record;
use squall_model::span::Spanned;

use super::reading::{self, OneOrMore};
use super::{Ground, Planned};
use crate::invariant::{self, Make};
use crate::plan::Check;

record! {
    /// Which values stay with their keys.
    pub struct Sticky {
        /// Where the key of a response stands: `response POINTER`, `header NAME` or `regex PATTERN`.
        pub key: Spanned<String>,
        /// Where its value stands, as in `unique`, one to a response.
        pub values: OneOrMore,
    }
}

/// Makes its checker.
pub(super) const MAKE: Make = |settings| Box::new(invariant::Sticky::new(settings));

pub(super) fn schema() -> Schema {
    Sticky::schema()
}

pub(super) fn plan(params: &Node, ground: &mut Ground<'_>) -> Option<Planned> {
    let written = Sticky::decode(params, ground.diagnostics)?;
    Some(Planned::as_its_kind(Check::Values {
        kind: "sticky",
        recipe: Arc::new(MAKE),
        feeds: reading::texts(&[&written.key], &written.values, ground)?,
    }))
}
