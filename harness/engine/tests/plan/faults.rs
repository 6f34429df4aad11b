//! Faults: their targets, names and places on the run's timeline.

use expect_test::expect;
use squall_engine::plan::{Plan, Window};

use crate::rig::{around, check, plan, quick};

fn windows(plan: &Plan) -> String {
    let line = |fault: &squall_engine::plan::PlannedFault| {
        let phase = &plan.phases[fault.phase].name;
        let window = |window: &Window| format!("{:?} to {:?}", window.from, window.to);
        let windows: Vec<String> = fault.windows.iter().map(window).collect();
        format!("{} in {phase}: {}\n", fault.name, windows.join(", "))
    };
    plan.faults.iter().map(line).collect()
}

#[test]
fn a_fault_that_is_unknown_or_hits_what_is_not_there_is_named_with_the_nearest() {
    check(
        &around(
            "phases:
  - phase: a
    for: 10s
    faults:
      - clok: { target: ids, step: -50ms, for: 1s }
      - clock: { target: idd, step: -50ms, after: 2s, for: 1s }
",
        ),
        &expect![[r#"
            s.yaml:9:9: error: there is no fault called `clok`
              help: did you mean `clock`?
            s.yaml:10:26: error: there is no service called `idd`
              help: did you mean `ids`?"#]],
    );
}

#[test]
fn what_squall_did_not_start_cannot_be_broken_from_inside() {
    check(
        &around(
            "services: { ids: { use: store }, db: { at: \"127.0.0.1:5432\" } }
phases: [ { phase: a, for: 10s, faults: [ { clock: { target: db, step: -50ms } } ] } ]
",
        ),
        &expect![[r#"
            s.yaml:5:62: error: `db` was not started by squall, so nothing in it can be changed
              s.yaml:4:44: it already runs
              help: start it with `run: [...]` to put it within reach"#]],
    );
}

#[test]
fn two_faults_of_a_kind_never_hold_on_one_service_at_once() {
    check(
        &around(
            "services: { ids: { use: store }, other: { use: store } }
phases:
  - phase: a
    for: 10s
    faults:
      - clock: { as: first, target: ids, step: -50ms, after: 1s, through: b }
      - clock: { as: elsewhere, target: other, step: -50ms, after: 1s, for: 5s }
  - phase: b
    for: 10s
    faults:
      - clock: { as: second, target: ids, freeze: true, after: 9s }
",
        ),
        &expect![[r#"
            s.yaml:14:22: error: `second` begins while `first` still holds on the same service
              s.yaml:9:22: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`"#]],
    );
    // One may begin at the very moment at which the other ends.
    plan(&around(
        "phases:
  - phase: a
    for: 10s
    faults:
      - clock: { as: first, target: ids, step: -50ms, after: 1s, for: 2s }
      - clock: { as: second, target: ids, step: -50ms, after: 3s }
  - { phase: b, for: 1s, faults: [ { clock: { as: third, target: ids, step: -5ms } } ] }
",
    ));
}

/// Three phases; the faults are written out of order.
const TIMELINE: &str = "phases:
  - { phase: a, for: 7s }
  - phase: b
    for: 30s
    faults:
      - clock: { as: late, target: ids, step: -50ms, after: 20s, through: c }
      - clock: { as: early, target: ids, step: -50ms, after: 1s, for: 2s }
      - clock: { as: middle, target: ids, step: -50ms, after: 3s, for: 17s }
  - { phase: c, for: 1s }
  - phase: d
    for: 3s
    faults:
      - clock: { as: last, target: ids, step: -50ms }
";

#[test]
fn windows_lie_on_the_timeline_of_the_run_in_the_order_of_injection() {
    expect![[r#"
        early in b: 8s to 10s
        middle in b: 10s to 27s
        late in b: 27s to 38s
        last in d: 38s to 41s
    "#]]
    .assert_eq(&windows(&plan(&around(TIMELINE))));
}

#[test]
fn scaling_down_keeps_the_order_and_every_window_inside_its_phases() {
    let plan = quick(&around(TIMELINE));
    assert!(plan.quick);
    let lengths: Vec<_> = plan
        .phases
        .iter()
        .map(|phase| phase.length.as_secs_f64())
        .collect();
    assert_eq!(lengths, [2.0, 2.0, 1.0, 2.0]);
    expect![[r#"
        early in b: 2.066666667s to 2.2s
        middle in b: 2.2s to 3.333333333s
        late in b: 3.333333333s to 5s
        last in d: 5s to 7s
    "#]]
    .assert_eq(&windows(&plan));
}

#[test]
fn scaling_down_makes_no_neighbours_overlap_and_no_fault_outlive_its_phase() {
    // Of lengths that two seconds do not divide: scaled one by one, begin and length are rounded apart.
    for phase_ms in [2_003_u32, 3_001, 7_919, 30_011, 59_999] {
        for cut_ms in [1, 7, 333, 1_009, 1_999] {
            let (rest_ms, middle_ms) = (phase_ms - cut_ms - 1, cut_ms + 1);
            let text = around(&format!(
                "phases:
  - phase: a
    for: {phase_ms}ms
    faults:
      - clock: {{ as: first, target: ids, step: -50ms, after: 1ms, for: {cut_ms}ms }}
      - clock: {{ as: second, target: ids, step: -50ms, after: {middle_ms}ms, for: {rest_ms}ms }}
  - {{ phase: b, for: 3s, faults: [ {{ clock: {{ as: third, target: ids, step: -50ms }} }} ] }}
"
            ));
            let plan = quick(&text);
            let end = plan.phases[0].length;
            let edges: Vec<_> = plan
                .faults
                .iter()
                .flat_map(|fault| [fault.begin(), fault.end()])
                .collect();
            assert!(edges.is_sorted(), "{phase_ms} {cut_ms}: {edges:?}");
            assert_eq!(
                (edges[1], edges[3], edges[4]),
                (edges[2], end, end),
                "{phase_ms} {cut_ms}"
            );
        }
    }
}

#[test]
fn unnamed_faults_of_a_kind_get_names_that_nothing_else_has() {
    let plan = plan(&around(
        "phases:
  - { phase: clock-3, for: 1s, faults: [ { clock: { target: ids, step: -5ms } } ] }
  - { phase: b, for: 1s, faults: [ { clock: { target: ids, step: -5ms } } ] }
  - { phase: c, for: 1s, faults: [ { clock: { target: ids, step: -5ms } } ] }
  - { phase: d, for: 1s, faults: [ { clock: { as: clock-2, target: ids, step: -5ms } } ] }
",
    ));
    let names: Vec<_> = plan.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["clock", "clock-4", "clock-5", "clock-2"]);
}

#[test]
fn what_comes_again_lies_at_even_distances_and_ends_with_its_phases() {
    let text = around(
        "services: { ids: { use: store }, other: { use: store } }
phases:
  - phase: a
    for: 10s
    faults:
      - pause: { as: fits, target: ids, after: 500ms, for: 12.4ms, every: 3s }
      - clock: { as: counted, target: ids, step: -5ms, after: 1s, for: 500ms, every: 1s, times: 3 }
      - restart: { as: rolling, targets: [ids, other], after: 4s, down: 250ms, every: 2s }
      - clock: { as: on, target: other, freeze: true, after: 8s, for: 1s, every: 2s, through: b }
  - { phase: b, for: 3s }
",
    );
    expect![[r#"
        fits in a: 500ms to 512.4ms, 3.5s to 3.5124s, 6.5s to 6.5124s, 9.5s to 9.5124s
        counted in a: 1s to 1.5s, 2s to 2.5s, 3s to 3.5s
        rolling in a: 4s to 4.25s, 6s to 6.25s
        on in a: 8s to 9s, 10s to 11s, 12s to 13s
    "#]]
    .assert_eq(&windows(&plan(&text)));
    expect![[r#"
        fits in a: 100ms to 102.48ms, 700ms to 702.48ms, 1.3s to 1.30248s, 1.9s to 1.90248s
        counted in a: 200ms to 300ms, 400ms to 500ms, 600ms to 700ms
        rolling in a: 800ms to 850ms, 1.2s to 1.25s
        on in a: 1.6s to 1.8s, 2s to 2.2s, 2.4s to 2.6s, 2.8s to 3s, 3.2s to 3.4s, 3.6s to 3.8s
    "#]]
    .assert_eq(&windows(&quick(&text)));
}

#[test]
fn repetitions_that_can_not_be_are_told_where_they_are_written() {
    check(
        &around(
            "services: { ids: { use: store }, other: { use: store } }
phases:
  - phase: a
    for: 10s
    faults:
      - pause: { target: ids, every: 1s }
      - pause: { as: two, target: ids, for: 2s, every: 1s }
      - restart: { as: three, target: ids, down: 2s, every: 2s }
      - clock: { as: four, target: ids, step: 1s, for: 1s, every: 3s, times: 5 }
      - pause: { as: five, targets: [ids, other], for: 1s }
      - restart: { as: six, target: other, after: 9s, down: 2s }
      - pause: { as: seven, targets: [ids, ids], for: 1s, every: 2s }
      - pause: { as: eight, targets: [], for: 1s, every: 2s }
      - pause: { as: nine, target: ids, for: 1ms, every: 2ms, times: 20000 }
",
        ),
        &expect![[r#"
            s.yaml:9:38: error: it is not said how long each time lasts
              help: say so with `for`
            s.yaml:10:45: error: each time lasts 2s, and the next begins after 1s
              s.yaml:10:56: the next begins then
              help: make `for` shorter than `every`: each time is over before the next begins
            s.yaml:11:61: error: each time lasts 2s, and the next begins after 2s
              help: each time is over before the next begins: make `every` longer
            s.yaml:12:78: error: of 5 times 4 are over before the phase is
              help: make the phase longer, or let it span phases with `through: PHASE`
            s.yaml:13:9: error: several targets are hit one after the other
              help: say with `every` how far apart
            s.yaml:14:9: error: the fault lasts 2s, and its phase is over before
            s.yaml:15:44: error: `ids` is among the targets twice
              help: for several rounds, say how many `times` in all
            s.yaml:16:38: error: the list is empty; at least one item is needed
            s.yaml:17:70: error: it comes more than 10000 times"#]],
    );
}

#[test]
fn what_stops_or_ends_the_same_processes_never_does_so_at_once() {
    check(
        &around(
            "services: { ids: { use: store }, other: { use: store } }
phases:
  - phase: a
    for: 10s
    faults:
      - pause: { target: ids, for: 1s, every: 2s }
      - kill: { target: ids, after: 3500ms, for: 200ms }
      - restart: { target: ids, after: 4500ms, down: 200ms }
      - clock: { target: ids, step: -5ms }
",
        ),
        &expect![[r#"
            s.yaml:11:9: error: `restart` begins while `pause` still holds on the same service
              s.yaml:9:9: this one still holds
              help: end the first one earlier with `for`, or begin this one later with `after`"#]],
    );
    // Of those that have several targets only the one whose turn it is counts.
    plan(&around(
        "services: { ids: { use: store }, other: { use: store } }
phases:
  - phase: a
    for: 10s
    faults:
      - kill: { targets: [ids, other], for: 1s, every: 2s, times: 4 }
      - pause: { target: ids, after: 1s, for: 3s }
",
    ));
}

#[test]
fn faults_on_processes_say_what_they_lack() {
    check(
        &around(
            "services: { ids: { use: store }, db: { at: \"127.0.0.1:5432\" } }
phases:
  - phase: a
    for: 10s
    faults:
      - pause: { target: idd, for: 1s }
      - kill: { target: db, for: 1s }
      - restart: { targets: [ids, db], every: 2s, after: 1s }
      - kill: { as: two, target: ids, signal: SIGTERM, after: 5s, for: 1s }
      - kill: { as: three, target: ids, signal: STOP, after: 6s, for: 1s }
      - restart: { as: four, target: ids, signal: HUP, after: 7s }
      - restart: { as: five, target: ids, for: 2s }
      - restart: { as: six, target: ids, through: b }
      - restart: { as: seven, target: ids, down: 0s }
      - pause: { as: eight, for: 2s }
      - pause: { as: nine, target: ids, targets: [ids], for: 2s }
  - { phase: b, for: 1s }
",
        ),
        &expect![[r#"
            s.yaml:9:26: error: there is no service called `idd`
              help: did you mean `ids`?
            s.yaml:10:25: error: `db` was not started by squall, so nothing in it can be changed
              s.yaml:4:44: it already runs
              help: start it with `run: [...]` to put it within reach
            s.yaml:11:35: error: `db` was not started by squall, so nothing in it can be changed
              s.yaml:4:44: it already runs
              help: start it with `run: [...]` to put it within reach
            s.yaml:12:47: error: `SIGTERM` is not possible here
              help: one of `KILL`, `TERM`, `INT`, `QUIT`, `ABRT`, `SEGV`, `HUP`, `USR1`, `USR2`
            s.yaml:13:49: error: `STOP` is not possible here
              help: one of `KILL`, `TERM`, `INT`, `QUIT`, `ABRT`, `SEGV`, `HUP`, `USR1`, `USR2`
            s.yaml:14:51: error: `HUP` is not possible here
              help: one of `TERM`, `INT`, `QUIT`, `KILL`
            s.yaml:15:48: error: a restart lasts as long as its `down`
              help: write `down: DURATION` instead; to leave a service down, use `kill`
            s.yaml:16:51: error: a restart lasts as long as its `down`
              help: write `down: DURATION` instead; to leave a service down, use `kill`
            s.yaml:17:50: error: a service must be down for longer than nothing
            s.yaml:18:16: error: one of `target` or `targets` is needed
            s.yaml:19:41: error: `target` and `targets` exclude each other
              s.yaml:19:28: the other one
            s.yaml:19:51: error: `ids` is among the targets twice
              help: for several rounds, say how many `times` in all"#]],
    );
}
