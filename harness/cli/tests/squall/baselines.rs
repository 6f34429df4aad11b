//! `squall baseline` and expectations against what it stores: a canary that fires, is invalid without data, and passes with it.
//!
//! The scenario is made here, since one that ships could not pass on a machine that has stored nothing. Runs whose numbers matter are made
//! up from one that was made: how fast this machine is decides nothing.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Ended, Stage};

/// A service that nobody asks for anything: how many threads it has can be told on a machine that is too busy for a load.
const SHOP: &str = "squall: 1
name: shop
services: { ids: { use: id-generator, with: { node: 7 } } }
phases:
  - { phase: warm, for: 100ms, measure: false }
  - { phase: steady, for: 1s }
";

/// The scenario with these expectations of its phase.
fn shop(stage: &Stage, expected: &str) -> String {
    stage.write(
        "shop.yaml",
        &format!("{SHOP}expect: {{ steady: [ {expected} ] }}\n"),
    )
}

fn baselines(stage: &Stage) -> PathBuf {
    stage.reports().join("baselines")
}

fn baseline(stage: &Stage, words: &[&str]) -> Ended {
    let dir = baselines(stage);
    let dir = dir.to_str().expect("UTF-8");
    stage.squall(&[&["baseline"], words, &["--dir", dir]].concat())
}

/// The newest run of the scenario.
fn latest(stage: &Stage) -> String {
    let latest = stage.reports().join("shop/latest");
    latest.into_os_string().into_string().expect("UTF-8")
}

/// The record of the newest run.
fn record(stage: &Stage) -> Value {
    let text = fs::read_to_string(Path::new(&latest(stage)).join("run.json")).expect("a record");
    serde_json::from_str(&text).expect("JSON")
}

fn expectation(stage: &Stage) -> Value {
    record(stage)["expectations"][0].clone()
}

/// A text with one blank between words, as no terminal wraps it.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The only file of a baseline.
fn file(stage: &Stage) -> PathBuf {
    let machine = fs::read_dir(baselines(stage)).expect("stored").next();
    machine
        .expect("a machine")
        .expect("readable")
        .path()
        .join("shop.json")
}

