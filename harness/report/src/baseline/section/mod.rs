//! The sections of a baseline, in the order in which they are read. A new one is one file and one line in [`SECTIONS`].

mod charts;
mod entries;
mod method;
mod summary;
mod values;

use super::Shown;
use super::trend::Trend;
use crate::render::Part;
use crate::section::Detail;

/// All sections. One without blocks has nothing to say.
pub(super) static SECTIONS: [fn(&Shown, Detail) -> Option<Part>; 5] = [
    summary::part,
    charts::part,
    values::part,
    entries::part,
    method::part,
];

/// The numbers that are looked at first: of loads and services what their users feel and what they cost.
const FIRST: [&str; 8] = [
    "p99",
    "p50",
    "p999",
    "recovery",
    "throughput",
    "errors",
    "achieved",
    "cpu",
];

/// The trends that a summary shows: those that were asked for, else the first numbers, and whatever changed.
fn first(shown: &Shown) -> Vec<&Trend> {
    let is_first = |trend: &&Trend| {
        let is_named = FIRST.contains(&trend.key.metric.as_str());
        // A run of one phase says each of them twice.
        let is_whole = trend.key.scope == "run" && scopes(shown) > 1 && trend.key.metric != "recovery";
        shown.is_filtered || (is_named && !is_whole) || !trend.changes.is_empty()
    };
    shown.trends.iter().filter(is_first).collect()
}

fn scopes(shown: &Shown) -> usize {
    let mut scopes: Vec<&str> = shown
        .trends
        .iter()
        .map(|trend| trend.key.scope.as_str())
        .collect();
    scopes.dedup();
    scopes.len()
}
