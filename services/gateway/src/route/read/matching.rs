//! Reads what a rule is about.

use regex::bytes::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::value::Place;
use super::{Reading, optional};
use crate::route::matching::{HeaderMatch, Matching, PathMatch, ValueMatch};

const HEADERS_MAX: usize = 32;
const METHODS_MAX: usize = 32;
/// How much memory a compiled pattern may take, in bytes.
const REGEX_BYTES_MAX: usize = 256 * 1024;
const VALUES: [&str; 4] = ["exact", "prefix", "regex", "present"];

/// What matches every request.
pub(super) fn everything() -> Matching {
    Matching {
        path: PathMatch::Any,
        methods: Vec::new(),
        headers: Vec::new(),
    }
}

impl Reading<'_> {
    pub(super) fn matching(&mut self, value: &Value, place: &Place) -> Option<Matching> {
        let fields = self.object(value, place, &["prefix", "exact", "method", "headers"])?;
        let path = self.path(fields, place);
        let methods = match optional(fields, "method", place) {
            Some((value, place)) => self.methods(value, &place),
            None => Vec::new(),
        };
        let mut headers = Vec::new();
        if let Some((value, place)) = optional(fields, "headers", place) {
            for (item, place) in self.list(value, &place, HEADERS_MAX) {
                headers.extend(self.header(item, &place));
            }
        }
        Some(Matching {
            path: path?,
            methods,
            headers,
        })
    }

    fn path(&mut self, fields: &Map<String, Value>, place: &Place) -> Option<PathMatch> {
        let (prefix, exact) = (
            optional(fields, "prefix", place),
            optional(fields, "exact", place),
        );
        let make: fn(Box<str>) -> PathMatch = if prefix.is_some() {
            PathMatch::Prefix
        } else {
            PathMatch::Exact
        };
        let (value, at) = match (prefix, exact) {
            (None, None) => return Some(PathMatch::Any),
            (Some(given), None) | (None, Some(given)) => given,
            (Some(_), Some(_)) => {
                return self.fault(place, "has both prefix and exact; give one of them".to_owned());
            }
        };
        let text = self.text(value, &at)?;
        if !text.starts_with('/') || text.contains('?') {
            let what = format!("is {text:?}; a path begins with / and has no query");
            return self.fault(&at, what);
        }
        Some(make(text.into()))
    }

    fn methods(&mut self, value: &Value, place: &Place) -> Vec<Box<str>> {
        if value.is_string() {
            return self.method(value, place).into_iter().collect();
        }
        let items = self.list(value, place, METHODS_MAX);
        if items.is_empty() && value.is_array() {
            self.fault::<()>(
                place,
                "is empty, so nothing matches; leave it out to match every method".to_owned(),
            );
        }
        let read = items.into_iter().filter_map(|(item, at)| self.method(item, &at));
        read.collect()
    }

    fn method(&mut self, value: &Value, place: &Place) -> Option<Box<str>> {
        let text = self.text(value, place)?;
        match http::Method::from_bytes(text.as_bytes()) {
            // Methods are case-sensitive; one in small letters is a slip.
            Ok(_) if !text.bytes().any(|byte| byte.is_ascii_lowercase()) => Some(text.into()),
            _ => self.fault(place, format!("is {text:?}; give a method such as GET")),
        }
    }

    fn header(&mut self, value: &Value, place: &Place) -> Option<HeaderMatch> {
        let fields = self.object(value, place, &["name", "exact", "prefix", "regex", "present"])?;
        let name = self
            .required(fields, "name", place)
            .and_then(|(value, place)| self.header_name(value, &place));
        let mut given = VALUES
            .into_iter()
            .filter_map(|key| optional(fields, key, place).map(|(value, at)| (key, value, at)));
        let (Some((key, value, at)), None) = (given.next(), given.next()) else {
            return self.fault(place, format!("must have one of {}", VALUES.join(", ")));
        };
        let value = self.value(key, value, &at);
        Some(HeaderMatch {
            name: name?,
            value: value?,
        })
    }

    fn value(&mut self, key: &str, value: &Value, place: &Place) -> Option<ValueMatch> {
        if key == "present" {
            return match value {
                Value::Bool(true) => Some(ValueMatch::Present),
                Value::Bool(false) => Some(ValueMatch::Absent),
                other => self.fault(place, format!("is {other}; give true or false")),
            };
        }
        let text = self.text(value, place)?;
        match key {
            "exact" => Some(ValueMatch::Exact(text.as_bytes().into())),
            "prefix" => Some(ValueMatch::Prefix(text.as_bytes().into())),
            _ => match whole(text) {
                Ok(regex) => Some(ValueMatch::Regex(regex)),
                Err(error) => self.fault(place, format!("is no regular expression: {error}")),
            },
        }
    }
}

/// A pattern for all of a value.
fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    let compile = |pattern: &str| {
        RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build()
    };
    // By itself first: `a)|(b` is a pattern only in the brackets that are put around it here.
    compile(pattern)?;
    compile(&format!(r"\A(?:{pattern})\z"))
}
