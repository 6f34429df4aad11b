//! JUnit XML, for CI systems: a suite per phase, fault and `run`, a case per expectation and invariant.
//!
//! The document is never green where the run is not a pass: if no case says so, one for the verdict itself does.

use std::fmt::Write as _;

use squall_model::record::{ExpectationRecord, InvariantRecord, Verdict};

use crate::figure;
use crate::recording::Recording;
use crate::visible::visible;

/// One case.
struct Case {
    name: String,
    verdict: Verdict,
    message: String,
}

/// The cases of a run.
pub fn junit(recording: &Recording) -> String {
    let record = &recording.record;
    let mut suites: Vec<(String, Vec<Case>)> = Vec::new();
    for expectation in &record.expectations {
        suite(&mut suites, &expectation.scope).push(of_expectation(expectation));
    }
    suite(&mut suites, "run").extend(record.invariants.iter().map(of_invariant));
    let told = suites
        .iter()
        .flat_map(|(_, cases)| cases)
        .any(|case| case.verdict == record.verdict);
    if !told {
        let message = record.reasons.join("; ");
        suite(&mut suites, "run").push(Case {
            name: "verdict".to_owned(),
            verdict: record.verdict,
            message,
        });
    }
    suites.retain(|(_, cases)| !cases.is_empty());
    let all = || suites.iter().flat_map(|(_, cases)| cases);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let counts = counts(all());
    let seconds = record.duration_us as f64 / 1e6;
    writeln!(
        xml,
        "<testsuites name=\"{}\" {counts} time=\"{seconds:.3}\">",
        attribute(&record.scenario)
    )
    .expect(INFALLIBLE);
    for (name, cases) in &suites {
        write_suite(&mut xml, &record.scenario, name, &record.started_at, cases);
    }
    xml.push_str("</testsuites>\n");
    xml
}

const INFALLIBLE: &str = "a String takes every byte";

fn suite<'s>(suites: &'s mut Vec<(String, Vec<Case>)>, name: &str) -> &'s mut Vec<Case> {
    let at = suites
        .iter()
        .position(|(known, _)| known == name)
        .unwrap_or_else(|| {
            suites.push((name.to_owned(), Vec::new()));
            suites.len() - 1
        });
    &mut suites[at].1
}

fn of_expectation(expectation: &ExpectationRecord) -> Case {
    let unit = figure::Unit::of_limit(&expectation.text);
    let measured = expectation
        .value
        .map(|value| format!("measured {}", unit.print(value)));
    let parts = [
        measured,
        Some(expectation.reason.clone()).filter(|reason| !reason.is_empty()),
    ];
    let message = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    Case {
        name: expectation.text.clone(),
        verdict: expectation.verdict,
        message,
    }
}

fn of_invariant(invariant: &InvariantRecord) -> Case {
    let (violations, checked) = (
        figure::count(invariant.violations),
        figure::count(invariant.checked),
    );
    let mut message = format!("{violations} violations in {checked} checked");
    for example in &invariant.examples {
        message.push('\n');
        message.push_str(example);
    }
    Case {
        name: invariant.path(),
        verdict: invariant.verdict,
        message,
    }
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for case in cases {
        tests += 1;
        failures += usize::from(case.verdict == Verdict::Fail);
        errors += usize::from(case.verdict == Verdict::Invalid);
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

fn write_suite(xml: &mut String, scenario: &str, name: &str, started_at: &str, cases: &[Case]) {
    let (name, stamp) = (attribute(name), attribute(started_at));
    writeln!(
        xml,
        "  <testsuite name=\"{name}\" {} skipped=\"0\" timestamp=\"{stamp}\">",
        counts(cases.iter())
    )
    .expect(INFALLIBLE);
    for case in cases {
        let class = format!("{}.{name}", attribute(scenario));
        write!(
            xml,
            "    <testcase classname=\"{class}\" name=\"{}\"",
            attribute(&case.name)
        )
        .expect(INFALLIBLE);
        let element = match case.verdict {
            Verdict::Pass => {
                xml.push_str("/>\n");
                continue;
            }
            Verdict::Fail => "failure",
            Verdict::Invalid => "error",
        };
        let first = case.message.lines().next().unwrap_or_default();
        let (message, body) = (attribute(first), escaped(&case.message));
        let kind = case.verdict.as_str();
        writeln!(
            xml,
            ">\n      <{element} type=\"{kind}\" message=\"{message}\">{body}</{element}>\n    </testcase>"
        )
        .expect(INFALLIBLE);
    }
    xml.push_str("  </testsuite>\n");
}

/// For a quoted attribute, in which line ends and tabs would be lost.
fn attribute(text: &str) -> String {
    escaped(text).replace(['\n', '\t'], " ")
}

/// For text; XML 1.0 knows no control characters, not even escaped ones, so they are made visible.
fn escaped(text: &str) -> String {
    super::escaped(&visible(text))
}
