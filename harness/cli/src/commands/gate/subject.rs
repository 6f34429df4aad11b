//! What a gate holds against each other: two plans of one scenario, and what starts the services of each.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use squall_engine::catalogue::Catalogue;
use squall_engine::gate::{self, Block, BlockError, Outcome, Timeline, apart};
use squall_engine::plan::{Plan, PlannedLimits, Start};
use squall_engine::run::Stop;
use squall_model::gate::{AcceptedRecord, Arm, ArmAbout, Both, MetricKind};
use squall_model::units::human;
use squall_report::gate::decide::{LimitOverride, Settings};
use squall_report::gate::looks::LOOKS;

use super::places::Place;
use super::rounds::{Blocks, Course, Of, Round};
use crate::arguments::GateArguments;
use crate::catalogue;
use crate::quoting::yaml;
use crate::scenarios::{How, Read, read};

/// A scenario and its two arms.
pub struct Subject {
    /// The scenario's file, as the user named it.
    pub file: String,
    /// What each arm runs.
    pub plans: Both<Plan>,
    /// What starts each arm's services.
    pub catalogues: Both<Catalogue>,
    /// What each arm is called.
    pub about: Both<ArmAbout>,
    /// Whether both run the same programs.
    pub same_binary: bool,
}

impl Subject {
    /// What the gate's record has of it.
    pub fn of(&self, course: &Course<'_>, accepted: &[AcceptedRecord]) -> Of {
        let mut of = of(course, &self.plans.candidate, self.about.clone());
        of.place.clone_from(&self.file);
        of.settings.same_binary = self.same_binary;
        of.settings.accepted = accepted.to_vec();
        of
    }

    /// What is said before the first block.
    pub fn begins(&self, budget: Duration) -> String {
        let plan = &self.plans.candidate;
        let block = Timeline::of(plan, 1, plan.seed).length();
        format!(
            "{}: {} against {}; a block has {} of load for both arms together, and the first look comes after {} of them: in {} at the soonest, at \
             most {}",
            plan.name,
            self.about.candidate.about,
            self.about.base.about,
            human::duration(block),
            LOOKS[0],
            human::duration(block * LOOKS[0] as u32),
            human::duration(budget),
        )
    }
}

impl Blocks for &Subject {
    fn run(&mut self, round: &Round<'_>, stop: &Stop) -> Result<Outcome, BlockError> {
        let block = Block {
            plans: &self.plans,
            catalogues: &self.catalogues,
            number: round.number,
            began: round.began,
            folder: round.folder,
            command: round.command,
        };
        gate::run(&block, stop)
    }
}

/// What a gate of this plan is of.
pub fn of(course: &Course<'_>, plan: &Plan, arms: Both<ArmAbout>) -> Of {
    let of_all = MetricKind::of_scenarios().filter(|kind| *kind != MetricKind::Errors);
    let of_all = of_all.map(|kind| (kind.as_str().to_owned(), plan.gate.limits));
    let limits = of_all.chain(plan.gate.metrics.iter().cloned());
    let limits = limits.filter(|(_, limits)| *limits != PlannedLimits::default());
    Of {
        name: plan.name.clone(),
        about: plan.about.clone(),
        place: plan.name.clone(),
        settings: Settings {
            overrides: limits
                .map(|(metric, limits)| LimitOverride {
                    metric,
                    margin: limits.margin,
                    tolerance: limits.tolerance,
                })
                .collect(),
            ..course.settings()
        },
        arms,
        benchmarks: None,
    }
}

/// A scenario that can be gated, or one that is wrong and says so.
pub enum Prepared {
    /// Ready.
    Ready(Box<Subject>),
    /// Its diagnostics are to be printed.
    Wrong(Box<Read>),
    /// Only the base can't be read: it can't run this scenario.
    NoBase(Box<Read>),
}

/// Reads the scenario for both arms. An `Err` is about the command line.
pub fn prepare(
    name: &str,
    arguments: &GateArguments,
    seed: u64,
    places: &Both<Place>,
) -> anyhow::Result<Prepared> {
    let how = |arm: Arm, changes: &[String]| How {
        seed: Some(seed),
        overrides: arguments.overrides.iter().chain(changes).cloned().collect(),
        allow_hosts: arguments.allowed.hosts.clone(),
        arm,
        base: places.of(arm).folder.clone(),
        ..How::default()
    };
    let written = read(name, &how(Arm::Candidate, &[]))?;
    // With commands or addresses of its own, the scenario need not be one that runs as it is.
    let Some(plan) = &written.plan else {
        return Ok(Prepared::Wrong(Box::new(written)));
    };
    let changes = changes(plan, arguments)?;
    let mut candidate = read(name, &how(Arm::Candidate, &changes.candidate))?;
    let Some(candidate_plan) = candidate.plan.take() else {
        return Ok(Prepared::Wrong(Box::new(candidate)));
    };
    let mut base = read(name, &how(Arm::Base, &changes.base))?;
    let Some(base_plan) = base.plan.take() else {
        return Ok(Prepared::NoBase(Box::new(base)));
    };
    let plans = Both {
        base: base_plan,
        candidate: candidate_plan,
    };
    ensure!(
        !plans.candidate.gate.phases.is_empty(),
        "{}: it has no measured phase that could be compared; name one under `gate: {{ phases: [NAME] }}`",
        written.name
    );
    ensure!(
        !plans.candidate.loads.is_empty(),
        "{}: without load there is nothing to compare",
        written.name
    );
    apart(&plans).with_context(|| written.name.clone())?;
    let own = catalogue::catalogue()?;
    let catalogues = Both {
        base: server(&own, &places.base)?,
        candidate: server(&own, &places.candidate)?,
    };
    let same_binary = same_programs(&plans, &catalogues);
    Ok(Prepared::Ready(Box::new(Subject {
        file: written.name,
        plans,
        catalogues,
        about: Both {
            base: places.base.about.clone(),
            candidate: places.candidate.about.clone(),
        },
        same_binary,
    })))
}

