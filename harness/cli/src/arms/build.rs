//! Builds an arm: which commands, with what of the surroundings, and what to say when they fail.
//!
//! Knows programs, not languages; what Cargo needs beyond that is in `cargo`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use squall_model::gate;

use super::cache::BuildKey;
use super::error::{ArmsError, BuildFailure, seconds};
use super::program::{Ended, Surroundings, capture, run};
use super::settings::{self, Commands};
use crate::quoting;

/// How long all commands of a build may take together.
pub const BUILD_WITHIN: Duration = Duration::from_mins(30);

/// What tells a toolchain takes moments, or as long as it takes rustup to install one.
const TOOLCHAIN_WITHIN: Duration = Duration::from_mins(10);

/// The lines of a failed build's output that are shown.
const LAST_LINES: usize = 20;

/// Where those lines are looked for.
const LAST_BYTES: u64 = 16 * 1024;

/// Variables that make compilers and build systems do something else; others change what a build says, not what it makes.
const LISTENED_TO: [&str; 21] = [
    "AR",
    "ARFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CC",
    "CFLAGS",
    "CGO_CFLAGS",
    "CGO_ENABLED",
    "CGO_LDFLAGS",
    "CPPFLAGS",
    "CXX",
    "CXXFLAGS",
    "GOAMD64",
    "GOARCH",
    "GOARM64",
    "GOEXPERIMENT",
    "GOFLAGS",
    "GOTOOLCHAIN",
    "LD",
    "LDFLAGS",
    "NODE_ENV",
    "RUSTFLAGS",
];

/// The beginnings of more of them.
const LISTENED_TO_ALL: [&str; 4] = ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "RUSTC"];

/// The commands that build both arms: those that were asked for, else those of `squall.toml`, else Cargo's where there is a
/// `Cargo.toml`, else none.
pub fn commands(asked: Option<&Commands>, root: &Path) -> Result<Commands, ArmsError> {
    if let Some(commands) = asked {
        return Ok(commands.clone());
    }
    if let Some(commands) = settings::read(root)?.build {
        return Ok(commands);
    }
    let cargo = ["cargo", "build", "--release"].map(str::to_owned).to_vec();
    Ok(if root.join("Cargo.toml").is_file() {
        vec![cargo]
    } else {
        Vec::new()
    })
}

/// The commands as they would be typed.
pub fn shown(commands: &[Vec<String>]) -> String {
    let one = |words: &Vec<String>| {
        let words: Vec<String> = words.iter().map(|word| quoting::shell(word)).collect();
        words.join(" ")
    };
    commands.iter().map(one).collect::<Vec<_>>().join(" && ")
}

/// A compiler that is chosen for a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// Its name for rustup; absent where rustup is not what chose it.
    pub name: Option<String>,
    /// All that it says of its version.
    pub version: String,
}

/// The Rust compiler of a folder that has to do with Rust; `None` elsewhere, and where there is none.
pub fn toolchain(root: &Path, surroundings: &Surroundings<'_>) -> Option<Toolchain> {
    let marks = ["Cargo.toml", "rust-toolchain.toml", "rust-toolchain"];
    if !marks.iter().any(|mark| root.join(mark).is_file()) {
        return None;
    }
    let ask = |arguments: &[&str]| {
        let mut command = surroundings.command("rustc");
        command.args(arguments).current_dir(root);
        let output = capture(&mut command, TOOLCHAIN_WITHIN, surroundings.stop).ok()?;
        let is_well = matches!(output.ended, Ended::Exited(status) if status.success());
        is_well.then(|| String::from_utf8_lossy(&output.out).trim().to_owned())
    };
    let version = ask(&["-vV"])?;
    let folder = PathBuf::from(ask(&["--print", "sysroot"])?);
    let is_rustups = folder
        .parent()
        .is_some_and(|parent| parent.ends_with("toolchains"));
    let name = folder.file_name().filter(|_| is_rustups);
    Some(Toolchain {
        name: name.map(|name| name.to_string_lossy().into_owned()),
        version,
    })
}

