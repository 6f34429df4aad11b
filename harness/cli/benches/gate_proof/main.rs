//! What the gate makes of changes that are known: real gates on this machine of a service that is worse by a setting.
//!
//! `cargo bench -p squall --bench gate_proof -- --help`. Prints a table as it comes; asserts nothing, since what a machine lets a gate see is
//! the machine's. A case that should regress and passed, or the other way round, is marked.
#![expect(clippy::print_stdout, reason = "a table on standard output is what it is for")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use clap::Parser;
use squall_model::gate::{GateRecord, GateVerdict, MetricRecord, MetricScale};

/// Gate changes that are known.
#[derive(Parser)]
#[command(after_help = "Example: just gate-proof --only work --repeat 3")]
struct Arguments {
    /// Only cases whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// How often each.
    #[arg(long, default_value_t = 1)]
    repeat: u32,
    /// The time that each gate is given.
    #[arg(long, default_value = "10m")]
    budget: String,
    /// Where gates land.
    #[arg(long, default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/gate-proof"))]
    out: PathBuf,
    /// Also build squall once more, linked in another order, which takes minutes, and gate that.
    #[arg(long)]
    relink: bool,
    /// What `cargo bench` gives every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A change, and whether it makes anything worse.
struct Case {
    name: &'static str,
    scenario: &'static str,
    /// Further arguments of `squall gate`.
    change: Vec<String>,
    is_worse: bool,
}

/// A service that works for 400 us on each request, and is asked 500 times a second.
const STEADY: &str = "squall: 1
name: proof-steady
about: A service whose cost, delays, errors and pauses are settings.
services: { law: { use: delay-law, with: { delay: 1ms, work: 400us } } }
load: { ask: { to: law, http: { get: / }, rate: 500/s, arrivals: poisson, timeout: 5s } }
phases: [ { phase: steady, for: 10s, baseline: true } ]
gate: { slice: 1s, slices: 3 }
";

/// The same as a program that is started with an environment.
const PROGRAM: &str = "squall: 1
name: proof-program
about: A service whose environment grows and whose program is linked in another order.
services:
  law:
    run: [SQUALL, serve, delay-law, --listen, \"127.0.0.1:{port}\", --set, delay=1ms, --set, work=400us]
    env: { PADDING: none }
load: { ask: { to: law, http: { get: / }, rate: 500/s, arrivals: poisson, timeout: 5s } }
phases: [ { phase: steady, for: 10s, baseline: true } ]
gate: { slice: 1s, slices: 3 }
";

/// A service that does one thing at a time: after it was held, what has queued up takes the longer the slower it is.
const RECOVERY: &str = "squall: 1
name: proof-recovery
about: One at a time; after a hold of 400 ms the queue is gone after 370 ms, and 570 ms with 980 us instead of 800 us.
services: { law: { use: delay-law, with: { delay: 800us, slots: 1 } } }
load: { ask: { to: law, http: { get: / }, rate: 600/s, timeout: 5s } }
phases:
  - { phase: steady, for: 3s, baseline: true }
  - phase: held
    for: 3s
    faults: [ pause: { target: law, after: 200ms, for: 400ms } ]
gate: { slices: 1 }
";

fn cases() -> Vec<Case> {
    let law = |setting: &str| {
        vec![
            "--candidate-set".to_owned(),
            format!("services.law.with.{setting}"),
        ]
    };
    let laws = |settings: &[&str]| settings.iter().flat_map(|setting| law(setting)).collect();
    let worse = |name, change| Case {
        name,
        scenario: STEADY,
        change,
        is_worse: true,
    };
    vec![
        Case {
            name: "the same",
            scenario: STEADY,
            change: Vec::new(),
            is_worse: false,
        },
        worse("work +5 %", law("work=420us")),
        worse("work +10 %", law("work=440us")),
        worse("work +20 %", law("work=480us")),
        worse(
            "2 % of requests 5 ms later",
            laws(&["law=two-modes", "second=6ms", "share=2%"]),
        ),
        worse(
            "a stall of 50 ms every 5 s",
            laws(&["pause=50ms", "pause-every=5s"]),
        ),
        worse("0.2 points more errors", law("error-share=0.2%")),
        Case {
            name: "recovery 200 ms later",
            scenario: RECOVERY,
            change: [
                law("delay=980us"),
                vec!["--metric".to_owned(), "pause.recovery".to_owned()],
            ]
            .concat(),
            is_worse: true,
        },
        Case {
            name: "another environment",
            scenario: PROGRAM,
            change: vec![
                "--candidate-set".to_owned(),
                format!("services.law.env.PADDING={}", "x".repeat(3_000)),
            ],
            is_worse: false,
        },
    ]
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let squall = Path::new(env!("CARGO_BIN_EXE_squall"));
    fs::create_dir_all(&arguments.out)?;
    let mut cases = cases();
    if arguments.relink {
        let other = relinked(&arguments.out)?;
        cases.push(Case {
            name: "linked in another order",
            scenario: PROGRAM,
            change: vec![
                "--candidate-set".to_owned(),
                format!(
                    "services.law.run=[{}, serve, delay-law, --listen, \"127.0.0.1:{{port}}\", --set, delay=1ms, --set, work=400us]",
                    other.display()
                ),
            ],
            is_worse: false,
        });
    }
    println!(
        "{:<28} {:<13} {:>7} {:>6}  what regressed, or decided",
        "change", "verdict", "minutes", "blocks"
    );
    for case in cases.iter().filter(|case| case.name.contains(&arguments.only)) {
        for turn in 0..arguments.repeat {
            let record = gate(squall, case, turn, arguments).with_context(|| case.name.to_owned())?;
            println!("{}", row(case, &record));
        }
    }
    Ok(())
}

/// Squall linked once more, with its sections in another order, in a target folder of its own.
fn relinked(out: &Path) -> anyhow::Result<PathBuf> {
    let target = fs::canonicalize(out)?.join("build");
    let ended = Command::new("cargo")
        .args([
            "rustc",
            "--release",
            "-p",
            "squall",
            "--bin",
            "squall",
            "--target-dir",
        ])
        .arg(&target)
        .args(["--", "-C", "link-arg=-Wl,--sort-section=alignment"])
        .status()
        .context("cargo")?;
    ensure!(ended.success(), "linking in another order: {ended}");
    Ok(target.join("release/squall"))
}

fn gate(squall: &Path, case: &Case, turn: u32, arguments: &Arguments) -> anyhow::Result<GateRecord> {
    let file = arguments.out.join("scenario.yaml");
    fs::write(
        &file,
        case.scenario.replace("SQUALL", &squall.display().to_string()),
    )?;
    let ended = Command::new(squall)
        .arg("gate")
        .arg(&file)
        .args([
            "--json",
            "--budget",
            &arguments.budget,
            "--seed",
            &(turn + 1).to_string(),
            "--out",
        ])
        .arg(&arguments.out)
        .args(&case.change)
        .stderr(Stdio::inherit())
        .output()?;
    serde_json::from_slice(&ended.stdout).with_context(|| format!("squall gate ended with {}", ended.status))
}

fn row(case: &Case, record: &GateRecord) -> String {
    let regressed = record.verdict == GateVerdict::Regressed;
    let mark = if case.is_worse != regressed && record.verdict != GateVerdict::Inconclusive {
        " (!)"
    } else {
        ""
    };
    let told = record.metrics.iter().filter(|metric| {
        let is_regressed = metric
            .finding
            .is_some_and(|finding| finding.verdict == GateVerdict::Regressed);
        if regressed { is_regressed } else { metric.decides }
    });
    let told: Vec<String> = told.map(change).collect();
    format!(
        "{:<28} {:<13} {:>7.1} {:>6}  {}",
        case.name,
        format!("{}{mark}", record.verdict.as_str()),
        record.duration_us as f64 / 60e6,
        record.looked_at,
        if told.is_empty() {
            record.reasons.join("; ")
        } else {
            told.join(", ")
        }
    )
}

/// `ask.p99 +10.2 % (5.1 to 14.9)`.
fn change(metric: &MetricRecord) -> String {
    let Some(finding) = metric.finding else {
        return metric.name.clone();
    };
    let shown = |value: f64| match metric.scale {
        MetricScale::Ratio => (value - 1.0) * 100.0,
        MetricScale::Difference => value * 100.0,
    };
    let bound = |bound: Option<f64>| bound.map_or("?".to_owned(), |bound| format!("{:+.1}", shown(bound)));
    let unit = match metric.scale {
        MetricScale::Ratio => "%",
        MetricScale::Difference => "points",
    };
    format!(
        "{} {:+.1} {unit} ({} to {})",
        metric.name,
        shown(finding.estimate),
        bound(finding.lower),
        bound(finding.upper)
    )
}
