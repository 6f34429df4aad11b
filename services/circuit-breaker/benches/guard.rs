//! The time of a guarded call: asking, passing and telling how it ended, under several sets of rules, with one thread and with two.
//!
//! Criterion measures one thread; the table that follows also has two, each with calls of its own on the same resource, and how
//! many times as many calls both make in the same time. Two is linear over both cores. The claim: at most 100 ns, uncontended.

use std::hint::black_box;
use std::io;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use squall_circuit_breaker::{Entry, ResourceId, RuleSet, Switchboard, Unobserved};
use squall_service_kit::clock::monotonic;

const THREADS: [usize; 2] = [1, 2];
/// Calls of each thread for a figure of the table.
const CALLS: u64 = 1_000_000;
/// How often each figure is taken; the best counts, since others use the machine too.
const ROUNDS: usize = 15;
/// How much time passes between two calls where no clock is read.
const STEP_NS: u64 = 250;

/// Sets of rules on the resource `r`; the limits are high enough to refuse nothing.
const RULES: [(&str, &str); 5] = [
    ("no rules", "{}"),
    ("QPS", r#"{ "flow": [{ "resource": "r", "count": 200000000 }] }"#),
    (
        "error ratio",
        r#"{ "degrade": [{ "resource": "r", "grade": 1, "count": 0.5, "timeWindow": 5 }] }"#,
    ),
    (
        "QPS, error ratio, P99",
        r#"{
            "flow": [{ "resource": "r", "count": 200000000 }],
            "degrade": [{ "resource": "r", "grade": 1, "count": 0.5, "timeWindow": 5, "statIntervalMs": 10000 }],
            "latency": [{ "resource": "r" }]
        }"#,
    ),
    (
        "concurrency (one word for all)",
        r#"{ "flow": [{ "resource": "r", "grade": 0, "count": 1000 }] }"#,
    ),
];

fn board(rules: &str) -> (Switchboard, ResourceId) {
    let board = Switchboard::new(Arc::new(Unobserved));
    let rules = RuleSet::from_json(rules).expect("the rules are valid");
    board.apply(&rules).expect("the rules are valid");
    let resource = board.resource("r").expect("there is room");
    (board, resource)
}

#[inline]
fn call(board: &Switchboard, resource: ResourceId, now_ns: u64, ended_ns: impl FnOnce() -> u64) {
    match board.entry(black_box(resource), now_ns) {
        Entry::Pass(guard) => guard.succeed(ended_ns()),
        Entry::Wait(_) | Entry::Blocked(_) => unreachable!("the limits are too high for that"),
    }
}

/// What a thread does: time handed in, or read from the clock twice a call, as in a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Given,
    Read,
}

fn now_ns() -> u64 {
    monotonic().as_nanos() as u64
}

fn calls(board: &Switchboard, resource: ResourceId, time: Time) {
    match time {
        Time::Given => {
            for number in 0..CALLS {
                let now_ns = number * STEP_NS;
                call(board, resource, now_ns, || now_ns + STEP_NS);
            }
        }
        Time::Read => {
            for _ in 0..CALLS {
                call(board, resource, now_ns(), now_ns);
            }
        }
    }
}

/// Nanoseconds per call of a thread, with this many threads at once.
fn ns_per_call(rules: &str, threads: usize, time: Time) -> f64 {
    let round = || {
        let (board, resource) = board(rules);
        let gate = Barrier::new(threads);
        let run = || {
            gate.wait();
            let began = Instant::now();
            calls(&board, resource, time);
            began.elapsed()
        };
        let took = thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            let ended = handles
                .into_iter()
                .map(|handle| handle.join().expect("no thread panics"));
            ended.max().unwrap_or(Duration::ZERO)
        });
        took.as_nanos() as f64 / CALLS as f64
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

fn print_table(mut out: impl io::Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:32} {:>11} {:>11} {:>9} {:>17}",
        "", "1 thread", "2 threads", "times", "1, clock read too"
    )?;
    for (name, rules) in RULES {
        let [one, two] = THREADS.map(|threads| ns_per_call(rules, threads, Time::Given));
        let read = ns_per_call(rules, 1, Time::Read);
        writeln!(
            out,
            "{name:32} {one:>8.1} ns {two:>8.1} ns {:>9.2} {read:>14.1} ns",
            2.0 * one / two
        )?;
    }
    writeln!(out, "claim: at most 100 ns with 1 thread; times 2 is linear\n")
}

fn guarded_call(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("guarded call");
    group.throughput(Throughput::Elements(1)).sample_size(20);
    group
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    for (name, rules) in RULES {
        group.bench_function(name, |bencher| {
            let (board, resource) = board(rules);
            let mut now_ns = 0;
            bencher.iter(|| {
                now_ns += STEP_NS;
                call(&board, resource, now_ns, || now_ns + STEP_NS);
            });
        });
    }
    group.finish();
}

fn main() -> io::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    guarded_call(&mut criterion);
    criterion.final_summary();
    // Without it this is a test run, which only checks that everything runs.
    if std::env::args().any(|argument| argument == "--bench") {
        print_table(io::stdout().lock())?;
    }
    Ok(())
}
