//! Indexes of made-up histories, read as people and programs read them.

mod history;
mod synthetic;

use history::{History, entry, mixed, noisy, p99};
use serde_json::Value;
use squall_report::block::Link;
use squall_report::index::{Compared, Entry, Index, Summary, html, json, markdown, terminal};

/// What is done to a run's record.
type Change = fn(&mut Value);

fn index(entries: Vec<Entry>) -> Index {
    Index::new("reports".to_owned(), entries, Vec::new(), Vec::new())
}

fn numbers(entries: Vec<Entry>) -> Value {
    serde_json::from_str(&json(&index(entries))).unwrap()
}

fn list<'v>(value: &'v Value, name: &str) -> &'v Vec<Value> {
    value[name].as_array().unwrap()
}

/// The only scenario.
fn only(document: &Value) -> &Value {
    let scenarios = list(document, "scenarios");
    assert_eq!(scenarios.len(), 1);
    &scenarios[0]
}

/// Of each series how many runs count, and how many changes it has.
fn counts(scenario: &Value) -> Vec<(u64, usize)> {
    let series = list(scenario, "series").iter();
    series
        .map(|one| (one["counted"].as_u64().unwrap(), list(one, "changes").len()))
        .collect()
}

#[test]
fn a_step_is_told_with_the_runs_on_both_sides_of_it() {
    let p99_us = [noisy(1, 4_000, 12), noisy(2, 6_000, 10)].concat();
    let runs = History::new().runs("shop", &p99_us);
    let names: Vec<String> = runs.iter().map(|run| run.folder.clone()).collect();
    let document = numbers(runs.clone());
    let change = &only(&document)["series"][0]["changes"][0];
    assert_eq!(change["last_before"], names[11].as_str());
    assert_eq!(change["first_after"], names[12].as_str());
    let ratio = change["ratio"].as_f64().unwrap();
    assert!((1.4..1.6).contains(&ratio), "{change}");
    assert!(change["p_value"].as_f64().unwrap() <= 0.01);
    for text in [
        html(&index(runs.clone())),
        terminal(&index(runs.clone()), 2_000, false),
        markdown(&index(runs)),
    ] {
        assert!(
            text.contains("The newest change point") && text.contains("×1."),
            "{text}"
        );
    }
}

#[test]
fn below_the_fewest_runs_no_change_is_told_and_that_is_said() {
    let p99_us = [[4_000; 5], [90_000; 5]].concat();
    let runs = History::new().runs("shop", &p99_us);
    assert_eq!(counts(only(&numbers(runs.clone()))), [(10, 0)]);
    let page = html(&index(runs));
    assert!(page.contains("that takes 12 valid runs") && page.contains("12 are the least"));
}

#[test]
fn other_machines_texts_settings_and_quick_runs_are_other_series() {
    let history = History::new();
    let table: [(Change, usize); 7] = [
        (|run| run["machine"]["cores"] = 2.into(), 2),
        (|run| run["machine"]["cpu"] = "another".into(), 2),
        (|run| run["source"] = "another".into(), 2),
        (|run| run["quick"] = true.into(), 2),
        (
            |run| run["command"] = "squall run shop --seed 7 --set load.next_id.rate=9k/s".into(),
            2,
        ),
        // These are what a trend is there to show, or of no matter.
        (|run| run["machine"]["os"] = "Linux 6.9.0".into(), 1),
        (|run| run["seed"] = 8.into(), 1),
    ];
    for (at, (change, series)) in table.into_iter().enumerate() {
        let mut runs = history.runs("shop", &noisy(1, 4_000, 12));
        for n in 12..24 {
            let mut record = history.record("shop", n, 9_000);
            change(&mut record);
            runs.push(entry(&record, n));
        }
        let document = numbers(runs);
        let found = counts(only(&document));
        assert_eq!(found.len(), series, "{at}: {found:?}");
        if series == 2 {
            assert_eq!(
                found,
                [(12, 0), (12, 0)],
                "{at}: twice as slow, and no line leads there"
            );
            let labels: Vec<&Value> = list(only(&document), "series")
                .iter()
                .map(|one| &one["label"])
                .collect();
            assert!(labels[0] != labels[1] && labels[0] != "", "{labels:?}");
        }
    }
}

