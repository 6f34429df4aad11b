//! Text with placeholders: `/feed/{user}`, `--port={port}`, `{ranking.host}`.
//!
//! `{name}` is a placeholder only if the name matches `[a-z][a-z0-9_.-]*`; any other brace is itself, so that JSON
//! bodies need no care, and `{{` is one brace. What the environment put into a text is never a placeholder. Which names
//! exist is for whoever fills the template to say.

use std::fmt;

use crate::decode::{Decode, Schema, Text};
use crate::diagnostic::Diagnostics;
use crate::node::{Kind, Node};
use crate::span::{Span, Spanned};

/// A text and the placeholders in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Texts and placeholders in order; no two texts in a row.
    pub parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Taken as it is.
    Text(String),
    /// The name between the braces; its place includes them.
    Placeholder(Spanned<String>),
}

impl Template {
    /// A template without placeholders.
    pub fn literal(text: impl Into<String>) -> Template {
        Template {
            parts: vec![Part::Text(text.into())],
        }
    }

    /// Reads a text that stands in no scenario; places are all `span`.
    pub fn parse(text: &str, span: Span) -> Template {
        split(text, |_| false, |_| span)
    }

    /// Reads the text of a scalar node; `None` for a list or a mapping.
    pub fn from_node(node: &Node) -> Option<Template> {
        let Kind::Scalar(scalar) = &node.kind else {
            return None;
        };
        Some(split(
            &scalar.text,
            |at| scalar.is_substituted(at),
            |range| node.span_within(range),
        ))
    }

    /// The names between braces, with their places.
    pub fn placeholders(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.parts.iter().filter_map(|part| match part {
            Part::Placeholder(name) => Some(name),
            Part::Text(_) => None,
        })
    }

    /// The whole text, if it has no placeholder.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The same with `{name}` replaced by `text`.
    #[must_use]
    pub fn with(&self, name: &str, text: &str) -> Template {
        let mut parts: Vec<Part> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let part = match part {
                Part::Placeholder(one) if one.value == name => Part::Text(text.to_owned()),
                other => other.clone(),
            };
            match (parts.last_mut(), part) {
                (Some(Part::Text(before)), Part::Text(more)) => before.push_str(&more),
                (_, part) => parts.push(part),
            }
        }
        Template { parts }
    }

    /// The text with every placeholder replaced by what `value` gives for its name.
    ///
    /// # Errors
    /// The first placeholder for which there is no value.
    pub fn render(&self, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, Spanned<String>> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Placeholder(name) => out.push_str(&value(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(out)
    }
}

/// As it could be written in a scenario.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            // A placeholder begins with a brace, and two of them would be read as one that is none.
            let before_placeholder = index + 1 < self.parts.len();
            match part {
                Part::Placeholder(name) => write!(f, "{{{}}}", name.value)?,
                Part::Text(text) => {
                    let mut rest = text.as_str();
                    while let Some(at) = rest.find('{') {
                        let after = &rest[at + 1..];
                        let doubled = after.starts_with('{')
                            || name_length(after).is_some()
                            || (after.is_empty() && before_placeholder);
                        write!(f, "{}{}", &rest[..at], if doubled { "{{" } else { "{" })?;
                        rest = &rest[at + 1..];
                    }
                    f.write_str(rest)?;
                }
            }
        }
        Ok(())
    }
}

impl Decode for Template {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Template> {
        Text::check(node, diagnostics)?;
        Template::from_node(node)
    }

    fn schema() -> Schema {
        Text::schema()
    }
}

/// The length of the name at the start of `text` if a `}` follows it.
fn name_length(text: &str) -> Option<usize> {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte);
    let length = text.bytes().take_while(|byte| is_part(*byte)).count();
    let named = text
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase());
    (named && text.as_bytes().get(length) == Some(&b'}')).then_some(length)
}

/// The unquoted placeholder in a line of YAML, braces included, for the advice to quote it.
pub(crate) fn find_unquoted(line: &str) -> Option<&str> {
    let (at, length) = line
        .match_indices('{')
        .find_map(|(at, _)| name_length(&line[at + 1..]).map(|length| (at, length)))?;
    let quotes = line[..at].matches(['"', '\'']).count();
    quotes.is_multiple_of(2).then(|| &line[at..at + length + 2])
}

fn split(
    text: &str,
    is_literal: impl Fn(usize) -> bool,
    place: impl Fn(std::ops::Range<usize>) -> Span,
) -> Template {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = 0;
    while let Some(found) = text[rest..].find('{') {
        let at = rest + found;
        literal.push_str(&text[rest..at]);
        let after = &text[at + 1..];
        if is_literal(at) {
            literal.push('{');
            rest = at + 1;
        } else if after.starts_with('{') && !is_literal(at + 1) {
            literal.push('{');
            rest = at + 2;
        } else if let Some(length) =
            name_length(after).filter(|length| !(at..at + length + 2).any(&is_literal))
        {
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            let end = at + length + 2;
            parts.push(Part::Placeholder(Spanned::new(
                after[..length].to_owned(),
                place(at..end),
            )));
            rest = end;
        } else {
            literal.push('{');
            rest = at + 1;
        }
    }
    literal.push_str(&text[rest..]);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Template { parts }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> (Vec<String>, String) {
        let template = Template::parse(text, Span::default());
        let found = template.placeholders().map(|name| name.value.clone()).collect();
        (found, template.render(|name| Some(format!("<{name}>"))).unwrap())
    }

    #[test]
    fn only_names_in_braces_are_placeholders() {
        for (text, expected, rendered) in [
            ("/feed/{user}", &["user"] as &[&str], "/feed/<user>"),
            ("{x.host}:{x.port}", &["x.host", "x.port"], "<x.host>:<x.port>"),
            (r#"{"id": {"n": 1}}"#, &[], r#"{"id": {"n": 1}}"#),
            ("{{port}", &[], "{port}"),
            ("{{{port}", &["port"], "{<port>"),
            ("{Port} { port } {9} {} {", &[], "{Port} { port } {9} {} {"),
            ("{é}{a}", &["a"], "{é}<a>"),
            ("", &[], ""),
        ] {
            let (found, text_now) = names(text);
            assert_eq!(found, expected, "{text}");
            assert_eq!(text_now, rendered, "{text}");
        }
    }

    #[test]
    fn a_placeholder_without_a_value_is_named() {
        let template = Template::parse("a{b}c", Span::default());
        assert_eq!(template.render(|_| None).unwrap_err().value, "b");
        assert_eq!(template.as_literal(), None);
        assert_eq!(Template::literal("a").as_literal(), Some("a"));
    }

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(text in "[{}a-c.1 ]{0,12}") {
            let template = Template::parse(&text, Span::default());
            prop_assert_eq!(Template::parse(&template.to_string(), Span::default()), template);
        }
    }
}
