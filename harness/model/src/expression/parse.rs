//! Reads an expectation; the grammar is in the module above.

#![expect(
    clippy::result_large_err,
    reason = "one error ends one expectation; it is made rarely and moved once"
)]

use std::ops::Range;
use std::time::Duration;

use super::{Adjustment, BASELINE, Comparison, Expression, Limit, Operator, Path, Quantity};
use crate::diagnostic::Diagnostic;
use crate::span::{Span, Spanned};
use crate::units::{Bytes, Count, Quantity as _, Rate, Ratio, UnitError, parse_duration};

/// The grammar as a regular expression; it leaves the order and size of units to the parser.
pub(super) const PATTERN: &str = concat!(
    r"^\s*[A-Za-z_](?:[A-Za-z0-9_:]|-(?!>))*(?:->[A-Za-z0-9_](?:[A-Za-z0-9_:]|-(?!>))*)*",
    r"(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_:]|-(?!>))*(?:->[A-Za-z0-9_](?:[A-Za-z0-9_:]|-(?!>))*)*)+",
    r"(?:\s*(?:<=|>=|==|!=|<|>)\s*(?:[-+]?[0-9]+(?:\.[0-9]+)?[0-9A-Za-zµ%/.]*",
    r"|baseline(?:\s*\*\s*(?=[0-9.]*[1-9])[0-9]+(?:\.[0-9]+)?",
    r"|\s*[-+]\s*[0-9]+(?:\.[0-9]+)?[0-9A-Za-zµ%/.]*)?)",
    r"(?:\s+for\s+[0-9][0-9a-zµ.]*)?)?\s*$"
);

/// From a range of bytes in the expression to its place in the scenario.
type Place<'a> = &'a dyn Fn(Range<usize>) -> Span;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    place: Place<'a>,
}

