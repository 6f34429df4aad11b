//! The supervisor: one thread, one clock, one timeline.
//!
//! It starts the services, pushes the phases to the generator, injects and heals faults when their time comes, takes in
//! what is reported and writes it down. It never waits for longer than to the next step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select, unbounded};
use squall_load::host::HiccupMeter;
use squall_load::{Generator, PhaseSpec, Report, affinity};
use squall_model::event::{Event, EventKind};
use squall_model::exit::Exit;
use squall_model::hlog;
use squall_model::record::{GeneratorRecord, Pauses};
use squall_model::series::SeriesRow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::checking::Checking;
use super::faults::Running;
use super::fleet::Fleet;
use super::timeline::{Step, steps};
use super::{Options, Outcome, RunError, Stop, setup};
use crate::fault::{SpawnNeeds, TargetProcess};
use crate::guard::{self, GuardHandle};
use crate::judge::Incidents;
use crate::measure::admin::{self, Poller, Told};
use crate::measure::collector::Collector;
use crate::measure::resources;
use crate::measure::services::Services;
use crate::observer::{Live, LiveLoad, Observer};
use crate::plan::{Plan, Start};
use crate::record::{Folder, RecordError, Writer, revision};
use crate::undo::{Stack, Undo};

/// How often resources are looked at.
const SAMPLE: Duration = Duration::from_millis(100);

/// How often the observer is told how things stand.
const LIVE: Duration = Duration::from_millis(200);

/// How often files are handed to the kernel.
const FLUSH: Duration = Duration::from_secs(1);

/// The longest wait of the loop, and while a receipt is awaited.
const IDLE: Duration = Duration::from_millis(50);
const AWAITING: Duration = Duration::from_millis(5);

/// From the push of the phases to the begin of the first.
const LEAD: Duration = Duration::from_millis(20);

/// Events of services and violations that become events, each; all are counted.
const TOLD_MAX: usize = 1_000;

/// How often faults are shown among the last lines of a service that died.
const LAST_LINES: usize = 20;

