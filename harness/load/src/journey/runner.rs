//! The thread on which the users of one load walk, with the one async runtime of the harness.
//!
//! It launches users when a phase first wants them, reports what the books say each 100 ms, and drops the runtime with everything in it
//! when it is told to end: goose is never asked to stop, so it can't take its time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::Sender;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::walk::Walk;
use super::{Journey, claims, flock};
use crate::affinity;
use crate::clock::{Clock, NS_PER_MS, NS_PER_US, thread_cpu_us};
use crate::dispatcher::{Command, ThreadUsage};
use crate::report::{Report, SLICE_US};
use crate::spec::{LoadError, LoadSpec, Options};

const SLICE_NS: u64 = SLICE_US * NS_PER_US;
/// Phases are told one after another: users are launched once no more came for this long, or a phase begins.
const LAUNCH_NS: u64 = 3 * NS_PER_MS;

/// The handle on the thread.
#[derive(Debug)]
pub(crate) struct Runner {
    commands: mpsc::UnboundedSender<Command>,
    pub(crate) usage: Arc<ThreadUsage>,
    pub(crate) handle: Option<JoinHandle<()>>,
}

impl Runner {
    /// Starts the thread for load number `at` of `loads`, whose protocol is `journey`; `number` is the thread's.
    pub(crate) fn start(
        at: usize,
        journey: &Journey,
        loads: &[LoadSpec],
        number: usize,
        options: &Options,
    ) -> Result<Runner, LoadError> {
        let system = |doing: &str, source| LoadError::System {
            doing: format!("{doing} of the journeys of load `{}`", loads[at].name),
            source,
        };
        let walk = Walk::new(at, journey, loads, Clock::new(options.epoch))
            .map_err(|(load, problem)| LoadError::Request { load, problem })?;
        claims::take().map_err(|e| system("keeping Ctrl-C from the users", e))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| system("starting the event loop", e))?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let usage = Arc::new(ThreadUsage::default());
        let worker = Worker {
            walk: Arc::new(walk),
            inbox,
            usage: Arc::clone(&usage),
            reports: options.reports.clone(),
            reports_lost: 0,
            threads: options.threads as u16,
            attacks: JoinSet::new(),
            launched: 0,
            told_ns: 0,
            slice_start_ns: 0,
            finishing: false,
        };
        let cpus = options.cpus.as_deref().unwrap_or_default();
        let cpu = cpus.get(number % cpus.len().max(1)).copied();
        let handle = std::thread::Builder::new()
            .name(format!("squall-walk-{at}"))
            .spawn(move || body(worker, &runtime, cpu, number))
            .map_err(|e| system("starting the thread", e))?;
        Ok(Runner {
            commands,
            usage,
            handle: Some(handle),
        })
    }

    /// Tells the thread something; `false` where it is gone.
    pub(crate) fn tell(&self, command: Command) -> bool {
        self.commands.send(command).is_ok()
    }
}

fn body(worker: Worker, runtime: &tokio::runtime::Runtime, cpu: Option<usize>, number: usize) {
    let reports = worker.reports.clone();
    let run = || {
        if let Some(cpu) = cpu {
            affinity::pin_current_thread(&[cpu])
                .map_err(|error| format!("pinning it to processor {cpu}: {error}"))?;
        }
        runtime.block_on(worker.run())
    };
    let error = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error,
        Err(_) => "it panicked; the message went to standard error".to_owned(),
    };
    // The receiver may be gone, and then nobody is left to tell.
    let thread = number as u16;
    let _ = reports.try_send(Report::ThreadFailed { thread, error });
}

struct Worker {
    walk: Arc<Walk>,
    inbox: mpsc::UnboundedReceiver<Command>,
    usage: Arc<ThreadUsage>,
    reports: Sender<Report>,
    reports_lost: u64,
    /// Of the generator, which all tell the end of a phase.
    threads: u16,
    attacks: JoinSet<Result<(), String>>,
    /// Users launched so far.
    launched: usize,
    /// When the latest command came.
    told_ns: u64,
    slice_start_ns: u64,
    finishing: bool,
}

