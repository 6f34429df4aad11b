//! Tests of a fault's life in a run, with faults that do as they are told.

use super::*;
use crate::fault::{FaultError, TargetProcess};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A fault that does as it is told, and looks at the journal while it is injected.
struct Scripted {
    journal: PathBuf,
    inject: Result<(), &'static str>,
    heal: Result<(), &'static str>,
    proofs: VecDeque<Receipt>,
    over: VecDeque<Receipt>,
    seen: Arc<Mutex<Vec<String>>>,
}

fn failing(text: &'static str) -> FaultError {
    FaultError::Parameters(text.to_owned())
}

impl Fault for Scripted {
    fn inject(&mut self) -> Result<(), FaultError> {
        let journal = std::fs::read_to_string(&self.journal).unwrap_or_default();
        let pushed = journal.matches("push").count();
        self.seen
            .lock()
            .unwrap()
            .push(format!("inject after {pushed} push"));
        self.inject.map_err(failing)
    }

    fn prove(&mut self) -> Receipt {
        self.proofs.pop_front().unwrap_or(Receipt::Pending)
    }

    fn heal(&mut self) -> Result<(), FaultError> {
        self.seen.lock().unwrap().push("heal".to_owned());
        self.heal.map_err(failing)
    }

    fn prove_healed(&mut self) -> Receipt {
        self.over.pop_front().unwrap_or(Receipt::Pending)
    }

    fn rearm(&mut self, target: &TargetProcess) -> Result<(), FaultError> {
        self.seen.lock().unwrap().push(format!("rearm {}", target.pid));
        Ok(())
    }
}

fn turn(target: &str, fault: Scripted, undo: Option<Undo>) -> Turn {
    Turn {
        target: Some(target.to_owned()),
        fault: Box::new(fault),
        undo,
    }
}

/// A fault in a run of its own.
struct Stage {
    folder: tempfile::TempDir,
    stack: Stack,
    running: Running,
    seen: Arc<Mutex<Vec<String>>>,
}

fn proven(text: &str) -> Receipt {
    Receipt::Proven {
        evidence: text.to_owned(),
    }
}

fn failed(text: &str) -> Receipt {
    Receipt::Failed {
        reason: text.to_owned(),
    }
}

impl Stage {
    fn new(change: impl FnOnce(&mut Scripted)) -> Stage {
        Stage::of(1, change)
    }

    fn of(times: usize, change: impl FnOnce(&mut Scripted)) -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let stack = Stack::create(folder.path(), "faults-test").unwrap();
        let path = folder.path().join("page");
        std::fs::write(&path, "").unwrap();
        let seen = Arc::default();
        let mut fault = Scripted {
            journal: folder.path().join(undo::FILE_NAME),
            inject: Ok(()),
            heal: Ok(()),
            proofs: VecDeque::new(),
            over: VecDeque::new(),
            seen: Arc::clone(&seen),
        };
        change(&mut fault);
        let undo = Some(Undo::RemoveFile { path });
        Stage {
            running: Running::new(
                "back".to_owned(),
                vec![turn("ids", fault, undo)],
                vec![Duration::from_secs(1); times],
            ),
            folder,
            stack,
            seen,
        }
    }

    fn inject(&mut self) -> String {
        let events = self.running.inject(&mut self.stack);
        let told: Vec<String> = events.iter().map(told).collect();
        told.join("; ")
    }

    fn poll(&mut self) -> Option<String> {
        self.running.poll().as_ref().map(told)
    }

    fn heal(&mut self) -> Vec<String> {
        self.running.heal(&mut self.stack).iter().map(told).collect()
    }

    /// Lets the time for the second receipt run out.
    fn run_out(&mut self) {
        if let State::Healed { until, .. } = &mut self.running.state {
            *until = Instant::now();
        }
    }

    /// Whether the undo is still to be done: then unwinding does it.
    fn was_left_to_undo(mut self) -> bool {
        assert_eq!(self.stack.unwind(), []);
        !self.folder.path().join("page").exists()
    }
}

/// An event in short.
fn told(kind: &EventKind) -> String {
    match kind {
        EventKind::FaultInjected { fault } => format!("{fault} injected"),
        EventKind::FaultProved { fault, evidence } => format!("{fault} proved: {evidence}"),
        EventKind::FaultNotProved { fault, reason } => format!("{fault} not proved: {reason}"),
        EventKind::FaultHealed { fault } => format!("{fault} healed"),
        EventKind::FaultUndone { fault, evidence, .. } => format!("{fault} undone: {evidence}"),
        EventKind::FaultNotUndone { fault, reason } => format!("{fault} not undone: {reason}"),
        other => panic!("{other:?} is no event of a fault"),
    }
}

