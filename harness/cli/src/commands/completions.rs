//! `squall completions`: for the user's shell.

use clap::CommandFactory as _;
use squall_model::exit::Exit;

use crate::arguments::{Arguments, CompletionsArguments};
use crate::output;

/// Prints them.
pub fn run(arguments: &CompletionsArguments) -> anyhow::Result<Exit> {
    let mut bytes = Vec::new();
    clap_complete::generate(arguments.shell, &mut Arguments::command(), "squall", &mut bytes);
    output::out(&String::from_utf8(bytes)?);
    Ok(Exit::Pass)
}
