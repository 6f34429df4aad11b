//! An arm's part of a block's record, read off the record of its run.

use squall_model::gate::{
    Arm, ArmRecord, HostRecord, StretchFault, StretchLoad, StretchRecord, ViolationRecord,
};
use squall_model::record::{LoadMode, PhaseRecord, RunRecord, Spoils, Verdict};

use super::timeline::{Slot, Timeline};
use crate::plan::{Plan, Start};

/// What the arm did in its turns: `plan` is the scenario's, `narrowed` the one that was run.
pub(super) fn arm(
    plan: &Plan,
    narrowed: &Plan,
    timeline: &Timeline,
    arm: Arm,
    record: &RunRecord,
) -> ArmRecord {
    let stretches = timeline.counted(arm).into_iter().filter_map(|slot| {
        let phase = record.phases.iter().find(|phase| phase.name == slot.name)?;
        Some(stretch(plan, narrowed, slot, phase, record))
    });
    let violated = record
        .invariants
        .iter()
        .filter(|invariant| invariant.verdict == Verdict::Fail);
    ArmRecord {
        stretches: stretches.collect(),
        violations: violated
            .map(|invariant| ViolationRecord {
                invariant: if invariant.service.is_empty() {
                    invariant.name.clone()
                } else {
                    format!("{}.{}", invariant.service, invariant.name)
                },
                count: invariant.violations,
                example: invariant.examples.first().cloned().unwrap_or_default(),
            })
            .collect(),
    }
}

fn stretch(
    plan: &Plan,
    narrowed: &Plan,
    slot: &Slot,
    phase: &PhaseRecord,
    record: &RunRecord,
) -> StretchRecord {
    let own = |name: &str| {
        let planned = narrowed.services.iter().find(|service| service.name == name);
        planned.is_some_and(|service| !matches!(service.start, Start::At { .. }))
    };
    let services = || {
        phase
            .services
            .iter()
            .filter(|(name, _)| own(name))
            .map(|(_, seen)| seen)
    };
    let pauses = services().filter_map(|seen| seen.pauses.as_ref());
    let faults = record.faults.iter().filter(|fault| fault.phase == slot.name);
    StretchRecord {
        phase: plan.phases[slot.phase].name.clone(),
        start_us: phase.start_us,
        end_us: phase.end_us,
        load: phase
            .load
            .iter()
            .filter(|(_, load)| load.mode != LoadMode::Off)
            .map(|(name, load)| {
                let seen = StretchLoad {
                    closed: load.mode == LoadMode::Closed,
                    intended: load.intended,
                    completed: load.completed,
                    failed: load.failed,
                    dropped: load.dropped,
                    response: load.response.hdr.clone(),
                };
                (name.clone(), seen)
            })
            .collect(),
        cpu_us: services().map(|seen| seen.cpu_us).sum(),
        pause_max_us: pauses.map(|pauses| pauses.max.unwrap_or(0)).max(),
        faults: faults
            .map(|fault| StretchFault {
                name: fault.name.clone(),
                recover_us: fault.felt.recover_us,
                unrecovered_us: fault.felt.unrecovered_us,
                proved: fault.proved && fault.undone,
            })
            .collect(),
        ..StretchRecord::default()
    }
}

/// Why what the arm did doesn't count; nothing where it does. A machine that is late makes its times noisy, for both arms alike: that
/// is what there are many blocks for. What was not sent as it was asked for, and turns that were cut short, are another matter.
pub(super) fn doubts(timeline: &Timeline, arm: Arm, record: &RunRecord) -> Vec<String> {
    let mut doubts = Vec::new();
    for slot in timeline.counted(arm) {
        let Some(phase) = record.phases.iter().find(|phase| phase.name == slot.name) else {
            doubts.push(format!("{arm}: {} was not run", slot.name));
            continue;
        };
        if !phase.complete {
            doubts.push(format!("{arm}: {} was cut short", slot.name));
        }
        for (name, load) in &phase.load {
            if load.spoils == Some(Spoils::Everything) {
                let why = load.invalid.join("; ");
                doubts.push(format!("{arm}: {name} in {}: {why}", slot.name));
            }
        }
    }
    doubts
}

/// What was seen of the machine in the turns of both arms: of each the worst.
pub(super) fn host(timeline: &Timeline, arms: [(Arm, &RunRecord); 2]) -> HostRecord {
    let mut host = HostRecord::default();
    for (arm, record) in arms {
        for slot in timeline.counted(arm) {
            let Some(seen) = record.generator.phases.get(&slot.name) else {
                continue;
            };
            host.strangers = most(host.strangers, seen.strangers);
            host.steal = most(host.steal, seen.steal);
            host.oversleep_us_p99 = host.oversleep_us_p99.max(seen.oversleep_us_p99);
        }
    }
    host
}

fn most(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (one, other) => one.or(other),
    }
}
