//! `squall gate --criterion`: programs of micro-benchmarks, from two revisions or as two commands, gated as scenarios are.
//!
//! `found` finds and builds both programs; here they are asked for their benchmarks and tried once, to see how long they take, by
//! which it is said how long each is measured. The blocks are the engine's, and the rest is as for any gate.

mod found;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use squall_engine::criterion::{self, Bench, BenchError, Keeper, Pace, Planned, Program, ProgramError, pace};
use squall_engine::gate::{BlockError, Outcome};
use squall_engine::run::Stop;
use squall_model::exit::Exit;
use squall_model::gate::{Arm, ArmAbout, BenchmarksRecord, Both, GateRecord, MetricKind};
use squall_model::seed::Seed;
use squall_model::units::{Ratio, human};
use squall_report::gate::decide::{Gate, LimitOverride, Settings};
use squall_report::gate::looks::{LOOKS, MOST_BLOCKS};

use super::rounds::{self, Blocks, Course, Of, Round};
use crate::arguments::GateArguments;
use crate::arms::{Arms, ArmsError};
use crate::{output, stopping};
use found::{Found, is_same};

/// How long a program may take to list its benchmarks, and at the shortest pace for all of them: a part of the budget, since with more
/// than that there is no gate; and no less and no more than this.
const PART: u32 = 4;
const PATIENCE_MIN: Duration = Duration::from_secs(10);
const PATIENCE_MAX: Duration = Duration::from_mins(10);

/// A run of a program may take so many times as long as it is thought to.
const PATIENCE_TIMES: u32 = 10;

/// Gates the bench target `bench`.
pub fn run(course: &Course<'_>, bench: &str) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let here = std::env::current_dir().context("finding the working directory")?;
    let folder = course.folder(bench, &here)?;
    let came = match Gated::of(course, bench, &here, &folder) {
        Ok(gated) => gated.run(course, &folder),
        Err(e) => ended(course, bench, &folder, e),
    };
    Course::leave(&folder);
    came
}

/// What of the command line only makes sense together.
pub fn check(arguments: &GateArguments) -> anyhow::Result<()> {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    for bench in &arguments.criterion {
        ensure!(
            !bench.starts_with(['.', '-']) && !bench.is_empty() && bench.chars().all(is_plain),
            "--criterion {bench}: want the name of a bench target, as it stands in Cargo.toml"
        );
    }
    if arguments.criterion.is_empty() {
        return Ok(());
    }
    Gate::new(Settings {
        of_benchmarks: true,
        overrides: vec![limits(arguments)],
        ..Settings::new(Duration::ZERO)
    })
    .context("--margin and --tolerance")?;
    if !arguments.scenarios.is_empty() {
        ensure!(
            arguments.base.is_some(),
            "scenarios and --criterion together are of two revisions: want --base REV"
        );
        ensure!(
            arguments.metrics.is_empty(),
            "--metric names metrics of scenarios or benchmarks: want only one of these in the command"
        );
        return Ok(());
    }
    ensure!(
        arguments.overrides.is_empty() && arguments.allowed.hosts.is_empty(),
        "--set and --allow-host change scenarios, and there is none"
    );
    match (arguments.base_cmd.as_slice(), arguments.candidate_cmd.as_slice()) {
        ([], []) => Ok(()),
        ([_], [_]) if arguments.criterion.len() == 1 => Ok(()),
        ([], _) | (_, []) => bail!("with --criterion, --base-cmd and --candidate-cmd come together"),
        _ => bail!("with --criterion, --base-cmd and --candidate-cmd are given once each, for one bench"),
    }
}

/// The limits of all benchmarks, as the command line has them.
fn limits(arguments: &GateArguments) -> LimitOverride {
    LimitOverride {
        metric: MetricKind::Time.as_str().to_owned(),
        margin: arguments.margin.map(Ratio::get),
        tolerance: arguments.tolerance.map(Ratio::get),
    }
}

/// Why there is no gate.
enum NotGated {
    /// The base has nothing to be held against.
    NoBase(String),
    /// This, which amounts to that.
    Failed(anyhow::Error, Exit),
}

impl NotGated {
    /// Of a program that does not do what it is asked.
    fn of(arm: Arm, error: BenchError, stop: &Stop) -> NotGated {
        if let Some((_, exit)) = stopping::told(stop) {
            return NotGated::Failed(anyhow::anyhow!("interrupted"), exit);
        }
        if arm == Arm::Base {
            return NotGated::NoBase(format!("the base: {error}"));
        }
        let exit = match &error {
            BenchError::NotCriterion { .. } | BenchError::NoneMatches { .. } => Exit::Usage,
            BenchError::Program(ProgramError::Spawn(e)) if e.is_program_missing() => Exit::MissingCapability,
            BenchError::Program(_) => Exit::ExpectationNotMet,
        };
        NotGated::Failed(anyhow::Error::from(error).context("the candidate"), exit)
    }
}

