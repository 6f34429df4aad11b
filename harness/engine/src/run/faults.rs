//! The life of each fault in a run: waiting, injected, proven or not, healed, shown to be over or not.
//!
//! The undo of a fault is on the stack before it is injected and is taken off once it was healed.

use std::time::{Duration, Instant};

use squall_model::event::EventKind;

use crate::fault::{Fault, Receipt};
use crate::undo::{self, Stack, Undo};

/// How long after healing the second receipt may take.
const HEALED_WITHIN: Duration = Duration::from_secs(2);

/// One fault in a run.
pub struct Running {
    name: String,
    fault: Box<dyn Fault>,
    undo: Option<Undo>,
    pushed: Option<undo::Step>,
    state: State,
    /// Why it was proven and yet not shown to be over.
    lingers: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// Injected, no receipt yet.
    Injected,
    /// The target felt it.
    Proven,
    /// It could not be injected or is known not to have worked.
    Unproven(String),
    /// Taken back, no second receipt yet. Keeps what was known before.
    Healed {
        until: Instant,
        unproven: Option<String>,
    },
    /// Nothing is left to do.
    Over {
        unproven: Option<String>,
    },
}

impl Running {
    /// A fault that waits. `undo` is what reverses it from another process.
    pub fn new(name: String, fault: Box<dyn Fault>, undo: Option<Undo>) -> Running {
        Running {
            name,
            fault,
            undo,
            pushed: None,
            state: State::Waiting,
            lingers: None,
        }
    }

    /// Injects it.
    pub fn inject(&mut self, stack: &mut Stack) -> EventKind {
        let what = format!("fault {}", self.name);
        let pushed = self.undo.clone().map(|undo| stack.push(what, undo)).transpose();
        let done = match pushed {
            Ok(step) => {
                self.pushed = step;
                self.fault.inject().map_err(|e| e.to_string())
            }
            Err(e) => Err(e.to_string()),
        };
        match done {
            Ok(()) => {
                self.state = State::Injected;
                EventKind::FaultInjected {
                    fault: self.name.clone(),
                }
            }
            Err(reason) => self.not_proven(format!("could not be injected: {reason}")),
        }
    }

    /// Asks for receipts; what came of it, if anything did.
    pub fn poll(&mut self) -> Option<EventKind> {
        match self.state.clone() {
            State::Injected => match self.fault.prove() {
                Receipt::Pending => None,
                Receipt::Proven { evidence } => {
                    self.state = State::Proven;
                    Some(EventKind::FaultProved {
                        fault: self.name.clone(),
                        evidence,
                    })
                }
                Receipt::Failed { reason } => Some(self.not_proven(reason)),
            },
            State::Healed { until, unproven } => {
                let fault = self.name.clone();
                let kind = match self.fault.prove_healed() {
                    Receipt::Pending if Instant::now() < until => return None,
                    Receipt::Pending => {
                        let reason =
                            "nothing shows that it is over: the target did not look again".to_owned();
                        EventKind::FaultNotUndone { fault, reason }
                    }
                    Receipt::Proven { evidence } => EventKind::FaultUndone { fault, evidence },
                    Receipt::Failed { reason } => EventKind::FaultNotUndone { fault, reason },
                };
                if let EventKind::FaultNotUndone { reason, .. } = &kind
                    && unproven.is_none()
                {
                    self.lingers = Some(reason.clone());
                }
                self.state = State::Over { unproven };
                Some(kind)
            }
            State::Waiting | State::Proven | State::Unproven(_) | State::Over { .. } => None,
        }
    }

