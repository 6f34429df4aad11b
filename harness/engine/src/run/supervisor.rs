//! The supervisor: one thread, one clock, one timeline.
//!
//! It starts the services, pushes the phases to the generator, injects and heals faults when their time comes, takes in
//! what is reported and writes it down. It never waits for longer than to the next step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::Value;
use squall_load::host::HiccupMeter;
use squall_model::event::{Event, EventKind};
use squall_model::exit::Exit;
use squall_model::histogram::{self, Histogram};
use squall_model::record::{EdgeRecord, GeneratorRecord, Pauses, PhaseRecord};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::checking::Checking;
use super::edges::Edges;
use super::faults::Running;
use super::fleet::{Fleet, Member};
use super::isolation::Isolation;
use super::restarts::Restarts;
use super::setup::Watcher;
use super::{Options, Outcome, Rendezvous, RunError, Stop, setup};
use crate::guard::{self, GuardHandle};
use crate::judge::Incidents;
use crate::measure::admin::{self, Endpoint, Poller};
use crate::measure::collector::Collector;
use crate::measure::host::Host;
use crate::measure::recovery::History;
use crate::measure::sampler::{Output, Sampler};
use crate::measure::services::{Services, Sight};
use crate::observer::Observer;
use crate::plan::{Plan, Start};
use crate::record::{Folder, RecordError, Writer, revision};
use crate::undo::{Stack, Undo};

/// Runs that this process has begun.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// A run in progress: what was planned, what came in so far, and what must be undone.
pub(super) struct Supervisor<'a> {
    pub(super) plan: &'a Plan,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) zero: Instant,
    pub(super) folder: Folder,
    pub(super) writer: Writer,
    pub(super) events: Vec<Event>,
    pub(super) stack: Stack,
    pub(super) collector: Collector,
    /// Per load: its rows, by which its recovery from faults is judged. None before the phases are placed in time.
    pub(super) histories: Vec<History>,
    pub(super) services: Services,
    pub(super) faults: Vec<Running>,
    pub(super) edges: Edges,
    pub(super) isolation: Isolation,
    /// What their proxies saw until the load ended.
    pub(super) edge_records: Vec<EdgeRecord>,
    pub(super) restarts: Restarts,
    /// Per service: where it listens, as its readiness was told.
    pub(super) addresses: Vec<Option<String>>,
    pub(super) told: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) incidents: Incidents,
    pub(super) checking: Checking,
    /// Per checker: its invariant in the plan.
    pub(super) checked: Vec<usize>,
    /// Those that look at what services tell of their states.
    pub(super) watchers: Vec<Watcher>,
    /// Per phase: begin and end so far.
    pub(super) bounds: Vec<(u64, u64)>,
    pub(super) current: Option<usize>,
    /// Per phase: how many loads, times threads, have ended it.
    pub(super) settled: Vec<usize>,
    /// Per phase: its numbers as written down last.
    pub(super) results: Vec<Option<PhaseRecord>>,
    pub(super) told_events: usize,
    pub(super) told_changes: usize,
    pub(super) violations: usize,
    /// What the machine does to the generator.
    pub(super) host: Host,
    pub(super) generator: GeneratorRecord,
    pub(super) generator_cpus: Option<Vec<usize>>,
    pub(super) host_lengths: Histogram,
    pub(super) host_total_us: u64,
    /// Where the first phase waits for that of another run.
    pub(super) rendezvous: Option<Arc<Rendezvous>>,
}

