//! From the tree to typed values, with every error rather than the first.
//!
//! A type says once what it is made of, with [`record!`](crate::record), [`choice!`](crate::choice),
//! [`tagged!`](crate::tagged) or [`untagged!`](crate::untagged), and gets from that its struct or enum, its decoder and
//! its JSON Schema, so that the three cannot part ways. A decoder reports what is wrong and goes on; what it returns
//! after an error is only good for finding more errors.

mod collection;
mod fields;
mod kinded;
mod macros;
mod schema;
mod value;
mod variant;

pub use collection::{Key, Map, NonEmpty};
pub use fields::{Fields, Rule, unknown_key};
pub use kinded::Kinded;
pub use schema::{Schema, described, field_schema, hoist, one_key_schema, record_schema};
pub use value::{Text, True, expected, quantity_schema};
pub use variant::{Shape, any_schema, choice_schema, decode_tag, decode_word, wrong_shape};

use crate::diagnostic::Diagnostics;
use crate::node::Node;
use crate::span::{Span, Spanned};

/// A value that a scenario can contain.
pub trait Decode: Sized {
    /// Reads it. Everything that is wrong goes into `diagnostics`; `None` only if something was.
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self>;

    /// What it looks like, as a fragment of JSON Schema 2020-12 that stands on its own.
    fn schema() -> Schema;

    /// The value where the key is not there; `None` if it has to be.
    fn absent() -> Option<Self> {
        None
    }

    /// What may stand in for a value that could not be read, after the error was reported, so that the rest can still
    /// be checked; `None` if nothing can.
    fn stand_in(_span: Span) -> Option<Self> {
        None
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        T::decode(node, diagnostics).map(Some)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn stand_in(_span: Span) -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        T::decode(node, diagnostics).map(Box::new)
    }

    fn schema() -> Schema {
        T::schema()
    }
}

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        T::decode(node, diagnostics).map(|value| Spanned::new(value, node.head))
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn stand_in(span: Span) -> Option<Self> {
        T::stand_in(span).map(|value| Spanned::new(value, span))
    }
}

/// Anything at all, kept as it is for someone who knows what it means.
impl Decode for Node {
    fn decode(node: &Node, _diagnostics: &mut Diagnostics) -> Option<Self> {
        Some(node.clone())
    }

    fn schema() -> Schema {
        Schema::Bool(true)
    }
}

#[cfg(test)]
mod tests;
