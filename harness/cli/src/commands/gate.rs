//! `squall gate`: holds a candidate against its base on this machine, and fails on a regression that is real.
//!
//! `subject` reads the scenario for both arms, `places` finds or builds them, `rounds` runs block after block until there is a
//! verdict, and `publish` writes and prints what came of it. `criterion` is for programs of micro-benchmarks what `subject` and `places`
//! are for scenarios. What decides is in the report's `gate`; what measures is the engine's.

mod criterion;
mod places;
mod publish;
mod rounds;
mod subject;

use std::num::NonZeroU32;
use std::path::Path;

use anyhow::Context as _;
use squall_engine::plan::Plan;
use squall_model::exit::Exit;
use squall_model::gate::{Both, GateRecord};
use squall_model::units::parse_duration;

use crate::arguments::GateArguments;
use crate::arms::ArmsError;
use crate::scenarios::{How, read};
use crate::{diagnostics, isolation, output, scenarios, stopping};
use places::Places;
use rounds::Course;
use subject::{Prepared, Subject};

/// Gates scenarios, and then programs of micro-benchmarks, one after the other.
pub fn run(arguments: &GateArguments) -> anyhow::Result<Exit> {
    let budget = match parse_duration(&arguments.budget) {
        Ok(budget) => budget,
        Err(e) => {
            output::note(&format!("error: --budget {}: {e}", arguments.budget));
            return Ok(Exit::Usage);
        }
    };
    if let Err(e) = criterion::check(arguments) {
        output::error(&e);
        return Ok(Exit::Usage);
    }
    let seed = arguments.seed.map_or_else(scenarios::draw_seed, Ok)?;
    let how = How {
        overrides: arguments.overrides.clone(),
        allow_hosts: arguments.allowed.hosts.clone(),
        seed: Some(seed),
        ..How::default()
    };
    let mut written = Vec::new();
    for name in &arguments.scenarios {
        written.push(read(name, &how)?);
    }
    let wrong: Vec<_> = written.iter().filter(|read| read.plan.is_none()).collect();
    if !wrong.is_empty() {
        wrong.into_iter().for_each(diagnostics::print);
        return Ok(Exit::ScenarioWrong);
    }
    isolation::prepare(written.iter().filter_map(|read| read.plan.as_ref()))?;
    let course = Course {
        arguments,
        seed,
        budget,
        gates: NonZeroU32::try_from((written.len() + arguments.criterion.len()) as u32)
            .context("nothing to gate")?,
        stop: stopping::on_signals()?,
    };
    let (mut exits, mut records) = (Vec::new(), Vec::new());
    let mut take = |came: anyhow::Result<(Exit, Option<GateRecord>)>| {
        // What the others came to is told all the same.
        let (exit, record) = came.unwrap_or_else(|e| {
            output::error(&e);
            (Exit::Internal, None)
        });
        exits.push(exit);
        records.extend(record);
    };
    let goes_on = || course.stop.requested().is_none();
    for read in written.iter().take_while(|_| goes_on()) {
        take(scenario(&course, read));
    }
    for bench in arguments.criterion.iter().take_while(|_| goes_on()) {
        take(criterion::run(&course, bench));
    }
    exits.extend(stopping::told(&course.stop).map(|(_, exit)| exit));
    publish::all(arguments, &records)?;
    Ok(Exit::gravest(exits))
}

/// Gates one scenario, in a folder of its own.
fn scenario(course: &Course<'_>, read: &scenarios::Read) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let plan = read
        .plan
        .as_ref()
        .context("a scenario without a plan is not gated")?;
    let folder = course.folder(&plan.name, &plan.base)?;
    let came = in_folder(course, read, plan, &folder);
    Course::leave(&folder);
    came
}

fn in_folder(
    course: &Course<'_>,
    written: &scenarios::Read,
    plan: &Plan,
    folder: &Path,
) -> anyhow::Result<(Exit, Option<GateRecord>)> {
    let places = match Places::of(course, written, plan, folder) {
        Ok(places) => places,
        Err(e @ ArmsError::BaseBuild(_)) => {
            let of = subject::of(course, plan, Both::default());
            return rounds::no_base(course, &of, folder, &e.to_string());
        }
        Err(e) => {
            let exit = e.exit();
            output::error(&e.into());
            return Ok((exit, None));
        }
    };
    let subject: Box<Subject> =
        match subject::prepare(&written.name, course.arguments, course.seed, &places.both) {
            Ok(Prepared::Ready(subject)) => subject,
            Ok(Prepared::Wrong(read)) => {
                diagnostics::print(&read);
                return Ok((Exit::ScenarioWrong, None));
            }
            Ok(Prepared::NoBase(read)) => {
                diagnostics::print(&read);
                let of = subject::of(course, plan, Both::default());
                let why = "the base can't run this scenario as it is now";
                return rounds::no_base(course, &of, folder, why);
            }
            Err(e) => {
                output::error(&e);
                return Ok((Exit::Usage, None));
            }
        };
    let of = subject.of(course, &places.accepted);
    let begins = subject.begins(course.budget);
    rounds::run(course, &of, &mut &*subject, &begins, folder)
}
