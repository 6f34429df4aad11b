//! A pause stops every process of a service, and nothing else is taken for one.

use rustix::process::Signal;
use squall_engine::fault::Receipt;
use squall_engine::undo::Undo;

use crate::rig::{Rig, inject, proven};

/// A program with a child, a grandchild, and one that left its group and session.
const FAMILY: &str = "sh -c 'sleep 1000 & sleep 1001' & setsid sleep 1002 & echo up; sleep 1003";

#[test]
fn every_process_of_the_service_stands_still_until_it_is_healed() {
    let rig = Rig::shell(FAMILY);
    rig.wait_for_sleepers(4);
    assert!(!rig.states().contains('T'));
    let mut fault = rig.fault("pause: { target: it }");
    let undos = fault.prepare().expect("prepared");
    assert_eq!(undos.len(), 6);
    assert!(
        undos.iter().all(|undo| matches!(undo, Undo::Continue { .. })),
        "{undos:?}"
    );
    assert!(!rig.states().contains('T'), "preparing changes nothing");
    fault.inject().expect("injected");
    let evidence = proven("a stop", || fault.prove());
    assert!(
        evidence.contains("and 5 more processes stood still"),
        "{evidence}"
    );
    assert_eq!(rig.states(), "TTTTTT");
    assert_eq!(fault.still_holds(), Ok(()));
    fault.heal().expect("healed");
    let evidence = proven("its end", || fault.prove_healed());
    assert!(evidence.contains("went on, held for "), "{evidence}");
    assert!(!rig.states().contains('T'));
    assert!(fault.held().is_some_and(|held| !held.is_zero()));
}

#[test]
fn what_was_never_stopped_is_not_taken_for_stopped() {
    let rig = Rig::shell("echo up; exec sleep 1000");
    let mut fault = rig.fault("pause: { target: it }");
    fault.prepare().expect("prepared");
    assert_eq!(fault.prove(), Receipt::Pending);
    assert!(fault.lacking().contains("did not stand still"));
    assert!(fault.held().is_none());
}

#[test]
fn a_stop_that_somebody_else_ends_is_noticed() {
    let rig = Rig::shell("echo up; exec sleep 1000");
    let mut fault = rig.fault("pause: { target: it }");
    inject(fault.as_mut());
    proven("a stop", || fault.prove());
    assert!(rig.service().signal(Signal::CONT).expect("sent"));
    let why = fault.still_holds().expect_err("it goes");
    assert!(why.contains("by somebody else"), "{why}");
}

#[test]
fn it_can_be_stopped_again_and_a_service_that_has_ended_can_not() {
    let rig = Rig::shell("echo up; exec sleep 1000");
    let mut fault = rig.fault("pause: { target: it }");
    for _ in 0..3 {
        inject(fault.as_mut());
        proven("a stop", || fault.prove());
        fault.heal().expect("healed");
        proven("its end", || fault.prove_healed());
    }
    rig.service().kill().expect("killed");
    fault.prepare().expect("prepared");
    let why = fault.inject().expect_err("nothing is there").to_string();
    assert!(why.contains("no process that could be stopped"), "{why}");
}
