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
            seed: None,
            drawn: 1,
            quick: false,
            base: "/".into(),
            source: String::new(),
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
