//! `squall compare`: which folders become which sides, what it prints and writes, and what it refuses.
//!
//! One run is made, and copied with another start and revision: what is compared is tested on made-up runs in the crate of
//! reports.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Ended, Stage};

/// Names of sides, and how many runs each has.
type Sides<'t> = &'t [(&'t str, usize)];

/// A copy of a run in another folder, started in another minute.
fn copy(of: &Path, to: &Path, minute: u32, change: impl Fn(&mut Value)) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(of).expect("a folder").flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
        }
    }
    let path = to.join("run.json");
    let mut record: Value =
        serde_json::from_str(&std::fs::read_to_string(&path).expect("a record")).expect("JSON");
    record["started_at"] = format!("2026-01-15T09:{minute:02}:00.000Z").into();
    record["verdict"] = "pass".into();
    record["reasons"] = Value::Array(Vec::new());
    change(&mut record);
    std::fs::write(&path, record.to_string()).expect("written");
}

/// A stage with `base/s/1..n` and `candidate/s/1..n` of the scenario `s`.
fn two_sides(n: u32) -> Stage {
    let stage = Stage::alone();
    let out = stage.path("made");
    let args = [
        "run",
        "canary-no-data",
        "--quick",
        "--out",
        out.to_str().expect("UTF-8"),
    ];
    let mut ended = stage.squall(&args);
    ended.reports = out;
    let made = ended.folder();
    for (name, revision) in [("base", "aaaaaaa"), ("candidate", "bbbbbbb")] {
        for at in 1..=n {
            let to = stage.path(&format!("{name}/s/{at}"));
            copy(&made, &to, at, |record| {
                record["revision"] = revision.into();
            });
        }
    }
    stage
}

fn compare(stage: &Stage, more: &[&str], paths: &[PathBuf]) -> Ended {
    let mut args: Vec<&str> = vec!["compare"];
    args.extend(paths.iter().map(|path| path.to_str().expect("UTF-8")));
    args.extend(more);
    stage.squall(&args)
}

/// The sides of the only comparison: name, and how many runs.
fn sides(ended: &Ended) -> Vec<(String, usize)> {
    let document: Value = serde_json::from_str(&ended.assert_code(0).stdout).expect("nothing but JSON");
    let comparisons = document["comparisons"].as_array().expect("a list");
    assert_eq!(comparisons.len(), 1, "{document}");
    let sides = comparisons[0]["sides"].as_array().expect("a list");
    sides
        .iter()
        .map(|side| {
            let name = side["name"].as_str().expect("a name").to_owned();
            (name, side["runs"].as_array().expect("a list").len())
        })
        .collect()
}

fn named(sides: &[(&str, usize)]) -> Vec<(String, usize)> {
    sides.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
}

