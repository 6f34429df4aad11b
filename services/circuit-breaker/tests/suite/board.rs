//! The switchboard: what a call is answered, and what a change of rules keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{MS, SEC, board, breaks_on_errors};
use squall_circuit_breaker::board::RESOURCES_MAX;
use squall_circuit_breaker::rule::{Behaviour, DegradeRule, FlowRule, Grade};
use squall_circuit_breaker::{
    Blocked, Entry, Event, Observe, ResourceId, RuleSet, Snapshot, State, Switchboard,
};

fn qps(count: f64) -> FlowRule {
    FlowRule {
        resource: "r".to_owned(),
        count,
        ..FlowRule::default()
    }
}

fn flow(rules: impl Into<Vec<FlowRule>>) -> RuleSet {
    RuleSet {
        flow: rules.into(),
        ..RuleSet::default()
    }
}

/// How many of so many calls at once pass; each ends at once.
fn passes(board: &Switchboard, resource: ResourceId, now_ns: u64, calls: usize) -> usize {
    let pass = |_: &usize| match board.entry(resource, now_ns) {
        Entry::Pass(guard) => {
            guard.succeed(now_ns);
            true
        }
        _ => false,
    };
    (0..calls).filter(pass).count()
}

#[test]
fn without_rules_every_call_passes_and_is_counted() {
    let (board, _) = board(&RuleSet::default());
    let resource = board.resource("r").unwrap();
    assert_eq!(board.resource("r").unwrap(), resource);
    assert_ne!(board.resource("s").unwrap(), resource);
    for number in 0..10 {
        let Entry::Pass(guard) = board.entry(resource, MS) else {
            panic!("there are no rules");
        };
        if number < 3 {
            guard.fail(4 * MS);
        } else {
            guard.succeed(4 * MS);
        }
    }
    let expected = Snapshot {
        passed: 10,
        refused: 0,
        completed: 10,
        failed: 3,
        response_us: 30_000,
    };
    assert_eq!(board.snapshot(resource, 5 * MS), expected);
    assert_eq!(expected.mean_response_us(), Some(3_000));
    assert_eq!(board.snapshot(resource, 2 * SEC), Snapshot::default());
}

#[test]
fn a_new_limit_holds_at_once_and_forgets_no_admission() {
    let (board, _) = board(&flow([qps(10.0)]));
    let resource = board.resource("r").unwrap();
    assert_eq!(passes(&board, resource, 0, 20), 10);
    board.apply(&flow([qps(15.0)])).unwrap();
    assert_eq!(passes(&board, resource, MS, 20), 5);
    board.apply(&flow([qps(4.0)])).unwrap();
    assert_eq!(passes(&board, resource, 2 * MS, 20), 0);
    assert_eq!(passes(&board, resource, SEC, 20), 4);
    board.apply(&RuleSet::default()).unwrap();
    assert_eq!(passes(&board, resource, SEC, 20), 20);
}

#[test]
fn a_refused_rule_set_changes_nothing() {
    let (board, _) = board(&flow([qps(3.0)]));
    let resource = board.resource("r").unwrap();
    assert!(board.apply(&flow([qps(9.0), qps(f64::NAN)])).is_err());
    assert_eq!(board.version(), 1);
    assert_eq!(passes(&board, resource, 0, 20), 3);
}

#[test]
fn the_tightest_of_several_rules_decides_and_the_others_lose_nothing_by_it() {
    let (board, _) = board(&flow([qps(10.0), qps(4.0)]));
    let resource = board.resource("r").unwrap();
    assert_eq!(passes(&board, resource, 0, 20), 4);
    board.apply(&flow([qps(10.0)])).unwrap();
    assert_eq!(passes(&board, resource, 0, 20), 6, "four permits of ten are gone");
}

