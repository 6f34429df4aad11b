//! The index for programs: every run, every series, every change. docs/index.md describes the shape.

use serde::Serialize;
use squall_model::record::{Machine, Verdict};

use super::series::{Change, Scenario, Series};
use super::{Index, change_point};

/// Version of the shape.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'i> {
    schema: u32,
    folder: &'i str,
    notes: &'i [String],
    method: Method,
    scenarios: Vec<One<'i>>,
    unread: Vec<Unread<'i>>,
    comparisons: Vec<Comparison<'i>>,
}

#[derive(Serialize)]
struct Method {
    name: &'static str,
    fewest_runs: usize,
    fewest_between: usize,
    most_runs: usize,
    level: f64,
    permutations: usize,
}

#[derive(Serialize)]
struct One<'i> {
    scenario: &'i str,
    runs: Vec<Listed<'i>>,
    series: Vec<SeriesOf<'i>>,
}

#[derive(Serialize)]
struct Listed<'i> {
    run: &'i str,
    verdict: Verdict,
    reasons: &'i [String],
    started_at: &'i str,
    duration_us: u64,
    revision: &'i str,
    seed: u64,
    quick: bool,
    machine: &'i Machine,
    /// From 0.
    series: usize,
    p99_us: Option<u64>,
    throughput: Option<f64>,
    not_counted: Option<&'i str>,
}

#[derive(Serialize)]
struct SeriesOf<'i> {
    label: &'i str,
    phase: Option<&'i str>,
    load: Option<&'i str>,
    counted: usize,
    tested: bool,
    changes: Vec<ChangeOf<'i>>,
}

#[derive(Serialize)]
struct ChangeOf<'i> {
    last_before: &'i str,
    first_after: &'i str,
    median_us_before: f64,
    median_us_after: f64,
    ratio: f64,
    p_value: f64,
}

#[derive(Serialize)]
struct Unread<'i> {
    run: &'i str,
    reason: &'i str,
}

#[derive(Serialize)]
struct Comparison<'i> {
    page: &'i str,
    runs: Vec<&'i str>,
}

pub(super) fn text(index: &Index) -> String {
    let document = Document {
        schema: SCHEMA,
        folder: &index.folder,
        notes: &index.notes,
        method: Method {
            name: "E-divisive means",
            fewest_runs: change_point::FEWEST,
            fewest_between: change_point::SHORTEST,
            most_runs: change_point::MOST,
            level: change_point::LEVEL,
            permutations: change_point::PERMUTATIONS,
        },
        scenarios: index
            .scenarios
            .iter()
            .map(|scenario| one(index, scenario))
            .collect(),
        unread: index
            .unread()
            .map(|(entry, reason)| Unread {
                run: &entry.folder,
                reason,
            })
            .collect(),
        comparisons: index
            .compared
            .iter()
            .map(|compared| Comparison {
                page: &compared.name,
                runs: compared.runs.iter().map(|run| folder(index, *run)).collect(),
            })
            .collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("plain values with text keys");
    text.push('\n');
    text
}

fn folder(index: &Index, run: usize) -> &str {
    &index.entries[run].folder
}

fn one<'i>(index: &'i Index, scenario: &'i Scenario) -> One<'i> {
    One {
        scenario: &scenario.name,
        runs: scenario
            .runs
            .iter()
            .map(|run| run_of(index, scenario, *run))
            .collect(),
        series: scenario
            .series
            .iter()
            .map(|series| series_of(index, series))
            .collect(),
    }
}

fn run_of<'i>(index: &'i Index, scenario: &'i Scenario, run: usize) -> Listed<'i> {
    let summary = index.summary(run);
    let point = &scenario.points[&run];
    Listed {
        run: folder(index, run),
        verdict: summary.verdict,
        reasons: &summary.reasons,
        started_at: &summary.started_at,
        duration_us: summary.duration_us,
        revision: &summary.revision,
        seed: summary.seed,
        quick: summary.quick,
        machine: &summary.machine,
        series: scenario.series_of[&run],
        p99_us: point.as_ref().ok().map(|point| point.p99_us),
        throughput: point.as_ref().ok().map(|point| point.per_second),
        not_counted: point.as_ref().err().map(String::as_str),
    }
}

fn series_of<'i>(index: &'i Index, series: &'i Series) -> SeriesOf<'i> {
    let of = series.of.as_ref();
    SeriesOf {
        label: &series.label,
        phase: of.map(|of| of.phase.as_str()),
        load: of.map(|of| of.load.as_str()),
        counted: series.points.len(),
        tested: series.is_tested(),
        changes: series
            .changes
            .iter()
            .map(|change| change_of(index, change))
            .collect(),
    }
}

fn change_of<'i>(index: &'i Index, change: &Change) -> ChangeOf<'i> {
    ChangeOf {
        last_before: folder(index, change.between.0),
        first_after: folder(index, change.between.1),
        median_us_before: change.medians_us.0,
        median_us_after: change.medians_us.1,
        ratio: change.ratio(),
        p_value: change.p_value,
    }
}
