//! Who has load when in a block: the arms take turns, in an order that is drawn anew for each pair.
//!
//! A drawn order keeps whatever grows while a block runs, such as a cache or a neighbour's load, from always meeting the same arm. Both
//! turns of a pair ask for the same: same arrivals, same values, same faults at the same distance from their begin.

use std::time::Duration;

use squall_load::Arrivals;
use squall_load::PacerKind;
use squall_model::gate::Arm;
use squall_model::seed::{Seed, unit};

use crate::plan::{Plan, PlannedPhase};

/// Before a phase with faults, an arm has so much load that its recovery can be told from; less where the baseline is shorter.
const BEFORE: Duration = Duration::from_secs(2);

/// Load before the first fault is a phase of this name, of which no scenario can have one.
const BEFORE_NAME: &str = "gate.before";

/// A time in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Whose turn it is; nobody's while both rest.
    pub arm: Option<Arm>,
    /// The phase of the scenario that it is of, by index.
    pub phase: usize,
    /// The name of its phase in the arm's run.
    pub name: String,
    /// How long.
    pub length: Duration,
    /// What it is for.
    pub role: Role,
    /// What its arrivals and values are drawn by; the other arm's turn of the pair has the same.
    pub draw: u32,
}

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing in it counts.
    WarmUp,
    /// It counts.
    Slice,
    /// It counts, and recovery from faults is held to it.
    Before,
    /// A phase that is played whole: with faults, with a rate that changes, or because it has to follow one with faults.
    Window,
    /// Both arms rest.
    Gap,
}

/// A block's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// In order, without a break.
    pub slots: Vec<Slot>,
}

/// One turn of an arm: what there is a pair of.
#[derive(Clone, Debug)]
struct Turn {
    parts: Vec<(usize, String, Duration, Role)>,
}

impl Timeline {
    /// That of block `number` of a plan, drawn from `seed`.
    pub fn of(plan: &Plan, number: u32, seed: Seed) -> Timeline {
        let turns = turns(plan);
        let draws: u32 = turns.iter().map(|turn| turn.parts.len() as u32).sum();
        let mut draw = number.wrapping_mul(draws) % (squall_load::DRAWS_MAX - draws);
        let mut rng = seed.child("order").rng();
        let mut slots = Vec::new();
        for turn in turns {
            let first = if unit(&mut rng) < 0.5 {
                Arm::Base
            } else {
                Arm::Candidate
            };
            for arm in [first, first.other()] {
                let parts = turn.parts.iter().zip(draw..);
                slots.extend(parts.map(|((phase, name, length, role), draw)| Slot {
                    arm: Some(arm),
                    phase: *phase,
                    name: name.clone(),
                    length: *length,
                    role: *role,
                    draw,
                }));
                slots.push(Slot {
                    arm: None,
                    phase: turn.parts[0].0,
                    name: format!("gate.gap-{}", slots.len()),
                    length: plan.gate.gap,
                    role: Role::Gap,
                    draw: 0,
                });
            }
            draw += turn.parts.len() as u32;
        }
        Timeline { slots }
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        self.slots.iter().map(|slot| slot.length).sum()
    }

    /// When a slot begins, from the first one's begin.
    pub fn begin(&self, slot: usize) -> Duration {
        self.slots[..slot].iter().map(|slot| slot.length).sum()
    }

    /// The slots that count, of one arm, in the order of their pairs.
    pub fn counted(&self, arm: Arm) -> Vec<&Slot> {
        let counts = |slot: &&Slot| slot.arm == Some(arm) && !matches!(slot.role, Role::WarmUp | Role::Gap);
        let mut slots: Vec<&Slot> = self.slots.iter().filter(counts).collect();
        slots.sort_by_key(|slot| slot.draw);
        slots
    }
}