#[test]
fn a_breaker_keeps_its_state_while_its_rule_does() {
    let unchanged = RuleSet {
        degrade: vec![breaks_on_errors("r", 0.0)],
        ..RuleSet::default()
    };
    let (board, _) = board(&unchanged);
    let resource = board.resource("r").unwrap();
    let Entry::Pass(guard) = board.entry(resource, 0) else {
        panic!("it is closed");
    };
    guard.fail(0);
    let more = RuleSet {
        flow: vec![qps(100.0)],
        degrade: vec![breaks_on_errors("r", 7.0), breaks_on_errors("r", 0.0)],
        ..RuleSet::default()
    };
    board.apply(&more).unwrap();
    assert_eq!(board.states(resource), [State::Closed, State::Open]);
    let changed = RuleSet {
        degrade: vec![breaks_on_errors("r", 1.0)],
        ..RuleSet::default()
    };
    board.apply(&changed).unwrap();
    assert_eq!(board.states(resource), [State::Closed]);
}

#[test]
fn calls_at_a_time_are_limited_also_across_a_change_of_rules() {
    let at_a_time = |count| {
        flow([FlowRule {
            grade: Grade::Concurrency,
            ..qps(count)
        }])
    };
    let (board, _) = board(&at_a_time(3.0));
    let resource = board.resource("r").unwrap();
    let guards: Vec<_> = (0..5)
        .filter_map(|_| match board.entry(resource, 0) {
            Entry::Pass(guard) => Some(guard),
            Entry::Blocked(why) => {
                assert_eq!(why, Blocked::Concurrency);
                None
            }
            Entry::Wait(_) => panic!("nothing queues"),
        })
        .collect();
    assert_eq!(guards.len(), 3);
    board.apply(&at_a_time(4.0)).unwrap();
    let Entry::Pass(fourth) = board.entry(resource, 0) else {
        panic!("four are allowed");
    };
    assert!(matches!(board.entry(resource, 0), Entry::Blocked(_)));
    fourth.succeed(0);
    drop(guards);
    assert_eq!(board.under_way(resource), 0);
}

#[test]
fn a_queue_says_how_long_to_wait_and_the_call_goes_on_from_there() {
    let rule = FlowRule {
        control_behavior: Behaviour::Queue,
        max_queueing_time_ms: 150,
        ..qps(10.0)
    };
    let (board, _) = board(&flow([rule]));
    let resource = board.resource("r").unwrap();
    assert!(matches!(board.entry(resource, 0), Entry::Pass(_)));
    let Entry::Wait(waiting) = board.entry(resource, 0) else {
        panic!("the second call is due after 100 ms");
    };
    assert_eq!(waiting.wait(), Duration::from_millis(100));
    assert!(matches!(
        board.entry(resource, 0),
        Entry::Blocked(Blocked::QueueFull)
    ));
    assert!(matches!(waiting.enter(100 * MS), Entry::Pass(_)));
    assert_eq!(board.snapshot(resource, 100 * MS).passed, 2);
}

#[test]
fn a_cold_resource_is_asked_for_a_third_and_its_queue_moves_as_slowly() {
    let warms = |control_behavior| FlowRule {
        control_behavior,
        warm_up_period_sec: 10,
        max_queueing_time_ms: 1_000,
        ..qps(30.0)
    };
    let (rejects, _) = board(&flow([warms(Behaviour::WarmUp)]));
    let resource = rejects.resource("r").unwrap();
    assert_eq!(passes(&rejects, resource, 0, 100), 10);
    let last = (1..40)
        .map(|second| passes(&rejects, resource, second * SEC, 100))
        .last();
    assert_eq!(last, Some(30));

    let (queues, _) = board(&flow([warms(Behaviour::WarmUpQueue)]));
    let resource = queues.resource("r").unwrap();
    assert!(matches!(queues.entry(resource, 0), Entry::Pass(_)));
    let Entry::Wait(waiting) = queues.entry(resource, 0) else {
        panic!("the second call waits");
    };
    assert_eq!(waiting.wait().as_millis(), 100);
}

