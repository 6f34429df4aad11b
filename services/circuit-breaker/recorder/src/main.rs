//! Records what `sentinel-core` 0.1.3 decides on sequences of calls: `cargo run --release > ../tests/suite/sentinel/recorded.json`.
//!
//! sentinel-core reads the wall clock and sleeps, so both are [virtual](virtual_clock) here: the same sequences are recorded each time.

mod virtual_clock;

use std::io::{self, Write};
use std::sync::Arc;

use sentinel_core::base::{EntryStrongPtr, TrafficType};
use sentinel_core::{EntryBuilder, circuitbreaker, flow, isolation};
use serde_json::{Value, json};

/// A call: when it is made, in milliseconds since the sequence began, how long it takes, and whether it fails.
type Call = (u64, u64, bool);

/// The time between two sequences, in microseconds: whole minutes, so that every sequence begins with a second.
const SLOT_US: u64 = 60_000_000;

/// A rule in sentinel-core's terms.
#[derive(Clone)]
enum Rule {
    Flow(flow::Rule),
    Degrade(circuitbreaker::Rule),
    Isolation(isolation::Rule),
}

/// A sequence of calls under one rule.
struct Sequence {
    name: &'static str,
    rule: Rule,
    /// The same rule in Sentinel's JSON.
    json: Value,
    calls: Vec<Call>,
}

fn main() -> io::Result<()> {
    let recorded: Vec<Value> = (1..).zip(sequences()).map(record).collect();
    let all = json!({ "sentinel-core": "0.1.3", "sequences": recorded });
    writeln!(io::stdout(), "{all}")
}