pub(super) struct Supervisor<'a> {
    pub(super) plan: &'a Plan,
    observer: &'a mut dyn Observer,
    zero: Instant,
    pub(super) folder: Folder,
    pub(super) writer: Writer,
    pub(super) events: Vec<Event>,
    stack: Stack,
    pub(super) collector: Collector,
    pub(super) services: Services,
    pub(super) faults: Vec<Running>,
    pub(super) told: BTreeMap<String, BTreeMap<String, f64>>,
    pub(super) incidents: Incidents,
    pub(super) checking: Checking,
    /// Per checker: its invariant in the plan.
    pub(super) checked: Vec<usize>,
    /// Per phase: begin and end so far.
    pub(super) bounds: Vec<(u64, u64)>,
    current: Option<usize>,
    /// Per phase: how many loads, times threads, have ended it.
    settled: Vec<usize>,
    told_events: usize,
    violations: usize,
    pub(super) generator: GeneratorRecord,
    generator_cpus: Option<Vec<usize>>,
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
    let run_id = format!("{}-{started_ms}-{}", plan.name, std::process::id());
    let stack = Stack::create(folder.path(), &run_id)?;
    let (checked, checkers) = setup::checkers(plan);
    let checking = Checking::start(checkers).map_err(|source| RunError::System {
        doing: "starting the checking thread",
        source,
    })?;
    let tells = plan
        .services
        .iter()
        .map(|service| matches!(service.start, Start::Bundled { .. }))
        .collect();
    let service_names = plan.services.iter().map(|service| service.name.clone()).collect();
    let mut supervisor = Supervisor {
        plan,
        observer,
        zero,
        folder,
        writer,
        events: Vec::new(),
        stack,
        collector: Collector::new(names, plan.phases.len()),
        services: Services::new(service_names, tells, plan.phases.len()),
        faults: Vec::new(),
        told: BTreeMap::new(),
        incidents: Incidents::default(),
        checking,
        checked,
        bounds: vec![(0, 0); plan.phases.len()],
        current: None,
        settled: vec![0; plan.phases.len()],
        told_events: 0,
        violations: 0,
        generator: GeneratorRecord::default(),
        generator_cpus: None,
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
        let event = Event { at_us, kind };
        let written = self.writer.event(&event);
        self.check_written(written);
        self.observer.event(&event);
        self.events.push(event);
    }

    /// Squall itself failed; the first failure counts, the others follow from it.
    fn fail(&mut self, text: String) {
        self.incidents.failed.get_or_insert(text);
    }

    fn check_written(&mut self, written: Result<(), RecordError>) {
        if let Err(e) = written {
            self.fail(e.to_string());
        }
    }

    /// Whether the run is to end before its time.
    fn cut_short(&self) -> bool {
        let incidents = &self.incidents;
        incidents.interrupted.is_some() || incidents.failed.is_some() || !incidents.services.is_empty()
    }

    fn heed(&mut self, stop: &Stop) {
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
    fn with_guard(
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
        let mut fleet = Fleet::new();
        let ran = self.with_services(&mut fleet, &guard, options, zero_us, stop);
        self.stop_services(&mut fleet);
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

    /// Decides where the generator and the services run; services inherit it from the guard.
    fn place(&mut self, guard: &GuardHandle) -> Result<(), String> {
        let cpus = affinity::inherited_cpus().map_err(|e| format!("asking for the processors: {e}"))?;
        let threads = self
            .plan
            .generator_threads
            .unwrap_or_else(|| affinity::default_threads(cpus.len()));
        let placement = affinity::plan_cpus(&cpus, threads);
        if let Some(cpus) = &placement.services {
            let pid = guard.process().pid.cast_unsigned();
            affinity::pin_process(pid, cpus)
                .map_err(|e| format!("keeping the services off the generator: {e}"))?;
        }
        self.generator.threads = threads as u32;
        self.generator.placement = placement.about;
        self.generator_cpus = placement.generator;
        Ok(())
    }

    fn with_services(
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
        self.arm_faults(fleet)?;
        let targets = fleet.members().iter().enumerate();
        let targets = targets
            .filter_map(|(index, member)| member.admin.map(|admin| (index, admin)))
            .collect();
        let poller =
            Poller::start(targets, zero_us).map_err(|e| format!("starting the admin poller: {e}"))?;
        let host = HiccupMeter::start(self.zero).map_err(|e| format!("starting the host meter: {e}"))?;
        let ran = self.drive(fleet, guard, &poller, stop);
        poller.now();
        for told in poller.told().try_iter() {
            self.take_told(told);
        }
        self.sample(fleet);
        if let Some(seen) = host.stop() {
            let total = seen.hiccups.iter().map(|hiccup| hiccup.late_us).sum();
            self.generator.host_pauses = Pauses::of(&seen.oversleep, total);
            self.generator.host_meter_cpu_us = seen.cpu_us;
        }
        ran
    }

    /// What each service's faults need at its start.
    fn prepare_faults(&mut self) -> Result<BTreeMap<String, SpawnNeeds>, String> {
        let mut needs: BTreeMap<String, SpawnNeeds> = BTreeMap::new();
        let mut prepared = BTreeSet::new();
        let faults_folder = self.folder.faults();
        for fault in &self.plan.faults {
            let Some(target) = fault.spec.target() else {
                continue;
            };
            // Faults of one kind on one service share what they need.
            if !prepared.insert((fault.kind, target)) {
                continue;
            }
            let mine = fault
                .spec
                .needs(&faults_folder)
                .map_err(|e| format!("fault {}: {e}", fault.name))?;
            let all = needs.entry(target.to_owned()).or_default();
            all.merge(mine)
                .map_err(|e| format!("fault {}: {e}", fault.name))?;
        }
        Ok(needs)
    }

    fn arm_faults(&mut self, fleet: &Fleet) -> Result<(), String> {
        let faults_folder = self.folder.faults();
        for planned in &self.plan.faults {
            let process = planned
                .spec
                .target()
                .and_then(|target| fleet.get(target))
                .and_then(|m| m.process.as_ref());
            let target = process.map(|process| TargetProcess {
                service: process.name().to_owned(),
                pid: process.process().pid.cast_unsigned(),
            });
            let armed = planned.spec.arm(&faults_folder, target.as_ref());
            let fault = armed.map_err(|e| format!("fault {}: {e}", planned.name))?;
            let undo = planned.spec.undo(&faults_folder);
            self.faults.push(Running::new(planned.name.clone(), fault, undo));
        }
        Ok(())
    }

    /// Starts the services; false if one did not get up, or the run was interrupted meanwhile.
    fn start_services(
        &mut self,
        fleet: &mut Fleet,
        guard: &Arc<GuardHandle>,
        options: &Options,
        mut needs: BTreeMap<String, SpawnNeeds>,
        stop: &Stop,
    ) -> bool {
        for planned in &self.plan.services {
            let needs = needs.remove(&planned.name).unwrap_or_default();
            let folder = self.folder.clone();
            let started = std::thread::scope(|scope| {
                let starting = scope.spawn(|| {
                    fleet
                        .start(planned, guard, &options.catalogue, &folder, &needs)
                        .map(|_| ())
                });
                // An interruption must not wait for a service that never gets ready: without the guard, nothing starts.
                while !starting.is_finished() {
                    self.heed(stop);
                    if self.incidents.interrupted.is_some() {
                        drop(guard.shutdown());
                    }
                    std::thread::park_timeout(AWAITING);
                }
                starting.join()
            });
            if self.incidents.interrupted.is_some() {
                return false;
            }
            match started {
                Ok(Ok(())) => {}
                Ok(Err(e)) => {
                    self.incidents.services.push(e.to_string());
                    return false;
                }
                Err(_) => {
                    self.fail(format!("starting service {} panicked", planned.name));
                    return false;
                }
            }
            let Some(member) = fleet.get(&planned.name) else {
                continue;
            };
            let address = member.address.map(|address| address.to_string());
            if let Some(process) = &member.process {
                let pid = process.process().pid.cast_unsigned();
                self.emit(EventKind::ServiceStarted {
                    service: planned.name.clone(),
                    pid,
                });
            }
            self.emit(EventKind::ServiceReady {
                service: planned.name.clone(),
                address,
            });
        }
        true
    }

    fn stop_services(&mut self, fleet: &mut Fleet) {
        for (service, went) in fleet.stop() {
            match went {
                Ok(report) => {
                    self.emit(EventKind::ServiceStopped {
                        service,
                        status: report.status.to_string(),
                    });
                }
                Err(e) => self.incidents.not_undone.push(e.to_string()),
            }
        }
    }

    /// Runs all phases.
    fn drive(
        &mut self,
        fleet: &Fleet,
        guard: &Arc<GuardHandle>,
        poller: &Poller,
        stop: &Stop,
    ) -> Result<(), String> {
        let (send, reports) = unbounded();
        let threads = self.generator.threads as usize;
        let options = squall_load::Options {
            threads,
            cpus: self.generator_cpus.clone(),
            epoch: self.zero,
            reports: send,
        };
        let loads = setup::loads(self.plan, fleet)?;
        let mut generator = None;
        if !loads.is_empty() {
            generator = Some(Generator::start(loads, &options).map_err(describe)?);
        }
        drop(options);
        let first_us = self.now_us() + LEAD.as_micros() as u64;
        self.push_phases(generator.as_mut(), first_us).map_err(describe)?;
        let quorum = self.plan.loads.len() * threads;
        self.follow(
            &Sources {
                fleet,
                guard,
                poller,
                reports: &reports,
            },
            first_us,
            quorum,
            stop,
        );
        let usage = match (generator, self.cut_short()) {
            (Some(generator), true) => Some(generator.abort()),
            (Some(generator), false) => Some(generator.finish()),
            (None, _) => None,
        };
        for report in reports.try_iter() {
            self.take_report(report);
        }
        if let Some(usage) = usage {
            self.generator.cpu_us = usage.cpu_us;
            if usage.reports_lost > 0 {
                return Err(format!(
                    "{} reports of the generator were lost",
                    usage.reports_lost
                ));
            }
        }
        self.heal_all();
        Ok(())
    }

    fn push_phases(
        &mut self,
        generator: Option<&mut Generator>,
        first_us: u64,
    ) -> Result<(), squall_load::LoadError> {
        let mut start_us = first_us;
        let mut generator = generator;
        for (index, phase) in self.plan.phases.iter().enumerate() {
            let end_us = start_us + phase.length.as_micros() as u64;
            self.bounds[index] = (start_us, end_us);
            if let Some(generator) = generator.as_deref_mut() {
                let arrivals = phase.arrivals.clone();
                generator.push_phase(PhaseSpec {
                    index: index as u32,
                    start_us,
                    end_us: Some(end_us),
                    arrivals,
                })?;
            }
            start_us = end_us;
        }
        Ok(())
    }

    /// The loop: until the last phase is over and everything in it has ended, or the run is cut short.
    fn follow(&mut self, from: &Sources<'_>, first_us: u64, quorum: usize, stop: &Stop) {
        let steps = steps(self.plan);
        let mut due = steps
            .iter()
            .map(|(at, step)| (first_us + at.as_micros() as u64, *step))
            .peekable();
        let longest = self
            .plan
            .loads
            .iter()
            .map(|load| load.timeout)
            .max()
            .unwrap_or_default();
        let last_us = self.bounds.last().map_or(first_us, |(_, end)| *end);
        let give_up_us = last_us + 2 * longest.as_micros() as u64 + 1_000_000;
        let mut beat = Beat::default();
        loop {
            self.heed(stop);
            self.hear(from);
            if self.cut_short() {
                return self.cut_phase();
            }
            while let Some((at_us, step)) = due.next_if(|(at_us, _)| *at_us <= self.now_us()) {
                self.sample(from.fleet);
                self.step(at_us, step);
            }
            self.poll_faults();
            self.beat(&mut beat, from.fleet);
            let settled = self.settled.iter().all(|count| *count >= quorum);
            if due.peek().is_none() && (settled || self.now_us() > give_up_us) {
                return;
            }
            let next = due.peek().map_or(IDLE, |(at_us, _)| {
                Duration::from_micros(at_us.saturating_sub(self.now_us()))
            });
            let wait = if self.faults.iter().any(Running::awaits) {
                AWAITING
            } else {
                IDLE
            };
            self.wait(from, next.min(wait));
        }
    }

    fn wait(&mut self, from: &Sources<'_>, at_most: Duration) {
        select! {
            recv(from.reports) -> report => match report {
                Ok(report) => self.take_report(report),
                // The generator is gone; its end says why.
                Err(_) => std::thread::park_timeout(at_most),
            },
            recv(from.guard.events()) -> event => {
                if let Ok(event) = event {
                    self.take_exit(from.fleet, &event);
                }
            }
            default(at_most) => {}
        }
    }

    /// Takes in all that has come.
    fn hear(&mut self, from: &Sources<'_>) {
        for report in from.reports.try_iter() {
            self.take_report(report);
        }
        for event in from.guard.events().try_iter() {
            self.take_exit(from.fleet, &event);
        }
        for told in from.poller.told().try_iter() {
            self.take_told(told);
        }
        let found: Vec<_> = self.checking.found().try_iter().collect();
        for (checker, violation) in found {
            self.take_violation(checker, violation.at_us, violation.text);
        }
    }

    fn take_report(&mut self, report: Report) {
        match report {
            Report::Slice(slice) => self.collector.add(&slice),
            Report::Values(batch) => self.checking.check(batch),
            Report::PhaseEnded { phase, .. } => {
                if let Some(settled) = self.settled.get_mut(phase as usize) {
                    *settled += 1;
                }
            }
            Report::ThreadFailed { thread, error } => {
                self.fail(format!("generator thread {thread} failed: {error}"))
            }
        }
    }

    fn take_exit(&mut self, fleet: &Fleet, event: &guard::Event) {
        let (process, status) = match event {
            guard::Event::Exited { process, status } => (process, status),
            guard::Event::Lost(rescue) => {
                let killed = rescue.killed.len();
                return self.fail(format!(
                    "the guard process died; squall ended the {killed} processes that it left"
                ));
            }
        };
        let of =
            |member: &&super::fleet::Member| member.process.as_ref().is_some_and(|p| p.process() == *process);
        let Some(member) = fleet.members().iter().find(of) else {
            return;
        };
        let last_lines = member
            .process
            .as_ref()
            .and_then(|process| process.last_lines(LAST_LINES).ok())
            .unwrap_or_default();
        let tail = match last_lines.as_slice() {
            [] => "; it printed nothing".to_owned(),
            lines => format!("; its last lines:\n    {}", lines.join("\n    ")),
        };
        self.incidents.services.push(format!(
            "service {} died unasked with {status}{tail}",
            member.name
        ));
        self.emit(EventKind::ServiceDied {
            service: member.name.clone(),
            status: status.to_string(),
            last_lines,
        });
    }

    fn take_told(&mut self, told: Told) {
        let name = self.plan.services[told.service].name.clone();
        if told.pauses_lost > 0 {
            self.emit(EventKind::Warning {
                text: format!(
                    "service {name} had more pauses than it keeps: {} are missing",
                    told.pauses_lost
                ),
            });
        }
        for pause in told.pauses {
            let phase = self.phase_at(pause.at_us);
            self.services.pause(told.service, phase, pause);
        }
        for event in told.events {
            self.told_events += 1;
            if self.told_events <= TOLD_MAX {
                let kind = EventKind::ServiceEvent {
                    service: name.clone(),
                    kind: event.kind,
                    text: event.text,
                };
                self.emit_at(event.at_us, kind);
            }
        }
        self.told.insert(name, told.metrics);
    }

    pub(super) fn take_violation(&mut self, checker: usize, at_us: u64, text: String) {
        self.violations += 1;
        if self.violations <= TOLD_MAX {
            let planned = &self.plan.invariants[self.checked[checker]];
            self.emit_at(
                at_us,
                EventKind::InvariantViolated {
                    invariant: planned.path(),
                    text,
                },
            );
        }
    }

    /// The phase that a moment lies in.
    fn phase_at(&self, at_us: u64) -> Option<usize> {
        self.bounds
            .iter()
            .position(|(start, end)| (*start..*end).contains(&at_us))
    }

    fn step(&mut self, at_us: u64, step: Step) {
        match step {
            Step::BeginPhase(index) => {
                self.current = Some(index);
                self.emit_at(
                    at_us,
                    EventKind::PhaseStarted {
                        phase: self.plan.phases[index].name.clone(),
                    },
                );
            }
            Step::EndPhase(index) => {
                self.current = None;
                let phase = self.plan.phases[index].name.clone();
                self.emit_at(
                    at_us,
                    EventKind::PhaseEnded {
                        phase,
                        complete: true,
                    },
                );
            }
            Step::Inject(index) => {
                let event = self.faults[index].inject(&mut self.stack);
                if matches!(event, EventKind::FaultInjected { .. }) {
                    self.collector.open_window(index, self.now_us());
                }
                self.emit(event);
            }
            Step::Heal(index) => self.heal(index),
        }
    }

    fn heal(&mut self, index: usize) {
        let events = self.faults[index].heal(&mut self.stack);
        self.collector.close_window(index, self.now_us());
        for event in events {
            self.emit(event);
        }
    }

    fn heal_all(&mut self) {
        for index in 0..self.faults.len() {
            if self.faults[index].holds().is_some() {
                self.heal(index);
            }
        }
        self.poll_faults();
    }

    fn poll_faults(&mut self) {
        for index in 0..self.faults.len() {
            if let Some(event) = self.faults[index].poll() {
                self.emit(event);
            }
        }
    }

    /// The run ends before its time.
    fn cut_phase(&mut self) {
        let now = self.now_us();
        if let Some(index) = self.current.take() {
            self.bounds[index].1 = now;
            let phase = self.plan.phases[index].name.clone();
            self.emit_at(
                now,
                EventKind::PhaseEnded {
                    phase,
                    complete: false,
                },
            );
        }
    }

    /// What is done at regular times.
    fn beat(&mut self, beat: &mut Beat, fleet: &Fleet) {
        if beat.sampled.is_due(SAMPLE) {
            self.sample(fleet);
            self.write_rows(Some(self.now_us()));
        }
        if beat.shown.is_due(LIVE) {
            let live = self.live();
            self.observer.live(&live);
        }
        if beat.flushed.is_due(FLUSH) {
            let written = self.writer.flush();
            self.check_written(written);
        }
    }

    fn sample(&mut self, fleet: &Fleet) {
        for (index, member) in fleet.members().iter().enumerate() {
            let Some(process) = &member.process else { continue };
            if let Some(usage) = resources::tree(process.process().pid.cast_unsigned()) {
                let now = self.now_us();
                self.services.usage(index, self.current, now, usage);
            }
        }
    }

    /// Writes down the rows and seconds that are over.
    pub(super) fn write_rows(&mut self, now_us: Option<u64>) {
        let ready = self.collector.take(now_us);
        let mut written = Ok(());
        for row in ready.rows {
            written = written.and(self.writer.row(&SeriesRow::Load(row)));
        }
        for row in self.services.take(now_us) {
            written = written.and(self.writer.row(&SeriesRow::Service(row)));
        }
        for second in ready.intervals {
            let load = &self.plan.loads[second.load].name;
            for (kind, histogram) in [
                (hlog::Kind::Response, &second.totals.response),
                (hlog::Kind::Service, &second.totals.service),
            ] {
                let line = self
                    .writer
                    .interval(load, kind, second.start_us, second.end_us, histogram);
                written = written.and(line);
            }
        }
        self.check_written(written);
    }

    fn live(&self) -> Live {
        let index = self.current.unwrap_or(self.plan.phases.len().saturating_sub(1));
        let (start, end) = self.bounds.get(index).copied().unwrap_or_default();
        let load = |(index, load): (usize, &crate::plan::PlannedLoad)| {
            let (span_us, totals) = self.collector.recent(index, self.now_us());
            LiveLoad {
                name: load.name.clone(),
                rate: if span_us == 0 {
                    0.0
                } else {
                    totals.completed as f64 * 1e6 / span_us as f64
                },
                p99_us: squall_model::histogram::quantile(&totals.response, 0.99),
                errors: if totals.completed == 0 {
                    0.0
                } else {
                    totals.failed as f64 / totals.completed as f64
                },
            }
        };
        let holding = self.plan.faults.iter().zip(&self.faults);
        Live {
            phase: self
                .plan
                .phases
                .get(index)
                .map(|phase| phase.name.clone())
                .unwrap_or_default(),
            index,
            phases: self.plan.phases.len(),
            elapsed_us: self.now_us().saturating_sub(start),
            length_us: end.saturating_sub(start),
            loads: self.plan.loads.iter().enumerate().map(load).collect(),
            faults: holding
                .filter_map(|(planned, one)| Some((planned.name.clone(), one.holds()?)))
                .collect(),
        }
    }
}

/// Where the loop hears from.
struct Sources<'a> {
    fleet: &'a Fleet,
    guard: &'a Arc<GuardHandle>,
    poller: &'a Poller,
    reports: &'a Receiver<Report>,
}

/// When the regular things were last done.
#[derive(Default)]
struct Beat {
    sampled: Last,
    shown: Last,
    flushed: Last,
}

#[derive(Default)]
struct Last(Option<Instant>);

impl Last {
    fn is_due(&mut self, every: Duration) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now.duration_since(last) >= every);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// An error with its causes, in one line.
fn describe(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
