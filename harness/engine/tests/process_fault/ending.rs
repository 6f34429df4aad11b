//! Ends that are asked for, and starts after them.

use std::time::Duration;

use rustix::process::Signal;
use squall_engine::fault::Receipt;
use squall_engine::process::Standing;

use crate::fixture::eventually;
use crate::rig::{Rig, inject, proven, spec};

#[test]
fn a_service_that_is_killed_is_shown_to_be_gone_and_comes_back_where_it_was() {
    let rig = Rig::server();
    let (before, ports) = (rig.service().process(), rig.service().addresses().clone());
    let mut fault = rig.fault("kill: { target: it }");
    for restarts in 1..=2 {
        let process = rig.service().process();
        fault.prepare().expect("prepared");
        assert!(process.is_alive() && !rig.lifecycle.expects_end_of(process));
        fault.inject().expect("injected");
        assert!(rig.lifecycle.expects_end_of(process), "its end is no accident");
        let evidence = proven("an end", || fault.prove());
        assert!(evidence.contains("ended with signal 9 (SIGKILL)"), "{evidence}");
        assert!(!process.is_alive());
        assert_eq!(fault.prove_healed(), Receipt::Pending, "it is down");
        fault.heal().expect("healed");
        rig.accept().expect("ready again");
        let evidence = proven("a start", || fault.prove_healed());
        assert!(evidence.contains("ready again as pid "), "{evidence}");
        assert!(fault.held().is_some_and(|down| !down.is_zero()));
        assert_eq!(
            (rig.service().addresses(), rig.service().restarts()),
            (&ports, restarts)
        );
        assert!(!rig.lifecycle.expects_end_of(rig.service().process()));
    }
    assert_ne!(rig.service().process(), before);
}

#[test]
fn all_that_the_service_started_ends_with_it() {
    let rig = Rig::shell("sh -c 'sleep 1000 & sleep 1001' & setsid sleep 1002 & echo up; sleep 1003");
    rig.wait_for_sleepers(4);
    let mut fault = rig.fault("restart: { target: it, down: 1s }");
    inject(fault.as_mut());
    let evidence = proven("an end", || fault.prove());
    assert!(
        evidence.contains("SIGTERM, and none of its processes runs"),
        "{evidence}"
    );
    assert_eq!(rig.service().family().running().expect("/proc is readable"), []);
}

#[test]
fn a_program_that_ignores_the_signal_is_not_shown_to_have_ended_and_is_started_again_all_the_same() {
    let rig = Rig::shell("trap '' TERM; echo up; while :; do sleep 1; done");
    let process = rig.service().process();
    let mut fault = rig.fault("kill: { target: it, signal: TERM }");
    inject(fault.as_mut());
    assert_eq!(fault.prove(), Receipt::Pending);
    let lacking = fault.lacking();
    assert!(
        lacking.contains("still ran after SIGTERM: it ignores SIGTERM"),
        "{lacking}"
    );
    fault.heal().expect("healed");
    rig.accept().expect("ready again");
    assert!(!process.is_alive(), "nothing of the old one is left");
}

#[test]
fn a_signal_that_a_program_has_a_use_for_is_shown_to_be_taken_and_ends_nothing() {
    let rig = Rig::shell("trap 'echo told' HUP; echo up; while :; do sleep 0.1; done");
    let process = rig.service().process();
    let mut fault = rig.fault("kill: { target: it, signal: HUP }");
    inject(fault.as_mut());
    let evidence = proven("a receipt", || fault.prove());
    assert!(evidence.contains("took it"), "{evidence}");
    eventually("its handler has run", || {
        rig.service().last_lines(1).is_ok_and(|lines| lines == ["told"])
    });
    fault.heal().expect("healed");
    assert!(proven("its end", || fault.prove_healed()).contains("runs on"));
    assert_eq!(
        (rig.service().process(), rig.lifecycle.standing()),
        (process, Standing::Up)
    );
    // The program ignores this one, and has no handler for that one, which ends it.
    let rig = Rig::shell("trap '' USR1; echo up; while :; do sleep 0.1; done");
    let mut fault = rig.fault("kill: { target: it, signal: USR1 }");
    fault.prepare().expect("prepared");
    assert!(
        fault
            .inject()
            .expect_err("ignored")
            .to_string()
            .contains("ignores SIGUSR1")
    );
    let mut fault = rig.fault("kill: { target: it, signal: USR2 }");
    inject(fault.as_mut());
    let evidence = proven("an end", || fault.prove());
    assert!(evidence.contains("ended with signal 12"), "{evidence}");
}

#[test]
fn a_program_that_is_not_ready_again_fails_its_start_and_takes_no_further_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("was-here");
    let script = format!(
        "[ -e {0} ] && exit 7; touch {0}; echo up; exec sleep 1000",
        mark.display()
    );
    let rig = Rig::shell(&script);
    let mut fault = rig.fault("restart: { target: it, down: 1s }");
    inject(fault.as_mut());
    proven("an end", || fault.prove());
    fault.heal().expect("healed");
    assert_eq!(rig.lifecycle.standing(), Standing::Starting);
    fault.prepare().expect("prepared");
    let why = rig
        .fault("kill: { target: it }")
        .inject()
        .expect_err("not up")
        .to_string();
    assert!(why.contains("is still being started again"), "{why}");
    let why = rig.accept().expect_err("it ends at once");
    assert!(
        why.contains("ended with exit code 7 before it was ready"),
        "{why}"
    );
    assert!(matches!(fault.prove_healed(), Receipt::Failed { reason } if reason == why));
}

#[test]
fn a_start_that_nobody_waits_for_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("was-here");
    let script = format!(
        "[ -e {0} ] && exec sleep 1000; touch {0}; echo up; exec sleep 1000",
        mark.display()
    );
    let rig = Rig::shell(&script);
    let mut fault = rig.fault("restart: { target: it, signal: KILL }");
    inject(fault.as_mut());
    proven("an end", || fault.prove());
    fault.heal().expect("healed");
    rig.lifecycle.retire();
    let why = rig.accept().expect_err("it never gets ready");
    assert!(why.contains("when the run ended"), "{why}");
    assert_eq!(rig.service().family().running().expect("/proc is readable"), []);
}

#[test]
fn a_service_that_died_by_itself_before_is_not_said_to_be_killed() {
    let rig = Rig::server();
    assert!(rig.service().signal(Signal::KILL).expect("sent"));
    eventually("it has ended", || rig.service().exit_status().is_some());
    let mut fault = rig.fault("kill: { target: it }");
    fault.prepare().expect("prepared");
    let why = fault.inject().expect_err("gone").to_string();
    assert!(why.contains("has ended before, with signal 9"), "{why}");
    assert!(
        !rig.lifecycle.expects_end_of(rig.service().process()),
        "that end was an accident"
    );
}

#[test]
fn a_restart_holds_for_as_long_as_it_is_down() {
    assert_eq!(
        spec("restart: { target: it, down: 2s }").holds(),
        Some(Duration::from_secs(2))
    );
    assert_eq!(
        spec("restart: { target: it }").holds(),
        Some(Duration::from_secs(1))
    );
    assert_eq!(spec("kill: { target: it }").holds(), None);
}
