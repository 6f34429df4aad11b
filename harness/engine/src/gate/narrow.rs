//! From the plan of a scenario to that of one arm in one block.

use std::time::Duration;

use squall_model::gate::Arm;
use squall_model::seed::Seed;

use super::timeline::{self, Role, Timeline};
use crate::plan::{Plan, PlannedFault, Window};

/// The plan of an arm: its turns on the timeline, the faults of its windows, and no expectations, which are of a whole run.
pub fn narrow(plan: &Plan, timeline: &Timeline, arm: Arm, seed: Seed) -> Plan {
    let phases = timeline::phases(plan, timeline, arm);
    let faults = faults(plan, timeline, arm, &phases);
    Plan {
        seed,
        phases,
        faults,
        expectations: Vec::new(),
        ..plan.clone()
    }
}

/// The faults that begin in the arm's windows, moved to where those are.
fn faults(
    plan: &Plan,
    timeline: &Timeline,
    arm: Arm,
    phases: &[crate::plan::PlannedPhase],
) -> Vec<PlannedFault> {
    let mut moved = Vec::new();
    for (at, slot) in timeline.slots.iter().enumerate() {
        if slot.arm != Some(arm) || slot.role != Role::Window {
            continue;
        }
        let was: Duration = plan.phases[..slot.phase].iter().map(|phase| phase.length).sum();
        let is = timeline.begin(at);
        for fault in plan.faults.iter().filter(|fault| fault.phase == slot.phase) {
            let mut fault = fault.clone();
            fault.phase = phases
                .iter()
                .position(|phase| phase.name == slot.name)
                .unwrap_or_default();
            let shift = |time: Duration| is + time.saturating_sub(was);
            for window in &mut fault.windows {
                *window = Window {
                    from: shift(window.from),
                    to: shift(window.to),
                };
            }
            moved.push(fault);
        }
    }
    moved.sort_by_key(PlannedFault::begin);
    moved
}
