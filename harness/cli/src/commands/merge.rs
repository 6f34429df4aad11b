//! `squall merge`: several runs of one scenario as one record.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use squall_model::exit::Exit;
use squall_model::merge::{Part, merge};
use squall_model::record::How;
use squall_report::Recording;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::arguments::{MergeArguments, MergeHow};
use crate::{output, record_files};

/// Merges. Exits 0 once the folder is written, whatever the verdict, and 2 where the runs don't belong together.
pub fn run(arguments: &MergeArguments) -> anyhow::Result<Exit> {
    if arguments.out.exists() {
        output::note(&format!(
            "error: {} is there already; name a folder that is not, so that no run is written over",
            arguments.out.display()
        ));
        return Ok(Exit::Usage);
    }
    let mut runs = Vec::new();
    for folder in &arguments.runs {
        runs.push(Run::read(folder)?);
    }
    let parts = parts(&runs)?;
    let how = match arguments.how {
        MergeHow::Repeats => How::Repeats,
        MergeHow::Shares => How::Shares,
    };
    let merged = match merge(&parts, how, env!("CARGO_PKG_VERSION")) {
        Ok(merged) => merged,
        Err(e) => {
            output::error(&e.into());
            return Ok(Exit::Usage);
        }
    };
    fs::create_dir_all(&arguments.out).with_context(|| format!("making {}", arguments.out.display()))?;
    let started_ms = parts.iter().map(|part| part.started_ms).min().unwrap_or(0);
    record_files::write(&arguments.out, &merged, started_ms)?;
    let recording = record_files::read(&arguments.out)?;
    record_files::write_reports(&recording, &arguments.out)?;
    output::out(&squall_report::terminal(
        &recording,
        output::width(),
        output::colours(),
    ));
    output::line(&format!(
        "report: {}",
        arguments.out.join("report.html").display()
    ));
    Ok(Exit::Pass)
}

/// A run as read.
struct Run {
    folder: PathBuf,
    recording: Recording,
}

impl Run {
    /// Reads a run that has ended: the numbers of one that was cut off are approximate.
    fn read(folder: &Path) -> anyhow::Result<Run> {
        let folder = fs::canonicalize(folder)
            .with_context(|| format!("finding the run's folder {}", folder.display()))?;
        let recording = record_files::read(&folder)?;
        if !folder.join("run.json").exists() {
            bail!(
                "{} has no run.json: the run was killed, its numbers are not whole, and merging them would hide that",
                folder.display()
            );
        }
        if let Some(note) = recording.reading_notes.first() {
            bail!("{}: {note}; what is lost can't be merged", folder.display());
        }
        Ok(Run { folder, recording })
    }

    fn name(&self) -> String {
        let last = self.folder.file_name().unwrap_or(self.folder.as_os_str());
        last.to_string_lossy().into_owned()
    }
}

/// The runs, each with a name of its own: that of its folder.
fn parts(runs: &[Run]) -> anyhow::Result<Vec<Part<'_>>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for run in runs {
        let name = run.name();
        let is_taken = runs.iter().filter(|other| other.name() == name).count() > 1;
        let started_at = &run.recording.record.started_at;
        let started = OffsetDateTime::parse(started_at, &Rfc3339)
            .with_context(|| format!("{}: its start `{started_at}` is no time", run.folder.display()))?;
        parts.push(Part {
            name: if is_taken {
                run.folder.display().to_string()
            } else {
                name
            },
            started_ms: u64::try_from(started.unix_timestamp_nanos() / 1_000_000).unwrap_or(0),
            record: &run.recording.record,
            events: &run.recording.events,
            series: run.recording.series.iter().collect(),
            intervals: &run.recording.intervals,
        });
    }
    Ok(parts)
}