fn sequences() -> Vec<Sequence> {
    let flow = |name, rule: flow::Rule, json: Value, calls| Sequence {
        name,
        rule: Rule::Flow(rule),
        json: json!({ "flow": [json] }),
        calls,
    };
    let degrade = |name, rule: circuitbreaker::Rule, json: Value, calls| Sequence {
        name,
        rule: Rule::Degrade(rule),
        json: json!({ "degrade": [json] }),
        calls,
    };
    let breaker = |strategy, threshold| circuitbreaker::Rule {
        strategy,
        threshold,
        retry_timeout_ms: 1_000,
        min_request_amount: 5,
        stat_interval_ms: 1_000,
        max_allowed_rt_ms: 20,
        ..Default::default()
    };
    use circuitbreaker::BreakerStrategy as Strategy;
    vec![
        flow(
            "reject",
            flow::Rule {
                threshold: 10.0,
                ..Default::default()
            },
            json!({ "resource": "r", "count": 10 }),
            bursts(4_000, 37, 3),
        ),
        flow(
            "queue",
            flow::Rule {
                threshold: 20.0,
                control_strategy: flow::ControlStrategy::Throttling,
                max_queueing_time_ms: 0,
                ..Default::default()
            },
            json!({ "resource": "r", "count": 20, "controlBehavior": 2, "maxQueueingTimeMs": 0 }),
            bursts(2_000, 17, 1),
        ),
        flow(
            "queue-wait",
            flow::Rule {
                threshold: 20.0,
                control_strategy: flow::ControlStrategy::Throttling,
                max_queueing_time_ms: 30,
                ..Default::default()
            },
            json!({ "resource": "r", "count": 20, "controlBehavior": 2, "maxQueueingTimeMs": 30 }),
            bursts(2_000, 13, 1),
        ),
        flow(
            "warm-up",
            flow::Rule {
                threshold: 30.0,
                calculate_strategy: flow::CalculateStrategy::WarmUp,
                warm_up_period_sec: 3,
                warm_up_cold_factor: 3,
                ..Default::default()
            },
            json!({ "resource": "r", "count": 30, "controlBehavior": 1, "warmUpPeriodSec": 3 }),
            bursts(8_000, 19, 1),
        ),
        flow(
            "warm-up-queue",
            flow::Rule {
                threshold: 30.0,
                calculate_strategy: flow::CalculateStrategy::WarmUp,
                control_strategy: flow::ControlStrategy::Throttling,
                warm_up_period_sec: 3,
                warm_up_cold_factor: 3,
                max_queueing_time_ms: 40,
                ..Default::default()
            },
            json!({
                "resource": "r", "count": 30, "controlBehavior": 3, "warmUpPeriodSec": 3, "maxQueueingTimeMs": 40
            }),
            bursts(8_000, 19, 1),
        ),
        Sequence {
            name: "concurrency",
            rule: Rule::Isolation(isolation::Rule {
                threshold: 4,
                ..Default::default()
            }),
            json: json!({ "flow": [{ "resource": "r", "grade": 0, "count": 4 }] }),
            calls: overlapping(6_000, 17),
        },
        degrade(
            "error-ratio-overlapping",
            breaker(Strategy::ErrorRatio, 0.5),
            json!({ "resource": "r", "grade": 1, "count": 0.5, "timeWindow": 1, "minRequestAmount": 5 }),
            overlapping(9_000, 17),
        ),
        degrade(
            "slow-ratio-overlapping",
            circuitbreaker::Rule {
                max_allowed_rt_ms: 40,
                ..breaker(Strategy::SlowRequestRatio, 0.3)
            },
            json!({
                "resource": "r", "grade": 0, "count": 40, "slowRatioThreshold": 0.3, "timeWindow": 1, "minRequestAmount": 5
            }),
            overlapping(9_000, 17),
        ),
        degrade(
            "error-count-late",
            breaker(Strategy::ErrorCount, 7.0),
            json!({ "resource": "r", "grade": 2, "count": 6, "timeWindow": 1, "minRequestAmount": 5 }),
            late(),
        ),
        degrade(
            "error-count",
            breaker(Strategy::ErrorCount, 7.0),
            json!({ "resource": "r", "grade": 2, "count": 7, "timeWindow": 1, "minRequestAmount": 5 }),
            failing(6_000, 41),
        ),
        degrade(
            "error-ratio",
            breaker(Strategy::ErrorRatio, 0.5),
            json!({ "resource": "r", "grade": 1, "count": 0.5, "timeWindow": 1, "minRequestAmount": 5 }),
            failing(6_000, 43),
        ),
        degrade(
            "error-ratio-at",
            breaker(Strategy::ErrorRatio, 0.5),
            json!({ "resource": "r", "grade": 1, "count": 0.5, "timeWindow": 1, "minRequestAmount": 5 }),
            every_other_fails(900, 40),
        ),
        degrade(
            "slow-ratio",
            breaker(Strategy::SlowRequestRatio, 0.3),
            json!({
                "resource": "r", "grade": 0, "count": 20, "slowRatioThreshold": 0.3, "timeWindow": 1, "minRequestAmount": 5
            }),
            slowing(6_000),
        ),
    ]
}

/// Calls every so many milliseconds, several at once.
fn bursts(for_ms: u64, every_ms: u64, at_once: usize) -> Vec<Call> {
    (0..for_ms)
        .step_by(every_ms as usize)
        .flat_map(|at| (0..at_once).map(move |_| (at, 0, false)))
        .collect()
}

/// Calls of which every other fails.
fn every_other_fails(for_ms: u64, every_ms: u64) -> Vec<Call> {
    (0..for_ms)
        .step_by(every_ms as usize)
        .map(|at| (at, 0, at / every_ms % 2 == 1))
        .collect()
}

/// Calls of which most fail in the odd seconds.
fn failing(for_ms: u64, every_ms: u64) -> Vec<Call> {
    let fails = |at: u64| at / 1_000 % 2 == 1 && at / every_ms % 3 != 0;
    (0..for_ms)
        .step_by(every_ms as usize)
        .map(|at| (at, 0, fails(at)))
        .collect()
}

/// Calls that last 5 ms, and in the odd seconds 40 ms every other time.
fn slowing(for_ms: u64) -> Vec<Call> {
    let lasts = |at: u64| {
        if at / 1_000 % 2 == 1 && at / 61 % 2 == 0 {
            40
        } else {
            5
        }
    };
    (0..for_ms).step_by(61).map(|at| (at, lasts(at), false)).collect()
}