#[test]
fn arguments_become_sides_as_a_reader_means_them() {
    let stage = two_sides(2);
    let path = |name: &str| stage.path(name);
    let table: [(&[&str], Sides<'_>); 6] = [
        // Two runs, also by their record.
        (
            &["base/s/1", "candidate/s/2/run.json"],
            &[("aaaaaaa", 1), ("bbbbbbb", 1)],
        ),
        // Two runs of one folder and one revision: their starts tell them apart.
        (&["base/s/1", "base/s/2"], &[("09:01:00", 1), ("09:02:00", 1)]),
        // What a shell makes of base/s/* candidate/s/*.
        (
            &["base/s/1", "base/s/2", "candidate/s/1", "candidate/s/2"],
            &[("base", 2), ("candidate", 2)],
        ),
        // Folders of runs, and folders of scenarios.
        (&["base/s", "candidate/s"], &[("base", 2), ("candidate", 2)]),
        (&["base", "candidate"], &[("base", 2), ("candidate", 2)]),
        // A run against a folder.
        (&["base", "candidate/s/1"], &[("base", 2), ("1", 1)]),
    ];
    for (arguments, expected) in table {
        let paths: Vec<PathBuf> = arguments.iter().map(|name| path(name)).collect();
        let found = sides(&compare(&stage, &["--json"], &paths));
        assert_eq!(found, named(expected), "{arguments:?}");
    }
}

#[test]
fn a_folder_is_its_newest_valid_run_and_what_repeats_it() {
    let stage = two_sides(2);
    let made = stage.path("base/s/1");
    copy(&made, &stage.path("base/s/3"), 3, |record| {
        record["verdict"] = "invalid".into();
    });
    copy(&made, &stage.path("base/s/0"), 0, |record| {
        record["revision"] = "ccccccc".into();
    });
    std::os::unix::fs::symlink("2", stage.path("base/s/latest")).expect("linked");
    let paths = [stage.path("base"), stage.path("candidate")];
    let ended = compare(&stage, &["--json"], &paths);
    assert_eq!(sides(&ended), named(&[("base", 2), ("candidate", 2)]));
    assert!(
        ended
            .stdout
            .contains("of 4 runs of canary-no-data the 2 that repeat its newest valid one"),
        "{ended}"
    );
    // A link to a run is that run.
    let twice = [stage.path("base/s/latest"), stage.path("base/s/2")];
    let ended = compare(&stage, &[], &twice);
    assert!(
        ended
            .assert_code(2)
            .stderr
            .contains("all arguments name the same"),
        "{ended}"
    );
}

#[test]
fn a_merged_run_is_no_repeat_of_those_beside_it() {
    let stage = two_sides(2);
    copy(
        &stage.path("base/s/1"),
        &stage.path("base/s/merged"),
        9,
        |record| {
            record["merged"] =
                serde_json::json!({ "how": "repeats", "repeats": 2, "runs": [], "differ": [] });
        },
    );
    let names: [&[&str]; 2] = [
        &["base", "candidate"],
        &[
            "base/s/1",
            "base/s/2",
            "base/s/merged",
            "candidate/s/1",
            "candidate/s/2",
        ],
    ];
    for names in names {
        let paths: Vec<PathBuf> = names.iter().map(|name| stage.path(name)).collect();
        let ended = compare(&stage, &["--json"], &paths);
        assert_eq!(
            sides(&ended),
            named(&[("base", 2), ("candidate", 2)]),
            "{names:?}"
        );
        assert!(ended.stdout.contains("1 merged run was left out"), "{ended}");
    }
    // Named on its own, it is compared.
    let paths = [stage.path("base/s/merged"), stage.path("candidate/s/1")];
    assert_eq!(sides(&compare(&stage, &["--json"], &paths)).len(), 2);
}

#[test]
fn without_out_the_page_lands_where_what_is_compared_says() {
    let stage = two_sides(1);
    let paths = [stage.path("base/s/1"), stage.path("candidate/s/1")];
    let page = stage.path("reports/compare/canary-no-data-1-vs-1.html");
    for _ in 0..2 {
        let mut command = Stage::command(&["compare".as_ref(), paths[0].as_os_str(), paths[1].as_os_str()]);
        command.current_dir(stage.path(""));
        let ended = stage.start(command).wait();
        let out = &ended.assert_code(0).stdout;
        assert!(out.ends_with(&format!("report: {}\n", page.display())), "{ended}");
    }
    assert!(
        std::fs::read_to_string(&page)
            .expect("written")
            .contains("aaaaaaa")
    );
    let pages = std::fs::read_dir(page.parent().expect("a folder"))
        .expect("a folder")
        .count();
    assert_eq!(pages, 1, "the same command makes the same page again");
}

#[test]
fn folders_of_several_scenarios_pair_by_name() {
    let stage = two_sides(1);
    let made = stage.path("base/s/1");
    for (side, name) in [("base", "feed"), ("candidate", "feed"), ("base", "alone")] {
        copy(&made, &stage.path(&format!("{side}/{name}/1")), 5, |record| {
            record["scenario"] = name.into();
        });
    }
    let page = stage.path("pages/out.html");
    let paths = [stage.path("base"), stage.path("candidate")];
    let ended = compare(
        &stage,
        &["--json", "--out", page.to_str().expect("UTF-8")],
        &paths,
    );
    let document: Value = serde_json::from_str(&ended.assert_code(0).stdout).expect("nothing but JSON");
    let of: Vec<&str> = document["comparisons"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["scenario"].as_str())
        .collect();
    assert_eq!(of, ["canary-no-data", "feed"]);
    assert!(
        document["notes"].to_string().contains("alone is only in base."),
        "{document}"
    );
    let page = std::fs::read_to_string(page).expect("--out was written, too");
    assert!(page.contains("2 scenarios") && page.contains("alone is only in base."));
}

#[test]
fn the_summary_goes_to_the_terminal_and_the_page_where_out_says() {
    let stage = two_sides(1);
    let page = stage.path("page.html");
    let paths = [stage.path("base"), stage.path("candidate")];
    let ended = compare(&stage, &["--out", page.to_str().expect("UTF-8")], &paths);
    let out = &ended.assert_code(0).stdout;
    assert!(
        out.contains("One run each: cannot separate a change from"),
        "{ended}"
    );
    assert!(
        out.contains("Revision") && out.contains("aaaaaaa") && out.contains("bbbbbbb"),
        "{ended}"
    );
    assert!(out.ends_with(&format!("report: {}\n", page.display())), "{ended}");
    assert!(
        std::fs::read_to_string(&page)
            .expect("written")
            .contains("Content-Security-Policy")
    );
    let ended = compare(&stage, &["--markdown"], &paths);
    assert!(
        ended
            .assert_code(0)
            .stdout
            .starts_with("# Compared: canary-no-data"),
        "{ended}"
    );
}

#[test]
fn what_is_no_run_is_refused_with_the_reason() {
    let stage = two_sides(1);
    let base = stage.path("base");
    std::fs::create_dir(stage.path("empty")).expect("made");
    let broken = stage.path("broken/1");
    copy(&stage.path("base/s/1"), &broken, 1, |record| {
        record["schema"] = 99.into();
    });
    let table = [
        ("nowhere", "No such file"),
        ("empty", "is no run's folder and holds none"),
        ("base/s/1/events.ndjson", "neither a folder nor a run.json"),
        ("base", "all arguments name the same"),
        ("broken/1", "it has schema 99"),
    ];
    for (other, words) in table {
        let ended = compare(&stage, &[], &[base.clone(), stage.path(other)]);
        assert!(ended.assert_code(2).stderr.contains(words), "{other}: {ended}");
        assert_eq!(ended.stdout, "", "{other}");
    }
    assert_eq!(compare(&stage, &[], &[base]).code(), 2, "one is not enough");
}
