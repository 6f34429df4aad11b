//! What happens when, as a sorted list: phases and faults on one clock.

use std::collections::VecDeque;
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
        for window in &fault.windows {
            steps.push((window.from, Step::Inject(index)));
            steps.push((window.to, Step::Heal(index)));
        }
    }
    steps.sort_by_key(|(at, step)| (*at, step.rank()));
    steps
}

/// What is still to be done, each at its moment, in microseconds since the run's start.
#[derive(Debug)]
pub struct Agenda {
    steps: VecDeque<(u64, Step)>,
}

impl Agenda {
    /// All of `plan`, whose first phase begins at `first_us`.
    pub fn new(plan: &Plan, first_us: u64) -> Agenda {
        let at = |(at, step): (Duration, Step)| (first_us + at.as_micros() as u64, step);
        Agenda {
            steps: steps(plan).into_iter().map(at).collect(),
        }
    }

    /// When the next step is due; nothing where all are done.
    pub fn next_us(&self) -> Option<u64> {
        self.steps.front().map(|(at_us, _)| *at_us)
    }

    /// Takes out the next step if it is due.
    pub fn take_due(&mut self, now_us: u64) -> Option<(u64, Step)> {
        self.steps.front().filter(|(at_us, _)| *at_us <= now_us)?;
        self.steps.pop_front()
    }

    /// When a fault that holds is to be healed.
    pub fn heal_us(&self, fault: usize) -> Option<u64> {
        let heal = self.steps.iter().find(|(_, step)| *step == Step::Heal(fault));
        heal.map(|(at_us, _)| *at_us)
    }

    /// The faults that are to be injected until then, and are not yet.
    pub fn injected_until(&self, until_us: u64) -> impl Iterator<Item = usize> {
        let soon = self.steps.iter().take_while(move |(at_us, _)| *at_us <= until_us);
        soon.filter_map(|(_, step)| match step {
            Step::Inject(fault) => Some(*fault),
            _ => None,
        })
    }

    /// Moves the healing of a fault that holds, though not behind its next injection.
    pub fn heal_at(&mut self, fault: usize, at_us: u64) {
        let Some(at) = self.steps.iter().position(|(_, step)| *step == Step::Heal(fault)) else {
            return;
        };
        let again = self.steps.iter().find(|(_, step)| *step == Step::Inject(fault));
        let latest_us = again.map_or(u64::MAX, |(at_us, _)| at_us.saturating_sub(1));
        let (_, step) = self.steps[at];
        let at_us = at_us.min(latest_us);
        self.steps.remove(at);
        let later = self.steps.partition_point(|(other_us, _)| *other_us < at_us);
        self.steps.insert(later, (at_us, step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use crate::plan::{Settings, compile};
    use Step::{BeginPhase, EndPhase, Heal, Inject};
    use squall_model::scenario::parse;

    fn plan(phases: &str) -> Plan {
        let text = format!(
            "squall: 1\nname: s\nservices: {{ own: {{ run: [own] }}, other: {{ run: [other] }} }}\nphases:\n{phases}"
        );
        let (scenario, mut diagnostics, sources) = parse("s.yaml", &text, &|_| None);
        let settings = Settings {
            secrets: Vec::new(),
            arm: squall_model::gate::Arm::Candidate,
            seed: None,
            drawn: 1,
            quick: false,
            base: "/".into(),
            allow_hosts: Vec::new(),
            source: String::new(),
            stored: None,
        };
        let plan = compile(
            &scenario.expect("a scenario"),
            &Catalogue::default(),
            settings,
            &mut diagnostics,
        );
        plan.unwrap_or_else(|| panic!("{}", diagnostics.display(&sources)))
    }

    fn listed(plan: &Plan) -> Vec<(u64, Step)> {
        let seconds = |(at, step): (Duration, Step)| (at.as_secs(), step);
        steps(plan).into_iter().map(seconds).collect()
    }

    #[test]
    fn a_phase_is_left_healed_and_entered_before_it_is_hurt() {
        let plan = plan(
            "  - { phase: a, for: 3s, faults: [ { clock: { target: own, step: -5ms, after: 1s } } ] }
  - { phase: b, for: 2s, faults: [ { clock: { target: own, step: -5ms } } ] }
",
        );
        assert_eq!(
            listed(&plan),
            [
                (0, BeginPhase(0)),
                (1, Inject(0)),
                (3, Heal(0)),
                (3, EndPhase(0)),
                (3, BeginPhase(1)),
                (3, Inject(1)),
                (5, Heal(1)),
                (5, EndPhase(1)),
            ]
        );
    }

    #[test]
    fn each_time_of_a_fault_has_its_own_steps() {
        let plan = plan(
            "  - { phase: a, for: 5s, faults: [ { clock: { target: own, step: -5ms, after: 1s, for: 1s, every: 2s } } ] }
",
        );
        assert_eq!(
            listed(&plan),
            [
                (0, BeginPhase(0)),
                (1, Inject(0)),
                (2, Heal(0)),
                (3, Inject(0)),
                (4, Heal(0)),
                (5, EndPhase(0)),
            ]
        );
    }

    #[test]
    fn a_healing_can_be_moved_and_stays_before_the_next_injection() {
        let plan = plan(
            "  - phase: a
    for: 10s
    faults:
      - clock: { as: one, target: own, step: -5ms, for: 1s, every: 2s, times: 2 }
      - clock: { as: two, target: other, step: -5ms, after: 1500ms, for: 1s }
",
        );
        let mut agenda = Agenda::new(&plan, 0);
        let due = |agenda: &mut Agenda, now_us| agenda.take_due(now_us).map(|(_, step)| step);
        assert_eq!(due(&mut agenda, 0), Some(BeginPhase(0)));
        assert_eq!(agenda.injected_until(0).collect::<Vec<_>>(), [0]);
        assert_eq!(due(&mut agenda, 0), Some(Inject(0)));
        agenda.heal_at(0, 1_700_000);
        assert_eq!(agenda.next_us(), Some(1_500_000));
        assert_eq!(due(&mut agenda, 1_500_000), Some(Inject(1)));
        assert_eq!(agenda.next_us(), Some(1_700_000));
        agenda.heal_at(0, 2_600_000);
        assert_eq!(agenda.next_us(), Some(1_999_999));
        assert_eq!(due(&mut agenda, 1_999_998), None);
        assert_eq!(due(&mut agenda, 2_000_000), Some(Heal(0)));
        assert_eq!(due(&mut agenda, 2_000_000), Some(Inject(0)));
    }

    #[test]
    fn a_fault_may_hold_over_the_border_of_phases_and_another_end_as_it_begins() {
        let plan = plan(
            "  - phase: a
    for: 3s
    faults:
      - clock: { as: long, target: own, step: -5ms, after: 2s, through: b }
      - clock: { as: short, target: other, step: -5ms, for: 2s }
  - { phase: b, for: 2s }
",
        );
        assert_eq!(
            listed(&plan),
            [
                (0, BeginPhase(0)),
                (0, Inject(0)),
                (2, Heal(0)),
                (2, Inject(1)),
                (3, EndPhase(0)),
                (3, BeginPhase(1)),
                (5, Heal(1)),
                (5, EndPhase(1)),
            ]
        );
    }
}