/// Calls that last 7 to 121 ms, so that several are under way at once; in the odd seconds all are long, and most fail.
fn overlapping(for_ms: u64, every_ms: u64) -> Vec<Call> {
    let call = |at: u64| {
        let is_bad = at / 1_000 % 2 == 1;
        let lasts = if is_bad { 97 + at % 25 } else { 7 + at % 31 };
        (at, lasts, is_bad && at / every_ms % 4 != 0)
    };
    (0..for_ms).step_by(every_ms as usize).map(call).collect()
}

/// A few calls that last 1.6 s and succeed, then many that fail at once and open the breaker. The probe lasts 300 ms and fails; the first
/// ones end while it is under way.
fn late() -> Vec<Call> {
    let early = (0..5).map(|number| (number * 20, 1_600, false));
    let failing = (0..10).map(|number| (200 + number * 20, 0, true));
    let later = (0..60).map(|number| (1_340 + number * 20, 300, true));
    early.chain(failing).chain(later).collect()
}

fn record((slot, sequence): (u64, Sequence)) -> Value {
    load(&sequence.rule, sequence.name);
    let calls = make_calls(&sequence, slot * SLOT_US);
    json!({ "name": sequence.name, "rules": sequence.json, "calls": calls })
}

fn load(rule: &Rule, resource: &str) {
    match rule.clone() {
        Rule::Flow(mut rule) => {
            rule.resource = resource.to_owned();
            flow::load_rules(vec![Arc::new(rule)]);
        }
        Rule::Degrade(mut rule) => {
            rule.resource = resource.to_owned();
            circuitbreaker::load_rules(vec![Arc::new(rule)]);
        }
        Rule::Isolation(mut rule) => {
            rule.resource = resource.to_owned();
            isolation::load_rules(vec![Arc::new(rule)]);
        }
    }
}

/// A call that passed and has not ended.
struct UnderWay {
    number: usize,
    ends_us: u64,
    entry: EntryStrongPtr,
}

/// Each call as the time it was made, how long it was held up, and the time it ended, in microseconds since one second before the sequence began, whether
/// it passed and whether it failed. What is due to end when a call is made ends before it.
fn make_calls(sequence: &Sequence, zero_us: u64) -> Vec<Value> {
    let since_us = zero_us - 1_000_000;
    let mut calls = Vec::new();
    let mut under_way: Vec<UnderWay> = Vec::new();
    for (number, (at_ms, lasts_ms, fails)) in sequence.calls.iter().enumerate() {
        end_until(
            zero_us + at_ms * 1_000,
            &mut under_way,
            sequence,
            since_us,
            &mut calls,
        );
        virtual_clock::move_to_us(zero_us + at_ms * 1_000);
        let at_us = virtual_clock::now_us();
        let entry = EntryBuilder::new(sequence.name.to_owned())
            .with_traffic_type(TrafficType::Inbound)
            .build();
        let now_us = virtual_clock::now_us();
        let (at, waited) = (at_us - since_us, now_us - at_us);
        calls.push(json!([at, waited, now_us - since_us, entry.is_ok(), fails]));
        if let Ok(entry) = entry {
            let ends_us = now_us + lasts_ms * 1_000;
            under_way.push(UnderWay {
                number,
                ends_us,
                entry,
            });
        }
    }
    end_until(u64::MAX, &mut under_way, sequence, since_us, &mut calls);
    calls
}

/// Ends the calls that are due until then, each at its time, the ones made first before others of the same time.
fn end_until(
    until_us: u64,
    under_way: &mut Vec<UnderWay>,
    sequence: &Sequence,
    since_us: u64,
    calls: &mut [Value],
) {
    while let Some(at) = (0..under_way.len()).min_by_key(|at| under_way[*at].ends_us)
        && under_way[at].ends_us <= until_us
    {
        let UnderWay {
            number,
            ends_us,
            entry,
        } = under_way.remove(at);
        virtual_clock::move_to_us(ends_us);
        if sequence.calls[number].2 {
            entry.set_err(sentinel_core::Error::msg("it failed"));
        }
        entry.exit();
        calls[number][2] = json!(virtual_clock::now_us() - since_us);
    }
}
