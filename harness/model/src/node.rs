//! A YAML document as a tree in which every node knows its place.
//!
//! Scalars keep the text as it was written, so that `1h30m`, `5%`, `0x10` and `-5ms` reach the type that understands
//! them. Booleans are `true` and `false` only, so the key `on` is the string "on". Anchors, aliases and `<<` are
//! resolved here; nothing above knows of them. Nothing in here knows what a scenario is.

mod advice;
mod build;
mod limits;
mod offsets;
mod scalar;

pub use build::parse;
pub use limits::Limits;
pub(crate) use scalar::Piece;
pub use scalar::{Scalar, ScalarKind, Style};

use std::ops::Range;

use crate::span::{Span, Spanned};

/// A key of a mapping and its value.
pub type Entry = (Spanned<String>, Node);

/// One node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// All of it.
    pub span: Span,
    /// Its first line: what to underline when the whole would be too much.
    pub head: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A single value.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values.
    Mapping(Mapping),
}

/// Keys and values in the order in which they were written, without duplicates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    /// The keys and their values.
    pub entries: Vec<Entry>,
    /// Keys that belong here too but were read and taken out by someone else; named when a key is unknown.
    pub taken: &'static [&'static str],
}

impl Mapping {
    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The key, with its place, and the value.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|(name, _)| name.value == key)
    }
}

impl Node {
    /// A plain text that stands at `span`, for values that the program itself adds.
    pub fn text(text: impl Into<String>, span: Span) -> Node {
        Node {
            span,
            head: span,
            kind: Kind::Scalar(Scalar::new(text.into(), Style::DoubleQuoted, None)),
        }
    }

    /// An empty mapping that stands at `span`.
    pub fn empty_mapping(span: Span) -> Node {
        Node {
            span,
            head: span,
            kind: Kind::Mapping(Mapping::default()),
        }
    }

    /// The value of `key`, where this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_mapping().and_then(|mapping| mapping.get(key))
    }

    /// The single value, where it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// The text of a string; not of a number, a boolean or nothing.
    pub fn as_str(&self) -> Option<&str> {
        self.as_scalar()
            .filter(|scalar| scalar.kind == ScalarKind::String)
            .map(|scalar| scalar.text.as_str())
    }

    /// The list, where it is one.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping, where it is one.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.kind {
            Kind::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// True for `null`, `~` and a value left out.
    pub fn is_null(&self) -> bool {
        self.as_scalar()
            .is_some_and(|scalar| scalar.kind == ScalarKind::Null)
    }

    /// What a user would call it: ``the number `5` ``, `a list`.
    pub fn describe(&self) -> String {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.describe(),
            Kind::Sequence(_) => "a list".to_owned(),
            Kind::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The place of the bytes `range` of this scalar's text; the whole node where the text does not stand in the
    /// source as it is (escapes, folded lines).
    pub fn span_within(&self, range: Range<usize>) -> Span {
        self.as_scalar()
            .and_then(|scalar| scalar.place(range))
            .map_or(self.span, |place| {
                let place = place.start.max(self.span.start as usize)..place.end.min(self.span.end as usize);
                if place.start <= place.end {
                    Span::new(self.span.source, place)
                } else {
                    self.span
                }
            })
    }

    /// The same as JSON: what a JSON Schema sees. Numbers that do not fit are floating point.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.kind {
            Kind::Scalar(scalar) => scalar.to_json(),
            Kind::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Kind::Mapping(mapping) => Value::Object(
                mapping
                    .entries
                    .iter()
                    .map(|(key, value)| (key.value.clone(), value.to_json()))
                    .collect(),
            ),
        }
    }
}

#[cfg(test)]
mod tests;
