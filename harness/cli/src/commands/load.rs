//! `squall load`: load on one URL.

mod asked;
mod keep;
mod measured;
mod summary;

use std::time::Duration;

use squall_engine::measure::collector::Collector;
use squall_engine::observer::{Live, LiveLoad, Observer as _};
use squall_engine::run::Stop;
use squall_load::oneshot::Outcome;
use squall_model::exit::Exit;
use squall_model::histogram;

use crate::arguments::LoadArguments;
use crate::progress::{Progress, Show};
use crate::{output, stopping};
use asked::Asked;
use measured::Measured;

/// The name of the one load and the one phase in the record, and of the folder that runs land in.
const NAME: &str = "load";

/// The longest wait for the next report, so that a Ctrl-C is heeded soon.
const PATIENCE: Duration = Duration::from_millis(100);

/// Puts load on a URL.
pub fn run(arguments: &LoadArguments) -> anyhow::Result<Exit> {
    // Everything that can be wrong with the command line is found before the first request.
    let asked = asked::read(arguments).and_then(|asked| {
        let kept = match &arguments.save {
            Some(file) => Some(keep::keep(&asked, file, arguments.force)?),
            None => None,
        };
        Ok((asked, kept))
    });
    let (asked, kept) = match asked {
        Ok(asked) => asked,
        Err(e) => {
            output::error(&e);
            return Ok(Exit::Usage);
        }
    };
    if !arguments.json && !arguments.quiet {
        kept.into_iter()
            .chain([asked.about()])
            .for_each(|text| output::note_paragraph(&text));
    }
    let stop = stopping::on_signals()?;
    let mut measured = Measured::begin(&asked, arguments.out.as_deref())?;
    let show = if arguments.quiet {
        Show::Nothing
    } else {
        Show::Standing(NAME.to_owned())
    };
    let outcome = drive(&asked, &mut measured, Progress::new(show), &stop)?;
    let (record, exit) = measured.end(&asked, &outcome, stopping::told(&stop))?;
    if arguments.json {
        output::line(&serde_json::to_string_pretty(&record)?);
    } else {
        if arguments.quiet {
            output::line(&summary::one_line(&record, &outcome.totals));
        } else {
            output::out(&summary::text(&record, &outcome.totals));
        }
        for reason in &record.reasons {
            output::note_paragraph(&format!("invalid: {reason}"));
        }
    }
    let folder = measured.report()?.filter(|_| !arguments.json && !arguments.quiet);
    if let Some(folder) = folder {
        output::line(&format!("report: {}", folder.join("report.html").display()));
    }
    Ok(exit)
}

/// Runs the load to its end, or until somebody asks for it.
fn drive(
    asked: &Asked,
    measured: &mut Measured,
    mut progress: Progress,
    stop: &Stop,
) -> anyhow::Result<Outcome> {
    let mut running = asked.shot.clone().start()?;
    let mut shown_us = 0;
    loop {
        let more = running.step(PATIENCE, |slice| measured.see(slice.clone()))?;
        if stop.requested().is_some() {
            measured.look();
            return Ok(running.abort());
        }
        if !more {
            measured.look();
            return Ok(running.finish());
        }
        let now_us = measured.beat()?;
        if now_us >= shown_us + 1_000_000 {
            shown_us = now_us;
            progress.live(&standing(asked, &measured.collector, now_us));
        }
    }
}

/// How the load stands, for people who watch.
fn standing(asked: &Asked, collector: &Collector, now_us: u64) -> Live {
    let (span_us, totals) = collector.recent(0, now_us);
    let share = |part: u64, whole: u64| {
        if whole == 0 {
            0.0
        } else {
            part as f64 / whole as f64
        }
    };
    // In closed loop response and service time are the same.
    let latency = &totals.response;
    Live {
        phase: NAME.to_owned(),
        index: 0,
        phases: 1,
        elapsed_us: now_us,
        length_us: asked.length_us(),
        loads: vec![LiveLoad {
            name: NAME.to_owned(),
            rate: share(totals.completed, span_us) * 1e6,
            target_rate: asked.shot.rate_per_s,
            p50_us: histogram::quantile(latency, 0.50),
            p99_us: histogram::quantile(latency, 0.99),
            errors: share(totals.failed, totals.completed),
        }],
        faults: Vec::new(),
    }
}
