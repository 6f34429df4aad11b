//! Rules as data: Sentinel's JSON, checked once, every fault at once.
//!
//! The names and defaults are those of `FlowRule` and `DegradeRule` of alibaba/Sentinel 1.8, so a file that its dashboard or a data source wrote
//! can be read. Fields of theirs that decide nothing here (`id`, `app`, `ip`, `gmtCreate`, `refResource`, ...) are accepted by name. What
//! would change a decision and is not done here (`strategy`, `clusterMode`, `limitApp`, `regex`) is refused rather than ignored. So are
//! the fields of sentinel-golang, whose `controlBehavior` and `threshold` mean something else, and every name that nobody knows: a
//! misspelt field would leave a default in force without a word.
//!
//! Fields that Sentinel does not have: `statIntervalMs` and `statBuckets` of a flow rule, `statBuckets` and
//! `recoveryProbes` of a degrade rule, and latency rules altogether.

pub mod degrade;
pub mod flow;
pub mod latency;
mod read;

use std::fmt;

use serde::Serialize;

pub use degrade::{DegradeRule, Strategy};
pub use flow::{Behaviour, FlowRule, Grade};
pub use latency::LatencyRule;

/// The most rules of one kind that a rule set may have.
pub const RULES_MAX: usize = 1_000;
/// The most degrade rules of one resource.
pub const BREAKERS_MAX: usize = 4;

/// All rules that are in force at a time. Written as JSON it can be read again.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RuleSet {
    /// Flow rules, in the order in which they are asked.
    pub flow: Vec<FlowRule>,
    /// Degrade rules, likewise.
    pub degrade: Vec<DegradeRule>,
    /// Latency rules, at most one for each resource.
    pub latency: Vec<LatencyRule>,
}

impl RuleSet {
    /// Reads rules: a JSON list of flow rules, as Sentinel's data sources hold it, or an object with the lists `flow`, `degrade` and
    /// `latency`, each of which may be missing.
    pub fn from_json(text: &str) -> Result<Self, RuleErrors> {
        read::rule_set(text)
    }

    /// Looks for what no rule set may have.
    pub fn check(&self) -> Result<(), RuleErrors> {
        let mut faults = Faults::default();
        for (at, rule) in self.flow.iter().enumerate() {
            rule.check(&mut faults.of(format!("flow[{at}]"), &rule.resource));
        }
        for (at, rule) in self.degrade.iter().enumerate() {
            let mut faults = faults.of(format!("degrade[{at}]"), &rule.resource);
            rule.check(&mut faults);
            let same = |other: &&DegradeRule| other.resource == rule.resource;
            if self.degrade[..at].iter().filter(same).count() == BREAKERS_MAX {
                faults.add(
                    "resource",
                    format!("has more than {BREAKERS_MAX} degrade rules"),
                    "remove one",
                );
            }
        }
        for (at, rule) in self.latency.iter().enumerate() {
            let mut faults = faults.of(format!("latency[{at}]"), &rule.resource);
            rule.check(&mut faults);
            if self.latency[..at]
                .iter()
                .any(|other| other.resource == rule.resource)
            {
                faults.add("resource", "has two latency rules".to_owned(), "remove one");
            }
        }
        for (name, length) in [
            ("flow", self.flow.len()),
            ("degrade", self.degrade.len()),
            ("latency", self.latency.len()),
        ] {
            if length > RULES_MAX {
                faults.of(name.to_owned(), "").add(
                    "list",
                    format!("has {length} rules"),
                    &format!("give at most {RULES_MAX}"),
                );
            }
        }
        faults.into_result()
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.flow.len() + self.degrade.len() + self.latency.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is wrong with one field of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// Which rule: `flow[2]`.
    pub rule: String,
    /// Its resource, or nothing where that is not known.
    pub resource: String,
    /// The field.
    pub field: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule)?;
        if !self.resource.is_empty() {
            write!(f, " (resource `{}`)", self.resource)?;
        }
        write!(f, ": `{}` {}; {}", self.field, self.what, self.advice)
    }
}

/// Why a rule set was refused: every fault of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules refused: {}", self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; and "))]
pub struct RuleErrors(pub Vec<RuleFault>);

/// Faults as they are found.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<RuleFault>);

impl Faults {
    pub(crate) fn of<'a>(&'a mut self, rule: String, resource: &'a str) -> RuleFaults<'a> {
        RuleFaults {
            faults: self,
            rule,
            resource,
        }
    }

    pub(crate) fn into_result(self) -> Result<(), RuleErrors> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(RuleErrors(self.0))
        }
    }
}

/// The faults of one rule.
#[derive(Debug)]
pub(crate) struct RuleFaults<'a> {
    faults: &'a mut Faults,
    rule: String,
    resource: &'a str,
}

impl RuleFaults<'_> {
    pub(crate) fn add(&mut self, field: &str, what: String, advice: &str) {
        self.faults.0.push(RuleFault {
            rule: self.rule.clone(),
            resource: self.resource.to_owned(),
            field: field.to_owned(),
            what,
            advice: advice.to_owned(),
        });
    }

    /// A field must be in a range.
    pub(crate) fn within(&mut self, field: &str, value: f64, range: (f64, f64)) {
        // Not the other way round: what is no number is in no range.
        if !(range.0..=range.1).contains(&value) {
            let advice = format!("give a number from {} to {}", range.0, range.1);
            self.add(field, format!("is {value}"), &advice);
        }
    }

    pub(crate) fn resource(&mut self) {
        if self.resource.is_empty() {
            self.add(
                "resource",
                "is empty".to_owned(),
                "give the name of what is guarded",
            );
        }
    }

    pub(crate) fn span(&mut self, interval_ms: u32, buckets: u32) {
        use crate::window::{BUCKET_MS_MIN, BUCKETS_MAX, Span};
        if Span::new(interval_ms, buckets).is_none() {
            let what = format!("of {buckets} do not cut `statIntervalMs` of {interval_ms}");
            let advice = format!(
                "give 1 to {BUCKETS_MAX} that divide it into equal parts of at least {BUCKET_MS_MIN} ms"
            );
            self.add("statBuckets", what, &advice);
        }
    }
}
