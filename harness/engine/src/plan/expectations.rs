//! Expectations: scopes and metrics resolved, quantities held to what is measured.

use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::expression::{Expression, Resolution};
use squall_model::scenario::Scenario;

use super::metrics::{Metric, Names};
use super::{Condition, PlannedExpectation, PlannedFault, PlannedPhase, Scope};

/// The expectations, in the order in which they were written.
pub(super) fn compile(
    scenario: &Scenario,
    phases: &[PlannedPhase],
    faults: &[PlannedFault],
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Vec<PlannedExpectation> {
    let mut planned = Vec::new();
    for (name, expressions) in &scenario.expect {
        let phase = || {
            phases
                .iter()
                .position(|phase| phase.name == name.as_str())
                .map(Scope::Phase)
        };
        let fault = || {
            faults
                .iter()
                .position(|fault| fault.name == name.as_str())
                .map(Scope::Fault)
        };
        // A scope that leads nowhere was reported; what stands in it is checked all the same.
        let scope = if name.as_str() == "run" {
            Some(Scope::Run)
        } else {
            phase().or_else(fault)
        };
        for expression in expressions {
            let condition = condition(expression, names, diagnostics);
            if let Some((condition, scope)) = condition.zip(scope.clone())
                && check_scope(expression, &condition.metric, &scope, diagnostics)
                && check_baseline(expression, &condition.metric, phases, faults, diagnostics)
            {
                planned.push(PlannedExpectation { scope, condition });
            }
        }
    }
    planned
}

/// True if `metric` is measured over no more than `scope`: a number of something longer would be passed off as the scope's.
fn check_scope(
    expression: &Expression,
    metric: &Metric,
    scope: &Scope,
    diagnostics: &mut Diagnostics,
) -> bool {
    let (known, help) = match (metric, scope) {
        (Metric::Reported { .. }, Scope::Phase(_) | Scope::Fault(_)) => {
            ("at the end of the run", "expect it of `run`")
        }
        (Metric::Fault { .. } | Metric::Edge { .. }, Scope::Phase(_) | Scope::Fault(_)) => {
            ("once the run is over", "expect it of `run`")
        }
        (Metric::Service { .. }, Scope::Fault(_)) => {
            ("for whole phases", "expect it of the fault's phase, or of `run`")
        }
        _ => return true,
    };
    let message = format!("`{}` is known only {known}", expression.path);
    diagnostics.push(Diagnostic::error(expression.span, message).help(help));
    false
}

/// True unless `metric` is measured against a baseline that is not there before its fault.
fn check_baseline(
    expression: &Expression,
    metric: &Metric,
    phases: &[PlannedPhase],
    faults: &[PlannedFault],
    diagnostics: &mut Diagnostics,
) -> bool {
    let Metric::Fault { fault, .. } = metric else {
        return true;
    };
    let baseline = phases.iter().position(|phase| phase.baseline);
    if baseline.is_some_and(|baseline| baseline < faults[*fault].phase) {
        return true;
    }
    let message = format!(
        "`{}` is held to a baseline, and no phase before it is one",
        expression.path
    );
    let error = Diagnostic::error(expression.span, message);
    diagnostics.push(error.help("mark a phase before the fault's with `baseline: true`"));
    false
}

/// One condition, checked.
pub(super) fn condition(
    expression: &Expression,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Condition> {
    let resolved = names.resolve(&expression.path);
    let resolution = match &resolved {
        Ok(metric) => Resolution::Metric(metric.dimension()),
        Err(resolution) => resolution.clone(),
    };
    expression.check(&|_| resolution.clone(), diagnostics)?;
    let lasting = expression
        .comparison
        .as_ref()
        .and_then(|comparison| comparison.lasting);
    if let Some(lasting) = lasting {
        let error = Diagnostic::error(
            lasting.span,
            "`for` in an expectation is not supported by this version",
        );
        diagnostics.push(error.help("leave it out: an expectation is judged over all of its scope"));
        return None;
    }
    let limit = expression.comparison.as_ref();
    let limit = limit.map(|comparison| (comparison.operator, comparison.limit.value.value()));
    Some(Condition {
        text: expression.text.clone(),
        metric: resolved.ok()?,
        limit,
    })
}
