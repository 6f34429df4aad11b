//! The JSON Schema of a whole scenario, for editors and for `squall schema`.

use serde_json::{Map, Value, json};

use super::{Scenario, Schedule};
use crate::decode::{Decode, Schema, field_schema, hoist};

/// One entry of a registry: what a kind is called, what it is, what it takes.
#[derive(Clone, Debug)]
pub struct Described {
    /// The word that names it.
    pub name: &'static str,
    /// One line on what it is.
    pub about: &'static str,
    /// What its parameters look like.
    pub schema: Schema,
}

/// The kinds that registries elsewhere know.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// Faults, parameters without the schedule.
    pub faults: Vec<Described>,
    /// Protocols of a load.
    pub protocols: Vec<Described>,
    /// Arrival processes of a load.
    pub arrivals: Vec<Described>,
    /// Invariants.
    pub invariants: Vec<Described>,
}

/// The schema of a scenario, with `vocabulary` for the open parts.
pub fn schema(vocabulary: &Vocabulary) -> Schema {
    let mut root = Scenario::schema();
    let faults: Vec<Described> = vocabulary.faults.iter().map(scheduled).collect();
    replace(
        &mut root,
        &mut |fragment| match fragment.get("title").and_then(Value::as_str) {
            Some("Fault") => *fragment = kinds("Fault", "Something that breaks.", &faults),
            Some("Arrivals") => {
                *fragment = kinds("Arrivals", "How send times are spread.", &vocabulary.arrivals);
            }
            Some("Invariant") => {
                *fragment = kinds("Invariant", "What must never fail.", &vocabulary.invariants);
            }
            Some("Load") => close_load(fragment, &vocabulary.protocols),
            _ => {}
        },
    );
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["title"] = json!("Squall scenario");
    root["patternProperties"] = json!({"^x-": true});
    hoist(root)
}

/// Applies `change` to every fragment, the innermost first.
fn replace(value: &mut Value, change: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, change)),
        Value::Object(fragment) => fragment.values_mut().for_each(|inner| replace(inner, change)),
        _ => return,
    }
    if value.is_object() {
        change(value);
    }
}

/// A kind as one key with its parameters, or as a word where it needs none.
fn kinds(title: &str, about: &str, entries: &[Described]) -> Value {
    let words = entries.iter().filter(|entry| takes_nothing(&entry.schema));
    let words = words.map(|entry| json!({"const": entry.name, "description": entry.about}));
    let mut properties = Map::new();
    for entry in entries {
        properties.insert(
            entry.name.to_owned(),
            field_schema(entry.schema.clone(), &[entry.about]),
        );
    }
    let one_key = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    });
    let forms: Vec<Value> = words.chain([one_key]).collect();
    json!({"title": title, "description": about, "anyOf": forms})
}

/// True if no parameters at all is no error: as an empty mapping they break no rule.
fn takes_nothing(schema: &Value) -> bool {
    let list = |key: &str| {
        schema
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
    };
    if schema.get("type").is_some_and(|kind| kind != "object") || !list("required").is_empty() {
        return false;
    }
    let one_of = ["anyOf", "oneOf"].map(list);
    let negated = schema.get("not").is_none_or(|not| !takes_nothing(not));
    negated
        && list("allOf").iter().all(takes_nothing)
        && one_of
            .iter()
            .all(|forms| forms.is_empty() || forms.iter().any(takes_nothing))
}

/// A fault's parameters together with its schedule.
fn scheduled(fault: &Described) -> Described {
    let mut schema = fault.schema.clone();
    let schedule = Schedule::schema();
    if let (Some(own), Some(more)) = (
        schema.get_mut("properties").and_then(Value::as_object_mut),
        schedule["properties"].as_object(),
    ) {
        for (key, value) in more {
            own.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    let mut rules = schema
        .get("allOf")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    rules.extend(schedule["allOf"].as_array().cloned().unwrap_or_default());
    schema["allOf"] = Value::Array(rules);
    Described {
        schema,
        ..fault.clone()
    }
}

/// A load has its own keys and exactly one that names its protocol.
fn close_load(load: &mut Value, protocols: &[Described]) {
    let Some(fragment) = load.as_object_mut() else {
        return;
    };
    fragment.remove("minProperties");
    fragment.insert("additionalProperties".to_owned(), json!(false));
    if let Some(properties) = fragment.get_mut("properties").and_then(Value::as_object_mut) {
        for protocol in protocols {
            let schema = field_schema(protocol.schema.clone(), &[protocol.about]);
            properties.insert(protocol.name.to_owned(), schema);
        }
    }
    let each: Vec<Value> = protocols
        .iter()
        .map(|protocol| json!({"required": [protocol.name]}))
        .collect();
    let rules = fragment.entry("allOf").or_insert_with(|| json!([]));
    if let Some(rules) = rules.as_array_mut()
        && !each.is_empty()
    {
        rules.push(json!({"oneOf": each}));
    }
}