#[test]
fn an_expectation_against_a_baseline_fires_is_invalid_without_one_and_passes_with_one() {
    let stage = Stage::alone();
    let scenario = shop(&stage, "\"ids.threads_max <= baseline * 2\"");
    let out = stage.reports();
    let out = out.to_str().expect("UTF-8");

    // Without one: said beforehand, and no pass.
    let checked = stage.squall(&["check", &scenario, "--out", out]);
    let said = checked.assert_code(0).stderr.clone();
    assert!(said.contains("no baseline of shop on this machine"), "{checked}");
    assert!(said.contains("squall baseline save"), "{checked}");
    let ran = stage.run(&scenario, &[]);
    ran.assert_code(96);
    assert_eq!(record(&stage)["verdict"], "invalid", "{ran}");
    let one = expectation(&stage);
    assert_eq!(
        (&one["verdict"], &one["lacks_baseline"]),
        (&json!("invalid"), &json!(true))
    );
    let threads = one["value"].as_f64().expect("it was measured all the same");
    assert!(threads >= 1.0);

    // A run that lacks nothing else is what a baseline begins with.
    baseline(&stage, &["save", &latest(&stage)]).assert_code(0);
    let checked = stage.squall(&["check", &scenario, "--out", out]);
    assert_eq!(checked.assert_code(0).stderr, "");
    let ran = stage.run(&scenario, &[]);
    ran.assert_code(0);
    let weak = "one run against one can't tell a change of the code from run-to-run variation";
    let folder = latest(&stage);
    for name in ["summary.md", "junit.xml", "report.html"] {
        let text = fs::read_to_string(Path::new(&folder).join(name)).expect("written");
        let text = text
            .replace("&#39;", "'")
            .replace("&#x27;", "'")
            .replace('\\', "");
        assert!(text.contains(weak), "{name} does not say how weak it is: {text}");
    }
    assert!(on_one_line(&ran.stdout).contains(weak), "{ran}");
    let one = expectation(&stage);
    assert_eq!(
        (&one["verdict"], &one["limit"]),
        (&json!("pass"), &json!(2.0 * threads))
    );
    let stored = &one["baseline"];
    assert_eq!(
        (&stored["value"], &stored["runs"], &stored["entries"]),
        (&json!(threads), &json!(1), &json!(1))
    );
    assert_eq!(
        stored["scenario_changed"],
        Value::Null,
        "expectations are no part of what it does"
    );

    // It fires.
    let stored = fs::read_to_string(file(&stage)).expect("stored");
    let mut stored: Value = serde_json::from_str(&stored).expect("JSON");
    stored["entries"][0]["values"]["steady"]["ids"]["threads_max"] = json!(0.25);
    fs::write(file(&stage), stored.to_string()).expect("written");
    let ran = stage.run(&scenario, &[]);
    ran.assert_code(99);
    assert_eq!(expectation(&stage)["limit"], 0.5);
    assert!(on_one_line(&ran.stdout).contains("from the stored 0.25"), "{ran}");
    // Other overrides are told to be another thing.
    let ran = stage.run(&scenario, &["--set", "services.ids.with.node=9"]);
    ran.assert_code(99);
    assert_eq!(expectation(&stage)["baseline"]["scenario_changed"], true, "{ran}");

    // What can't be read is an error before anything runs.
    fs::write(file(&stage), "<<<<<<< HEAD\n").expect("written");
    let ran = stage.run(&scenario, &[]);
    assert!(
        ran.assert_code(104).stderr.contains("it is no stored baseline"),
        "{ran}"
    );
    let listed = baseline(&stage, &["list"]);
    assert!(
        listed.assert_code(0).stdout.contains("it is no stored baseline"),
        "{listed}"
    );
    baseline(&stage, &["show", "shop"]).assert_code(2);
    let saved = baseline(&stage, &["save", &latest(&stage), "--force"]);
    assert!(
        saved.assert_code(2).stderr.contains("it is no stored baseline"),
        "{saved}"
    );
    assert_eq!(
        fs::read_to_string(file(&stage)).expect("there"),
        "<<<<<<< HEAD\n",
        "left alone"
    );
}

/// A run that passed, changed, as the folder `name`.
fn copy(stage: &Stage, made: &Value, name: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut record = made.clone();
    record["verdict"] = "pass".into();
    record["reasons"] = json!([]);
    record["exit_code"] = 0.into();
    change(&mut record);
    let folder = stage.path(&format!("runs/{name}"));
    fs::create_dir_all(&folder).expect("made");
    fs::write(folder.join("run.json"), record.to_string()).expect("written");
    folder.into_os_string().into_string().expect("UTF-8")
}

/// The record of a run.
fn made(stage: &Stage) -> Value {
    let scenario = shop(stage, "\"ids.threads_max > 0\"");
    stage.run(&scenario, &[]).assert_code(0);
    record(stage)
}

