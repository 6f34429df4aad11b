//! `squall baseline`: what earlier runs of a scenario measured on a machine, stored, listed and shown. Advisory: it decides nothing.

mod list;
mod save;
mod show;

use squall_model::exit::Exit;

use crate::arguments::{BaselineArguments, BaselineCommand};
use crate::output;

/// Does what was asked. Exits 2 where it is refused, with the reason.
pub fn run(arguments: &BaselineArguments) -> anyhow::Result<Exit> {
    let done = match &arguments.command {
        BaselineCommand::Save(arguments) => save::run(arguments),
        BaselineCommand::List(arguments) => list::run(arguments),
        BaselineCommand::Show(arguments) => show::run(arguments),
    };
    if let Err(e) = done {
        output::error(&e);
        return Ok(Exit::Usage);
    }
    Ok(Exit::Pass)
}
