//! What an expectation against a stored value is worth, in a line made of what is known of both.

use squall_model::record::{BaselineRecord, ExpectationRecord, RunRecord};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::figure::{self, Unit};

/// A line for each expectation of a run that was held to a stored value.
pub(crate) fn lines(record: &RunRecord) -> Vec<String> {
    let expectations = record.expectations.iter();
    expectations
        .filter_map(|one| line(one, &record.started_at))
        .collect()
}

/// What one expectation is worth; nothing where it was held to no stored value.
pub(crate) fn line(expectation: &ExpectationRecord, started_at: &str) -> Option<String> {
    let stored = expectation.baseline.as_deref()?;
    let unit = Unit::of(stored.dimension);
    let age = age(stored, started_at);
    let (against, one_against) = match stored.runs {
        1 => (format!("1 stored run{age}"), "one run against one".to_owned()),
        runs => (
            format!("the median of {} stored runs{age}", figure::count(runs)),
            "one run against a stored median".to_owned(),
        ),
    };
    let spread = stored.spread.map_or_else(String::new, |spread| {
        format!(
            " The {} entries since the last change point lie from {} to {}.",
            figure::count(spread.entries),
            unit.print(spread.min),
            unit.print(spread.max)
        )
    });
    let changed = if stored.scenario_changed {
        " The scenario has changed since: what is compared may not be the same thing."
    } else {
        ""
    };
    Some(format!(
        "{} in {}: against {against}, {} at revision {}: {one_against} can't tell a change of the code from run-to-run variation; \
         `squall gate` decides.{spread}{changed}",
        expectation.text,
        expectation.scope,
        unit.print(stored.value),
        stored.revision
    ))
}

/// ` of 12 days ago`; nothing where a clock says that they are of later.
fn age(stored: &BaselineRecord, started_at: &str) -> String {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let Some((then, now)) = read(&stored.measured_at).zip(read(started_at)) else {
        return String::new();
    };
    let minutes = (now - then).whole_minutes();
    let (number, unit) = match minutes {
        ..0 => return String::new(),
        0..60 => (minutes, "minute"),
        60..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    let many = if number == 1 { "" } else { "s" };
    format!(" of {number} {unit}{many} ago")
}
