//! What a plan needs of the machine is looked for before anything starts.

use expect_test::expect;
use squall_engine::run::preflight;

use crate::rig::{around, catalogue, plan};

fn missing(text: &str) -> String {
    let reports = std::env::temp_dir();
    let missing = preflight(&plan(text), &catalogue(), &reports);
    let lines = missing
        .iter()
        .map(|one| format!("{}: {}\n", one.needed_by, one.text));
    lines.collect::<Vec<_>>().concat()
}

#[test]
fn every_program_that_is_missing_is_named_and_a_fault_on_it_adds_nothing() {
    let text = around(
        "services:
  ids: { use: store }
  here: { run: [sh] }
  there: { run: [./no-such, \"{port}\"] }
  nowhere: { run: [no-such-program-here] }
  later: { run: [\"{data}/made-at-start\"] }
  db: { at: \"127.0.0.1:5432\" }
phases: [ { phase: a, for: 5s, faults: [ { clock: { target: nowhere, step: -5ms } } ] } ]
",
    );
    expect![[r#"
        service there: the program /scenarios/./no-such is not there: No such file or directory (os error 2)
        service nowhere: the program `no-such-program-here` is not in PATH: install it, or name it by its path
    "#]]
    .assert_eq(&missing(&text));
}

#[test]
fn a_program_that_a_fault_cannot_reach_is_named_with_the_fault() {
    // What the catalogue of these tests starts is not there, so nothing is known of how to reach it.
    let text = around(
        "phases: [ { phase: a, for: 5s, faults: [ { clock: { as: back, target: ids, step: -5ms } } ] } ]\n",
    );
    let found = missing(&text);
    assert!(found.starts_with("fault back: "), "{found}");
    assert_eq!(found.lines().count(), 1, "{found}");
}
