//! Runs loads against a server and adds up what is reported.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use squall_load::http1::RequestTemplate;
use squall_load::oneshot::Totals;
use squall_load::{
    Arrivals, Generator, LoadSpec, Options, PacerKind, PhaseSpec, Report, Slice, Target, load_seed,
};
use squall_model::observation::{ObservedBatch, ObservedResponse};
use squall_model::seed::Seed;

/// No test waits longer than this for a report.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn load(name: &str, addr: SocketAddr) -> LoadSpec {
    LoadSpec {
        name: name.into(),
        target: Target {
            addr: addr.into(),
            host: addr.to_string(),
            tls: None,
        },
        protocol: Arc::new(RequestTemplate::get("/")),
        connections: 8,
        timeout: Duration::from_secs(10),
        source: None,
        extract: Vec::new(),
        seed: load_seed(Seed::new(7), name),
    }
}

pub(crate) fn open(rate_per_s: f64) -> Arrivals {
    Arrivals::Open {
        rate_per_s,
        pacer: PacerKind::Even,
    }
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Told {
    /// By load and phase.
    pub(crate) totals: BTreeMap<(u16, u32), Totals>,
    pub(crate) slices: Vec<Slice>,
    pub(crate) values: Vec<ObservedBatch>,
    /// Load, phase and thread of each `PhaseEnded`, in order.
    pub(crate) ended: Vec<(u16, u32, u16)>,
}

impl Told {
    /// The responses of which a value was read, with those of one thing that is read.
    pub(crate) fn read(&self, reading: u16) -> impl Iterator<Item = ObservedResponse<'_>> {
        let of_it = move |batch: &&ObservedBatch| batch.reading == reading;
        self.values
            .iter()
            .filter(of_it)
            .flat_map(ObservedBatch::responses)
    }

    fn take(&mut self, report: Report) {
        match report {
            Report::Slice(slice) => {
                self.totals
                    .entry((slice.load, slice.phase))
                    .or_default()
                    .add(&slice);
                let over = self.ended.contains(&(slice.load, slice.phase, slice.thread));
                assert!(!over, "a slice after the end of its phase: {slice:?}");
                self.slices.push(slice);
            }
            Report::Values(batch) => self.values.push(batch),
            Report::PhaseEnded { load, phase, thread } => self.ended.push((load, phase, thread)),
            Report::ThreadFailed { thread, error } => panic!("thread {thread}: {error}"),
        }
    }

    /// Everything of one load and phase, whose counts must add up.
    pub(crate) fn of(&self, load: u16, phase: u32) -> &Totals {
        let totals = &self.totals[&(load, phase)];
        assert_eq!(
            totals.intended,
            totals.sent + totals.dropped + totals.unsent_by_generator,
            "{totals:?}"
        );
        assert_eq!(totals.sent, totals.completed + totals.aborted, "{totals:?}");
        assert_eq!(totals.failed, totals.errors.values().sum::<u64>());
        assert_eq!(totals.response.len(), totals.completed);
        assert_eq!(totals.service.len(), totals.completed);
        totals
    }

    pub(crate) fn errors(&self, load: u16, phase: u32) -> Vec<(String, u64)> {
        self.of(load, phase)
            .errors
            .iter()
            .map(|(kind, count)| (kind.to_string(), *count))
            .collect()
    }
}

pub(crate) struct Rig {
    pub(crate) generator: Generator,
    pub(crate) reports: Receiver<Report>,
    pub(crate) epoch: Instant,
    pub(crate) told: Told,
}

impl Rig {
    pub(crate) fn start(loads: Vec<LoadSpec>, threads: usize) -> Rig {
        let (sender, reports) = crossbeam_channel::unbounded();
        let epoch = Instant::now();
        let generator = Generator::start(
            loads,
            &Options {
                threads,
                cpus: None,
                epoch,
                reports: sender,
            },
        )
        .unwrap();
        Rig {
            generator,
            reports,
            epoch,
            told: Told::default(),
        }
    }

    pub(crate) fn now_us(&self) -> u64 {
        self.epoch.elapsed().as_micros() as u64
    }

    pub(crate) fn push(&mut self, index: u32, start_us: u64, end_us: Option<u64>, arrivals: Vec<Arrivals>) {
        self.generator
            .push_phase(PhaseSpec {
                index,
                draw: index,
                start_us,
                end_us,
                arrivals,
            })
            .unwrap();
    }

    /// Takes reports until `enough` says so.
    pub(crate) fn until(&mut self, mut enough: impl FnMut(&Told) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(&self.told) {
            self.told.take(
                self.reports
                    .recv_deadline(deadline)
                    .expect("a report within the deadline"),
            );
        }
    }

    pub(crate) fn finish(mut self) -> Told {
        self.generator.finish();
        self.reports.try_iter().for_each(|report| self.told.take(report));
        self.told
    }

    pub(crate) fn abort(mut self) -> Told {
        self.generator.abort();
        self.reports.try_iter().for_each(|report| self.told.take(report));
        self.told
    }
}

/// One load, one phase of `ms` milliseconds, to its end.
pub(crate) fn run(load: LoadSpec, arrivals: Arrivals, ms: u64) -> Told {
    let mut rig = Rig::start(vec![load], 1);
    rig.push(0, 20_000, Some(20_000 + ms * 1_000), vec![arrivals]);
    rig.finish()
}
