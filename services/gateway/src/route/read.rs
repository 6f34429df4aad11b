//! From JSON to a table: every mistake at once, each with its place.

mod matching;
mod value;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use serde_json::{Map, Value};

use self::value::Place;
use super::experiment::{Experiment, UserHash, Variant};
use super::split::Split;
use super::table::{Action, RouteTable, Rule};

/// How long a text may be, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
const ROUTES_MAX: usize = 1_000;
const EXPERIMENTS_MAX: usize = 100;
/// How many clusters a rule, or variants an experiment, may weigh.
const WEIGHTS_MAX: usize = 64;
/// How long a name may be, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// The header whose value is the user, where an experiment does not say.
const KEY: HeaderName = HeaderName::from_static("x-user-id");
const ACTIONS: &str = "cluster, weights or experiment";

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it is, such as `routes[2].match.prefix`.
    pub place: String,
    /// What is wrong there, and what would be right.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.what)
    }
}

/// Everything that is wrong with a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TableErrors(pub Vec<Fault>);

impl fmt::Display for TableErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

pub(super) fn text(text: &str, clusters: &BTreeSet<Arc<str>>) -> Result<RouteTable, TableErrors> {
    let wrong = |what| {
        Err(TableErrors(vec![Fault {
            place: "table".to_owned(),
            what,
        }]))
    };
    if text.len() > TEXT_BYTES_MAX {
        return wrong(format!("has {} bytes; give at most {TEXT_BYTES_MAX}", text.len()));
    }
    match serde_json::from_str(text) {
        Ok(value) => table(&value, clusters),
        Err(error) => wrong(format!("is not JSON: {error}")),
    }
}

pub(super) fn table(value: &Value, clusters: &BTreeSet<Arc<str>>) -> Result<RouteTable, TableErrors> {
    let mut reading = Reading {
        clusters,
        experiments: Vec::new(),
        faults: Vec::new(),
    };
    let read = reading.table(value);
    let Reading {
        experiments, faults, ..
    } = reading;
    match read {
        Some((rules, default)) if faults.is_empty() => Ok(RouteTable {
            clusters: clusters.clone(),
            experiments,
            rules,
            default,
        }),
        _ => Err(TableErrors(faults)),
    }
}

