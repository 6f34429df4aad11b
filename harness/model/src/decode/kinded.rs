//! Something of an open set of kinds: one key that names the kind, and its parameters below.
//!
//! Protocols, arrivals, faults and invariants are known to registries elsewhere; here they are a word and a tree.

use serde_json::json;

use super::value::expected;
use super::{Decode, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::node::Node;
use crate::span::Spanned;

/// A kind and its parameters: `poisson` or `{ ramp: { from: 1k/s, to: 2k/s } }`.
#[derive(Clone, Debug, PartialEq)]
pub struct Kinded {
    /// The word that names the kind.
    pub kind: Spanned<String>,
    /// The parameters; an empty mapping at the word where only the word was written.
    pub params: Node,
}

impl Kinded {
    /// Reads the parameters as what the kind takes.
    pub fn decode_params<T: Decode>(&self, diagnostics: &mut Diagnostics) -> Option<T> {
        T::decode(&self.params, diagnostics)
    }
}

impl Decode for Kinded {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Kinded> {
        if let Some(kind) = node.as_str() {
            let kind = Spanned::new(kind.to_owned(), node.head);
            return Some(Kinded {
                kind,
                params: Node::empty_mapping(node.head),
            });
        }
        let Some(mapping) = node.as_mapping() else {
            diagnostics.push(expected("a kind, as a word or as one key", node));
            return None;
        };
        match mapping.entries.as_slice() {
            [(kind, params)] => Some(Kinded {
                kind: kind.clone(),
                params: params.clone(),
            }),
            [] => {
                diagnostics.push(Diagnostic::error(
                    node.head,
                    "expected one key that names the kind, found none",
                ));
                None
            }
            [(kind, params), (second, _), ..] => {
                let message = format!(
                    "expected one key that names the kind, found `{}` as well",
                    second.value
                );
                let indented = params
                    .is_null()
                    .then(|| format!("indent what belongs to `{}` below it", kind.value));
                let error = Diagnostic::error(second.span, message).also(kind.span, "the first key");
                diagnostics.push(error.help_if(indented));
                None
            }
        }
    }

    fn schema() -> Schema {
        json!({"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]})
    }
}
