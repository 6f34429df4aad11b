//! The handle on a running generator: starts its threads, tells them phases, ends them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam_channel::Sender;
use squall_model::seed::Seed;

use crate::affinity;
use crate::clock::{Clock, us_to_ns};
use crate::descriptors;
use crate::dispatcher::{Command, Dispatcher, Shared, ThreadUsage};
use crate::extract::Extraction;
#[cfg(feature = "journey")]
use crate::journey::{Part as Of, runner::Runner};
use crate::lane::Lane;
use crate::phase::Part;
use crate::poller::{Poller, Waker};
use crate::protocol::{Dialect, Keep};
use crate::report::Report;
use crate::slice;
use crate::spec::{
    Arrivals, CONNECTIONS_MAX, DRAWS_MAX, LOADS_MAX, LoadError, LoadSpec, Options, PhaseSpec, THREADS_MAX,
};
use crate::tls::Client;

/// What the generator used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time of its threads, in microseconds.
    pub cpu_us: u64,
    /// Reports that the receiver did not take: it was gone, or bounded and full.
    pub reports_lost: u64,
}

/// A running load generator. Dropping it aborts it and waits for its threads.
#[derive(Debug)]
pub struct Generator {
    threads: Vec<Thread>,
    /// The users who make journeys, a thread for each load that has some.
    #[cfg(feature = "journey")]
    runners: Vec<Runner>,
    loads: Vec<String>,
    /// Index and end of the last phase.
    last: Option<(u32, Option<u64>)>,
}

#[derive(Debug)]
struct Thread {
    commands: Sender<Command>,
    waker: Waker,
    usage: Arc<ThreadUsage>,
    handle: Option<JoinHandle<()>>,
}

impl Generator {
    /// Starts the threads; nothing is sent before a phase says so.
    pub fn start(loads: Vec<LoadSpec>, options: &Options) -> Result<Generator, LoadError> {
        check_bounds("the number of loads", 1, LOADS_MAX, loads.len())?;
        check_bounds("the number of generator threads", 1, THREADS_MAX, options.threads)?;
        let connections = loads.iter().map(|load| load.connections).sum();
        // As far as it goes: connections are opened on demand, and one that can't be opened says so.
        let _ = descriptors::make_room(connections);
        let mut compiled = Vec::with_capacity(loads.len());
        for load in loads {
            compiled.push((compile(&load)?, load));
        }
        let names = compiled.iter().map(|(_, load)| load.name.clone()).collect();
        let mut generator = Generator {
            threads: Vec::new(),
            #[cfg(feature = "journey")]
            runners: Vec::new(),
            loads: names,
            last: None,
        };
        let specs: Vec<LoadSpec> = compiled.iter().map(|(_, load)| load.clone()).collect();
        generator.start_journeys(&specs, options)?;
        for at in 0..options.threads {
            let lanes = compiled
                .iter()
                .enumerate()
                .map(|(index, ((dialect, tls), load))| {
                    Lane::new(
                        index as u16,
                        load.clone(),
                        Arc::clone(dialect),
                        tls.clone(),
                        Part {
                            at,
                            ways: options.threads,
                        },
                    )
                });
            let system = |doing: &str, source| LoadError::System {
                doing: format!("{doing} of generator thread {at}"),
                source,
            };
            generator.threads.push(
                start_thread(at, lanes.collect(), options)
                    .map_err(|e| system("starting the event loop", e))?,
            );
        }
        Ok(generator)
    }

    /// Starts a thread for each load whose users make journeys.
    #[cfg(feature = "journey")]
    fn start_journeys(&mut self, loads: &[LoadSpec], options: &Options) -> Result<(), LoadError> {
        for (at, load) in loads.iter().enumerate() {
            if let Of::Journey(journey) = load.protocol.part() {
                let number = options.threads + self.runners.len();
                self.runners
                    .push(Runner::start(at, journey, loads, number, options)?);
            }
        }
        Ok(())
    }

    /// Refuses loads whose users make journeys: this build has none.
    #[cfg(not(feature = "journey"))]
    #[expect(clippy::unused_self, reason = "with the feature it has something to start")]
    fn start_journeys(&self, loads: &[LoadSpec], _: &Options) -> Result<(), LoadError> {
        match loads.iter().find(|load| load.protocol.part().is_of_journey()) {
            Some(load) => Err(LoadError::Request {
                load: load.name.clone(),
                problem: format!("it needs the feature `{}`", crate::journey::FEATURE),
            }),
            None => Ok(()),
        }
    }