    /// Takes it back. One that was never proven until now is unproven for good.
    pub fn heal(&mut self, stack: &mut Stack) -> Vec<EventKind> {
        let mut events: Vec<EventKind> = self.poll().into_iter().collect();
        let unproven = match &self.state {
            State::Waiting | State::Healed { .. } | State::Over { .. } => return events,
            State::Proven => None,
            State::Unproven(reason) => Some(reason.clone()),
            State::Injected => {
                let reason = "nothing shows that the target felt it before it was healed".to_owned();
                events.push(self.not_proven(reason.clone()));
                Some(reason)
            }
        };
        match self.fault.heal() {
            Ok(()) => {
                if let Some(step) = self.pushed.take() {
                    stack.done(step);
                }
                events.push(EventKind::FaultHealed {
                    fault: self.name.clone(),
                });
                self.state = State::Healed {
                    until: Instant::now() + HEALED_WITHIN,
                    unproven,
                };
            }
            // Its undo stays on the stack, which tries again at the end and says so if that fails too.
            Err(e) => {
                events.push(EventKind::FaultNotUndone {
                    fault: self.name.clone(),
                    reason: e.to_string(),
                });
                // What comes after is measured while it still holds.
                if unproven.is_none() {
                    self.lingers = Some(e.to_string());
                }
                self.state = State::Over { unproven };
            }
        }
        events
    }

    /// Its target was stopped. What was healed and not looked at since is over with it.
    pub fn target_ended(&mut self) -> Option<EventKind> {
        let State::Healed { unproven, .. } = &self.state else {
            return None;
        };
        self.state = State::Over {
            unproven: unproven.clone(),
        };
        let evidence = "its target was stopped after it was healed and before it looked again".to_owned();
        Some(EventKind::FaultUndone {
            fault: self.name.clone(),
            evidence,
        })
    }

    /// Why it took effect and is not shown to be over, though its target went on; nothing where it is.
    pub fn lingers(&self) -> Option<String> {
        self.lingers.clone()
    }

    /// Whether it holds now, and whether it was proven.
    pub fn holds(&self) -> Option<bool> {
        match self.state {
            State::Injected | State::Unproven(_) => Some(false),
            State::Proven => Some(true),
            State::Waiting | State::Healed { .. } | State::Over { .. } => None,
        }
    }

    /// Whether a receipt may still come.
    pub fn awaits(&self) -> bool {
        matches!(self.state, State::Injected | State::Healed { .. })
    }

    /// Why it is not proven; nothing where it is. One that never began is not proven either.
    pub fn unproven(&self) -> Option<String> {
        match &self.state {
            State::Waiting => Some("the run ended before it began".to_owned()),
            State::Injected => Some("the run ended before the target felt it".to_owned()),
            State::Unproven(reason) => Some(reason.clone()),
            State::Proven => None,
            State::Healed { unproven, .. } | State::Over { unproven } => unproven.clone(),
        }
    }

    fn not_proven(&mut self, reason: String) -> EventKind {
        self.state = State::Unproven(reason.clone());
        EventKind::FaultNotProved {
            fault: self.name.clone(),
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
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

        fn rearm(&mut self, _: &TargetProcess) -> Result<(), FaultError> {
            unreachable!("nothing is restarted here")
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
                running: Running::new("back".to_owned(), Box::new(fault), undo),
                folder,
                stack,
                seen,
            }
        }

        fn inject(&mut self) -> String {
            told(&self.running.inject(&mut self.stack))
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
            EventKind::FaultUndone { fault, evidence } => format!("{fault} undone: {evidence}"),
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
        assert_eq!((stage.running.holds(), stage.running.awaits()), (None, false));
        assert!(stage.running.unproven().is_some(), "it has not begun");
        assert_eq!(stage.inject(), "back injected");
        assert_eq!(
            (stage.running.holds(), stage.running.awaits()),
            (Some(false), true)
        );
        assert_eq!(stage.poll(), None);
        assert_eq!(stage.poll().unwrap(), "back proved: it saw epoch 2");
        assert_eq!(
            (stage.running.holds(), stage.running.awaits()),
            (Some(true), false)
        );
        assert_eq!(stage.poll(), None, "a receipt is asked for until it is there");
        assert_eq!(stage.heal(), ["back healed"]);
        assert_eq!((stage.running.holds(), stage.running.awaits()), (None, true));
        assert_eq!(stage.poll(), None);
        assert_eq!(stage.poll(), None);
        assert_eq!(stage.poll().unwrap(), "back undone: it saw epoch 4");
        assert!(!stage.running.awaits());
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
            (stage.running.holds(), stage.running.awaits()),
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
        stage.running.undo = Some(Undo::RemoveFile {
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
        assert_eq!((stage.running.holds(), stage.running.awaits()), (None, false));
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
}
