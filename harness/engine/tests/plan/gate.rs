//! A block of a gate: whose turn is when, and what each arm's plan has of the scenario.

use std::time::Duration;

use expect_test::expect;
use squall_engine::gate::timeline::Role;
use squall_engine::gate::{Slot, Timeline, apart, narrow};
use squall_engine::plan::{Plan, Start};
use squall_load::Arrivals;
use squall_model::gate::{Arm, Both};
use squall_model::seed::Seed;

use crate::rig::{around, asked_of, check, plan};

const CALM: &str = "services: { own: { run: [own, \"{port}\"] } }
load: { calls: { to: own, http: { get: / }, rate: 100/s } }
phases:
  - { phase: warm-up, for: 5s, measure: false }
  - { phase: steady, for: 20s, baseline: true }
  - { phase: spike, for: 10s, load: { calls: 5x } }
";

const HURT: &str = "services: { own: { run: [own, \"{port}\"] } }
load: { calls: { to: own, http: { get: / }, rate: 100/s } }
phases:
  - { phase: steady, for: 1500ms, baseline: true }
  - phase: cut
    for: 3s
    faults:
      - pause: { as: held, target: own, after: 1s, for: 500ms }
      - pause: { as: late, target: own, after: 2500ms, for: 500ms }
  - { phase: after, for: 4s }
";

fn timeline(plan: &Plan, number: u32) -> Timeline {
    Timeline::of(plan, number, plan.seed.child("gate").nth(u64::from(number)))
}

fn arms(plan: &Plan, number: u32) -> (Timeline, Both<Plan>) {
    let timeline = timeline(plan, number);
    let plans = Both::from_fn(|arm| narrow(plan, &timeline, arm, Seed::new(1)));
    (timeline, plans)
}

#[test]
fn both_turns_of_a_pair_ask_for_the_same_at_different_times() {
    let plan = plan(&around(CALM));
    let timeline = timeline(&plan, 1);
    let of = |arm| timeline.counted(arm);
    let (base, candidate) = (of(Arm::Base), of(Arm::Candidate));
    let names: Vec<&str> = base.iter().map(|slot| slot.name.as_str()).collect();
    assert_eq!(names, ["steady.1", "steady.2", "steady.3"]);
    for (ours, theirs) in base.iter().zip(&candidate) {
        let what = |slot: &Slot| (slot.name.clone(), slot.length, slot.draw, slot.role);
        assert_eq!(what(ours), what(theirs));
        assert_eq!(ours.length, Duration::from_millis(800));
    }
    let draws: std::collections::BTreeSet<u32> = base.iter().map(|slot| slot.draw).collect();
    assert_eq!(draws.len(), base.len(), "each slice asks for something else");
}

#[test]
fn whatever_one_arm_does_the_other_rests() {
    let plan = plan(&around(CALM));
    for number in 1..20 {
        let (timeline, plans) = arms(&plan, number);
        assert_eq!(plans.base.length(), timeline.length());
        assert_eq!(plans.candidate.length(), timeline.length());
        let busy = |plan: &Plan| {
            let mut at = Duration::ZERO;
            let mut busy = Vec::new();
            for phase in &plan.phases {
                let rests = phase.arrivals.iter().all(|one| *one == Arrivals::None);
                busy.extend((!rests).then_some((at, at + phase.length)));
                at += phase.length;
            }
            busy
        };
        let (base, candidate) = (busy(&plans.base), busy(&plans.candidate));
        assert_eq!(
            (base.len(), candidate.len()),
            (4, 4),
            "a warm-up and three slices"
        );
        let gap = plan.gate.gap;
        for (from, to) in base {
            let apart = |(other, end): &(Duration, Duration)| *other >= to + gap || *end + gap <= from;
            assert!(
                candidate.iter().all(apart),
                "block {number}: {from:?} to {to:?}, {candidate:?}"
            );
        }
    }
}