    /// Adds a phase after the ones before.
    pub fn push_phase(&mut self, phase: PhaseSpec) -> Result<(), LoadError> {
        self.check_phase(&phase)?;
        self.last = Some((phase.index, phase.end_us));
        let phase = Arc::new(phase);
        self.tell(|| Command::Push(Arc::clone(&phase)))
    }

    /// Ends the open-ended phase `index` at `at_us`; what it has asked for until this arrives stays.
    pub fn end_phase(&mut self, index: u32, at_us: u64) -> Result<(), LoadError> {
        if let Some((last, end_us @ None)) = &mut self.last
            && *last == index
        {
            *end_us = Some(at_us);
        }
        self.tell(|| Command::End {
            index,
            at_ns: us_to_ns(at_us),
        })
    }

    /// CPU time used so far by all threads in microseconds, at most 100 ms old.
    pub fn cpu_us(&self) -> u64 {
        self.usages()
            .map(|thread| thread.cpu_us.load(Ordering::Relaxed))
            .sum()
    }

    /// Waits until every phase has run and everything sent has ended; at most two timeouts after the end of the last phase. A
    /// last phase that is still open-ended ends now.
    pub fn finish(mut self) -> Usage {
        // A thread that is gone has said so in a report.
        let _ = self.tell(|| Command::Finish);
        self.join()
    }

    /// Ends now: closes all connections and counts what is in flight as aborted.
    pub fn abort(mut self) -> Usage {
        let _ = self.tell(|| Command::Abort);
        self.join()
    }

    fn check_phase(&self, phase: &PhaseSpec) -> Result<(), LoadError> {
        let wrong = |problem: String| {
            Err(LoadError::Phase {
                phase: phase.index,
                problem,
            })
        };
        if phase.arrivals.len() != self.loads.len() {
            return wrong(format!(
                "it tells {} loads what to do, there are {}",
                phase.arrivals.len(),
                self.loads.len()
            ));
        }
        if phase.end_us.is_some_and(|end_us| end_us < phase.start_us) {
            return wrong("it ends before it starts".into());
        }
        if phase.draw >= DRAWS_MAX {
            return wrong(format!("draw {} of {DRAWS_MAX}", phase.draw));
        }
        match self.last {
            Some((index, _)) if index >= phase.index => {
                return wrong(format!("phase {index} was added before"));
            }
            Some((index, None)) => return wrong(format!("phase {index} has no end yet")),
            Some((index, Some(end_us))) if end_us > phase.start_us => {
                return wrong(format!("it starts before phase {index} ends"));
            }
            _ => {}
        }
        let users = |arrivals: &Arrivals| match arrivals {
            Arrivals::Closed { users, .. } => *users,
            _ => 0,
        };
        let needed = phase.arrivals.iter().map(users).sum();
        for (load, arrivals) in self.loads.iter().zip(&phase.arrivals) {
            match *arrivals {
                Arrivals::Open {
                    rate_per_s,
                    ref pacer,
                } => {
                    let wrong = |source| LoadError::Pacer {
                        load: load.clone(),
                        phase: phase.index,
                        source,
                    };
                    pacer.check(rate_per_s).map_err(wrong)?;
                }
                Arrivals::Closed { users, .. } => {
                    check_bounds(&format!("the users of load `{load}`"), 1, CONNECTIONS_MAX, users)?;
                }
                Arrivals::None => {}
            }
        }
        descriptors::make_room(needed).or_else(|short| wrong(short.to_string()))
    }

    fn tell(&self, command: impl Fn() -> Command) -> Result<(), LoadError> {
        let mut result = Ok(());
        for (at, thread) in self.threads.iter().enumerate() {
            let told = thread.commands.send(command()).is_ok() && thread.waker.wake().is_ok();
            if !told && result.is_ok() {
                result = Err(LoadError::ThreadGone(at));
            }
        }
        #[cfg(feature = "journey")]
        for (at, runner) in self.runners.iter().enumerate() {
            if !runner.tell(command()) && result.is_ok() {
                result = Err(LoadError::ThreadGone(self.threads.len() + at));
            }
        }
        result
    }

