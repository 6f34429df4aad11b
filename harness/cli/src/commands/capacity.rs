//! `squall capacity`: the highest rate at which a load of a scenario meets its objectives.

mod probe;
mod search;
mod table;

use std::time::Duration;

use anyhow::{Context as _, ensure};
use squall_engine::run::{Options, Outcome, RunError, Stop, run as engine_run};
use squall_load::pacer::RATE_PER_S_MAX;
use squall_model::exit::Exit;
use squall_model::units::{Quantity as _, Rate, Ratio, human, parse_duration};

use crate::arguments::CapacityArguments;
use crate::progress::{Progress, Show};
use crate::quoting::shell;
use crate::{catalogue, diagnostics, isolation, output, record_files, stopping};
use probe::{Prepared, Shown, Subject};
use search::{Found, Next, Purpose, Search, Settings};
use table::Probed;

/// Probes at most.
const PROBES_MOST: u32 = 60;

/// Searches.
pub fn run(arguments: &CapacityArguments) -> anyhow::Result<Exit> {
    let (subject, settings) = match prepare(arguments) {
        Ok(Ready::Subject(subject, settings)) => (subject, settings),
        Ok(Ready::Wrong) => return Ok(Exit::ScenarioWrong),
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    let tells = !arguments.json && !arguments.quiet;
    if tells {
        output::note_paragraph(&format!(
            "{} in phase {} of {}: {}; a probe takes {}",
            arguments.load,
            subject.phase,
            arguments.scenario,
            subject.objectives.join(", "),
            human::duration(subject.length())
        ));
        output::line(&table::head());
    }
    isolation::prepare(std::iter::once(&subject.at(subject.rate)))?;
    let stop = stopping::on_signals()?;
    let mut search = Search::new(settings);
    let mut probes: Vec<Probed> = Vec::new();
    let found = loop {
        let (rate, purpose) = match search.next() {
            Next::Done(found) => break found,
            Next::Probe(rate, purpose) => (rate, purpose),
        };
        let one = match probed(arguments, &subject, (rate, purpose), probes.len() + 1, &stop)? {
            Ok(one) => one,
            Err(exit) => return Ok(stopped(arguments, &probes, exit)),
        };
        if tells {
            output::line(&table::row(&one, probes.len() + 1, output::width()));
        }
        search.tell(one.shown.verdict);
        probes.push(one);
    };
    let exit = exit(&found);
    if arguments.json {
        output::line(&table::json(
            arguments,
            &subject.objectives,
            &found,
            &probes,
            exit,
        )?);
    } else {
        output::paragraph(&table::sentence(&arguments.load, &found, &probes));
        if let Some(folder) = probes
            .last()
            .and_then(|last| last.folder.parent())
            .filter(|_| tells)
        {
            output::line(&format!("runs: {}", folder.display()));
        }
    }
    Ok(exit)
}

enum Ready {
    Subject(Box<Subject>, Settings),
    Wrong,
}

/// Everything that can be wrong is found before the first probe.
fn prepare(arguments: &CapacityArguments) -> anyhow::Result<Ready> {
    let step =
        parse_duration(&arguments.step_for).with_context(|| format!("--step-for {}", arguments.step_for))?;
    ensure!(
        step >= Duration::from_millis(500),
        "--step-for {}: a probe measures for at least 500 ms",
        arguments.step_for
    );
    let precision =
        Ratio::parse(&arguments.precision).with_context(|| format!("--precision {}", arguments.precision))?;
    ensure!(
        (0.01..=0.5).contains(&precision.get()),
        "--precision {}: between 1% and 50%",
        arguments.precision
    );
    let rate = |name: &str, text: &Option<String>| -> anyhow::Result<Option<f64>> {
        let Some(text) = text else { return Ok(None) };
        let rate = Rate::parse(text).with_context(|| format!("{name} {text}"))?.get();
        ensure!(rate > 0.0, "{name} {text}: a rate must be above zero");
        Ok(Some(rate))
    };
    let (from, to) = (rate("--from", &arguments.from)?, rate("--to", &arguments.to)?);
    let subject = match probe::prepare(arguments, step)? {
        Prepared::Ready(subject) => subject,
        Prepared::Wrong(read) => {
            diagnostics::print(&read);
            return Ok(Ready::Wrong);
        }
    };
    let (start, lowest, highest) = probe::bounds(from, to, subject.rate, RATE_PER_S_MAX)?;
    let settings = Settings {
        start,
        lowest,
        highest,
        precision: precision.get(),
        confirm: arguments.confirm,
        probes_most: PROBES_MOST,
    };
    Ok(Ready::Subject(subject, settings))
}

/// Runs one probe. The inner `Err` ends the search with that exit code.
fn probed(
    arguments: &CapacityArguments,
    subject: &Subject,
    (rate, purpose): (f64, Purpose),
    number: usize,
    stop: &Stop,
) -> anyhow::Result<Result<Probed, Exit>> {
    let options = Options {
        reports: arguments.out.clone(),
        command: command(arguments, subject),
        catalogue: catalogue::catalogue()?,
        rendezvous: None,
    };
    let show = if arguments.quiet {
        Show::Nothing
    } else {
        Show::Standing(format!("probe {number} at {}", Rate::per_second(rate)))
    };
    let mut progress = Progress::new(show);
    let outcome = engine_run(&subject.at(rate), &options, &mut progress, stop);
    progress.finish();
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(RunError::Missing(missing)) => {
            output::note("error: this machine lacks what the scenario needs; nothing was started");
            for one in &missing {
                output::note(&format!("  {}: {}", one.needed_by, one.text));
            }
            return Ok(Err(Exit::MissingCapability));
        }
        Err(e) => {
            output::error(&e.into());
            return Ok(Err(Exit::Internal));
        }
    };
    record_files::write_reports(&record_files::read(&outcome.folder)?, &outcome.folder)?;
    Ok(match probe::judge(&outcome.record, outcome.exit) {
        Ok(shown) => Ok(of(arguments, (rate, purpose), outcome, shown)),
        Err(exit) => {
            outcome
                .record
                .reasons
                .iter()
                .for_each(|reason| output::note(&output::harmless(reason)));
            Err(exit)
        }
    })
}

