//! Single values: text, numbers, booleans, names, quantities.

use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use serde_json::json;

use super::{Decode, Schema};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::name::{EnvName, Name, NameError};
use crate::node::{Node, Scalar, ScalarKind};
use crate::span::Span;
use crate::units::{Bytes, Count, Form, Ppm, Quantity, Rate, Ratio, Scale, SignedDuration, UnitError};

/// The error for a node of another kind than `what`, which names the expected with its article.
pub fn expected(what: &str, node: &Node) -> Diagnostic {
    let error = Diagnostic::error(node.head, format!("expected {what}, found {}", node.describe()));
    match placeholder(node) {
        Some(name) => {
            let mut error = error.help(format!("quote it: \"{name}\""));
            error.message = format!("expected {what}; `{name}` without quotes is a YAML mapping");
            error
        }
        None if node.is_null() => error.help("give it a value or remove the key"),
        None => error,
    }
}

/// The placeholder that was written without quotes: `{port}` is a mapping with a key and no value.
fn placeholder(node: &Node) -> Option<String> {
    match node.as_mapping()?.entries.as_slice() {
        [(key, value)] if value.is_null() && key.starts_with(|one: char| one.is_ascii_lowercase()) => {
            Some(format!("{{{}}}", key.value))
        }
        _ => None,
    }
}

/// Any single value, taken as the text that was written: `8080` as well as `"8080"`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text(pub String);

impl Text {
    /// Reports a node that is no single value.
    pub(crate) fn check(node: &Node, diagnostics: &mut Diagnostics) -> Option<()> {
        match node.as_scalar() {
            Some(scalar) if scalar.kind != ScalarKind::Null => Some(()),
            _ => {
                diagnostics.push(expected("a text", node));
                None
            }
        }
    }
}

impl Decode for Text {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Text> {
        Text::check(node, diagnostics)?;
        node.as_scalar().map(|scalar| Text(scalar.text.clone()))
    }

    fn schema() -> Schema {
        json!({"title": "text", "type": ["string", "number", "boolean"]})
    }
}

/// The one value `true`, for what is switched on by being named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct True;

impl Decode for True {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<True> {
        if bool::decode(node, diagnostics)? {
            return Some(True);
        }
        diagnostics
            .push(Diagnostic::error(node.head, "only `true` is possible here").help("or remove the key"));
        None
    }

    fn schema() -> Schema {
        json!({"const": true})
    }
}

impl Decode for String {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<String> {
        if let Some(text) = node.as_str() {
            return Some(text.to_owned());
        }
        let error = expected("a text", node);
        diagnostics.push(match node.as_scalar() {
            Some(scalar) if scalar.kind != ScalarKind::Null && !scalar.has_substitutions() => {
                error.help(format!("quote it: \"{}\"", scalar.text))
            }
            _ => error,
        });
        None
    }

    fn schema() -> Schema {
        json!({"type": "string"})
    }
}

impl Decode for bool {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<bool> {
        if let Some(scalar) = node.as_scalar().filter(|scalar| scalar.kind == ScalarKind::Bool) {
            return Some(scalar.text == "true");
        }
        let meant = node.as_str().and_then(|text| match text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some("true"),
            "false" | "no" | "off" | "n" => Some("false"),
            _ => None,
        });
        let help = meant.map(|meant| format!("booleans are `true` and `false` only: write {meant}"));
        diagnostics.push(expected("`true` or `false`", node).help_if(help));
        None
    }

    fn schema() -> Schema {
        json!({"type": "boolean"})
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<$type> {
                let Some(value) = node.as_scalar().and_then(Scalar::as_integer) else {
                    diagnostics.push(expected("a whole number", node));
                    return None;
                };
                <$type>::try_from(value).map_err(|_| {
                    let range = format!("{} to {}", <$type>::MIN, <$type>::MAX);
                    let message = format!("{value} is out of range: {range}");
                    diagnostics.push(Diagnostic::error(node.head, message));
                }).ok()
            }

            fn schema() -> Schema {
                json!({"type": "integer", "minimum": <$type>::MIN, "maximum": <$type>::MAX})
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, i32, i64);

macro_rules! nonzero {
    ($($type:ty: $inner:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<$type> {
                let value = <$type>::new(<$inner>::decode(node, diagnostics)?);
                if value.is_none() {
                    diagnostics.push(Diagnostic::error(node.head, "at least 1 is needed"));
                }
                value
            }

            fn schema() -> Schema {
                json!({"type": "integer", "minimum": 1, "maximum": <$inner>::MAX})
            }
        }
    )*};
}