#[test]
fn what_is_no_baseline_is_refused_with_the_reason() {
    let stage = Stage::alone();
    let made = made(&stage);
    let good = copy(&stage, &made, "good", |_| {});
    let fail = |code: u8| {
        move |record: &mut Value| {
            record["verdict"] = "fail".into();
            record["reasons"] = json!(["something did not hold"]);
            record["exit_code"] = code.into();
        }
    };
    let failed = copy(&stage, &made, "failed", fail(99));
    let violated = copy(&stage, &made, "violated", fail(98));
    let invalid = copy(&stage, &made, "invalid", |record| {
        record["verdict"] = "invalid".into();
        record["reasons"] = json!(["the generator fell behind"]);
    });
    let quick = copy(&stage, &made, "quick", |record| record["quick"] = true.into());
    let cut = copy(&stage, &made, "cut", |record| {
        record["phases"][1]["complete"] = false.into();
    });
    let old = copy(&stage, &made, "old", |record| {
        record.as_object_mut().expect("an object").remove("measured");
    });
    let other = copy(&stage, &made, "other", |record| {
        record["scenario"] = "cart".into();
    });
    let elsewhere = copy(&stage, &made, "elsewhere", |record| {
        record["machine"]["cores"] = 96.into();
    });
    let later = copy(&stage, &made, "later", |record| {
        record["revision"] = "0ther".into();
    });
    let faster = copy(&stage, &made, "faster", |record| {
        record["source"] = SHOP.replace("for: 1s", "for: 2s").into();
    });
    let named_badly = copy(&stage, &made, "named", |record| {
        record["scenario"] = "../../shop".into();
    });
    let nothing = stage.path("nothing");
    fs::create_dir(&nothing).expect("made");
    let table: [(&[&str], &str); 16] = [
        (&["nowhere"], "there is no reports/nowhere/latest"),
        (&[nothing.to_str().expect("UTF-8")], "holds no run.json"),
        (
            &[&invalid],
            "the run is invalid, so its numbers can't be trusted: the generator fell behind",
        ),
        (&[&invalid, "--force"], "the run is invalid"),
        (&[&failed], "say so with --force"),
        (&[&violated, "--force"], "failed by more than its expectations"),
        (&[&quick], "scaled down by --quick"),
        (&[&cut], "was not run to its end"),
        (&[&old], "an earlier squall made the run"),
        (&[&good, &good], "is named twice"),
        (&[&good, &other], "an entry is of one scenario"),
        (&[&good, &elsewhere], "an entry is of one machine"),
        (&[&good, &later], "an entry is of one revision"),
        (&[&good, &faster], "does something else than that of"),
        (&[&named_badly], "is no name of a scenario"),
        (&[&good, &invalid], "the run is invalid"),
    ];
    for (words, why) in table {
        let ended = baseline(&stage, &[&["save"], words].concat());
        assert!(ended.assert_code(2).stderr.contains(why), "{words:?}: {ended}");
    }
    let empty = fs::read_dir(baselines(&stage)).is_ok_and(|mut all| all.next().is_some());
    assert!(!empty, "what was refused has stored nothing");

    baseline(&stage, &["save", &failed, "--force"]).assert_code(0);
    baseline(&stage, &["save", &good]).assert_code(0);
    let again = baseline(&stage, &["save", &good]);
    assert!(
        again.assert_code(2).stderr.contains("is stored already"),
        "{again}"
    );
}

#[test]
fn what_is_stored_is_listed_and_shown_and_another_machine_is_never_meant_silently() {
    let stage = Stage::alone();
    let made = made(&stage);
    let run = |name: &str, threads: u64| {
        copy(&stage, &made, name, |record| {
            record["measured"]["steady"]["ids"]["threads_max"] = threads.into();
        })
    };
    let runs = [run("a", 10), run("b", 40), run("c", 20)];
    let words: Vec<&str> = std::iter::once("save")
        .chain(runs.iter().map(String::as_str))
        .collect();
    let saved = baseline(&stage, &words);
    assert!(
        saved.assert_code(0).stdout.contains("the medians of 3 runs"),
        "{saved}"
    );
    let shown = baseline(&stage, &["show", "shop", "--json", "--metric", "ids.threads_max"]);
    let document: Value = serde_json::from_str(&shown.assert_code(0).stdout).expect("nothing but JSON");
    assert_eq!(document["metrics"][0]["newest"], 20.0, "{document}");
    assert_eq!(document["this_machine"], true);

    let elsewhere = copy(&stage, &made, "elsewhere", |record| {
        record["machine"]["cores"] = 96.into();
    });
    let saved = baseline(&stage, &["save", &elsewhere]);
    assert!(
        saved.assert_code(0).stderr.contains("another machine than this"),
        "{saved}"
    );
    let listed = baseline(&stage, &["list", "--json"]);
    let list: Value = serde_json::from_str(&listed.assert_code(0).stdout).expect("nothing but JSON");
    let list = list.as_array().expect("a list");
    let here: Vec<bool> = list.iter().map(|one| one["this_machine"] == true).collect();
    assert_eq!(here, [true, false], "{listed}");
    let other = list[1]["machine"].as_str().expect("a fingerprint").to_owned();
    assert!(other.starts_with("96c-"), "{other}");
    let text = baseline(&stage, &["list"]).stdout;
    assert!(
        text.starts_with("* shop  ") && text.contains("\n  shop  96c-"),
        "{text}"
    );

    let page = stage.path("pages/shop.html");
    let page_word = page.to_str().expect("UTF-8");
    let shown = baseline(
        &stage,
        &["show", "shop", "--machine", &other, "--html", page_word],
    );
    assert!(
        on_one_line(&shown.assert_code(0).stdout).contains("another machine than this"),
        "{shown}"
    );
    assert!(
        fs::read_to_string(&page)
            .expect("written")
            .contains("Content-Security-Policy")
    );
    let shown = baseline(&stage, &["show", "shop", "--markdown"]);
    assert!(
        shown.assert_code(0).stdout.starts_with("# Baseline of shop"),
        "{shown}"
    );

    // Without one of this machine, that of the other is named and not used.
    fs::remove_file(list[0]["file"].as_str().expect("a file")).expect("removed");
    let shown = baseline(&stage, &["show", "shop"]);
    assert!(
        shown
            .assert_code(2)
            .stderr
            .contains(&format!("there are of {other}")),
        "{shown}"
    );
    let scenario = shop(&stage, "\"ids.threads_max <= baseline * 2\"");
    let out = stage.reports();
    let checked = stage.squall(&["check", &scenario, "--out", out.to_str().expect("UTF-8")]);
    assert!(
        checked
            .assert_code(0)
            .stderr
            .contains(&format!("there are of {other}")),
        "{checked}"
    );
    for (words, why) in [
        (&["show", "cart"][..], "no baseline of cart is stored"),
        (&["show", "../shop"], "is no name of a scenario"),
        (&["show", "shop", "--machine", "../.."], "is no fingerprint"),
        (
            &["show", "shop", "--machine", &other, "--metric", "ids.threads"],
            "ids.threads_max",
        ),
    ] {
        let ended = baseline(&stage, words);
        assert!(ended.assert_code(2).stderr.contains(why), "{words:?}: {ended}");
    }
}

