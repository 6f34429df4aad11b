//! What is told of made-up baselines.

use squall_model::baseline::{Entry, HeldTo, Key, Spread, Values};
use squall_model::expression::Dimension;
use squall_model::record::{ExpectationRecord, Machine, Verdict};

use super::*;
use crate::figure::Unit;

fn key(metric: &str) -> Key {
    Key {
        scope: "steady".to_owned(),
        of: "read".to_owned(),
        metric: metric.to_owned(),
    }
}

fn entry(number: usize, p99: f64) -> Entry {
    let mut values = Values::default();
    values.put(key("p99"), p99);
    values.put(key("errors"), 0.0);
    values.put(key("mean"), p99 / 3.0);
    Entry {
        saved_at: format!("2026-01-15T10:{:02}:00Z", number % 60),
        measured_at: format!("2026-01-15T09:{:02}:00Z", number % 60),
        revision: format!("rev{number}"),
        runs: vec![format!("run-{number}")],
        seeds: vec![7],
        meaning: "a".to_owned(),
        values,
    }
}

/// A level of about 4 ms, then one of about 6 ms.
fn stepped() -> Baseline {
    let level = |number: usize| if number < 10 { 4_000.0 } else { 6_000.0 };
    let scatter = |number: usize| 1.0 + 0.01 * ((number * 7) % 5) as f64;
    Baseline {
        scenario: "shop".to_owned(),
        machine: Machine::default(),
        entries: (0..20).map(|n| entry(n, level(n) * scatter(n))).collect(),
    }
}

fn shown(baseline: Baseline, metric: Option<&str>) -> Shown {
    Shown::new(baseline, true, metric).expect("there is such a metric")
}

#[test]
fn a_step_is_found_where_it_is_and_the_spread_is_of_what_came_after() {
    let shown = shown(stepped(), Some("read.p99"));
    let [trend] = &shown.trends[..] else {
        panic!("one metric was asked for")
    };
    assert_eq!(
        trend.changes.iter().map(|change| change.at).collect::<Vec<_>>(),
        [10]
    );
    let spread = trend.spread();
    assert_eq!((spread.entries, spread.min, spread.max), (10, 6_000.0, 6_240.0));
    let values: Vec<f64> = trend.points.iter().map(|(_, value)| *value).collect();
    assert_eq!(since_change(&values), 10);
    assert_eq!(since_change(&values[..8]), 8, "too few to tell a change");
    assert_eq!(since_change(&[]), 0);
    assert_eq!(since_change(&[0.0; 15]), 15);
}

#[test]
fn every_format_tells_of_the_change_and_of_the_weakness() {
    let shown = shown(stepped(), None);
    for (name, text) in [
        ("terminal", terminal(&shown, 100, false)),
        ("narrow", terminal(&shown, 40, true)),
        ("markdown", markdown(&shown)),
        ("html", html(&shown)),
    ] {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // Where there is little room, the change is left out.
        let changed = ["×1.5", "rev10"].into_iter().filter(|_| name != "narrow");
        for part in ["read.p99", "gate"].into_iter().chain(changed) {
            assert!(text.contains(part), "{name}: {part}: {text}");
        }
    }
    let page = html(&shown);
    // P99 comes first, and the mean has changed, too; that there were no errors is no line to look at.
    assert!(page.contains("trend-1") && !page.contains("trend-2"));
    assert!(page.contains("1 never had another value"));
    let document: serde_json::Value = serde_json::from_str(&json(&shown)).expect("JSON");
    let p99 = document["metrics"].as_array().expect("a list").iter();
    let p99 = p99
        .clone()
        .find(|one| one["metric"] == "read.p99")
        .expect("it is there");
    assert_eq!(p99["changes"][0]["between"], serde_json::json!([9, 10]));
    assert_eq!(p99["unit"], "duration");
}

#[test]
fn entries_of_another_scenario_are_listed_and_in_no_trend() {
    let mut baseline = stepped();
    for entry in &mut baseline.entries[..10] {
        entry.meaning = "b".to_owned();
    }
    let shown = shown(baseline, None);
    assert!(
        shown
            .trends
            .iter()
            .all(|trend| trend.points.len() == 10 && trend.changes.is_empty())
    );
    assert!(terminal(&shown, 100, false).contains("10 older entries are in no trend"));
    assert_eq!(html(&shown).matches(">another<").count(), 10);
}

