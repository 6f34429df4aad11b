//! The feed's three layers, each by the platform's figures.

use std::sync::Arc;

use crate::support::{MS, Notebook, SEC, board};
use squall_circuit_breaker::feed::{Admission, Model, Recall, Scoring};
use squall_circuit_breaker::rule::{Behaviour, FlowRule};
use squall_circuit_breaker::{Entry, FeedPolicy, RuleSet, State};

fn policy() -> (FeedPolicy, Arc<Notebook>) {
    let (board, notebook) = board(&FeedPolicy::rules());
    (FeedPolicy::new(Arc::new(board)).unwrap(), notebook)
}

#[test]
fn beyond_five_thousand_requests_a_second_the_fallback_card_is_answered() {
    let (policy, _) = policy();
    let served = |now_ns| {
        let is_served = |_: &u32| matches!(policy.admit(now_ns), Admission::Serve(_));
        (0..12_000).filter(is_served).count()
    };
    // The first bucket ends after 20 ms; a second after the last of these, and no sooner, there is room again.
    assert_eq!(served(19 * MS), 5_000);
    assert_eq!(served(SEC / 2), 0);
    assert_eq!(served(SEC + 19 * MS), 0);
    assert_eq!(served(SEC + 20 * MS), 5_000);
}

/// Calls the model 100 times at the beginning of a second, so that all calls end in it; how many went to the light one.
fn light_in(policy: &FeedPolicy, second: u64, full_ms: u64) -> usize {
    let is_light = |number: &u64| {
        let now_ns = second * SEC + number * 1_000;
        let Scoring::Call(model, guard) = policy.model(now_ns, *number) else {
            panic!("nothing guards the models but latency");
        };
        let lasts_ms = if model == Model::Full { full_ms } else { 20 };
        guard.succeed(now_ns + lasts_ms * MS);
        model == Model::Light
    };
    (0..100).filter(is_light).count()
}

#[test]
fn a_model_that_is_slow_for_thirty_seconds_gives_way_to_the_light_one_until_it_is_quick_again() {
    let (policy, _) = policy();
    for second in 0..30 {
        assert_eq!(light_in(&policy, second, 900), 0, "second {second}");
    }
    // Every twentieth call still measures the full model.
    for second in 30..60 {
        assert_eq!(light_in(&policy, second, 100), 95, "second {second}");
    }
    assert_eq!(light_in(&policy, 60, 100), 0);
}

#[test]
fn one_quick_second_begins_the_thirty_anew() {
    let (policy, _) = policy();
    for second in 0..59 {
        let full_ms = if second == 28 { 100 } else { 900 };
        assert_eq!(light_in(&policy, second, full_ms), 0, "second {second}");
    }
    assert_eq!(light_in(&policy, 59, 900), 95);
}

/// Three requests a second, so that of twenty there is not one in a second.
#[test]
fn the_full_model_is_found_quick_again_by_few_requests() {
    let (policy, _) = policy();
    let mut models = Vec::new();
    for number in 0..3 * 120 {
        let now_ns = number * SEC / 3;
        let full_ms = if number < 3 * 40 { 900 } else { 100 };
        let Scoring::Call(model, guard) = policy.model(now_ns, number) else {
            panic!("nothing guards the models but latency");
        };
        let lasts_ms = if model == Model::Full { full_ms } else { 20 };
        guard.succeed(now_ns + lasts_ms * MS);
        models.push(model);
    }
    let second_of = |model, from: usize| {
        let found = models[from..].iter().position(|one| *one == model);
        found.map(|at| (from + at) / 3)
    };
    // The first verdict needs five calls, the first after the change as many samples: one a second.
    let light = second_of(Model::Light, 0);
    assert!(
        light.is_some_and(|second| (30..34).contains(&second)),
        "{light:?}"
    );
    let samples = models[3 * 45..3 * 60]
        .iter()
        .filter(|model| **model == Model::Full);
    assert!((15..=18).contains(&samples.count()));
    let lights = models.iter().rposition(|model| *model == Model::Light);
    let back = lights.map(|last| last / 3);
    assert!(back.is_some_and(|second| (70..80).contains(&second)), "{back:?}");
}

#[test]
fn more_than_five_percent_of_errors_break_recall_and_three_probes_mend_it() {
    let (policy, notebook) = policy();
    let recall = policy.board().resource("recall").unwrap();
    let call = |now_ns: u64, fails: bool| match policy.recall(now_ns) {
        Recall::Call(guard) if fails => {
            guard.fail(now_ns);
            true
        }
        Recall::Call(guard) => {
            guard.succeed(now_ns);
            true
        }
        Recall::CallAfter(_) => panic!("nothing queues"),
        Recall::Cache(_) => false,
    };
    for number in 0..2_000 {
        assert!(
            call(number * MS, number % 20 == 19),
            "five percent is not more than five"
        );
    }
    let broke = (2_000..4_000).find(|number| !call(number * MS, number % 10 == 0));
    assert!(broke.is_some());
    assert_eq!(policy.board().states(recall), [State::Open]);
    let calls = (0..100)
        .filter(|number| call(20 * SEC + number * MS, false))
        .count();
    assert_eq!(calls, 100);
    assert_eq!(policy.board().states(recall), [State::Closed]);
    notebook.assert_one_path();
    assert_eq!(notebook.transitions().len(), 4);
}

#[test]
fn a_queue_before_recall_lets_its_rate_through() {
    let (policy, _) = policy();
    let queue = FlowRule {
        resource: "recall".to_owned(),
        count: 10.0,
        control_behavior: Behaviour::Queue,
        max_queueing_time_ms: 500,
        ..FlowRule::default()
    };
    let rules = RuleSet {
        flow: vec![queue],
        ..RuleSet::default()
    };
    policy.board().apply(&rules).unwrap();
    let called = (0..500).filter(|number| match policy.recall(number * 10 * MS) {
        Recall::Call(guard) => {
            guard.succeed(number * 10 * MS);
            true
        }
        Recall::CallAfter(waiting) => {
            let then_ns = number * 10 * MS + waiting.wait().as_nanos() as u64;
            matches!(waiting.enter(then_ns), Entry::Pass(_))
        }
        Recall::Cache(_) => false,
    });
    // Ten a second for five seconds, and those that still wait at the end.
    let called = called.count();
    assert!((50..=56).contains(&called), "{called}");
}
