//! A run's folder as files: what the report is made from, and where it goes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use squall_engine::record::write_whole;
use squall_model::hlog;
use squall_model::merge::Merged;
use squall_model::record::{RunRecord, Verdict};
use squall_report::Recording;

/// Reads what was recorded of a run, and the result of the one before it.
pub fn read(folder: &Path) -> anyhow::Result<Recording> {
    let mut recording = read_alone(folder)?;
    recording.previous = previous(folder, &recording.record).map(Box::new);
    Ok(recording)
}

/// Reads what was recorded of a run, without looking for others beside it.
pub fn read_alone(folder: &Path) -> anyhow::Result<Recording> {
    let series = text(folder, "series.ndjson").unwrap_or_default();
    let mut logs = BTreeMap::new();
    for entry in fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .flatten()
    {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "hlog")
            && let Some(load) = path.file_stem()
        {
            let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            logs.insert(
                load.to_string_lossy().into_owned(),
                String::from_utf8_lossy(&bytes).into_owned(),
            );
        }
    }
    let logs: BTreeMap<String, &str> = logs
        .iter()
        .map(|(load, text)| (load.clone(), text.as_str()))
        .collect();
    recording(folder, &series, &logs)
}

/// The most runs that are looked at for the last one that could be judged.
const LOOKED_AT_MAX: usize = 20;

/// The last run of the same scenario beside this one, begun before it, that could be judged: folders are named by when runs began.
fn previous(folder: &Path, record: &RunRecord) -> Option<RunRecord> {
    let own = folder.file_name()?;
    let beside = fs::read_dir(folder.parent()?).ok()?.flatten();
    let mut before: Vec<_> = beside
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .filter(|name| name.as_os_str() < own)
        .collect();
    before.sort_unstable();
    before.iter().rev().take(LOOKED_AT_MAX).find_map(|name| {
        let text = fs::read_to_string(folder.with_file_name(name).join("run.json")).ok()?;
        // A file of another version, or of something else, is no run to compare with.
        let other: RunRecord = serde_json::from_str(&text).ok()?;
        let is_like = other.scenario == record.scenario && other.quick == record.quick;
        (is_like && other.verdict != Verdict::Invalid).then_some(other)
    })
}

/// Reads the result of a run and its timeline, without what happened over time.
pub fn read_result(folder: &Path) -> anyhow::Result<Recording> {
    recording(folder, "", &BTreeMap::new())
}

fn recording(folder: &Path, series: &str, logs: &BTreeMap<String, &str>) -> anyhow::Result<Recording> {
    let events = text(folder, "events.ndjson")
        .with_context(|| format!("{} is not the folder of a run", folder.display()))?;
    let run = text(folder, "run.json").ok();
    squall_report::recording(&events, series, logs, run.as_deref())
        .with_context(|| format!("reading the run in {}", folder.display()))
}

/// A file of the folder. A cut can fall inside a character.
fn text(folder: &Path, name: &str) -> anyhow::Result<String> {
    let path = folder.join(name);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Writes a merged run into `folder`, which holds nothing yet; the record last, so that a folder with one is whole.
pub fn write(folder: &Path, merged: &Merged, started_ms: u64) -> anyhow::Result<()> {
    for (load, intervals) in &merged.intervals {
        let mut text = hlog::header(started_ms, &merged.record.started_at);
        for one in intervals {
            let histogram = one
                .histogram()
                .with_context(|| format!("writing the interval log of {load}"))?;
            text += &hlog::line(one.kind, one.start_us, one.end_us, &histogram);
        }
        write_whole(&folder.join(format!("{load}.hlog")), text.as_bytes())?;
    }
    write_whole(&folder.join("series.ndjson"), lines(&merged.series)?.as_bytes())?;
    write_whole(&folder.join("events.ndjson"), lines(&merged.events)?.as_bytes())?;
    let record = serde_json::to_string_pretty(&merged.record)?;
    write_whole(&folder.join("run.json"), record.as_bytes())?;
    Ok(())
}

fn lines(values: &[impl serde::Serialize]) -> anyhow::Result<String> {
    let mut text = String::new();
    for value in values {
        text += &serde_json::to_string(value)?;
        text.push('\n');
    }
    Ok(text)
}

/// Writes `run.json` of a run that could not write its own, so that what reads run records finds one; its verdict is
/// `invalid`, its reasons say that the run was cut off, and so does `complete` in the phases. A run's own stays as it is.
pub fn write_missing_record(recording: &Recording, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("run.json");
    if recording.is_remade {
        let text =
            serde_json::to_string_pretty(&recording.record).context("writing down the run's record")?;
        write_whole(&path, text.as_bytes())?;
    }
    Ok(())
}

/// Writes the report in all its forms into the run's folder.
pub fn write_reports(recording: &Recording, folder: &Path) -> anyhow::Result<()> {
    write_whole(
        &folder.join("report.html"),
        squall_report::html(recording).as_bytes(),
    )?;
    write_whole(
        &folder.join("summary.md"),
        squall_report::markdown(recording).as_bytes(),
    )?;
    write_whole(
        &folder.join("junit.xml"),
        squall_report::junit(recording).as_bytes(),
    )?;
    Ok(())
}
