//! Expectations: `refresh.p99 < 20ms`, `refresh.errors > 50% for 5s`, `ids.unique`.
//!
//! ```text
//! expression = path [ operator limit [ "for" duration ] ]
//! path       = segment { ( "." | "->" ) segment }          at least two segments
//! operator   = "<" | "<=" | ">" | ">=" | "==" | "!="
//! limit      = quantity | "baseline" [ "*" number | ( "+" | "-" ) quantity ]
//! quantity   = duration | ratio | rate | size | number
//! ```
//!
//! `baseline` stands for the stored value of the same path, which is looked up elsewhere.
//!
//! A path alone is a check that holds or does not. Which paths there are and what they measure is known elsewhere and
//! comes in through a closure; here a quantity is held to the dimension of what it is compared with. Nothing here
//! evaluates an expression against a run: that needs the run.

mod parse;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::decode::{Decode, Schema, expected};
use crate::diagnostic::{Diagnostic, Diagnostics, suggest};
use crate::node::{Node, Scalar};
use crate::span::{Span, Spanned};
use crate::units::{Bytes, Rate, Ratio, duration_text};

pub use parse::parse;

/// An expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// As it was written.
    pub text: String,
    /// All of it.
    pub span: Span,
    /// What is looked at.
    pub path: Path,
    /// What it is held to; without one, the path must be true.
    pub comparison: Option<Comparison>,
}

/// A name with dots: `refresh.service.p99`, `edge.feed->ranking.connections`.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The names between the dots; `feed->ranking` is one.
    pub segments: Vec<Spanned<String>>,
    /// All of it.
    pub span: Span,
}

impl Path {
    /// The first segment: the load, service, fault or other thing that is measured.
    pub fn root(&self) -> &Spanned<String> {
        &self.segments[0]
    }

    /// The segments after the first: what is measured of it.
    pub fn metric(&self) -> &[Spanned<String>] {
        &self.segments[1..]
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.segments.iter().enumerate() {
            write!(f, "{}{}", if index > 0 { "." } else { "" }, segment.value)?;
        }
        Ok(())
    }
}

/// An operator, a limit, and for how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// How the measured value must stand to the limit.
    pub operator: Operator,
    /// The limit.
    pub limit: Spanned<Limit>,
    /// How long it must have been so without a break; `None` is at once.
    pub lasting: Option<Spanned<Duration>>,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Operator {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
            Operator::Equal => "==",
            Operator::NotEqual => "!=",
        }
    }

    /// True if `left` stands so to `right`; not a number stands so to nothing.
    #[expect(
        clippy::float_cmp,
        reason = "`==` in a scenario means exactly equal: it is for counts and zero"
    )]
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Operator::Less => left < right,
            Operator::LessOrEqual => left <= right,
            Operator::Greater => left > right,
            Operator::GreaterOrEqual => left >= right,
            Operator::Equal => left == right,
            Operator::NotEqual => !left.is_nan() && !right.is_nan() && left != right,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a value is held to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// What is written.
    Quantity(Quantity),
    /// The stored value of the same path, and what is made of it.
    Baseline(Adjustment),
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Limit::Quantity(quantity) => quantity.fmt(f),
            Limit::Baseline(adjustment) => adjustment.fmt(f),
        }
    }
}

/// What is made of a stored value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Adjustment {
    /// Nothing: `baseline`.
    Same,
    /// So many times it, above zero: `baseline * 1.3`.
    Times(f64),
    /// So much more: `baseline + 5ms`.
    Plus(Quantity),
    /// So much less: `baseline - 5%`; of a ratio these are points.
    Minus(Quantity),
}

impl Adjustment {
    /// The limit, in the units of the run record, where `stored` is the stored value in them.
    pub fn of(self, stored: f64) -> f64 {
        match self {
            Adjustment::Same => stored,
            Adjustment::Times(factor) => stored * factor,
            Adjustment::Plus(quantity) => stored + quantity.value(),
            Adjustment::Minus(quantity) => stored - quantity.value(),
        }
    }

    /// What is added or taken off, which must fit what is measured.
    pub const fn quantity(self) -> Option<Quantity> {
        match self {
            Adjustment::Plus(quantity) | Adjustment::Minus(quantity) => Some(quantity),
            Adjustment::Same | Adjustment::Times(_) => None,
        }
    }
}

