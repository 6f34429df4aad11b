//! `squall baseline save`: runs become an entry, if their numbers can be trusted and they are of one thing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use squall_model::baseline::{Baseline, Entry, Values, fingerprint, meaning};
use squall_model::command;
use squall_model::exit::Exit;
use squall_model::record::{RunRecord, SCHEMA, Verdict};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::arguments::BaselineSaveArguments;
use crate::baseline_files::{self, REPORTS, this_machine};
use crate::output;

/// A run that is to be stored.
struct Run {
    /// As it was named, for errors.
    named: String,
    /// The name of its folder.
    folder: String,
    record: RunRecord,
}

/// Stores the runs as one entry.
pub fn run(arguments: &BaselineSaveArguments) -> anyhow::Result<()> {
    let mut folders = BTreeSet::new();
    let mut runs = Vec::new();
    for word in &arguments.runs {
        let (folder, run) = read(word)?;
        ensure!(
            folders.insert(folder.clone()),
            "{word}: this run, {}, is named twice: it counts once",
            folder.display()
        );
        usable(&run, arguments.force)?;
        runs.push(run);
    }
    let first = runs.first().context("no run was named")?;
    for other in &runs[1..] {
        alike(first, other)?;
    }
    let machine = fingerprint(&first.record.machine);
    let scenario = first.record.scenario.clone();
    let entry = entry(&runs)?;
    let (numbers, of) = (entry.values.iter().count(), runs.len());
    let hardware = newest(&runs).machine.clone();
    let (entries, gone) = baseline_files::change(&arguments.dir, &machine, &scenario, |found| {
        let mut baseline = found.unwrap_or_else(|| Baseline {
            scenario: scenario.clone(),
            machine: hardware.clone(),
            entries: Vec::new(),
        });
        let gone = baseline.add(hardware, entry)?;
        let entries = baseline.entries.len();
        Ok((baseline, (entries, gone)))
    })?;
    tell(
        arguments,
        &machine,
        &scenario,
        &Told {
            numbers,
            of,
            entries,
            gone,
        },
    );
    Ok(())
}

/// What was stored.
struct Told {
    numbers: usize,
    of: usize,
    entries: usize,
    gone: usize,
}

fn tell(arguments: &BaselineSaveArguments, machine: &str, scenario: &str, told: &Told) {
    let Told {
        numbers,
        of,
        entries,
        gone,
    } = *told;
    let made = match of {
        1 => "1 run".to_owned(),
        n => format!("the medians of {n} runs"),
    };
    output::line(&format!(
        "stored {scenario} on {machine}: {numbers} numbers, {made}"
    ));
    let gone = match gone {
        0 => String::new(),
        n => format!("; the oldest {n} went, to keep the file small"),
    };
    let file = baseline_files::file(&arguments.dir, machine, scenario);
    let entries = output::counted(entries, "entry", "entries");
    output::line(&format!("baseline: {} ({entries}{gone})", file.display()));
    if this_machine() != machine {
        output::note(
            "note: the run was made on another machine than this; expectations of this machine don't see it",
        );
    }
    if of == 1 {
        output::note_paragraph(
            "note: one run says nothing of how far runs of the same code lie apart; several, saved as one entry, are steadier",
        );
    }
}

/// The run that a word of the command line means: a folder, its run.json, or a scenario's name for its newest run.
fn read(word: &str) -> anyhow::Result<(PathBuf, Run)> {
    let path = Path::new(word);
    let is_bare = !word.contains('/') && !path.exists();
    let folder = if is_bare {
        Path::new(REPORTS).join(word).join("latest")
    } else if path.file_name().is_some_and(|name| name == "run.json") {
        path.parent().unwrap_or(path).to_owned()
    } else {
        path.to_owned()
    };
    let Ok(whole) = fs::canonicalize(if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        &folder
    }) else {
        bail!(
            "{word}: there is no {}; name the folder of a run, or a scenario that has run in {REPORTS}/",
            folder.display()
        );
    };
    let file = whole.join("run.json");
    let reading = || format!("{word}: reading the run in {}", folder.display());
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => bail!(
            "{word}: {} holds no run.json; name the folder of one run, such as {}/latest",
            folder.display(),
            word.trim_end_matches('/')
        ),
        Err(e) => return Err(e).with_context(reading),
    };
    let record: RunRecord = serde_json::from_slice(&bytes).with_context(reading)?;
    ensure!(
        record.schema == SCHEMA,
        "{}: it has schema {}, this squall reads schema {SCHEMA}",
        reading(),
        record.schema
    );
    let name = whole
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let run = Run {
        named: word.to_owned(),
        folder: name,
        record,
    };
    Ok((whole, run))
}

