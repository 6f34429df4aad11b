//! `squall check`: every error at once.

use squall_model::exit::Exit;

use crate::arguments::CheckArguments;
use crate::scenarios::{How, read};
use crate::{diagnostics, output};

/// Checks scenarios.
pub fn run(arguments: &CheckArguments) -> anyhow::Result<Exit> {
    let mut exit = Exit::Pass;
    let mut all = Vec::new();
    let how = How {
        allow_hosts: arguments.allowed.hosts.clone(),
        reports: Some(arguments.out.clone()),
        ..How::default()
    };
    for name in &arguments.scenarios {
        let read = read(name, &how)?;
        if !read.diagnostics.ok() {
            exit = Exit::ScenarioWrong;
        }
        if arguments.json {
            all.extend(diagnostics::json(&read));
        } else {
            diagnostics::print(&read);
            if read.diagnostics.ok() {
                output::line(&format!("{}: ok", read.name));
            }
        }
    }
    if arguments.json {
        output::line(&serde_json::to_string_pretty(&all)?);
    }
    Ok(exit)
}
