//! What happens when, as a sorted list: phases and faults on one clock.

use std::time::Duration;

use crate::plan::Plan;

/// Something the supervisor does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take a fault back, by index.
    Heal(usize),
    /// A phase's time is over, by index.
    EndPhase(usize),
    /// A phase begins, by index.
    BeginPhase(usize),
    /// Inject a fault, by index.
    Inject(usize),
}

impl Step {
    /// The order of what falls on one moment: a phase is left healed, and entered before it is hurt.
    fn rank(self) -> u8 {
        match self {
            Step::Heal(_) => 0,
            Step::EndPhase(_) => 1,
            Step::BeginPhase(_) => 2,
            Step::Inject(_) => 3,
        }
    }
}

/// The steps of `plan`, counted from the begin of its first phase, in order.
pub fn steps(plan: &Plan) -> Vec<(Duration, Step)> {
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    for (index, phase) in plan.phases.iter().enumerate() {
        steps.push((at, Step::BeginPhase(index)));
        at += phase.length;
        steps.push((at, Step::EndPhase(index)));
    }
    for (index, fault) in plan.faults.iter().enumerate() {
        steps.push((fault.from, Step::Inject(index)));
        steps.push((fault.to, Step::Heal(index)));
    }
    steps.sort_by_key(|(at, step)| (*at, step.rank()));
    steps
}