#[test]
fn a_fault_is_injected_proven_healed_and_shown_to_be_over() {
    let mut stage = Stage::new(|fault| {
        fault.proofs = [Receipt::Pending, proven("it saw epoch 2")].into();
        fault.over = [Receipt::Pending, Receipt::Pending, proven("it saw epoch 4")].into();
    });
    assert_eq!(
        (stage.running.holds(), stage.running.looks_again_in().is_some()),
        (None, false)
    );
    assert!(stage.running.unproven().is_some(), "it has not begun");
    assert_eq!(stage.inject(), "back injected");
    assert_eq!(
        (stage.running.holds(), stage.running.looks_again_in().is_some()),
        (Some(false), true)
    );
    assert_eq!(stage.poll(), None);
    assert_eq!(stage.poll().unwrap(), "back proved: it saw epoch 2");
    assert_eq!(
        (stage.running.holds(), stage.running.looks_again_in().is_some()),
        (Some(true), false)
    );
    assert_eq!(stage.poll(), None, "a receipt is asked for until it is there");
    assert_eq!(stage.heal(), ["back healed"]);
    assert_eq!(
        (stage.running.holds(), stage.running.looks_again_in().is_some()),
        (None, true)
    );
    assert_eq!(stage.poll(), None);
    assert_eq!(stage.poll(), None);
    assert_eq!(stage.poll().unwrap(), "back undone: it saw epoch 4");
    assert!(stage.running.looks_again_in().is_none());
    assert_eq!((stage.running.unproven(), stage.running.lingers()), (None, None));
    assert_eq!(stage.heal(), [""; 0], "healing again does nothing");
    assert_eq!(*stage.seen.lock().unwrap(), ["inject after 1 push", "heal"]);
    assert!(!stage.was_left_to_undo(), "what was healed is not undone again");
}

#[test]
fn a_receipt_that_comes_just_before_the_healing_counts() {
    let mut stage = Stage::new(|fault| fault.proofs = [proven("at last")].into());
    stage.inject();
    assert_eq!(stage.heal(), ["back proved: at last", "back healed"]);
    assert_eq!(stage.running.unproven(), None);
}

#[test]
fn a_fault_that_nobody_felt_until_it_was_healed_is_unproven_for_good() {
    let mut stage = Stage::new(|fault| {
        fault.proofs = [Receipt::Pending, Receipt::Pending].into();
        fault.over = [proven("over")].into();
    });
    stage.inject();
    assert!(stage.running.unproven().unwrap().contains("the run ended before"));
    let reason = "nothing shows that the target felt it before it was healed";
    assert_eq!(
        stage.heal(),
        [format!("back not proved: {reason}"), "back healed".to_owned()]
    );
    assert_eq!(stage.poll().unwrap(), "back undone: over");
    assert_eq!(stage.running.unproven().unwrap(), reason);
    assert_eq!(stage.running.lingers(), None);
}

#[test]
fn a_fault_that_is_contradicted_holds_on_and_is_healed_all_the_same() {
    let mut stage = Stage::new(|fault| fault.proofs = [failed("its clock went on")].into());
    stage.inject();
    assert_eq!(stage.poll().unwrap(), "back not proved: its clock went on");
    assert_eq!(
        (stage.running.holds(), stage.running.looks_again_in().is_some()),
        (Some(false), false)
    );
    assert_eq!(stage.heal(), ["back healed"]);
    assert_eq!(stage.running.unproven().unwrap(), "its clock went on");
}

#[test]
fn a_fault_that_could_not_be_injected_may_have_half_happened_and_is_healed() {
    let mut stage = Stage::new(|fault| fault.inject = Err("no page"));
    assert_eq!(stage.inject(), "back not proved: could not be injected: no page");
    assert_eq!(stage.heal(), ["back healed"]);
    assert!(stage.running.unproven().unwrap().contains("no page"));
    assert!(!stage.was_left_to_undo());
}

#[test]
fn without_a_journalled_undo_nothing_is_injected() {
    let mut stage = Stage::new(|_| {});
    stage.running.turns[0].undo = Some(Undo::RemoveFile {
        path: Path::new("/etc/hostname").to_owned(),
    });
    let told = stage.inject();
    assert!(
        told.starts_with("back not proved: could not be injected: "),
        "{told}"
    );
    assert_eq!(*stage.seen.lock().unwrap(), [""; 0]);
}

#[test]
fn what_cannot_be_healed_stays_on_the_stack_and_spoils_what_follows() {
    let mut stage = Stage::new(|fault| {
        fault.proofs = [proven("felt")].into();
        fault.heal = Err("the page is gone");
    });
    stage.inject();
    stage.poll();
    assert_eq!(stage.heal(), ["back not undone: the page is gone"]);
    assert_eq!(
        (stage.running.holds(), stage.running.looks_again_in().is_some()),
        (None, false)
    );
    assert_eq!(stage.running.unproven(), None, "it did take effect");
    assert_eq!(stage.running.lingers().unwrap(), "the page is gone");
    assert!(stage.was_left_to_undo());
}

#[test]
fn a_target_that_never_looks_again_is_not_shown_to_be_free_of_it() {
    let mut stage = Stage::new(|fault| fault.proofs = [proven("felt")].into());
    stage.inject();
    stage.poll();
    stage.heal();
    assert_eq!(stage.poll(), None);
    stage.run_out();
    let told = stage.poll().unwrap();
    assert!(told.starts_with("back not undone: nothing shows"), "{told}");
    assert!(stage.running.lingers().is_some());
    assert_eq!(stage.running.target_ended(), None, "what was said stays said");
}

