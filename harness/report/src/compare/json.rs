//! The comparison for programs: every value of every run, and the changes with their intervals. docs/compare.md
//! describes the shape.

use serde::Serialize;
use squall_model::record::{Machine, Verdict};

use super::measure::{Better, By, Of, Row};
use super::section::{differences, faults};
use super::{Comparison, Comparisons, Run, Side, trust};

/// Version of the shape.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'c> {
    schema: u32,
    notes: &'c [String],
    comparisons: Vec<One<'c>>,
}

#[derive(Serialize)]
struct One<'c> {
    scenario: &'c str,
    doubts: Vec<String>,
    sides: Vec<SideOf<'c>>,
    changes: Vec<RowOf<'c>>,
    faults: Vec<FaultOf<'c>>,
    differences: Vec<Difference>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct SideOf<'c> {
    name: &'c str,
    runs: Vec<RunOf<'c>>,
}

#[derive(Serialize)]
struct RunOf<'c> {
    run: &'c str,
    scenario: &'c str,
    verdict: Verdict,
    started_at: &'c str,
    duration_us: u64,
    revision: &'c str,
    seed: u64,
    quick: bool,
    machine: &'c Machine,
}

#[derive(Serialize)]
struct RowOf<'c> {
    phase: &'c str,
    load: Option<&'c str>,
    service: Option<&'c str>,
    metric: &'static str,
    unit: &'static str,
    better: Option<&'static str>,
    /// Per side, per run.
    values: Vec<Vec<Option<f64>>>,
    spoilt: Vec<Vec<bool>>,
    /// Per side but the first.
    against_first: Vec<ChangeOf<'c>>,
}

#[derive(Serialize)]
struct ChangeOf<'c> {
    side: &'c str,
    ratio: Option<f64>,
    difference: Option<f64>,
    interval: Option<IntervalOf>,
    no_interval: Option<String>,
    borne_out: bool,
}

#[derive(Serialize)]
struct IntervalOf {
    low: f64,
    high: f64,
    confidence: f64,
}

#[derive(Serialize)]
struct FaultOf<'c> {
    name: &'c str,
    sides: Vec<Vec<Option<FeltOf>>>,
}

#[derive(Serialize)]
struct FeltOf {
    proved: bool,
    detect_us: Option<u64>,
    recover_us: Option<u64>,
    unrecovered_us: Option<u64>,
    debt_us: Option<u64>,
}

#[derive(Serialize)]
struct Difference {
    what: &'static str,
    sides: Vec<String>,
}

pub(super) fn text(comparisons: &Comparisons) -> String {
    let document = Document {
        schema: SCHEMA,
        notes: &comparisons.notes,
        comparisons: comparisons.of.iter().map(one).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("plain values with text keys");
    text.push('\n');
    text
}

fn one(comparison: &Comparison) -> One<'_> {
    let differences = differences::facts(comparison);
    One {
        scenario: comparison.scenario(),
        doubts: trust::doubts(comparison)
            .into_iter()
            .map(|(_, text)| text)
            .collect(),
        sides: comparison.sides.iter().zip(&comparison.names).map(side).collect(),
        changes: comparison
            .rows
            .iter()
            .map(|row| row_of(comparison, row))
            .collect(),
        faults: faults::names(comparison)
            .into_iter()
            .map(|name| FaultOf {
                name,
                sides: comparison.sides.iter().map(|side| felt(side, name)).collect(),
            })
            .collect(),
        differences: differences
            .into_iter()
            .map(|(what, sides)| Difference { what, sides })
            .collect(),
        sources: differences::sources(comparison),
    }
}

fn side<'c>((side, name): (&'c Side, &'c String)) -> SideOf<'c> {
    SideOf {
        name,
        runs: side.runs.iter().map(run).collect(),
    }
}

fn run(run: &Run) -> RunOf<'_> {
    let record = &run.recording.record;
    RunOf {
        run: &run.name,
        scenario: &record.scenario,
        verdict: record.verdict,
        started_at: &record.started_at,
        duration_us: record.duration_us,
        revision: &record.revision,
        seed: record.seed,
        quick: record.quick,
        machine: &record.machine,
    }
}

fn row_of<'c>(comparison: &'c Comparison, row: &'c Row) -> RowOf<'c> {
    let (load, service) = match &row.of {
        Of::Load(load) => (Some(load.as_str()), None),
        Of::Service(service) => (None, Some(service.as_str())),
        Of::All => (None, None),
    };
    RowOf {
        phase: &row.phase,
        load,
        service,
        metric: row.metric.key(),
        unit: row.metric.unit().name(),
        better: match row.metric.better() {
            Better::Lower => Some("lower"),
            Better::Higher => Some("higher"),
            Better::Neither => None,
        },
        values: row
            .sides
            .iter()
            .map(|runs| runs.iter().map(|run| run.value).collect())
            .collect(),
        spoilt: row
            .sides
            .iter()
            .map(|runs| runs.iter().map(|run| run.spoilt).collect())
            .collect(),
        against_first: comparison
            .others()
            .map(|other| change(comparison, row, other))
            .collect(),
    }
}

fn change<'c>(comparison: &'c Comparison, row: &Row, other: usize) -> ChangeOf<'c> {
    let by = row.metric.by();
    let change = row.change(other);
    let estimate = |wanted: By| change.estimate.filter(|_| by == wanted);
    ChangeOf {
        side: &comparison.names[other],
        ratio: estimate(By::Ratio),
        difference: estimate(By::Difference),
        interval: change.interval.map(|interval| IntervalOf {
            low: interval.low,
            high: interval.high,
            confidence: interval.confidence,
        }),
        no_interval: change.no_interval(),
        borne_out: change.is_borne_out(by),
    }
}

fn felt(side: &Side, name: &str) -> Vec<Option<FeltOf>> {
    let faults = faults::of_side(side, name).into_iter();
    faults
        .map(|fault| {
            fault.map(|fault| FeltOf {
                proved: fault.proved,
                detect_us: fault.felt.detect_us,
                recover_us: fault.felt.recover_us,
                unrecovered_us: fault.felt.unrecovered_us,
                debt_us: fault.felt.debt_us,
            })
        })
        .collect()
}
