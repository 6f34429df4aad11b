//! A single value: its text, what YAML takes it for, and where each part of the text was written.

use std::ops::Range;

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// In `'`.
    SingleQuoted,
    /// In `"`.
    DoubleQuoted,
    /// A block that keeps its lines, `|`.
    Literal,
    /// A block whose lines are joined, `>`.
    Folded,
}

/// What YAML's core schema takes a scalar for, with `true` and `false` as the only booleans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number: `12`, `0x1f`, `0o17`.
    Integer,
    /// Another number: `1.5`, `1e3`.
    Float,
    /// Anything else, and everything in quotes.
    String,
}

/// A single value.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// The text, without quotes, escapes resolved, environment variables replaced.
    pub text: String,
    /// What YAML takes it for.
    pub kind: ScalarKind,
    /// How it was written.
    pub style: Style,
    /// Where in the source the text starts, if it stands there byte by byte.
    content: Option<usize>,
    /// The parts of the text that came from elsewhere, in order.
    substitutions: Vec<Substitution>,
}

/// A part of a scalar's text that replaced something written, such as `${NAME}`.
#[derive(Clone, Debug, PartialEq)]
struct Substitution {
    /// Where it stands in the text.
    text: Range<usize>,
    /// What was written for it.
    written: Range<usize>,
}

/// One piece of a scalar's new text: see [`Scalar::substitute`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Bytes of the old text, kept.
    Kept(Range<usize>),
    /// Bytes of the old text, replaced.
    Replaced(Range<usize>, String),
}

impl Scalar {
    /// A scalar whose text stands at byte `content` of its source, or nowhere as it is.
    pub(crate) fn new(text: String, style: Style, content: Option<usize>) -> Scalar {
        let kind = if style == Style::Plain {
            resolve(&text)
        } else {
            ScalarKind::String
        };
        Scalar {
            text,
            kind,
            style,
            content,
            substitutions: Vec::new(),
        }
    }

    /// The same with its text put together anew. An unquoted text is then taken for what it now is, so that
    /// `${COUNT:-3}` is a number.
    #[must_use]
    pub(crate) fn substitute(&self, pieces: &[Piece]) -> Scalar {
        let mut text = String::new();
        let mut substitutions = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Kept(range) => text.push_str(&self.text[range.clone()]),
                Piece::Replaced(written, value) => {
                    let start = text.len();
                    text.push_str(value);
                    substitutions.push(Substitution {
                        text: start..text.len(),
                        written: written.clone(),
                    });
                }
            }
        }
        Scalar {
            substitutions,
            ..Scalar::new(text, self.style, self.content)
        }
    }

    /// True if byte `at` of the text came from the environment and is to be taken literally.
    pub fn is_substituted(&self, at: usize) -> bool {
        self.substitutions.iter().any(|one| one.text.contains(&at))
    }

    /// True if any of the text came from the environment: then it may be a secret and must not be shown.
    pub fn has_substitutions(&self) -> bool {
        !self.substitutions.is_empty()
    }

    /// Where in the source the bytes `range` of the text were written.
    pub(super) fn place(&self, range: Range<usize>) -> Option<Range<usize>> {
        let content = self.content?;
        Some(content + self.written(range.start, false)..content + self.written(range.end, true))
    }

    /// The offset in the text as written that belongs to `at` in the text as it is now.
    fn written(&self, at: usize, is_end: bool) -> usize {
        let mut shift = 0_isize;
        for one in &self.substitutions {
            let inside = if is_end {
                one.text.start < at && at <= one.text.end
            } else {
                one.text.start <= at && at < one.text.end
            };
            if inside {
                return if is_end {
                    one.written.end
                } else {
                    one.written.start
                };
            }
            if one.text.end <= at {
                shift = one.written.end as isize - one.text.end as isize;
            }
        }
        at.saturating_add_signed(shift)
    }

    /// The text as a message may show it: short, and never what the environment gave.
    pub fn shown(&self) -> String {
        const LONGEST: usize = 40;
        if self.has_substitutions() {
            return "a text with environment variables".to_owned();
        }
        let line = self.text.lines().next().unwrap_or("");
        let short: String = line.chars().take(LONGEST).collect();
        if short.len() == self.text.len() {
            format!("`{short}`")
        } else {
            format!("`{short}…`")
        }
    }

    /// What a user would call it.
    pub(super) fn describe(&self) -> String {
        match self.kind {
            ScalarKind::Null => "nothing".to_owned(),
            ScalarKind::Bool => format!("the boolean {}", self.shown()),
            ScalarKind::Integer | ScalarKind::Float => format!("the number {}", self.shown()),
            ScalarKind::String if self.text.is_empty() => "an empty text".to_owned(),
            ScalarKind::String if self.has_substitutions() => self.shown(),
            ScalarKind::String => format!("the text {}", self.shown()),
        }
    }

    /// The whole number it is, if it is one; `2.0` and `1e3` are whole.
    pub fn as_integer(&self) -> Option<i128> {
        match self.kind {
            ScalarKind::Integer => parse_integer(&self.text),
            ScalarKind::Float => {
                let value: f64 = self.text.parse().ok()?;
                #[expect(clippy::float_cmp, reason = "a whole number equals its truncation exactly")]
                let whole = value.trunc() == value && value.abs() < 1e18;
                whole.then_some(value as i128)
            }
            _ => None,
        }
    }

    /// The number it is, if it is a finite one.
    pub fn as_float(&self) -> Option<f64> {
        let value = match self.kind {
            ScalarKind::Integer => parse_integer(&self.text)? as f64,
            ScalarKind::Float => self.text.parse().ok()?,
            _ => return None,
        };
        value.is_finite().then_some(value)
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self.kind {
            ScalarKind::Null => Value::Null,
            ScalarKind::Bool => Value::Bool(self.text == "true"),
            ScalarKind::String => Value::String(self.text.clone()),
            ScalarKind::Integer | ScalarKind::Float => {
                let integer = self.as_integer();
                let unsigned = integer
                    .and_then(|value| u64::try_from(value).ok())
                    .map(Value::from);
                let signed = integer
                    .and_then(|value| i64::try_from(value).ok())
                    .map(Value::from);
                unsigned
                    .or(signed)
                    .or_else(|| self.as_float().map(Value::from))
                    .unwrap_or(Value::Null)
            }
        }
    }
}