#[test]
fn who_is_first_is_drawn_for_each_pair_and_can_be_repeated() {
    let plan = plan(&around(CALM));
    let mut base_first = 0;
    for number in 1..=200 {
        let timeline = timeline(&plan, number);
        assert_eq!(timeline, self::timeline(&plan, number));
        for name in ["steady.1", "steady.2", "steady.3"] {
            let first = timeline.slots.iter().find(|slot| slot.name == name).unwrap();
            base_first += u32::from(first.arm == Some(Arm::Base));
        }
    }
    // Of 600 fair draws fewer than 235 or more than 365 come up once in ten million.
    assert!((235..=365).contains(&base_first), "{base_first} of 600");
}

#[test]
fn blocks_ask_for_different_values() {
    let plan = plan(&around(CALM));
    let draws = |number| -> Vec<u32> {
        timeline(&plan, number)
            .counted(Arm::Base)
            .iter()
            .map(|slot| slot.draw)
            .collect()
    };
    let first = draws(1);
    assert!(draws(2).iter().all(|draw| !first.contains(draw)));
}

#[test]
fn faults_come_in_the_window_of_each_arm_at_the_same_distance() {
    let plan = plan(&around(HURT));
    let (timeline, plans) = arms(&plan, 3);
    let names = |arm| -> Vec<String> {
        timeline
            .counted(arm)
            .iter()
            .map(|slot| slot.name.clone())
            .collect()
    };
    let expected = [
        "steady.1",
        "steady.2",
        "steady.3",
        "gate.before-1",
        "cut",
        "after",
    ];
    assert_eq!(
        names(Arm::Base),
        expected,
        "the second ends with its phase, so the next one shows what came of it"
    );
    assert_eq!(names(Arm::Candidate), expected);
    for arm in Arm::BOTH {
        let plan = plans.of(arm);
        let begin = |name: &str| -> Duration {
            plan.phases
                .iter()
                .take_while(|phase| phase.name != name)
                .map(|phase| phase.length)
                .sum()
        };
        let cut = begin("cut");
        let since = |time: Duration| time.saturating_sub(cut);
        let held = &plan.faults[0].windows[0];
        assert_eq!(
            (since(held.from), since(held.to)),
            (Duration::from_secs(1), Duration::from_millis(1_500))
        );
        assert_eq!(since(plan.faults[1].begin()), Duration::from_millis(2_500));
        assert_eq!(plan.phases[plan.faults[0].phase].name, "cut");
        let baselines: Vec<&str> = plan
            .phases
            .iter()
            .filter(|phase| phase.baseline)
            .map(|phase| phase.name.as_str())
            .collect();
        assert_eq!(baselines, ["gate.before-1"]);
        assert_eq!(
            cut.saturating_sub(begin("gate.before-1")),
            Duration::from_millis(1_500)
        );
    }
    let before = timeline
        .slots
        .iter()
        .filter(|slot| slot.role == Role::Before)
        .count();
    assert_eq!(before, 2, "one for each arm");
}

#[test]
fn a_rate_that_changes_is_not_cut_into_slices() {
    let ramp = "services: { own: { run: [own, \"{port}\"] } }
load: { calls: { to: own, http: { get: / }, arrivals: { ramp: { from: 10/s, to: 100/s } } } }
phases: [ { phase: climb, for: 3s } ]
";
    let plan = plan(&around(ramp));
    let timeline = timeline(&plan, 1);
    let base: Vec<(&str, Duration)> = timeline
        .counted(Arm::Base)
        .iter()
        .map(|slot| (slot.name.as_str(), slot.length))
        .collect();
    assert_eq!(base, [("climb", Duration::from_secs(3))]);
}

#[test]
fn the_scenario_says_which_phases_and_how_long() {
    let gate = "gate: { phases: [spike, steady], slice: 500ms, slices: 2, gap: 50ms, warm_up: 0s }\n";
    let plan = plan(&around(&format!("{CALM}{gate}")));
    let timeline = timeline(&plan, 1);
    let names: Vec<&str> = timeline
        .counted(Arm::Base)
        .iter()
        .map(|slot| slot.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["steady.1", "spike.1", "steady.2", "spike.2"],
        "phases alternate"
    );
    assert_eq!(timeline.length(), Duration::from_millis(8 * 550));
}

