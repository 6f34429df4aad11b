//! The documents hold: their commands run, their scenarios are valid, their links lead somewhere, their lists are whole.
//!
//! In a Markdown file of this repository a block opened by `sh` holds commands, one a line, and one opened by
//! `yaml NAME.yaml` is that file. The README's commands are run, in a folder that looks like the repository after its
//! first command: `scenarios/`, `target/release/squall`, and the README's own files. What differs is said in
//! [`Step::of`], and it is only this: `cargo run` is replaced by the binary under test, `run` gets `--quick`, and
//! commands that would build, or serve until they are stopped, are only checked for being understood.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use squall_model::exit::Exit;
use squall_model::record::RunRecord;

/// The longest that one command may take.
const DEADLINE: Duration = Duration::from_mins(2);

/// One test at a time may run commands: loads beside each other spoil each other's times.
static MACHINE: Mutex<()> = Mutex::new(());

/// A line that README may hold and that [`Stage::run`] does for every command.
const EXPORT: &str = r#"export PATH="$PWD/target/release:$PATH""#;

#[test]
fn the_commands_of_the_readme_do_what_it_says() {
    let readme = read("README.md");
    let stage = Stage::new(&readme);
    let steps: Vec<Step> = blocks(&readme, "sh")
        .iter()
        .flat_map(|(_, text)| commands(text))
        .collect();
    let runs = steps
        .iter()
        .filter(|step| step.arguments.first().is_some_and(|word| word == "run"))
        .count();
    assert!(runs >= 3, "README shows {runs} runs: this test has lost its way");
    let mut wrong = Vec::new();
    for step in steps.iter().filter(|step| !step.arguments.is_empty()) {
        let (code, output) = stage.run(&step.arguments);
        let is_busy = step.exits == 0 && code == Some(96) && is_only_busy(&output);
        if code != Some(step.exits) && !is_busy {
            wrong.push(format!(
                "`{}` ended with {code:?}, not {}:\n{output}",
                step.written, step.exits
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a run, as far as its record says, is invalid only for what a busy machine has spoiled.
fn is_only_busy(output: &str) -> bool {
    let page = output.lines().find_map(|line| line.strip_prefix("report: "));
    let page = page.expect("a run says where its report is");
    let record =
        fs::read_to_string(Path::new(page).with_file_name("run.json")).expect("it lies beside the report");
    let record: RunRecord = serde_json::from_str(&record).expect("run.json is a run record");
    let doubts: Vec<&String> = record.phases.iter().flat_map(|phase| &phase.invalid).collect();
    let is_doubt = |reason: &String| doubts.iter().any(|doubt| reason.ends_with(doubt.as_str()));
    !record.reasons.is_empty() && record.reasons.iter().all(is_doubt)
}

#[test]
fn the_commands_of_the_other_documents_are_understood() {
    for name in [
        "docs/running-in-ci.md",
        "docs/run-record.md",
        "docs/scenarios.md",
        "docs/faults.md",
        "docs/load-and-capacity.md",
        "docs/proxy.md",
        "docs/compare.md",
        "docs/index.md",
        "docs/baselines.md",
    ] {
        for (_, text) in blocks(&read(name), "sh") {
            // A command that is not understood fails here; what runs, README has run.
            drop(commands(&text));
        }
    }
}

#[test]
fn every_scenario_in_the_documents_is_valid() {
    let mut checked = 0;
    for path in documents() {
        let text = fs::read_to_string(&path).expect("it was found there");
        let stage = Stage::new(&text);
        for (name, _) in blocks(&text, "yaml") {
            let (code, output) = stage.run(&["check".to_owned(), name.clone()]);
            assert_eq!(code, Some(0), "{}: {name}\n{output}", path.display());
            checked += 1;
        }
    }
    assert!(
        checked >= 3,
        "only {checked} scenarios were found: this test has lost its way"
    );
}

#[test]
fn every_field_of_a_record_is_described() {
    let stage = Stage::new(&read("README.md"));
    let words = ["run", "my-service.yaml", "--quick", "--json"];
    let (code, _) = stage.run(&words.map(str::to_owned));
    assert!(matches!(code, Some(0 | 96)), "{code:?}");
    let record: Value =
        serde_json::from_str(&stage.read("stdout")).expect("--json prints the record and nothing else");
    let mut fields = BTreeSet::new();
    collect_fields(&record, &mut fields);
    assert!(fields.len() > 60, "{fields:?}");
    let page = read("docs/run-record.md");
    let missing: Vec<&String> = fields
        .iter()
        .filter(|field| !page.contains(&format!("`{field}`")))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/run-record.md does not mention {missing:?}"
    );
}

#[test]
fn every_exit_code_of_the_readme_is_one() {
    let readme = read("README.md");
    let codes: BTreeSet<u8> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.parse().ok())
        .collect();
    let expected = [
        Exit::Pass,
        Exit::Internal,
        Exit::Usage,
        Exit::NotUndone,
        Exit::MissingCapability,
        Exit::Invalid,
        Exit::Regression,
        Exit::InvariantViolated,
        Exit::ExpectationNotMet,
        Exit::ScenarioWrong,
        Exit::Interrupted,
        Exit::Terminated,
    ];
    assert_eq!(codes, expected.map(Exit::code).into_iter().collect());
}

#[test]
fn every_link_leads_somewhere() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("it was found there");
        for target in links(&text).filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let file = target.split('#').next().unwrap_or_default();
            let there = path.parent().expect("a file lies in a folder").join(file);
            if !there.exists() {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

/// A command of a document.
struct Step {
    /// As it stands there.
    written: String,
    /// What squall is given; none where there is nothing to run.
    arguments: Vec<String>,
    /// The exit code it should have: the one in `# exits N`, else 0.
    exits: i32,
}

impl Step {
    /// What becomes of a line. A command that nobody here understands is an error of the document.
    fn of(line: &str) -> Step {
        let (command, comment) = line.split_once(" #").unwrap_or((line, ""));
        let exits = comment
            .trim()
            .strip_prefix("exits ")
            .map_or(0, |code| code.parse().expect("a number"));
        let words = split(command);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let given: Vec<&str> = match words.as_slice() {
            _ if command.trim() == EXPORT => Vec::new(),
            // These are what is going on right now.
            ["cargo", "test", "--workspace"] => Vec::new(),
            ["cargo", "run", "--release", "--", rest @ ..] | ["squall", rest @ ..] => rest.to_vec(),
            _ => panic!("README says `{line}`, which this test does not understand"),
        };
        let mut arguments: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
        match given.first() {
            Some(&"run") if !given.contains(&"--quick") => arguments.push("--quick".to_owned()),
            // Options are read before the help is shown, so a wrong one is noticed.
            Some(&("load" | "serve" | "capacity" | "proxy")) => arguments.push("--help".to_owned()),
            _ => {}
        }
        Step {
            written: line.to_owned(),
            arguments,
            exits,
        }
    }
}

/// The words of a command; what stands between double quotes is one.
fn split(command: &str) -> Vec<String> {
    let parts = command.split('"').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    words.collect()
}

fn commands(block: &str) -> Vec<Step> {
    let lines = block.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(Step::of)
        .collect()
}

/// A folder that looks like the repository to someone who has just built it.
struct Stage {
    folder: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// With the files that `document` shows.
    fn new(document: &str) -> Stage {
        let turn = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
        // Where cargo puts programs, so that a library in it can be loaded as well.
        let folder =
            tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo's folder for tests is writable");
        let link =
            |from: &Path, to: &str| std::os::unix::fs::symlink(from, folder.path().join(to)).expect("linked");
        link(&root().join("scenarios"), "scenarios");
        fs::create_dir_all(folder.path().join("target/release")).expect("made");
        link(Path::new(env!("CARGO_BIN_EXE_squall")), "target/release/squall");
        for (name, text) in blocks(document, "yaml") {
            fs::write(folder.path().join(name), text).expect("written");
        }
        Stage { folder, _turn: turn }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect("a command has written it")
    }

    /// Runs squall as [`EXPORT`] finds it; its exit code and all that it said.
    fn run(&self, arguments: &[String]) -> (Option<i32>, String) {
        let folder = self.folder.path();
        let mut path = vec![folder.join("target/release")];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let output = |name: &str| File::create(folder.join(name)).expect("the folder is writable");
        let mut child = Command::new(folder.join("target/release/squall"))
            .args(arguments)
            .current_dir(folder)
            .env("PATH", std::env::join_paths(path).expect("it was one before"))
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .expect("squall starts");
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return (status.code(), self.read("stdout") + &self.read("stderr"));
            }
            if Instant::now() > until {
                child.kill().expect("it is our child");
                child.wait().expect("it is our child");
                panic!("squall {arguments:?} took longer than {DEADLINE:?}");
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("this crate lies two folders down")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// All Markdown files of the repository's root and of `docs/`.
fn documents() -> Vec<PathBuf> {
    let folders = [
        root(),
        root().join("docs"),
        root().join("docs/decisions"),
        root().join("docs/services"),
    ];
    let mut found = Vec::new();
    for folder in folders {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        found.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "md")),
        );
    }
    found.sort();
    assert!(found.len() > 5, "{found:?}");
    found
}

/// The blocks whose first line begins with `language`: what stands after it there, and the text.
fn blocks(text: &str, language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(head) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let mut words = head.split_whitespace();
        // A piece of a scenario has no name, and is nothing that could be checked.
        let name = (words.next() == Some(language)).then(|| words.next().unwrap_or_default());
        if let Some(name) = name.filter(|name| language == "sh" || !name.is_empty()) {
            found.push((name.to_owned(), body.join("\n") + "\n"));
        }
    }
    found
}

/// What links in Markdown lead to, outside of blocks.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
}

/// The names of all fields; those of maps whose keys are names from the scenario are left out.
fn collect_fields(value: &Value, fields: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_fields(item, fields)),
        Value::Object(object) => {
            for (key, inner) in object {
                fields.insert(key.clone());
                match (key.as_str(), inner) {
                    ("load" | "services" | "pause_kinds" | "phases" | "error", Value::Object(named)) => {
                        named.values().for_each(|one| collect_fields(one, fields));
                    }
                    ("errors" | "error_examples" | "measured", _) => {}
                    _ => collect_fields(inner, fields),
                }
            }
        }
        _ => {}
    }
}
