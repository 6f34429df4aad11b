//! Expectations: scopes and metrics resolved, quantities held to what is measured.

use squall_model::baseline::Key;
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::expression::{Expression, Limit as Written, Resolution};
use squall_model::scenario::Scenario;
use squall_model::span::Span;

use super::metric::Metric;
use super::names::Names;
use super::stored::{Lookup, stored_scope};
use super::{Condition, Limit, PlannedExpectation, PlannedFault, PlannedPhase, Scope};

/// The expectations, in the order in which they were written.
pub(super) fn compile(
    scenario: &Scenario,
    phases: &[PlannedPhase],
    faults: &[PlannedFault],
    names: &Names,
    lookup: &Lookup<'_>,
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
            let metric = metric(expression, names, diagnostics);
            if let Some((metric, scope)) = metric.zip(scope.clone())
                && check_scope(expression, &metric, &scope, diagnostics)
                && check_baseline(expression, &metric, phases, faults, diagnostics)
                && check_stored(expression, &scope, phases, diagnostics)
            {
                let limit = expression.comparison.as_ref().map(|comparison| {
                    let limit = match comparison.limit.value {
                        Written::Quantity(quantity) => Limit::Fixed(quantity.value()),
                        Written::Baseline(adjustment) => {
                            let key = key(&scope, &metric, phases, faults, names);
                            lookup.limit(expression, adjustment, &key, metric.dimension(), diagnostics)
                        }
                    };
                    (comparison.operator, limit)
                });
                let text = expression.text.clone();
                let condition = Condition { text, metric, limit };
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
    let Some((known, help)) = known_only(metric, scope) else {
        return true;
    };
    let message = format!("`{}` is known only {known}", expression.path);
    diagnostics.push(Diagnostic::error(expression.span, message).help(help));
    false
}

/// When a metric is known, where that is not for this scope, and what to do.
fn known_only(metric: &Metric, scope: &Scope) -> Option<(&'static str, &'static str)> {
    match (metric, scope) {
        (Metric::Reported { .. }, Scope::Phase(_) | Scope::Fault(_)) => {
            Some(("at the end of the run", "expect it of `run`"))
        }
        (Metric::Fault { .. } | Metric::Edge { .. }, Scope::Phase(_) | Scope::Fault(_)) => {
            Some(("once the run is over", "expect it of `run`"))
        }
        (Metric::Service { .. }, Scope::Fault(_)) => {
            Some(("for whole phases", "expect it of the fault's phase, or of `run`"))
        }
        _ => None,
    }
}

/// Whether a metric is measured over no more than a scope, so that an expectation of it may stand there.
pub fn is_known_in(metric: &Metric, scope: &Scope) -> bool {
    known_only(metric, scope).is_none()
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

/// True unless a stored value is asked for of a phase whose numbers are not stored.
fn check_stored(
    expression: &Expression,
    scope: &Scope,
    phases: &[PlannedPhase],
    diagnostics: &mut Diagnostics,
) -> bool {
    let unmeasured = match scope {
        Scope::Phase(index) => phases.get(*index).filter(|phase| !phase.measure),
        Scope::Run | Scope::Fault(_) => None,
    };
    let Some((phase, _)) = unmeasured.zip(expression.adjustment()) else {
        return true;
    };
    let message = format!("nothing is stored of {}, which is not measured", phase.name);
    diagnostics.push(
        Diagnostic::error(limit_span(expression), message)
            .help("leave out its `measure: false`, or write a limit"),
    );
    false
}

/// Where a number of a scope is stored.
fn key(
    scope: &Scope,
    metric: &Metric,
    phases: &[PlannedPhase],
    faults: &[PlannedFault],
    names: &Names,
) -> Key {
    let scope = match stored_scope(metric, scope, phases) {
        Scope::Run => "run".to_owned(),
        Scope::Phase(phase) => phases[phase].name.clone(),
        Scope::Fault(fault) => faults[fault].name.clone(),
    };
    let (of, metric) = names.stored_as(metric).unwrap_or_default();
    Key { scope, of, metric }
}

fn limit_span(expression: &Expression) -> Span {
    let comparison = expression.comparison.as_ref();
    comparison.map_or(expression.span, |comparison| comparison.limit.span)
}

/// One condition whose limit is written, checked.
pub(super) fn condition(
    expression: &Expression,
    names: &Names,
    diagnostics: &mut Diagnostics,
) -> Option<Condition> {
    let metric = metric(expression, names, diagnostics)?;
    let limit = match expression
        .comparison
        .as_ref()
        .map(|one| (one.operator, one.limit.value))
    {
        None => None,
        Some((operator, Written::Quantity(quantity))) => Some((operator, Limit::Fixed(quantity.value()))),
        Some((_, Written::Baseline(_))) => {
            let error = Diagnostic::error(limit_span(expression), "a stored value is no limit here");
            diagnostics.push(
                error.help("only what stands under `expect` may be held to `baseline`: write a quantity"),
            );
            return None;
        }
    };
    Some(Condition {
        text: expression.text.clone(),
        metric,
        limit,
    })
}

/// What an expression looks at, its limit held to it.
fn metric(expression: &Expression, names: &Names, diagnostics: &mut Diagnostics) -> Option<Metric> {
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
    resolved.ok()
}
