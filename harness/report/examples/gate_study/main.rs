//! Gates on made-up machines, tens of thousands of them, through the code that decides real ones: how often the same code is blocked, how
//! often a slower one is found, and how long that takes. docs/gate-statistics.md has the tables.
//!
//!     cargo run --release -p squall-report --example gate_study
//!     cargo run --release -p squall-report --example gate_study -- 500
//!
//! The number is that of gates on the same code for each machine; 10,000 where none is given. `noise.rs` says what the machines are.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

mod noise;
mod rivals;

use std::time::Duration;

use noise::{BLOCK_S, Machine, PROFILES, Profile};
use squall_model::gate::GateVerdict;
use squall_model::gate::{Both, MetricKind, MetricScale};
use squall_model::seed::Seed;
use squall_report::gate::decide::{Gate, LimitOverride, Next, Settings};
use squall_report::gate::limits::{Limits, shown};
use squall_report::gate::looks::{LOOKS, Tests};
use squall_report::gate::metric::{MetricId, Paired, Reading, Readings};
use squall_report::gate::planner::{self, Noise};

/// The time a gate has.
const BUDGET: Duration = Duration::from_mins(10);

const SEED: Seed = Seed::new(2026);

/// What is true of the candidate, on the axis of the test.
#[derive(Clone, Copy, Debug)]
enum Truth {
    /// It is the same.
    Same,
    /// P99 and P99.9 are so much longer; all else is the same.
    Tail(f64),
    /// CPU time and all latencies are so much more.
    Work(f64),
}

impl Truth {
    fn of(self, kind: MetricKind) -> f64 {
        match (self, kind) {
            (Truth::Tail(worse), MetricKind::P99 | MetricKind::P999)
            | (Truth::Work(worse), MetricKind::Cpu | MetricKind::P50 | MetricKind::P99 | MetricKind::P999) => {
                worse.ln_1p()
            }
            _ => 0.0,
        }
    }
}

/// What came of many gates.
#[derive(Debug, Default)]
struct Outcomes {
    gates: u64,
    regressed: u64,
    passed: u64,
    /// Of those that regressed or passed.
    minutes: f64,
    /// Gates in which P99 was one of the metrics that decide.
    p99_decides: u64,
}

impl Outcomes {
    fn percent(&self, of: u64) -> f64 {
        100.0 * of as f64 / self.gates as f64
    }

    fn decided(&self) -> u64 {
        self.regressed + self.passed
    }

    /// Of those that decided; nothing where none did.
    fn mean_minutes(&self) -> String {
        match self.decided() {
            0 => "-".to_owned(),
            decided => format!("{:.1}", self.minutes / decided as f64),
        }
    }

    fn found(&self) -> String {
        format!("{:.0} % / {}", self.percent(self.regressed), self.mean_minutes())
    }
}

fn gates(profile: Profile, gates: u64, settings: &Settings, truth: Truth, seed: Seed) -> Outcomes {
    let mut outcomes = Outcomes {
        gates,
        ..Outcomes::default()
    };
    for number in 0..gates {
        let mut gate = Gate::new(settings.clone()).expect("nothing is out of the ordinary");
        let mut machine = Machine::new(profile, seed.nth(number));
        let mut elapsed = 0.0;
        loop {
            elapsed += BLOCK_S;
            let readings = readings(machine.block(|kind| truth.of(kind)));
            let next = gate.take_readings(Some(readings), Duration::from_secs_f64(elapsed));
            if let Next::Stop(_) = next {
                break;
            }
        }
        let verdict = gate.verdict();
        outcomes.regressed += u64::from(verdict == GateVerdict::Regressed);
        outcomes.passed += u64::from(matches!(verdict, GateVerdict::Pass | GateVerdict::Improved));
        if verdict != GateVerdict::Inconclusive {
            outcomes.minutes += elapsed / 60.0;
        }
        let metrics = gate.progress().metrics;
        let decides = metrics
            .iter()
            .any(|metric| metric.decides && metric.name == "refresh.p99");
        outcomes.p99_decides += u64::from(decides);
    }
    outcomes
}