nonzero!(NonZeroU16: u16, NonZeroU32: u32, NonZeroU64: u64);

impl Decode for f64 {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<f64> {
        let value = node.as_scalar().and_then(Scalar::as_float);
        if value.is_none() {
            diagnostics.push(expected("a number", node));
        }
        value
    }

    fn schema() -> Schema {
        json!({"type": "number"})
    }
}

fn decode_name<T>(
    node: &Node,
    diagnostics: &mut Diagnostics,
    what: &str,
    parse: impl Fn(&str) -> Result<T, NameError>,
) -> Option<T> {
    let Some(text) = node.as_str() else {
        diagnostics.push(expected(what, node));
        return None;
    };
    let hidden = node.as_scalar().is_some_and(Scalar::has_substitutions);
    parse(text)
        .map_err(|error| {
            diagnostics.push(if hidden {
                Diagnostic::error(
                    node.head,
                    format!("with its environment variables this is no name: {error}"),
                )
            } else {
                name_error(text, node.head, &error)
            });
        })
        .ok()
}

/// The diagnostic for a text that is not a name.
pub(super) fn name_error(text: &str, span: Span, error: &NameError) -> Diagnostic {
    let proposed = Name::propose(text).filter(|name| *error == NameError::Characters && name != text);
    let shown: String = text.chars().take(40).collect();
    Diagnostic::error(span, format!("`{shown}` is no name: {error}"))
        .help_if(proposed.map(|name| format!("write `{name}`")))
}

impl Decode for Name {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Name> {
        decode_name(node, diagnostics, "a name", Name::new)
    }

    fn schema() -> Schema {
        json!({"title": "name", "type": "string", "pattern": Name::PATTERN})
    }

    fn stand_in(_span: Span) -> Option<Name> {
        Name::new("unnamed").ok()
    }
}

impl Decode for EnvName {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<EnvName> {
        decode_name(
            node,
            diagnostics,
            "the name of an environment variable",
            EnvName::new,
        )
    }

    fn schema() -> Schema {
        json!({"title": "variable", "type": "string", "pattern": EnvName::PATTERN})
    }
}

/// Reads a quantity that is written as one text.
fn decode_quantity<T: Quantity>(node: &Node, diagnostics: &mut Diagnostics) -> Option<T> {
    let form = &T::FORM;
    let Some(scalar) = node
        .as_scalar()
        .filter(|one| !matches!(one.kind, ScalarKind::Null | ScalarKind::Bool))
    else {
        diagnostics.push(expected(
            &format!("{} such as {}", form.quantity, form.examples),
            node,
        ));
        return None;
    };
    T::parse(&scalar.text)
        .map_err(|error| {
            let message = if scalar.has_substitutions() {
                hidden(form, &error)
            } else {
                error.to_string()
            };
            diagnostics.push(Diagnostic::error(node.head, message));
        })
        .ok()
}

/// The message for a text that may be a secret.
fn hidden(form: &Form, _error: &UnitError) -> String {
    format!(
        "with its environment variables this is not {}: write {}",
        form.quantity, form.examples
    )
}

/// The schema of a quantity that is written as one text.
pub fn quantity_schema<T: Quantity>() -> Schema {
    let Form {
        title,
        quantity,
        examples,
        pattern,
    } = T::FORM;
    json!({
        "title": title,
        "description": format!("{quantity}: {examples}"),
        "type": "string",
        "pattern": pattern,
    })
}

macro_rules! quantities {
    ($($type:ty),*) => {$(
        impl Decode for $type {
            fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<$type> {
                decode_quantity(node, diagnostics)
            }

            fn schema() -> Schema {
                quantity_schema::<$type>()
            }
        }
    )*};
}

quantities!(Duration, SignedDuration, Rate, Bytes, Ratio, Ppm, Scale);

impl Decode for Count {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Count> {
        let number = node.as_scalar().and_then(Scalar::as_integer);
        match number.map(u64::try_from) {
            Some(Ok(value)) => Some(Count(value)),
            _ => decode_quantity(node, diagnostics),
        }
    }

    fn schema() -> Schema {
        let Form {
            title,
            quantity,
            examples,
            pattern,
        } = Count::FORM;
        json!({
            "title": title,
            "description": format!("{quantity}: {examples}"),
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": u64::MAX}, {"type": "string", "pattern": pattern}],
        })
    }
}
