//! `squall plan`: what would run.

use squall_engine::run::preflight;
use squall_model::exit::Exit;

use crate::arguments::PlanArguments;
use crate::scenarios::{How, read};
use crate::{catalogue, diagnostics, output};

/// Shows a plan.
pub fn run(arguments: &PlanArguments) -> anyhow::Result<Exit> {
    let how = How {
        seed: None,
        quick: arguments.quick,
        overrides: arguments.overrides.clone(),
        allow_hosts: arguments.allowed.hosts.clone(),
        reports: Some(arguments.out.clone()),
        ..How::default()
    };
    let read = read(&arguments.scenario, &how)?;
    diagnostics::print(&read);
    let Some(plan) = &read.plan else {
        return Ok(Exit::ScenarioWrong);
    };
    output::out(&read.redacted(squall_engine::plan::show(plan)));
    let missing = preflight(plan, &catalogue::catalogue()?, &arguments.out);
    for one in &missing {
        output::note(&format!("missing here: {}: {}", one.needed_by, one.text));
    }
    Ok(if missing.is_empty() {
        Exit::Pass
    } else {
        Exit::MissingCapability
    })
}
