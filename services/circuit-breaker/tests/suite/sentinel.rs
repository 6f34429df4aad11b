//! The decisions of this crate beside those that `sentinel-core` 0.1.3 took on the same calls, with every difference named.
//!
//! `sentinel/recorded.json` is what `services/circuit-breaker/recorder` recorded: sequences of calls, each with the time it was made
//! and ended on a virtual clock, whether it passed and whether it failed. Here they are made again at those times. sentinel-core
//! itself is no dependency: it reads the wall clock, so a test could not ask it, and it would bring two dozen crates, some of them unmaintained.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use squall_circuit_breaker::{Entry, RuleSet, Switchboard, Unobserved};

use crate::support::MS;

const RECORDED: &str = include_str!("sentinel/recorded.json");

/// A call as it was recorded.
#[derive(Debug, Clone, Copy)]
struct Call {
    at_us: u64,
    waited_us: u64,
    ended_us: u64,
    passed: bool,
    failed: bool,
}

/// The rules of a sequence, in Sentinel's JSON, and its calls.
fn sequence(name: &str) -> (Value, Vec<Call>) {
    let recorded: Value = serde_json::from_str(RECORDED).unwrap();
    let sequences = recorded["sequences"].as_array().unwrap();
    let sequence = sequences.iter().find(|one| one["name"] == name).unwrap();
    let call = |call: &Value| Call {
        at_us: call[0].as_u64().unwrap(),
        waited_us: call[1].as_u64().unwrap(),
        ended_us: call[2].as_u64().unwrap(),
        passed: call[3].as_bool().unwrap(),
        failed: call[4].as_bool().unwrap(),
    };
    let calls = sequence["calls"].as_array().unwrap().iter().map(call).collect();
    (sequence["rules"].clone(), calls)
}

/// Whether each call passes here, and how long it is told to wait before, in microseconds.
fn decide(rules: &Value, calls: &[Call]) -> Vec<(bool, u64)> {
    let board = Switchboard::new(Arc::new(Unobserved));
    board
        .apply(&RuleSet::from_json(&rules.to_string()).unwrap())
        .unwrap();
    let resource = board.resource("r").unwrap();
    let one = |call: &Call| {
        let (entry, waited) = match board.entry(resource, call.at_us * 1_000) {
            Entry::Wait(waiting) => {
                let wait = waiting.wait();
                let due_ns = call.at_us * 1_000 + wait.as_nanos() as u64;
                (waiting.enter(due_ns), wait)
            }
            entry => (entry, Duration::ZERO),
        };
        let Entry::Pass(guard) = entry else {
            return (false, 0);
        };
        let ended_ns = call.ended_us * 1_000;
        if call.failed {
            guard.fail(ended_ns);
        } else {
            guard.succeed(ended_ns);
        }
        (true, waited.as_micros() as u64)
    };
    calls.iter().map(one).collect()
}

/// The calls on which the decisions differ, as (number, time in milliseconds, passed there).
fn differences(rules: &Value, calls: &[Call]) -> Vec<(usize, u64, bool)> {
    let here = decide(rules, calls);
    let differs = |(number, (call, here)): (usize, (&Call, (bool, u64)))| {
        ((call.passed, call.waited_us) != here).then_some((number, call.at_us * 1_000 / MS, call.passed))
    };
    calls.iter().zip(here).enumerate().filter_map(differs).collect()
}

/// Both pass some calls and refuse some, or the sequence would show nothing.
fn assert_telling(calls: &[Call]) {
    let passed = calls.iter().filter(|call| call.passed).count();
    assert!(
        passed > 10 && calls.len() - passed > 10,
        "{passed} of {} passed",
        calls.len()
    );
}

#[test]
fn a_limit_of_calls_per_second_decides_the_same() {
    let (rules, calls) = sequence("reject");
    assert_telling(&calls);
    assert_eq!(differences(&rules, &calls), []);
}

#[test]
fn a_queue_decides_the_same() {
    for name in ["queue", "queue-wait"] {
        let (rules, calls) = sequence(name);
        assert_telling(&calls);
        assert_eq!(differences(&rules, &calls), [], "{name}");
    }
}

/// A degrade rule that recovers by one probe, as sentinel-core does; `field` is set to `value`.
fn with(rules: &Value, field: &str, value: impl Into<Value>) -> Value {
    let mut rules = rules.clone();
    rules["degrade"][0]["recoveryProbes"] = 1.into();
    rules["degrade"][0][field] = value.into();
    rules
}

#[test]
fn a_breaker_decides_the_same_where_no_share_is_at_the_threshold() {
    for name in ["error-ratio", "slow-ratio"] {
        let (rules, calls) = sequence(name);
        assert_telling(&calls);
        assert_eq!(
            differences(&with(&rules, "recoveryProbes", 1), &calls),
            [],
            "{name}"
        );
    }
}

/// sentinel-core opens a breaker at the threshold, Sentinel for Java and this crate beyond it.
#[test]
fn a_breaker_opens_beyond_the_threshold_rather_than_at_it() {
    let (rules, calls) = sequence("error-count");
    assert_telling(&calls);
    assert_eq!(
        differences(&with(&rules, "count", 6), &calls),
        [],
        "beyond 6 is at 7"
    );
    let (first, at_ms, passed) = differences(&with(&rules, "count", 7), &calls)[0];
    let second = calls[..first]
        .iter()
        .filter(|call| call.at_us / 1_000_000 == at_ms / 1_000);
    assert_eq!(second.filter(|call| call.failed).count(), 7);
    assert!(!passed, "sentinel-core has opened after the seventh");

    let (rules, calls) = sequence("error-ratio-at");
    assert_eq!(differences(&with(&rules, "count", 0.499), &calls), []);
    let (first, ..) = differences(&with(&rules, "count", 0.5), &calls)[0];
    let failed = calls[..first].iter().filter(|call| call.failed).count();
    assert_eq!(2 * failed, first, "half of the calls before have failed");
}

/// sentinel-core takes what passed in the second that ended half a second ago for the previous second, Sentinel and this crate the last whole
/// second of the clock. Of a resource that warms up, one call of 422 is decided otherwise.
#[test]
fn warming_up_differs_by_the_second_that_is_looked_back_to() {
    let (rules, calls) = sequence("warm-up");
    assert_telling(&calls);
    assert_eq!(calls.len(), 422);
    assert_eq!(differences(&rules, &calls), [(178, 4_382, true)]);
}
