//! The texts of a request, with placeholders for what differs from one to the next.
//!
//! A text is literal bytes and slots in turn. Which value a slot stands for was settled when the text was made; writing it looks
//! nothing up by name. A text never decides what its values are: that is what [`Values`] is told.

use std::fmt;

use crate::data::Values;

/// Where the value of a placeholder comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A field of what one of the load's feeds drew.
    Drawn {
        /// Which feed.
        feed: u16,
        /// Which field of it; 0 where it has one.
        field: u16,
    },
    /// A value kept from an earlier answer.
    Kept(u16),
}

/// How a value is written where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// As it is.
    #[default]
    None,
    /// Percent-encoded, all but the unreserved characters of RFC 3986, 2.3: it is one segment of a path or one value of a
    /// query, whatever is in it.
    Percent,
    /// Inside a JSON string (RFC 8259, 7).
    Json,
    /// As it is, but refused where it holds what a header field cannot carry (RFC 9110, 5.5).
    Field,
}

/// A text of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Value {
        name: String,
        slot: Slot,
        escape: Escape,
    },
}

/// Why a text cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// A value would break the message.
    #[error("the value of {{{name}}} is {value:?}, which a header cannot carry")]
    Field {
        /// The placeholder.
        name: String,
        /// What it stands for.
        value: String,
    },
    /// No answer has given the value yet.
    #[error("no answer has given {{{0}}} a value")]
    Missing(String),
}

impl Text {
    /// A text without placeholders.
    pub fn literal(text: impl Into<Vec<u8>>) -> Text {
        let mut all = Text::default();
        all.push_literal(&text.into());
        all
    }

    /// Adds literal bytes at the end.
    pub fn push_literal(&mut self, bytes: &[u8]) {
        match self.parts.last_mut() {
            _ if bytes.is_empty() => {}
            Some(Part::Literal(literal)) => literal.extend_from_slice(bytes),
            _ => self.parts.push(Part::Literal(bytes.to_vec())),
        }
    }

    /// Adds the placeholder `{name}` at the end.
    pub fn push_value(&mut self, name: impl Into<String>, slot: Slot, escape: Escape) {
        let name = name.into();
        self.parts.push(Part::Value { name, slot, escape });
    }

    /// Adds another text at the end, its values written as `escape` says.
    pub fn push_text(&mut self, text: &Text, escape: Escape) {
        for part in &text.parts {
            match part {
                Part::Literal(literal) => self.push_literal(literal),
                Part::Value { name, slot, .. } => self.push_value(name.clone(), *slot, escape),
            }
        }
    }

    /// The whole text, if it has no placeholder.
    pub fn as_literal(&self) -> Option<&[u8]> {
        match self.parts.as_slice() {
            [] => Some(&[]),
            [Part::Literal(literal)] => Some(literal),
            _ => None,
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The parts that are always the same.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.as_slice()),
            Part::Value { .. } => None,
        })
    }

    /// Whether it begins with `prefix`, whatever its values are.
    pub(crate) fn starts_with(&self, prefix: &[u8]) -> bool {
        matches!(self.parts.first(), Some(Part::Literal(literal)) if literal.starts_with(prefix))
    }

    /// Appends it, with `values` for the placeholders. After an error, `out` has a part of it.
    pub fn write(&self, values: &Values, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        for part in &self.parts {
            match part {
                Part::Literal(literal) => out.extend_from_slice(literal),
                Part::Value { name, slot, escape } => {
                    let start = out.len();
                    match *slot {
                        Slot::Drawn { feed, field } => values.write_drawn(feed, field, out),
                        Slot::Kept(at) => {
                            let kept = values.kept(at);
                            out.extend_from_slice(kept.ok_or_else(|| Unwritable::Missing(name.clone()))?);
                        }
                    }
                    escape.apply(name, start, out)?;
                }
            }
        }
        Ok(())
    }
}

impl Escape {
    /// Rewrites the value that stands in `out` from `start` on.
    fn apply(self, name: &str, start: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        let value = &out[start..];
        match self {
            Escape::Percent if !value.iter().copied().all(is_unreserved) => {
                let value = out.split_off(start);
                for byte in value {
                    push_percent(byte, out);
                }
            }
            Escape::Json
                if value
                    .iter()
                    .any(|&byte| byte < b' ' || b"\"\\".contains(&byte) || byte >= 0x80) =>
            {
                let value = out.split_off(start);
                push_json(&String::from_utf8_lossy(&value), out);
            }
            Escape::Field if !value.iter().copied().all(is_field_byte) => {
                return Err(Unwritable::Field {
                    name: name.to_owned(),
                    value: String::from_utf8_lossy(value).chars().take(60).collect(),
                });
            }
            _ => {}
        }
        Ok(())
    }
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// RFC 9110, 5.5.
pub(crate) fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

fn push_percent(byte: u8, out: &mut Vec<u8>) {
    if is_unreserved(byte) {
        out.push(byte);
    } else {
        out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

fn push_json(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            0..b' ' => {
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => out.push(byte),
        }
    }
}

impl<T: Into<Vec<u8>>> From<T> for Text {
    fn from(text: T) -> Text {
        Text::literal(text)
    }
}

/// As it could be written in a scenario, for people.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(literal) => f.write_str(&String::from_utf8_lossy(literal)),
            Part::Value { name, .. } => write!(f, "{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Feeds;

    fn written(escape: Escape, value: &[u8]) -> Result<String, Unwritable> {
        let mut text = Text::literal("<");
        text.push_value("x", Slot::Kept(1), escape);
        text.push_literal(b">");
        let mut values = Feeds::default().open();
        values.keep(1, value.to_vec());
        let mut out = Vec::new();
        text.write(&values, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_written_as_their_place_asks() {
        for (escape, value, expected) in [
            (Escape::None, &b"a b\r\n{\"}"[..], "<a b\r\n{\"}>"),
            (Escape::Percent, b"aZ9-._~", "<aZ9-._~>"),
            (
                Escape::Percent,
                "a/b?c=d&e%+ \u{e9}".as_bytes(),
                "<a%2Fb%3Fc%3Dd%26e%25%2B%20%C3%A9>",
            ),
            (Escape::Percent, b"", "<>"),
            (
                Escape::Json,
                "\u{e9}\"\\/\n\u{1}".as_bytes(),
                "<\u{e9}\\\"\\\\/\\n\\u0001>",
            ),
            (Escape::Json, b"\xff", "<\u{fffd}>"),
            (Escape::Field, b"a b\t;\"", "<a b\t;\">"),
        ] {
            assert_eq!(written(escape, value).unwrap(), expected, "{escape:?} {value:?}");
        }
        for value in [&b"a\r\nEvil: 1"[..], b"\0", b"\x7f"] {
            let error = written(Escape::Field, value).unwrap_err().to_string();
            assert!(error.starts_with("the value of {x} is \""), "{error}");
            assert!(error.ends_with("which a header cannot carry"), "{error}");
        }
    }

    #[test]
    fn a_value_that_no_answer_gave_is_missed() {
        let mut text = Text::literal("/");
        text.push_value("token", Slot::Kept(0), Escape::Percent);
        let error = text.write(&Feeds::default().open(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "no answer has given {token} a value");
        assert_eq!((text.to_string(), text.as_literal()), ("/{token}".into(), None));
    }

    #[test]
    fn literals_are_joined() {
        let mut text = Text::from("a");
        text.push_text(&Text::from("b"), Escape::None);
        text.push_literal(b"");
        assert_eq!(text.as_literal(), Some(&b"ab"[..]));
        assert_eq!(Text::default().as_literal(), Some(&b""[..]));
    }
}
