//! A small version of the study (`examples/gate_study/`) that fails where gates block the same code too often, and its counterpart: it notices
//! if looks spend more than they may, or if several metrics don't share.

#[expect(dead_code, reason = "the example uses all of it")]
#[path = "../../../../examples/gate_study/noise.rs"]
mod noise;

use squall_model::gate::{Both, MetricKind};
use squall_model::seed::Seed;

use super::super::super::looks::{ALPHA, BETA};
use super::super::super::metric::{MetricId, Paired, Reading};
use super::super::*;
use noise::{BLOCK_S, Machine, PROFILES};

/// Gates of one rule.
const GATES: u64 = 2_000;

/// As many of them may block: 1.2 %. The seed is fixed, so chance plays no part from one day to the next.
const MOST: u64 = 24;

/// What a look may spend, by its blocks.
type Rule = fn(usize, NonZeroU32) -> Option<Levels>;

/// How many gates on the same code block: one binary, so without a margin, on machines with drift, bursts and heavy tails in turn.
fn blocked(rule: Rule) -> u64 {
    let machines = [PROFILES[1], PROFILES[2], PROFILES[3]];
    let gate = |number: u64| {
        let settings = Settings {
            same_binary: true,
            // Such that a pass comes late, and most looks are taken.
            overrides: [("p50", 0.04), ("cpu", 0.01)]
                .map(|(metric, tolerance)| LimitOverride {
                    metric: metric.to_owned(),
                    margin: None,
                    tolerance: Some(tolerance),
                })
                .to_vec(),
            ..Settings::new(Duration::from_mins(10))
        };
        let mut gate = Gate::new(settings).unwrap();
        gate.levels = rule;
        let profile = machines[number as usize % machines.len()];
        let mut machine = Machine::new(profile, Seed::new(2026).child("small").nth(number));
        for block in 1..=90 {
            let changes = machine.block(|_| 0.0);
            let latencies = changes
                .into_iter()
                .filter(|(kind, _)| *kind != MetricKind::Errors);
            let reading = |(kind, change): (MetricKind, f64)| {
                let values = Both {
                    base: 1.0,
                    candidate: change.exp(),
                };
                (MetricId::of_arm(kind), Reading::Paired(Paired { values, change }))
            };
            let elapsed = Duration::from_secs_f64(BLOCK_S) * block;
            if gate.take_readings(Some(latencies.map(reading).collect()), elapsed) != Next::Block {
                break;
            }
        }
        gate.verdict() == GateVerdict::Regressed
    };
    (0..GATES).filter(|number| gate(*number)).count() as u64
}

#[test]
fn the_same_code_is_blocked_in_at_most_one_of_a_hundred_gates() {
    let blocked = blocked(looks::levels);
    assert!(blocked <= MOST, "{blocked} of {GATES}");
    assert!(blocked > 0, "a gate that can't block keeps any level");
}

#[test]
fn if_every_look_spent_the_whole_the_study_would_notice() {
    let each_whole: Rule = |blocks, gates| {
        looks::levels(blocks, gates).map(|_| Levels {
            alpha: ALPHA,
            beta: BETA,
        })
    };
    let blocked = blocked(each_whole);
    assert!(blocked > MOST, "{blocked} of {GATES}");
}

#[test]
fn if_metrics_did_not_share_the_study_would_notice() {
    // Five metrics, each held to what all have together.
    let each_alone: Rule = |blocks, gates| {
        looks::levels(blocks, gates).map(|levels| Levels {
            alpha: 5.0 * levels.alpha,
            ..levels
        })
    };
    let blocked = blocked(each_alone);
    assert!(blocked > MOST, "{blocked} of {GATES}");
}
