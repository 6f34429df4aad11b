//! Proves the budget of the `unique` checker: 100 million values of each shape under 1 GiB resident and 60 s of
//! one core, with every planted duplicate found and nothing else. Also shows what `monotonic` costs.
//!
//!     cargo run --release -p squall-engine --example invariant_budget            every shape
//!     cargo run --release -p squall-engine --example invariant_budget random 10000000
//!
//! Each shape runs in a process of its own, as peak memory belongs to a process. Exits 1 if a budget is missed.

#![expect(
    clippy::print_stdout,
    reason = "printing its figures is what this program is for"
)]

use std::process::{Command, ExitCode};
use std::time::Duration;

use squall_engine::invariant::{Invariant, Monotonic, Outcome, Settings, Unique, Verdict};
use squall_model::observation::ObservedBatch;

const VALUES: u64 = 100_000_000;
const SECONDS_MAX: f64 = 60.0;
const MIB_MAX: f64 = 1024.0;

/// Values in a response, where it isn't a single one.
const RESPONSE: u64 = 100;

/// Generator threads, whose batches take turns.
const THREADS: u64 = 4;

/// Values in a thread's batch: whole responses.
const BATCH: u64 = (ObservedBatch::VALUES_FULL as u64).div_ceil(RESPONSE) * RESPONSE;

/// Values a second that the random shapes come at.
const RATE: u64 = 4_000_000;

/// One value in this many is planted again later.
const PLANT_EVERY: u64 = 1_000_003;

/// A stream of values, none twice, and the microsecond at which each comes.
struct Shape {
    name: &'static str,
    about: &'static str,
    /// The `i`-th value, and when it comes.
    value: fn(u64) -> (u64, u64),
    text: bool,
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "dense",
        about: "snowflake ids, 4,000 per ms",
        value: dense,
        text: false,
    },
    Shape {
        name: "sparse",
        about: "snowflake ids, 1 to 10 per ms",
        value: sparse,
        text: false,
    },
    Shape {
        name: "random",
        about: "random 64-bit numbers",
        value: random,
        text: false,
    },
    Shape {
        name: "texts",
        about: "random texts of 36 bytes, as UUIDs",
        value: random,
        text: true,
    },
];

const fn snowflake(ms: u64, node: u64, sequence: u64) -> u64 {
    (ms + 40_000_000_000) << 22 | node << 12 | sequence
}

fn dense(i: u64) -> (u64, u64) {
    (snowflake(i / 4000, 7, i % 4000), i / 4)
}

/// 55 ids in 10 ms, 1 to 10 each; the sequence starts anywhere and steps by a prime, so none repeats within a
/// millisecond.
fn sparse(i: u64) -> (u64, u64) {
    let within = i % 55;
    let (mut ms, mut start) = (0, 0);
    while start + ms < within {
        start += ms + 1;
        ms += 1;
    }
    let ms = i / 55 * 10 + ms;
    let sequence = (random(ms).0 + (within - start) * 1301) % 4096;
    (snowflake(ms, random(ms).0 >> 40 & 1023, sequence), ms * 1000)
}

/// The splitmix64 mix is a bijection, so it can't repeat by chance.
fn random(i: u64) -> (u64, u64) {
    let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ mixed >> 31, i * 1_000_000 / RATE)
}

/// The value that arrives `i`-th, where each thread gets every fourth response and hands them over a batch at a
/// time.
fn interleaved(i: u64) -> u64 {
    let (group, within) = (i / (THREADS * BATCH), i % (THREADS * BATCH));
    let (thread, at) = (within / BATCH, within % BATCH);
    group * THREADS * BATCH + (at / RESPONSE * THREADS + thread) * RESPONSE + at % RESPONSE
}

/// CPU time of this thread: the budget is of one core, whatever else the machine does.
fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A checker, and the CPU time spent in it.
struct Timed<T> {
    checker: T,
    spent: Duration,
    longest: Duration,
}

impl<T: Invariant> Timed<T> {
    fn new(checker: T) -> Self {
        Self {
            checker,
            spent: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }

    fn time<R>(&mut self, call: impl FnOnce(&mut T) -> R) -> R {
        let start = thread_cpu();
        let result = call(&mut self.checker);
        let took = thread_cpu().saturating_sub(start);
        self.spent += took;
        self.longest = self.longest.max(took);
        result
    }
}

/// What the responses are like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Responses {
    /// [`RESPONSE`] values each.
    Whole,
    /// The same, some values coming twice.
    Planted,
    /// One value each.
    Single,
}

