//! The decisions of this crate beside those that `sentinel-core` 0.1.3 took on the same calls, with every difference named.
//!
//! `sentinel/recorded.json` is what `services/circuit-breaker/recorder` recorded: sequences of calls, each with the time it was made
//! and ended on a virtual clock, whether it passed and whether it failed. Here they are made again at those times. sentinel-core
//! itself is no dependency: it reads the wall clock, so a test could not ask it, and it would bring two dozen crates, some of them unmaintained.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use squall_circuit_breaker::{Entry, Guard, RuleSet, Switchboard, Unobserved};

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

/// Whether each call passes here, and how long it is told to wait before, in microseconds. Calls overlap as they did when they were recorded: what was
/// due to end when a call is made has ended before it.
fn decide(rules: &Value, calls: &[Call]) -> Vec<(bool, u64)> {
    let board = Switchboard::new(Arc::new(Unobserved));
    board
        .apply(&RuleSet::from_json(&rules.to_string()).unwrap())
        .unwrap();
    let resource = board.resource("r").unwrap();
    let mut under_way: Vec<(Call, Guard<'_>)> = Vec::new();
    let mut decisions = Vec::new();
    for call in calls {
        end_until(call.at_us, &mut under_way);
        let (entry, waited) = match board.entry(resource, call.at_us * 1_000) {
            Entry::Wait(waiting) => {
                let wait = waiting.wait();
                let due_ns = call.at_us * 1_000 + wait.as_nanos() as u64;
                (waiting.enter(due_ns), wait)
            }
            entry => (entry, Duration::ZERO),
        };
        decisions.push(match entry {
            Entry::Pass(guard) => {
                under_way.push((*call, guard));
                (true, waited.as_micros() as u64)
            }
            Entry::Blocked(_) => (false, 0),
            Entry::Wait(_) => panic!("it has waited"),
        });
    }
    end_until(u64::MAX, &mut under_way);
    decisions
}

/// Ends the calls that are due until then, in the order of their ends.
fn end_until(until_us: u64, under_way: &mut Vec<(Call, Guard<'_>)>) {
    while let Some(at) = (0..under_way.len()).min_by_key(|at| under_way[*at].0.ended_us)
        && under_way[at].0.ended_us <= until_us
    {
        let (call, guard) = under_way.remove(at);
        let ended_ns = call.ended_us * 1_000;
        if call.failed {
            guard.fail(ended_ns);
        } else {
            guard.succeed(ended_ns);
        }
    }
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

#[test]
fn a_limit_of_calls_at_a_time_decides_the_same() {
    let (rules, calls) = sequence("concurrency");
    assert_telling(&calls);
    assert_eq!(differences(&rules, &calls), []);
}

#[test]
fn calls_that_overlap_decide_the_same_of_a_breaker() {
    // Just below the thresholds, since sentinel-core opens at them.
    for (name, field, below) in [
        ("error-ratio-overlapping", "count", 0.499),
        ("slow-ratio-overlapping", "slowRatioThreshold", 0.299),
    ] {
        let (rules, calls) = sequence(name);
        assert_telling(&calls);
        let overlap = calls.windows(2).filter(|pair| pair[0].ended_us > pair[1].at_us);
        assert!(overlap.count() > 100, "{name}");
        assert_eq!(differences(&with(&rules, field, below), &calls), [], "{name}");
    }
}

/// Where a queue warms up, sentinel-core's bucket of tokens differs as without a queue, and here each wait follows from the ones before: decisions on
/// single calls part. The rate that comes of them does not: cold, while the bucket has not changed yet, every call is decided the same, its wait cut off
/// rather than rounded there; afterwards as many calls pass in each second, but for one or two.
#[test]
fn a_queue_that_warms_up_moves_as_fast() {
    let (rules, calls) = sequence("warm-up-queue");
    assert_telling(&calls);
    let here = decide(&rules, &calls);
    let cold = calls.iter().zip(&here).filter(|(call, _)| call.at_us < 2_000_000);
    for (call, (passed, waited_us)) in cold {
        assert_eq!(call.passed, *passed, "{call:?}");
        assert!(
            waited_us - call.waited_us <= 1,
            "{call:?} waited {waited_us} us here"
        );
    }
    let in_second = |second: u64| {
        let of = calls
            .iter()
            .zip(&here)
            .filter(move |(call, _)| call.at_us / 1_000_000 == second);
        let there = of.clone().filter(|(call, _)| call.passed).count();
        (there, of.filter(|(_, here)| here.0).count())
    };
    let seconds: Vec<_> = (1..9).map(in_second).collect();
    for (there, here) in &seconds {
        assert!(there.abs_diff(*here) <= 1, "{seconds:?}");
    }
    assert!(seconds[0].1 * 2 < seconds[7].1, "it warms up: {seconds:?}");
}

/// While a probe is under way, a call from before the breaker opened ends well. sentinel-core closes the breaker, as Sentinel does; here
/// only the probe decides.
#[test]
fn a_call_from_before_closes_a_breaker_there_and_not_here() {
    let (rules, calls) = sequence("error-count-late");
    assert_telling(&calls);
    let differences = differences(&with(&rules, "recoveryProbes", 1), &calls);
    let (first, at_ms, passed) = differences[0];
    assert_eq!((at_ms, passed), (2_600, true));
    let opened = calls.iter().position(|call| !call.passed).unwrap();
    let from_before = calls[..opened]
        .iter()
        .filter(|call| call.ended_us == at_ms * 1_000);
    assert_eq!(from_before.count(), 1, "it ends well just then");
    let probe = calls[opened..first].iter().find(|call| call.passed).unwrap();
    assert!(probe.failed && probe.ended_us > at_ms * 1_000, "{probe:?}");
}