impl fmt::Display for Adjustment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Adjustment::Same => f.write_str(BASELINE),
            Adjustment::Times(factor) => write!(f, "{BASELINE} * {factor}"),
            Adjustment::Plus(quantity) => write!(f, "{BASELINE} + {quantity}"),
            Adjustment::Minus(quantity) => write!(f, "{BASELINE} - {quantity}"),
        }
    }
}

/// The word for a stored value.
pub const BASELINE: &str = "baseline";

/// A limit with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantity {
    /// A length of time.
    Duration(Duration),
    /// A part of a whole.
    Ratio(Ratio),
    /// How many per second.
    Rate(Rate),
    /// A size.
    Bytes(Bytes),
    /// A number without unit: a count, or a plain measure.
    Number(f64),
}

impl Quantity {
    /// The value in the units of the run record: microseconds, 1 for all, per second, bytes, or as it is.
    pub fn value(self) -> f64 {
        match self {
            Quantity::Duration(duration) => duration.as_nanos() as f64 / 1e3,
            Quantity::Ratio(ratio) => ratio.get(),
            Quantity::Rate(rate) => rate.get(),
            Quantity::Bytes(bytes) => bytes.0 as f64,
            Quantity::Number(number) => number,
        }
    }

    /// What it measures; a number without unit may count or measure.
    pub const fn dimension(self) -> Dimension {
        match self {
            Quantity::Duration(_) => Dimension::Duration,
            Quantity::Ratio(_) => Dimension::Ratio,
            Quantity::Rate(_) => Dimension::Rate,
            Quantity::Bytes(_) => Dimension::Bytes,
            Quantity::Number(_) => Dimension::Number,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Quantity::Duration(duration) => f.write_str(&duration_text(*duration)),
            Quantity::Ratio(ratio) => ratio.fmt(f),
            Quantity::Rate(rate) => rate.fmt(f),
            Quantity::Bytes(bytes) => bytes.fmt(f),
            Quantity::Number(number) => number.fmt(f),
        }
    }
}

/// What a metric measures, and so what it can be compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// A length of time: `20ms`.
    Duration,
    /// A part of a whole: `5%`.
    Ratio,
    /// A whole number: `12`.
    Count,
    /// So many per second: `2k/s`.
    Rate,
    /// A size: `4KiB`.
    Bytes,
    /// True or false; compared with nothing.
    Boolean,
    /// Any number: `1.5`.
    #[default]
    Number,
}

impl Dimension {
    /// With its article.
    pub const fn name(self) -> &'static str {
        match self {
            Dimension::Duration => "a duration",
            Dimension::Ratio => "a ratio",
            Dimension::Count => "a count",
            Dimension::Rate => "a rate",
            Dimension::Bytes => "a size",
            Dimension::Boolean => "true or false",
            Dimension::Number => "a number",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Dimension::Duration => "20ms",
            Dimension::Ratio => "1%",
            Dimension::Count => "10",
            Dimension::Rate => "2k/s",
            Dimension::Bytes => "64MiB",
            Dimension::Boolean => "nothing",
            Dimension::Number => "1.5",
        }
    }

    const fn accepts(self, quantity: Quantity) -> bool {
        matches!(
            (self, quantity),
            (Dimension::Duration, Quantity::Duration(_))
                | (Dimension::Ratio, Quantity::Ratio(_))
                | (Dimension::Rate, Quantity::Rate(_))
                | (Dimension::Bytes, Quantity::Bytes(_))
                | (Dimension::Count | Dimension::Number, Quantity::Number(_))
        )
    }
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Resolution {
    /// A metric.
    Metric(Dimension),
    /// Nothing: there is no such segment.
    Unknown {
        /// The index of the first segment that is unknown.
        segment: usize,
        /// What could stand there.
        candidates: Vec<String>,
    },
    /// Nothing yet: the path ends where another segment is needed.
    Incomplete {
        /// What could follow.
        candidates: Vec<String>,
    },
}

impl Expression {
    /// What is made of the stored value that it is held to; nothing where it is held to none.
    pub fn adjustment(&self) -> Option<Adjustment> {
        match self.comparison.as_ref()?.limit.value {
            Limit::Baseline(adjustment) => Some(adjustment),
            Limit::Quantity(_) => None,
        }
    }