#[test]
fn runs_that_prove_nothing_are_listed_with_the_reason_and_do_not_count() {
    let history = History::new();
    let table: [(Change, &str); 8] = [
        (
            |run| {
                run["verdict"] = "invalid".into();
                run["reasons"] = vec!["the run was cut off before it could end"].into();
            },
            "the run was cut off before it could end",
        ),
        (
            |run| *p99(run) = Value::Null,
            "requests of next_id in steady lie beyond P99",
        ),
        (
            |run| run["phases"][1]["complete"] = false.into(),
            "steady was cut short",
        ),
        (
            |run| run["phases"][1]["name"] = "calm".into(),
            "has no phase steady",
        ),
        (
            |run| run["phases"][1]["load"]["next_id"]["mode"] = "off".into(),
            "has no load next_id in steady",
        ),
        (
            |run| {
                let load = &mut run["phases"][1]["load"]["next_id"];
                load["spoils"] = "times".into();
                load["invalid"] = vec!["the generator was late"].into();
            },
            "can't be trusted: the generator was late",
        ),
        (
            |run| {
                let part = serde_json::json!({ "name": "a" });
                run["merged"] =
                    serde_json::json!({ "how": "repeats", "repeats": 2, "runs": [part, part], "differ": [] });
            },
            "merged from 2 runs",
        ),
        (
            |run| run["command"] = "squall capacity shop.yaml --load next_id --seed 7".into(),
            "a step of squall capacity, at a rate of its own",
        ),
    ];
    for (spoil, words) in table {
        let mut runs = history.runs("shop", &noisy(1, 4_000, 3));
        let mut record = history.record("shop", 1, 4_000);
        spoil(&mut record);
        runs[1] = entry(&record, 1);
        let document = numbers(runs.clone());
        let scenario = only(&document);
        assert_eq!(counts(scenario), [(2, 0)], "{words}");
        let why = scenario["runs"][1]["not_counted"].as_str().unwrap();
        assert!(why.contains(words), "`{why}` is not `{words}`");
        assert!(scenario["runs"][1]["p99_us"].is_null());
        let page = html(&index(runs));
        assert!(
            page.contains(&words.replace('\'', "&#39;")),
            "`{words}` is not on the page"
        );
    }
}

#[test]
fn a_failed_run_counts_since_it_measured_what_it_says() {
    let history = History::new();
    let mut runs = history.runs("shop", &noisy(1, 4_000, 3));
    let mut record = history.record("shop", 1, 4_000);
    record["verdict"] = "fail".into();
    runs[1] = entry(&record, 1);
    assert_eq!(counts(only(&numbers(runs.clone()))), [(3, 0)]);
    assert!(html(&index(runs)).contains("run that failed"));
}

#[test]
fn a_copy_of_a_run_counts_once() {
    let mut runs = History::new().runs("shop", &noisy(1, 4_000, 3));
    let copy = Entry {
        folder: "reports/backup/20260103".to_owned(),
        ..runs[2].clone()
    };
    runs.push(copy);
    let document = numbers(runs);
    assert_eq!(counts(only(&document)), [(3, 0)]);
    let why = only(&document)["runs"][0]["not_counted"].as_str().unwrap();
    assert!(why.starts_with("a copy of reports/shop/"), "{why}");
}

#[test]
fn every_run_that_was_found_is_listed() {
    let entries = mixed();
    let all = entries.len();
    let document = numbers(entries);
    let runs: usize = list(&document, "scenarios")
        .iter()
        .map(|scenario| list(scenario, "runs").len())
        .sum();
    assert_eq!(runs + list(&document, "unread").len(), all);
    let page = html(&index(mixed()));
    for entry in mixed() {
        let named = format!("data-run=\"{}\"", entry.argument.replace('\'', "&#39;"));
        assert!(page.contains(&named), "{named} is not on the page");
    }
    assert!(page.contains("it has schema 99"), "the reason is on the page");
}

#[test]
fn the_newest_come_first() {
    let document = numbers(mixed());
    for scenario in list(&document, "scenarios") {
        let started: Vec<&str> = list(scenario, "runs")
            .iter()
            .map(|run| run["started_at"].as_str().unwrap())
            .collect();
        assert!(started.is_sorted_by(|a, b| a >= b), "{started:?}");
    }
    let first = |at: usize| {
        document["scenarios"][at]["runs"][0]["started_at"]
            .as_str()
            .unwrap()
    };
    assert!((1..4).all(|at| first(at - 1) >= first(at)));
}

