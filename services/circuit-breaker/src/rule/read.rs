//! From text to rules: which rule and which field a mistake is in, and all mistakes at once.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Faults, RULES_MAX, RuleErrors, RuleFaults, RuleSet};

/// Fields that change decisions in Sentinel, with the value that changes nothing. Others are refused.
const ONLY: &[(&str, &[&str])] = &[
    ("limitApp", &["null", "\"default\""]),
    ("clusterMode", &["null", "false"]),
    ("regex", &["null", "false"]),
    ("strategy", &["null", "0"]),
];
/// Fields of Sentinel and its dashboard that decide nothing, once those above are as they must be.
const IGNORED: &[&str] = &[
    "id",
    "app",
    "ip",
    "port",
    "gmtCreate",
    "gmtModified",
    "refResource",
    "clusterConfig",
    "controller",
];
/// Fields of sentinel-golang's rules, which are other rules.
const GOLANG: &[&str] = &[
    "tokenCalculateStrategy",
    "threshold",
    "relationStrategy",
    "retryTimeoutMs",
    "maxAllowedRtMs",
];

pub(super) fn rule_set(text: &str) -> Result<RuleSet, RuleErrors> {
    let mut faults = Faults::default();
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            faults.of("text".to_owned(), "").add(
                "JSON",
                format!("cannot be read: {error}"),
                "correct it there",
            );
            faults.into_result()?;
            return Ok(RuleSet::default());
        }
    };
    let mut object = match value {
        Value::Array(flow) => Map::from_iter([("flow".to_owned(), Value::Array(flow))]),
        Value::Object(object) => object,
        other => {
            let what = format!("is {other}, not rules");
            faults.of("text".to_owned(), "").add(
                "JSON",
                what,
                "give a list of flow rules, or an object with the lists flow, degrade and latency",
            );
            Map::new()
        }
    };
    let rules = RuleSet {
        flow: list(&mut object, "flow", &mut faults),
        degrade: list(&mut object, "degrade", &mut faults),
        latency: list(&mut object, "latency", &mut faults),
    };
    for unknown in object.keys() {
        faults.of("text".to_owned(), "").add(
            unknown,
            "is no kind of rule".to_owned(),
            "use flow, degrade or latency",
        );
    }
    faults.into_result()?;
    rules.check()?;
    Ok(rules)
}

fn list<T>(object: &mut Map<String, Value>, name: &str, faults: &mut Faults) -> Vec<T>
where
    T: DeserializeOwned + Serialize + Default,
{
    let items = match object.remove(name) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            let mut faults = faults.of("text".to_owned(), "");
            faults.add(name, format!("is {other}, not a list"), "give a list of rules");
            Vec::new()
        }
    };
    if items.len() > RULES_MAX {
        let advice = format!("give at most {RULES_MAX}");
        let mut faults = faults.of("text".to_owned(), "");
        faults.add(name, format!("has {} rules", items.len()), &advice);
        return Vec::new();
    }
    let own = serde_json::to_value(T::default()).expect("a rule is an object of numbers and texts");
    let one = |(at, item)| rule(format!("{name}[{at}]"), item, &own, faults);
    items.into_iter().enumerate().filter_map(one).collect()
}

/// Reads one rule, whose own fields are those of `own`.
fn rule<T: DeserializeOwned>(name: String, mut item: Value, own: &Value, faults: &mut Faults) -> Option<T> {
    let resource = item["resource"].as_str().unwrap_or_default().to_owned();
    let mut faults = faults.of(name, &resource);
    if let Value::Object(fields) = &mut item {
        for field in fields.keys().filter(|field| own.get(field).is_none()) {
            foreign(field, &fields[field], own, &mut faults);
        }
        // A field that is null is one that is missing, as data sources write it.
        fields.retain(|field, value| !value.is_null() && own.get(field).is_some());
    }
    serde_json::from_value(item)
        .map_err(|error| faults.add("rule", format!("cannot be read: {error}"), "correct it"))
        .ok()
}

/// Looks at a field that is none of the rule's own.
fn foreign(field: &str, value: &Value, own: &Value, faults: &mut RuleFaults<'_>) {
    // Latency rules are not Sentinel's, so nothing of Sentinel's is to be expected in them.
    let is_sentinels = own.get("grade").is_some();
    if let Some((_, harmless)) = ONLY.iter().find(|(name, _)| *name == field && is_sentinels) {
        if !harmless.contains(&value.to_string().as_str()) {
            let advice = format!("leave it out, or write {}", harmless[1]);
            faults.add(field, format!("is {value}, which is not supported"), &advice);
        }
    } else if GOLANG.contains(&field) {
        let what = "is a field of sentinel-golang".to_owned();
        faults.add(field, what, "write the rule as Sentinel for Java has it");
    } else if !(is_sentinels && IGNORED.contains(&field)) {
        let known: Vec<_> = own.as_object().into_iter().flat_map(Map::keys).cloned().collect();
        let advice = format!("use {}", known.join(", "));
        faults.add(field, "is no field of this rule".to_owned(), &advice);
    }
}
