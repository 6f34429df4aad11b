//! The programs of Cargo's bench targets: the command that builds one, and where it is once it is built.
//!
//! Cargo names a program by a hash, so it is asked for the path, in the messages that it prints for machines. That is the build once more,
//! which finds everything built.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use squall_engine::run::Stop;
use squall_model::gate::{self, Both};

use super::build::{BUILD_WITHIN, shown};
use super::error::{ArmsError, BuildFailure};
use super::program::{Ended, Surroundings, capture};
use super::{Arm, Arms};

/// Lines of Cargo's words that are shown where it fails.
const LAST_LINES: usize = 20;

/// A bench program that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it is.
    pub executable: PathBuf,
    /// Its package's root, where `cargo bench` runs it.
    pub package: PathBuf,
}

/// What builds the bench target `bench`, in the root of the repository that `folder` is in.
pub fn command(bench: &str, package: Option<&str>, folder: &Path) -> Vec<String> {
    let mut words: Vec<String> = ["cargo", "bench", "--no-run", "--bench", bench]
        .map(str::to_owned)
        .to_vec();
    words.extend(
        package
            .into_iter()
            .flat_map(|name| ["--package".to_owned(), name.to_owned()]),
    );
    if let Some(manifest) = manifest(folder) {
        words.extend(["--manifest-path".to_owned(), manifest]);
    }
    words
}

/// The nearest `Cargo.toml` above `folder`, as Cargo looks for it there; from the repository's root, and nothing for the one in it.
fn manifest(folder: &Path) -> Option<String> {
    let root = folder.ancestors().find(|folder| folder.join(".git").exists())?;
    let inside = folder.ancestors().take_while(|folder| *folder != root);
    let place = inside
        .map(|folder| folder.join("Cargo.toml"))
        .find(|file| file.is_file())?;
    Some(place.strip_prefix(root).ok()?.to_str()?.to_owned())
}

/// Where both arms have the program that `command` has built, the candidate's looked for first.
pub fn find(
    arms: &Arms,
    command: &[String],
    bench: &str,
    logs: &Path,
    stop: &Stop,
) -> Result<Both<Program>, ArmsError> {
    let of = |which: gate::Arm, arm: &Arm| -> Result<Program, ArmsError> {
        let log = logs.join(format!("build-{which}.log"));
        find_one(which, arm, command, bench, &log, stop)
    };
    let candidate = of(gate::Arm::Candidate, &arms.candidate)?;
    let base = of(gate::Arm::Base, &arms.base)?;
    Ok(Both { base, candidate })
}

fn find_one(
    which: gate::Arm,
    arm: &Arm,
    command: &[String],
    bench: &str,
    log: &Path,
    stop: &Stop,
) -> Result<Program, ArmsError> {
    let surroundings = Surroundings {
        environment: arm.environment.clone(),
        stop,
    };
    let words: Vec<String> = command
        .iter()
        .cloned()
        .chain(["--message-format".to_owned(), "json".to_owned()])
        .collect();
    let mut asked = surroundings.command(&words[0]);
    asked.args(&words[1..]).current_dir(&arm.root);
    let answer = capture(&mut asked, BUILD_WITHIN, stop).map_err(|source| ArmsError::Program {
        program: words[0].clone(),
        source,
    })?;
    let failed = |ending: String, last_lines: Vec<String>| {
        let failure = BuildFailure {
            command: shown(std::slice::from_ref(&words)),
            root: arm.root.clone(),
            ending,
            log: log.to_owned(),
            last_lines,
        };
        match which {
            gate::Arm::Base => ArmsError::BaseBuild(failure),
            gate::Arm::Candidate => ArmsError::CandidateBuild(failure),
        }
    };
    match answer.ended {
        Ended::Stopped(exit) => return Err(ArmsError::Stopped(exit)),
        Ended::Exited(status) if status.success() => {}
        ended => {
            let words = String::from_utf8_lossy(&answer.err);
            let lines: Vec<String> = words.lines().map(str::to_owned).collect();
            let last = lines[lines.len().saturating_sub(LAST_LINES)..].to_vec();
            return Err(failed(format!("ended: {ended:?}"), last));
        }
    }
    let found = programs(&String::from_utf8_lossy(&answer.out), bench);
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(failed(
            format!("built no program of the bench `{bench}`"),
            Vec::new(),
        )),
        several => {
            let packages = several.iter().map(|one| one.package.display().to_string());
            let ending = format!("built the bench `{bench}` of several packages; say which with --package");
            Err(failed(ending, packages.collect()))
        }
    }
}

/// A message of Cargo's, so far as it is of interest ("External tools" in the Cargo book).
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

/// The programs of the bench target in what Cargo printed. Lines that are no messages are the programs' own.
fn programs(messages: &str, bench: &str) -> Vec<Program> {
    let parsed = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok());
    let programs = parsed.filter_map(|message| {
        let target = message.target.filter(|_| message.reason == "compiler-artifact")?;
        let is_it = target.name == bench && target.kind.iter().any(|kind| kind == "bench");
        Some(Program {
            executable: message.executable.filter(|_| is_it)?,
            package: message.manifest_path?.parent()?.to_owned(),
        })
    });
    programs.collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// As Cargo 1.95 prints them, but for fields that are not read.
    const MESSAGES: &str = r#"{"reason":"compiler-artifact","manifest_path":"/p/a/Cargo.toml","target":{"kind":["lib"],"name":"work"},"executable":null,"fresh":true}
{"reason":"compiler-artifact","manifest_path":"/p/a/Cargo.toml","target":{"kind":["bench"],"name":"work"},"executable":"/p/target/release/deps/work-ab81","fresh":true}
{"reason":"compiler-artifact","manifest_path":"/p/a/Cargo.toml","target":{"kind":["bench"],"name":"other"},"executable":"/p/target/release/deps/other-12"}
not a message
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn the_program_of_the_bench_is_found_among_the_messages() {
        let found = programs(MESSAGES, "work");
        assert_eq!(
            found,
            [Program {
                executable: "/p/target/release/deps/work-ab81".into(),
                package: "/p/a".into(),
            }]
        );
        assert_eq!(programs(MESSAGES, "none"), []);
    }

    #[test]
    fn the_command_names_the_manifest_that_cargo_would_find() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let inner = root.join("rust/src");
        fs::create_dir_all(&inner).expect("made");
        fs::create_dir(root.join(".git")).expect("made");
        let last = |folder: &Path| command("work", Some("a"), folder).join(" ");
        let plain = "cargo bench --no-run --bench work --package a";
        assert_eq!(last(&inner), plain);
        fs::write(root.join("Cargo.toml"), "").expect("written");
        assert_eq!(last(&inner), plain);
        fs::write(root.join("rust/Cargo.toml"), "").expect("written");
        assert_eq!(last(&inner), format!("{plain} --manifest-path rust/Cargo.toml"));
        assert_eq!(last(root), plain);
    }
}