/// Runs the plan. Nothing has been started before, and nothing is left afterwards.
pub(super) fn supervise(
    plan: &Plan,
    options: &Options,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, RunError> {
    let zero = Instant::now();
    let zero_us = admin::monotonic_us();
    let started = OffsetDateTime::now_utc();
    let started_at = started.format(&Rfc3339).unwrap_or_default();
    let revision = revision(&plan.base);
    let folder = Folder::create(&options.reports, &plan.name, started, &revision)?;
    let names: Vec<String> = plan.loads.iter().map(|load| load.name.clone()).collect();
    let started_ms = (started.unix_timestamp_nanos() / 1_000_000) as u64;
    let writer = Writer::open(folder.path(), &names, started_ms, &started_at)?;
    // Two runs of one process may begin in the same millisecond, as the arms of a gate do.
    let turn = RUNS.fetch_add(1, Ordering::Relaxed);
    let run_id = format!("{}-{started_ms}-{turn}-{}", plan.name, std::process::id());
    let stack = Stack::create(folder.path(), &run_id)?;
    let (checked, checkers) = setup::checkers(plan);
    let checking = Checking::start(checkers).map_err(|source| RunError::System {
        doing: "starting the checking thread",
        source,
    })?;
    let sights = plan.services.iter().map(|service| match service.start {
        Start::Bundled { .. } => Sight::Bundled,
        Start::Run { .. } => Sight::Program,
        Start::At { .. } => Sight::Elsewhere,
    });
    let sights = sights.collect();
    let service_names = plan.services.iter().map(|service| service.name.clone()).collect();
    let rows_of = setup::row_us(plan);
    let mut supervisor = Supervisor {
        plan,
        observer,
        zero,
        folder,
        writer,
        events: Vec::new(),
        stack,
        collector: Collector::new(names, plan.phases.len()).with_rows_of(rows_of),
        histories: Vec::new(),
        services: Services::new(service_names, sights, plan.phases.len()).with_rows_of(rows_of),
        faults: Vec::new(),
        edges: Edges::default(),
        isolation: Isolation::default(),
        edge_records: Vec::new(),
        restarts: Restarts::new(),
        addresses: Vec::new(),
        told: BTreeMap::new(),
        incidents: Incidents::default(),
        checking,
        checked,
        watchers: setup::watchers(plan),
        bounds: vec![(0, 0); plan.phases.len()],
        current: None,
        settled: vec![0; plan.phases.len()],
        results: vec![None; plan.phases.len()],
        told_events: 0,
        told_changes: 0,
        violations: 0,
        host: Host::start(0, plan.phases.len()),
        generator: GeneratorRecord::default(),
        generator_cpus: None,
        host_lengths: histogram::empty(),
        host_total_us: 0,
        rendezvous: options.rendezvous.clone(),
    };
    let header = setup::header(plan, &options.command, started_at, revision);
    supervisor.emit(EventKind::RunStarted(Box::new(header)));
    let result = supervisor.with_guard(options, &run_id, zero_us, stop);
    if let Err(text) = result {
        supervisor.fail(text);
    }
    Ok(supervisor.conclude())
}

impl Supervisor<'_> {
    /// Microseconds since the run's start.
    pub(super) fn now_us(&self) -> u64 {
        self.zero.elapsed().as_micros() as u64
    }

    /// Writes an event down, now.
    pub(super) fn emit(&mut self, kind: EventKind) {
        let at_us = self.now_us();
        self.emit_at(at_us, kind);
    }

    /// Writes an event down that belongs to another moment.
    pub(super) fn emit_at(&mut self, at_us: u64, kind: EventKind) {
        let event = redacted(Event { at_us, kind }, &self.plan.secrets);
        let written = self.writer.event(&event);
        self.check_written(written);
        self.observer.event(&event);
        self.events.push(event);
    }

    /// Squall itself failed; the first failure counts, the others follow from it.
    pub(super) fn fail(&mut self, text: String) {
        self.incidents.failed.get_or_insert(text);
    }

    pub(super) fn check_written(&mut self, written: Result<(), RecordError>) {
        if let Err(e) = written {
            self.fail(e.to_string());
        }
    }

    /// Whether the run is to end before its time.
    pub(super) fn cut_short(&self) -> bool {
        self.incidents.cut_short()
    }

    pub(super) fn heed(&mut self, stop: &Stop) {
        if self.incidents.interrupted.is_none()
            && let Some(signal) = stop.requested()
        {
            let (name, exit) = if signal == libc::SIGTERM {
                ("SIGTERM", Exit::Terminated)
            } else {
                ("SIGINT (Ctrl-C)", Exit::Interrupted)
            };
            self.incidents.interrupted = Some((name.to_owned(), exit));
            self.emit(EventKind::Interrupted {
                signal: name.to_owned(),
            });
        }
    }

    /// Everything between the guard's start and its end.
    pub(super) fn with_guard(
        &mut self,
        options: &Options,
        run_id: &str,
        zero_us: u64,
        stop: &Stop,
    ) -> Result<(), String> {
        let everything = Undo::KillMarked {
            run_id: run_id.to_owned(),
        };
        let pushed = self
            .stack
            .push("every process of this run", everything)
            .map_err(|e| e.to_string())?;
        let log = self.folder.path().join("logs").join("guard.log");
        let guard = GuardHandle::start(&options.catalogue.program, &["guard"], run_id, &log);
        let guard = Arc::new(guard.map_err(|e| e.to_string())?);
        self.place(&guard)?;
        self.find_toxiproxy(run_id)?;
        self.isolation = Isolation::of(self.plan).map_err(|e| e.to_string())?;
        let mut fleet = Fleet::new(self.isolation.clone());
        let ran = self.with_services(&mut fleet, &guard, options, zero_us, stop);
        self.stop_services(&mut fleet);
        self.close_faults();
        match guard.shutdown() {
            Ok(()) => self.stack.done(pushed),
            Err(e @ guard::GuardError::Left(_)) => self.incidents.not_undone.push(e.to_string()),
            Err(e) => {
                self.stack.done(pushed);
                self.fail(e.to_string());
            }
        }
        for failure in self.stack.unwind() {
            self.incidents.not_undone.push(failure.to_string());
        }
        ran
    }

    pub(super) fn with_services(
        &mut self,
        fleet: &mut Fleet,
        guard: &Arc<GuardHandle>,
        options: &Options,
        zero_us: u64,
        stop: &Stop,
    ) -> Result<(), String> {
        let needs = self.prepare_faults()?;
        if !self.start_services(fleet, guard, options, needs, stop) {
            return Ok(());
        }
        self.restarts.watch(fleet);
        self.arm_faults()?;
        let endpoint = |(service, member): (usize, &Member)| {
            Some(Endpoint {
                service,
                address: member.admin?,
                namespace: self.isolation.namespace(&member.name),
            })
        };
        let endpoints = fleet.members().iter().enumerate().filter_map(endpoint).collect();
        let poller =
            Poller::start(endpoints, zero_us).map_err(|e| format!("starting the admin poller: {e}"))?;
        let host = HiccupMeter::start(self.zero).map_err(|e| format!("starting the host meter: {e}"))?;
        let mut sampler = Sampler::start(outputs(self.plan, fleet), self.zero)
            .map_err(|e| format!("starting the sampler: {e}"))?;
        let ran = self.drive(fleet, guard, &poller, &host, &sampler, stop);
        // Before services are stopped: what connections do then is nothing that the run asked for.
        self.edge_records = self.see_edges();
        self.check_redirects(fleet);
        self.restarts.retire();
        poller.now();
        for told in poller.told().try_iter() {
            self.take_told(told);
        }
        let now_us = self.now_us();
        self.services.watch_host(now_us);
        self.sample(fleet, &sampler, now_us);
        sampler.finish();
        self.take_samples(&sampler);
        self.take_hiccups(&host);
        if let Some(seen) = host.stop() {
            self.generator.host_meter_cpu_us = seen.cpu_us;
        }
        self.generator.host_pauses = Pauses::of(&self.host_lengths, self.host_total_us);
        ran
    }
}

