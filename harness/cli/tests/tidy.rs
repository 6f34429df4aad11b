//! What holds for this repository's text and no compiler checks: who may depend on whom, who may print, how a file opens.
//!
//! Reads files and nothing else. Each rule is a test; a failure names every place at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What each crate of the harness may use of this workspace. A new crate gets a line here and one in ARCHITECTURE.md.
const HARNESS: &[(&str, &[&str])] = &[
    ("squall-model", &[]),
    ("squall-load", &["squall-model"]),
    ("squall-edge", &["squall-model"]),
    ("squall-engine", &["squall-model", "squall-load", "squall-edge"]),
    ("squall-report", &["squall-model"]),
];

/// The command line, which puts everything together and may use all of it.
const BINARY: &str = "squall";

/// What every service shares.
const KIT: &str = "squall-service-kit";

/// What lets a service read its configuration while it runs. It and the kit are all of this workspace that a service may use.
const CONFIG_CLIENT: &str = "squall-config-client";

/// Names that say nothing about what they name.
const EMPTY_NAMES: &[&str] = &["utils", "common", "helpers", "misc", "manager", "imp"];

/// What `model` and `report` must not touch: they are pure, so that a report made again is the same.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::os",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "std::env",
    "std::process",
    "std::thread",
    "fs::read",
    "env::var",
    "Instant::now",
    "SystemTime",
    "now_utc",
];

/// Folders that hold nothing of the source.
const NOT_SOURCE: &[&str] = &["target", ".git", "reports"];

#[test]
fn a_crate_uses_only_the_crates_that_it_may() {
    let crates = crates();
    let mut wrong = Vec::new();
    for (name, member) in &crates {
        let may: &[&str] = match HARNESS.iter().find(|(known, _)| known == name) {
            Some((_, may)) => may,
            None if name == BINARY => continue,
            None if name == KIT || name == CONFIG_CLIENT => &[],
            None if member.folder.starts_with("services") => &[KIT, CONFIG_CLIENT],
            None => {
                wrong.push(format!(
                    "{name}: say what it may use, in this test and in ARCHITECTURE.md"
                ));
                continue;
            }
        };
        let inside = member.uses.iter().filter(|used| crates.contains_key(*used));
        for used in inside.filter(|used| !may.contains(&used.as_str())) {
            wrong.push(format!(
                "{name} must not use {used}: {}/Cargo.toml",
                member.folder.display()
            ));
        }
    }
    none(
        "dependencies go one way: cli, then engine and report and services, then load and edge, then model",
        &wrong,
    );
}

#[test]
fn the_harness_has_no_async_runtime() {
    let mut wrong = Vec::new();
    for (name, member) in crates()
        .iter()
        .filter(|(_, member)| member.folder.starts_with("harness"))
    {
        // Users who make journeys are goose's, which needs one; they stand behind a feature.
        let may = |used: &str| name == "squall-load" && ["tokio", "goose"].contains(&used);
        let runtimes = member
            .builds_on
            .iter()
            .filter(|used| ["tokio", "async-std", "smol", "goose"].contains(&used.as_str()) && !may(used));
        wrong.extend(runtimes.map(|runtime| format!("{name} uses {runtime}")));
    }
    // h2 asks for a transport in tokio's terms, so its traits are there, without any feature: in one file.
    let is_pipe = |source: &Source| source.path.ends_with("protocol/http2/pipe.rs");
    let is_shipped = |source: &Source| {
        source.path.starts_with("harness") && source.path.components().any(|part| part.as_os_str() == "src")
    };
    let is_journey = |source: &Source| source.path.starts_with("harness/load/src/journey");
    wrong.extend(found(&["tokio::"], |source| {
        is_shipped(source) && !is_pipe(source) && !is_journey(source)
    }));
    let more = ["tokio::runtime", "tokio::spawn", "tokio::net", "tokio::time"];
    wrong.extend(found(&more, is_pipe));
    none(
        "the harness runs on threads and epoll: see docs/decisions",
        &wrong,
    );
}

#[test]
fn every_file_of_rust_opens_by_saying_what_it_is_for() {
    let opens = |file: &&Source| !file.text.starts_with("//! ");
    let wrong: Vec<String> = rust()
        .iter()
        .filter(opens)
        .map(|file| file.path.display().to_string())
        .collect();
    none(
        "a file opens with `//!`: what it is for, and what it must never do",
        &wrong,
    );
}

#[test]
fn nothing_has_a_name_that_says_nothing() {
    let mut wrong = Vec::new();
    for file in rust() {
        for part in file.path.components() {
            let part = part.as_os_str().to_string_lossy();
            if EMPTY_NAMES.contains(&part.trim_end_matches(".rs")) {
                wrong.push(format!("{}: `{part}`", file.path.display()));
            }
        }
        for (number, line) in file.code() {
            let mut words = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .filter(|word| !word.is_empty());
            let is_item = |word: &&str| ["mod", "struct", "enum", "trait", "type"].contains(word);
            let named = words
                .by_ref()
                .find(is_item)
                .and_then(|_| words.next())
                .unwrap_or_default();
            if EMPTY_NAMES.contains(&named.to_lowercase().as_str()) {
                wrong.push(format!("{}:{number}: `{named}`", file.path.display()));
            }
        }
    }
    none("a name says what the thing is", &wrong);
}

#[test]
fn only_the_command_line_and_the_services_log_print_or_end_the_process() {
    let may = |path: &Path| path.starts_with("harness/cli/src") || path.ends_with("services/kit/src/log.rs");
    let words = [
        "println!",
        "eprintln!",
        "print!(",
        "eprint!(",
        "dbg!(",
        "process::exit",
    ];
    none(
        "printing and ending are for harness/cli/src and services/kit/src/log.rs",
        &found(&words, |file| file.is_part_of_a_program() && !may(&file.path)),
    );
}