fn of(
    arguments: &CapacityArguments,
    (rate, purpose): (f64, Purpose),
    outcome: Outcome,
    shown: Shown,
) -> Probed {
    let phase = outcome.record.phases.into_iter().next_back().unwrap_or_default();
    Probed {
        rate,
        purpose,
        load: phase.load.get(&arguments.load).cloned().unwrap_or_default(),
        shown,
        folder: outcome.folder,
    }
}

/// What is said of a search that somebody or something ended.
fn stopped(arguments: &CapacityArguments, probes: &[Probed], exit: Exit) -> Exit {
    let held = probes
        .iter()
        .filter(|one| one.shown.verdict == search::Verdict::Holds);
    let most = held.map(|one| one.rate).fold(None, |most: Option<f64>, rate| {
        Some(most.map_or(rate, |most| most.max(rate)))
    });
    let told = most.map_or_else(
        || "no rate was seen to hold".to_owned(),
        |rate| format!("{} was seen to hold, not confirmed", Rate::per_second(rate)),
    );
    output::note(&format!("{}: stopped before an answer; {told}", arguments.load));
    exit
}

fn exit(found: &Found) -> Exit {
    match found {
        Found::Capacity { .. } => Exit::Pass,
        Found::NothingHolds { .. } => Exit::ExpectationNotMet,
        Found::Invalid { .. } | Found::Unsettled { .. } => Exit::Invalid,
    }
}

/// The command line that repeats the search.
fn command(arguments: &CapacityArguments, subject: &Subject) -> String {
    let mut words = vec![format!(
        "squall capacity {} --load {}",
        shell(&arguments.scenario),
        arguments.load
    )];
    words.extend(arguments.slos.iter().map(|text| format!("--slo {}", shell(text))));
    words.push(format!("--phase {}", subject.phase));
    words.extend(
        arguments
            .from
            .iter()
            .map(|text| format!("--from {}", shell(text))),
    );
    words.extend(arguments.to.iter().map(|text| format!("--to {}", shell(text))));
    words.push(format!(
        "--precision {} --confirm {} --step-for {} --seed {}",
        shell(&arguments.precision),
        arguments.confirm,
        shell(&arguments.step_for),
        subject.seed()
    ));
    words.extend(
        arguments
            .overrides
            .iter()
            .map(|one| format!("--set {}", shell(one))),
    );
    words.join(" ")
}