/// A table that is being read, and what is wrong with it so far. What returns none has said why.
struct Reading<'a> {
    clusters: &'a BTreeSet<Arc<str>>,
    experiments: Vec<Arc<Experiment>>,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn table(&mut self, value: &Value) -> Option<(Vec<Rule>, Action)> {
        let root = Place::root();
        let fields = self.object(value, &root, &["experiments", "routes", "default"])?;
        if let Some((value, place)) = optional(fields, "experiments", &root) {
            for (item, place) in self.list(value, &place, EXPERIMENTS_MAX) {
                let read = self.experiment(item, &place);
                self.experiments.extend(read.map(Arc::new));
            }
        }
        let mut rules: Vec<Rule> = Vec::new();
        if let Some((value, place)) = optional(fields, "routes", &root) {
            for (item, place) in self.list(value, &place, ROUTES_MAX) {
                let Some(rule) = self.rule(item, &place) else {
                    continue;
                };
                if rules.iter().any(|other| other.name == rule.name) {
                    let what = format!("is {}, as that of another route; name them apart", rule.name);
                    self.fault::<()>(&place.key("name"), what);
                }
                rules.push(rule);
            }
        }
        let (value, place) = self.required(fields, "default", &root)?;
        let default = if let Value::String(_) = value {
            self.cluster(value, &place).map(Action::Cluster)
        } else {
            let fields = self.object(value, &place, &["cluster", "weights", "experiment"])?;
            self.action(fields, &place)
        }?;
        Some((rules, default))
    }

    fn rule(&mut self, value: &Value, place: &Place) -> Option<Rule> {
        let known = ["name", "match", "cluster", "weights", "experiment"];
        let fields = self.object(value, place, &known)?;
        let name = match optional(fields, "name", place) {
            Some((value, place)) => self.name(value, &place),
            None => Some(Arc::from(place.to_string())),
        };
        let matching = match optional(fields, "match", place) {
            Some((value, place)) => self.matching(value, &place),
            None => Some(matching::everything()),
        };
        let action = self.action(fields, place);
        Some(Rule {
            name: name?,
            matching: matching?,
            action: action?,
        })
    }

    fn action(&mut self, fields: &Map<String, Value>, place: &Place) -> Option<Action> {
        let given: Vec<_> = ["cluster", "weights", "experiment"]
            .into_iter()
            .filter_map(|key| optional(fields, key, place))
            .collect();
        match given.as_slice() {
            [(value, at)] if fields.contains_key("cluster") => self.cluster(value, at).map(Action::Cluster),
            [(value, at)] if fields.contains_key("weights") => self.weights(value, at),
            [(value, at)] => self.named_experiment(value, at).map(Action::Experiment),
            [] => self.fault(place, format!("leads nowhere; give {ACTIONS}")),
            _ => self.fault(place, format!("leads to several; give one of {ACTIONS}")),
        }
    }

    fn weights(&mut self, value: &Value, place: &Place) -> Option<Action> {
        let (mut clusters, mut weights) = (Vec::new(), Vec::new());
        for (item, place) in self.list(value, place, WEIGHTS_MAX) {
            let Some(fields) = self.object(item, &place, &["cluster", "weight"]) else {
                continue;
            };
            clusters.extend(self.required_cluster(fields, &place));
            weights.extend(self.weight(fields, &place));
        }
        let split = self.split(&weights, place)?;
        (clusters.len() == weights.len()).then_some(Action::Weights(clusters, split))
    }

    fn experiment(&mut self, value: &Value, place: &Place) -> Option<Experiment> {
        let fields = self.object(value, place, &["name", "key", "variants"])?;
        let name = self
            .required(fields, "name", place)
            .and_then(|(value, place)| self.name(value, &place));
        if let Some(name) = &name
            && self.experiments.iter().any(|other| other.name == *name)
        {
            let what = format!("is {name}, as that of another experiment; name them apart");
            self.fault::<()>(&place.key("name"), what);
        }
        let key = match optional(fields, "key", place) {
            Some((value, place)) => self.header_name(value, &place),
            None => Some(KEY),
        };
        let (value, place) = self.required(fields, "variants", place)?;
        let (mut variants, mut weights) = (Vec::<Variant>::new(), Vec::new());
        for (item, place) in self.list(value, &place, WEIGHTS_MAX) {
            let Some(fields) = self.object(item, &place, &["name", "cluster", "weight"]) else {
                continue;
            };
            let name = self
                .required(fields, "name", &place)
                .and_then(|(value, place)| self.name(value, &place));
            let cluster = self.required_cluster(fields, &place);
            weights.extend(self.weight(fields, &place));
            if let (Some(name), Some(cluster)) = (name, cluster) {
                if variants.iter().any(|other| other.name == name) {
                    let what = format!("is {name}, as that of another variant; name them apart");
                    self.fault::<()>(&place.key("name"), what);
                }
                variants.push(Variant { name, cluster });
            }
        }
        let split = self.split(&weights, &place)?;
        let name = name?;
        Some(Experiment {
            hash: UserHash::new(&format!("experiment {name}")),
            name,
            key: key?,
            split: (variants.len() == weights.len()).then_some(split)?,
            variants,
        })
    }

    fn named_experiment(&mut self, value: &Value, place: &Place) -> Option<Arc<Experiment>> {
        let name = self.text(value, place)?;
        let found = self
            .experiments
            .iter()
            .find(|experiment| *experiment.name == *name);
        match found {
            Some(experiment) => Some(Arc::clone(experiment)),
            None => self.fault(
                place,
                format!("is {name:?}, which no valid one of experiments is named"),
            ),
        }
    }

    fn required_cluster(&mut self, fields: &Map<String, Value>, place: &Place) -> Option<Arc<str>> {
        let (value, place) = self.required(fields, "cluster", place)?;
        self.cluster(value, &place)
    }

    fn cluster(&mut self, value: &Value, place: &Place) -> Option<Arc<str>> {
        let name = self.text(value, place)?;
        if let Some(cluster) = self.clusters.get(name) {
            Some(Arc::clone(cluster))
        } else {
            let known: Vec<&str> = self.clusters.iter().map(|cluster| &**cluster).collect();
            let what = format!(
                "is {name:?}, which is no cluster; use one of {}",
                known.join(", ")
            );
            self.fault(place, what)
        }
    }

    fn weight(&mut self, fields: &Map<String, Value>, place: &Place) -> Option<u32> {
        let (value, place) = self.required(fields, "weight", place)?;
        match value.as_u64().and_then(|weight| u32::try_from(weight).ok()) {
            Some(weight) => Some(weight),
            None => self.fault(
                &place,
                format!("is {value}; give a whole number from 0 to {}", u32::MAX),
            ),
        }
    }

    fn split(&mut self, weights: &[u32], place: &Place) -> Option<Split> {
        match Split::new(weights) {
            Some(split) => Some(split),
            None => self.fault(
                place,
                "has no weight above zero, so nothing can be drawn".to_owned(),
            ),
        }
    }
}

/// A field, where it is given and not null.
fn optional<'a>(fields: &'a Map<String, Value>, key: &str, place: &Place) -> Option<(&'a Value, Place)> {
    let value = fields.get(key).filter(|value| !value.is_null())?;
    Some((value, place.key(key)))
}
