//! One load, one phase, one result: what `squall load URL` does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use squall_model::histogram::growing;
use squall_model::seed::Seed;

use crate::generator::{Generator, Usage, load_seed};
use crate::pacer::PacerKind;
use crate::protocol::Protocol;
use crate::report::{ErrorKind, Report, Slice};
use crate::spec::{Arrivals, LoadError, LoadSpec, Options, PhaseSpec, Target};

/// What to do.
#[derive(Clone, Debug)]
pub struct OneShot {
    /// Where to.
    pub target: Target,
    /// What to send.
    pub protocol: Arc<dyn Protocol>,
    /// Connections; without a rate also the users.
    pub connections: usize,
    /// How long to ask for requests.
    pub duration: Duration,
    /// Requests per second, open loop; `None`: closed loop, flat out.
    pub rate_per_s: Option<f64>,
    /// How open-loop arrivals are spread.
    pub pacer: PacerKind,
    /// Timeout of a request.
    pub timeout: Duration,
    /// Generator threads.
    pub threads: usize,
    /// Processors to pin them to.
    pub cpus: Option<Vec<usize>>,
    /// Where random choices come from.
    pub seed: Seed,
}

/// What came of a load in a phase, over all threads; or of any slices that were added up.
#[derive(Clone, Debug)]
pub struct Totals {
    /// Requests that the schedule or the users asked for.
    pub intended: u64,
    /// Requests sent.
    pub sent: u64,
    /// Sent requests that ended, failed ones included.
    pub completed: u64,
    /// Completed requests that ended badly.
    pub failed: u64,
    /// Requests never sent because no connection came free.
    pub dropped: u64,
    /// Requests never sent because the generator was too slow.
    pub unsent_by_generator: u64,
    /// Sent requests whose end an abort left unknown.
    pub aborted: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Answers whose arrival the kernel did not tell.
    pub unstamped: u64,
    /// Messages that the target sent of its own accord.
    pub messages: u64,
    /// Connections on which a user stayed and that ended without being asked to.
    pub streams_lost: u64,
    /// Latencies above the highest that is told apart.
    pub saturated: u64,
    /// Failed requests by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Some errors in words.
    pub examples: Vec<(ErrorKind, String)>,
    /// From the intended send time, in microseconds.
    pub response: Histogram<u64>,
    /// From the actual send time, in microseconds.
    pub service: Histogram<u64>,
    /// The generator's own lateness, in microseconds; empty in closed loop.
    pub lag: Histogram<u64>,
}

impl Default for Totals {
    fn default() -> Self {
        Totals {
            intended: 0,
            sent: 0,
            completed: 0,
            failed: 0,
            dropped: 0,
            unsent_by_generator: 0,
            aborted: 0,
            connections_opened: 0,
            bytes_in: 0,
            unstamped: 0,
            messages: 0,
            streams_lost: 0,
            saturated: 0,
            errors: BTreeMap::new(),
            examples: Vec::new(),
            response: growing(),
            service: growing(),
            lag: growing(),
        }
    }
}

impl Totals {
    /// Adds a slice.
    pub fn add(&mut self, slice: &Slice) {
        self.intended += slice.intended;
        self.sent += slice.sent;
        self.completed += slice.completed;
        self.failed += slice.failed;
        self.dropped += slice.dropped;
        self.unsent_by_generator += slice.unsent_by_generator;
        self.aborted += slice.aborted;
        self.connections_opened += slice.connections_opened;
        self.bytes_in += slice.bytes_in;
        self.unstamped += slice.unstamped;
        self.messages += slice.messages;
        self.streams_lost += slice.streams_lost;
        self.saturated += slice.response.saturated;
        for &(kind, count) in &slice.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.examples.extend_from_slice(&slice.examples);
        slice.response.add_to(&mut self.response);
        slice.service.add_to(&mut self.service);
        slice.lag.add_to(&mut self.lag);
    }

    /// Adds what was added up elsewhere of the same load.
    pub fn merge(&mut self, other: &Totals) {
        self.intended += other.intended;
        self.sent += other.sent;
        self.completed += other.completed;
        self.failed += other.failed;
        self.dropped += other.dropped;
        self.unsent_by_generator += other.unsent_by_generator;
        self.aborted += other.aborted;
        self.connections_opened += other.connections_opened;
        self.bytes_in += other.bytes_in;
        self.unstamped += other.unstamped;
        self.messages += other.messages;
        self.streams_lost += other.streams_lost;
        self.saturated += other.saturated;
        self.examples.extend_from_slice(&other.examples);
        for (&kind, &count) in &other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        for (into, from) in [
            (&mut self.response, &other.response),
            (&mut self.service, &other.service),
            (&mut self.lag, &other.lag),
        ] {
            into.add(from).expect("all histograms have the same bounds");
        }
    }
}

