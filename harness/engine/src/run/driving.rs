//! The phases: pushed to the generator, followed step by step, each fault injected and healed when its time comes.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, select, unbounded};
use squall_load::host::HiccupMeter;
use squall_load::{Arrivals, Generator, PhaseSpec, Report};
use squall_model::event::EventKind;

use super::beat::Beat;
use super::faults::Running;
use super::fleet::Fleet;
use super::supervisor::{Supervisor, describe};
use super::timeline::{Step, steps};
use super::{Stop, setup};
use crate::guard::GuardHandle;
use crate::measure::admin::Poller;
use crate::measure::collector::ROW_US;
use crate::measure::recovery::History;
use crate::measure::sampler::Sampler;

/// The longest wait of the loop while a receipt is awaited.
const AWAITING: Duration = Duration::from_millis(5);

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
        self.heal_all();
        Ok(())
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
                    start_us,
                    end_us: Some(end_us),
                    arrivals,
                })?;
            }
            start_us = end_us;
        }
        let baseline = self.plan.phases.iter().position(|phase| phase.baseline);
        let baseline = baseline.map(|index| self.bounds[index]);
        let histories = self.plan.loads.iter().map(|_| History::new(baseline));
        self.histories = histories.collect();
        Ok(())
    }

    /// The loop: until the last phase is over and everything in it has ended, or the run is cut short.
    pub(super) fn follow(&mut self, from: &Sources<'_>, first_us: u64, quorum: usize, stop: &Stop) {
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
                self.sample(from.fleet, from.sampler, at_us);
                self.step(at_us, step);
            }
            self.poll_faults();
            self.beat(&mut beat, from.fleet, from.sampler, quorum);
            let settled = self.settled.iter().all(|count| *count >= quorum);
            if due.peek().is_none() && (settled || self.now_us() > give_up_us) {
                return;
            }
            let now = self.now_us();
            let step = due
                .peek()
                .map_or(u64::MAX, |(at_us, _)| at_us.saturating_sub(now));
            let row = ROW_US - now % ROW_US;
            let next = Duration::from_micros(step.min(row));
            let awaits = self.faults.iter().any(Running::awaits);
            self.wait(from, if awaits { next.min(AWAITING) } else { next });
        }
    }

    pub(super) fn wait(&mut self, from: &Sources<'_>, at_most: Duration) {
        select! {
            recv(from.reports) -> report => match report {
                Ok(report) => self.take_report(report),
                // The generator is gone; its end says why.
                Err(_) => std::thread::park_timeout(at_most),
            },
            recv(from.guard.events()) -> event => match event {
                Ok(event) => self.take_exit(from.fleet, &event),
                // Nobody would hear of a service that dies from here on.
                Err(_) => self.fail("what listens to the guard process has failed".to_owned()),
            },
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
                let event = self.faults[index].inject(&mut self.stack);
                if matches!(event, EventKind::FaultInjected { .. }) {
                    self.collector.open_window(index, self.now_us());
                }
                self.emit(event);
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

/// Where the loop hears from.
pub(super) struct Sources<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) guard: &'a Arc<GuardHandle>,
    pub(super) poller: &'a Poller,
    pub(super) host: &'a HiccupMeter,
    pub(super) sampler: &'a Sampler,
    pub(super) reports: &'a Receiver<Report>,
}
