//! The thread that looks at services from outside: at their processes when it is asked to, at their output all the time.
//!
//! It has a thread of its own because a look at a thousand threads takes milliseconds, in which no fault would be injected and no
//! report heard (`examples/look_cost.rs`). A full look that takes long is followed by light ones until it has cost at most a
//! twentieth of the time. What it finds it tells; it judges nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::pause::collector::{READERS, Reader, Told};
use super::pause::stopped::{self, Stops};
use super::pause::{Kind, Pause};
use super::resources::{Depth, Look, Watch};
use crate::process::Identity;
use crate::process::log::Tail;

/// How often the services' output is looked through: so much later than it was printed a line may arrive.
const POLL: Duration = Duration::from_millis(20);

/// A full look is followed by the next when so many times its length has passed.
const REST: u32 = 20;

/// Looks that may wait before a regular one is left out.
const WAITING_MAX: usize = 2;

/// The most pieces of a log, of 64 KiB, that are read in one go; what is more comes in the next.
const PIECES: usize = 16;

/// The output of a service.
#[derive(Clone, Debug)]
pub struct Output {
    /// The service, by index.
    pub service: usize,
    /// The file that it writes to.
    pub log: PathBuf,
    /// Where in it this run's output begins, in bytes.
    pub from: u64,
}

/// What was found out about a service.
#[derive(Debug)]
pub struct Found {
    /// The service, by index.
    pub service: usize,
    /// What.
    pub what: What,
}

