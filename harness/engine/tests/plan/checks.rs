//! Invariants and expectations: what they may name, over what they are judged, and that all errors come at once.

use expect_test::expect;
use squall_engine::plan::{Check, Scope};
use squall_load::{Extraction, Place};

use crate::rig::{around, check, plan};

#[test]
fn an_invariant_that_is_unknown_is_named_with_the_nearest() {
    check(
        &around("invariants: { mine: { uniqe: { values: make response /id } } }\n"),
        &expect![[r#"
            s.yaml:6:23: error: there is no invariant called `uniqe`
              help: did you mean `unique`?"#]],
    );
}

#[test]
fn where_values_stand_is_held_to_loads_and_pointers() {
    check(
        &around(
            "invariants:
  a: { unique: { values: mak response /id } }
  b: { unique: { values: make reponse /id } }
  c: { unique: { values: [make response id] } }
  d: { unique: { values: [] } }
  e: { unique: { values: make regex id=( } }
",
        ),
        &expect![[r#"
            s.yaml:7:26: error: there is no load called `mak`
              help: did you mean `make`?
            s.yaml:8:26: error: `make reponse /id` does not say where values stand
              help: write `LOAD response POINTER`, `LOAD each POINTER`, `LOAD header NAME` or `LOAD regex PATTERN`, such as `single response /id`
            s.yaml:9:27: error: reading the JSON pointer "id": it must be empty or begin with /
            s.yaml:10:26: error: the list is empty; at least one item is needed
            s.yaml:11:26: error: reading the regular expression "id=(": unclosed group"#]],
    );
}

#[test]
fn values_may_stand_in_a_header_or_where_a_pattern_says() {
    let plan = plan(&around(
        "load:
  one: { to: ids, http: { get: /x }, rate: 1k/s }
  two: { to: ids, http: { get: /x }, rate: 1k/s }
invariants:
  a: { unique: { values: one header X-Id } }
  b: { unique: { values: 'two regex id = \"([0-9]+)\"' } }
",
    ));
    let shown: Vec<String> = plan
        .loads
        .iter()
        .map(|load| load.extract[0].to_string())
        .collect();
    assert_eq!(shown, ["header X-Id", r#"/id = "([0-9]+)"/"#]);
}

#[test]
fn checks_may_read_different_things_of_one_load_and_the_same_thing_is_read_once() {
    let plan = plan(&around(
        "invariants:
  order: { monotonic: { values: make response /order } }
  again: { unique: { values: make response /id } }
",
    ));
    let read: Vec<String> = plan.loads[0].extract.iter().map(ToString::to_string).collect();
    assert_eq!(read, ["/id", "/order"]);
    let readings: Vec<(String, usize)> = plan
        .invariants
        .iter()
        .filter_map(|invariant| match &invariant.check {
            Check::Values { feeds, .. } => Some((invariant.path(), feeds[0].reading)),
            _ => None,
        })
        .collect();
    let expected = [
        ("ids.unique", 0),
        ("ids.monotonic", 0),
        ("order", 1),
        ("again", 0),
    ];
    assert_eq!(
        readings,
        expected.map(|(path, reading)| (path.to_owned(), reading))
    );
}

#[test]
fn what_checks_take_besides_is_read_and_what_cannot_be_is_said() {
    let plan = plan(&around(
        "invariants:
  shared: { split: { values: make header x-cluster, key: header x-user, shares: { v1: 65%, v2: 35% } } }
  kept: { sticky: { key: header x-user, values: make header x-cluster } }
  limited: { bound: { values: make response /at, at_most: 5k, per: 500ms } }
",
    ));
    let read: Vec<String> = plan.loads[0].extract.iter().map(ToString::to_string).collect();
    assert_eq!(read, ["/id", "header x-user with header x-cluster", "/at"]);
    let shown: Vec<String> = plan.invariants[2..]
        .iter()
        .map(|invariant| match &invariant.check {
            Check::Values { kind, feeds, .. } => {
                format!("{kind} of {}: {}", feeds[0].reading, invariant.about)
            }
            Check::Transitions { .. } | Check::Reached { .. } => String::new(),
        })
        .collect();
    assert_eq!(
        shown,
        [
            "split of 1: values come in these shares: v1 65%, v2 35%",
            "sticky of 1: a key always comes with the same value",
            "bound of 2: no stretch of 500 ms holds more than 5000 moments",
        ]
    );
    assert_eq!(
        split_of("values: make header x-cluster, shares: { '1': 50%, '2': 50% }"),
        "header x-cluster, together",
        "as texts, so that numbers have shares too"
    );
    check(
        &around(
            "invariants:
  shared: { split: { values: make header x, shares: { v1: 65%, v2: 30% } } }
  many: { sticky: { key: header x, values: make each /ids } }
  nowhere: { sticky: { key: x-user, values: make header x } }
  still: { bound: { values: make response /at, at_most: 5, per: 0s } }
  unknown: { transitions: { of: idz, allowed: [a -> b] } }
  silent: { transitions: { of: ids, allowed: [a -> b] } }
  arrows: { transitions: { of: idz, allowed: [a to b] } }
  both: { split: { values: [make each /ids, nobody header x], key: x, shares: { v1: 1% } } }
",
        ),
        &expect![[r#"
            s.yaml:7:53: error: the shares are 95% together
              help: give every value that may come its share, 100% together
            s.yaml:8:44: error: `make each /ids` are many values, where one to a response is due
              help: write `response`, `header` or `regex`
            s.yaml:9:29: error: `x-user` does not say where the key of a response stands
              help: write `response POINTER`, `header NAME` or `regex PATTERN`, such as `header x-user-id`
            s.yaml:10:65: error: no moment fits into a stretch of this length
              help: write at least `1us`
            s.yaml:11:33: error: there is no service called `idz`
              help: did you mean `ids`?
            s.yaml:12:32: error: `ids` tells nobody of its states
              help: name a bundled service that does, such as a circuit-breaker
            s.yaml:13:32: error: there is no service called `idz`
              help: did you mean `ids`?
            s.yaml:13:47: error: `a to b` is no change of state; write `FROM -> TO`, such as `closed -> open`
            s.yaml:14:29: error: `make each /ids` are many values, where one to a response is due
              help: write `response`, `header` or `regex`
            s.yaml:14:45: error: there is no load called `nobody`
              help: the only one is `make`
            s.yaml:14:68: error: `x` does not say where the key of a response stands
              help: write `response POINTER`, `header NAME` or `regex PATTERN`, such as `header x-user-id`
            s.yaml:14:79: error: the shares are 1% together
              help: give every value that may come its share, 100% together"#]],
    );
}

/// What a split reads.
fn split_of(params: &str) -> String {
    let plan = plan(&around(&format!(
        "invariants: {{ s: {{ split: {{ {params} }} }} }}\n"
    )));
    match &plan.loads[0].extract[1] {
        Extraction::Together(places) => format!("{}, together", places[0]),
        other => other.to_string(),
    }
}

#[test]
fn a_service_may_change_its_states_only_as_it_promises_and_as_a_scenario_says() {
    let plan = plan(
        "squall: 1
name: s
services: { center: { use: store }, sw: { use: switch, calls: { center: center } } }
phases: [{ phase: a, for: 1s }]
invariants: { states: { transitions: { of: sw, allowed: [a -> b, b -> a] } } }
",
    );
    let listed: Vec<String> = plan
        .invariants
        .iter()
        .map(|invariant| match &invariant.check {
            Check::Transitions { service, allowed } => {
                let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
                format!("{} of {service}: {}", invariant.path(), allowed.join(", "))
            }
            Check::Values { .. } | Check::Reached { .. } => invariant.path(),
        })
        .collect();
    assert_eq!(
        listed,
        [
            "sw.states of 1: on -> off, off -> on",
            "states of 1: a -> b, b -> a"
        ]
    );
}

#[test]
fn what_a_service_promises_is_checked_where_a_load_sees_it() {
    let plan = plan(&around(
        "services: { ids: { use: store }, quiet: { use: store } }
load:
  one: { to: ids, http: { get: \"/id?node=1\" }, rate: 1k/s }
  many: { to: ids, http: { get: /ids }, rate: 1k/s }
  other: { to: ids, http: { get: /healthz }, rate: 1k/s }
",
    ));
    let listed: Vec<String> = plan
        .invariants
        .iter()
        .map(|invariant| match &invariant.check {
            Check::Values { kind, feeds, .. } => {
                let loads: Vec<usize> = feeds.iter().map(|feed| feed.load).collect();
                format!("{} {kind} {loads:?}", invariant.path())
            }
            Check::Transitions { .. } | Check::Reached { .. } => invariant.path(),
        })
        .collect();
    assert_eq!(
        listed,
        ["ids.unique unique [0, 1]", "ids.monotonic monotonic [0, 1]"]
    );
    assert_eq!(
        plan.loads[0].extract[0],
        Extraction::One(Place::Json("/id".parse().unwrap()))
    );
    assert_eq!(
        plan.loads[1].extract[0],
        Extraction::Each("/ids".parse().unwrap())
    );
    assert!(plan.loads[2].extract.is_empty());
}

#[test]
fn reached_needs_a_metric_that_is_there_and_something_to_reach() {
    check(
        &around(
            "invariants:
  a: { reached: \"ids.metrics.store_write_total >= 1\" }
  b: { reached: \"ids.metrics.store_writes_total\" }
  c: { reached: \"ids.unique\" }
  d: { reached: \"ids.metrics.store_writes_total >= 1 for 5s\" }
",
        ),
        &expect![[r#"
            s.yaml:7:30: error: `metrics` has no `store_write_total`
              help: did you mean `store_writes_total`?
            s.yaml:8:18: error: `ids.metrics.store_writes_total` is a number: it needs a limit
              help: such as `ids.metrics.store_writes_total < 1.5`
            s.yaml:9:17: error: `ids.unique` is judged on its own: it is nothing to be reached
              help: compare a metric, such as `SERVICE.metrics.NAME >= 1`
            s.yaml:10:58: error: `for` in an expectation is not supported by this version
              help: leave it out: an expectation is judged over all of its scope"#]],
    );
    let plan = plan(&around(
        "invariants: { wrote: { reached: \"ids.metrics.store_writes_total >= 1\" } }\n",
    ));
    assert_eq!(plan.invariants.last().unwrap().check.kind(), "reached");
}

#[test]
fn a_metric_that_is_unknown_is_named_with_the_nearest() {
    check(
        &around(
            "expect:
  run:
    - \"maek.p99 < 20ms\"
    - \"make.p98 < 20ms\"
    - \"make.service.p9 < 20ms\"
    - \"ids.uniqe\"
    - \"ids.metrics.store_writes > 3\"
    - \"ids.metrics > 3\"
    - \"make.p99 < 20\"
    - \"make.errors == 0% for 5s\"
",
        ),
        &expect![[r#"
            s.yaml:8:8: error: nothing here is called `maek`
              help: did you mean `make`?
            s.yaml:9:13: error: `make` has no `p98`
              help: did you mean `p90`?
            s.yaml:10:21: error: `service` has no `p9`
              help: did you mean `p90`?
            s.yaml:11:12: error: `ids` has no `uniqe`
              help: did you mean `unique`?
            s.yaml:12:20: error: `metrics` has no `store_writes`
              help: one of `store_writes_total`, `store_reads_total`
            s.yaml:13:8: error: `ids.metrics` does not say what of it is meant
              help: one of `store_writes_total`, `store_reads_total`
            s.yaml:14:19: error: `make.p99` is a duration, `20` is a number
              help: write 20ms or 20s
            s.yaml:15:30: error: `for` in an expectation is not supported by this version
              help: leave it out: an expectation is judged over all of its scope"#]],
    );
}

#[test]
fn a_scope_is_the_run_a_phase_or_while_a_fault_holds() {
    let plan = plan(&around(
        "phases:
  - { phase: a, for: 5s }
  - { phase: b, for: 5s, faults: [ { clock: { target: ids, step: -5ms } } ] }
  - { phase: c, for: 5s, faults: [ { clock: { as: back, target: ids, step: -5ms, for: 1s } } ] }
expect:
  run: [\"make.errors == 0%\"]
  b: [\"make.errors == 0%\", \"ids.rss_max < 1GiB\"]
  back: [\"make.errors == 0%\", \"ids.unique\"]
",
    ));
    let scopes: Vec<_> = plan.expectations.iter().map(|one| one.scope.clone()).collect();
    assert_eq!(
        scopes,
        [
            Scope::Run,
            Scope::Phase(1),
            Scope::Phase(1),
            Scope::Fault(1),
            Scope::Fault(1)
        ]
    );
}

#[test]
fn a_number_is_never_passed_off_as_that_of_a_shorter_time() {
    check(
        &around(
            "phases: [ { phase: a, for: 5s, faults: [ { clock: { as: back, target: ids, step: -5ms } } ] } ]
expect:
  a: [\"ids.metrics.store_writes_total > 3\", \"ids.cpu < 5s\"]
  back: [\"ids.cpu < 5s\", \"make.p99 < 1s\"]
  run: [\"ids.metrics.store_writes_total > 3\", \"ids.cpu < 5s\"]
",
        ),
        &expect![[r#"
            s.yaml:7:8: error: `ids.metrics.store_writes_total` is known only at the end of the run
              help: expect it of `run`
            s.yaml:8:11: error: `ids.cpu` is known only for whole phases
              help: expect it of the fault's phase, or of `run`"#]],
    );
}

#[test]
fn how_a_fault_was_taken_is_held_to_a_baseline_before_it() {
    check(
        &around(
            "phases: [ { phase: a, for: 5s, faults: [ { clock: { as: back, target: ids, step: -5ms } } ] } ]
expect:
  back: [\"back.detect < 1s\"]
  run: [\"back.recovery < 1s\", \"back.recover < 1s\"]
",
        ),
        &expect![[r#"
            s.yaml:7:11: error: `back.detect` is known only once the run is over
              help: expect it of `run`
            s.yaml:8:10: error: `back.recovery` is held to a baseline, and no phase before it is one
              help: mark a phase before the fault's with `baseline: true`
            s.yaml:8:37: error: `back` has no `recover`
              help: did you mean `recovery`?"#]],
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    check(
        "squall: 1
name: s
services:
  ids: { use: stor }
  own: { run: [x] }
load:
  make: { to: own, http: { get: /id }, rate: 1k/s, arrivals: evn }
phases:
  - { phase: a, for: 5s, faults: [ { clok: { target: ids } } ] }
invariants: { mine: { uniq: { values: make response /id } } }
expect: { run: [\"make.p98 < 1s\"], a: [\"make.p99 < 1\"] }
",
        &expect![[r#"
            s.yaml:4:15: error: there is no bundled service called `stor`
              note: `squall list` shows them all; a program of your own is started with `run: [...]`
              help: did you mean `store`?
            s.yaml:7:15: error: `own` is told no port, so no load can reach it
              s.yaml:5:16: its command line
              help: use "{port}" in its `run` or `env`
            s.yaml:7:62: error: there are no arrivals called `evn`
              help: did you mean `even`?
            s.yaml:9:38: error: there is no fault called `clok`
              help: did you mean `clock`?
            s.yaml:10:23: error: there is no invariant called `uniq`
              help: did you mean `unique`?
            s.yaml:11:23: error: `make` has no `p98`
              help: did you mean `p90`?
            s.yaml:11:51: error: `make.p99` is a duration, `1` is a number
              help: write 1ms or 1s"#]],
    );
}

#[test]
fn a_scenario_in_which_nothing_would_run_is_refused() {
    check(
        "squall: 1\nname: s\nphases: [ { phase: a, for: 5s } ]\n",
        &expect!["s.yaml:2:7: error: this scenario has neither services nor loads: nothing would run"],
    );
}
