//! Ids per second and time per id of one node, with 1 to 16 threads, while the clock is sound and after it has stepped
//! back by 50 ms. The generator keeps its mark on disk, as the service's does.
//!
//! Criterion measures the throughput; the table that follows also has the time per id, which criterion does not give,
//! and looks for duplicates, next to what the document claims for its own machine.

use std::io;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use hdrhistogram::Histogram;
use squall_id_generator::{Config, Generator, HighWaterMark, ShiftedClock, Unobserved};
use tempfile::TempDir;

const THREADS: [usize; 5] = [1, 2, 4, 8, 16];
/// How long each figure of the table is measured.
const SPAN: Duration = Duration::from_millis(700);
const STEP_US: i64 = -50_000;

/// What the document claims: ids a second and the P99 of the time per id, with 16 threads.
const CLAIMS: [(State, f64, f64); 2] = [
    (State::Sound, 428_000.0, 180.0),
    (State::SteppedBack, 392_000.0, 230.0),
];

/// What the clock did before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    SteppedBack,
}

impl State {
    const ALL: [Self; 2] = [Self::Sound, Self::SteppedBack];

    fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound clock",
            Self::SteppedBack => "after -50 ms",
        }
    }
}

/// A generator whose clock can be stepped, with its state in a folder of its own.
struct Node {
    generator: Generator<Arc<ShiftedClock>>,
    clock: Arc<ShiftedClock>,
    _folder: TempDir,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(ShiftedClock::default());
        let mark = HighWaterMark::open(folder.path(), 0, Arc::new(Unobserved)).expect("a new state file");
        let generator = Generator::new(Config::default(), Arc::clone(&clock), mark, Arc::new(Unobserved));
        Self {
            generator,
            clock,
            _folder: folder,
        }
    }

    fn prepare(&self, state: State) {
        self.next();
        if state == State::SteppedBack {
            self.clock.step_us(STEP_US);
        }
    }

    fn next(&self) -> u64 {
        self.generator.next_id().expect("the policy is never to refuse")
    }
}

/// Runs `work` in this many threads at once; what each returned, and how long all of them took.
fn together<T: Send>(threads: usize, work: impl Fn() -> T + Sync) -> (Vec<T>, Duration) {
    let gate = Barrier::new(threads);
    let run = || {
        gate.wait();
        let began = Instant::now();
        let result = work();
        (result, began, Instant::now())
    };
    let runs: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("no thread panics"))
            .collect()
    });
    let began = runs
        .iter()
        .map(|(_, began, _)| *began)
        .min()
        .expect("there is a thread");
    let ended = runs
        .iter()
        .map(|(.., ended)| *ended)
        .max()
        .expect("there is a thread");
    (
        runs.into_iter().map(|(result, ..)| result).collect(),
        ended - began,
    )
}

fn throughput(criterion: &mut Criterion) {
    for state in State::ALL {
        let mut group = criterion.benchmark_group(state.name());
        group.throughput(Throughput::Elements(1)).sample_size(10);
        group
            .warm_up_time(Duration::from_millis(300))
            .measurement_time(Duration::from_secs(1));
        for threads in THREADS {
            group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
                bencher.iter_custom(|ids| {
                    let node = Node::new();
                    node.prepare(state);
                    let each = ids.div_ceil(threads as u64);
                    let (_, took) = together(threads, || {
                        (0..each).map(|_| node.next()).fold(0, u64::wrapping_add)
                    });
                    took.mul_f64(ids as f64 / (each * threads as u64) as f64)
                });
            });
        }
        group.finish();
    }
}

/// One line of the table.
struct Figures {
    ids_per_second: f64,
    duplicates: usize,
    per_id_ns: Histogram<u64>,
}

fn measure(state: State, threads: usize) -> Figures {
    let node = Node::new();
    node.prepare(state);
    let (ids, took) = together(threads, || {
        let until = Instant::now() + SPAN;
        let mut ids = Vec::with_capacity(1 << 22);
        while Instant::now() < until {
            ids.extend((0..64).map(|_| node.next()));
        }
        ids
    });
    let mut ids = ids.concat();
    let ids_per_second = ids.len() as f64 / took.as_secs_f64();
    ids.sort_unstable();
    let duplicates = ids.windows(2).filter(|pair| pair[0] == pair[1]).count();
    let per_id_ns = time_per_id(state, threads);
    Figures {
        ids_per_second,
        duplicates,
        per_id_ns,
    }
}

/// The time of each id, on its own: taking the time costs some itself and would lower the throughput.
fn time_per_id(state: State, threads: usize) -> Histogram<u64> {
    let node = Node::new();
    node.prepare(state);
    let (histograms, _) = together(threads, || {
        let mut histogram = empty();
        let until = Instant::now() + SPAN;
        let mut last = Instant::now();
        while last < until {
            node.next();
            let now = Instant::now();
            histogram.saturating_record((now - last).as_nanos() as u64);
            last = now;
        }
        histogram
    });
    let mut all = empty();
    for histogram in histograms {
        all.add(histogram).expect("they have the same bounds");
    }
    all
}

/// Nanoseconds up to a minute. Given bounds, since a histogram that grows does not grow for a value it can clamp.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are valid")
}

fn print_table(mut out: impl io::Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:14} {:>7} {:>14} {:>10} {:>12} {:>12} {:>12} {:>12}",
        "", "threads", "ids/s", "duplicates", "P50", "P99", "P99.9", "max"
    )?;
    for state in State::ALL {
        for threads in THREADS {
            let figures = measure(state, threads);
            let us = |quantile| figures.per_id_ns.value_at_quantile(quantile) as f64 / 1e3;
            write!(
                out,
                "{:14} {threads:>7} {:>14.0} {:>10}",
                state.name(),
                figures.ids_per_second,
                figures.duplicates
            )?;
            writeln!(
                out,
                " {:>9.2} us {:>9.2} us {:>9.2} us {:>9.0} us",
                us(0.5),
                us(0.99),
                us(0.999),
                us(1.0)
            )?;
        }
    }
    for (state, ids_per_second, p99_us) in CLAIMS {
        writeln!(
            out,
            "{:14} {:>7} {ids_per_second:>14.0} {:>10} {:>12} {p99_us:>9.2} us   claimed, elsewhere",
            state.name(),
            16,
            0,
            ""
        )?;
    }
    writeln!(
        out,
        "one node can issue 4096000 ids/s: 4096 a millisecond, then each thread waits for the next\n"
    )
}

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    throughput(&mut criterion);
    criterion.final_summary();
    // Without it this is a test run, which only checks that everything runs.
    if std::env::args().any(|argument| argument == "--bench") {
        print_table(io::stdout().lock())?;
    }
    Ok(())
}