/// What starts bundled services: squall itself, or a program of the arm's repository.
fn server(own: &Catalogue, place: &Place) -> anyhow::Result<Catalogue> {
    let Some(server) = &place.server else {
        return Ok(own.clone());
    };
    ensure!(
        server.is_file(),
        "{} is not there, and `gate.server` says that it serves bundled services; is it built by `gate.build`?",
        server.display()
    );
    Ok(Catalogue {
        server: server.clone(),
        ..own.clone()
    })
}

/// Overrides of each arm alone.
fn changes(plan: &Plan, arguments: &GateArguments) -> anyhow::Result<Both<Vec<String>>> {
    let mut changes = Both {
        base: arguments.base_set.clone(),
        candidate: arguments.candidate_set.clone(),
    };
    let commands = [
        (Arm::Base, "--base-cmd", &arguments.base_cmd),
        (Arm::Candidate, "--candidate-cmd", &arguments.candidate_cmd),
    ];
    for (arm, flag, commands) in commands {
        for command in commands {
            let (service, command) = of_service(plan, command).with_context(|| flag.to_owned())?;
            let words =
                shlex::split(command).with_context(|| format!("{flag} {command}: a quote is not closed"))?;
            ensure!(!words.is_empty(), "{flag}: it is empty");
            let words: Vec<String> = words.iter().map(|word| yaml(word)).collect();
            let change = format!("services.{service}.run=[{}]", words.join(", "));
            changes.of_mut(arm).push(change);
        }
    }
    let addresses = [
        (Arm::Base, "--base-at", &arguments.base_at),
        (Arm::Candidate, "--candidate-at", &arguments.candidate_at),
    ];
    for (arm, flag, address) in addresses {
        let Some(address) = address else { continue };
        let (service, address) = of_service(plan, address).with_context(|| flag.to_owned())?;
        let change = format!("services.{service}={{at: {}}}", yaml(address));
        changes.of_mut(arm).push(change);
    }
    Ok(changes)
}

/// The service that a flag is about, and the rest of it: `SERVICE=REST`, or only the rest where all loads go to one service.
fn of_service<'a>(plan: &'a Plan, text: &'a str) -> anyhow::Result<(&'a str, &'a str)> {
    if let Some((service, rest)) = text.split_once('=')
        && plan.services.iter().any(|one| one.name == service)
    {
        return Ok((service, rest));
    }
    let mut called: Vec<&str> = plan.loads.iter().map(|load| load.to.as_str()).collect();
    called.sort_unstable();
    called.dedup();
    match called.as_slice() {
        [one] => Ok((one, text)),
        several => bail!(
            "{text}: loads call {}; say which is meant: SERVICE={text}",
            several.join(" and ")
        ),
    }
}

/// Whether the services of both arms are surely started from the same bytes: what an interpreter reads is not known.
fn same_programs(plans: &Both<Plan>, catalogues: &Both<Catalogue>) -> bool {
    let programs = Both::from_fn(|arm| programs(plans.of(arm), catalogues.of(arm)));
    // A script's bytes say nothing of what it runs.
    let bytes = |path: &PathBuf| fs::read(path).ok().filter(|bytes| bytes.starts_with(b"\x7fELF"));
    let pairs = programs.base.iter().zip(&programs.candidate);
    programs.base.len() == programs.candidate.len()
        && pairs.into_iter().all(|(base, candidate)| {
            base == candidate || (bytes(base).is_some() && bytes(base) == bytes(candidate))
        })
}

/// The files that an arm's services are started from, in the order of the services; as written where they can't be found.
fn programs(plan: &Plan, catalogue: &Catalogue) -> Vec<PathBuf> {
    let program = |start: &Start| match start {
        Start::Bundled { .. } => Some(catalogue.server.clone()),
        Start::Run {
            command, directory, ..
        } => {
            let program = PathBuf::from(command.first()?.to_string());
            let is_path = program.components().count() > 1;
            // A bare name is looked up by the system, and what it is told to do lies in the arm's folder.
            Some(directory.join(if is_path {
                program
            } else {
                Path::new("PATH").join(program)
            }))
        }
        Start::At { address } => Some(PathBuf::from(address.to_string())),
    };
    plan.services
        .iter()
        .filter_map(|service| program(&service.start))
        .collect()
}