#[test]
fn what_can_be_read_alone_is_said_where_nothing_can() {
    let broken = Entry {
        summary: Err("reading run.json: expected value at line 1".to_owned()),
        ..mixed().pop().unwrap()
    };
    let text = terminal(&index(vec![broken.clone()]), 120, false);
    assert!(
        text.contains("Unreadable: 1") && text.contains("expected value"),
        "{text}"
    );
    let page = html(&index(vec![broken]));
    assert!(page.contains("expected value"));
}

#[test]
fn a_comparison_that_lies_there_is_linked_with_its_runs() {
    let runs = History::new().runs("shop", &[4_000, 4_100]);
    let compared = Compared {
        name: "shop-a-vs-b".to_owned(),
        page: Link::file(b"compare/shop a.html"),
        runs: vec![0, 1],
    };
    let page = html(&Index::new(
        "reports".to_owned(),
        runs,
        vec![compared],
        Vec::new(),
    ));
    assert!(
        page.contains("<a href=\"./compare/shop%20a.html\">shop-a-vs-b</a>"),
        "the page"
    );
    assert!(
        page.matches("href=\"./shop/20260101T093000.480Z-4f1c2ab/report.html\"")
            .count()
            > 2
    );
}

#[test]
fn texts_of_a_run_become_no_markup() {
    let bad = "<script>alert(1)</script><img src=x onerror=y>'\"`|";
    let history = History::new();
    let mut runs = Vec::new();
    for n in 0..14 {
        let mut record = history.record(bad, n, if n < 7 { 4_000 } else { 9_000 });
        for key in ["about", "revision", "source"] {
            record[key] = bad.into();
        }
        record["machine"]["cpu"] = bad.into();
        record["started_at"] = format!("2026-01-{:02}T09:30:00{bad}", n + 1).into();
        record["verdict"] = "fail".into();
        record["reasons"] = vec![bad].into();
        runs.push(entry(&record, n));
    }
    runs.push(Entry {
        folder: bad.to_owned(),
        argument: bad.to_owned(),
        report: Some(Link::file(b"javascript:alert(1)")),
        summary: Err(bad.to_owned()),
    });
    let page = html(&index(runs.clone()));
    assert!(
        !page.contains("<script>alert") && !page.contains("<img"),
        "markup came through"
    );
    assert!(!page.contains("\"javascript:"), "a scheme came through");
    assert_eq!(page.matches("<script>").count(), 2);
    assert!(!markdown(&index(runs)).contains("<img"));
}

#[test]
fn a_record_that_is_none_is_an_error() {
    for text in ["", "{", "null", "{\"schema\":1}", "\u{0}"] {
        assert!(Summary::read(text.as_bytes()).is_err(), "{text}");
    }
    let mut record = History::new().record("shop", 1, 4_000);
    record["schema"] = 2.into();
    let error = Summary::read(record.to_string().as_bytes()).unwrap_err();
    assert!(error.to_string().contains("schema 2"), "{error}");
}

#[test]
fn a_summary_of_a_record_is_what_its_text_says() {
    let recording = synthetic::folder(7).recording();
    let text = serde_json::to_string(&recording.record).unwrap();
    assert_eq!(
        Summary::from(&recording.record),
        Summary::read(text.as_bytes()).unwrap()
    );
}

#[test]
fn of_a_long_series_the_newest_runs_are_looked_at_and_that_is_said() {
    let p99_us = [noisy(1, 9_000, 100), noisy(2, 4_000, 200), noisy(3, 6_000, 100)].concat();
    let runs = History::new().runs("shop", &p99_us);
    let found = counts(only(&numbers(runs.clone())));
    assert_eq!(
        found,
        [(400, 1)],
        "the step at 100 is older than what is looked at"
    );
    let page = html(&index(runs));
    assert!(page.contains("in the newest 300"));
    let dated = |year: &str| {
        let mut texts = page.split("</text>");
        texts.any(|text| text.trim_end().ends_with(year))
    };
    assert!(dated(" 26") && dated(" 27"), "dates of two years say which");
}