#[test]
fn what_a_gate_is_told_is_held_to_what_there_is() {
    let gate = "gate:
  shared: [own, nobody, own]
  phases: [stedy]
  slice: 50ms
  slices: 101
  margin: 5%
  tolerance: 5%
  metrics: { p99: { margin: 2% }, calls.p98: { tolerance: 5% }, nobody.p50: { margin: 1% }, P99: {}, errors: {} }
";
    check(
        &around(&format!("{CALM}{gate}")),
        &expect![[r#"
        s.yaml:10:17: error: there is no service called `nobody`
          help: the only one is `own`
        s.yaml:10:25: error: `own` is named twice
          s.yaml:10:12: first here
        s.yaml:11:12: error: there is no phase called `stedy`
          help: did you mean `steady`?
        s.yaml:12:10: error: a slice this short is mostly its own begin and end
          help: at least 200ms
        s.yaml:13:11: error: more slices than a block has room for
          help: at most 100; more blocks come by themselves
        s.yaml:14:11: error: a margin must be below the tolerance
          s.yaml:15:14: the tolerance
        s.yaml:16:35: error: a gate measures no `p98`
          help: did you mean `p99`?
        s.yaml:16:65: error: there is no load or fault called `nobody`
          help: the only one is `calls`
        s.yaml:16:93: error: `P99` is no name: a metric is called as `p99`, or as `LOAD.p99` where it is of one load
        s.yaml:16:98: error: one of `margin` or `tolerance` is needed
        s.yaml:16:110: error: one of `margin` or `tolerance` is needed"#]],
    );
}

#[test]
fn what_both_arms_reach_must_be_wanted() {
    let text = |gate: &str| {
        around(&format!(
            "services:
  own: {{ run: [own, --port, \"{{port}}\", --db, \"{{db}}\"] }}
  db: {{ at: \"127.0.0.1:5432\" }}
load: {{ calls: {{ to: own, http: {{ get: / }}, rate: 100/s }} }}
{gate}"
        ))
    };
    let both = |text: &str| Both {
        base: plan(text),
        candidate: plan(text),
    };
    let error = apart(&both(&text(""))).unwrap_err().to_string();
    assert!(
        error.contains("both arms reach `db` at 127.0.0.1:5432") && error.contains("gate.shared"),
        "{error}"
    );
    assert_eq!(apart(&both(&text("gate: { shared: [db] }\n"))), Ok(()));
    let error = apart(&both(&text("gate: { shared: [db, own] }\n")));
    assert_eq!(error, Ok(()), "both are shared, so neither uses what an arm has");
    let started = around(
        "services:
  own: { run: [own, --port, \"{port}\", --db, \"{db}\"] }
  db: { run: [db, \"{port}\"] }
load: { calls: { to: own, http: { get: / }, rate: 100/s } }
gate: { shared: [own] }
",
    );
    let error = apart(&both(&started)).unwrap_err().to_string();
    assert!(
        error.contains("`own` is shared by both arms and uses `db`"),
        "{error}"
    );
}

#[test]
fn a_program_is_told_its_arm() {
    let text = around(
        "services: { own: { run: [own, \"{port}\", \"--name={arm}-1\"], env: { ARM: \"{arm}\" } } }
load: { calls: { to: own, http: { get: \"/{arm}\" }, rate: 100/s } }
",
    );
    let plan = plan(&text);
    let Start::Run { command, env, .. } = &plan.services[0].start else {
        panic!("it is a program")
    };
    assert_eq!(command[2].as_literal(), Some("--name=candidate-1"));
    assert_eq!(env["ARM"].as_literal(), Some("candidate"));
    assert!(asked_of(&plan, 0, 0).starts_with("GET /candidate HTTP/1.1"));
}
