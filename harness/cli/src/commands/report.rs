//! `squall report`: makes the report of a run again.

use anyhow::Context as _;
use squall_model::exit::Exit;

use crate::arguments::ReportArguments;
use crate::{output, record_files};

/// Makes it. Exits 0 once it is written, whatever the verdict.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<Exit> {
    let folder = std::fs::canonicalize(&arguments.folder)
        .with_context(|| format!("finding the run's folder {}", arguments.folder.display()))?;
    let recording = record_files::read(&folder)?;
    record_files::write_reports(&recording, &folder)?;
    output::out(&squall_report::terminal(
        &recording,
        output::width(),
        output::colours(),
    ));
    let page = folder.join("report.html");
    output::line(&format!("report: {}", page.display()));
    if arguments.open {
        let mut command = std::process::Command::new("xdg-open");
        command
            .arg(&page)
            .spawn()
            .context("opening the report with xdg-open; open the file by hand")?;
    }
    Ok(Exit::Pass)
}