/// See [`Found`].
#[derive(Debug)]
pub enum What {
    /// What it uses, as asked for `at_us` in `phase`.
    Look {
        /// When, since the run's start.
        at_us: u64,
        /// The phase then, as the asker gave it.
        phase: Option<usize>,
        /// What was seen.
        look: Box<Look>,
    },
    /// A pause ended.
    Pause(&'static Kind, Pause),
    /// Its output tells of this kind of pause.
    Tells(&'static Kind),
    /// A program of its sort could tell of this kind, and has not yet.
    Lacks(&'static Kind),
    /// Its output can't be read, and why.
    Unreadable(String),
}

struct Ask {
    at_us: u64,
    phase: Option<usize>,
    /// The services' processes, by index.
    processes: Vec<(usize, Identity)>,
}

/// The thread. Dropping it ends it.
#[derive(Debug)]
pub struct Sampler {
    ask: Option<Sender<Ask>>,
    found: Receiver<Found>,
    thread: Option<JoinHandle<()>>,
}

impl Sampler {
    /// Starts to read `outputs`. What they hold by now is read before this returns, so it counts as before the first phase.
    /// `zero` is the run's start.
    pub fn start(outputs: Vec<Output>, zero: Instant) -> std::io::Result<Sampler> {
        let (ask, asked) = unbounded();
        let (tell, found) = unbounded();
        let (begun, wait) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("squall-sampler".to_owned())
            .spawn(move || {
                let mut work = Work::new(outputs, zero, tell);
                work.read_all();
                let _ = begun.send(());
                work.run(&asked);
            })?;
        // Closed without a word means that the thread has failed; the run then goes without what it would have told.
        let _ = wait.recv();
        Ok(Sampler {
            ask: Some(ask),
            found,
            thread: Some(thread),
        })
    }

    /// Asks for a look at these processes, which belongs to `at_us` in `phase`.
    pub fn look(&self, at_us: u64, phase: Option<usize>, processes: Vec<(usize, Identity)>) {
        if let Some(ask) = &self.ask {
            let _ = ask.send(Ask {
                at_us,
                phase,
                processes,
            });
        }
    }

    /// Whether it keeps up, so that one more regular look makes sense.
    pub fn keeps_up(&self) -> bool {
        self.ask.as_ref().is_some_and(|ask| ask.len() < WAITING_MAX)
    }

    /// What came in.
    pub fn found(&self) -> &Receiver<Found> {
        &self.found
    }

    /// Does what it was asked to, reads all output once more, and ends. The rest is in [`Sampler::found`].
    pub fn finish(&mut self) {
        self.ask = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What the thread keeps.
struct Work {
    zero: Instant,
    tell: Sender<Found>,
    listeners: Vec<Listener>,
    watched: BTreeMap<usize, Watched>,
}

/// What is remembered of one service's processes.
#[derive(Default)]
struct Watched {
    watch: Watch,
    stops: Stops,
    /// No full look before this.
    rests_until: Option<Instant>,
}

impl Work {
    fn new(outputs: Vec<Output>, zero: Instant, tell: Sender<Found>) -> Work {
        let mut listeners = Vec::new();
        for output in outputs {
            match Tail::open(&output.log, output.from) {
                Ok(tail) => listeners.push(Listener::new(output.service, tail)),
                Err(e) => {
                    let what = What::Unreadable(format!("its output can't be read: {e}"));
                    let _ = tell.send(Found {
                        service: output.service,
                        what,
                    });
                }
            }
        }
        Work {
            zero,
            tell,
            listeners,
            watched: BTreeMap::new(),
        }
    }

    fn run(mut self, asked: &Receiver<Ask>) {
        let mut next = Instant::now() + POLL;
        loop {
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(ask) => self.look(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if Instant::now() >= next {
                self.read_all();
                next = Instant::now() + POLL;
            }
        }
        self.read_all();
        for (service, watched) in std::mem::take(&mut self.watched) {
            for pause in watched.stops.finish() {
                self.tell(service, What::Pause(&stopped::KIND, pause));
            }
        }
    }

    fn look(&mut self, ask: Ask) {
        for (service, process) in ask.processes {
            let watched = self.watched.entry(service).or_default();
            let began = Instant::now();
            let depth = match watched.rests_until {
                Some(until) if began < until => Depth::Light,
                _ => Depth::Full,
            };
            let Some(look) = watched.watch.look(process, depth) else {
                continue;
            };
            if depth == Depth::Full {
                watched.rests_until = Some(began + REST * began.elapsed());
            }
            // A stop lasts from look to look, so what counts is when they were, not what they were asked for.
            let now_us = began.saturating_duration_since(self.zero).as_micros() as u64;
            let over = watched.stops.look(now_us, &look.stopped);
            for pause in over {
                self.tell(service, What::Pause(&stopped::KIND, pause));
            }
            let (at_us, phase, look) = (ask.at_us, ask.phase, Box::new(look));
            self.tell(service, What::Look { at_us, phase, look });
        }
    }

    /// Reads what was printed since the last time.
    fn read_all(&mut self) {
        let mut listeners = std::mem::take(&mut self.listeners);
        for listener in &mut listeners {
            // One moment for all that has arrived by now.
            let at_us = self.zero.elapsed().as_micros() as u64;
            let read = listener.read(|service, told| {
                self.tell(
                    service,
                    match told {
                        Told::Of(kind) => What::Tells(kind),
                        Told::Lacks(kind) => What::Lacks(kind),
                        Told::Pause(kind, ns) => What::Pause(
                            kind,
                            Pause {
                                at_us,
                                length_us: ns / 1_000,
                            },
                        ),
                    },
                );
            });
            if let Err(e) = read {
                self.tell(
                    listener.service,
                    What::Unreadable(format!("its output can't be read: {e}")),
                );
            }
        }
        self.listeners = listeners;
    }

    fn tell(&self, service: usize, what: What) {
        // Nobody to hear it means that the run is over.
        let _ = self.tell.send(Found { service, what });
    }
}

/// Reads the output of one service.
struct Listener {
    service: usize,
    tail: Tail,
    readers: Vec<Box<dyn Reader>>,
    /// What has been said already, and needs no saying again.
    said: Vec<Told>,
    failed: bool,
}

impl Listener {
    fn new(service: usize, tail: Tail) -> Listener {
        Listener {
            service,
            tail,
            readers: READERS.iter().map(|reader| reader()).collect(),
            said: Vec::new(),
            failed: false,
        }
    }

    /// Hands on what the lines since the last time told; an error once.
    fn read(&mut self, mut hand_on: impl FnMut(usize, Told)) -> std::io::Result<()> {
        if self.failed {
            return Ok(());
        }
        for _ in 0..PIECES {
            let lines = self.tail.lines().inspect_err(|_| self.failed = true)?;
            for line in &lines {
                for reader in &mut self.readers {
                    reader.line(line, &mut |told| {
                        let is_news = matches!(told, Told::Pause(..)) || !self.said.contains(&told);
                        if is_news {
                            hand_on(self.service, told);
                        }
                        if is_news && !matches!(told, Told::Pause(..)) {
                            self.said.push(told);
                        }
                    });
                }
            }
            if lines.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::pause::collector::GC;
    use super::*;
    use std::io::Write as _;

    const LINE: &str = "gc 7 @0.132s 3%: 1.0+1.2+5.0 ms clock, 0.03+0.41/0.95/0+26 ms cpu, 2 P\n";

    fn pauses(found: &Receiver<Found>) -> Vec<(usize, &'static str, u64)> {
        let pause = |found: Found| match found.what {
            What::Pause(kind, pause) => Some((found.service, kind.name, pause.length_us)),
            _ => None,
        };
        found.try_iter().filter_map(pause).collect()
    }

    #[test]
    fn output_from_before_the_start_is_told_at_once_and_the_rest_by_the_end() {
        let mut log = tempfile::NamedTempFile::new().expect("a file");
        log.write_all(LINE.as_bytes()).expect("written");
        let outputs = vec![
            Output {
                service: 3,
                log: log.path().to_owned(),
                from: 0,
            },
            Output {
                service: 5,
                log: log.path().with_extension("absent"),
                from: 0,
            },
        ];
        let mut sampler = Sampler::start(outputs, Instant::now()).expect("a thread");
        let first: Vec<Found> = sampler.found().try_iter().collect();
        let is = |found: &Found, service: usize, is: fn(&What) -> bool| {
            found.service == service && is(&found.what)
        };
        assert!(
            first
                .iter()
                .any(|f| is(f, 3, |w| matches!(w, What::Tells(kind) if **kind == GC)))
        );
        assert!(
            first
                .iter()
                .any(|f| is(f, 5, |w| matches!(w, What::Unreadable(_))))
        );
        assert_eq!(
            first.iter().filter(|f| matches!(f.what, What::Pause(..))).count(),
            2
        );
        log.write_all(LINE.as_bytes()).expect("written");
        sampler.finish();
        assert_eq!(pauses(sampler.found()), [(3, "gc", 1_050), (3, "gc", 5_050)]);
    }

    #[test]
    fn a_look_comes_back_with_what_it_was_asked_for() {
        let mut sampler = Sampler::start(Vec::new(), Instant::now()).expect("a thread");
        let own = Identity::own().expect("/proc is readable");
        let gone = Identity { pid: i32::MAX, ..own };
        sampler.look(100, Some(2), vec![(0, own), (1, gone)]);
        sampler.look(200, None, vec![(0, own)]);
        sampler.finish();
        let looks: Vec<_> = sampler
            .found()
            .try_iter()
            .map(|found| match found.what {
                What::Look { at_us, phase, look } => (found.service, at_us, phase, look.usage.rss > 0),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(looks, [(0, 100, Some(2), true), (0, 200, None, true)]);
        assert!(!sampler.keeps_up(), "it has ended");
    }
}
