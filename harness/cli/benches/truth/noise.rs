//! Short runs under noise: Squall's P99 and its verdict beside the truth.
//!
//! What is true? A generator that is never late would have measured the law plus what the noise did to the server. The
//! server notes two things. `held` runs from the moment at which the kernel stamped a request to its written reply, so the
//! server's late wake-ups are in it, before the read too. But it only knows requests that were sent: where the noise kept generator
//! and server from their processors at once, the generator sends late, the server runs again by then, and `held` misses what a
//! request sent on time would have met. `shadow` has that: the server's own requests, due at the schedule's times with the same
//! delays, which need no generator. So `shadow` is the truth that counts here, and `held` is printed beside it. `shadow` lacks
//! the way through the network stack, some 10 to 30 us, and the cost of reading: it is the truth of the server, not of the socket.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use squall_model::histogram::Histogram;
use squall_model::record::Verdict;

use crate::hogs;
use crate::processes::{Server, load};

/// Off by more than this is wrong.
const OFF: f64 = 0.05;

/// The median, and the constant, of the delays.
const DELAY: &str = "20ms";

/// Connections; more than are ever needed at once.
const CONNECTIONS: usize = 512;

/// What to run.
pub(crate) struct Plan {
    pub(crate) runs: u32,
    pub(crate) length: Duration,
    pub(crate) law: String,
    pub(crate) rate: u32,
    /// For each processor.
    pub(crate) hogs: u32,
    pub(crate) seed: u64,
}

/// What came of a run. Microseconds.
struct Row {
    hogs: usize,
    law: f64,
    shadow: f64,
    held: f64,
    squall: f64,
    /// Squall's service time, which leaves out how late a request was sent.
    service: f64,
    lag: f64,
    valid: bool,
}

impl Row {
    fn off_shadow(&self) -> f64 {
        self.squall / self.shadow - 1.0
    }

    fn off_held(&self) -> f64 {
        self.squall / self.held - 1.0
    }
}

/// Runs them all and prints what came of them.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<()> {
    println!(
        "{} runs of {:?} at {}/s, {} of {DELAY}, beside up to {} hogs a processor, seed {}; P99 in us",
        plan.runs, plan.length, plan.rate, plan.law, plan.hogs, plan.seed
    );
    println!(
        "  {:>3}{:>6}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}{:>9}  verdict",
        "run", "stays", "due", "shadow", "held", "squall", "service", "lag P99", "% shadow", "% held"
    );
    let mut rows = Vec::new();
    for run in 0..plan.runs {
        let row = one(plan, run)?;
        println!(
            "  {run:>3}{:>6}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>10.0}{:>+9.1}{:>+9.1}  {}",
            row.hogs,
            row.law,
            row.shadow,
            row.held,
            row.squall,
            row.service,
            row.lag,
            100.0 * row.off_shadow(),
            100.0 * row.off_held(),
            if row.valid { "valid" } else { "invalid" }
        );
        rows.push(row);
    }
    println!();
    sum_up(
        "shadow, what a generator that is never late would have met",
        &rows,
        Row::off_shadow,
    );
    sum_up(
        "held, what happened to the requests that were sent",
        &rows,
        Row::off_held,
    );
    Ok(())
}

fn one(plan: &Plan, run: u32) -> anyhow::Result<Row> {
    let settings = [
        format!("law={}", plan.law),
        format!("delay={DELAY}"),
        format!("median={DELAY}"),
        "sigma=0.3".to_owned(),
        format!("seed={run}"),
        format!("shadow-rate={}", plan.rate),
        format!("shadow-for={}ms", plan.length.as_millis()),
    ];
    let server = Server::start(&settings)?;
    let processors = thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let stays = hogs::draw(plan.seed, run, plan.hogs * processors, plan.length);
    let measured = thread::scope(|scope| {
        let (over, until) = mpsc::channel();
        let noise = scope.spawn(|| {
            let until = until;
            hogs::run(&stays, &until)
        });
        let measured = load(server.url(), Some(plan.rate), CONNECTIONS, plan.length);
        drop(over);
        noise
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the hogs' thread panicked")))?;
        measured
    })?;
    let told = server.law()?;
    let load = measured.load()?;
    let p99 = |histogram: &Histogram| histogram.value_at_quantile(0.99) as f64 / 1e3;
    Ok(Row {
        hogs: stays.len(),
        law: p99(&told.intended),
        shadow: p99(&told.shadow),
        held: p99(&told.held),
        squall: load.response.histogram()?.value_at_quantile(0.99) as f64,
        service: load.service.histogram()?.value_at_quantile(0.99) as f64,
        lag: load.schedule_lag.p99.unwrap_or_default() as f64,
        valid: measured.record.verdict != Verdict::Invalid,
    })
}

fn sum_up(truth: &str, rows: &[Row], off: impl Fn(&Row) -> f64) {
    let wrong = |row: &&Row| off(row).abs() > OFF;
    let share = |part: usize, whole: usize| match whole {
        0 => "none".to_owned(),
        _ => format!("{part} of {whole}, {:.1} %", 100.0 * part as f64 / whole as f64),
    };
    let valid: Vec<&Row> = rows.iter().filter(|row| row.valid).collect();
    let right: Vec<&Row> = rows.iter().filter(|row| !wrong(row)).collect();
    let valid_wrong = valid.iter().copied().filter(wrong).count();
    let right_invalid = right.iter().filter(|row| !row.valid).count();
    println!("held to {truth}:");
    println!(
        "  judged valid with P99 off by over 5 %: {} (goal: 1 %)",
        share(valid_wrong, valid.len())
    );
    println!(
        "  within 5 % and judged invalid:         {} (goal: 5 %)",
        share(right_invalid, right.len())
    );
}
