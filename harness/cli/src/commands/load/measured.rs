//! What `squall load` measured: gathered as it comes, folded into a run record, and with `--out` a run's folder.
//!
//! The record is made from events like every other, so that one that is read from the folder later is the same.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use squall_engine::measure::collector::{Collector, load_record};
use squall_engine::measure::host::Host;
use squall_engine::measure::{machine, validity};
use squall_engine::record::{Folder, Writer, revision};
use squall_load::host::HiccupMeter;
use squall_load::oneshot::{Outcome, Totals};
use squall_load::{Address, ErrorKind, Slice};
use squall_model::event::{Event, EventKind, PlannedPhase, RunHeader};
use squall_model::exit::Exit;
use squall_model::histogram::Distribution;
use squall_model::hlog;
use squall_model::record::{GeneratorRecord, LoadMode, RunRecord, Spoils, Verdict};
use squall_model::replay;
use squall_model::series::SeriesRow;
use squall_model::units::human;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::NAME;
use super::asked::Asked;
use crate::record_files;

/// How often files are handed to the kernel.
const FLUSH: Duration = Duration::from_millis(500);

/// Gathers what a load does.
pub struct Measured {
    /// Recent seconds, and the rows of the series.
    pub collector: Collector,
    host: Host,
    meter: HiccupMeter,
    begun: Instant,
    flushed: Instant,
    events: Vec<Event>,
    folder: Option<(Folder, Writer)>,
}

impl Measured {
    /// Begins the record, and the folder below `out` if there is to be one.
    pub fn begin(asked: &Asked, out: Option<&Path>) -> anyhow::Result<Measured> {
        let now = OffsetDateTime::now_utc();
        let started_at = now.format(&Rfc3339)?;
        let revision = match out {
            Some(_) => revision(Path::new(".")),
            None => "none".to_owned(),
        };
        let folder = match out {
            Some(out) => {
                let folder = Folder::create(out, NAME, now, &revision)?;
                let started_ms = (now.unix_timestamp_nanos() / 1_000_000) as u64;
                let writer = Writer::open(folder.path(), &[NAME.to_owned()], started_ms, &started_at)?;
                Some((folder, writer))
            }
            None => None,
        };
        let begun = Instant::now();
        let mut measured = Measured {
            host: Host::start(0, 1),
            meter: HiccupMeter::start(begun).context("starting the host meter")?,
            collector: Collector::new(vec![NAME.to_owned()], 1),
            begun,
            flushed: Instant::now(),
            events: Vec::new(),
            folder,
        };
        let header = header(asked, started_at, revision);
        measured.emit(0, EventKind::RunStarted(Box::new(header)))?;
        measured.emit(
            0,
            EventKind::PhaseStarted {
                phase: NAME.to_owned(),
            },
        )?;
        Ok(measured)
    }

    /// Takes in what a generator thread reports.
    pub fn see(&mut self, slice: Slice) {
        self.collector.add(slice);
    }

    /// What is done at regular times; microseconds since the begin.
    pub fn beat(&mut self) -> anyhow::Result<u64> {
        let now_us = self.begun.elapsed().as_micros() as u64;
        self.host.look(now_us, Some(0));
        self.write_rows(Some(now_us))?;
        if let Some((_, writer)) = &mut self.folder
            && self.flushed.elapsed() >= FLUSH
        {
            self.flushed = Instant::now();
            writer.flush()?;
        }
        Ok(now_us)
    }

    /// To be called before the generator's threads are gone, and their accounts with them.
    pub fn look(&mut self) {
        let now_us = self.begun.elapsed().as_micros() as u64;
        self.host.look_now(now_us, Some(0));
        for oversleep in self.meter.oversleeps().try_iter() {
            self.host.oversleep(Some(0), &oversleep.samples);
        }
    }

    /// The record and the exit code, once nothing more comes. `interrupted` is the signal that ended it early.
    pub fn end(
        &mut self,
        asked: &Asked,
        outcome: &Outcome,
        interrupted: Option<(&'static str, Exit)>,
    ) -> anyhow::Result<(RunRecord, Exit)> {
        self.write_rows(None)?;
        let (mode, totals) = (mode(asked), &outcome.totals);
        let length_us = match interrupted {
            Some(_) => outcome.elapsed_us.min(asked.length_us()),
            None => asked.length_us(),
        };
        let mut seen = self.host.phase(0).record();
        let inputs = validity::Inputs {
            load: NAME,
            mode,
            totals,
            wake_late: None,
            oversleep: self.host.phase(0).oversleep(),
            host: &seen,
        };
        let doubts = validity::doubts(&inputs);
        // Numbers are all that is asked for here: whatever spoils some of them spoils the run.
        let mut spoils = validity::spoils(&doubts);
        let mut doubts = validity::texts(doubts);
        let error = validity::latency_error(&inputs).map(|error| (NAME.to_owned(), error));
        seen.error = error.into_iter().collect();
        let suspended = validity::suspended(self.host.suspended_us());
        let no_data = no_data(totals, &asked.shot.target.addr, interrupted.is_some());
        for text in suspended.into_iter().chain(no_data) {
            spoils = Some(Spoils::Everything);
            doubts.push(text);
        }
        if let Some((signal, _)) = interrupted {
            self.emit(
                length_us,
                EventKind::Interrupted {
                    signal: signal.to_owned(),
                },
            )?;
        }
        let ended = EventKind::PhaseEnded {
            phase: NAME.to_owned(),
            complete: interrupted.is_none(),
        };
        self.emit(length_us, ended)?;
        let users = asked
            .shot
            .rate_per_s
            .is_none()
            .then_some(asked.shot.connections as u32);
        let mut load = load_record(totals, mode, asked.shot.rate_per_s, users, length_us);
        load.invalid.clone_from(&doubts);
        load.spoils = spoils;
        let result = EventKind::PhaseResult {
            phase: NAME.to_owned(),
            load: [(NAME.to_owned(), load)].into(),
            services: [].into(),
            invalid: doubts.clone(),
        };
        let end_us = outcome.elapsed_us.max(length_us);
        self.emit(end_us, result)?;
        let generator = EventKind::Generator {
            result: Box::new(GeneratorRecord {
                suspended_us: self.host.suspended_us(),
                phases: [(NAME.to_owned(), seen)].into(),
                ..generator(asked, outcome, &doubts)
            }),
        };
        self.emit(end_us, generator)?;
        let (reasons, exit) = sum_up(doubts, interrupted);
        let ended = EventKind::RunEnded {
            verdict: if reasons.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Invalid
            },
            reasons,
            exit_code: exit.code(),
        };
        self.emit(end_us, ended)?;
        let record = replay::record(&self.events)?;
        if let Some((_, writer)) = &mut self.folder {
            writer.flush()?;
            writer.run(&record)?;
        }
        Ok((record, exit))
    }

