//! Gates of made-up blocks: when they stop, what they say, and what they must not look at.

mod accepted;
mod choosing;
mod ending;
mod said;
mod study;
mod violated;
mod worse;

use squall_model::gate::{ArmAbout, Both, GateRecord, MetricKind, ViolationRecord};
use squall_model::record::Machine;
use squall_model::seed::{Seed, unit};

use super::super::limits::Limits;
use super::super::metric::{MetricId, Paired, Reading};
use super::super::planner;
use super::*;

/// What a block of these gates takes.
const BLOCK: Duration = Duration::from_secs(7);

const BLOCKING: Policy = Policy {
    blocks_merge: true,
    fail_on_inconclusive: false,
};

fn settings() -> Settings {
    Settings::new(Duration::from_mins(11))
}

fn about() -> About {
    About {
        squall: "0.1.0".to_owned(),
        scenario: "feed".to_owned(),
        about: String::new(),
        benchmarks: None,
        command: "squall gate feed --base main".to_owned(),
        seed: 7,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        duration: Duration::from_mins(2),
        machine: Machine {
            cores: 2,
            memory: 4 << 30,
            os: "Linux".to_owned(),
            cpu: "any".to_owned(),
        },
        arms: Both::<ArmAbout>::default(),
        policy: BLOCKING,
    }
}

/// About normal with the deviation 1: the sum of twelve uniform numbers, less their mean.
fn normal(seed: Seed, number: usize) -> f64 {
    let mut rng = seed.nth(number as u64).rng();
    (0..12).map(|_| unit(&mut rng)).sum::<f64>() - 6.0
}

/// A metric whose blocks lie about `middle`, on the axis of the test.
struct Made {
    name: &'static str,
    middle: f64,
    spread: f64,
}

const fn made(name: &'static str, middle: f64, spread: f64) -> Made {
    Made { name, middle, spread }
}

fn paired(change: f64) -> Reading {
    Reading::Paired(Paired {
        values: Both {
            base: 1.0,
            candidate: change.exp(),
        },
        change,
    })
}

fn readings(metrics: &[Made], number: usize) -> Readings {
    let reading = |made: &Made| {
        let change = made.middle + made.spread * normal(Seed::new(22).child(made.name), number);
        (MetricId::parse(made.name).unwrap(), paired(change))
    };
    metrics.iter().map(reading).collect()
}

fn run(settings: Settings, metrics: &[Made]) -> (Gate, GateEnd) {
    run_of(settings, |number| readings(metrics, number))
}

/// Runs until the gate stops.
fn run_of(settings: Settings, block: impl Fn(usize) -> Readings) -> (Gate, GateEnd) {
    let mut gate = Gate::new(settings).unwrap();
    for number in 0..200 {
        let elapsed = BLOCK * (number as u32 + 1);
        if let Next::Stop(end) = gate.take_readings(Some(block(number)), elapsed) {
            return (gate, end);
        }
    }
    panic!("a gate stops by its last look at the latest");
}

fn concluded(settings: Settings, metrics: &[Made]) -> GateRecord {
    let (gate, end) = run(settings, metrics);
    gate.conclude(end, about())
}

fn metric<'a>(record: &'a GateRecord, name: &str) -> &'a squall_model::gate::MetricRecord {
    record.metrics.iter().find(|metric| metric.name == name).unwrap()
}

fn deciding(gate: &Gate) -> Vec<String> {
    let deciding = gate.tested.iter().filter(|metric| metric.decides());
    deciding.map(|metric| metric.id.to_string()).collect()
}

fn invalid(number: u32) -> BlockRecord {
    BlockRecord {
        number,
        invalid: vec!["the generator was late".to_owned()],
        ..BlockRecord::default()
    }
}

fn violating(arms: &[Arm]) -> BlockRecord {
    let mut block = BlockRecord::default();
    for arm in arms {
        block.arms.of_mut(*arm).violations = vec![ViolationRecord {
            invariant: "ids.unique".to_owned(),
            count: 3,
            example: "17 was given twice".to_owned(),
        }];
    }
    block
}

/// The n-th change of a metric that is just noisy enough to be planned for `blocks` blocks, and that no look decides: between margin and
/// tolerance, evenly spread over a logistic distribution (van der Corput's sequence), so that all looks see the same.
fn undecided(number: u32, blocks: usize) -> Readings {
    let uniform = (f64::from(number.reverse_bits()) + 0.5) / 2.0_f64.powi(32);
    let logistic = (uniform / (1.0 - uniform)).ln() * 3.0_f64.sqrt() / std::f64::consts::PI;
    let spread = planner::bearable(Limits::USUAL, blocks);
    let change = 0.036 + spread * logistic;
    Readings::from([(MetricId::parse("refresh.p99").unwrap(), paired(change))])
}

/// Why it stops, and after how many blocks.
fn stops(settings: Settings, planned: usize) -> (GateEnd, u32) {
    let mut gate = Gate::new(settings).unwrap();
    for number in 1..=200 {
        if let Next::Stop(end) = gate.take_readings(Some(undecided(number, planned)), BLOCK * number) {
            return (end, number);
        }
    }
    panic!("a gate stops by its last look at the latest");
}

fn accept(metric: &str, by: f64) -> Settings {
    Settings {
        accepted: vec![squall_model::gate::AcceptedRecord {
            metric: metric.to_owned(),
            by,
            reason: "checks more".to_owned(),
            commit: "1a2b3c4".to_owned(),
            used: false,
        }],
        ..settings()
    }
}