#[test]
fn a_name_that_nothing_has_lists_what_there_is() {
    let error = Shown::new(stepped(), true, Some("read.p98")).expect_err("no such metric");
    assert!(
        error.to_string().contains("read.errors, read.mean, read.p99"),
        "{error}"
    );
    assert_eq!(
        shown(stepped(), Some("p99")).trends.len(),
        1,
        "of whatever has one"
    );
}

#[test]
fn one_entry_and_hostile_texts_make_every_format() {
    let mut baseline = stepped();
    baseline.entries.truncate(1);
    baseline.entries[0].revision = "<script>\u{1b}[2J".to_owned();
    let shown = shown(baseline, None);
    assert!(!html(&shown).contains("<script>\u{1b}"));
    assert!(!terminal(&shown, 80, false).contains('\u{1b}'));
    assert!(markdown(&shown).contains("12 entries"), "what a change takes");
}

fn held(stored: HeldTo) -> ExpectationRecord {
    ExpectationRecord {
        scope: "steady".to_owned(),
        text: "read.p99 < baseline * 1.3".to_owned(),
        value: Some(4_000.0),
        limit: Some(5_200.0),
        verdict: Verdict::Pass,
        reason: String::new(),
        baseline: Some(Box::new(stored)),
        lacks_baseline: false,
    }
}

#[test]
fn an_expectation_says_how_weak_its_stored_value_is() {
    let stored = HeldTo {
        value: 4_100.0,
        dimension: Dimension::Duration,
        runs: 1,
        entries: 1,
        measured_at: "2026-01-03T09:00:00Z".to_owned(),
        revision: "4f1c2ab".to_owned(),
        ..HeldTo::default()
    };
    let line = |stored: HeldTo, now: &str| weakness(&held(stored), now).expect("it was held to one");
    assert_eq!(
        line(stored.clone(), "2026-01-15T09:30:00Z"),
        "Against 1 stored run of 12 days ago, revision 4f1c2ab: one run against one can't tell a change of the code from run-to-run \
         variation; `squall gate` decides. Stored: read.p99 in steady 4.10 ms."
    );
    let several = HeldTo {
        runs: 5,
        entries: 9,
        spread: Some(Spread {
            entries: 7,
            min: 3_900.0,
            max: 4_600.0,
        }),
        scenario_changed: true,
        ..stored.clone()
    };
    let told = line(several, "2026-01-03T10:00:00Z");
    for part in [
        "the medians of 5 stored runs of 1 hour ago",
        "the newest 7 entries from 3.90 ms to 4.60 ms",
        "The scenario has changed since",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(line(stored.clone(), "2026-01-03T09:00:59Z").contains("less than a minute ago"));
    // A clock that went back, or nonsense, says no age.
    for now in ["2025-01-01T00:00:00Z", "yesterday"] {
        assert!(line(stored.clone(), now).contains("Against 1 stored run, revision"));
    }
    let plain = ExpectationRecord {
        baseline: None,
        ..held(stored)
    };
    assert_eq!(weakness(&plain, "2026-01-15T09:30:00Z"), None);
}

#[test]
fn a_value_without_its_baseline_is_printed_in_the_metrics_unit() {
    let of = |text: &str| {
        Unit::of_expectation(&ExpectationRecord {
            text: text.to_owned(),
            baseline: None,
            lacks_baseline: true,
            ..held(HeldTo::default())
        })
    };
    for (text, unit) in [
        ("read.p99 < baseline * 1.3", Unit::Duration),
        ("read.errors <= baseline", Unit::Ratio),
        ("ids.rss_max < baseline + 5MiB", Unit::Bytes),
        ("ids.metrics.p99 != baseline", Unit::Count),
        ("edge.a->b.connections > baseline", Unit::Count),
    ] {
        assert_eq!(of(text), unit, "{text}");
    }
}