    /// Writes the report into the folder, if there is one; the folder.
    pub fn report(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some((folder, _)) = &self.folder else {
            return Ok(None);
        };
        let recording = record_files::read(folder.path())?;
        record_files::write_reports(&recording, folder.path())?;
        Ok(Some(folder.path().to_owned()))
    }

    fn emit(&mut self, at_us: u64, kind: EventKind) -> anyhow::Result<()> {
        let event = Event { at_us, kind };
        if let Some((_, writer)) = &mut self.folder {
            writer.event(&event)?;
        }
        self.events.push(event);
        Ok(())
    }

    fn write_rows(&mut self, now_us: Option<u64>) -> anyhow::Result<()> {
        let ready = self.collector.take(now_us);
        let Some((_, writer)) = &mut self.folder else {
            return Ok(());
        };
        for row in ready.rows {
            writer.row(&SeriesRow::Load(row))?;
        }
        for second in ready.intervals {
            let histograms = [
                (hlog::Kind::Response, &second.totals.response),
                (hlog::Kind::Service, &second.totals.service),
            ];
            for (kind, histogram) in histograms {
                writer.interval(NAME, kind, second.start_us, second.end_us, histogram)?;
            }
        }
        Ok(())
    }
}

fn mode(asked: &Asked) -> LoadMode {
    match asked.shot.rate_per_s {
        Some(_) => LoadMode::Open,
        None => LoadMode::Closed,
    }
}

fn header(asked: &Asked, started_at: String, revision: String) -> RunHeader {
    RunHeader {
        squall: env!("CARGO_PKG_VERSION").to_owned(),
        scenario: NAME.to_owned(),
        about: asked.url.clone(),
        command: asked.command.clone(),
        seed: asked.shot.seed.value(),
        started_at,
        revision,
        machine: machine::describe(),
        loads: vec![NAME.to_owned()],
        phases: vec![PlannedPhase {
            name: NAME.to_owned(),
            length_us: asked.length_us(),
            measure: true,
            baseline: false,
            target_rate: [(NAME.to_owned(), asked.shot.rate_per_s)].into(),
        }],
        ..RunHeader::default()
    }
}

fn generator(asked: &Asked, outcome: &Outcome, doubts: &[String]) -> GeneratorRecord {
    let placement = match &asked.shot.cpus {
        Some(cpus) => format!("generator on processors {cpus:?}"),
        None => "generator not pinned".to_owned(),
    };
    GeneratorRecord {
        cpu_us: outcome.usage.cpu_us,
        threads: asked.shot.threads as u32,
        placement,
        schedule_lag: Distribution::of(&outcome.totals.lag),
        verdict: Some(if doubts.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Invalid
        }),
        ..GeneratorRecord::default()
    }
}

/// Why there is nothing to look at; nothing where there is.
fn no_data(totals: &Totals, address: &Address, interrupted: bool) -> Option<String> {
    if totals.completed == 0 {
        return (!interrupted).then(|| "no data: no request ended".to_owned());
    }
    let count = human::count(totals.completed);
    (totals.failed == totals.completed).then(|| match totals.errors.keys().collect::<Vec<_>>().as_slice() {
        [ErrorKind::ConnectRefused] => {
            format!("no data: all {count} requests failed: nothing listens at {address}")
        }
        [kind] => format!("no data: all {count} requests failed with {kind}"),
        _ => format!("no data: all {count} requests failed"),
    })
}

/// All reasons, the gravest first, and the exit code they amount to.
fn sum_up(doubts: Vec<String>, interrupted: Option<(&'static str, Exit)>) -> (Vec<String>, Exit) {
    let signal = interrupted
        .map(|(signal, _)| format!("interrupted by {signal}: what was measured until then is shown"));
    let exit = match interrupted {
        Some((_, exit)) => exit,
        None if doubts.is_empty() => Exit::Pass,
        None => Exit::Invalid,
    };
    (signal.into_iter().chain(doubts).collect(), exit)
}