fn readings(changes: noise::Changes) -> Readings {
    let reading = |(kind, change): (MetricKind, f64)| {
        let id = match kind {
            MetricKind::Cpu | MetricKind::Pause => MetricId::of_arm(kind),
            _ => MetricId::new(kind, "refresh"),
        };
        let base = match id.scale() {
            MetricScale::Ratio => 1.0,
            MetricScale::Difference => 0.0,
        };
        let values = Both {
            base,
            candidate: shown(id.scale(), change),
        };
        (id, Reading::Paired(Paired { values, change }))
    };
    changes.into_iter().map(reading).collect()
}

/// The upper end of Clopper and Pearson's one-sided interval of 95 % ("The use of confidence or fiducial limits", Biometrika 26, 1934): the
/// largest chance with which as few as `count` of `of` come in 5 of 100 studies. By halving, since the binomial sum falls as the chance grows.
fn upper(count: u64, of: u64) -> f64 {
    let at_most = |chance: f64| {
        let mut log_term = of as f64 * (-chance).ln_1p();
        let mut sum = log_term.exp();
        for k in 0..count {
            log_term += ((of - k) as f64 / (k + 1) as f64).ln() + (chance / (1.0 - chance)).ln();
            sum += log_term.exp();
        }
        sum
    };
    let (mut low, mut high) = (count as f64 / of as f64, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn main() {
    let same = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(10_000);
    let slower = (same / 5).max(1);
    println!("Gates of 10 minutes with blocks of {BLOCK_S} s and 6 metrics, {same} each on the same code.\n");
    on_the_same_code(same);
    on_slower_code(slower);
    with_a_wider_tolerance(slower);
    beside_others(same);
    by_the_plan(slower);
}

fn on_the_same_code(count: u64) {
    println!("Blocked falsely, of 100 (below, with 95 %); P99 decides; decided in time; minutes\n");
    println!("| machine | margin 2 % | at the margin | one binary | P99 decides | decided | minutes |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for profile in PROFILES {
        let seed = SEED.child(profile.name);
        let settings = Settings::new(BUDGET);
        let usual = gates(profile, count, &settings, Truth::Same, seed.child("same"));
        let edge = gates(profile, count, &settings, Truth::Work(0.02), seed.child("edge"));
        let one = Settings {
            same_binary: true,
            ..settings
        };
        let binary = gates(profile, count, &one, Truth::Same, seed.child("binary"));
        let blocked = |outcomes: &Outcomes| {
            format!(
                "{:.2} ({:.2})",
                outcomes.percent(outcomes.regressed),
                100.0 * upper(outcomes.regressed, outcomes.gates)
            )
        };
        println!(
            "| {} | {} | {} | {} | {:.0} % | {:.0} % | {} |",
            profile.name,
            blocked(&usual),
            blocked(&edge),
            blocked(&binary),
            usual.percent(usual.p99_decides),
            usual.percent(usual.decided()),
            usual.mean_minutes()
        );
    }
}

fn on_slower_code(count: u64) {
    println!("\nFound / minutes until a verdict, of {count} gates each\n");
    println!("| machine | tail +5 % | +10 % | +20 % | work +5 % | +10 % | +20 % |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for profile in PROFILES {
        let seed = SEED.child(profile.name).child("slower");
        let found = |truth| gates(profile, count, &Settings::new(BUDGET), truth, seed).found();
        let tail = [0.05, 0.1, 0.2].map(|worse| found(Truth::Tail(worse)));
        let work = [0.05, 0.1, 0.2].map(|worse| found(Truth::Work(worse)));
        println!(
            "| {} | {} | {} |",
            profile.name,
            tail.join(" | "),
            work.join(" | ")
        );
    }
}

/// P99 varies more than its usual tolerance can bear on most machines; a scenario may ask for less.
fn with_a_wider_tolerance(count: u64) {
    println!(
        "\nWith a tolerance of 10 % for P99: the same code, and found / minutes, of {count} gates each\n"
    );
    println!("| machine | blocked | P99 decides | decided | minutes | tail +5 % | +10 % | +20 % |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for profile in PROFILES {
        let seed = SEED.child(profile.name).child("wider");
        let run = |truth| {
            let settings = Settings {
                overrides: vec![LimitOverride {
                    metric: "p99".to_owned(),
                    margin: None,
                    tolerance: Some(0.1),
                }],
                ..Settings::new(BUDGET)
            };
            gates(profile, count, &settings, truth, seed)
        };
        let same = run(Truth::Same);
        let tail = [0.05, 0.1, 0.2].map(|worse| run(Truth::Tail(worse)).found());
        println!(
            "| {} | {:.2} | {:.0} % | {:.0} % | {} | {} |",
            profile.name,
            same.percent(same.regressed),
            same.percent(same.p99_decides),
            same.percent(same.decided()),
            same.mean_minutes(),
            tail.join(" | ")
        );
    }
}

fn beside_others(count: u64) {
    println!(
        "\nOther rules on P99: blocked falsely, of 100, and found at +10 %, of {count} comparisons each\n"
    );
    println!(
        "| machine | one run against one, 5 % | found | seconds, Mann-Whitney | found | 5 pairs, t-test | found |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for profile in PROFILES {
        let seed = SEED.child(profile.name).child("others");
        let same = rivals::alarms(profile, count, 0.0, seed);
        let slower = rivals::alarms(profile, count, 1.1_f64.ln(), seed);
        let percent = |alarms: u64| format!("{:.0}", 100.0 * alarms as f64 / count as f64);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} |",
            profile.name,
            percent(same.one_run),
            percent(slower.one_run),
            percent(same.seconds),
            percent(slower.seconds),
            percent(same.pairs),
            percent(slower.pairs)
        );
    }
}

