//! The commands that start nothing: what they print and how they end.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use squall_model::diagnostic::Diagnostics;
use squall_model::node::{Limits, parse};
use squall_model::span::Sources;

use crate::support::{ROOT, Stage};

#[test]
fn list_is_one_object_of_six_arrays() {
    let stage = Stage::shared();
    let ended = stage.squall(&["list", "--json"]);
    let list: Value = serde_json::from_str(&ended.assert_code(0).stdout).expect("one JSON document");
    let list = list.as_object().expect("an object");
    let mut kinds: Vec<&str> = list.keys().map(String::as_str).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "faults",
            "invariants",
            "pacers",
            "protocols",
            "scenarios",
            "services"
        ]
    );
    let known = [
        ("faults", "clock"),
        ("invariants", "unique"),
        ("pacers", "poisson"),
        ("protocols", "http"),
        ("scenarios", "id-generator-clock-rollback"),
        ("services", "id-generator"),
    ];
    for (kind, name) in known {
        let entries = list[kind].as_array().expect("an array");
        for entry in entries {
            let text = |key: &str| entry[key].as_str().unwrap_or_default();
            assert!(
                !text("name").is_empty() && !text("about").is_empty(),
                "{kind}: {entry}"
            );
            assert!(!text("about").contains('\n'), "{kind}: more than a line: {entry}");
            assert!(!text("about").contains("has errors"), "{kind}: {entry}");
        }
        assert!(
            entries.iter().any(|entry| entry["name"] == name),
            "no {name} among the {kind}"
        );
    }
    let plain = stage.squall(&["list"]);
    for (kind, name) in known {
        assert!(
            plain.assert_code(0).stdout.contains(kind) && plain.stdout.contains(name),
            "{plain}"
        );
    }
}

#[test]
fn the_schema_accepts_what_ships_and_refuses_what_does_not_exist() {
    let stage = Stage::shared();
    let ended = stage.squall(&["schema"]);
    let schema: Value = serde_json::from_str(&ended.assert_code(0).stdout).expect("one JSON document");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a schema");
    let json = |text: &str| {
        let (mut sources, mut diagnostics) = (Sources::new(), Diagnostics::new());
        let id = sources.add("s.yaml", text);
        parse(id, text, &Limits::SCENARIO, &mut diagnostics)
            .expect("YAML")
            .to_json()
    };
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(ROOT).join("scenarios"))
        .expect("scenarios/ is there")
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "yaml")
        })
    {
        let document = json(&fs::read_to_string(entry.path()).expect("readable"));
        let errors: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:?}", entry.path().display());
        seen += 1;
    }
    assert!(seen > 5, "only {seen} scenarios");
    let wrong =
        "squall: 1\nname: a\nphases: [{ phase: p, for: 1s, faults: [clok: { target: a, step: -5ms }] }]\n";
    assert!(!validator.is_valid(&json(wrong)));
    // A kind whose parameters are needed does not stand as a word, and one that takes none does.
    let arrivals = |written: &str| {
        let load = format!("load: {{ a: {{ to: b, http: {{ get: / }}, arrivals: {written} }} }}");
        let phases = "phases: [{ phase: p, for: 1s }]";
        validator.is_valid(&json(&format!("squall: 1\nname: a\n{load}\n{phases}\n")))
    };
    for (written, accepted) in [
        ("poisson", true),
        ("burst", false),
        ("trace", false),
        ("{ trace: a.csv }", true),
        ("{ trace: { speed: 2x } }", false),
        ("{ burst: {} }", false),
        ("{ burst: { size: 5 } }", true),
        ("{ sine: { mean: 5/s, high: 6/s, period: 1s } }", false),
        ("{ sine: { low: 5/s, high: 6/s, period: 1s } }", true),
        ("{ step: { from: 5/s, to: 6/s } }", false),
    ] {
        assert_eq!(arrivals(written), accepted, "{written}");
    }
}

#[test]
fn a_plan_shows_processes_timeline_checks_and_needs() {
    let stage = Stage::shared();
    let ended = stage.squall(&[
        "plan",
        "id-generator-clock-rollback",
        "--set",
        "load.single.rate=3k/s",
    ]);
    ended.assert_code(0);
    let expected = [
        "services, in the order in which they start",
        "bundled id-generator with node=7",
        "GET /ids?count=100 to ids",
        "steady for 5.00 s (baseline)",
        "warm-up for 2.00 s (not measured)",
        "single 3.00k/s, poisson",
        "step-500ms: steps the realtime clock of ids back by 500ms, for 2.00 s",
        "ids.unique",
        "single.errors == 0%",
        "the clock fault must reach ids",
    ];
    for words in expected {
        assert!(ended.stdout.contains(words), "no `{words}`: {ended}");
    }
    assert!(
        stage
            .squall(&["plan", "id-generator-clock-rollback", "--quick"])
            .stdout
            .contains("phases scaled down")
    );
}

