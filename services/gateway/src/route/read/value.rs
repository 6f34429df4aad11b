//! JSON of the kind that is expected, or a mistake that says so.

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use serde_json::{Map, Value};

use super::{Fault, NAME_BYTES_MAX, Reading, optional};

/// Where something is, such as `routes[2].match`.
pub(super) struct Place(String);

impl Place {
    pub(super) fn root() -> Self {
        Self(String::new())
    }

    pub(super) fn key(&self, key: &str) -> Self {
        if self.0.is_empty() {
            return Self(key.to_owned());
        }
        Self(format!("{}.{key}", self.0))
    }

    fn item(&self, at: usize) -> Self {
        Self(format!("{}[{at}]", self.0))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "table" } else { &self.0 })
    }
}

impl Reading<'_> {
    /// Notes a mistake; there is nothing to go on with.
    pub(super) fn fault<T>(&mut self, place: &Place, what: String) -> Option<T> {
        self.faults.push(Fault {
            place: place.to_string(),
            what,
        });
        None
    }

    /// An object that has no other fields than these.
    pub(super) fn object<'v>(
        &mut self,
        value: &'v Value,
        place: &Place,
        known: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Value::Object(fields) = value else {
            return self.fault(
                place,
                format!("is {value}, not an object with {}", known.join(", ")),
            );
        };
        for unknown in fields.keys().filter(|key| !known.contains(&key.as_str())) {
            let what = format!("is not known here; use {}", known.join(", "));
            self.fault::<()>(&place.key(unknown), what);
        }
        Some(fields)
    }

    pub(super) fn required<'v>(
        &mut self,
        fields: &'v Map<String, Value>,
        key: &str,
        place: &Place,
    ) -> Option<(&'v Value, Place)> {
        let found = optional(fields, key, place);
        if found.is_none() {
            self.fault::<()>(&place.key(key), "is missing".to_owned());
        }
        found
    }

    /// Its items and their places; none where it is no list.
    pub(super) fn list<'v>(
        &mut self,
        value: &'v Value,
        place: &Place,
        max: usize,
    ) -> Vec<(&'v Value, Place)> {
        let what = match value {
            Value::Array(items) if items.len() <= max => {
                return items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| (item, place.item(at)))
                    .collect();
            }
            Value::Array(items) => format!("has {} items; give at most {max}", items.len()),
            other => format!("is {other}, not a list"),
        };
        self.fault::<()>(place, what);
        Vec::new()
    }

    pub(super) fn text<'v>(&mut self, value: &'v Value, place: &Place) -> Option<&'v str> {
        match value {
            Value::String(text) => Some(text),
            other => self.fault(place, format!("is {other}, not a text")),
        }
    }

    /// A name of something, such as a rule.
    pub(super) fn name(&mut self, value: &Value, place: &Place) -> Option<Arc<str>> {
        let text = self.text(value, place)?;
        if text.is_empty() || text.len() > NAME_BYTES_MAX || text.chars().any(char::is_control) {
            let what = format!("is {text:?}; give 1 to {NAME_BYTES_MAX} bytes without control characters");
            return self.fault(place, what);
        }
        Some(Arc::from(text))
    }

    pub(super) fn header_name(&mut self, value: &Value, place: &Place) -> Option<HeaderName> {
        let text = self.text(value, place)?;
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) => Some(name),
            Err(_) => self.fault(place, format!("is {text:?}, which is no name of a header")),
        }
    }
}
