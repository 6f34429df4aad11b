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