/// What makes a build of a revision the same build.
pub fn key(commands: &Commands, toolchain: Option<&Toolchain>, surroundings: &Surroundings<'_>) -> BuildKey {
    let own = surroundings.environment.iter().map(|(name, _)| name.clone());
    let others = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let is_listened_to = |name: &String| {
        LISTENED_TO.contains(&name.as_str()) || LISTENED_TO_ALL.iter().any(|begin| name.starts_with(begin))
    };
    let mut names: Vec<String> = own.chain(others).filter(is_listened_to).collect();
    names.sort();
    names.dedup();
    let value = |name: &String| Some(surroundings.variable(name)?.to_string_lossy().into_owned());
    BuildKey {
        commands: commands.clone(),
        toolchain: toolchain.map(|toolchain| toolchain.version.clone()),
        environment: names
            .into_iter()
            .filter_map(|name| Some((name.clone(), value(&name)?)))
            .collect(),
    }
}

/// A build that is about to be made.
#[derive(Debug)]
pub struct Build<'a> {
    /// Of which arm.
    pub arm: gate::Arm,
    /// What is run.
    pub commands: &'a Commands,
    /// Where: the arm's root.
    pub root: &'a Path,
    /// Where its output goes.
    pub log: PathBuf,
    /// More variables.
    pub environment: &'a [(String, OsString)],
    /// How long all of it may take.
    pub within: Duration,
}

impl Build<'_> {
    /// Builds, and says how long that took.
    pub fn run(&self, surroundings: &Surroundings<'_>) -> Result<Duration, ArmsError> {
        let failed = || ArmsError::file("writing", &self.log);
        if let Some(folder) = self.log.parent() {
            fs::create_dir_all(folder).map_err(failed())?;
        }
        File::create(&self.log).map_err(failed())?;
        let mut log = File::options()
            .read(true)
            .append(true)
            .open(&self.log)
            .map_err(failed())?;
        let began = Instant::now();
        for words in self.commands {
            let left = self.within.saturating_sub(began.elapsed());
            self.one(words, &mut log, left, surroundings)?;
        }
        Ok(began.elapsed())
    }

    fn one(
        &self,
        words: &[String],
        log: &mut File,
        within: Duration,
        surroundings: &Surroundings<'_>,
    ) -> Result<(), ArmsError> {
        let written = || ArmsError::file("writing", &self.log);
        let typed = shown(&[words.to_owned()]);
        writeln!(log, "$ {typed}").map_err(written())?;
        let begins = log.seek(SeekFrom::End(0)).map_err(written())?;
        let Some((program, arguments)) = words.split_first() else {
            return Ok(());
        };
        // A program that is named by its place in the project is the arm's own.
        let place = if program.contains('/') {
            self.root.join(program)
        } else {
            PathBuf::from(program)
        };
        let mut command = surroundings.command(place);
        command.args(arguments).current_dir(self.root);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdout(log.try_clone().map_err(written())?);
        command.stderr(log.try_clone().map_err(written())?);
        let ending = match run(&mut command, within, surroundings.stop) {
            Ok(Ended::Exited(status)) if status.success() => return Ok(()),
            Ok(Ended::Exited(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exited with {code}"),
                (None, Some(signal)) => format!("was ended by signal {signal}"),
                (None, None) => format!("ended: {status}"),
            },
            Ok(Ended::TimedOut) => format!("took longer than {}", seconds(self.within)),
            Ok(Ended::Stopped(exit)) => return Err(ArmsError::Stopped(exit)),
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.arm == gate::Arm::Candidate => {
                return Err(ArmsError::BuildProgram {
                    command: typed,
                    program: program.clone(),
                });
            }
            Err(e) => format!("could not be run: {e}"),
        };
        let failure = BuildFailure {
            command: typed,
            root: self.root.to_owned(),
            ending,
            log: self.log.clone(),
            last_lines: last_lines(log, begins).map_err(ArmsError::file("reading", &self.log))?,
        };
        Err(match self.arm {
            gate::Arm::Base => ArmsError::BaseBuild(failure),
            gate::Arm::Candidate => ArmsError::CandidateBuild(failure),
        })
    }
}

/// The last lines of a log that stand behind `begins`.
fn last_lines(log: &mut File, begins: u64) -> io::Result<Vec<String>> {
    let ends = log.seek(SeekFrom::End(0))?;
    let from = begins.max(ends.saturating_sub(LAST_BYTES));
    log.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    log.take(LAST_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let shown = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
    Ok(shown.map(|line| (*line).to_owned()).collect())
}