#[test]
fn a_fault_is_over_with_its_target() {
    let mut stage = Stage::new(|fault| fault.proofs = [proven("felt")].into());
    assert_eq!(stage.running.target_ended(), None, "nothing was to end");
    stage.inject();
    stage.poll();
    stage.heal();
    let told = told(&stage.running.target_ended().unwrap());
    assert!(told.starts_with("back undone: its target was stopped"), "{told}");
    assert_eq!((stage.running.lingers(), stage.running.unproven()), (None, None));
}

#[test]
fn what_waits_is_not_healed_and_stays_unproven() {
    let mut stage = Stage::new(|_| {});
    assert_eq!(stage.heal(), [""; 0]);
    assert!(stage.running.unproven().unwrap().contains("before it began"));
    assert_eq!(*stage.seen.lock().unwrap(), [""; 0]);
    assert!(!stage.was_left_to_undo());
}

#[test]
fn a_fault_that_comes_again_lives_each_time_from_its_begin_and_one_bad_time_is_enough() {
    let mut stage = Stage::of(3, |fault| {
        fault.proofs = [proven("first"), failed("it went on"), proven("third")].into();
        fault.over = [proven("over"), Receipt::Pending, Receipt::Pending, proven("over")].into();
    });
    assert_eq!(stage.inject(), "back injected");
    assert_eq!(stage.heal(), ["back proved: first", "back healed"]);
    assert_eq!(stage.poll().unwrap(), "back undone: over");
    assert_eq!(
        stage.running.unproven().unwrap(),
        "the run ended after 1 of 3 times",
        "what is still to come is not proven"
    );
    assert_eq!(stage.inject(), "back injected");
    assert_eq!(stage.heal(), ["back not proved: it went on", "back healed"]);
    let told = stage.inject();
    assert!(
        told.starts_with("back not undone: nothing shows") && told.ends_with("; back injected"),
        "the time before is closed: {told}"
    );
    assert_eq!(stage.heal(), ["back proved: third", "back healed"]);
    assert_eq!(stage.poll().unwrap(), "back undone: over");
    assert_eq!(
        stage.running.unproven().unwrap(),
        "1 of 3 times, first no. 2: it went on"
    );
    assert_eq!(
        stage.running.lingers(),
        None,
        "it was never shown to have worked that time"
    );
    let seen = stage.seen.lock().unwrap().clone();
    let expected = [1, 2, 3].map(|turn| [format!("inject after {turn} push"), "heal".to_owned()]);
    assert_eq!(seen, expected.concat());
    assert!(!stage.was_left_to_undo(), "each time takes its undo off");
}

#[test]
fn the_targets_of_a_fault_have_their_turns_one_after_the_other() {
    let mut stage = Stage::of(3, |fault| fault.proofs = [proven("a"), proven("a again")].into());
    let other = Scripted {
        journal: stage.folder.path().join(undo::FILE_NAME),
        inject: Ok(()),
        heal: Ok(()),
        proofs: [proven("b")].into(),
        over: VecDeque::new(),
        seen: Arc::default(),
    };
    stage.running.turns.push(turn("other", other, None));
    for (evidence, on) in [("a", "ids"), ("b", "other"), ("a again", "ids")] {
        assert!(stage.inject().ends_with("back injected"));
        assert!(stage.running.is_on(on), "{evidence}");
        assert_eq!(stage.heal()[0], format!("back proved: {evidence}"));
    }
    assert_eq!(stage.running.unproven(), None);
}

#[test]
fn after_a_restart_of_its_target_a_fault_that_holds_is_proven_anew() {
    let process = |service: &str| TargetProcess {
        service: service.to_owned(),
        pid: 77,
    };
    let mut stage =
        Stage::new(|fault| fault.proofs = [proven("pid 7"), Receipt::Pending, proven("pid 77")].into());
    stage.inject();
    stage.poll();
    assert_eq!(stage.running.rearm(&process("other")), None);
    assert_eq!(
        stage.running.holds(),
        Some(true),
        "another service's restart is nothing to it"
    );
    assert_eq!(stage.running.rearm(&process("ids")), None);
    assert_eq!(
        stage.running.holds(),
        Some(false),
        "what the old process saw says nothing"
    );
    assert_eq!(stage.poll(), None);
    assert_eq!(stage.poll().unwrap(), "back proved: pid 77");
    assert!(stage.seen.lock().unwrap().contains(&"rearm 77".to_owned()));
    // The new process never felt it: then the fault is not proven, whatever the old one did.
    let mut stage = Stage::new(|fault| fault.proofs = [proven("pid 7")].into());
    stage.inject();
    stage.poll();
    stage.running.rearm(&process("ids"));
    assert!(stage.heal()[0].starts_with("back not proved: nothing shows"));
}
