//! The `squall` binary: one file per command, and the only place that prints or ends the process.
//!
//! It is multi-call: `squall serve NAME` is a reference service and `squall guard` is what keeps a run's processes, so
//! what a user installs is one file.

mod arguments;
mod arms;
mod baseline_files;
mod catalogue;
mod commands;
mod diagnostics;
mod every_processor;
mod http;
mod isolation;
mod metrics;
mod output;
mod page_file;
mod progress;
mod proxy;
mod quoting;
mod record_files;
mod run_folders;
mod scenarios;
mod stopping;

use std::process::ExitCode;

use clap::Parser as _;
use squall_model::exit::Exit;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    // The guard must be alone in its process before anything else happens.
    if std::env::args_os().nth(1).is_some_and(|word| word == "guard") {
        return ExitCode::from(squall_engine::guard::main() as u8);
    }
    // A panic is a failure of Squall, never 101: its own hook has printed it.
    let exit = std::panic::catch_unwind(start).unwrap_or(Exit::Internal);
    ExitCode::from(exit.code())
}

fn start() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            let exit = if e.use_stderr() { Exit::Usage } else { Exit::Pass };
            // Nothing can be done about a closed terminal.
            let _ = e.print();
            return exit;
        }
    };
    output::choose_colours(arguments.color);
    match dispatch(arguments.command) {
        Ok(exit) => exit,
        Err(e) => {
            output::error(&e);
            Exit::Internal
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Check(arguments) => commands::check::run(&arguments),
        Command::Plan(arguments) => commands::plan::run(&arguments),
        Command::List(arguments) => commands::list::run(&arguments),
        Command::Faults(arguments) => commands::faults::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::Compare(arguments) => commands::compare::run(&arguments),
        Command::Index(arguments) => commands::index::run(&arguments),
        Command::Baseline(arguments) => commands::baseline::run(&arguments),
        Command::Merge(arguments) => commands::merge::run(&arguments),
        Command::Load(arguments) => commands::load::run(&arguments),
        Command::Gate(arguments) => commands::gate::run(&arguments),
        Command::Capacity(arguments) => commands::capacity::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Proxy(arguments) => commands::proxy::run(&arguments),
        Command::Schema => commands::schema::run(),
        Command::Completions(arguments) => commands::completions::run(&arguments),
        Command::Clean(arguments) => commands::clean::run(&arguments),
        Command::Guard => unreachable!("main has taken this way already"),
    }
}
