//! `squall clean`: finishes what interrupted runs have left.

use squall_model::exit::Exit;

use crate::arguments::CleanArguments;
use crate::output;

/// Cleans.
pub fn run(arguments: &CleanArguments) -> anyhow::Result<Exit> {
    let report = squall_engine::clean::clean(&arguments.out)?;
    for run in &report.cleaned {
        output::line(&format!("{}:", run.folder.display()));
        for done in &run.done {
            output::line(&format!("  undone: {done}"));
        }
        for problem in &run.problems {
            output::note(&format!("  {problem}"));
        }
    }
    for folder in &report.running {
        output::line(&format!("{}: still running, left alone", folder.display()));
    }
    for (folder, why) in &report.unusable {
        output::note(&format!("{}: {why}", folder.display()));
    }
    if report.cleaned.is_empty() && report.is_clean() {
        output::line("nothing was left");
    }
    Ok(if report.is_clean() {
        Exit::Pass
    } else {
        Exit::NotUndone
    })
}