/// Refuses a run whose numbers are no baseline.
fn usable(run: &Run, force: bool) -> anyhow::Result<()> {
    let (record, named) = (&run.record, &run.named);
    let why = record.reasons.first().map_or("", String::as_str);
    if record.merged.is_some() {
        bail!("{named}: it was merged from several runs; name those runs: their medians are one entry");
    }
    if record.quick {
        bail!("{named}: it was scaled down by --quick, so its numbers are of another thing; run it whole");
    }
    if command::is_probe(&record.command) {
        bail!("{named}: it is a step of squall capacity, at a rate of its own; run the scenario");
    }
    if let Some(phase) = record.phases.iter().find(|phase| !phase.complete) {
        bail!(
            "{named}: phase {} was not run to its end; run it again",
            phase.name
        );
    }
    match record.verdict {
        Verdict::Invalid if lacks_only_a_baseline(record) => {}
        Verdict::Invalid => bail!("{named}: the run is invalid, so its numbers can't be trusted: {why}"),
        Verdict::Fail if record.exit_code != Exit::ExpectationNotMet.code() => {
            bail!(
                "{named}: the run failed by more than its expectations, so its numbers are no measure: {why}"
            )
        }
        Verdict::Fail if !force => bail!(
            "{named}: the run failed: {why}; if its numbers are the new normal all the same, say so with --force"
        ),
        Verdict::Fail | Verdict::Pass => {}
    }
    ensure!(
        !record.measured.is_empty(),
        "{named}: no number of it can be stored: nothing was measured, or an earlier squall made the run; run it again"
    );
    Ok(())
}

/// Whether nothing is against a run but that an expectation has no baseline yet: which is what saving it is for.
fn lacks_only_a_baseline(record: &RunRecord) -> bool {
    let lacking = || record.expectations.iter().filter(|one| one.lacks_baseline);
    let is_of_it = |reason: &String| lacking().any(|one| one.as_reason() == *reason);
    !record.reasons.is_empty() && record.reasons.iter().all(is_of_it)
}

/// Refuses two runs that are of different things.
fn alike(one: &Run, other: &Run) -> anyhow::Result<()> {
    let differ = |what: &str, is: &str, was: &str| {
        bail!(
            "{}: its {what} is {is}, and that of {} is {was}; an entry is of one {what}: save each on its own",
            other.named,
            one.named
        )
    };
    let (a, b) = (&one.record, &other.record);
    if a.scenario != b.scenario {
        return differ("scenario", &b.scenario, &a.scenario);
    }
    let (here, there) = (fingerprint(&a.machine), fingerprint(&b.machine));
    if here != there {
        return differ("machine", &there, &here);
    }
    if a.revision != b.revision {
        return differ("revision", &b.revision, &a.revision);
    }
    ensure!(
        meaning_of(a) == meaning_of(b),
        "{}: its scenario does something else than that of {}; an entry is of one: save each on its own",
        other.named,
        one.named
    );
    Ok(())
}

fn meaning_of(record: &RunRecord) -> String {
    meaning(&record.source, command::overrides(&record.command))
}

/// The record of the run that began last; of several, at least one.
fn newest(runs: &[Run]) -> &RunRecord {
    let newest = runs
        .iter()
        .max_by(|a, b| a.record.started_at.cmp(&b.record.started_at));
    &newest.expect("at least one run was named").record
}

fn entry(runs: &[Run]) -> anyhow::Result<Entry> {
    let newest = newest(runs);
    let values: Vec<&Values> = runs.iter().map(|run| &run.record.measured).collect();
    let now = OffsetDateTime::now_utc().replace_nanosecond(0)?;
    Ok(Entry {
        saved_at: now.format(&Rfc3339)?,
        measured_at: newest.started_at.clone(),
        revision: newest.revision.clone(),
        runs: runs.iter().map(|run| run.folder.clone()).collect(),
        seeds: runs.iter().map(|run| run.record.seed).collect(),
        meaning: meaning_of(newest),
        values: Values::medians(&values),
    })
}