/// The result of a [`OneShot`].
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Counts and latencies.
    pub totals: Totals,
    /// From the start to the end of the last request, in microseconds.
    pub elapsed_us: u64,
    /// CPU time of the generator.
    pub usage: Usage,
}

/// A [`OneShot`] that is running.
#[derive(Debug)]
pub struct Running {
    generator: Option<Generator>,
    reports: crossbeam_channel::Receiver<Report>,
    threads_left: usize,
    totals: Totals,
    end_us: u64,
    epoch: Instant,
}

/// Why a one-shot load has no result.
#[derive(Debug, thiserror::Error)]
pub enum OneShotError {
    /// It could not start.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A generator thread gave up.
    #[error("running the load: generator thread {thread} gave up: {error}")]
    Thread {
        /// Which.
        thread: u16,
        /// What went wrong.
        error: String,
    },
}

impl OneShot {
    /// Starts it.
    pub fn start(self) -> Result<Running, OneShotError> {
        let (sender, reports) = crossbeam_channel::unbounded();
        let epoch = Instant::now();
        let load = LoadSpec {
            name: "load".into(),
            target: self.target,
            protocol: self.protocol,
            connections: self.connections,
            timeout: self.timeout,
            source: None,
            extract: Vec::new(),
            seed: load_seed(self.seed, "load"),
        };
        let options = Options {
            threads: self.threads,
            cpus: self.cpus,
            epoch,
            reports: sender,
        };
        let mut generator = Generator::start(vec![load], &options)?;
        let arrivals = match self.rate_per_s {
            Some(rate_per_s) => Arrivals::Open {
                rate_per_s,
                pacer: self.pacer,
            },
            None => Arrivals::Closed {
                users: self.connections,
                think: crate::Think::NONE,
            },
        };
        // A moment ahead, so that no thread misses the first arrivals while it starts.
        let start_us = epoch.elapsed().as_micros() as u64 + 2_000;
        let end_us = start_us + self.duration.as_micros() as u64;
        generator.push_phase(PhaseSpec {
            index: 0,
            draw: 0,
            start_us,
            end_us: Some(end_us),
            arrivals: vec![arrivals],
        })?;
        let (threads_left, totals) = (self.threads, Totals::default());
        Ok(Running {
            generator: Some(generator),
            reports,
            threads_left,
            totals,
            end_us: start_us,
            epoch,
        })
    }

    /// Runs it to its end.
    pub fn run(self) -> Result<Outcome, OneShotError> {
        let mut running = self.start()?;
        while running.step(Duration::from_secs(1), |_| {})? {}
        Ok(running.finish())
    }
}

impl Running {
    /// Takes the next report, waiting at most `patience` for it, and shows slices to `see`; returns whether more will come.
    pub fn step(&mut self, patience: Duration, mut see: impl FnMut(&Slice)) -> Result<bool, OneShotError> {
        match self.reports.recv_timeout(patience) {
            Ok(Report::Slice(slice)) => {
                see(&slice);
                self.totals.add(&slice);
                self.end_us = self.end_us.max(slice.end_us);
            }
            Ok(Report::PhaseEnded { .. }) => self.threads_left -= 1,
            Ok(Report::ThreadFailed { thread, error }) => return Err(OneShotError::Thread { thread, error }),
            Ok(Report::Values(_)) | Err(_) => {}
        }
        Ok(self.threads_left > 0)
    }

    /// What has been counted so far.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Waits for the end; the result is whole when [`step`](Running::step) has said that no more reports come.
    pub fn finish(mut self) -> Outcome {
        let usage = self.generator.take().map(Generator::finish).unwrap_or_default();
        self.outcome(usage)
    }

    /// Ends now.
    pub fn abort(mut self) -> Outcome {
        let usage = self.generator.take().map(Generator::abort).unwrap_or_default();
        self.outcome(usage)
    }

    fn outcome(mut self, usage: Usage) -> Outcome {
        for report in self.reports.try_iter() {
            if let Report::Slice(slice) = report {
                self.totals.add(&slice);
                self.end_us = self.end_us.max(slice.end_us);
            }
        }
        let elapsed_us = self.end_us.min(self.epoch.elapsed().as_micros() as u64);
        Outcome {
            totals: self.totals,
            elapsed_us,
            usage,
        }
    }
}