/// Reads `text`; `place` tells where its bytes were written.
///
/// # Errors
/// What is wrong and where, with what to write instead.
pub fn parse(text: &str, place: Place<'_>) -> Result<Expression, Diagnostic> {
    let mut reader = Reader { text, at: 0, place };
    reader.skip_spaces();
    let path = reader.path()?;
    reader.skip_spaces();
    let comparison = if reader.rest().is_empty() {
        None
    } else {
        Some(reader.comparison(&path)?)
    };
    let text = text.trim().to_owned();
    Ok(Expression {
        text,
        span: place(0..reader.text.len()),
        path,
        comparison,
    })
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes the longest start of the rest whose characters all fit.
    fn take(&mut self, fits: impl Fn(char) -> bool) -> (&'a str, Range<usize>) {
        let start = self.at;
        let length = self
            .rest()
            .find(|one: char| !fits(one))
            .unwrap_or(self.rest().len());
        self.at += length;
        (&self.text[start..self.at], start..self.at)
    }

    fn error(&self, range: Range<usize>, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error((self.place)(range), message)
    }

    /// The word at the reader, or the last character where there is none, to point at.
    fn here(&self) -> Range<usize> {
        let length = self.rest().find(char::is_whitespace).unwrap_or(self.rest().len());
        let start = if length == 0 {
            self.text[..self.at]
                .char_indices()
                .next_back()
                .map_or(0, |(at, _)| at)
        } else {
            self.at
        };
        start..self.at + length
    }

    fn path(&mut self) -> Result<Path, Diagnostic> {
        let start = self.at;
        let mut segments = Vec::new();
        loop {
            let from = self.at;
            self.segment(segments.is_empty())?;
            while self.rest().starts_with("->") {
                self.at += 2;
                self.segment(false)?;
            }
            let range = from..self.at;
            segments.push(Spanned::new(
                self.text[range.clone()].to_owned(),
                (self.place)(range),
            ));
            if !self.rest().starts_with('.') {
                break;
            }
            self.at += 1;
        }
        let range = start..self.at;
        if segments.len() < 2 {
            let name = segments[0].value.clone();
            let error = self.error(range, format!("`{name}` does not say what of it is meant"));
            return Err(error.help(format!("write `{name}.METRIC`, such as `{name}.p99 < 20ms`")));
        }
        Ok(Path {
            segments,
            span: (self.place)(range),
        })
    }

    fn segment(&mut self, first: bool) -> Result<(), Diagnostic> {
        let start = self.at;
        let starts = |one: char| one.is_ascii_alphabetic() || one == '_' || (!first && one.is_ascii_digit());
        if self.rest().starts_with(starts) {
            let bytes = self.rest().as_bytes();
            let is_part = |at: usize| match bytes[at] {
                b'-' => bytes.get(at + 1) != Some(&b'>'),
                byte => byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':',
            };
            self.at += (0..bytes.len()).find(|at| !is_part(*at)).unwrap_or(bytes.len());
        }
        if self.at > start {
            return Ok(());
        }
        let here = self.here();
        let found = match self.rest().chars().next() {
            None => "the end".to_owned(),
            Some(one) => format!("`{one}`"),
        };
        let error = self.error(here, format!("expected a name, found {found}"));
        Err(error.help("an expectation reads `METRIC OPERATOR QUANTITY`, such as `refresh.p99 < 20ms`"))
    }

    fn comparison(&mut self, path: &Path) -> Result<Comparison, Diagnostic> {
        let operator = self.operator(path)?;
        self.skip_spaces();
        let limit = match self.baseline()? {
            Some(limit) => limit,
            None => self.written(path, operator)?,
        };
        self.skip_spaces();
        let lasting = self.lasting()?;
        Ok(Comparison {
            operator,
            limit,
            lasting,
        })
    }

    /// A limit as written.
    fn written(&mut self, path: &Path, operator: Operator) -> Result<Spanned<Limit>, Diagnostic> {
        let (word, range) = self.take(|one| !one.is_whitespace());
        if word.is_empty() {
            let error = self.error(self.here(), "the limit is missing");
            return Err(error.help(format!("such as `{path} {operator} 20ms`")));
        }
        let turned = format!("{word}{}", self.rest().replace(char::is_whitespace, ""));
        if let Some(factor) = turned
            .strip_suffix(BASELINE)
            .and_then(|rest| rest.strip_suffix('*'))
        {
            let end = self.text.trim_end().len();
            let error = self.error(range.start..end, "the factor stands behind `baseline`");
            return Err(error.help(format!("write {BASELINE} * {factor}")));
        }
        let limit =
            quantity(word).map_err(|(message, help)| self.error(range.clone(), message).help_if(help))?;
        Ok(Spanned::new(Limit::Quantity(limit), (self.place)(range)))
    }

    /// A limit that is made of the stored value; nothing where the text has another.
    fn baseline(&mut self) -> Result<Option<Spanned<Limit>>, Diagnostic> {
        let start = self.at;
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(BASELINE) else {
            return Ok(None);
        };
        if after.starts_with(|one: char| one.is_alphanumeric() || "_.:".contains(one)) {
            let (word, range) = self.take(|one| !one.is_whitespace());
            let error = self.error(range, format!("`{word}` is nothing that can be stored"));
            return Err(error.help(format!(
                "write {BASELINE}: it is the stored value of the same metric"
            )));
        }
        self.at += BASELINE.len();
        let mut end = self.at;
        self.skip_spaces();
        let adjustment = match self.rest().chars().next() {
            Some(sign @ ('*' | '+' | '-')) => {
                self.at += 1;
                let adjustment = self.adjustment(sign)?;
                end = self.at;
                adjustment
            }
            Some('/') => {
                let error = self.error(self.here(), "a stored value is not divided");
                return Err(error.help(format!("write a factor, such as {BASELINE} * 0.5")));
            }
            _ => Adjustment::Same,
        };
        let place = (self.place)(start..end);
        Ok(Some(Spanned::new(Limit::Baseline(adjustment), place)))
    }

    /// What stands behind `baseline` and its `sign`.
    fn adjustment(&mut self, sign: char) -> Result<Adjustment, Diagnostic> {
        self.skip_spaces();
        let (word, range) = self.take(|one| !one.is_whitespace());
        if word.is_empty() {
            let (what, such_as) = match sign {
                '*' => ("factor", "1.3"),
                _ => ("quantity", "5ms"),
            };
            let error = self.error(self.here(), format!("the {what} after `{sign}` is missing"));
            return Err(error.help(format!("such as {BASELINE} {sign} {such_as}")));
        }
        if sign != '*' && word.starts_with(['-', '+']) {
            let error = self.error(range, format!("`{word}` has a sign of its own"));
            return Err(error.help(format!("write {BASELINE} + {0} or {BASELINE} - {0}", &word[1..])));
        }
        let read = quantity(word).map_err(|(message, help)| self.error(range.clone(), message).help_if(help));
        let is_plain = word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match (sign, read?) {
            ('*', Quantity::Number(factor)) if is_plain && factor > 0.0 => Ok(Adjustment::Times(factor)),
            ('*', Quantity::Ratio(ratio)) if ratio.get() > 0.0 => {
                let error = self.error(range, format!("`{word}` is no factor"));
                Err(error.help(format!("write {}", ratio.get())))
            }
            ('*', other) => {
                let error = self.error(
                    range,
                    format!("`{word}` is no factor: that is a number above zero"),
                );
                Err(error.help(match other {
                    Quantity::Number(_) => format!("such as {BASELINE} * 1.3"),
                    _ => format!("write {BASELINE} + {word}, or a factor such as 1.3"),
                }))
            }
            ('+', quantity) => Ok(Adjustment::Plus(quantity)),
            (_, quantity) => Ok(Adjustment::Minus(quantity)),
        }
    }

    fn operator(&mut self, path: &Path) -> Result<Operator, Diagnostic> {
        let (symbol, range) = self.take(|one| "<>=!".contains(one));
        let meant = match symbol {
            "<" => return Ok(Operator::Less),
            "<=" => return Ok(Operator::LessOrEqual),
            ">" => return Ok(Operator::Greater),
            ">=" => return Ok(Operator::GreaterOrEqual),
            "==" => return Ok(Operator::Equal),
            "!=" => return Ok(Operator::NotEqual),
            "=" | "===" => "==",
            "=<" => "<=",
            "=>" => ">=",
            "<>" | "!" | "!==" => "!=",
            _ => "",
        };
        if symbol.is_empty() {
            let here = self.here();
            let found = &self.text[here.clone()];
            let error = self.error(
                here.clone(),
                format!("expected an operator after `{path}`, found `{found}`"),
            );
            return Err(error.help("operators are <, <=, >, >=, == and !="));
        }
        let error = self.error(range, format!("`{symbol}` is no operator"));
        Err(match meant {
            "" => error.help("operators are <, <=, >, >=, == and !="),
            _ => error.help(format!("write `{meant}`")),
        })
    }

    fn lasting(&mut self) -> Result<Option<Spanned<Duration>>, Diagnostic> {
        if self.rest().is_empty() {
            return Ok(None);
        }
        let (word, range) = self.take(|one| !one.is_whitespace());
        if word != "for" {
            let error = self.error(
                range.start..self.text.trim_end().len(),
                "only `for DURATION` may follow a limit",
            );
            return Err(error.help("write further expectations as items of their own"));
        }
        self.skip_spaces();
        if self.rest().is_empty() {
            return Err(self
                .error(range, "the duration after `for` is missing")
                .help("such as `for 5s`"));
        }
        let (word, range) = self.take(|one| !one.is_whitespace());
        let duration = parse_duration(word).map_err(|unit| self.error(range.clone(), unit.to_string()))?;
        self.skip_spaces();
        if !self.rest().is_empty() {
            return Err(self.error(
                self.at..self.text.trim_end().len(),
                "nothing may follow `for DURATION`",
            ));
        }
        Ok(Some(Spanned::new(duration, (self.place)(range))))
    }
}

