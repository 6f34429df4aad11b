//! What an expectation against a stored value is worth, in a text made of what is known of both.

use squall_model::baseline::HeldTo;
use squall_model::record::{ExpectationRecord, RunRecord};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::figure::{self, Unit, path};

/// What the expectations of a run that were held to stored values are worth: a text for each entry that they come from, which is one.
pub(crate) fn texts(record: &RunRecord) -> Vec<String> {
    let mut by_entry: Vec<(String, Vec<String>)> = Vec::new();
    for expectation in &record.expectations {
        let Some(stored) = expectation.baseline.as_deref() else {
            continue;
        };
        let entry = entry(stored, &record.started_at);
        let value = value(expectation, stored);
        match by_entry.iter_mut().find(|(known, _)| *known == entry) {
            Some((_, values)) => values.push(value),
            None => by_entry.push((entry, vec![value])),
        }
    }
    let texts = by_entry.into_iter();
    texts
        .map(|(entry, values)| format!("{entry} Stored: {}.", values.join("; ")))
        .collect()
}

/// What one expectation is worth; nothing where it was held to no stored value.
pub(crate) fn text(expectation: &ExpectationRecord, started_at: &str) -> Option<String> {
    let stored = expectation.baseline.as_deref()?;
    let (entry, value) = (entry(stored, started_at), value(expectation, stored));
    Some(format!("{entry} Stored: {value}."))
}

/// What the stored values come from, and what that can't tell.
fn entry(stored: &HeldTo, started_at: &str) -> String {
    let age = age(stored, started_at);
    let (against, one_against) = match stored.runs {
        1 => (format!("1 stored run{age}"), "one run against one"),
        runs => (
            format!("the medians of {} stored runs{age}", figure::count(runs)),
            "one run against stored medians",
        ),
    };
    let changed = if stored.scenario_changed {
        " The scenario has changed since: what is compared may not be the same thing."
    } else {
        ""
    };
    format!(
        "Against {against}, revision {}: {one_against} can't tell a change of the code from run-to-run variation; `squall gate` decides.\
         {changed}",
        stored.revision
    )
}

/// A stored value, and how it and those before it lie, back to the last change point.
fn value(expectation: &ExpectationRecord, stored: &HeldTo) -> String {
    let unit = Unit::of(stored.dimension);
    let path = path(&expectation.text);
    let spread = stored.spread.map_or_else(String::new, |spread| {
        format!(
            ", the newest {} entries from {} to {}",
            figure::count(spread.entries),
            unit.print(spread.min),
            unit.print(spread.max)
        )
    });
    format!(
        "{path} in {} {}{spread}",
        expectation.scope,
        unit.print(stored.value)
    )
}

/// ` of 12 days ago`; nothing where a clock says that they are of later.
fn age(stored: &HeldTo, started_at: &str) -> String {
    let read = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let Some((then, now)) = read(&stored.measured_at).zip(read(started_at)) else {
        return String::new();
    };
    let minutes = (now - then).whole_minutes();
    let (number, unit) = match minutes {
        ..0 => return String::new(),
        0 => return " of less than a minute ago".to_owned(),
        1..60 => (minutes, "minute"),
        60..2_880 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    let many = if number == 1 { "" } else { "s" };
    format!(" of {number} {unit}{many} ago")
}
