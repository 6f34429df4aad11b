//! Lists and mappings of values of one type.

use std::ops::Deref;

use serde_json::json;

use super::value::{expected, name_error};
use super::{Decode, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::name::{EnvName, MetricName, Name, NameError};
use crate::node::Node;
use crate::span::{Span, Spanned};

fn decode_items<T: Decode>(node: &Node, diagnostics: &mut Diagnostics) -> Option<Vec<T>> {
    let Some(items) = node.as_sequence() else {
        diagnostics.push(expected("a list", node));
        return None;
    };
    // An item that cannot be read is left out; the error has been reported.
    Some(
        items
            .iter()
            .filter_map(|item| T::decode(item, diagnostics))
            .collect(),
    )
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        decode_items(node, diagnostics)
    }

    fn schema() -> Schema {
        json!({"type": "array", "items": T::schema()})
    }

    fn stand_in(_span: Span) -> Option<Self> {
        Some(Vec::new())
    }
}

/// A list with at least one item.
#[derive(Clone, Debug, PartialEq)]
pub struct NonEmpty<T>(Vec<T>);

impl<T> NonEmpty<T> {
    /// The items as a list, if there is one.
    pub fn new(items: Vec<T>) -> Option<NonEmpty<T>> {
        (!items.is_empty()).then_some(NonEmpty(items))
    }
}

impl<T> Deref for NonEmpty<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a NonEmpty<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Decode> Decode for NonEmpty<T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let items = decode_items(node, diagnostics)?;
        if node.as_sequence().is_some_and(<[Node]>::is_empty) {
            diagnostics.push(Diagnostic::error(
                node.head,
                "the list is empty; at least one item is needed",
            ));
        }
        Some(NonEmpty(items))
    }

    fn schema() -> Schema {
        json!({"type": "array", "items": T::schema(), "minItems": 1})
    }

    fn stand_in(_span: Span) -> Option<Self> {
        Some(NonEmpty(Vec::new()))
    }
}

/// What the keys of a [`Map`] may be.
pub trait Key: Sized + PartialEq + AsRef<str> {
    /// Their rule as a regular expression.
    const PATTERN: &str;

    /// Takes a text for one.
    fn parse(text: &str) -> Result<Self, NameError>;
}

impl Key for Name {
    const PATTERN: &str = Name::PATTERN;

    fn parse(text: &str) -> Result<Name, NameError> {
        Name::new(text)
    }
}

impl Key for MetricName {
    const PATTERN: &str = MetricName::PATTERN;

    fn parse(text: &str) -> Result<MetricName, NameError> {
        MetricName::new(text)
    }
}

impl Key for EnvName {
    const PATTERN: &str = EnvName::PATTERN;

    fn parse(text: &str) -> Result<EnvName, NameError> {
        EnvName::new(text)
    }
}

/// A mapping from names to values, in the order in which it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Map<K, T> {
    entries: Vec<(Spanned<K>, T)>,
}

impl<K, T> Default for Map<K, T> {
    fn default() -> Self {
        Map { entries: Vec::new() }
    }
}

impl<K, T> Map<K, T> {
    /// Nothing in it.
    pub fn new() -> Map<K, T> {
        Map::default()
    }

    /// Names with their places, and values.
    pub fn iter(&self) -> std::slice::Iter<'_, (Spanned<K>, T)> {
        self.entries.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: AsRef<str>, T> Map<K, T> {
    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.iter()
            .find(|(key, _)| key.value.as_ref() == name)
            .map(|(_, value)| value)
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key.value.as_ref())
    }
}

impl<'a, K, T> IntoIterator for &'a Map<K, T> {
    type Item = &'a (Spanned<K>, T);
    type IntoIter = std::slice::Iter<'a, (Spanned<K>, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K: Key, T: Decode> Decode for Map<K, T> {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Self> {
        let Some(mapping) = node.as_mapping() else {
            diagnostics.push(expected("a mapping", node));
            return None;
        };
        let mut entries = Vec::with_capacity(mapping.entries.len());
        for (key, node) in &mapping.entries {
            let name = K::parse(key).map_err(|error| diagnostics.push(name_error(key, key.span, &error)));
            let value = T::decode(node, diagnostics);
            if let (Ok(name), Some(value)) = (name, value) {
                entries.push((Spanned::new(name, key.span), value));
            }
        }
        Some(Map { entries })
    }

    fn schema() -> Schema {
        json!({
            "type": "object",
            "propertyNames": {"pattern": K::PATTERN},
            "additionalProperties": T::schema(),
        })
    }

    fn stand_in(_span: Span) -> Option<Self> {
        Some(Map::new())
    }
}
