//! An invariant that the user adds: the kind of check and what it takes. The kinds are not known here.

use std::ops::Deref;

use serde_json::json;

use crate::decode::{Decode, Kinded, Schema};
use crate::diagnostic::Diagnostics;
use crate::node::Node;

/// A check that must never fail, whatever breaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Invariant(pub Kinded);

impl Deref for Invariant {
    type Target = Kinded;

    fn deref(&self) -> &Kinded {
        &self.0
    }
}

impl Decode for Invariant {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Invariant> {
        Kinded::decode(node, diagnostics).map(Invariant)
    }

    fn schema() -> Schema {
        let mut schema = Kinded::schema();
        schema["title"] = json!("Invariant");
        schema
    }
}
