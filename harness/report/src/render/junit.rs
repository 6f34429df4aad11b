//! JUnit XML, for CI systems: a suite per phase, fault and `run`, a case per expectation and invariant.
//!
//! The document is never green where the run is not a pass: if no case says so, one for the verdict itself does.

use std::fmt::Write as _;

use squall_model::record::{ExpectationRecord, InvariantRecord, Verdict};

use crate::baseline;
use crate::figure;
use crate::recording::Recording;
use crate::visible::visible;

/// Cases that belong together.
pub(crate) struct Suite {
    /// Its name.
    pub(crate) name: String,
    /// What the cases' classes begin with.
    pub(crate) package: String,
    /// When it began, RFC 3339.
    pub(crate) started_at: String,
    /// The cases.
    pub(crate) cases: Vec<Case>,
}

/// One case.
pub(crate) struct Case {
    /// Its name.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// The word for that.
    pub(crate) kind: &'static str,
    /// Why; the first line says the most.
    pub(crate) message: String,
    /// What is to be known however it ended; may be empty.
    pub(crate) note: String,
}

/// How a case ended, in JUnit's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Passed,
    /// As it should not.
    Failed,
    /// It can't be said.
    Errored,
    /// It was not judged.
    Skipped,
}

impl Outcome {
    /// The element that says so; nothing for what passed.
    fn element(self) -> Option<&'static str> {
        match self {
            Outcome::Passed => None,
            Outcome::Failed => Some("failure"),
            Outcome::Errored => Some("error"),
            Outcome::Skipped => Some("skipped"),
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Outcome {
        match verdict {
            Verdict::Pass => Outcome::Passed,
            Verdict::Fail => Outcome::Failed,
            Verdict::Invalid => Outcome::Errored,
        }
    }
}

/// The cases of a run.
pub fn junit(recording: &Recording) -> String {
    let record = &recording.record;
    let mut suites: Vec<(String, Vec<Case>)> = Vec::new();
    for expectation in &record.expectations {
        let case = of_expectation(expectation, &record.started_at);
        suite(&mut suites, &expectation.scope).push(case);
    }
    suite(&mut suites, "run").extend(record.invariants.iter().map(of_invariant));
    let told = suites
        .iter()
        .flat_map(|(_, cases)| cases)
        .any(|case| case.outcome == record.verdict.into());
    if !told {
        let message = record.reasons.join("; ");
        suite(&mut suites, "run").push(case("verdict".to_owned(), record.verdict, message));
    }
    suites.retain(|(_, cases)| !cases.is_empty());
    let suites: Vec<Suite> = suites
        .into_iter()
        .map(|(name, cases)| Suite {
            name,
            package: record.scenario.clone(),
            started_at: record.started_at.clone(),
            cases,
        })
        .collect();
    document(&record.scenario, record.duration_us, &suites)
}

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

fn case(name: String, verdict: Verdict, message: String) -> Case {
    Case {
        name,
        outcome: verdict.into(),
        kind: verdict.as_str(),
        message,
        note: String::new(),
    }
}

fn of_expectation(expectation: &ExpectationRecord, started_at: &str) -> Case {
    let unit = figure::Unit::of_expectation(expectation);
    let measured = expectation
        .value
        .map(|value| format!("measured {}", unit.print(value)));
    let parts = [
        measured,
        Some(expectation.reason.clone()).filter(|reason| !reason.is_empty()),
    ];
    let message = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    Case {
        note: baseline::weakness(expectation, started_at).unwrap_or_default(),
        ..case(expectation.text.clone(), expectation.verdict, message)
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
    case(invariant.path(), invariant.verdict, message)
}

/// The document of all `suites`, which took `duration_us` together.
pub(crate) fn document(name: &str, duration_us: u64, suites: &[Suite]) -> String {
    let all = suites.iter().flat_map(|suite| &suite.cases);
    let counts = counts(all);
    let (name, seconds) = (attribute(name), duration_us as f64 / 1e6);
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a String cannot fail.
    let _ = writeln!(xml, "<testsuites name=\"{name}\" {counts} time=\"{seconds:.3}\">");
    for suite in suites {
        write_suite(&mut xml, suite);
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn counts<'c>(cases: impl Iterator<Item = &'c Case>) -> String {
    let [tests, failures, errors, _] = counted(cases);
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"")
}

/// All, and of these how many failed, erred and were skipped.
fn counted<'c>(cases: impl Iterator<Item = &'c Case>) -> [usize; 4] {
    let mut counts = [0; 4];
    for case in cases {
        counts[0] += 1;
        counts[1] += usize::from(case.outcome == Outcome::Failed);
        counts[2] += usize::from(case.outcome == Outcome::Errored);
        counts[3] += usize::from(case.outcome == Outcome::Skipped);
    }
    counts
}

fn write_suite(xml: &mut String, suite: &Suite) {
    let (name, stamp) = (attribute(&suite.name), attribute(&suite.started_at));
    let [.., skipped] = counted(suite.cases.iter());
    let _ = writeln!(
        xml,
        "  <testsuite name=\"{name}\" {} skipped=\"{skipped}\" timestamp=\"{stamp}\">",
        counts(suite.cases.iter())
    );
    for case in &suite.cases {
        let class = format!("{}.{name}", attribute(&suite.package));
        let _ = write!(
            xml,
            "    <testcase classname=\"{class}\" name=\"{}\"",
            attribute(&case.name)
        );
        let note = match case.note.as_str() {
            "" => String::new(),
            note => format!("\n      <system-out>{}</system-out>", escaped(note)),
        };
        let Some(element) = case.outcome.element() else {
            if note.is_empty() {
                xml.push_str("/>\n");
            } else {
                let _ = writeln!(xml, ">{note}\n    </testcase>");
            }
            continue;
        };
        let first = case.message.lines().next().unwrap_or_default();
        let (message, body) = (attribute(first), escaped(&case.message));
        let kind = case.kind;
        let _ = writeln!(
            xml,
            ">\n      <{element} type=\"{kind}\" message=\"{message}\">{body}</{element}>{note}\n    </testcase>"
        );
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