    fn join(&mut self) -> Usage {
        let handles = self.threads.iter_mut().map(|thread| &mut thread.handle);
        #[cfg(feature = "journey")]
        let handles = handles.chain(self.runners.iter_mut().map(|runner| &mut runner.handle));
        for handle in handles.filter_map(Option::take) {
            // A panic was reported by the thread's own guard.
            let _ = handle.join();
        }
        let mut usage = Usage::default();
        for thread in self.usages() {
            usage.cpu_us += thread.cpu_us.load(Ordering::Relaxed);
            usage.reports_lost += thread.reports_lost.load(Ordering::Relaxed);
        }
        usage
    }

    /// What each thread notes down of itself.
    fn usages(&self) -> impl Iterator<Item = &ThreadUsage> {
        let usages = self.threads.iter().map(|thread| &*thread.usage);
        #[cfg(feature = "journey")]
        let usages = usages.chain(self.runners.iter().map(|runner| &*runner.usage));
        usages
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        let running = self.threads.iter().any(|thread| thread.handle.is_some());
        #[cfg(feature = "journey")]
        let running = running || self.runners.iter().any(|runner| runner.handle.is_some());
        if running {
            let _ = self.tell(|| Command::Abort);
            self.join();
        }
    }
}

fn check_bounds(what: &str, min: usize, max: usize, given: usize) -> Result<(), LoadError> {
    if (min..=max).contains(&given) {
        Ok(())
    } else {
        Err(LoadError::OutOfBounds {
            what: what.into(),
            min,
            max,
            given,
        })
    }
}

/// What the connections of a load share.
type Compiled = (Arc<dyn Dialect>, Option<Arc<Client>>);

fn compile(load: &LoadSpec) -> Result<Compiled, LoadError> {
    check_bounds(
        &format!("the connections of load `{}`", load.name),
        1,
        CONNECTIONS_MAX,
        load.connections,
    )?;
    if load.timeout.is_zero() {
        return Err(LoadError::NoTimeout {
            load: load.name.clone(),
        });
    }
    let of_values = load.extract.iter().map(Extraction::keep);
    let keep = of_values.fold(load.protocol.checks().keep(), Keep::and);
    let dialect = load
        .protocol
        .dialect(&load.target, keep)
        .map_err(|problem| LoadError::Request {
            load: load.name.clone(),
            problem,
        })?;
    let client = |tls| Client::new(tls, dialect.alpn()).map(Arc::new);
    let tls = load.target.tls.as_ref().map(client).transpose();
    let tls = tls.map_err(|source| LoadError::Tls {
        load: load.name.clone(),
        source,
    })?;
    Ok((dialect, tls))
}

fn start_thread(at: usize, lanes: Vec<Lane>, options: &Options) -> std::io::Result<Thread> {
    let clock = Clock::new(options.epoch);
    let poller = Poller::new()?;
    let waker = poller.waker();
    let shared = Shared::new(clock, poller, at as u16, options.reports.clone());
    let (commands, inbox) = crossbeam_channel::unbounded();
    let usage = Arc::new(ThreadUsage::default());
    let dispatcher = Dispatcher::new(shared, lanes, inbox, Arc::clone(&usage));
    let cpu = options
        .cpus
        .as_ref()
        .and_then(|cpus| cpus.get(at % cpus.len().max(1)).copied());
    let reports = options.reports.clone();
    let run = move || {
        if let Some(cpu) = cpu {
            affinity::pin_current_thread(&[cpu])
                .map_err(|error| format!("pinning it to processor {cpu}: {error}"))?;
        }
        // Without it the schedule is kept less well; the lag that is measured says how well.
        slice::shorten();
        slice::wake_on_time();
        dispatcher
            .run()
            .map_err(|error| format!("waiting for events: {error}"))
    };
    let body = move || {
        let error = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(_) => "it panicked; the message went to standard error".to_owned(),
        };
        // The receiver may be gone, and then nobody is left to tell.
        let _ = reports.try_send(Report::ThreadFailed {
            thread: at as u16,
            error,
        });
    };
    let handle = std::thread::Builder::new()
        .name(format!("squall-load-{at}"))
        .spawn(body)?;
    Ok(Thread {
        commands,
        waker,
        usage,
        handle: Some(handle),
    })
}

/// The seed that a load's random choices come from, given the run's; by name, so that adding a load changes no other's.
pub fn load_seed(root: Seed, name: &str) -> Seed {
    root.child("load").child(name)
}
