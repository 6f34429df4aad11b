//! What the steps of a load's journeys come to: by phase, for the load as a whole and for each step.
//!
//! No sockets and no waiting; times come from outside.

use crate::clock::{NS_PER_US, us_to_ns};
use crate::extract::Extraction;
use crate::in_flight::Request;
use crate::ledger::Ended;
use crate::readings::Readings;
use crate::report::{ErrorKind, Report, Slice};
use crate::spec::{Arrivals, PhaseSpec};
use crate::tally::Tally;
use crate::think::Think;

/// Where a user stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may ask, in the phase of this place in the books.
    Ask(usize),
    /// It rests at least until then, or until a phase is added or changed.
    Rest(u64),
}

/// The books of one load's journeys.
pub(super) struct Books {
    /// The load, then its steps: the number of each among the generator's loads.
    loads: Vec<u16>,
    /// What is read out of the answers of each step.
    readings: Vec<Readings>,
    runs: Vec<Run>,
    /// Phases before this one are over.
    first_live: usize,
}

/// One phase.
struct Run {
    index: u32,
    start_ns: u64,
    /// `u64::MAX` while the phase is open-ended.
    end_ns: u64,
    users: usize,
    /// The pause of routes that have none of their own.
    think: Think,
    /// Users in the middle of a step.
    busy: u64,
    /// One for each of the loads.
    columns: Vec<Column>,
}

#[derive(Default)]
struct Column {
    in_flight: u64,
    /// Made when first needed.
    tally: Option<Box<Tally>>,
}

/// A step that a user is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    run: usize,
    column: usize,
}

impl Books {
    /// Empty books for the load `whole` and its steps.
    pub(super) fn new(whole: u16, steps: impl Iterator<Item = (u16, Vec<Extraction>)>) -> Books {
        let (mut loads, mut readings) = (vec![whole], Vec::new());
        for (step, extractions) in steps {
            loads.push(step);
            readings.push(Readings::new(step, extractions));
        }
        Books {
            readings,
            loads,
            runs: Vec::new(),
            first_live: 0,
        }
    }

    /// Adds a phase.
    pub(super) fn push(&mut self, spec: &PhaseSpec) {
        let (users, think) = match spec.arrivals[usize::from(self.loads[0])] {
            Arrivals::Closed { users, think } => (users, think),
            _ => (0, Think::NONE),
        };
        self.runs.push(Run {
            index: spec.index,
            start_ns: us_to_ns(spec.start_us),
            end_ns: spec.end_us.map_or(u64::MAX, us_to_ns),
            users,
            think,
            busy: 0,
            columns: self.loads.iter().map(|_| Column::default()).collect(),
        });
    }

