//! Quantities as a scenario writes them: a number and its unit, `300ms`, `2k/s`, `4KiB`, `5%`.
//!
//! A number never stands without its unit, so that nobody has to know whether a bare `5` means seconds. Durations are
//! exact to the nanosecond. How a *measured* quantity is shown to a person is in [`human`].

mod duration;
pub mod human;
mod scaled;

pub use duration::{SignedDuration, duration_text, parse_duration};
pub use scaled::{Bytes, Count, Ppm, Rate, Ratio, Scale};

use crate::diagnostic::nearest;

/// Why a text is not a quantity of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// A number alone.
    #[error("`{text}` has no unit: write {write}")]
    NoUnit {
        /// What was written.
        text: String,
        /// The same with likely units.
        write: String,
    },
    /// A number with a unit that this quantity does not have.
    #[error("`{unit}` is no unit of {quantity}: write {forms}")]
    UnknownUnit {
        /// What was written after the number.
        unit: String,
        /// What is measured, with its article.
        quantity: &'static str,
        /// Examples, or the nearest form.
        forms: String,
    },
    /// No number at all.
    #[error("`{text}` is not {quantity}: write {forms}")]
    NotOne {
        /// What was written.
        text: String,
        /// What was expected, with its article.
        quantity: &'static str,
        /// Examples.
        forms: &'static str,
    },
    /// Below zero where that means nothing.
    #[error("{quantity} cannot be negative: `{text}`")]
    Negative {
        /// What was written.
        text: String,
        /// What was expected, with its article.
        quantity: &'static str,
    },
    /// Larger than can be kept.
    #[error("`{text}` is too large: at most {most}")]
    TooLarge {
        /// What was written.
        text: String,
        /// The limit, written as the quantity is.
        most: &'static str,
    },
    /// Units out of order, or one twice.
    #[error("`{text}`: units go from the longest to the shortest, each once, such as 1h30m")]
    Order {
        /// What was written.
        text: String,
    },
    /// Finer than can be kept.
    #[error("`{text}` is no whole number of {grain}")]
    TooFine {
        /// What was written.
        text: String,
        /// What it must be a multiple of.
        grain: &'static str,
    },
}

/// A quantity's fixed texts.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// One word: the name of its definition in the schema.
    pub title: &'static str,
    /// With its article: "a duration".
    pub quantity: &'static str,
    /// Examples: "300ms or 1h30m".
    pub examples: &'static str,
    /// The syntax as a regular expression.
    pub pattern: &'static str,
}

/// A quantity that is written as one text.
pub trait Quantity: Sized {
    /// Its fixed texts.
    const FORM: Form;

    /// Reads it.
    fn parse(text: &str) -> Result<Self, UnitError>;
}

impl Form {
    fn not_one(&self, text: &str) -> UnitError {
        UnitError::NotOne {
            text: shorten(text),
            quantity: self.quantity,
            forms: self.examples,
        }
    }

    /// The error for a number alone, with the units that were likely meant.
    fn no_unit(text: &str, units: &[&str]) -> UnitError {
        let written: Vec<String> = units.iter().map(|unit| format!("{text}{unit}")).collect();
        UnitError::NoUnit {
            text: shorten(text),
            write: written.join(" or "),
        }
    }

    /// The error for a number with the wrong unit, proposing the nearest of `units`.
    fn wrong_unit(&self, number: &str, unit: &str, units: &[&'static str]) -> UnitError {
        let trimmed = unit.trim();
        let exact = units.iter().find(|known| **known == trimmed);
        let close = || units.iter().find(|known| known.eq_ignore_ascii_case(trimmed));
        let near = exact.or_else(close).copied().or_else(|| synonym(trimmed));
        let near = near.or_else(|| nearest(trimmed, units.iter().copied()));
        let forms = near.map_or_else(|| self.examples.to_owned(), |unit| format!("{number}{unit}"));
        UnitError::UnknownUnit {
            unit: shorten(unit),
            quantity: self.quantity,
            forms,
        }
    }
}

/// The unit of ours that people write otherwise elsewhere.
fn synonym(unit: &str) -> Option<&'static str> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "sec" | "secs" | "second" | "seconds" => "s",
        "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => "ms",
        "usec" | "micros" | "microsecond" | "microseconds" => "us",
        "nsec" | "nanos" | "nanosecond" | "nanoseconds" => "ns",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "day" | "days" => "d",
        "/sec" | "/second" | "rps" | "qps" => "/s",
        "k/sec" | "k/second" | "krps" | "kqps" => "k/s",
        "/min" | "/minute" => "/m",
        "/hour" => "/h",
        "percent" | "pct" => "%",
        "times" | "fold" => "x",
        _ => return None,
    })
}

/// At most 40 characters of what was written, to stand in a message.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// Splits a text into the decimal number that it starts with, `[0-9]+(\.[0-9]+)?`, and the rest.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    if whole == 0 {
        return None;
    }
    let fraction = text[whole..].strip_prefix('.').map_or(0, digits);
    let end = if fraction == 0 {
        whole
    } else {
        whole + 1 + fraction
    };
    Some(text.split_at(end))
}

/// `number` times `unit`, exactly; `Err(true)` if that is too large, `Err(false)` if it is no whole number.
fn times(number: &str, unit: u128) -> Result<u128, bool> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let whole: u128 = whole.parse().map_err(|_| true)?;
    let mut total = whole.checked_mul(unit).ok_or(true)?;
    if !fraction.is_empty() {
        let scale = u32::try_from(fraction.len())
            .ok()
            .and_then(|digits| 10_u128.checked_pow(digits))
            .ok_or(false)?;
        let parts: u128 = fraction.parse().map_err(|_| false)?;
        let scaled = parts.checked_mul(unit).ok_or(false)?;
        if scaled % scale != 0 {
            return Err(false);
        }
        total = total.checked_add(scaled / scale).ok_or(true)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests;
