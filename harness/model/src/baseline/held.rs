//! What an expectation was held to, as a run's record says it.

use serde::{Deserialize, Serialize};

use crate::expression::Dimension;

/// A stored value that an expectation was held to. It is advisory: one number, of runs of another day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeldTo {
    /// The stored value, in the unit of the expectation's own.
    pub value: f64,
    /// What it measures, which says its unit.
    pub dimension: Dimension,
    /// Of how many runs it is the median.
    pub runs: u64,
    /// Entries that the baseline has, this one included.
    pub entries: u64,
    /// When it was saved, RFC 3339 in UTC.
    pub saved_at: String,
    /// When the newest of its runs began.
    pub measured_at: String,
    /// The revision of its runs.
    pub revision: String,
    /// The fingerprint of its machine.
    pub machine: String,
    /// How the values lie that were stored since the last change point, this one included; absent where there is only this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
    /// Whether what the scenario does has changed since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scenario_changed: bool,
}

/// The smallest and the largest of some stored values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// How many.
    pub entries: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}