#[test]
fn the_model_and_the_report_touch_nothing() {
    let pure = |path: &Path| path.starts_with("harness/model/src") || path.starts_with("harness/report/src");
    none(
        "model and report turn values into values: no file, clock, thread or environment",
        &found(IMPURE, |file| pure(&file.path)),
    );
}

#[test]
fn lints_are_expected_rather_than_allowed() {
    let words = [concat!("#[", "allow("), concat!("#![", "allow(")];
    none(
        "write #[expect(.., reason = \"..\")]: it says why, and is noticed once it is needless",
        &found(&words, |_| true),
    );
}

#[test]
fn what_the_compiler_cannot_check_lives_where_the_architecture_says() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("it is there");
    let lifts = |file: &&Source| {
        file.code()
            .any(|(_, line)| line.contains(concat!("unsafe", "_code")))
    };
    let told = |file: &&Source| architecture.contains(&file.path.display().to_string());
    let all = rust();
    let wrong: Vec<String> = all
        .iter()
        .filter(lifts)
        .filter(|file| !told(file))
        .map(|file| file.path.display().to_string())
        .collect();
    none(
        "a file with unsafe code is named in ARCHITECTURE.md with the reason",
        &wrong,
    );
}

#[test]
fn nothing_is_left_to_be_done_in_a_comment() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut wrong = Vec::new();
    for file in sources(&["rs", "c", "h", "toml", "yaml", "yml", "md", "sh", "css", ""]) {
        for (number, line) in file.text.lines().enumerate() {
            if line
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| marks.contains(&word))
            {
                wrong.push(format!("{}:{}: {}", file.path.display(), number + 1, line.trim()));
            }
        }
    }
    none("what is to be done is an issue, not a comment", &wrong);
}

/// Fails with every place at once.
#[track_caller]
fn none(rule: &str, wrong: &[String]) {
    let mut text = String::new();
    for one in wrong {
        write!(text, "\n  {one}").expect("a string takes any text");
    }
    assert!(wrong.is_empty(), "{rule}:{text}");
}

/// Where one of `words` stands in code, in the files of Rust that `looked_at` picks.
fn found(words: &[&str], looked_at: impl Fn(&Source) -> bool) -> Vec<String> {
    let mut places = Vec::new();
    for file in rust().iter().filter(|file| looked_at(file)) {
        for (number, line) in file.code() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                places.push(format!("{}:{number}: {word}", file.path.display()));
            }
        }
    }
    places
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("this crate lies two folders down")
}

/// A file of the repository.
struct Source {
    /// Below the root.
    path: PathBuf,
    text: String,
}

impl Source {
    /// The lines that are no comments, with their numbers.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        lines
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Whether it is in a `src` folder: not a test, a benchmark, an example or a build script.
    fn is_part_of_a_program(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "src")
    }
}

/// All files of Rust.
fn rust() -> Vec<Source> {
    let files = sources(&["rs"]);
    assert!(
        files.len() > 100,
        "only {} files were found: this test looks in the wrong place",
        files.len()
    );
    files
}

/// All files with one of these endings, by path.
fn sources(endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut paths = Vec::new();
    walk(&root, &mut paths);
    paths.sort();
    let wanted = |path: &&PathBuf| {
        endings.contains(
            &path
                .extension()
                .and_then(|ending| ending.to_str())
                .unwrap_or_default(),
        )
    };
    let read = |path: &PathBuf| {
        // What is no text is nobody's prose.
        let text = fs::read_to_string(path).ok()?;
        Some(Source {
            path: path.strip_prefix(&root).expect("it was found there").to_owned(),
            text,
        })
    };
    paths.iter().filter(wanted).filter_map(read).collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    // Cargo marks its target folders, wherever they are.
    if folder.join("CACHEDIR.TAG").exists() {
        return;
    }
    for entry in fs::read_dir(folder)
        .expect("a folder of the repository can be read")
        .flatten()
    {
        let (path, kind) = (entry.path(), entry.file_type().expect("it was just listed"));
        if kind.is_dir() && !NOT_SOURCE.iter().any(|name| entry.file_name() == *name) {
            walk(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

/// A crate of the workspace.
struct Member {
    /// Below the root.
    folder: PathBuf,
    /// What it depends on, for whatever purpose.
    uses: Vec<String>,
    /// What it depends on for more than its tests.
    builds_on: Vec<String>,
}

/// The crates of the workspace, by name.
fn crates() -> BTreeMap<String, Member> {
    let mut crates = BTreeMap::new();
    for file in sources(&["toml"])
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"))
    {
        let mut section = "";
        let mut name = None;
        let mut uses = Vec::new();
        let mut builds_on = Vec::new();
        for line in file.text.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
                // `[dependencies.NAME]` is the long form of one entry.
                uses.extend(
                    section
                        .split_once("dependencies.")
                        .map(|(_, used)| used.to_owned()),
                );
            } else if let Some((key, value)) = line.split_once('=') {
                let key = key.split('.').next().unwrap_or_default().trim();
                if section == "package" && key == "name" {
                    name = Some(value.trim().trim_matches('"').to_owned());
                } else if section.ends_with("dependencies") {
                    uses.push(key.to_owned());
                    builds_on.extend((section != "dev-dependencies").then(|| key.to_owned()));
                }
            }
        }
        let folder = file.path.parent().map(Path::to_owned).unwrap_or_default();
        crates.extend(name.map(|name| {
            (
                name,
                Member {
                    folder,
                    uses,
                    builds_on,
                },
            )
        }));
    }
    assert!(
        crates.contains_key(BINARY) && crates.contains_key(KIT),
        "the workspace was not found"
    );
    crates
}
