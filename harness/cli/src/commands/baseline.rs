//! `squall baseline`: what earlier runs of a scenario measured on a machine, stored, listed and shown. Advisory: it decides nothing.

mod list;
mod save;
mod show;

use squall_engine::record::RecordError;
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
    match done {
        Ok(()) => Ok(Exit::Pass),
        // Not the user's doing: a full disk, a folder that may not be written.
        Err(e) if e.downcast_ref::<RecordError>().is_some() => Err(e),
        Err(e) => {
            output::error(&e);
            Ok(Exit::Usage)
        }
    }
}
