//! A bench program, with what it has been found to have.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use squall_model::units::human;

use super::pace::Pace;
use super::program::{Asked, Keeper, Program, ProgramError};
use super::{listing, sample};
use crate::run::Stop;

/// Estimates of Criterion's own are not used, and drawing for them takes its time: so few are enough for it to work.
const RESAMPLES: &str = "1000";

/// The fewest samples that Criterion takes.
const SAMPLES: &str = "10";

/// A bench program that has been asked for its benchmarks.
#[derive(Clone, Debug)]
pub struct Bench {
    /// How it is started.
    pub program: Program,
    /// Only the benchmarks whose names this regular expression matches; all if absent.
    pub filter: Option<String>,
    /// Its benchmarks: as it lists them, and once it was tried as their files name them, which is never shortened.
    pub names: Vec<String>,
}

/// Why a program is none whose benchmarks can be gated.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// It did not run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// It lists no benchmarks in Criterion's way.
    #[error(
        "`{program}` lists no benchmarks as a program of Criterion does (`--bench --list`){printed}; its `[[bench]]` needs `harness = false`, and its file \
         `criterion_main!`"
    )]
    NotCriterion {
        /// The command line.
        program: String,
        /// What it printed.
        printed: String,
    },
    /// The filter leaves nothing.
    #[error(
        "no benchmark of `{program}` matches `{filter}`; it has {}",
        human::some_of(names, NAMES_SHOWN)
    )]
    NoneMatches {
        /// The command line.
        program: String,
        /// As given.
        filter: String,
        /// Those that it has.
        names: Vec<String>,
    },
}

/// The most names of benchmarks that are told.
pub const NAMES_SHOWN: usize = 10;

impl Bench {
    /// Asks a program for its benchmarks. Its output goes to a file in `folder`.
    pub fn of(
        program: Program,
        filter: Option<String>,
        keeper: &Keeper,
        folder: &Path,
        within: Duration,
        stop: &Stop,
    ) -> Result<Bench, BenchError> {
        let ask = |filter: Option<&String>| -> Result<(Vec<String>, Vec<String>), ProgramError> {
            let log = folder.join("list.log");
            remove(&log)?;
            let words = ["--bench".into(), "--list".into()];
            let asked = Asked {
                program: &program,
                args: words.into_iter().chain(filter.map(OsString::from)).collect(),
                env: vec![("CRITERION_HOME".into(), folder.join("home").into())],
                log: &log,
                within,
            };
            keeper.run(&asked, stop)?;
            let text = fs::read(&log).map_err(ProgramError::system("reading the list of benchmarks"))?;
            Ok((
                listing::parse(&String::from_utf8_lossy(&text)),
                asked.last_lines(),
            ))
        };
        let (names, printed) = ask(filter.as_ref())?;
        if names.is_empty() {
            let (all, printed) = match &filter {
                Some(_) => ask(None)?,
                None => (names, printed),
            };
            return Err(match filter {
                Some(filter) if !all.is_empty() => BenchError::NoneMatches {
                    program: program.shown(),
                    filter,
                    names: all,
                },
                _ => BenchError::NotCriterion {
                    program: program.shown(),
                    printed: match printed.as_slice() {
                        [] => ", but nothing".to_owned(),
                        lines => format!(", but\n    {}\n", lines.join("\n    ")),
                    },
                },
            });
        }
        Ok(Bench {
            program,
            filter,
            names,
        })
    }

    /// Runs it once at the shortest pace, and says how long that took. It also warms up what a first run finds cold, and tells its
    /// benchmarks' whole names.
    pub fn trial(
        &mut self,
        keeper: &Keeper,
        folder: &Path,
        within: Duration,
        stop: &Stop,
    ) -> Result<Duration, ProgramError> {
        let began = Instant::now();
        let times = self.slice(Pace::TRIAL, keeper, folder, within, stop)?;
        self.names = times.into_keys().collect();
        Ok(began.elapsed())
    }

    /// Runs it once, and returns what an iteration of each benchmark took, microseconds. What it writes and prints lies in `folder` then.
    pub(super) fn slice(
        &self,
        pace: Pace,
        keeper: &Keeper,
        folder: &Path,
        within: Duration,
        stop: &Stop,
    ) -> Result<BTreeMap<String, f64>, ProgramError> {
        fs::create_dir_all(folder).map_err(ProgramError::system("making the folder of a slice"))?;
        let home = folder.join("home");
        let log = folder.join("bench.log");
        let asked = Asked {
            program: &self.program,
            args: arguments(pace, self.filter.as_deref()),
            env: vec![("CRITERION_HOME".into(), home.clone().into())],
            log: &log,
            within,
        };
        keeper.run(&asked, stop)?;
        let times = sample::read(&home)?;
        if times.is_empty() {
            return Err(ProgramError::Nothing {
                program: self.program.shown(),
                last_lines: asked.last_lines(),
            });
        }
        Ok(times)
    }
}

/// What Criterion is told. What a program says itself of a group comes before these.
fn arguments(pace: Pace, filter: Option<&str>) -> Vec<OsString> {
    let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
    let (warm_up, measure) = (seconds(pace.warm_up), seconds(pace.measure));
    let words = [
        "--bench",
        "--noplot",
        "--sample-size",
        SAMPLES,
        "--nresamples",
        RESAMPLES,
        "--warm-up-time",
        &warm_up,
        "--measurement-time",
        &measure,
    ];
    words.into_iter().chain(filter).map(OsString::from).collect()
}

fn remove(file: &Path) -> Result<(), ProgramError> {
    match fs::remove_file(file) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(ProgramError::system("removing an old list")(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criterion_is_asked_in_its_own_words() {
        let words = arguments(Pace::TRIAL, Some("sum/.*"));
        let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
        assert_eq!(
            words.join(" "),
            "--bench --noplot --sample-size 10 --nresamples 1000 --warm-up-time 0.020 --measurement-time 0.050 sum/.*"
        );
    }
}
