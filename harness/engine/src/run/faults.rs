//! The life of each fault in a run: waiting, injected, proven or not, healed, shown to be over or not; and then, where it comes
//! again, all of it once more.
//!
//! The undo of a fault is on the stack before it is injected and is taken off once it was healed.

use std::time::{Duration, Instant};

use squall_model::event::EventKind;

use crate::fault::{Fault, Receipt, TargetProcess};
use crate::undo::{self, Stack, Undo};

/// The first look for a receipt comes so soon; each further one after twice the time.
const FIRST_LOOK: Duration = Duration::from_micros(100);

/// The longest time between two looks.
const LAST_LOOK: Duration = Duration::from_millis(5);

/// How long a fault may take to take hold, where it tells that itself, beyond the time at which it would be healed.
const ONSET_WITHIN: Duration = Duration::from_millis(50);

/// One fault in a run.
pub struct Running {
    name: String,
    turns: Vec<Turn>,
    /// How long it is to hold, each time that it comes.
    times: Vec<Duration>,
    /// How often it has come, the present time included.
    begun: usize,
    pushed: Vec<undo::Step>,
    prepared: Option<Prepared>,
    state: State,
    /// How often a receipt was looked for since the state changed.
    looks: u32,
    /// Since when it holds, until that was taken in.
    onset: Option<Instant>,
    /// Times that are over and were not proven.
    bad: u64,
    /// The first of them, counted from 1, and why.
    first_bad: Option<(usize, String)>,
    /// Why it was proven and yet not shown to be over.
    lingers: Option<String>,
}

/// A fault on one of its targets; the n-th time the n-th has its turn, and after the last the first again.
pub struct Turn {
    /// The target's name, where it hits a service.
    pub target: Option<String>,
    /// The fault on it.
    pub fault: Box<dyn Fault>,
    /// What reverses it from another process.
    pub undo: Option<Undo>,
}

/// What a look at the target, shortly before, came to.
type Prepared = Result<Vec<Undo>, String>;

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
    /// Nothing is left to do, until it comes again.
    Over {
        unproven: Option<String>,
    },
}

impl Running {
    /// A fault that waits, and holds so long each time that it comes. There is at least one turn, and one time.
    pub fn new(name: String, turns: Vec<Turn>, times: Vec<Duration>) -> Running {
        Running {
            name,
            turns,
            times,
            begun: 0,
            pushed: Vec::new(),
            prepared: None,
            state: State::Waiting,
            looks: 0,
            onset: None,
            bad: 0,
            first_bad: None,
            lingers: None,
        }
    }

    /// The turn of the present time; before the first, of that.
    fn turn(&mut self) -> &mut Turn {
        let at = self.begun.saturating_sub(1) % self.turns.len();
        &mut self.turns[at]
    }

    fn fault(&mut self) -> &mut dyn Fault {
        self.turn().fault.as_mut()
    }

    /// Looks at what it will change when it is injected next, so that this needs no time then.
    pub fn prepare(&mut self) {
        if self.prepared.is_none() {
            let at = self.begun % self.turns.len();
            let prepared = self.turns[at].fault.prepare();
            self.prepared = Some(prepared.map_err(|e| e.to_string()));
        }
    }

    /// Injects it, after closing the time before.
    pub fn inject(&mut self, stack: &mut Stack) -> Vec<EventKind> {
        let mut events: Vec<EventKind> = self.close().into_iter().collect();
        self.prepare();
        self.begun += 1;
        self.pushed.clear();
        self.enter(State::Injected);
        let prepared = self.prepared.take().unwrap_or_else(|| Ok(Vec::new()));
        let done = prepared.and_then(|undos| self.act(undos, stack));
        // Where it tells by itself since when it holds, it is given some time to take hold.
        let patience = if self.fault().tells_onset() {
            ONSET_WITHIN
        } else {
            Duration::ZERO
        };
        self.onset = Some(Instant::now() + patience);
        events.push(match done {
            Ok(()) => EventKind::FaultInjected {
                fault: self.name.clone(),
            },
            Err(reason) => self.not_proven(format!("could not be injected: {reason}")),
        });
        events
    }

    fn act(&mut self, undos: Vec<Undo>, stack: &mut Stack) -> Result<(), String> {
        let what = format!("fault {}", self.name);
        let own = self.turn().undo.clone();
        for undo in own.into_iter().chain(undos) {
            let step = stack.push(what.clone(), undo).map_err(|e| e.to_string())?;
            self.pushed.push(step);
        }
        self.fault().inject().map_err(|e| e.to_string())
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.looks = 0;
    }

    /// Ends the present time, because the next begins.
    fn close(&mut self) -> Option<EventKind> {
        let mut event = self.poll();
        if let State::Healed { until, .. } = &mut self.state {
            *until = Instant::now();
            event = self.poll();
        }
        if let State::Over {
            unproven: Some(reason),
        } = &self.state
        {
            self.bad += 1;
            self.first_bad.get_or_insert((self.begun, reason.clone()));
        }
        event
    }

