//! Block after block, until there is a verdict, the time is used up or somebody ends it.
//!
//! What a block is stands behind [`Blocks`]: two runs of a scenario, or programs of micro-benchmarks in turns. All else is the same.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use squall_engine::gate::{ArmFailure, BlockError, Outcome};
use squall_engine::measure::machine;
use squall_engine::record::{exclusive, revision};
use squall_engine::run::{RunError, Stop};
use squall_model::exit::Exit;
use squall_model::gate::{Arm, ArmAbout, BenchmarksRecord, Both, GateEnd, GateRecord};
use squall_model::units::Ratio;
use squall_report::gate::decide::{About, Gate, Next, Policy, Settings};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::publish::{self, Told};
use crate::arguments::{GateArguments, OnInconclusive};
use crate::quoting::shell;
use crate::{output, stopping};

/// What runs the blocks of a gate.
pub trait Blocks {
    /// Runs one to its end, or until `stop` is requested.
    fn run(&mut self, round: &Round<'_>, stop: &Stop) -> Result<Outcome, BlockError>;
}

/// A block that is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Round<'a> {
    /// Which it is, from 1.
    pub number: u32,
    /// The gate's begin.
    pub began: Instant,
    /// Where what it leaves lands.
    pub folder: &'a Path,
    /// The command line that repeats the gate.
    pub command: &'a str,
}

/// What a gate is of, as its record and its rules have it.
#[derive(Clone, Debug)]
pub struct Of {
    /// The scenario's name, or the bench program's.
    pub name: String,
    /// What it says of itself.
    pub about: String,
    /// Where its settings stand, for who must mend them.
    pub place: String,
    /// The rules.
    pub settings: Settings,
    /// The arms.
    pub arms: Both<ArmAbout>,
    /// How micro-benchmarks are run.
    pub benchmarks: Option<BenchmarksRecord>,
}

/// What all gates of one command share.
pub struct Course<'a> {
    /// As given.
    pub arguments: &'a GateArguments,
    /// The root seed.
    pub seed: u64,
    /// The time that the blocks of each gate may take.
    pub budget: Duration,
    /// How many gates there are.
    pub gates: NonZeroU32,
    /// Ctrl-C.
    pub stop: Stop,
}

impl Course<'_> {
    /// A folder for a gate of what is called `name` and lies at `place`: `<out>/<name>/<time>-<revision>-gate/`.
    pub fn folder(&self, name: &str, place: &Path) -> anyhow::Result<PathBuf> {
        let what = format!("{}-gate", revision(place));
        let parent = self.arguments.out.join(name);
        Ok(fs::canonicalize(exclusive(
            &parent,
            OffsetDateTime::now_utc(),
            &what,
        )?)?)
    }

    /// Leaves of a gate that did not begin only what its builds said: a folder that has something stays.
    pub fn leave(folder: &Path) {
        let _ = fs::remove_dir(folder);
        let _ = folder.parent().map(fs::remove_dir);
    }

    /// What the command line says of the rules.
    pub fn settings(&self) -> Settings {
        Settings {
            gates: self.gates,
            metrics: self.arguments.metrics.clone(),
            ..Settings::new(self.budget)
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            blocks_merge: !self.arguments.advise,
            fail_on_inconclusive: self.arguments.on_inconclusive == OnInconclusive::Fail,
        }
    }

    fn about(&self, of: &Of, began: &Begin) -> About {
        About {
            squall: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: of.name.clone(),
            about: of.about.clone(),
            benchmarks: of.benchmarks.clone(),
            command: command(self),
            seed: self.seed,
            started_at: began.at.format(&Rfc3339).unwrap_or_default(),
            duration: began.clock.elapsed(),
            machine: machine::describe(),
            arms: of.arms.clone(),
            policy: self.policy(),
        }
    }
}

/// When a gate began.
struct Begin {
    at: OffsetDateTime,
    clock: Instant,
}

impl Begin {
    fn now() -> Begin {
        Begin {
            at: OffsetDateTime::now_utc(),
            clock: Instant::now(),
        }
    }
}

/// A gate without a base: loud, and no reason to block.
pub fn no_base(
    course: &Course<'_>,
    of: &Of,
    folder: &Path,
    why: &str,
) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let gate = Gate::new(of.settings.clone())?;
    let about = course.about(of, &Begin::now());
    let mut record = gate.conclude(GateEnd::NoBase, about);
    record.reasons.insert(0, why.to_owned());
    publish::one(course.arguments, &record, folder)?;
    Ok((Exit::Pass, Some(record)))
}

/// Runs a gate, of which `begins` is said first.
pub fn run(
    course: &Course<'_>,
    of: &Of,
    blocks: &mut dyn Blocks,
    begins: &str,
    folder: &Path,
) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let mut gate = match Gate::new(of.settings.clone()) {
        Ok(gate) => gate,
        Err(e) => {
            output::note(&format!("error: {}: {e}", of.place));
            return Ok((Exit::ScenarioWrong, None));
        }
    };
    let mut shown = Told::new(course.arguments, begins);
    let begin = Begin::now();
    let mut told = |gate: &Gate, end: GateEnd| {
        shown.block(gate, begin.clock.elapsed());
        // A gate that is killed leaves what it knew. Where that can't be written, the end says so.
        let _ = publish::put_record(&gate.conclude(end, course.about(of, &begin)), folder);
    };
    let (end, failed) = rounds(course, blocks, &mut gate, &mut told, folder, begin.clock);
    drop(shown);
    let about = course.about(of, &begin);
    let mut record = gate.conclude(end, about);
    let interrupted = stopping::told(&course.stop).map(|(_, exit)| exit);
    let mut exit = Exit::of(record.exit_code).unwrap_or(Exit::Internal);
    if let Some(failed) = failed {
        record.reasons.splice(0..0, failed.reasons);
        exit = Exit::gravest([exit, failed.exit]);
    }
    let exit = Exit::gravest(interrupted.into_iter().chain([exit]));
    record.exit_code = exit.code();
    publish::one(course.arguments, &record, folder)?;
    Ok((exit, Some(record)))
}