#[test]
fn a_call_that_a_breaker_refuses_spends_no_permit() {
    let rules = RuleSet {
        flow: vec![qps(5.0)],
        degrade: vec![breaks_on_errors("r", 0.0)],
        ..RuleSet::default()
    };
    let (board, _) = board(&rules);
    let resource = board.resource("r").unwrap();
    let Entry::Pass(guard) = board.entry(resource, 0) else {
        panic!("it is closed");
    };
    guard.fail(0);
    assert_eq!(passes(&board, resource, 0, 100), 0);
    board.apply(&flow([qps(5.0)])).unwrap();
    assert_eq!(passes(&board, resource, 0, 100), 4);
}

/// Two rules that never hold together: a call that saw parts of both sets would pass.
#[test]
fn a_change_of_rules_is_one_change() {
    let set = |first: f64, second: f64| {
        flow([
            FlowRule {
                stat_buckets: 1,
                ..qps(first)
            },
            qps(second),
        ])
    };
    let sets = [set(0.0, 1_000_000.0), set(1_000_000.0, 0.0)];
    let (board, _) = board(&sets[0]);
    let resource = board.resource("r").unwrap();
    let (done, passed, asked) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let deadline = Instant::now() + Duration::from_mins(1);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) && Instant::now() < deadline {
                    asked.fetch_add(1, Ordering::AcqRel);
                    if matches!(board.entry(resource, 0), Entry::Pass(_)) {
                        passed.fetch_add(1, Ordering::AcqRel);
                    }
                }
            });
        }
        for number in 0..2_000 {
            board.apply(&sets[number % 2]).unwrap();
        }
        // On a busy machine the others may not have had a turn yet.
        while asked.load(Ordering::Acquire) < 1_000 && Instant::now() < deadline {
            board.apply(&sets[0]).unwrap();
            thread::yield_now();
        }
        done.store(true, Ordering::Release);
    });
    assert_eq!(passed.load(Ordering::Acquire), 0);
    assert!(asked.load(Ordering::Acquire) >= 1_000, "the others had no turn");
    assert!(board.version() > 2_000);
}

#[test]
fn threads_lose_no_count() {
    const THREADS: u64 = 12;
    const CALLS: u64 = 5_000;
    let (board, _) = board(&RuleSet::default());
    let resource = board.resource("r").unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..CALLS {
                    let Entry::Pass(guard) = board.entry(resource, SEC) else {
                        panic!("there are no rules");
                    };
                    guard.fail(SEC + 7_000);
                }
            });
        }
    });
    let all = THREADS * CALLS;
    let expected = Snapshot {
        passed: all,
        refused: 0,
        completed: all,
        failed: all,
        response_us: 7 * all,
    };
    assert_eq!(board.snapshot(resource, SEC), expected);
}

#[test]
fn a_queue_whose_rule_changes_forgets_nobody_who_stands_in_it() {
    let queues = |count, behaviour| {
        flow([FlowRule {
            control_behavior: behaviour,
            max_queueing_time_ms: 1_000,
            ..qps(count)
        }])
    };
    let (board, _) = board(&queues(10.0, Behaviour::Queue));
    let resource = board.resource("r").unwrap();
    let wait_ms = |board: &Switchboard| match board.entry(resource, 0) {
        Entry::Pass(_) => 0,
        Entry::Wait(waiting) => waiting.wait().as_millis(),
        Entry::Blocked(why) => panic!("{why}"),
    };
    let waits: Vec<_> = (0..3).map(|_| wait_ms(&board)).collect();
    assert_eq!(waits, [0, 100, 200]);
    board.apply(&queues(20.0, Behaviour::Queue)).unwrap();
    assert_eq!(wait_ms(&board), 250, "behind the call that is due after 200 ms");
    board.apply(&queues(20.0, Behaviour::WarmUpQueue)).unwrap();
    assert!(wait_ms(&board) > 300, "and cold, so a third as fast");
}

