//! Ctrl-C and SIGTERM: children stopped, a partial report written and marked, 130 and 143.

use rustix::process::Signal;
use squall_model::event::EventKind;
use squall_model::exit::Exit;
use squall_model::record::Verdict;

use super::{BUSY, clean, report};
use crate::support::{PATIENCE, Stage};

#[track_caller]
fn interrupted(how: impl FnOnce(&crate::support::Running), exit: Exit, signal: &str) {
    let stage = Stage::alone();
    let scenario = stage.write("busy.yaml", BUSY);
    let mut running = stage.start(stage.run_command(&scenario, &["--json"]));
    running.wait_for("clock proven");
    how(&running);
    let ended = running.wait();
    ended
        .assert_code(i32::from(exit.code()))
        .assert_exit(exit)
        .assert_nothing_left();
    let record = ended.record();
    assert_eq!(record.verdict, Verdict::Invalid);
    assert!(
        record.reasons[0].contains(&format!("interrupted by {signal}")),
        "{:?}",
        record.reasons
    );
    let printed: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON document also now");
    assert_eq!(printed["exit_code"], exit.code());
    let complete: Vec<bool> = record.phases.iter().map(|phase| phase.complete).collect();
    assert_eq!(complete, [true, false]);
    let sent: Vec<u64> = record
        .phases
        .iter()
        .map(|phase| phase.load["single"].completed)
        .collect();
    assert!(
        sent.iter().all(|sent| *sent > 0),
        "what was measured until then is kept: {sent:?}"
    );
    assert!(
        record.faults[0].proved && record.faults[0].healed_us.is_some(),
        "{:?}",
        record.faults
    );
    for name in ["report.html", "summary.md"] {
        assert!(
            ended.file(name).contains("did not finish"),
            "{name} is not marked"
        );
    }
    let stopped =
        |event: &&squall_model::event::Event| matches!(event.kind, EventKind::ServiceStopped { .. });
    assert_eq!(
        ended.events().iter().filter(stopped).count(),
        2,
        "both services were stopped, not lost"
    );
    assert_eq!(clean(&stage), "nothing was left\n");
}

#[test]
fn ctrl_c_stops_the_children_and_marks_the_report() {
    interrupted(
        |squall| squall.signal_group(Signal::INT),
        Exit::Interrupted,
        "SIGINT",
    );
}

#[test]
fn sigterm_does_the_same_with_its_own_code() {
    interrupted(|squall| squall.signal(Signal::TERM), Exit::Terminated, "SIGTERM");
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_nothing() {
    let stage = Stage::alone();
    let stubborn = BUSY.replace(
        "setsid sleep 600 & exec sleep 601",
        "trap '' TERM; sleep 600 & wait; wait",
    );
    let scenario = stage.write("busy.yaml", &stubborn);
    let mut running = stage.start(stage.run_command(&scenario, &[]));
    running.wait_for("clock proven");
    running.signal(Signal::INT);
    running.wait_for("SIGINT (Ctrl-C): stopping");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended.assert_code(130).wait_until_nothing_left(PATIENCE);
    assert!(
        !ended.folder().join("run.json").exists(),
        "it did not wait for its services"
    );
    let (_, page) = report(&stage, &ended.folder());
    assert!(
        page.contains("interrupted by SIGINT"),
        "the report says how the run ended"
    );
    clean(&stage);
    assert_eq!(clean(&stage), "nothing was left\n");
}

#[test]
fn ctrl_c_does_not_wait_for_a_service_that_never_gets_ready() {
    let stage = Stage::alone();
    let scenario = stage.write(
        "never.yaml",
        "squall: 1
name: never
services:
  first: { run: [sleep, \"600\"] }
  never: { run: [sleep, \"600\"], ready: { log: up, within: 10m } }
phases: [{ phase: p, for: 1s }]
",
    );
    let mut running = stage.start(stage.run_command(&scenario, &["--runs", "3"]));
    running.wait_for("first runs");
    running.signal(Signal::INT);
    let ended = running.wait();
    ended
        .assert_code(130)
        .assert_exit(Exit::Interrupted)
        .assert_nothing_left();
    assert_eq!(
        ended
            .record()
            .phases
            .iter()
            .filter(|phase| phase.complete)
            .count(),
        0
    );
}