/// What an unquoted text is, by the core schema of YAML 1.2.2, section 10.3.2. Its `True`, `.inf` and `.nan` are
/// texts here: no value of a scenario means them.
fn resolve(text: &str) -> ScalarKind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return ScalarKind::Null,
        "true" | "false" => return ScalarKind::Bool,
        _ => {}
    }
    if parse_integer(text).is_some() {
        ScalarKind::Integer
    } else if is_float(text) {
        ScalarKind::Float
    } else {
        ScalarKind::String
    }
}

/// `[-+]?[0-9]+`, `0o[0-7]+` or `0x[0-9a-fA-F]+`.
fn parse_integer(text: &str) -> Option<i128> {
    let (digits, radix) = match text.get(..2) {
        Some("0x") => (&text[2..], 16),
        Some("0o") => (&text[2..], 8),
        _ => (text, 10),
    };
    let unsigned = if radix == 10 {
        digits.strip_prefix(['-', '+']).unwrap_or(digits)
    } else {
        digits
    };
    let plain = !unsigned.is_empty() && unsigned.chars().all(|one| one.is_digit(radix));
    plain.then(|| i128::from_str_radix(digits, radix).ok()).flatten()
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`, finite.
fn is_float(text: &str) -> bool {
    let starts = text.trim_start_matches(['-', '+']);
    let number = starts.starts_with(|one: char| one.is_ascii_digit() || one == '.');
    let only = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    number && only && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_text_is_taken_for_what_the_core_schema_says() {
        use ScalarKind::{Bool, Float, Integer, Null, String};
        let table = [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("true", Bool),
            ("True", String),
            ("on", String),
            ("yes", String),
            ("12", Integer),
            ("-3", Integer),
            ("+3", Integer),
            ("0x1F", Integer),
            ("0o17", Integer),
            ("0x", String),
            ("-0x1", String),
            ("1.5", Float),
            (".5", Float),
            ("1.", Float),
            ("1e3", Float),
            ("1e999", String),
            (".inf", String),
            ("nan", String),
            ("5%", String),
            ("1h30m", String),
            ("-5ms", String),
            ("2k/s", String),
            ("é1", String),
            ("-", String),
            ("1-2", String),
        ];
        for (text, kind) in table {
            assert_eq!(resolve(text), kind, "{text}");
        }
    }

    #[test]
    fn places_are_found_through_substitutions() {
        // Written: `a${X}b` at byte 10; X is "long value".
        let scalar = Scalar::new("a${X}b".to_owned(), Style::Plain, Some(10));
        let scalar = scalar.substitute(&[
            Piece::Kept(0..1),
            Piece::Replaced(1..5, "long value".to_owned()),
            Piece::Kept(5..6),
        ]);
        assert_eq!(scalar.text, "along valueb");
        assert_eq!(scalar.place(0..1), Some(10..11));
        assert_eq!(scalar.place(3..5), Some(11..15));
        assert_eq!(scalar.place(11..12), Some(15..16));
        assert!(scalar.is_substituted(4) && !scalar.is_substituted(0) && !scalar.is_substituted(11));
        assert!(!scalar.shown().contains("long"));
    }
}
