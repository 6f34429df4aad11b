//! What a run amounts to: every verdict and incident summed up, the gravest first.

use squall_model::exit::Exit;
use squall_model::record::{ExpectationRecord, InvariantRecord, Verdict};
use squall_model::units::human;

use super::Evidence;

/// What a run amounts to.
#[derive(Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, the gravest first.
    pub reasons: Vec<String>,
    /// The exit code.
    pub exit: Exit,
}

/// What happened beside the checks.
#[derive(Debug, Default)]
pub struct Incidents {
    /// The signal that ended the run early.
    pub interrupted: Option<(String, Exit)>,
    /// Squall's own failure, such as a full disk.
    pub failed: Option<String>,
    /// Faults that took effect and were not shown to be over, and why.
    pub lingering: Vec<String>,
    /// What spoiled the run as a whole.
    pub spoiled: Vec<String>,
    /// Programs that turned out not to be there.
    pub missing: Vec<String>,
    /// What could not be undone, and how to.
    pub not_undone: Vec<String>,
    /// Services that died unasked or never got ready.
    pub services: Vec<String>,
}

impl Incidents {
    /// Whether the run ended before its time, so that what is missing needs no reason of its own.
    pub fn cut_short(&self) -> bool {
        self.interrupted.is_some()
            || self.failed.is_some()
            || !self.services.is_empty()
            || !self.missing.is_empty()
    }
}

/// Sums everything up.
pub fn conclude(
    evidence: &Evidence<'_>,
    expectations: &[ExpectationRecord],
    incidents: &Incidents,
) -> Conclusion {
    let mut found: Vec<(Exit, String)> = Vec::new();
    if let Some((signal, exit)) = &incidents.interrupted {
        found.push((
            *exit,
            format!("interrupted by {signal}: what was measured until then is shown"),
        ));
    }
    found.extend(
        incidents
            .not_undone
            .iter()
            .map(|text| (Exit::NotUndone, text.clone())),
    );
    found.extend(incidents.failed.iter().map(|text| (Exit::Internal, text.clone())));
    let missing = incidents.missing.iter();
    found.extend(missing.map(|text| (Exit::MissingCapability, text.clone())));
    found.extend(
        incidents
            .services
            .iter()
            .map(|text| (Exit::ExpectationNotMet, text.clone())),
    );
    for invariant in evidence.invariants {
        match invariant.verdict {
            Verdict::Pass => {}
            Verdict::Fail => found.push((Exit::InvariantViolated, invariant_text(invariant))),
            Verdict::Invalid if incidents.cut_short() => {}
            Verdict::Invalid => found.push((Exit::Invalid, invariant_text(invariant))),
        }
    }
    for (fault, why) in evidence.plan.faults.iter().zip(evidence.unproven) {
        found.extend(why.iter().map(|why| {
            (
                Exit::Invalid,
                format!("fault {} was not proven: {why}", fault.name),
            )
        }));
    }
    found.extend(incidents.spoiled.iter().map(|text| (Exit::Invalid, text.clone())));
    let measured = evidence.phases.iter().enumerate();
    for (at, phase) in measured.filter(|(_, phase)| phase.measure) {
        found.extend(
            evidence
                .doubts(at)
                .into_iter()
                .filter(|why| !incidents.spoiled.contains(why))
                .map(|why| (Exit::Invalid, format!("phase {}: {why}", phase.name))),
        );
    }
    let lingering = incidents.lingering.iter();
    found.extend(lingering.map(|text| (Exit::Invalid, text.clone())));
    let told: Vec<String> = found.iter().map(|(_, text)| text.clone()).collect();
    for expectation in expectations {
        let text = expectation.as_reason();
        match expectation.verdict {
            Verdict::Pass => {}
            Verdict::Fail => found.push((Exit::ExpectationNotMet, text)),
            // What spoiled it stands above already; a row of the report says so beside each expectation.
            Verdict::Invalid if told.iter().any(|text| text.ends_with(&expectation.reason)) => {}
            Verdict::Invalid if incidents.cut_short() => {}
            Verdict::Invalid => found.push((Exit::Invalid, text)),
        }
    }
    sum_up(found)
}

fn sum_up(mut found: Vec<(Exit, String)>) -> Conclusion {
    let exit = Exit::gravest(found.iter().map(|(exit, _)| *exit));
    let fails = |exit: &Exit| {
        !matches!(
            exit,
            Exit::Invalid | Exit::Interrupted | Exit::Terminated | Exit::Internal
        )
    };
    let verdict = match found.as_slice() {
        [] => Verdict::Pass,
        some if some.iter().any(|(exit, _)| fails(exit)) => Verdict::Fail,
        _ => Verdict::Invalid,
    };
    // The gravest first; among equals, the order in which they were found.
    found.sort_by_key(|(exit, _)| exit.rank());
    let mut reasons: Vec<String> = Vec::new();
    for (_, text) in found {
        if !reasons.contains(&text) {
            reasons.push(text);
        }
    }
    Conclusion {
        verdict,
        reasons,
        exit,
    }
}

pub(super) fn invariant_text(invariant: &InvariantRecord) -> String {
    let example = invariant
        .examples
        .first()
        .map(|text| format!(": {text}"))
        .unwrap_or_default();
    match invariant.verdict {
        Verdict::Fail => {
            let times = human::count(invariant.violations);
            format!(
                "invariant {} was violated, {times} in {}{example}",
                invariant.path(),
                human::count(invariant.checked)
            )
        }
        _ => format!("invariant {} can't be judged{example}", invariant.path()),
    }
}
