//! `squall report`: makes the report of a run again, or its series as a table.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use squall_model::exit::Exit;

use crate::arguments::ReportArguments;
use crate::{output, record_files};

/// Makes it. Exits 0 once it is written, whatever the verdict.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<Exit> {
    let folder = std::fs::canonicalize(&arguments.folder)
        .with_context(|| format!("finding the run's folder {}", arguments.folder.display()))?;
    let recording = record_files::read(&folder)?;
    if let Some(file) = &arguments.csv {
        return write_csv(&squall_report::csv(&recording), file);
    }
    record_files::write_missing_record(&recording, &folder)?;
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

/// Writes the table; to standard output, and nothing else there, where `file` is `-`.
fn write_csv(table: &str, file: &Path) -> anyhow::Result<Exit> {
    if file == Path::new("-") {
        output::out(table);
    } else {
        // Not by a file beside it that is then renamed: FILE may be a pipe.
        fs::write(file, table).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(Exit::Pass)
}