#[test]
fn a_plan_says_what_this_machine_lacks() {
    let stage = Stage::shared();
    let scenario = stage.write(
        "lacks.yaml",
        "squall: 1\nname: lacks\nservices: { ghost: { run: [no-such-program-here] } }\nphases: [{ phase: p, for: 1s }]\n",
    );
    let ended = stage.squall(&["plan", &scenario]);
    ended.assert_code(95);
    assert!(
        ended
            .stderr
            .contains("service ghost: the program `no-such-program-here` is not in PATH"),
        "{ended}"
    );
}

#[test]
fn a_wrong_command_line_exits_2_and_says_why() {
    let stage = Stage::shared();
    let table: [(&[&str], &str); 12] = [
        (&[], "Usage"),
        (&["chekc"], "check"),
        (&["run"], "SCENARIO"),
        (&["run", "canary-no-data", "--sede", "1"], "--seed"),
        (&["run", "canary-no-data", "--runs", "0"], "--runs"),
        (&["run", "--tag", "no-such-tag"], "no-such-tag"),
        (&["serve", "id-generater"], "did you mean `id-generator`?"),
        (&["serve", "id-generator", "--set", "nod=1"], "nod"),
        (&["serve", "id-generator", "--peer", "nobody"], "ROLE=ADDRESS"),
        (&["load", "ftp://127.0.0.1/"], "ftp"),
        (&["load", "http://192.0.2.7/"], "--allow-host 192.0.2.7"),
        (&["load", "http://127.0.0.1:1/", "-r", "0"], "above zero"),
    ];
    for (args, word) in table {
        let ended = stage.squall(args);
        assert_eq!(ended.code(), 2, "{args:?}: {ended}");
        assert!(ended.stderr.contains(word), "{args:?}: no `{word}`: {ended}");
        assert_eq!(ended.stdout, "", "{args:?}");
    }
}

#[test]
fn every_command_has_a_help_with_an_example() {
    let stage = Stage::shared();
    let overview = stage.squall(&["--help"]).stdout;
    let listed = overview.split("Commands:\n").nth(1).expect("a list of commands");
    let listed = listed.split("\n\n").next().unwrap_or_default();
    let commands: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    for expected in [
        "run",
        "check",
        "plan",
        "list",
        "report",
        "compare",
        "load",
        "baseline",
        "merge",
        "capacity",
        "serve",
        "schema",
        "completions",
        "clean",
    ] {
        assert!(commands.contains(&expected), "no {expected} in {commands:?}");
    }
    for command in commands.iter().filter(|command| **command != "help") {
        let ended = stage.squall(&[command, "--help"]);
        let example = format!("Example: squall {command}");
        assert!(
            ended.assert_code(0).stdout.contains(&example),
            "no `{example}`: {ended}"
        );
    }
    assert!(
        stage
            .squall(&["--version"])
            .assert_code(0)
            .stdout
            .starts_with("squall ")
    );
}

#[test]
fn completions_know_the_commands() {
    let stage = Stage::shared();
    let ended = stage.squall(&["completions", "bash"]);
    assert!(
        ended.assert_code(0).stdout.contains("id-generator") || ended.stdout.contains("completions"),
        "{ended}"
    );
    assert!(ended.stdout.contains("complete -F _squall"), "{ended}");
    stage.squall(&["completions", "tcsh"]).assert_code(2);
}

#[test]
fn a_service_tells_its_settings() {
    let stage = Stage::shared();
    let ended = stage.squall(&["serve", "id-generator", "--settings"]);
    for setting in ["node", "plant"] {
        assert!(
            ended.assert_code(0).stdout.contains(setting),
            "no {setting}: {ended}"
        );
    }
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let stage = Stage::shared();
    let mut child = Stage::command(&["list"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
    drop(stage);
}

#[test]
fn a_folder_that_is_no_run_has_no_report() {
    let stage = Stage::shared();
    for folder in [stage.path("."), stage.path("absent")] {
        let ended = stage.squall(&["report".as_ref(), folder.as_os_str()]);
        ended.assert_code(1);
        assert!(ended.stderr.contains("folder"), "{ended}");
        assert_eq!(ended.stdout, "");
    }
    let ended = stage.squall(&[
        "clean".as_ref(),
        "--out".as_ref(),
        stage.path("absent").as_os_str(),
    ]);
    assert_eq!(ended.assert_code(0).stdout, "nothing was left\n");
}
