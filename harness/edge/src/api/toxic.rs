//! A toxic as clients see it. What they have set is kept as they have set it, also where this crate takes it for something else:
//! a delay below zero is answered as it came, and delays by nothing.

use serde::ser::{Serialize, SerializeMap as _, SerializeStruct as _, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::answer::ApiError;
use crate::api::body::{Body, mismatch};
use crate::{Direction, ToxicKind, ToxicSpec};

/// A type of toxic, with its attributes in the order in which they are written. All are whole numbers.
#[derive(Debug, PartialEq, Eq)]
struct Type {
    name: &'static str,
    attributes: &'static [&'static str],
}

const fn of(name: &'static str, attributes: &'static [&'static str]) -> Type {
    Type { name, attributes }
}

/// The type that does nothing, and so needs nothing of a proxy.
const NOOP: &str = "noop";

const TYPES: &[Type] = &[
    of("bandwidth", &["rate"]),
    of("latency", &["latency", "jitter"]),
    of("limit_data", &["bytes"]),
    of(NOOP, &[]),
    of("reset_peer", &["timeout"]),
    of("slicer", &["average_size", "size_variation", "delay"]),
    of("slow_close", &["delay"]),
    of("timeout", &["timeout"]),
];

/// The most that an attribute counts for: 292 years in milliseconds, 9 TB in bytes. Beyond it nanoseconds overflow.
const ATTRIBUTE_MAX: i64 = i64::MAX / 1_000_000;

/// A toxic.
#[derive(Clone, Debug)]
pub(super) struct Toxic {
    kind: &'static Type,
    name: String,
    /// As it was written, in whatever case.
    stream: String,
    direction: Direction,
    toxicity: f32,
    /// As many as its type has attributes.
    values: Vec<i64>,
}

impl Toxic {
    /// Reads all but the attributes, which depend on the type.
    pub(super) fn read(body: &mut Body<'_>) -> Result<Toxic, ApiError> {
        let known = ["name", "type", "stream", "toxicity", "attributes"];
        let value = body.value()?;
        let mut fields = body.fields(value, "a toxic", &known)?;
        if let Some(other) = fields.take("attributes").filter(|value| !value.is_object()) {
            return Err(mismatch(&other, "attributes"));
        }
        let type_name = fields.text("type")?.unwrap_or_default();
        let name = fields.text("name")?.unwrap_or_default();
        let stream = fields
            .text("stream")?
            .unwrap_or_else(|| Direction::Downstream.name().to_owned());
        let toxicity = fields.number("toxicity")?.unwrap_or(1.0);
        let direction = Direction::BOTH
            .into_iter()
            .find(|direction| direction.name().eq_ignore_ascii_case(&stream))
            .ok_or_else(|| ApiError::new(400, "stream was invalid, can be either upstream or downstream"))?;
        let kind = TYPES
            .iter()
            .find(|kind| kind.name == type_name)
            .ok_or_else(|| ApiError::new(400, "invalid toxic type"))?;
        Ok(Toxic {
            name: if name.is_empty() {
                format!("{type_name}_{stream}")
            } else {
                name
            },
            kind,
            stream,
            direction,
            toxicity,
            values: vec![0; kind.attributes.len()],
        })
    }

    /// With the attributes of the body that it was read from.
    pub(super) fn with_attributes(mut self, body: &mut Body<'_>) -> Result<Toxic, ApiError> {
        let Value::Object(mut object) = body.value()? else {
            return Ok(self);
        };
        let key = object
            .keys()
            .find(|key| key.eq_ignore_ascii_case("attributes"))
            .cloned();
        let attributes = key.and_then(|key| object.remove(&key));
        self.set(attributes.unwrap_or_default(), body)?;
        Ok(self)
    }

    /// As a body would have it: other attributes, another share. Everything else stays, whatever the body says.
    pub(super) fn changed(&self, body: &mut Body<'_>) -> Result<Toxic, ApiError> {
        let known = ["name", "type", "stream", "toxicity", "attributes"];
        let value = body.value()?;
        let mut fields = body.fields(value, "a toxic", &known)?;
        let mut changed = self.clone();
        if let Some(toxicity) = fields.number("toxicity")? {
            changed.toxicity = toxicity;
        }
        changed.set(fields.take("attributes").unwrap_or_default(), body)?;
        Ok(changed)
    }

    fn set(&mut self, attributes: Value, body: &mut Body<'_>) -> Result<(), ApiError> {
        let what = format!("attributes of {}", self.kind.name);
        let mut fields = body.fields(attributes, &what, self.kind.attributes)?;
        for (name, value) in self.kind.attributes.iter().zip(&mut self.values) {
            if let Some(whole) = fields.whole(name)? {
                *value = whole;
            }
        }
        Ok(())
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn direction(&self) -> Direction {
        self.direction
    }

    /// What a proxy is told; nothing for a toxic that does nothing.
    pub(super) fn spec(&self) -> Option<ToxicSpec> {
        Some(ToxicSpec {
            name: self.name.clone(),
            stream: self.direction,
            toxicity: f64::from(self.toxicity).clamp(0.0, 1.0),
            kind: self.acts()?,
        })
    }

    fn acts(&self) -> Option<ToxicKind> {
        if self.kind.name == NOOP {
            return None;
        }
        let values = self
            .values
            .iter()
            .map(|value| Value::from((*value).min(ATTRIBUTE_MAX)));
        let names = self.kind.attributes.iter().map(|name| (*name).to_owned());
        let attributes: serde_json::Map<String, Value> = names.zip(values).collect();
        let kind = serde_json::json!({ "type": self.kind.name, "attributes": attributes });
        Some(serde_json::from_value(kind).expect("every type but noop is one of a proxy's"))
    }
}

/// The attributes, in their order.
struct Attributes<'a>(&'a Toxic);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let toxic = self.0;
        let mut map = to.serialize_map(Some(toxic.values.len()))?;
        for (name, value) in toxic.kind.attributes.iter().zip(&toxic.values) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Toxic {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let toxicity = RawValue::from_string(number(self.toxicity)).map_err(serde::ser::Error::custom)?;
        let mut toxic = to.serialize_struct("toxic", 5)?;
        toxic.serialize_field("attributes", &Attributes(self))?;
        toxic.serialize_field("name", &self.name)?;
        toxic.serialize_field("type", self.kind.name)?;
        toxic.serialize_field("stream", &self.stream)?;
        toxic.serialize_field("toxicity", &toxicity)?;
        toxic.end()
    }
}