/// Holds the plan to what it says: normal noise, just so much that the formula asks for the blocks of each look.
fn by_the_plan(count: u64) {
    println!(
        "\nWhere the formula asks for N blocks: found after N at the tolerance of 5 %, and at what the plan says is seen, of {count} each\n"
    );
    println!("| N | alone: +5 % | seen from | found | of eight metrics: +5 % | seen from | found |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for blocks in LOOKS {
        let spread = planner::bearable(Limits::USUAL, blocks);
        let of = |metrics| {
            let tests = Tests {
                gates: std::num::NonZeroU32::MIN,
                metrics,
            };
            let noise = Noise { spread, share: 1.0 };
            let seen = planner::smallest(noise, Limits::USUAL, blocks, tests).unwrap_or(f64::INFINITY);
            let found = |worse: f64| planned(blocks, spread, metrics, worse, count);
            format!(
                "{:.0} % | +{:.1} % | {:.0} %",
                found(0.05),
                100.0 * seen,
                found(seen)
            )
        };
        println!("| {blocks} | {} | {} |", of(1), of(8));
    }
}

/// In how many percent of gates, the first of `metrics` alike being worse, a look up to the one after `blocks` blocks finds it.
fn planned(blocks: usize, spread: f64, metrics: usize, worse: f64, count: u64) -> f64 {
    let names: Vec<MetricId> = (0..metrics)
        .map(|number| MetricId::new(MetricKind::P99, format!("load{number}")))
        .collect();
    let mut found = 0;
    for number in 0..count {
        let mut draws = noise::Draws::new(SEED.child("plan").nth(number));
        let mut gate = Gate::new(Settings::new(Duration::MAX)).expect("nothing is out of the ordinary");
        for block in 0..blocks {
            let reading = |(at, id): (usize, &MetricId)| {
                let middle = if at == 0 { worse.ln_1p() } else { 0.0 };
                let change = middle + spread * draws.normal();
                let values = Both {
                    base: 1.0,
                    candidate: change.exp(),
                };
                (id.clone(), Reading::Paired(Paired { values, change }))
            };
            let readings = names.iter().enumerate().map(reading).collect();
            let elapsed = Duration::from_secs(block as u64 + 1);
            gate.take_readings(Some(readings), elapsed);
            if gate.verdict() != GateVerdict::Inconclusive {
                break;
            }
        }
        found += u64::from(gate.verdict() == GateVerdict::Regressed);
    }
    100.0 * found as f64 / count as f64
}
