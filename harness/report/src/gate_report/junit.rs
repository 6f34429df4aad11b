//! Gates as JUnit XML: a suite per scenario, a case per metric and per invariant that the candidate broke.
//!
//! What does not decide is skipped with the reason. The document is never green where the gate blocks: if no case says so, one for
//! the verdict does.

use squall_model::gate::{GateRecord, GateVerdict, MetricRecord};

use super::section::of_candidate;
use super::wording;
use crate::render::{Case, Outcome, Suite, junit_document};

/// All gates of a command.
pub fn junit(records: &[GateRecord]) -> String {
    let suites: Vec<Suite> = records.iter().map(suite).collect();
    let duration_us = records.iter().map(|record| record.duration_us).sum();
    junit_document("squall gate", duration_us, &suites)
}

fn suite(record: &GateRecord) -> Suite {
    let mut cases: Vec<Case> = record
        .metrics
        .iter()
        .map(|metric| of_metric(record, metric))
        .collect();
    cases.extend(of_candidate(record).into_iter().map(|(invariant, message)| Case {
        name: invariant,
        outcome: if record.exit_code == 0 {
            Outcome::Skipped
        } else {
            Outcome::Failed
        },
        kind: "violated",
        message,
        note: String::new(),
    }));
    if !tells(record, &cases) {
        cases.push(of_verdict(record));
    }
    Suite {
        name: record.scenario.clone(),
        package: "gate".to_owned(),
        started_at: record.started_at.clone(),
        cases,
    }
}

/// Whether the cases say what the verdict says.
fn tells(record: &GateRecord, cases: &[Case]) -> bool {
    let has = |outcome: Outcome| cases.iter().any(|case| case.outcome == outcome);
    match record.verdict {
        GateVerdict::Regressed => has(Outcome::Failed),
        _ if record.exit_code != 0 => has(Outcome::Failed),
        GateVerdict::Pass | GateVerdict::Improved => has(Outcome::Passed),
        // Of several metrics that are all skipped none says why nothing came of the whole.
        GateVerdict::Inconclusive | GateVerdict::NoBase => false,
    }
}

fn of_verdict(record: &GateRecord) -> Case {
    let outcome = match record.verdict {
        GateVerdict::Regressed => Outcome::Failed,
        _ if record.exit_code != 0 => Outcome::Failed,
        GateVerdict::Pass | GateVerdict::Improved => Outcome::Passed,
        GateVerdict::Inconclusive | GateVerdict::NoBase => Outcome::Skipped,
    };
    let mut reasons = wording::reasons(record);
    reasons.extend(record.advice.iter().cloned());
    Case {
        name: "verdict".to_owned(),
        outcome,
        kind: wording::verdict(record.verdict),
        message: reasons.join("\n"),
        note: String::new(),
    }
}

fn of_metric(record: &GateRecord, metric: &MetricRecord) -> Case {
    let verdict = metric.finding.map(|finding| (finding.verdict, finding.accepted));
    let (outcome, kind) = match verdict {
        _ if !wording::weighs(metric) => (Outcome::Skipped, "informs"),
        Some((GateVerdict::Regressed, true)) => (Outcome::Skipped, "accepted"),
        Some((GateVerdict::Regressed, false)) => (Outcome::Failed, "regressed"),
        Some((GateVerdict::Pass | GateVerdict::Improved, _)) => (Outcome::Passed, "pass"),
        Some((GateVerdict::Inconclusive | GateVerdict::NoBase, _)) | None => {
            (Outcome::Skipped, "inconclusive")
        }
    };
    Case {
        name: metric.name.clone(),
        outcome,
        kind,
        message: wording::sentence(record, metric),
        note: String::new(),
    }
}
