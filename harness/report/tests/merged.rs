//! The report of a merged record: rates are those of one run, and it says what it was made of.

mod synthetic;

use squall_model::merge::{Merged, Part, merge};
use squall_model::record::How;
use squall_report::{Recording, csv, html, markdown};

/// Two runs that differ in their seed, merged and read as a folder is.
fn merged() -> (Recording, Recording) {
    let mut runs = [synthetic::folder(7).recording(), synthetic::folder(8).recording()];
    "2026-01-15T09:40:12.480Z".clone_into(&mut runs[1].record.started_at);
    runs[1].record.seed = 8;
    let parts = runs.iter().zip(["first", "second"]).map(|(run, name)| Part {
        name: name.to_owned(),
        started_ms: 0,
        record: &run.record,
        events: &run.events,
        series: run.series.iter().collect(),
        intervals: &run.intervals,
    });
    let parts: Vec<Part<'_>> = parts.collect();
    let Merged {
        record,
        events,
        series,
        intervals,
    } = merge(&parts, How::Repeats, "0.1.0").expect("they belong together");
    let mut both = runs[0].clone();
    (both.record, both.events) = (record, events);
    (both.series, both.intervals) = (series.into_iter().collect(), intervals);
    (runs[0].clone(), both)
}

/// The largest rate in the CSV.
fn largest_rate(recording: &Recording) -> f64 {
    let text = csv(recording);
    let column = text
        .lines()
        .next()
        .and_then(|header| header.split(',').position(|name| name == "completed_per_s"));
    let column = column.expect("a column");
    let rates = text
        .lines()
        .skip(1)
        .filter_map(|row| row.split(',').nth(column)?.parse::<f64>().ok());
    rates.fold(0.0, f64::max)
}

#[test]
fn rates_are_those_of_one_run_and_counts_those_of_all() {
    let (one, both) = merged();
    let completed = |recording: &Recording| recording.record.phases[1].load["next_id"].completed;
    assert!(completed(&both) > completed(&one) * 3 / 2);
    let (alone, together) = (largest_rate(&one), largest_rate(&both));
    assert!(together < alone * 1.3, "{together} against {alone}");
}

#[test]
fn the_report_says_what_it_was_made_of() {
    let (one, both) = merged();
    let page = html(&both);
    for words in [
        "Merged from 2 runs",
        "seed: 7 in first; 8 in second",
        "Merged from second",
        "2 times ",
    ] {
        assert!(page.contains(words), "no `{words}`");
    }
    assert!(markdown(&both).contains("Merged from 2 runs"));
    assert!(!html(&one).contains("Merged from"));
}
