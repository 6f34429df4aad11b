//! The phases: pushed to the generator, followed step by step, each fault injected and healed when its time comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, select, unbounded};
use squall_load::host::HiccupMeter;
use squall_load::{Arrivals, Generator, PhaseSpec, Report};
use squall_model::event::EventKind;

use super::beat::Beat;
use super::faults::Running;
use super::fleet::Fleet;
use super::supervisor::{Supervisor, describe};
use super::timeline::{Agenda, Step};
use super::{Stop, setup};
use crate::guard::GuardHandle;
use crate::measure::admin::Poller;
use crate::measure::collector::ROW_US;
use crate::measure::recovery::History;
use crate::measure::sampler::Sampler;
use crate::network::{NetworkError, within};

/// So shortly before a step nothing else is begun, so that it is made in time.
const NEAR: Duration = Duration::from_millis(3);

/// The longest that only steps are taken.
const STEPS_ONLY: Duration = Duration::from_millis(10);

/// So long before a fault is injected it may look at what it will change.
const AHEAD: Duration = Duration::from_millis(25);

/// The last of a wait for a step, in which the loop does not sleep.
const AWAKE: Duration = Duration::from_micros(80);

/// How often a run that waits for another looks whether it is to end.
const MEETING: Duration = Duration::from_millis(20);

/// From the push of the phases to the begin of the first.
const LEAD: Duration = Duration::from_millis(20);

