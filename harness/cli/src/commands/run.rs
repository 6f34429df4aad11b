//! `squall run`: runs scenarios and writes their reports.

use anyhow::Context as _;
use squall_engine::run::{Options, Outcome, RunError, Stop, run as engine_run};
use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use crate::arguments::RunArguments;
use crate::metrics::{Outlets, Posting};
use crate::progress::{Progress, Show};
use crate::scenarios::{How, Read, all, read};
use crate::{catalogue, diagnostics, isolation, output, quoting, record_files, stopping};

/// Runs scenarios, one after the other.
pub fn run(arguments: &RunArguments) -> anyhow::Result<Exit> {
    let how = How {
        seed: arguments.seed,
        quick: arguments.quick,
        overrides: arguments.overrides.clone(),
        allow_hosts: arguments.allowed.hosts.clone(),
        reports: Some(arguments.out.clone()),
        ..How::default()
    };
    let mut scenarios = Vec::new();
    for name in &arguments.scenarios {
        scenarios.push(read(name, &how)?);
    }
    if let Some(tag) = &arguments.tag {
        for path in all() {
            let read = read(&path.display().to_string(), &how)?;
            // One that can't be read may have the tag: leaving it out would pass for having run it.
            if read.tags.as_ref().is_none_or(|tags| tags.contains(tag)) {
                scenarios.push(read);
            }
        }
    }
    let wrong: Vec<&Read> = scenarios.iter().filter(|read| read.plan.is_none()).collect();
    if !wrong.is_empty() {
        wrong.into_iter().for_each(diagnostics::print);
        return Ok(Exit::ScenarioWrong);
    }
    if scenarios.is_empty() {
        let tag = arguments.tag.as_deref().unwrap_or_default();
        output::note(&format!("error: no scenario in scenarios/ has the tag `{tag}`"));
        return Ok(Exit::Usage);
    }
    isolation::prepare(scenarios.iter().filter_map(|read| read.plan.as_ref()))?;
    let outlets = match Outlets::open(arguments) {
        Ok(outlets) => outlets,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    let stop = stopping::on_signals()?;
    let mut exits = Vec::new();
    let mut records = Vec::new();
    for read in &scenarios {
        diagnostics::print(read);
        for _ in 0..arguments.runs {
            if stop.requested().is_some() {
                break;
            }
            let (exit, record) = run_one(read, arguments, &outlets, &stop)?;
            exits.push(exit);
            records.extend(record);
        }
    }
    if arguments.json {
        let text = match records.as_slice() {
            [one] => serde_json::to_string_pretty(one)?,
            all => serde_json::to_string_pretty(all)?,
        };
        output::line(&text);
    }
    Ok(Exit::gravest(exits))
}

fn run_one(
    read: &Read,
    arguments: &RunArguments,
    outlets: &Outlets,
    stop: &Stop,
) -> anyhow::Result<(Exit, Option<RunRecord>)> {
    let plan = read
        .plan
        .as_ref()
        .context("a scenario without a plan is not run")?;
    let options = Options {
        reports: arguments.out.clone(),
        command: command(read, arguments, plan.seed.value()),
        catalogue: catalogue::catalogue()?,
        rendezvous: None,
    };
    let show = if arguments.quiet { Show::Nothing } else { Show::All };
    let mut progress = Progress::new(show);
    let mut observer = Posting {
        next: &mut progress,
        board: outlets.board(),
    };
    let outcome = engine_run(plan, &options, &mut observer, stop);
    outlets.flush();
    progress.finish();
    match outcome {
        Ok(outcome) => Ok(finish(outcome, arguments.json, arguments.quiet)),
        Err(RunError::Missing(missing)) => {
            output::note("error: this machine lacks what the scenario needs; nothing was started");
            for one in &missing {
                output::note(&format!("  {}: {}", one.needed_by, one.text));
            }
            Ok((Exit::MissingCapability, None))
        }
        Err(e) => {
            output::error(&e.into());
            Ok((Exit::Internal, None))
        }
    }
}

/// Writes the report and prints the summary. A report that can't be written is Squall's failure; the record stays.
fn finish(outcome: Outcome, json: bool, quiet: bool) -> (Exit, Option<RunRecord>) {
    let mut exit = outcome.exit;
    let written = record_files::read(&outcome.folder).and_then(|mut recording| {
        // The run knows how it ended also where a full disk kept it from writing that down.
        recording.record.clone_from(&outcome.record);
        recording.events.clone_from(&outcome.events);
        recording.approximate.clear();
        if quiet && !json {
            output::out(&output::verdict(&outcome.record));
        } else if !json {
            output::out(&squall_report::terminal(
                &recording,
                output::width(),
                output::colours(),
            ));
        }
        record_files::write_reports(&recording, &outcome.folder)
    });
    match written {
        Ok(()) if !json && !quiet => {
            output::line(&format!(
                "report: {}",
                outcome.folder.join("report.html").display()
            ));
        }
        Ok(()) => {}
        Err(e) => {
            output::error(&e);
            exit = Exit::gravest([exit, Exit::Internal]);
        }
    }
    (exit, Some(outcome.record))
}

/// The command line that repeats a run.
fn command(read: &Read, arguments: &RunArguments, seed: u64) -> String {
    let mut words = vec![
        "squall".to_owned(),
        "run".to_owned(),
        quoting::shell(&read.name),
        format!("--seed {seed}"),
    ];
    words.extend(arguments.quick.then(|| "--quick".to_owned()));
    words.extend(
        arguments
            .overrides
            .iter()
            .map(|one| format!("--set {}", quoting::shell(one))),
    );
    words.extend(
        arguments
            .allowed
            .hosts
            .iter()
            .map(|one| format!("--allow-host {}", quoting::shell(one))),
    );
    words.join(" ")
}
