//! A run's folder as files: what the report is made from, and where it goes.

mod texts;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::IgnoredAny;
use squall_engine::record::write_whole;
use squall_model::command;
use squall_model::hlog;
use squall_model::merge::Merged;
use squall_model::record::{Machine, RunRecord, SCHEMA, Verdict};
use squall_report::{PageSection, Recording, SectionBlocks, Texts, page_sections};

use crate::every_processor::each;

/// Reads what was recorded of a run, and the result of the one before it.
pub fn read(folder: &Path) -> anyhow::Result<Recording> {
    let mut recording = read_alone(folder)?;
    recording.previous = previous(folder, &recording.record).map(Box::new);
    Ok(recording)
}

/// Reads what was recorded of a run, without looking for others beside it.
pub fn read_alone(folder: &Path) -> anyhow::Result<Recording> {
    recording(folder, texts::read(folder)?)
}

/// The most runs that are looked at for the last one that could be judged.
const LOOKED_AT_MAX: usize = 20;

/// The last run beside this one that began before it, could be judged and is held to the same: scenario text, phases and machine. A
/// merged record is no run that came before, and what came before a merged record may be a part of it.
fn previous(folder: &Path, record: &RunRecord) -> Option<RunRecord> {
    if record.merged.is_some() {
        return None;
    }
    let own = folder.file_name()?;
    let beside = fs::read_dir(folder.parent()?).ok()?.flatten();
    let mut names: Vec<_> = beside
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.file_name())
        .filter(|name| name != own)
        .collect();
    // Folders are named by when runs began, where nobody named them otherwise: the newest before this one, then the rest.
    names.sort_unstable_by(|a, b| (b.as_os_str() < own, b).cmp(&(a.as_os_str() < own, a)));
    let heads = names.iter().take(LOOKED_AT_MAX).filter_map(|name| {
        let path = folder.with_file_name(name).join("run.json");
        let head = RunHead::read(&path).ok()?;
        (head.came_before(record) && head.verdict != Verdict::Invalid).then_some((head, path))
    });
    let (_, path) = heads.max_by(|(a, _), (b, _)| a.started_at.cmp(&b.started_at))?;
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// What tells of a run whether it can be held against another, without its numbers.
#[derive(Clone, Deserialize)]
pub struct RunHead {
    schema: u32,
    pub scenario: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    command: String,
    revision: String,
    #[serde(default)]
    quick: bool,
    machine: Machine,
    pub verdict: Verdict,
    pub started_at: String,
    #[serde(default)]
    merged: Option<IgnoredAny>,
}

impl RunHead {
    /// Of a `run.json`. Fails for one of another version.
    pub fn read(path: &Path) -> anyhow::Result<RunHead> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let head: RunHead =
            serde_json::from_slice(&bytes).with_context(|| format!("reading {}", path.display()))?;
        anyhow::ensure!(
            head.schema == SCHEMA,
            "reading {}: it has schema {}, this squall reads schema {SCHEMA}",
            path.display(),
            head.schema
        );
        Ok(head)
    }

    /// Of a record.
    pub fn of(record: RunRecord) -> RunHead {
        RunHead {
            schema: record.schema,
            scenario: record.scenario,
            source: record.source,
            command: record.command,
            revision: record.revision,
            quick: record.quick,
            machine: record.machine,
            verdict: record.verdict,
            started_at: record.started_at,
            merged: record.merged.map(|_| IgnoredAny),
        }
    }

    /// Whether it is several runs in one.
    pub fn is_merged(&self) -> bool {
        self.merged.is_some()
    }

    /// Whether both are the same thing, run again: seeds and starts may differ.
    pub fn repeats(&self, other: &RunHead) -> bool {
        let key = |head: &RunHead| (head.revision.clone(), head.quick, head.is_merged());
        key(self) == key(other) && self.is_of_the_timeline(&other.source, &other.command, &other.machine)
    }

    /// Whether it is a run of this text with these overrides on this machine. The steps of a search for capacity are of no timeline but
    /// each their own.
    fn is_of_the_timeline(&self, source: &str, command: &str, machine: &Machine) -> bool {
        self.source == source
            && command::overrides(&self.command) == command::overrides(command)
            && !command::is_probe(&self.command)
            && !command::is_probe(command)
            && self.machine == *machine
    }

    /// Whether it is a run of the same timeline on the same machine that began before `record`. The revision may be another.
    fn came_before(&self, record: &RunRecord) -> bool {
        self.scenario == record.scenario
            && self.quick == record.quick
            && self.is_of_the_timeline(&record.source, &record.command, &record.machine)
            && !self.is_merged()
            && self.started_at < record.started_at
    }
}

/// Reads the result of a run and its timeline, without what happened over time.
pub fn read_result(folder: &Path) -> anyhow::Result<Recording> {
    recording(folder, texts::read_events(folder)?)
}

fn recording(folder: &Path, texts: Texts) -> anyhow::Result<Recording> {
    let run = texts::text_of(&folder.join("run.json")).ok();
    squall_report::recording_of(texts, run.as_deref())
        .with_context(|| format!("reading the run in {}", folder.display()))
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

/// The report's page, on every processor: first what its sections share and what they consist of, then each block of it.
fn page(recording: &Recording) -> String {
    enum Piece<'a> {
        Load(&'a str),
        Section(PageSection),
    }
    let loads = recording.drawn_loads();
    let loads = loads.iter().map(|load| Piece::Load(load));
    // The last sections don't wait for loads, so they are done beside the last of those.
    let sections = page_sections().rev().map(Piece::Section);
    let pieces: Vec<Piece<'_>> = loads.chain(sections).collect();
    let sections = each(&pieces, |piece| match piece {
        Piece::Load(load) => {
            recording.work_out(load);
            None
        }
        Piece::Section(section) => Some(section.blocks(recording)),
    });
    let sections: Vec<SectionBlocks> = sections.into_iter().rev().flatten().collect();
    let places = sections.iter().flat_map(|section| {
        let blocks = 0..section.count();
        blocks.map(move |at| (section, at))
    });
    let written = each(&places.collect::<Vec<_>>(), |(section, at)| section.write(*at));
    squall_report::html_of(recording, &sections, &written)
}

/// Writes the report in all its forms into the run's folder.
pub fn write_reports(recording: &Recording, folder: &Path) -> anyhow::Result<()> {
    write_whole(&folder.join("report.html"), page(recording).as_bytes())?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn head(command: &str) -> RunHead {
        RunHead {
            schema: SCHEMA,
            scenario: "shop".to_owned(),
            source: "squall: 1".to_owned(),
            command: command.to_owned(),
            revision: "4f1c2ab".to_owned(),
            quick: false,
            machine: Machine::default(),
            verdict: Verdict::Pass,
            started_at: "2026-01-15T07:30:12.480Z".to_owned(),
            merged: None,
        }
    }

    #[test]
    fn only_the_same_thing_run_again_is_a_repeat() {
        let run = head("squall run shop.yaml --seed 7 --set load.read.rate=100/s");
        let again = head("squall run shop.yaml --seed 8 --set load.read.rate=100/s --allow-host db");
        assert!(run.repeats(&again));
        for other in [
            "squall run shop.yaml --seed 7",
            "squall run shop.yaml --seed 7 --set load.read.rate=200/s",
        ] {
            assert!(!run.repeats(&head(other)), "{other}");
        }
        let step = head("squall capacity shop.yaml --load read --seed 7");
        assert!(!step.repeats(&step), "the search went to another rate");
    }
}