impl Supervisor<'_> {
    /// Runs all phases.
    pub(super) fn drive(
        &mut self,
        fleet: &Fleet,
        guard: &Arc<GuardHandle>,
        poller: &Poller,
        host: &HiccupMeter,
        sampler: &Sampler,
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
        let loads = setup::loads(self.plan, fleet, &self.isolation)?;
        let mut generator = None;
        if !loads.is_empty() {
            let place = self.isolation.generator();
            let started = within(place.as_ref(), || Generator::start(loads, &options));
            generator = Some(
                started
                    .map_err(NetworkError::entering)
                    .map_err(describe)?
                    .map_err(describe)?,
            );
        }
        drop(options);
        let Some(first_us) = self.first_us(stop)? else {
            generator.map(Generator::abort);
            return Ok(());
        };
        self.push_phases(generator.as_mut(), first_us).map_err(describe)?;
        let quorum = self.plan.loads.len() * threads;
        self.follow(
            &Sources {
                fleet,
                guard,
                poller,
                host,
                sampler,
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
        if self.cut_short() {
            self.restarts.retire();
        }
        self.heal_all();
        Ok(())
    }

    /// When the first phase begins: soon, or when that of another run does. Nothing if the run was cut short meanwhile.
    fn first_us(&mut self, stop: &Stop) -> Result<Option<u64>, String> {
        let Some(rendezvous) = self.rendezvous.clone() else {
            return Ok(Some(self.now_us() + LEAD.as_micros() as u64));
        };
        rendezvous.arrive();
        loop {
            self.heed(stop);
            if self.cut_short() {
                return Ok(None);
            }
            if let Some(begin) = rendezvous.begin(MEETING).map_err(describe)? {
                let from_zero = begin.saturating_duration_since(self.zero);
                return Ok(Some(from_zero.as_micros() as u64));
            }
        }
    }

    pub(super) fn push_phases(
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
                let asks = self.plan.loads.iter().zip(&phase.arrivals);
                // Steps are asked for by their journey's users.
                let own = asks.map(|(load, arrivals)| {
                    if load.is_step() {
                        Arrivals::None
                    } else {
                        arrivals.clone()
                    }
                });
                let arrivals = own.collect();
                generator.push_phase(PhaseSpec {
                    index: index as u32,
                    draw: phase.draw,
                    start_us,
                    end_us: Some(end_us),
                    arrivals,
                })?;
            }
            start_us = end_us;
        }
        let baseline = self.plan.phases.iter().position(|phase| phase.baseline);
        // Nobody asks for rows where no fault comes.
        let baseline = baseline.filter(|_| !self.plan.faults.is_empty());
        let baseline = baseline.map(|index| self.bounds[index]);
        let histories = self.plan.loads.iter().map(|_| History::new(baseline));
        self.histories = histories.collect();
        Ok(())
    }

    /// The loop: until the last phase is over and everything in it has ended, or the run is cut short.
    pub(super) fn follow(&mut self, from: &Sources<'_>, first_us: u64, quorum: usize, stop: &Stop) {
        // Not before: what is started by this thread would inherit it.
        squall_load::slice::run_in_time();
        let mut agenda = Agenda::new(self.plan, first_us);
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
            self.take_steps(&mut agenda, from);
            self.beat(&mut beat, from.fleet, from.sampler, quorum);
            self.prepare_faults_until(&agenda, self.now_us() + AHEAD.as_micros() as u64);
            let settled = self.settled.iter().all(|count| *count >= quorum);
            let is_over = agenda.next_us().is_none() && !self.restarts.is_starting_any();
            if is_over && (settled || self.now_us() > give_up_us) {
                return;
            }
            let now = self.now_us();
            let near = agenda.next_us().map(|at_us| at_us.saturating_sub(now));
            let near = near
                .map_or(Duration::MAX, Duration::from_micros)
                .saturating_sub(NEAR / 2);
            let row = Duration::from_micros(ROW_US - now % ROW_US);
            let look = self.next_look().unwrap_or(Duration::MAX);
            self.wait(from, near.min(row).min(look));
        }
    }

    /// Takes the steps that are due, and those that are near, each at its moment, with nothing else in between but looks at
    /// what awaits a receipt; not for long, so that where steps follow each other closely the rest has its turn as well.
    fn take_steps(&mut self, agenda: &mut Agenda, from: &Sources<'_>) {
        let began = Instant::now();
        while began.elapsed() < STEPS_ONLY {
            self.poll_faults();
            self.hold_as_long(agenda);
            if let Some((at_us, step)) = agenda.take_due(self.now_us()) {
                self.take_step(at_us, step, from);
                continue;
            }
            let near = NEAR.as_micros() as u64;
            let Some(left) = agenda
                .next_us()
                .map(|at_us| at_us.saturating_sub(self.now_us()))
                .filter(|left| *left <= near)
            else {
                return;
            };
            self.prepare_faults_until(agenda, self.now_us() + near);
            let left = Duration::from_micros(left);
            wait_precisely(self.next_look().map_or(left, |look| look.min(left)));
        }
    }

    /// Takes one step, and asks for a look at the services beside it.
    fn take_step(&mut self, at_us: u64, step: Step, from: &Sources<'_>) {
        match step {
            // What was used until now belongs to the phase that ends.
            Step::BeginPhase(_) | Step::EndPhase(_) => {
                self.sample(from.fleet, from.sampler, at_us);
                self.step(at_us, step);
            }
            // The phase stays the same, and the step must not wait.
            Step::Inject(_) | Step::Heal(_) => {
                self.step(at_us, step);
                if from.sampler.keeps_up() {
                    self.sample(from.fleet, from.sampler, at_us);
                }
            }
        }
    }

    /// A fault that was late to take hold holds as long as it was to, counted from there. One that ends with a phase ends with
    /// it all the same.
    fn hold_as_long(&mut self, agenda: &mut Agenda) {
        for fault in 0..self.faults.len() {
            let Some((onset, length)) = self.faults[fault].take_onset() else {
                continue;
            };
            let onset_us = onset.saturating_duration_since(self.zero).as_micros() as u64;
            let ends_with_phase = |heal_us| self.bounds.iter().any(|(_, end)| *end == heal_us);
            let heal_us = agenda.heal_us(fault);
            if heal_us.is_some_and(|heal_us| !ends_with_phase(heal_us)) {
                agenda.heal_at(fault, onset_us + length.as_micros() as u64);
            }
        }
    }

    /// Has the faults that are injected until then look at what they will change.
    fn prepare_faults_until(&mut self, agenda: &Agenda, until_us: u64) {
        for fault in agenda.injected_until(until_us) {
            // One that still holds, or is not known to be over, has its look when its turn comes.
            if self.faults[fault].looks_again_in().is_none() && self.faults[fault].holds().is_none() {
                self.faults[fault].prepare();
            }
        }
    }

    /// How soon the first receipt is to be looked for again.
    fn next_look(&self) -> Option<Duration> {
        self.faults.iter().filter_map(Running::looks_again_in).min()
    }

    pub(super) fn wait(&mut self, from: &Sources<'_>, at_most: Duration) {
        select! {
            recv(from.reports) -> report => match report {
                Ok(report) => self.take_report(report),
                // The generator is gone; its end says why.
                Err(_) => std::thread::park_timeout(at_most),
            },
            recv(from.guard.events()) -> event => match event {
                Ok(event) => self.take_exit(from, &event),
                // Nobody would hear of a service that dies from here on.
                Err(_) => self.fail("what listens to the guard process has failed".to_owned()),
            },
            recv(self.restarts.told()) -> started => {
                if let Ok(started) = started {
                    self.take_started(started);
                }
            }
            default(at_most) => {}
        }
    }

    pub(super) fn step(&mut self, at_us: u64, step: Step) {
        match step {
            Step::BeginPhase(index) => {
                self.host.look_now(at_us, self.current);
                self.current = Some(index);
                self.emit_at(
                    at_us,
                    EventKind::PhaseStarted {
                        phase: self.plan.phases[index].name.clone(),
                    },
                );
            }
            Step::EndPhase(index) => {
                self.host.look_now(at_us, self.current);
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
                let events = self.faults[index].inject(&mut self.stack);
                let injected = |event: &EventKind| matches!(event, EventKind::FaultInjected { .. });
                if events.iter().any(injected) {
                    self.collector.open_window(index, self.now_us());
                }
                for event in events {
                    self.emit(event);
                }
            }
            Step::Heal(index) => self.heal(index),
        }
    }

    pub(super) fn heal(&mut self, index: usize) {
        let events = self.faults[index].heal(&mut self.stack);
        self.collector.close_window(index, self.now_us());
        for event in events {
            self.emit(event);
        }
    }

    pub(super) fn heal_all(&mut self) {
        for index in 0..self.faults.len() {
            if self.faults[index].holds().is_some() {
                self.heal(index);
            }
        }
        self.poll_faults();
    }

    pub(super) fn poll_faults(&mut self) {
        let now_us = self.now_us();
        self.edges.look(now_us);
        for index in 0..self.faults.len() {
            if let Some(event) = self.faults[index].poll() {
                self.emit(event);
            }
        }
    }

    /// The run ends before its time.
    pub(super) fn cut_phase(&mut self) {
        let now = self.now_us();
        self.host.look_now(now, self.current);
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
}

/// Waits for so long and, with a processor to itself, not much longer: the last of it awake, since waking takes the kernel
/// some tens of microseconds.
fn wait_precisely(time: Duration) {
    let until = Instant::now() + time;
    if let Some(asleep) = time.checked_sub(AWAKE) {
        std::thread::park_timeout(asleep);
    }
    while time <= NEAR && Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Where the loop hears from.
pub(super) struct Sources<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) guard: &'a Arc<GuardHandle>,
    pub(super) poller: &'a Poller,
    pub(super) host: &'a HiccupMeter,
    pub(super) sampler: &'a Sampler,
    pub(super) reports: &'a Receiver<Report>,
}
