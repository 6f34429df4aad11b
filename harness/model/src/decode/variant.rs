//! What the enum macros stand on: words, one-key mappings, shapes.

use serde_json::json;

use super::value::expected;
use super::{Schema, described};
use crate::diagnostic::{Diagnostic, Diagnostics, suggest};
use crate::node::{Kind, Node};

/// Reads one of `words`.
pub fn decode_word(
    node: &Node,
    words: &[&'static str],
    diagnostics: &mut Diagnostics,
) -> Option<&'static str> {
    let Some(scalar) = node.as_scalar().filter(|_| !node.is_null()) else {
        let all: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        diagnostics.push(expected(&format!("one of {}", all.join(", ")), node));
        return None;
    };
    let known = node
        .as_str()
        .and_then(|text| words.iter().find(|word| **word == text));
    if known.is_none() {
        let message = format!("{} is not possible here", scalar.shown());
        diagnostics.push(
            Diagnostic::error(node.head, message).help_if(suggest(&scalar.text, words.iter().copied())),
        );
    }
    known.copied()
}

/// Reads a mapping with one key among `keys`.
pub fn decode_tag<'a>(
    node: &'a Node,
    keys: &[&'static str],
    diagnostics: &mut Diagnostics,
) -> Option<(&'static str, &'a Node)> {
    let Some(mapping) = node.as_mapping() else {
        let all: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        diagnostics.push(expected(
            &format!("a mapping with one of {}", all.join(", ")),
            node,
        ));
        return None;
    };
    let [(key, value)] = mapping.entries.as_slice() else {
        let message = format!("expected one key, found {}", mapping.entries.len());
        diagnostics.push(Diagnostic::error(node.head, message).help_if(suggest("", keys.iter().copied())));
        return None;
    };
    let known = keys.iter().find(|known| **known == key.value);
    if known.is_none() {
        let error = Diagnostic::error(key.span, format!("unknown key `{}`", key.value));
        diagnostics.push(error.help_if(suggest(key, keys.iter().copied())));
    }
    known.map(|known| (*known, value))
}

/// The shape of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A single value.
    Scalar,
    /// A list.
    Sequence,
    /// A mapping.
    Mapping,
}

impl Shape {
    /// The shape of `node`.
    pub fn of(node: &Node) -> Shape {
        match node.kind {
            Kind::Scalar(_) => Shape::Scalar,
            Kind::Sequence(_) => Shape::Sequence,
            Kind::Mapping(_) => Shape::Mapping,
        }
    }
}

/// Reports a node that has none of `shapes`.
pub fn wrong_shape(node: &Node, shapes: &[Shape], diagnostics: &mut Diagnostics) {
    let names: Vec<&str> = shapes
        .iter()
        .map(|shape| match shape {
            Shape::Scalar => "a single value",
            Shape::Sequence => "a list",
            Shape::Mapping => "a mapping",
        })
        .collect();
    diagnostics.push(expected(&names.join(" or "), node));
}

/// The schema of one word of a few, each with its description.
pub fn choice_schema(title: &str, lines: &[&str], words: &[(&str, &[&str])]) -> Schema {
    let words: Vec<Schema> = words
        .iter()
        .map(|(word, lines)| json!({"const": word, "description": described(lines)}))
        .collect();
    json!({"title": title, "description": described(lines), "oneOf": words})
}

/// The schema of one of several forms.
pub fn any_schema(title: &str, lines: &[&str], forms: &[Schema]) -> Schema {
    json!({"title": title, "description": described(lines), "anyOf": forms})
}