    /// Finds out what the path measures and holds the comparison to it. What is wrong is reported.
    pub fn check(
        &self,
        resolve: &dyn Fn(&Path) -> Resolution,
        diagnostics: &mut Diagnostics,
    ) -> Option<Dimension> {
        let path = &self.path;
        let dimension = match resolve(path) {
            Resolution::Metric(dimension) => dimension,
            Resolution::Unknown { segment, candidates } => {
                let name = &path.segments[segment.min(path.segments.len() - 1)];
                let message = match segment {
                    0 => format!("nothing here is called `{}`", name.value),
                    _ => format!("`{}` has no `{}`", path.segments[segment - 1].value, name.value),
                };
                let help = suggest(name, candidates.iter().map(String::as_str));
                diagnostics.push(Diagnostic::error(name.span, message).help_if(help));
                return None;
            }
            Resolution::Incomplete { candidates } => {
                let help = suggest("", candidates.iter().map(String::as_str));
                let error =
                    Diagnostic::error(path.span, format!("`{path}` does not say what of it is meant"));
                diagnostics.push(error.help_if(help));
                return None;
            }
        };
        self.compare(dimension, diagnostics).then_some(dimension)
    }

    /// True if the comparison fits what is measured.
    fn compare(&self, dimension: Dimension, diagnostics: &mut Diagnostics) -> bool {
        let path = &self.path;
        let error = match &self.comparison {
            None if dimension == Dimension::Boolean => return true,
            None => {
                let message = format!("`{path}` is {}: it needs a limit", dimension.name());
                Diagnostic::error(self.span, message)
                    .help(format!("such as `{path} < {}`", dimension.example()))
            }
            Some(comparison) if dimension == Dimension::Boolean => {
                let message = format!("`{path}` is {}: it is compared with nothing", dimension.name());
                Diagnostic::error(comparison.limit.span, message).help(format!("write `{path}` alone"))
            }
            Some(comparison) => {
                let written = match comparison.limit.value {
                    Limit::Quantity(quantity) => Some(quantity),
                    Limit::Baseline(adjustment) => adjustment.quantity(),
                };
                let Some(found) = written.filter(|quantity| !dimension.accepts(*quantity)) else {
                    return true;
                };
                let message = format!(
                    "`{path}` is {}, `{found}` is {}",
                    dimension.name(),
                    found.dimension().name()
                );
                let written = match found {
                    Quantity::Number(number) => dimension.with_unit(number),
                    _ => dimension.example().to_owned(),
                };
                let written = match comparison.limit.value {
                    Limit::Baseline(_) => format!("write {written}, or a factor: {BASELINE} * 1.3"),
                    Limit::Quantity(_) => format!("write {written}"),
                };
                Diagnostic::error(comparison.limit.span, message).help(written)
            }
        };
        diagnostics.push(error);
        false
    }
}

impl Dimension {
    /// A bare number with the unit that was likely meant.
    fn with_unit(self, number: f64) -> String {
        match self {
            Dimension::Duration => format!("{number}ms or {number}s"),
            Dimension::Ratio => format!("{number}%"),
            Dimension::Rate => format!("{number}/s"),
            Dimension::Bytes => format!("{number}KiB"),
            Dimension::Count | Dimension::Number | Dimension::Boolean => number.to_string(),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Decode for Expression {
    fn decode(node: &Node, diagnostics: &mut Diagnostics) -> Option<Expression> {
        let Some(text) = node.as_str() else {
            diagnostics.push(expected("an expectation such as \"refresh.p99 < 20ms\"", node));
            return None;
        };
        let hidden = node.as_scalar().is_some_and(Scalar::has_substitutions);
        parse(text, &|range| node.span_within(range))
            .map_err(|error| {
                diagnostics.push(if hidden {
                    // The error quotes the text, which may be a secret.
                    let error =
                        Diagnostic::error(node.head, "with its environment variables this is no expectation");
                    error.help("such as \"refresh.p99 < 20ms\"")
                } else {
                    error
                });
            })
            .ok()
    }

    fn schema() -> Schema {
        json!({
            "title": "expectation",
            "description": "METRIC OPERATOR LIMIT [for DURATION], such as \"refresh.p99 < 20ms\" or, against the stored baseline, \"refresh.p99 < baseline * 1.3\"; or a check alone, such as \"ids.unique\".",
            "type": "string",
            "pattern": parse::PATTERN,
        })
    }
}

#[cfg(test)]
mod tests;