impl Worker {
    async fn run(mut self) -> Result<(), String> {
        let walk = Arc::clone(&self.walk);
        self.slice_start_ns = walk.clock.now_ns() / SLICE_NS * SLICE_NS;
        loop {
            let now_ns = walk.clock.now_ns();
            self.launch(now_ns)?;
            self.report(now_ns);
            if self.finishing && walk.books().is_over() {
                self.note_usage();
                return Ok(());
            }
            let wake_ns = self.next_wake_ns(now_ns);
            tokio::select! {
                biased;
                command = self.inbox.recv() => {
                    if self.obey(command) {
                        self.note_usage();
                        return Ok(());
                    }
                }
                Some(ended) = self.attacks.join_next() => {
                    let said = ended.unwrap_or_else(|error| Err(error.to_string()));
                    return Err(format!("goose ended before it was told to: {}", said.err().unwrap_or_default()));
                }
                () = walk.over.notified() => {}
                () = tokio::time::sleep(Duration::from_nanos(wake_ns.saturating_sub(now_ns))) => {}
            }
        }
    }

    fn next_wake_ns(&self, now_ns: u64) -> u64 {
        let books = self.walk.books();
        let wake_ns = books.next_end_ns(now_ns).min(self.slice_start_ns + SLICE_NS);
        match books.wanted() {
            Some((users, start_ns)) if users > self.launched => {
                wake_ns.min(start_ns.max(now_ns)).min(self.told_ns + LAUNCH_NS)
            }
            _ => wake_ns,
        }
    }

    /// Launches the users that are missing.
    fn launch(&mut self, now_ns: u64) -> Result<(), String> {
        let Some((users, start_ns)) = self.walk.books().wanted() else {
            return Ok(());
        };
        if users <= self.launched || now_ns < start_ns.min(self.told_ns + LAUNCH_NS) {
            return Ok(());
        }
        let attack = flock::attack(&self.walk, self.launched, users - self.launched)
            .map_err(|error| format!("telling goose what its users do: {error}"))?;
        self.launched = users;
        let attack = Box::pin(attack.execute());
        self.attacks
            .spawn(async { attack.await.map(drop).map_err(|error| error.to_string()) });
        Ok(())
    }

    /// Does as told; returns whether to end at once.
    fn obey(&mut self, command: Option<Command>) -> bool {
        let now_ns = self.walk.clock.now_ns();
        self.told_ns = now_ns;
        let mut books = self.walk.books();
        match command {
            Some(Command::Push(spec)) => books.push(&spec),
            Some(Command::End { index, at_ns }) => books.end(index, at_ns),
            Some(Command::Finish) => {
                self.finishing = true;
                books.close_open_end(now_ns);
            }
            // The handle was dropped without a word: nobody wants the rest.
            Some(Command::Abort) | None => {
                books.abort(now_ns);
                drop(books);
                self.report(now_ns);
                return true;
            }
        }
        drop(books);
        self.walk.changed.notify_waiters();
        false
    }

    /// Reports slices at their boundaries, and phases that are over at once.
    fn report(&mut self, now_ns: u64) {
        let walk = Arc::clone(&self.walk);
        let mut books = walk.books();
        let mut lost = 0;
        let mut tell = |report| lost += u64::from(self.reports.try_send(report).is_err());
        if now_ns >= self.slice_start_ns + SLICE_NS {
            let end_ns = now_ns / SLICE_NS * SLICE_NS;
            books.report(self.slice_start_ns, end_ns, &mut tell);
            self.slice_start_ns = end_ns;
        }
        books.report_values(true, &mut tell);
        books.settle(self.slice_start_ns, now_ns, self.threads, &mut tell);
        drop(books);
        self.reports_lost += lost;
        self.note_usage();
    }

    fn note_usage(&self) {
        self.usage.cpu_us.store(thread_cpu_us(), Ordering::Relaxed);
        self.usage
            .reports_lost
            .store(self.reports_lost, Ordering::Relaxed);
    }
}