/// The turns of a block, of which each arm has one. Slices of several phases alternate, so that all see the whole block.
fn turns(plan: &Plan) -> Vec<Turn> {
    let gate = &plan.gate;
    let (windows, calm): (Vec<usize>, Vec<usize>) = gate.phases.iter().partition(|at| is_whole(plan, **at));
    let load_of = calm.first().or(windows.first()).copied();
    let mut turns = Vec::new();
    if let Some(phase) = load_of.filter(|_| !gate.warm_up.is_zero()) {
        turns.push(Turn {
            parts: vec![(phase, "gate.warm-up".to_owned(), gate.warm_up, Role::WarmUp)],
        });
    }
    for slice in 1..=gate.slices {
        for &phase in &calm {
            let name = format!("{}.{slice}", plan.phases[phase].name);
            let length = gate.slice.min(plan.phases[phase].length);
            turns.push(Turn {
                parts: vec![(phase, name, length, Role::Slice)],
            });
        }
    }
    let mut played = 0;
    for phase in windows {
        if phase < played {
            continue;
        }
        let last = last_of(plan, phase);
        let mut parts = Vec::new();
        if let Some(before) = before(plan).filter(|_| has_faults(plan, phase)) {
            let length = plan.phases[before].length.min(BEFORE);
            parts.push((before, format!("{BEFORE_NAME}-{phase}"), length, Role::Before));
        }
        parts.extend((phase..=last).map(|at| {
            let planned = &plan.phases[at];
            (at, planned.name.clone(), planned.length, Role::Window)
        }));
        turns.push(Turn { parts });
        played = last + 1;
    }
    turns
}

/// The phase that recovery is held to.
fn before(plan: &Plan) -> Option<usize> {
    plan.phases.iter().position(|phase| phase.baseline)
}

fn has_faults(plan: &Plan, phase: usize) -> bool {
    plan.faults.iter().any(|fault| fault.phase == phase)
}

/// Whether a phase makes no sense in slices: a fault comes in it, or its rate changes over its length.
fn is_whole(plan: &Plan, phase: usize) -> bool {
    has_faults(plan, phase) || plan.phases[phase].arrivals.iter().any(changes)
}

fn changes(arrivals: &Arrivals) -> bool {
    match arrivals {
        Arrivals::Open { pacer, .. } => {
            !matches!(pacer, PacerKind::Even | PacerKind::Poisson | PacerKind::Burst(_))
        }
        Arrivals::Closed { .. } | Arrivals::None => false,
    }
}

/// The last phase of the window that begins with `phase`: until all faults of it are over, and one more where they end with
/// their phase, since recovery only shows afterwards.
fn last_of(plan: &Plan, phase: usize) -> usize {
    let end_of = |at: usize| -> Duration { plan.phases[..=at].iter().map(|phase| phase.length).sum() };
    let mut last = phase;
    let mut at = phase;
    while at <= last {
        let faults = plan.faults.iter().filter(|fault| fault.phase == at);
        for end in faults.map(crate::plan::PlannedFault::end) {
            let healed_in = (at..plan.phases.len())
                .find(|at| end <= end_of(*at))
                .unwrap_or(at);
            let follows = end == end_of(healed_in) && healed_in + 1 < plan.phases.len();
            last = last.max(healed_in + usize::from(follows && !has_faults(plan, healed_in + 1)));
        }
        at += 1;
    }
    last
}

/// The phases of one arm's run: its own turns, and rests in between.
pub fn phases(plan: &Plan, timeline: &Timeline, arm: Arm) -> Vec<PlannedPhase> {
    let mut phases: Vec<PlannedPhase> = Vec::new();
    let mut rests = 0;
    for slot in &timeline.slots {
        let is_rest = slot.arm != Some(arm);
        if is_rest && let Some(before) = phases.last_mut().filter(|before| before.name.starts_with(REST)) {
            before.length += slot.length;
            continue;
        }
        let planned = &plan.phases[slot.phase];
        rests += u32::from(is_rest);
        phases.push(PlannedPhase {
            name: if is_rest {
                format!("{REST}-{rests}")
            } else {
                slot.name.clone()
            },
            length: slot.length,
            measure: !is_rest && slot.role != Role::WarmUp,
            baseline: !is_rest && slot.role == Role::Before,
            arrivals: if is_rest {
                planned.arrivals.iter().map(|_| Arrivals::None).collect()
            } else {
                planned.arrivals.clone()
            },
            draw: slot.draw,
        });
    }
    phases
}

/// How phases are called in which an arm rests.
const REST: &str = "gate.rest";