#[test]
fn saves_at_the_same_time_lose_no_entry() {
    let stage = Stage::alone();
    let made = made(&stage);
    let runs: Vec<String> = (0..8)
        .map(|at| copy(&stage, &made, &format!("r{at}"), |_| {}))
        .collect();
    std::thread::scope(|scope| {
        for run in &runs {
            scope.spawn(|| baseline(&stage, &["save", run]).assert_code(0).code());
        }
    });
    let text = fs::read_to_string(file(&stage)).expect("stored");
    for at in 0..8 {
        assert!(text.contains(&format!("\"r{at}\"")), "r{at} is lost: {text}");
    }
    let beside: Vec<_> = fs::read_dir(file(&stage).parent().expect("a folder"))
        .expect("there")
        .collect();
    assert_eq!(beside.len(), 1, "nothing but the file is left: {beside:?}");
}

#[test]
fn a_comparison_and_a_gate_take_such_a_scenario_and_hold_nothing_to_it() {
    let stage = Stage::alone();
    let scenario = shop(&stage, "\"ids.threads_max <= baseline\"");
    let runs: Vec<String> = (0..2)
        .map(|_| {
            stage.run(&scenario, &[]).assert_code(96);
            let run = fs::canonicalize(latest(&stage)).expect("it has run");
            run.into_os_string().into_string().expect("UTF-8")
        })
        .collect();
    let compared = stage.squall(&["compare", &runs[0], &runs[1], "--json"]);
    let json = &compared.assert_code(0).stdout;
    let _: Value = serde_json::from_str(json).expect("nothing but JSON");

    let load = "load: { take: { to: ids, http: { get: /id }, rate: 50/s } }\ngate: { slice: 200ms, slices: 1, gap: 50ms, warm_up: 0s }\n";
    let text = format!("{SHOP}{load}expect: {{ steady: [ \"take.errors <= baseline\" ] }}\n");
    let scenario = stage.write("gated.yaml", &text);
    let out = stage.reports();
    let out = out.to_str().expect("UTF-8");
    let gated = stage.squall(&["gate", &scenario, "--budget", "1s", "--out", out]);
    let said = gated.assert_code(0).stderr.clone() + &gated.stdout;
    assert!(!said.contains("baseline of shop"), "{gated}");
}
