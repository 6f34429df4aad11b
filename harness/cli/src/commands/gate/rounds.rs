//! Block after block, until there is a verdict, the time is used up or somebody ends it.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use squall_engine::gate::{self, ArmFailure, Block, BlockError};
use squall_engine::measure::machine;
use squall_engine::plan::{Plan, PlannedLimits};
use squall_engine::record::{exclusive, revision};
use squall_engine::run::{RunError, Stop};
use squall_model::exit::Exit;
use squall_model::gate::{Arm, ArmAbout, Both, GateEnd, GateRecord, MetricKind};
use squall_report::gate::decide::{About, Gate, LimitOverride, Next, Policy, Settings};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::places::Places;
use super::publish::{self, Told};
use super::subject::Subject;
use crate::arguments::{GateArguments, OnInconclusive};
use crate::quoting::shell;
use crate::{output, stopping};

/// What all gates of one command share.
pub struct Course<'a> {
    /// As given.
    pub arguments: &'a GateArguments,
    /// The root seed.
    pub seed: u64,
    /// The time that the blocks of each scenario may take.
    pub budget: Duration,
    /// How many scenarios are gated.
    pub gates: NonZeroU32,
    /// Ctrl-C.
    pub stop: Stop,
}

impl Course<'_> {
    /// A folder for a gate of this plan: `<out>/<scenario>/<time>-<revision>-gate/`.
    pub fn folder(&self, plan: &Plan) -> anyhow::Result<PathBuf> {
        let what = format!("{}-gate", revision(&plan.base));
        let parent = self.arguments.out.join(&plan.name);
        Ok(fs::canonicalize(exclusive(
            &parent,
            OffsetDateTime::now_utc(),
            &what,
        )?)?)
    }

    fn settings(&self, plan: &Plan, same_binary: bool) -> Settings {
        let of_all = MetricKind::ALL.iter().filter(|kind| **kind != MetricKind::Errors);
        let of_all = of_all.map(|kind| (kind.as_str().to_owned(), plan.gate.limits));
        let limits = of_all.chain(plan.gate.metrics.iter().cloned());
        let limits = limits.filter(|(_, limits)| *limits != PlannedLimits::default());
        Settings {
            gates: self.gates,
            same_binary,
            metrics: self.arguments.metrics.clone(),
            overrides: limits
                .map(|(metric, limits)| LimitOverride {
                    metric,
                    margin: limits.margin,
                    tolerance: limits.tolerance,
                })
                .collect(),
            ..Settings::new(self.budget)
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            blocks_merge: !self.arguments.advise,
            fail_on_inconclusive: self.arguments.on_inconclusive == OnInconclusive::Fail,
        }
    }

    fn about(&self, plan: &Plan, arms: Both<ArmAbout>, began: &Begin) -> About {
        About {
            squall: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: plan.name.clone(),
            about: plan.about.clone(),
            command: command(self),
            seed: self.seed,
            started_at: began.at.format(&Rfc3339).unwrap_or_default(),
            duration: began.clock.elapsed(),
            machine: machine::describe(),
            arms,
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
    plan: &Plan,
    folder: &Path,
    why: &str,
) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let gate = Gate::new(course.settings(plan, false))?;
    let about = course.about(plan, Both::default(), &Begin::now());
    let mut record = gate.conclude(GateEnd::NoBase, about);
    record.reasons.insert(0, why.to_owned());
    publish::one(course.arguments, &record, folder)?;
    Ok((Exit::Pass, Some(record)))
}

/// Runs the gate of one scenario.
pub fn run(
    course: &Course<'_>,
    subject: &Subject,
    places: &Places,
    folder: &Path,
) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let plan = &subject.plans.candidate;
    let settings = Settings {
        accepted: places.accepted.clone(),
        ..course.settings(plan, subject.same_binary)
    };
    let mut gate = match Gate::new(settings) {
        Ok(gate) => gate,
        Err(e) => {
            output::note(&format!("error: {}: {e}", subject.file));
            return Ok((Exit::ScenarioWrong, None));
        }
    };
    let begin = Begin::now();
    let (end, failed) = rounds(course, subject, &mut gate, folder, begin.clock);
    let about = course.about(plan, subject.about.clone(), &begin);
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

/// Runs block after block, and says why it ran no further one.
fn rounds(
    course: &Course<'_>,
    subject: &Subject,
    gate: &mut Gate,
    folder: &Path,
    began: Instant,
) -> (GateEnd, Option<Failed>) {
    let mut shown = Told::new(course.arguments, subject, course.budget);
    let command = command(course);
    // A gate ends itself long before.
    for number in 1..=u32::MAX {
        let at = format!("blocks/{number:03}");
        let blocks = folder.join(&at);
        let block = Block {
            plans: &subject.plans,
            catalogues: &subject.catalogues,
            number,
            began,
            folder: &blocks,
            command: &command,
        };
        let outcome = match gate::run(&block, &course.stop) {
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
        if is_needed || fs::remove_dir_all(&blocks).is_err() {
            record.folder = Some(at);
        }
        let next = gate.take(record, began.elapsed());
        shown.block(gate, began.elapsed());
        if let Next::Stop(end) = next {
            return (end, None);
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
