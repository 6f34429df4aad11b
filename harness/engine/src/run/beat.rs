//! What is done at regular times: looking at resources, writing rows, showing how things stand.

use std::time::{Duration, Instant};

use squall_load::Arrivals;
use squall_model::histogram;
use squall_model::hlog;
use squall_model::series::SeriesRow;

use super::fleet::Fleet;
use super::supervisor::Supervisor;
use crate::measure::collector::ROW_US;
use crate::measure::sampler::Sampler;
use crate::observer::{Live, LiveLoad, Measured, MeasuredFault, MeasuredLoad, MeasuredService, RECENT};

/// How often the observer is told how things stand.
const LIVE: Duration = Duration::from_millis(200);

/// How often the observer is told everything measured so far.
const SUM_UP: Duration = Duration::from_secs(1);

/// How often files are handed to the kernel: together with the time that a row waits for late slices, under a second.
const FLUSH: Duration = Duration::from_millis(500);

impl Supervisor<'_> {
    /// What is done at regular times.
    pub(super) fn beat(&mut self, beat: &mut Beat, fleet: &Fleet, sampler: &Sampler, quorum: usize) {
        // Looked at where a row of the series ends, so that every row has its look.
        let row = self.now_us() / ROW_US;
        if row > beat.sampled {
            beat.sampled = row;
            self.services.watch_host(row * ROW_US);
            // Where looking doesn't keep up, fewer looks are better than late ones.
            if sampler.keeps_up() {
                self.sample(fleet, sampler, row * ROW_US);
            }
            self.write_rows(Some(self.now_us()));
            self.write_settled(quorum);
        }
        if beat.shown.is_due(LIVE) {
            let live = self.live();
            self.observer.live(&live);
        }
        if self.observer.wants_measured() && beat.summed_up.is_due(SUM_UP) {
            self.tell_measured();
        }
        if beat.flushed.is_due(FLUSH) {
            let written = self.writer.flush();
            self.check_written(written);
        }
    }

    /// Has the services looked at, for `at_us` or a moment later.
    pub(super) fn sample(&mut self, fleet: &Fleet, sampler: &Sampler, at_us: u64) {
        self.host.look(at_us, self.current);
        let members = fleet.members().iter().enumerate();
        let processes =
            members.filter_map(|(index, member)| Some((index, member.process.as_ref()?.process())));
        sampler.look(at_us, self.current, processes.collect());
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

    /// Tells the observer everything measured so far, where it wants that.
    pub(super) fn tell_measured(&mut self) {
        if self.observer.wants_measured() {
            let measured = self.measured();
            self.observer.measured(measured);
        }
    }

    fn measured(&self) -> Measured {
        let service = |(index, planned): (usize, &crate::plan::PlannedService)| {
            let usage = self.services.last(index);
            MeasuredService {
                name: planned.name.clone(),
                cpu_us: usage.map(|usage| usage.cpu_us),
                rss: usage.map(|usage| usage.rss),
            }
        };
        let fault = |(planned, one): (&crate::plan::PlannedFault, &super::faults::Running)| MeasuredFault {
            name: planned.name.clone(),
            kind: planned.kind.to_owned(),
            holds: one.holds().is_some(),
            proved: one.unproven().is_none(),
        };
        Measured {
            at_us: self.now_us(),
            phase: self
                .current
                .map(|index| (self.plan.phases[index].name.clone(), index)),
            phases: self.plan.phases.len(),
            loads: (0..self.plan.loads.len())
                .map(|index| self.measured_load(index))
                .collect(),
            services: self.plan.services.iter().enumerate().map(service).collect(),
            faults: self.plan.faults.iter().zip(&self.faults).map(fault).collect(),
        }
    }

    fn measured_load(&self, index: usize) -> MeasuredLoad {
        let mut all = MeasuredLoad {
            name: self.plan.loads[index].name.clone(),
            ..MeasuredLoad::default()
        };
        for phase in 0..self.plan.phases.len() {
            let totals = self.collector.phase(phase, index);
            all.intended += totals.intended;
            all.sent += totals.sent;
            all.completed += totals.completed;
            all.failed += totals.failed;
            all.dropped += totals.dropped;
            all.unsent_by_generator += totals.unsent_by_generator;
            all.in_flight += totals.sent.saturating_sub(totals.completed + totals.aborted);
            for (kind, count) in &totals.errors {
                *all.errors.entry(kind.to_string()).or_default() += count;
            }
            all.response.add(&totals.response);
            all.service.add(&totals.service);
        }
        let (_, recent) = self.collector.recent(index, self.now_us());
        let quantiles = |samples| RECENT.map(|q| histogram::quantile(samples, q));
        all.response.recent = quantiles(&recent.response);
        all.service.recent = quantiles(&recent.service);
        match self.current.map(|phase| &self.plan.phases[phase].arrivals[index]) {
            Some(Arrivals::Open { rate_per_s, .. }) => all.target_rate = Some(*rate_per_s),
            Some(Arrivals::Closed { users, .. }) => all.users = Some(*users as u64),
            Some(Arrivals::None) | None => {}
        }
        all
    }

    pub(super) fn live(&self) -> Live {
        let index = self.current.unwrap_or(self.plan.phases.len().saturating_sub(1));
        let (start, end) = self.bounds.get(index).copied().unwrap_or_default();
        let phase = index;
        let load =
            |(index, load): (usize, &crate::plan::PlannedLoad)| {
                let (span_us, totals) = self.collector.recent(index, self.now_us());
                LiveLoad {
                    name: load.name.clone(),
                    rate: if span_us == 0 {
                        0.0
                    } else {
                        totals.completed as f64 * 1e6 / span_us as f64
                    },
                    target_rate: self.plan.phases.get(phase).and_then(|phase| {
                        match phase.arrivals.get(index) {
                            Some(Arrivals::Open { rate_per_s, .. }) => Some(*rate_per_s),
                            _ => None,
                        }
                    }),
                    p50_us: histogram::quantile(&totals.response, 0.50),
                    p99_us: histogram::quantile(&totals.response, 0.99),
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

/// When the regular things were last done.
#[derive(Default)]
pub(super) struct Beat {
    /// The row of the series at whose begin resources were looked at last.
    sampled: u64,
    shown: Last,
    summed_up: Last,
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