    /// Asks for receipts; what came of it, if anything did.
    pub fn poll(&mut self) -> Option<EventKind> {
        match self.state.clone() {
            State::Injected => {
                self.looks += 1;
                match self.fault().prove() {
                    Receipt::Pending => None,
                    Receipt::Proven { evidence } => {
                        self.onset = self.fault().onset().or(self.onset);
                        self.enter(State::Proven);
                        Some(EventKind::FaultProved {
                            fault: self.name.clone(),
                            evidence,
                        })
                    }
                    Receipt::Failed { reason } => Some(self.not_proven(reason)),
                }
            }
            State::Healed { until, unproven } => {
                self.looks += 1;
                let fault = self.name.clone();
                let kind = match self.fault().prove_healed() {
                    Receipt::Pending if Instant::now() < until => return None,
                    Receipt::Pending => {
                        let reason =
                            "nothing shows that it is over: the target did not look again".to_owned();
                        EventKind::FaultNotUndone { fault, reason }
                    }
                    Receipt::Proven { evidence } => EventKind::FaultUndone {
                        fault,
                        evidence,
                        held_us: self.fault().held().map(|held| held.as_secs_f64() * 1e6),
                    },
                    Receipt::Failed { reason } => EventKind::FaultNotUndone { fault, reason },
                };
                if let EventKind::FaultNotUndone { reason, .. } = &kind
                    && unproven.is_none()
                {
                    self.lingers.get_or_insert(reason.clone());
                }
                self.enter(State::Over { unproven });
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
            State::Proven => match self.fault().still_holds() {
                Ok(()) => None,
                Err(reason) => {
                    events.push(self.not_proven(reason.clone()));
                    Some(reason)
                }
            },
            State::Unproven(reason) => Some(reason.clone()),
            State::Injected => {
                let reason = format!("{} before it was healed", self.fault().lacking());
                events.push(self.not_proven(reason.clone()));
                Some(reason)
            }
        };
        match self.fault().heal() {
            Ok(()) => {
                for step in std::mem::take(&mut self.pushed) {
                    stack.done(step);
                }
                events.push(EventKind::FaultHealed {
                    fault: self.name.clone(),
                });
                let until = Instant::now() + self.fault().over_within();
                self.enter(State::Healed { until, unproven });
            }
            // Its undo stays on the stack, which tries again at the end and says so if that fails too.
            Err(e) => {
                events.push(EventKind::FaultNotUndone {
                    fault: self.name.clone(),
                    reason: e.to_string(),
                });
                // What comes after is measured while it still holds.
                if unproven.is_none() {
                    self.lingers.get_or_insert(e.to_string());
                }
                self.enter(State::Over { unproven });
            }
        }
        events
    }

    /// Since when it holds and how long it is to, once each time that it is known better than before.
    pub fn take_onset(&mut self) -> Option<(Instant, Duration)> {
        let onset = self.onset.take()?;
        Some((onset, *self.times.get(self.begun.checked_sub(1)?)?))
    }

    /// Whether it hits this service at present.
    pub fn is_on(&self, service: &str) -> bool {
        let at = self.begun.saturating_sub(1) % self.turns.len();
        self.turns[at].target.as_deref() == Some(service)
    }

    /// Its target was stopped. What was healed and not looked at since is over with it.
    pub fn target_ended(&mut self) -> Option<EventKind> {
        let State::Healed { unproven, .. } = &self.state else {
            return None;
        };
        let unproven = unproven.clone();
        self.enter(State::Over { unproven });
        let evidence = "its target was stopped after it was healed and before it looked again".to_owned();
        Some(EventKind::FaultUndone {
            fault: self.name.clone(),
            evidence,
            held_us: None,
        })
    }

    /// A service's process has ended because that was asked for.
    pub fn target_gone(&mut self, service: &str) {
        let on_it = |turn: &&mut Turn| turn.target.as_deref() == Some(service);
        for turn in self.turns.iter_mut().filter(on_it) {
            turn.fault.target_gone();
        }
    }

    /// A service has another process since it was started again: what holds there has to be proven once more.
    pub fn rearm(&mut self, target: &TargetProcess) -> Option<EventKind> {
        let on_it = self.is_on(&target.service);
        let mut failed = None;
        for turn in &mut self.turns {
            if turn.target.as_deref() == Some(target.service.as_str())
                && let Err(e) = turn.fault.rearm(target)
            {
                failed = Some(e.to_string());
            }
        }
        if !on_it {
            return None;
        }
        match (&self.state, failed) {
            (State::Injected | State::Proven, Some(why)) => {
                Some(self.not_proven(format!("could not be carried over to pid {}: {why}", target.pid)))
            }
            (State::Proven, None) => {
                self.enter(State::Injected);
                None
            }
            _ => None,
        }
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

    /// How soon to look for a receipt that may still come; nothing where none may.
    pub fn looks_again_in(&self) -> Option<Duration> {
        matches!(self.state, State::Injected | State::Healed { .. })
            .then(|| (FIRST_LOOK * 2_u32.pow(self.looks.min(6))).min(LAST_LOOK))
    }

    /// Why it is not proven; nothing where it is. One that never began is not proven either.
    pub fn unproven(&self) -> Option<String> {
        let present = match &self.state {
            State::Waiting => Some("the run ended before it began".to_owned()),
            State::Injected => Some("the run ended before the target felt it".to_owned()),
            State::Unproven(reason) => Some(reason.clone()),
            State::Proven => None,
            State::Healed { unproven, .. } | State::Over { unproven } => unproven.clone(),
        };
        let times = self.times.len();
        if times == 1 || self.begun == 0 {
            return present;
        }
        let bad = self.bad + u64::from(present.is_some());
        let first = self.first_bad.clone().or(present.map(|why| (self.begun, why)));
        match first {
            Some((at, why)) => Some(format!("{bad} of {times} times, first no. {at}: {why}")),
            None if self.begun < times => {
                Some(format!("the run ended after {} of {times} times", self.begun))
            }
            None => None,
        }
    }

    fn not_proven(&mut self, reason: String) -> EventKind {
        self.enter(State::Unproven(reason.clone()));
        EventKind::FaultNotProved {
            fault: self.name.clone(),
            reason,
        }
    }
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