/// Rule sets with ever new names make no resources: only who asks does, and the limit of resources stands.
#[test]
fn rules_for_names_that_nobody_asks_for_are_kept_only_while_they_are_in_force() {
    let (board, _) = board(&RuleSet::default());
    for round in 0..8 {
        let rule = |number| FlowRule {
            resource: format!("{round}-{number}"),
            ..qps(1.0)
        };
        board
            .apply(&flow((0..1_000).map(rule).collect::<Vec<_>>()))
            .unwrap();
    }
    let resource = board.resource("7-999").unwrap();
    assert_eq!(
        passes(&board, resource, 0, 5),
        1,
        "its rule was there before it was"
    );
    let more = (0..10_000).map_while(|number| board.resource(&format!("r{number}")).ok());
    assert_eq!(more.count() + 1, RESOURCES_MAX);
}

/// Breakers open and close at once with calls that they refuse: who is refused learns of a state that refuses.
#[test]
fn a_breaker_that_refuses_a_call_is_not_closed() {
    let rule = DegradeRule {
        recovery_probes: 1,
        ..breaks_on_errors("r", 0.0)
    };
    let rules = RuleSet {
        degrade: vec![rule],
        ..RuleSet::default()
    };
    let (board, notebook) = board(&rules);
    let resource = board.resource("r").unwrap();
    let now_sec = AtomicU64::new(0);
    let refused = AtomicU64::new(0);
    thread::scope(|scope| {
        for thread in 0..2 {
            let (board, now_sec, refused) = (&board, &now_sec, &refused);
            scope.spawn(move || {
                for number in 0..20_000 {
                    let now_ns = now_sec.fetch_add(number % 2, Ordering::AcqRel) * SEC;
                    match board.entry(resource, now_ns) {
                        Entry::Pass(guard) if (number + thread) % 3 == 0 => guard.fail(now_ns),
                        Entry::Pass(guard) => guard.succeed(now_ns),
                        Entry::Blocked(Blocked::Breaker(state)) => {
                            assert_ne!(state, State::Closed);
                            refused.fetch_add(1, Ordering::AcqRel);
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    notebook.assert_one_path();
    assert!(refused.load(Ordering::Acquire) > 0);
}

struct Panics;

impl Observe for Panics {
    fn note(&self, _: &Event) {
        panic!("it must not, and does");
    }
}

#[test]
fn an_observer_that_panics_keeps_no_breaker_from_closing() {
    let board = Switchboard::new(Arc::new(Panics));
    let rules = RuleSet {
        degrade: vec![breaks_on_errors("r", 0.0)],
        ..RuleSet::default()
    };
    board.apply(&rules).unwrap();
    let resource = board.resource("r").unwrap();
    let Entry::Pass(guard) = board.entry(resource, 0) else {
        panic!("it is closed");
    };
    guard.fail(0);
    assert_eq!(board.states(resource), [State::Open]);
    assert_eq!(passes(&board, resource, SEC, 3), 3, "the probes");
    assert_eq!(board.states(resource), [State::Closed]);
}

/// What is told of a breaker whose rule changes while it is open, and that its last call says nothing any more.
#[test]
fn a_breaker_that_is_replaced_says_so_and_nothing_after_it() {
    let rules = |count| RuleSet {
        degrade: vec![breaks_on_errors("r", count)],
        ..RuleSet::default()
    };
    let (board, notebook) = board(&rules(0.0));
    let resource = board.resource("r").unwrap();
    let enter = |now_ns| match board.entry(resource, now_ns) {
        Entry::Pass(guard) => guard,
        other => panic!("{other:?}"),
    };
    enter(0).fail(0);
    let probe = enter(SEC);
    board.apply(&rules(1.0)).unwrap();
    probe.succeed(SEC);
    assert_eq!(notebook.transitions().len(), 2, "opened and half-opened");
    let replaced = Event::Replaced {
        resource: "r".into(),
        breaker: 0,
        state: State::HalfOpen,
    };
    assert_eq!(
        notebook
            .events()
            .iter()
            .filter(|event| **event == replaced)
            .count(),
        1
    );
    board.apply(&RuleSet::default()).unwrap();
    assert_eq!(
        notebook
            .events()
            .iter()
            .filter(|event| matches!(event, Event::Replaced { .. }))
            .count(),
        1,
        "closed ones go without a word"
    );
}