impl From<anyhow::Error> for NotGated {
    fn from(error: anyhow::Error) -> NotGated {
        NotGated::Failed(error, Exit::Internal)
    }
}

impl From<ArmsError> for NotGated {
    fn from(error: ArmsError) -> NotGated {
        match error {
            ArmsError::BaseBuild(_) => NotGated::NoBase(error.to_string()),
            error => {
                let exit = error.exit();
                NotGated::Failed(error.into(), exit)
            }
        }
    }
}

/// Tells why there is no gate.
fn ended(
    course: &Course<'_>,
    bench: &str,
    folder: &Path,
    why: NotGated,
) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    match why {
        NotGated::NoBase(why) => rounds::no_base(course, &of(course, bench, Both::default()), folder, &why),
        NotGated::Failed(error, exit) => {
            output::error(&error);
            Ok((exit, None))
        }
    }
}

/// What any gate of micro-benchmarks is of.
fn of(course: &Course<'_>, bench: &str, arms: Both<ArmAbout>) -> Of {
    Of {
        name: bench.to_owned(),
        about: "Micro-benchmarks: what an iteration takes.".to_owned(),
        place: format!("--criterion {bench}"),
        settings: Settings {
            of_benchmarks: true,
            overrides: vec![limits(course.arguments)],
            ..course.settings()
        },
        arms,
        benchmarks: Some(BenchmarksRecord::default()),
    }
}

/// Both programs, with their benchmarks, ready for blocks.
struct Gated {
    of: Of,
    benches: Both<Bench>,
    planned: Planned,
    keeper: Keeper,
    _arms: Option<Arms>,
}

impl Gated {
    fn of(course: &Course<'_>, bench: &str, here: &Path, folder: &Path) -> Result<Gated, NotGated> {
        let Found {
            programs,
            about,
            accepted,
            arms,
        } = Found::of(course, bench, here, folder)?;
        let squall = std::env::current_exe().context("finding squall's own program")?;
        let keeper = Keeper::start(&squall, &folder.join("guard"), bench).map_err(anyhow::Error::from)?;
        let same_binary = is_same(&programs);
        let trial = Trial {
            course,
            keeper: &keeper,
            folder: folder.join("trial"),
            within: (course.budget / PART).clamp(PATIENCE_MIN, PATIENCE_MAX),
        };
        let tried = trial.both(programs);
        let _ = fs::remove_dir_all(&trial.folder);
        let (benches, took) = match tried {
            Ok(tried) => tried,
            Err(e) => {
                let _ = keeper.end();
                return Err(e);
            }
        };
        let unpaired = unpaired(&benches);
        let most = benches.base.names.len().max(benches.candidate.names.len());
        let planned = pace::plan(most, took, course.budget);
        let mut of = of(course, bench, about);
        of.settings.same_binary = same_binary;
        of.settings.accepted = accepted;
        of.benchmarks = Some(BenchmarksRecord {
            slices: planned.pace.slices,
            warm_up_us: planned.pace.warm_up.as_micros() as u64,
            measure_us: planned.pace.measure.as_micros() as u64,
            unpaired,
        });
        Ok(Gated {
            of,
            benches,
            planned,
            keeper,
            _arms: arms,
        })
    }

    fn run(self, course: &Course<'_>, folder: &Path) -> anyhow::Result<(Exit, Option<GateRecord>)> {
        let mut blocks = Turns {
            benches: &self.benches,
            keeper: &self.keeper,
            pace: self.planned.pace,
            within: (self.planned.slice * PATIENCE_TIMES).max(PATIENCE_MIN),
            seed: Seed::new(course.seed),
        };
        let begins = self.begins(course.budget);
        let came = rounds::run(course, &self.of, &mut blocks, &begins, folder)?;
        match self.keeper.end() {
            Ok(()) => Ok(came),
            Err(e) => {
                output::error(&e.into());
                Ok((Exit::gravest([came.0, Exit::NotUndone]), came.1))
            }
        }
    }

