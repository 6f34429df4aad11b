//! Faults: their targets, names and places on the run's timeline.

use expect_test::expect;
use squall_engine::plan::Plan;

use crate::rig::{around, check, plan, quick};

fn windows(plan: &Plan) -> String {
    let line = |fault: &squall_engine::plan::PlannedFault| {
        let phase = &plan.phases[fault.phase].name;
        format!("{} in {phase}: {:?} to {:?}\n", fault.name, fault.from, fault.to)
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
                .flat_map(|fault| [fault.from, fault.to])
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