/// A number as the original writes it: 1 rather than 1.0, with an exponent only where it is very small or large.
fn number(value: f32) -> String {
    let size = value.abs();
    if size != 0.0 && size < 1e-6 {
        return format!("{value:e}");
    }
    if size >= 1e21 {
        return format!("{value:e}").replace('e', "e+");
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use crate::TOXICS;

    use super::*;

    #[test]
    fn every_type_of_a_proxy_is_offered_and_noop() {
        let offered: Vec<&str> = TYPES
            .iter()
            .map(|kind| kind.name)
            .filter(|name| *name != NOOP)
            .collect();
        let there: Vec<&str> = TOXICS.iter().map(|kind| kind.name).collect();
        assert_eq!(offered, there);
        for kind in TYPES {
            let toxic = Toxic {
                kind,
                name: "n".to_owned(),
                stream: "upstream".to_owned(),
                direction: Direction::Upstream,
                toxicity: 3.0,
                values: kind.attributes.iter().map(|_| i64::MAX).collect(),
            };
            let spec = toxic.spec();
            assert_eq!(spec.is_none(), kind.name == NOOP);
            let Some(spec) = spec else { continue };
            assert_eq!(spec.kind.type_name(), kind.name);
            assert!(spec.toxicity.eq(&1.0));
            let Value::Object(written) = serde_json::to_value(spec.kind).unwrap()["attributes"].take() else {
                panic!("{} has no attributes", kind.name);
            };
            let mut names: Vec<&str> = kind.attributes.to_vec();
            names.sort_unstable();
            assert_eq!(written.keys().collect::<Vec<_>>(), names, "{}", kind.name);
        }
    }

    #[test]
    fn numbers_are_written_as_the_original_does() {
        for (value, text) in [
            (1.0, "1"),
            (0.0, "0"),
            (0.1, "0.1"),
            (1e-7, "1e-7"),
            (1e-6, "0.000001"),
            (3.5e22, "3.5e+22"),
            (-2.0, "-2"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
