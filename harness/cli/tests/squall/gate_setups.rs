//! What `action.yml` and `docs/gate.md` give people to copy: the action's scripts, with a program in place of squall and of GitHub's, and the
//! commands.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::{PATIENCE, ROOT, Stage};

/// In place of squall: says what it was asked, and ends as it is told.
const SQUALL: &str = r#"#!/bin/bash
{ printf '[%s]' "$@"; echo; } >> asked
exit "$(cat ends)"
"#;

/// In place of GitHub's command line: knows of the comment with the number in a file, and says what it was asked.
const GH: &str = r#"#!/bin/bash
{ printf '[%s]' "$@"; echo; } >> asked
case "$*" in
    *--jq*) cat known ;;
esac
"#;

/// A folder as a step of the action has it.
struct Step {
    stage: Stage,
}

impl Step {
    fn new() -> Step {
        let stage = Stage::shared();
        for (name, text) in [("squall", SQUALL), ("gh", GH)] {
            let path = stage.write(name, text);
            let made = Command::new("chmod").args(["+x", &path]).status();
            assert!(made.expect("chmod is there").success());
        }
        Step { stage }
    }

    /// Runs the script that begins with `first`, as GitHub's runner does it.
    fn run(&self, first: &str, environment: &[(&str, &str)]) -> Output {
        let script = self.stage.write("step.sh", &script(first));
        let folder = self.stage.path("");
        let limit = PATIENCE.as_secs().to_string();
        let path = format!(
            "{}:{}",
            folder.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        Command::new("timeout")
            .args([
                &limit,
                "bash",
                "--noprofile",
                "--norc",
                "-eo",
                "pipefail",
                &script,
            ])
            .current_dir(&folder)
            .env("PATH", path)
            .env("GITHUB_OUTPUT", self.stage.path("output"))
            .env("GITHUB_REPOSITORY", "owner/repository")
            .env("SQUALL", self.stage.path("squall"))
            .env("TMPDIR", &folder)
            .envs(environment.iter().copied())
            .output()
            .expect("bash is there")
    }

    /// Runs the step that gates, where squall ends with `code`.
    fn gate(&self, code: u8, inputs: &[(&str, &str)]) -> Output {
        self.stage.write("ends", &code.to_string());
        let usual = [
            ("BASE", "origin/main"),
            ("BUDGET", "10m"),
            ("ON_INCONCLUSIVE", "pass"),
            ("ADVISE", "false"),
        ];
        self.run("squall=", &[&usual, inputs].concat())
    }

    /// A file that a script wrote; empty where there is none.
    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.stage.path(name)).unwrap_or_default()
    }
}

/// The script of `action.yml` that begins so.
fn script(first: &str) -> String {
    let action = read("action.yml");
    let scripts = action.split("      run: |\n").skip(1).map(|rest| {
        let lines = rest
            .lines()
            .map_while(|line| line.strip_prefix("        ").or(line.is_empty().then_some("")));
        lines.collect::<Vec<_>>().join("\n")
    });
    let mut found = scripts.filter(|script| script.starts_with(first));
    found
        .next()
        .unwrap_or_else(|| panic!("no script begins with {first}"))
}

fn read(name: &str) -> String {
    let path = PathBuf::from(ROOT).join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_action_passes_on_what_it_was_told_and_ends_as_the_gate_does() {
    let with = "[--base][origin/main][--budget][10m][--on-inconclusive][pass][--github][--markdown][squall-gate.md][--junit][squall-gate.xml]";
    for (code, inputs, before, after) in [
        (0, &[("SCENARIOS", "a.yaml")][..], "[gate][a.yaml]", ""),
        (96, &[("CRITERION", "parse")], "[gate]", "[--criterion][parse]"),
        (
            97,
            &[
                ("SCENARIOS", "a.yaml\n  b.yaml\n"),
                ("CRITERION", "parse sum"),
                ("ADVISE", "true"),
                ("MORE", "--seed 5\n--keep-blocks"),
            ],
            "[gate][a.yaml][b.yaml]",
            "[--seed][5][--keep-blocks][--criterion][parse][--criterion][sum][--advise]",
        ),
    ] {
        let step = Step::new();
        let ended = step.gate(code, inputs);
        assert_eq!(ended.status.code(), Some(i32::from(code)), "{ended:?}");
        assert_eq!(step.read("output"), format!("exit-code={code}\n"));
        assert_eq!(step.read("asked"), format!("{before}{with}{after}\n"));
    }
}

#[test]
fn what_a_pull_request_writes_into_an_input_is_text_to_the_action() {
    let step = Step::new();
    let ended = step.gate(
        0,
        &[
            ("SCENARIOS", "$(touch done).yaml `touch done` ;touch done"),
            ("CRITERION", "$(touch${IFS}done)"),
            ("MORE", "--seed $(touch${IFS}done)"),
        ],
    );
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        step.read("asked")
            .contains("[$(touch][done).yaml][`touch][done`][;touch][done]")
    );
    assert!(!step.stage.path("done").exists());
}

#[test]
fn the_action_writes_one_comment_and_keeps_it_up_to_date() {
    let step = Step::new();
    let comment = |known: &str| {
        step.stage.write("known", known);
        step.stage.write("asked", "");
        let ended = step.run("test -s squall-gate.md", &[("NUMBER", "7")]);
        assert!(ended.status.success(), "{ended:?}");
        step.read("asked")
    };
    assert_eq!(comment(""), "", "nothing was gated");
    step.stage.write("squall-gate.md", "<!-- squall-gate -->\n");
    let comments = "repos/owner/repository/issues";
    let asked = comment("");
    assert!(
        asked.ends_with(&format!(
            "[api][--silent][{comments}/7/comments][--field][body=@squall-gate.md]\n"
        )),
        "{asked}"
    );
    let asked = comment("41\n42\n");
    assert!(
        asked.ends_with(&format!(
            "[api][--silent][--method][PATCH][{comments}/comments/41][--field][body=@squall-gate.md]\n"
        )),
        "{asked}"
    );
}

#[test]
fn every_input_of_the_action_is_used() {
    let action = read("action.yml");
    let (inputs, rest) = action.split_once("outputs:").expect("it has outputs");
    let (_, inputs) = inputs.split_once("inputs:\n").expect("it has inputs");
    let names = inputs
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
    assert!(
        names.contains(&"scenarios") && names.contains(&"comment-token"),
        "{names:?}"
    );
    for name in names {
        assert!(rest.contains(&format!("inputs.{name}")), "{name}");
    }
}

#[test]
fn every_command_of_the_document_is_understood() {
    let stage = Stage::shared();
    let document = read("docs/gate.md");
    let lines = document.lines().map(|line| line.trim().trim_start_matches("- "));
    let lines: Vec<&str> = lines.filter(|line| line.starts_with("squall gate ")).collect();
    assert!(lines.len() >= 10, "{lines:?}");
    for line in lines {
        let command = line.split(" # ").next().unwrap_or(line);
        let words = shlex::split(command).unwrap_or_else(|| panic!("{command}"));
        let ended = Stage::command(&words[1..])
            .current_dir(stage.path(""))
            .output()
            .expect("squall starts");
        let said = String::from_utf8_lossy(&ended.stderr);
        // There is no scenario, no program and no repository; the command line itself is in order.
        assert!(
            !matches!(ended.status.code(), None | Some(0 | 2)),
            "{line}: {said}"
        );
    }
}