/// Feeds `count` values of a shape in responses and batches as the load makes them, then ends the check; returns
/// its outcome and how many duplicates were planted.
fn feed<T: Invariant>(timed: &mut Timed<T>, shape: &Shape, count: u64, kind: Responses) -> (Outcome, u64) {
    let (mut planted, mut response) = (0, 0);
    let mut batch = ObservedBatch::new(0);
    for i in 0..count {
        // Planted values lie at distances from 0 to everything so far.
        let again = kind == Responses::Planted && i % PLANT_EVERY == PLANT_EVERY - 1;
        planted += u64::from(again);
        let (value, at_us) = (shape.value)(interleaved(i));
        let value = if again {
            (shape.value)(interleaved(random(i).0 % i)).0
        } else {
            value
        };
        if shape.text {
            let [a, b, c] = [value >> 32, value & 0xffff_ffff, value.rotate_left(17)];
            batch.push_text(&format!("{a:08x}-{b:08x}-{c:018x}"));
        } else {
            batch.push_integer(value);
        }
        response += 1;
        if response == RESPONSE || kind == Responses::Single || i + 1 == count {
            batch.close_response(at_us.saturating_sub(300), at_us);
            response = 0;
        }
        if batch.is_full() && response == 0 {
            timed.time(|checker| checker.observe(&batch));
            batch.clear();
        }
    }
    timed.time(|checker| checker.observe(&batch));
    (timed.time(Invariant::finish), planted)
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

/// Runs one shape in this process; true if it stays within the budget and finds exactly what was planted.
fn measure(shape: &Shape, count: u64) -> bool {
    let mut timed = Timed::new(Unique::new(Settings::default()));
    let (outcome, planted) = feed(&mut timed, shape, count, Responses::Planted);
    let (seconds, peak) = (timed.spent.as_secs_f64(), peak_mib());
    let kept = timed.checker.kept_bytes() as f64 / (count - planted) as f64;
    let exact = outcome.checked == count && outcome.violations == planted && outcome.reason.is_empty();
    let fits = seconds < SECONDS_MAX && peak < MIB_MAX;
    println!(
        "unique    {:7} {count:>11} values: {seconds:6.2} s, longest call {:4.2} s, peak {peak:6.1} MiB, \
         {kept:5.2} bytes a value, {} of {planted} planted duplicates found, verdict {}{}  ({})",
        shape.name,
        timed.longest.as_secs_f64(),
        outcome.violations,
        outcome.verdict.as_str(),
        if exact && fits { "" } else { "  MISSED" },
        shape.about,
    );
    exact && fits
}

fn measure_monotonic(name: &str, kind: Responses, count: u64) -> bool {
    let mut timed = Timed::new(Monotonic::new(Settings::default()));
    let (outcome, _) = feed(&mut timed, &SHAPES[0], count, kind);
    println!(
        "monotonic {name:7} {count:>11} values: {:6.2} s, longest call {:4.2} s, peak {:6.1} MiB, verdict {}",
        timed.spent.as_secs_f64(),
        timed.longest.as_secs_f64(),
        peak_mib(),
        outcome.verdict.as_str()
    );
    outcome.verdict == Verdict::Pass
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next();
    let count = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(VALUES);
    let held = match name.as_deref() {
        Some("monotonic") => {
            measure_monotonic("dense", Responses::Whole, count)
                && measure_monotonic("single", Responses::Single, count / 4)
        }
        Some(name) => SHAPES
            .iter()
            .find(|shape| shape.name == name)
            .is_some_and(|shape| measure(shape, count)),
        None => {
            let names = SHAPES.iter().map(|shape| shape.name).chain(["monotonic"]);
            let program = std::env::current_exe().expect("the program knows where it is");
            let run = |name: &str| {
                Command::new(&program)
                    .arg(name)
                    .status()
                    .is_ok_and(|status| status.success())
            };
            // Each is run, also after one that missed.
            names.filter(|name| !run(name)).count() == 0
        }
    };
    if held {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