/// Runs block after block, each of which is `told` with what the gate's end is if it is killed then, and says why it ran no further one.
fn rounds(
    course: &Course<'_>,
    blocks: &mut dyn Blocks,
    gate: &mut Gate,
    told: &mut dyn FnMut(&Gate, GateEnd),
    folder: &Path,
    began: Instant,
) -> (GateEnd, Option<Failed>) {
    let command = command(course);
    // A gate ends itself long before.
    for number in 1..=u32::MAX {
        let at = format!("blocks/{number:03}");
        let place = folder.join(&at);
        let round = Round {
            number,
            began,
            folder: &place,
            command: &command,
        };
        let outcome = match blocks.run(&round, &course.stop) {
            Ok(outcome) => outcome,
            Err(e) => return (GateEnd::Broken, Some(Failed::of(&e))),
        };
        if stopping::told(&course.stop).is_some() {
            return (GateEnd::Interrupted, None);
        }
        if let Some((end, failed)) = fatal(&outcome.failures, number) {
            return (end, Some(failed));
        }
        let mut record = outcome.record;
        let is_needed = !record.is_valid() || course.arguments.keep_blocks;
        // What can't be removed is no reason to lose what was measured.
        if is_needed || fs::remove_dir_all(&place).is_err() {
            record.folder = Some(at);
        }
        match gate.take(record, began.elapsed()) {
            Next::Block => told(gate, GateEnd::Interrupted),
            Next::Stop(end) => {
                told(gate, end);
                return (end, None);
            }
        }
    }
    (GateEnd::Blocks, None)
}

/// Why a gate can't go on.
struct Failed {
    reasons: Vec<String>,
    exit: Exit,
}

impl Failed {
    /// Of a block that could not be run, with everything that this machine lacks.
    fn of(error: &BlockError) -> Failed {
        let missing = match error {
            BlockError::Run(RunError::Missing(missing)) => missing.as_slice(),
            _ => &[],
        };
        let missing = missing
            .iter()
            .map(|one| format!("{}: {}", one.needed_by, one.text));
        Failed {
            reasons: std::iter::once(error.to_string()).chain(missing).collect(),
            exit: error.exit(),
        }
    }
}

/// What the failures of a block amount to, where the gate can't go on. A base that dies on the way spoils its block, no more.
fn fatal(failures: &[ArmFailure], number: u32) -> Option<(GateEnd, Failed)> {
    let of = |arm: Arm| failures.iter().find(|failure| failure.arm == arm);
    let failed = |failure: &ArmFailure, exit| {
        let reasons = failure.reasons.iter();
        Failed {
            reasons: reasons.map(|why| format!("{}: {why}", failure.arm)).collect(),
            exit,
        }
    };
    let is_grave = |failure: &&ArmFailure| matches!(failure.exit, Exit::NotUndone | Exit::MissingCapability);
    let grave = failures.iter().find(is_grave);
    let candidate = of(Arm::Candidate).filter(|failure| failure.exit != Exit::Invalid);
    if let Some(failure) = grave.or(candidate) {
        return Some((GateEnd::Broken, failed(failure, failure.exit)));
    }
    // The base never came to its first phase.
    let base = of(Arm::Base).filter(|failure| !failure.began && number == 1)?;
    Some((GateEnd::NoBase, failed(base, Exit::Pass)))
}

/// The command line that repeats the gate.
fn command(course: &Course<'_>) -> String {
    let arguments = course.arguments;
    let mut words = vec!["squall".to_owned(), "gate".to_owned()];
    words.extend(arguments.scenarios.iter().map(|name| shell(name)));
    let mut flags = |flag: &str, values: &[String]| {
        words.extend(values.iter().map(|value| format!("{flag} {}", shell(value))));
    };
    flags("--criterion", &arguments.criterion);
    flags("--package", arguments.package.as_slice());
    flags("--filter", arguments.filter.as_slice());
    let limit = |limit: Option<Ratio>| limit.as_ref().map(Ratio::to_string);
    flags("--margin", limit(arguments.margin).as_slice());
    flags("--tolerance", limit(arguments.tolerance).as_slice());
    flags("--base", arguments.base.as_slice());
    flags("--base-cmd", &arguments.base_cmd);
    flags("--candidate-cmd", &arguments.candidate_cmd);
    flags("--base-at", arguments.base_at.as_slice());
    flags("--candidate-at", arguments.candidate_at.as_slice());
    flags("--base-set", &arguments.base_set);
    flags("--candidate-set", &arguments.candidate_set);
    flags("--set", &arguments.overrides);
    flags("--metric", &arguments.metrics);
    flags("--allow-host", &arguments.allowed.hosts);
    words.push(format!(
        "--budget {} --seed {}",
        shell(&arguments.budget),
        course.seed
    ));
    words.join(" ")
}