/// The output of the user's programs. Bundled services tell their pauses themselves.
fn outputs(plan: &Plan, fleet: &Fleet) -> Vec<Output> {
    let members = fleet.members().iter().zip(&plan.services).enumerate();
    let programs = members.filter(|(_, (_, planned))| matches!(planned.start, Start::Run { .. }));
    let output = |(service, (member, _)): (usize, (&Member, _))| {
        let process = member.process.as_ref()?;
        Some(Output {
            service,
            log: process.log().to_owned(),
            from: process.log_from(),
        })
    };
    programs.filter_map(output).collect()
}

/// The event without the values of secrets, wherever a text holds one: a service may print what it was given.
fn redacted(event: Event, secrets: &[String]) -> Event {
    if secrets.is_empty() {
        return event;
    }
    let mut tree = serde_json::to_value(&event).expect("an event has only string keys");
    redact(&mut tree, secrets);
    serde_json::from_value(tree).expect("only texts were changed")
}

fn redact(tree: &mut Value, secrets: &[String]) {
    match tree {
        Value::String(text) => {
            for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
                if text.contains(secret.as_str()) {
                    *text = text.replace(secret.as_str(), "[redacted]");
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redact(item, secrets)),
        Value::Object(fields) => fields.values_mut().for_each(|field| redact(field, secrets)),
        _ => {}
    }
}

/// An error with its causes, in one line.
pub(super) fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
