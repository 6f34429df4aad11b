//! `squall report`: makes the report of a run again, or writes the run in another format.

use std::fs;
use std::io::Write as _;
use std::mem;
use std::path::Path;

use anyhow::Context as _;
use squall_model::exit::Exit;
use squall_report::{PictureError, Recording};

use crate::arguments::{Export, ReportArguments};
use crate::{output, record_files};

/// Makes it. Exits 0 once it is written, whatever the verdict.
pub fn run(arguments: &ReportArguments) -> anyhow::Result<Exit> {
    let folder = std::fs::canonicalize(&arguments.folder)
        .with_context(|| format!("finding the run's folder {}", arguments.folder.display()))?;
    let recording = record_files::read(&folder)?;
    match exported(&recording, &arguments.export, arguments.chart.as_deref()) {
        Err(error) if error.is::<PictureError>() => {
            output::error(&error);
            return Ok(Exit::Usage);
        }
        exported => {
            if let Some((file, bytes)) = exported? {
                write(&bytes, file)?;
                return Ok(Exit::Pass);
            }
        }
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
    // The process ends: to give back a million rows one by one would only keep whoever waits for it.
    mem::forget(recording);
    Ok(Exit::Pass)
}

/// The other format that is asked for, and where it goes.
fn exported<'a>(
    recording: &Recording,
    export: &'a Export,
    chart: Option<&str>,
) -> anyhow::Result<Option<(&'a Path, Vec<u8>)>> {
    let picture = || squall_report::picture(recording, chart.unwrap_or_default());
    let (file, bytes) = match export {
        Export { csv: Some(file), .. } => (file, squall_report::csv(recording).into_bytes()),
        Export {
            openmetrics: Some(file),
            ..
        } => (file, squall_report::openmetrics(recording)?.into_bytes()),
        Export { svg: Some(file), .. } => (file, picture()?.into_bytes()),
        Export { png: Some(file), .. } => (file, png(&picture()?)?),
        Export {
            csv: None,
            openmetrics: None,
            svg: None,
            png: None,
        } => return Ok(None),
    };
    Ok(Some((file, bytes)))
}

#[cfg(feature = "png")]
fn png(svg: &str) -> anyhow::Result<Vec<u8>> {
    Ok(squall_report::png(svg)?)
}

#[cfg(not(feature = "png"))]
fn png(_: &str) -> anyhow::Result<Vec<u8>> {
    anyhow::bail!("this squall was built without PNG; build it with `--features png`, or write --svg")
}

/// Writes it; to standard output, and nothing else there, where `file` is `-`.
fn write(bytes: &[u8], file: &Path) -> anyhow::Result<()> {
    if file == Path::new("-") {
        let mut out = std::io::stdout().lock();
        return match out.write_all(bytes).and_then(|()| out.flush()) {
            // Whoever reads has what it wanted, as `head` does.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            written => written.context("writing to standard output"),
        };
    }
    // Not by a file beside it that is then renamed: FILE may be a pipe.
    fs::write(file, bytes).with_context(|| format!("writing {}", file.display()))
}
