//! Scenarios that are wrong: every error at once, each with its place and the nearest valid name, and exit code 104.

#![expect(
    clippy::needless_raw_string_hashes,
    reason = "expected texts are rewritten with them, needed or not"
)]

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use serde_json::Value;
use squall_model::exit::Exit;

use crate::support::{Ended, Stage};

/// Checks `text` as the file `wrong.yaml`, from the folder it lies in.
fn check_text(stage: &Stage, text: &str, more: &[&str]) -> Ended {
    stage.write("wrong.yaml", text);
    let mut command = Stage::command(&["check", "wrong.yaml"]);
    command.args(more).current_dir(stage.path("."));
    stage.start(command).wait()
}

#[track_caller]
#[expect(
    clippy::needless_pass_by_value,
    reason = "so that the expected text stands at the call"
)]
fn check(text: &str, expected: Expect) {
    let stage = Stage::shared();
    let ended = check_text(&stage, text, &[]);
    assert_eq!(ended.stdout, "");
    expected.assert_eq(&ended.assert_code(104).stderr);
}

#[test]
fn an_unknown_key_is_underlined_and_the_nearest_one_named() {
    check(
        "squall: 1\nname: a\nphases: [{ phase: p, for: 1s }]\nservices: { ids: { use: id-generator, wiht: { node: 7 } } }\n",
        expect![[r#"
            error: unknown key `wiht`
             --> wrong.yaml:4:39
              |
            4 | services: { ids: { use: id-generator, wiht: { node: 7 } } }
              |                                       ^^^^
              |
              = help: did you mean `with`?

            wrong.yaml: 1 error
        "#]],
    );
}

#[test]
fn a_number_with_a_wrong_unit_or_none_is_told_what_to_write() {
    check(
        "squall: 1\nname: a\nservices: { ids: { use: id-generator } }\nphases:\n  - { phase: p, for: 5sec }\n  - { phase: q, for: 5 }\n",
        expect![[r#"
            error: `sec` is no unit of a duration: write 5s
             --> wrong.yaml:5:22
              |
            5 |   - { phase: p, for: 5sec }
              |                      ^^^^

            error: `5` has no unit: write 5s or 5ms
             --> wrong.yaml:6:22
              |
            6 |   - { phase: q, for: 5 }
              |                      ^

            wrong.yaml: 2 errors
        "#]],
    );
}

#[test]
fn a_metric_that_does_not_exist_is_found_before_anything_runs() {
    check(
        "squall: 1
name: a
services: { ids: { use: id-generator } }
load: { single: { to: ids, http: { get: /id }, rate: 1k/s } }
phases: [{ phase: p, for: 1s }]
expect: { p: [\"single.p98 < 1ms\"], run: [\"sinlge.p99 < 1ms\", \"single.p99 < 5%\"] }
",
        expect![[r#"
            error: `single` has no `p98`
             --> wrong.yaml:6:23
              |
            6 | expect: { p: ["single.p98 < 1ms"], run: ["sinlge.p99 < 1ms", "single.p99 < 5%"] }
              |                       ^^^
              |
              = help: did you mean `p90`?

            error: nothing here is called `sinlge`
             --> wrong.yaml:6:43
              |
            6 | expect: { p: ["single.p98 < 1ms"], run: ["sinlge.p99 < 1ms", "single.p99 < 5%"] }
              |                                           ^^^^^^
              |
              = help: did you mean `single`?

            error: `single.p99` is a duration, `5%` is a ratio
             --> wrong.yaml:6:76
              |
            6 | expect: { p: ["single.p98 < 1ms"], run: ["sinlge.p99 < 1ms", "single.p99 < 5%"] }
              |                                                                            ^^
              |
              = help: write 20ms

            wrong.yaml: 3 errors
        "#]],
    );
}

#[test]
fn unknown_services_faults_and_protocols_are_named_all_at_once() {
    check(
        "squall: 1
name: a
services: { ids: { use: id-generater } }
load: { single: { to: idz, htp: { get: /id }, rate: 1k/s } }
phases:
  - phase: p
    for: 1s
    faults: [clok: { target: ids, step: -5ms }, clock: { target: ads, step: -5ms }]
",
        expect![[r#"
            error: there is no bundled service called `id-generater`
             --> wrong.yaml:3:25
              |
            3 | services: { ids: { use: id-generater } }
              |                         ^^^^^^^^^^^^
              |
              = note: `squall list` shows them all; a program of your own is started with `run: [...]`
              = help: did you mean `id-generator`?

            error: there is no service called `idz`
             --> wrong.yaml:4:23
              |
            4 | load: { single: { to: idz, htp: { get: /id }, rate: 1k/s } }
              |                       ^^^
              |
              = help: did you mean `ids`?

            error: there is no protocol called `htp`
             --> wrong.yaml:4:28
              |
            4 | load: { single: { to: idz, htp: { get: /id }, rate: 1k/s } }
              |                            ^^^
              |
              = help: did you mean `http`?

            error: there is no fault called `clok`
             --> wrong.yaml:8:14
              |
            8 |     faults: [clok: { target: ids, step: -5ms }, clock: { target: ads, step: -5ms }]
              |              ^^^^
              |
              = help: did you mean `clock`?

            error: there is no service called `ads`
             --> wrong.yaml:8:66
              |
            8 |     faults: [clok: { target: ids, step: -5ms }, clock: { target: ads, step: -5ms }]
              |                                                                  ^^^
              |
              = help: did you mean `ids`?

            wrong.yaml: 5 errors
        "#]],
    );
}

#[test]
fn what_is_not_on_this_machine_gets_no_load() {
    check(
        "squall: 1
name: a
services: { far: { at: \"192.0.2.7:80\" } }
load: { single: { to: far, http: { get: / }, rate: 1k/s } }
phases: [{ phase: p, for: 1s }]
",
        expect![[r#"
            error: `192.0.2.7:80` is not on this machine
             --> wrong.yaml:3:24
              |
            3 | services: { far: { at: "192.0.2.7:80" } }
              |                        ^^^^^^^^^^^^^^
              |
              = help: if you may put load on it, say `--allow-host 192.0.2.7`

            wrong.yaml: 1 error
        "#]],
    );
}

#[test]
fn a_host_that_the_command_line_allows_may_get_load() {
    let stage = Stage::shared();
    let scenario = stage.write(
        "far.yaml",
        "squall: 1
name: a
services: { far: { at: \"192.0.2.7:80\" } }
load: { single: { to: far, http: { get: / }, rate: 1k/s } }
phases: [{ phase: p, for: 1s }]
",
    );
    let path = scenario.as_str();
    let ended = stage.squall(&["plan", path, "--allow-host", "192.0.2.7"]);
    ended.assert_code(0);
    assert!(
        ended.stdout.contains("already running at 192.0.2.7:80"),
        "{ended}"
    );
    stage
        .squall(&["check", path, "--allow-host", "192.0.2.7"])
        .assert_code(0);
    let ended = stage.squall(&["plan", path, "--allow-host", "192.0.2.70"]);
    ended.assert_code(i32::from(Exit::ScenarioWrong.code()));
}

#[test]
fn a_setting_that_the_service_does_not_take_is_found() {
    check(
        "squall: 1
name: a
services: { ids: { use: id-generator, with: { nod: 7, plant: lost-sequense } } }
phases: [{ phase: p, for: 1s }]
",
        expect![[r#"
            error: id-generator has no setting `nod`
             --> wrong.yaml:3:47
              |
            3 | services: { ids: { use: id-generator, with: { nod: 7, plant: lost-sequense } } }
              |                                               ^^^
              |
              = help: did you mean `node`?

            error: setting "plant" cannot be "lost-sequense"; it takes none or reuse-after-rollback or lost-sequence
             --> wrong.yaml:3:62
              |
            3 | services: { ids: { use: id-generator, with: { nod: 7, plant: lost-sequense } } }
              |                                                              ^^^^^^^^^^^^^

            wrong.yaml: 2 errors
        "#]],
    );
}

#[test]
fn a_name_that_the_environment_or_the_scenario_lacks_is_found() {
    check(
        "squall: 1
name: a
services: { own: { run: [sleep, \"${SQUALL_TEST_NOT_SET}\"], env: { A: \"{nobody}\" } } }
phases: [{ phase: p, for: 1s }]
",
        expect![[r#"
            error: the environment has no variable `SQUALL_TEST_NOT_SET`
             --> wrong.yaml:3:34
              |
            3 | services: { own: { run: [sleep, "${SQUALL_TEST_NOT_SET}"], env: { A: "{nobody}" } } }
              |                                  ^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: set it, or give a default: ${SQUALL_TEST_NOT_SET:-default}

            error: nothing is called `nobody` in `{nobody}`
             --> wrong.yaml:3:71
              |
            3 | services: { own: { run: [sleep, "${SQUALL_TEST_NOT_SET}"], env: { A: "{nobody}" } } }
              |                                                                       ^^^^^^^^
              |
              = help: one of `own`, `port`, `data`, `squall`, `arm`

            wrong.yaml: 2 errors
        "#]],
    );
}

#[test]
fn what_is_no_yaml_is_shown_where_it_goes_wrong() {
    check(
        "squall: 1\nname: a\nname: b\nphases: [\n",
        expect![[r#"
        error: the key `name` is there twice
         --> wrong.yaml:3:1
          |
        2 | name: a
          | ---- first written here
        3 | name: b
          | ^^^^
          |
          = help: remove one, or merge the two

        error: not valid YAML: while parsing a node, did not find expected node content
         --> wrong.yaml:4:11
          |
        4 | phases: [
          |         -^
          |         |
          |         this is still open
          |
          = help: close it, or put it in quotes

        wrong.yaml: 2 errors
    "#]],
    );
}

#[test]
fn an_override_is_checked_like_the_scenario() {
    let stage = Stage::shared();
    let table = [
        ("load.nope.rate=1k/s", "there is no `nope` to change"),
        ("load.single.rate=abc", "`abc` is not a rate"),
        ("load.single.rate", "an override is a path, `=` and a value"),
    ];
    for (set, message) in table {
        let reports = stage.reports().display().to_string();
        let ended = stage.squall(&["run", "canary-no-data", "--set", set, "--out", &reports]);
        ended.assert_code(104);
        assert!(
            ended.stderr.contains(message) && ended.stderr.contains(" --> --set:1:"),
            "{set}: {ended}"
        );
    }
    assert!(!stage.reports().exists(), "nothing may begin");
}

#[test]
fn an_unquoted_placeholder_gets_a_message_of_its_own() {
    check(
        "squall: 1\nname: a\nservices: { own: { run: [./own, {port}] } }\nphases: [{ phase: p, for: 1s }]\n",
        expect![[r#"
            error: expected a text; `{port}` without quotes is a YAML mapping
             --> wrong.yaml:3:33
              |
            3 | services: { own: { run: [./own, {port}] } }
              |                                 ^^^^^^
              |
              = help: quote it: "{port}"

            wrong.yaml: 1 error
        "#]],
    );
}

#[test]
fn a_file_that_is_not_there_is_told_the_nearest_name() {
    let stage = Stage::shared();
    let ended = stage.squall(&["check", "canary-no-dta"]);
    expect![[r#"
        error: the scenario scenarios/canary-no-dta.yaml can't be read: No such file or directory (os error 2)
         |
         = help: did you mean `canary-no-data`?

        scenarios/canary-no-dta.yaml: 1 error
    "#]]
    .assert_eq(&ended.assert_code(104).stderr);
    let ended = stage.squall(&[
        "run",
        "canary-no-dta",
        "--out",
        &stage.reports().display().to_string(),
    ]);
    ended.assert_code(104);
    assert!(ended.stderr.contains("did you mean `canary-no-data`?"), "{ended}");
    assert!(!stage.reports().exists(), "nothing may begin");
}

#[test]
fn errors_are_data_with_json() {
    let stage = Stage::shared();
    let text =
        "squall: 1\nname: a\nservices: { ids: { usee: id-generator } }\nphases: [{ phase: p, for: 5sec }]\n";
    let ended = check_text(&stage, text, &["--json"]);
    let errors: Value = serde_json::from_str(&ended.assert_code(104).stdout).expect("one JSON document");
    let place = |error: &Value| (error["line"].as_u64(), error["column"].as_u64());
    let errors = errors.as_array().expect("an array");
    assert_eq!(
        errors.iter().map(place).collect::<Vec<_>>(),
        [(Some(3), Some(20)), (Some(4), Some(27))]
    );
    assert_eq!(errors[0]["help"], "did you mean `use`?");
    assert!(
        errors
            .iter()
            .all(|error| error["severity"] == "error" && error["file"] == "wrong.yaml"),
        "{errors:?}"
    );

    let ended = stage.squall(&["check", "--json", "canary-no-data"]);
    assert_eq!(
        serde_json::from_str::<Value>(&ended.assert_code(0).stdout).expect("JSON"),
        Value::Array(Vec::new())
    );
}

#[test]
fn one_wrong_scenario_among_several_stops_them_all() {
    let stage = Stage::shared();
    let wrong = stage.write("wrong.yaml", "squall: 1\nname: a\n");
    let reports = stage.reports().display().to_string();
    let ended = stage.squall(&["run", "canary-no-data", &wrong, "--out", &reports]);
    ended.assert_code(104);
    assert!(
        !stage.reports().exists(),
        "the one that is right must not have begun"
    );
}

/// Nine levels of ten references each: a billion nodes from a few hundred bytes.
fn alias_bomb() -> String {
    let mut text = String::from("squall: 1\nname: bomb\nx-0: &a0 [lol]\n");
    for level in 1..10 {
        let _ = writeln!(
            text,
            "x-{level}: &a{level} [{}]",
            vec![format!("*a{}", level - 1); 10].join(", ")
        );
    }
    text
}

#[test]
fn a_bomb_is_refused_with_its_reason() {
    let deep = format!(
        "squall: 1\nname: deep\nx-a: {}1{}\n",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let long = format!("squall: 1\nname: long\nabout: \"{}\"\n", "a".repeat(10 << 20));
    let wide = format!("squall: 1\nname: wide\nx-a: [{}]\n", "1, ".repeat(300_000));
    let table = [
        ("aliases", alias_bomb(), "alias"),
        ("nesting", deep, "deep"),
        ("10 MB", long, "large"),
        ("nodes", wide, "wrong.yaml"),
    ];
    let stage = Stage::shared();
    for (what, text, word) in table {
        let ended = check_text(&stage, &text, &[]);
        ended.assert_code(104);
        assert!(ended.stderr.contains(word), "{what}: {ended}");
        assert!(
            ended.stderr.len() < 4_000,
            "{what}: the message itself is a bomb, {} bytes",
            ended.stderr.len()
        );
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let stage = Stage::shared();
    std::fs::write(stage.path("wrong.yaml"), [0xff, 0xfe, b'a']).expect("written");
    let mut command = Stage::command(&["check", "wrong.yaml", "./folder"]);
    std::fs::create_dir(stage.path("folder")).expect("made");
    command.current_dir(stage.path("."));
    let ended = stage.start(command).wait();
    ended.assert_code(104);
    assert!(
        ended.stderr.contains("not UTF-8") && ended.stderr.contains("it is a folder"),
        "{ended}"
    );
}
