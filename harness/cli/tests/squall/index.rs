//! `squall index`: which runs it finds, what it prints and writes, and what it refuses.
//!
//! One run is made, and copied with another start: what is told of many runs is tested on made-up ones in the crate of reports.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ended, Stage};

/// A copy of a run in another folder, started in another minute.
fn copy(of: &Path, to: &Path, minute: u32, change: impl Fn(&mut Value)) {
    fs::create_dir_all(to).expect("made");
    for name in ["events.ndjson", "report.html"] {
        fs::copy(of.join(name), to.join(name)).expect("copied");
    }
    let text = fs::read_to_string(of.join("run.json")).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    record["started_at"] = format!("2026-01-15T09:{minute:02}:00.000Z").into();
    change(&mut record);
    fs::write(to.join("run.json"), record.to_string()).expect("written");
}

/// A run, made once, and a stage with three copies of it in `runs/s`.
fn three_runs() -> (Stage, PathBuf) {
    let stage = Stage::alone();
    let out = stage.path("made");
    let args = ["run", "canary-no-data", "--quick", "--out"];
    let mut ended = stage.squall(&[&args[..], &[out.to_str().expect("UTF-8")]].concat());
    ended.reports = out;
    let made = ended.folder();
    for at in 1..=3 {
        copy(&made, &stage.path(&format!("runs/s/{at}")), at, |_| {});
    }
    (stage, made)
}

fn index(stage: &Stage, folder: &str, more: &[&str]) -> Ended {
    let path = stage.path(folder);
    let args: Vec<&str> = ["index", path.to_str().expect("UTF-8")]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    stage.squall(&args)
}

fn json(stage: &Stage, folder: &str) -> Value {
    let ended = index(stage, folder, &["--json"]);
    serde_json::from_str(&ended.assert_code(0).stdout).expect("nothing but JSON")
}

/// The last parts of the folders of a list of runs.
fn names(list: &Value) -> Vec<String> {
    let runs = list.as_array().expect("a list").iter();
    runs.map(|run| {
        let folder = run["run"].as_str().expect("a folder");
        folder.rsplit('/').next().unwrap_or_default().to_owned()
    })
    .collect()
}

#[test]
fn every_run_is_found_the_newest_first_and_what_is_broken_says_why() {
    let (stage, made) = three_runs();
    // A run that was killed has no record; one may be torn, of another version, or nonsense.
    let killed = stage.path("runs/s/killed");
    copy(&made, &killed, 4, |_| {});
    fs::remove_file(killed.join("run.json")).expect("removed");
    copy(&made, &stage.path("runs/s/version"), 5, |record| {
        record["schema"] = 99.into();
    });
    let nonsense = stage.path("runs/s/nonsense");
    copy(&made, &nonsense, 6, |_| {});
    fs::write(nonsense.join("run.json"), "[1, 2").expect("written");
    fs::write(nonsense.join("events.ndjson"), "\0\0\0").expect("written");
    let alone = stage.path("runs/alone");
    copy(&made, &alone, 7, |_| {});
    fs::remove_file(alone.join("events.ndjson")).expect("removed");
    std::os::unix::fs::symlink("1", stage.path("runs/s/latest")).expect("linked");
    fs::create_dir(stage.path("runs/s/empty")).expect("made");

    let document = json(&stage, "runs");
    let scenarios = document["scenarios"].as_array().expect("a list");
    assert_eq!(scenarios.len(), 1, "{document}");
    let mut found = names(&scenarios[0]["runs"]);
    found.retain(|name| name != "killed");
    assert_eq!(found, ["alone", "3", "2", "1"]);
    assert_eq!(
        names(&scenarios[0]["runs"]).len(),
        5,
        "killed is remade from its events"
    );
    assert_eq!(names(&document["unread"]), ["nonsense", "version"]);
    let reasons = document["unread"].to_string();
    assert!(reasons.contains("it has schema 99"), "{reasons}");
    assert!(!stage.path("runs/index.html").exists(), "--json writes no page");
    // A folder of runs, too.
    assert_eq!(names(&json(&stage, "runs/s")["unread"]), ["nonsense", "version"]);
}

#[test]
fn the_page_lands_in_the_folder_or_where_out_says_and_its_links_lead_to_the_reports() {
    let (stage, _) = three_runs();
    let compared = stage.path("runs/compare");
    fs::create_dir(&compared).expect("made");
    fs::write(compared.join("canary-no-data-1-vs-2.html"), "").expect("written");
    let ended = index(&stage, "runs", &[]);
    let out = &ended.assert_code(0).stdout;
    let page = stage.path("runs/index.html");
    assert!(out.ends_with(&format!("index: {}\n", page.display())), "{ended}");
    assert!(out.contains("Runs: 3 (of 1 scenario)"), "{ended}");
    let elsewhere = stage.path("pages/deep/all.html");
    let args = ["--markdown", "--out", elsewhere.to_str().expect("UTF-8")];
    let ended = index(&stage, "runs", &args);
    assert!(ended.assert_code(0).stdout.starts_with("# Runs in "), "{ended}");
    for page in [page, elsewhere] {
        let html = fs::read_to_string(&page).expect("written");
        assert!(html.contains("Content-Security-Policy"));
        let links: Vec<&str> = html
            .split("<a href=\"./")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(links.len() >= 6, "{links:?}");
        for link in &links {
            assert!(page.with_file_name(link).is_file(), "{link} leads nowhere");
        }
        assert!(
            links
                .iter()
                .any(|link| link.ends_with("compare/canary-no-data-1-vs-2.html"))
        );
        let document = html.split("id=\"comparisons\"").nth(1).expect("the comparisons");
        assert!(
            document.matches("/report.html\"").count() >= 2,
            "both runs of its name"
        );
    }
}

#[test]
fn what_holds_no_run_is_refused_with_the_reason() {
    let (stage, _) = three_runs();
    fs::create_dir(stage.path("empty")).expect("made");
    let table = [
        ("nowhere", "No such file"),
        ("empty", "holds no run: squall run SCENARIO makes one"),
        (
            "runs/s/1/run.json",
            "is a file; an index is made of a folder of runs",
        ),
        (
            "runs/s/1",
            "is the folder of one run; name the folder that it lies in",
        ),
    ];
    for (folder, words) in table {
        let ended = index(&stage, folder, &[]);
        assert!(ended.assert_code(2).stderr.contains(words), "{folder}: {ended}");
        assert_eq!(ended.stdout, "", "{folder}");
    }
    assert!(!stage.path("empty/index.html").exists());
    let args = ["--json", "--markdown"];
    assert_eq!(index(&stage, "runs", &args).code(), 2, "one form at a time");
    // Where nobody can write, whoever they are.
    let table = [
        ("/proc/index.html", "writing /proc/index.html"),
        ("/proc/a/b/index.html", "making /proc/a/b"),
        (
            stage.path("empty").to_str().expect("UTF-8"),
            "it is a folder; name a file in it",
        ),
    ]
    .map(|(out, words)| (out.to_owned(), words));
    for (out, words) in table {
        let ended = index(&stage, "runs", &["--out", &out]);
        assert!(ended.assert_code(1).stderr.contains(words), "{out}: {ended}");
        assert_eq!(ended.stdout, "", "{out}");
    }
}
