//! A baseline for programs: every entry, and the trend of every metric. docs/baselines.md describes the shape.

use serde::Serialize;
use squall_model::baseline::Spread;
use squall_model::record::Machine;

use super::Shown;
use crate::index::change_point;

/// Version of the shape.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'s> {
    schema: u32,
    scenario: &'s str,
    machine: &'s str,
    this_machine: bool,
    hardware: &'s Machine,
    method: Method,
    entries: Vec<EntryOf<'s>>,
    metrics: Vec<MetricOf<'s>>,
}

#[derive(Serialize)]
struct Method {
    name: &'static str,
    fewest_entries: usize,
    fewest_between: usize,
    most_entries: usize,
    level: f64,
    permutations: usize,
}

#[derive(Serialize)]
struct EntryOf<'s> {
    saved_at: &'s str,
    measured_at: &'s str,
    revision: &'s str,
    runs: &'s [String],
    seeds: &'s [u64],
    /// Whether it is of what the newest is of.
    comparable: bool,
}

#[derive(Serialize)]
struct MetricOf<'s> {
    scope: &'s str,
    metric: String,
    unit: &'static str,
    newest: f64,
    /// The entries that have it, from 0, and its value there.
    values: Vec<(usize, f64)>,
    tested: bool,
    since_change: Spread,
    changes: Vec<ChangeOf>,
}

#[derive(Serialize)]
struct ChangeOf {
    /// The entry before it and the one after it, from 0.
    between: (usize, usize),
    median_before: f64,
    median_after: f64,
    p_value: f64,
}

pub(super) fn text(shown: &Shown) -> String {
    let baseline = &shown.baseline;
    let first = baseline.entries.len() - baseline.comparable().len();
    let entries = baseline.entries.iter().enumerate().map(|(at, entry)| EntryOf {
        saved_at: &entry.saved_at,
        measured_at: &entry.measured_at,
        revision: &entry.revision,
        runs: &entry.runs,
        seeds: &entry.seeds,
        comparable: at >= first,
    });
    let metrics = shown.trends.iter().map(|trend| MetricOf {
        scope: &trend.key.scope,
        metric: trend.key.path(),
        unit: trend.unit.name(),
        newest: trend.newest(),
        values: trend.points.clone(),
        tested: trend.is_tested(),
        since_change: trend.spread(),
        changes: trend
            .changes
            .iter()
            .map(|change| ChangeOf {
                between: (trend.points[change.at - 1].0, trend.points[change.at].0),
                median_before: change.medians.0,
                median_after: change.medians.1,
                p_value: change.p_value,
            })
            .collect(),
    });
    let document = Document {
        schema: SCHEMA,
        scenario: &baseline.scenario,
        machine: &shown.machine,
        this_machine: shown.is_this_machine,
        hardware: &baseline.machine,
        method: Method {
            name: "E-divisive means",
            fewest_entries: change_point::FEWEST,
            fewest_between: change_point::SHORTEST,
            most_entries: change_point::MOST,
            level: change_point::LEVEL,
            permutations: change_point::PERMUTATIONS,
        },
        entries: entries.collect(),
        metrics: metrics.collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("plain values with text keys");
    text.push('\n');
    text
}