    /// What is said before the first block.
    fn begins(&self, budget: Duration) -> String {
        let Planned {
            pace, block, blocks, ..
        } = self.planned;
        let unpaired = self.of.benchmarks.as_ref().map(|benchmarks| &benchmarks.unpaired);
        let paired =
            self.benches.candidate.names.len() - unpaired.map_or(0, |unpaired| unpaired.candidate.len());
        let mut said = vec![format!(
            "{}: {} against {}; {}; in a block each program runs {}, with {} for each benchmark to warm up and {} to measure: about {} a block, {} in {}; \
             the first look comes after {} of them",
            self.of.name,
            self.of.arms.candidate.about,
            self.of.arms.base.about,
            output::counted(paired, "benchmark", "benchmarks"),
            match pace.slices {
                1 => "once".to_owned(),
                slices => format!("{slices} times"),
            },
            human::duration(pace.warm_up),
            human::duration(pace.measure),
            human::duration(rounded(block)),
            match blocks {
                more if more > MOST_BLOCKS => format!("more than {MOST_BLOCKS} fit"),
                1 => "1 fits".to_owned(),
                blocks => format!("{blocks} fit"),
            },
            human::duration(budget),
            LOOKS[0],
        )];
        if blocks < LOOKS[0] {
            let needed = minutes(block * LOOKS[0] as u32);
            said.push(format!(
                "That is too few to decide anything: a budget of {needed}m would do, or fewer benchmarks (--filter)"
            ));
        }
        for (names, words) in unpaired.into_iter().flat_map(|unpaired| {
            [
                (&unpaired.base, "The candidate no longer has"),
                (&unpaired.candidate, "New, and so not gated:"),
            ]
        }) {
            if !names.is_empty() {
                said.push(format!(
                    "{words} {}",
                    human::some_of(names, criterion::NAMES_SHOWN)
                ));
            }
        }
        output::harmless(&said.join(". "))
    }
}

/// As much as an estimate is worth: two digits.
fn rounded(time: Duration) -> Duration {
    let millis = time.as_millis() as u64;
    let unit = 10_u64.pow(millis.max(1).ilog10().saturating_sub(1));
    Duration::from_millis((millis / unit).max(1) * unit)
}

/// Whole minutes, upwards, with a tenth to spare.
fn minutes(time: Duration) -> u64 {
    (time.as_secs_f64() * 1.1 / 60.0).ceil() as u64
}

/// What it takes to know both programs' benchmarks, and how long they take.
struct Trial<'a> {
    course: &'a Course<'a>,
    keeper: &'a Keeper,
    folder: PathBuf,
    within: Duration,
}

impl Trial<'_> {
    /// Both, the candidate first, and how long the slower one took at the shortest pace.
    fn both(&self, programs: Both<Program>) -> Result<(Both<Bench>, Duration), NotGated> {
        fs::create_dir_all(&self.folder).with_context(|| format!("making {}", self.folder.display()))?;
        let (candidate, its) = self.one(Arm::Candidate, programs.candidate)?;
        let (base, its_own) = self.one(Arm::Base, programs.base)?;
        let has_common = base.names.iter().any(|name| candidate.names.contains(name));
        if !has_common {
            let error = anyhow::anyhow!(
                "no benchmark is in both arms: the base has {}, the candidate {}",
                output::harmless(&human::some_of(&base.names, criterion::NAMES_SHOWN)),
                output::harmless(&human::some_of(&candidate.names, criterion::NAMES_SHOWN))
            );
            return Err(NotGated::Failed(error, Exit::Usage));
        }
        Ok((Both { base, candidate }, its.max(its_own)))
    }

    fn one(&self, arm: Arm, program: Program) -> Result<(Bench, Duration), NotGated> {
        let stop = &self.course.stop;
        let filter = self.course.arguments.filter.clone();
        let failed = |error: BenchError| NotGated::of(arm, error, stop);
        let folder = self.folder.join(arm.as_str());
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let mut bench =
            Bench::of(program, filter, self.keeper, &folder, self.within, stop).map_err(failed)?;
        let took = bench.trial(self.keeper, &folder, self.within, stop);
        Ok((bench, took.map_err(|e| failed(e.into()))?))
    }
}

/// The benchmarks of each arm that the other does not have.
fn unpaired(benches: &Both<Bench>) -> Both<Vec<String>> {
    Both::from_fn(|arm| {
        let others = &benches.of(arm.other()).names;
        let alone = benches.of(arm).names.iter().filter(|name| !others.contains(name));
        alone.cloned().collect()
    })
}

/// Runs both programs in turns.
struct Turns<'a> {
    benches: &'a Both<Bench>,
    keeper: &'a Keeper,
    pace: Pace,
    within: Duration,
    seed: Seed,
}

impl Blocks for Turns<'_> {
    fn run(&mut self, round: &Round<'_>, stop: &Stop) -> Result<Outcome, BlockError> {
        let ran = criterion::run(
            &criterion::Round {
                benches: self.benches,
                keeper: self.keeper,
                pace: self.pace,
                within: self.within,
                seed: self.seed,
                number: round.number,
                began: round.began,
                folder: round.folder,
            },
            stop,
        );
        // What was cut short is of no use to anybody.
        if stop.requested().is_some() {
            let _ = fs::remove_dir_all(round.folder);
        }
        ran
    }
}