/// Reads a limit by its unit; an error comes with its help.
fn quantity(word: &str) -> Result<Quantity, (String, Option<String>)> {
    const NUMBER: &[char] = &['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '.'];
    let unsigned = word.strip_prefix(['-', '+']).unwrap_or(word);
    let unit = unsigned.trim_start_matches(NUMBER);
    if unit.len() == unsigned.len() {
        let message = format!("expected a quantity, found `{word}`");
        return Err((message, Some("such as 20ms, 1%, 2k/s, 64MiB or 10".to_owned())));
    }
    let plain = |error: UnitError| (error.to_string(), None);
    if unit.is_empty() {
        let is_number = unsigned
            .bytes()
            .next_back()
            .is_some_and(|byte| byte.is_ascii_digit())
            && unsigned.starts_with(|one: char| one.is_ascii_digit());
        return match word.parse::<f64>() {
            Ok(number) if is_number && number.is_finite() => Ok(Quantity::Number(number)),
            _ => Err((format!("`{word}` is no number"), None)),
        };
    }
    if unit == "%" {
        Ratio::parse(word).map(Quantity::Ratio).map_err(plain)
    } else if unit.contains('/') {
        Rate::parse(word).map(Quantity::Rate).map_err(plain)
    } else if unit.ends_with(['B', 'b']) {
        Bytes::parse(word).map(Quantity::Bytes).map_err(plain)
    } else if let Ok(count) = Count::parse(word) {
        Ok(Quantity::Number(count.0 as f64))
    } else {
        parse_duration(word)
            .map(Quantity::Duration)
            .map_err(|error| match error {
                // Without a nearest unit nobody knows that a duration was meant.
                UnitError::UnknownUnit { unit, forms, .. } if forms == Duration::FORM.examples => (
                    format!("`{unit}` is no unit"),
                    Some("such as 20ms, 1%, 2k/s, 64MiB or 10".to_owned()),
                ),
                error => plain(error),
            })
    }
}