    /// Ends the open-ended phase `index`.
    pub(super) fn end(&mut self, index: u32, at_ns: u64) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.index == index) {
            run.end_ns = run.end_ns.min(at_ns.max(run.start_ns));
        }
    }

    /// No more phases come: one that is still open-ended ends now.
    pub(super) fn close_open_end(&mut self, now_ns: u64) {
        if let Some(run) = self.runs.last_mut()
            && run.end_ns == u64::MAX
        {
            run.end_ns = now_ns.max(run.start_ns);
        }
    }

    /// Ends everything: what is in flight counts as aborted.
    pub(super) fn abort(&mut self, now_ns: u64) {
        self.runs.retain(|run| run.start_ns <= now_ns);
        self.first_live = self.first_live.min(self.runs.len());
        for run in &mut self.runs[self.first_live..] {
            run.end_ns = run.end_ns.min(now_ns);
            run.busy = 0;
            for column in &mut run.columns {
                let aborted = std::mem::take(&mut column.in_flight);
                if aborted > 0 {
                    column.tally().counts.aborted += aborted;
                }
            }
        }
    }

    /// Whether no phase is left.
    pub(super) fn is_over(&self) -> bool {
        self.first_live == self.runs.len()
    }

    /// The most users that a phase not yet over has, and when the first that has any begins.
    pub(super) fn wanted(&self) -> Option<(usize, u64)> {
        let with_users = || self.runs[self.first_live..].iter().filter(|run| run.users > 0);
        let users = with_users().map(|run| run.users).max()?;
        Some((users, with_users().next()?.start_ns))
    }

    /// Whether user number `user` may ask now.
    pub(super) fn turn(&self, user: usize, now_ns: u64) -> Turn {
        let live = &self.runs[self.first_live..];
        let begun = live.iter().take_while(|run| run.start_ns <= now_ns).count();
        match begun.checked_sub(1).map(|last| &live[last]) {
            Some(run) if now_ns < run.end_ns && user < run.users => Turn::Ask(self.first_live + begun - 1),
            _ => Turn::Rest(live.get(begun).map_or(u64::MAX, |run| run.start_ns)),
        }
    }

    /// A user begins step number `step` in the phase that [`turn`](Books::turn) gave; with it comes the phase's pause.
    pub(super) fn begin(&mut self, run: usize, step: usize) -> (Asking, Think) {
        let column = step + 1;
        self.runs[run].busy += 1;
        (Asking { run, column }, self.runs[run].think)
    }

    /// Its request goes out.
    pub(super) fn sent(&mut self, asking: Asking) {
        self.both(asking, |column| {
            column.in_flight += 1;
            let counts = &mut column.tally().counts;
            counts.intended += 1;
            counts.sent += 1;
        });
    }

    /// Its connection was opened.
    pub(super) fn connected(&mut self, asking: Asking) {
        self.both(asking, |column| column.tally().counts.connections_opened += 1);
    }

    /// Bytes of its answer came.
    pub(super) fn received(&mut self, asking: Asking, bytes: usize) {
        self.both(asking, |column| column.tally().counts.bytes_in += bytes as u64);
    }

    /// The kernel did not tell when its answer came.
    pub(super) fn unstamped(&mut self, asking: Asking) {
        self.both(asking, |column| column.tally().counts.unstamped += 1);
    }

    /// Its request, sent at `started_ns`, ended. Returns whether its phase is over with it.
    pub(super) fn ended(
        &mut self,
        asking: Asking,
        started_ns: u64,
        now_ns: u64,
        error: Option<&(ErrorKind, String)>,
    ) -> bool {
        let ended = Ended {
            request: Request {
                phase: asking.run as u32,
                number: 0,
                intended_ns: started_ns,
            },
            started_ns,
            now_ns,
        };
        self.both(asking, |column| {
            column.in_flight = column.in_flight.saturating_sub(1);
            let tally = column.tally();
            tally.complete(&ended);
            if let Some((kind, text)) = error {
                tally.fail(*kind, || text.clone());
            }
        });
        let run = &mut self.runs[asking.run];
        run.busy -= 1;
        run.busy == 0 && run.end_ns <= now_ns
    }

    /// What is read out of the answers of its step.
    pub(super) fn readings(&mut self, asking: Asking) -> &mut Readings {
        &mut self.readings[asking.column - 1]
    }

    fn both(&mut self, asking: Asking, mut change: impl FnMut(&mut Column)) {
        let columns = &mut self.runs[asking.run].columns;
        change(&mut columns[0]);
        change(&mut columns[asking.column]);
    }

    /// When the next phase that has begun ends.
    pub(super) fn next_end_ns(&self, now_ns: u64) -> u64 {
        let live = &self.runs[self.first_live..];
        let ends = live
            .iter()
            .map(|run| run.end_ns)
            .filter(|end_ns| *end_ns > now_ns);
        ends.min().unwrap_or(u64::MAX)
    }

    /// What each phase that has begun counted between two moments.
    pub(super) fn report(&mut self, start_ns: u64, end_ns: u64, tell: &mut impl FnMut(Report)) {
        let begun = self.runs[self.first_live..]
            .iter()
            .take_while(|run| run.start_ns < end_ns)
            .count();
        for at in self.first_live..self.first_live + begun {
            self.report_run(at, start_ns, end_ns, tell);
        }
        self.report_values(false, tell);
    }

    /// Hands on the values read so far, or only the batches that are full.
    pub(super) fn report_values(&mut self, only_full: bool, tell: &mut impl FnMut(Report)) {
        for readings in &mut self.readings {
            if readings.is_full() || !only_full {
                readings.hand_on(|values| tell(Report::Values(values)));
            }
        }
    }

    fn report_run(&mut self, at: usize, start_ns: u64, end_ns: u64, tell: &mut impl FnMut(Report)) {
        let run = &mut self.runs[at];
        for (load, column) in self.loads.iter().zip(&mut run.columns) {
            let slice = column
                .tally
                .as_mut()
                .map(|tally| tally.take())
                .unwrap_or_default();
            tell(Report::Slice(Slice {
                load: *load,
                phase: run.index,
                thread: 0,
                start_us: start_ns / NS_PER_US,
                end_us: end_ns / NS_PER_US,
                ..slice
            }));
        }
    }

    /// Tells the end of each phase in which nothing more can happen, once for each of the generator's `threads`, as a load that they
    /// carry does.
    pub(super) fn settle(&mut self, start_ns: u64, now_ns: u64, threads: u16, tell: &mut impl FnMut(Report)) {
        while let Some(run) = self.runs.get(self.first_live)
            && run.end_ns <= now_ns
            && run.busy == 0
        {
            let (at, phase) = (self.first_live, run.index);
            self.report_values(false, tell);
            self.report_run(at, start_ns.min(now_ns), now_ns, tell);
            self.runs[at].columns = Vec::new();
            for &load in &self.loads {
                for thread in 0..threads {
                    tell(Report::PhaseEnded { load, phase, thread });
                }
            }
            self.first_live += 1;
        }
    }
}

impl Column {
    fn tally(&mut self) -> &mut Tally {
        self.tally.get_or_insert_default()
    }
}
