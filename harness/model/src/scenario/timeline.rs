//! Faults must fit their phases, and phases one another.

use std::collections::HashMap;
use std::time::Duration;

use super::{Class, Fault, Names, Phase, Scenario};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::span::Spanned;
use crate::units::duration_text;

/// Reports every impossible time.
pub(super) fn check(scenario: &Scenario, names: &Names, diagnostics: &mut Diagnostics) {
    let mut baseline: Option<&Phase> = None;
    // From the tree, so that a phase that could not be read keeps its turn.
    let phases = names.all().iter().filter(|one| one.class == Class::Phase);
    let turns: HashMap<&str, usize> = phases
        .enumerate()
        .map(|(turn, phase)| (phase.name.as_str(), turn))
        .collect();
    for phase in &scenario.phases {
        if phase.duration.is_zero() {
            diagnostics.push(Diagnostic::error(
                phase.duration.span,
                "a phase must last longer than nothing",
            ));
        }
        for fault in &phase.faults {
            check_window(phase, fault, diagnostics);
            if check_reference(fault, names, diagnostics) {
                check_through(phase, fault, &turns, diagnostics);
            }
        }
        if phase.baseline {
            if let Some(first) = baseline {
                let message = format!("`{}` is a second baseline", phase.name.value);
                let error =
                    Diagnostic::error(phase.name.span, message).also(first.name.span, "the first one");
                diagnostics.push(error.help("recovery is measured against one phase"));
            }
            baseline = baseline.or(Some(phase));
            if !phase.measure {
                let message = format!("`{}` is the baseline and is not measured", phase.name.value);
                diagnostics.push(Diagnostic::error(phase.name.span, message));
            }
        }
    }
}

/// A fault's window lies in its phase, unless it spans phases.
fn check_window(phase: &Phase, fault: &Fault, diagnostics: &mut Diagnostics) {
    let limit = phase.duration.value;
    let lasts = duration_text(limit);
    let also = |error: Diagnostic| error.also(phase.duration.span, format!("the phase lasts {lasts}"));
    let after = fault.after();
    if let Some(written) = &fault.schedule.after
        && after >= limit
    {
        let message = format!(
            "the fault begins after {}, when its phase is over",
            duration_text(after)
        );
        return diagnostics.push(also(Diagnostic::error(written.span, message)));
    }
    let Some(duration) = &fault.schedule.duration else {
        return;
    };
    if duration.is_zero() {
        return diagnostics.push(Diagnostic::error(
            duration.span,
            "a fault must last longer than nothing",
        ));
    }
    if !check_repetition(fault, duration, diagnostics) {
        return;
    }
    let end = after.saturating_add(duration.value);
    let over = end.saturating_sub(limit);
    if !over.is_zero() {
        let over = duration_text(over);
        let message = format!("the fault ends {over} after its phase");
        let longest = duration_text(limit.saturating_sub(after));
        let error = also(Diagnostic::error(duration.span, message));
        diagnostics.push(error.help(format!(
            "write at most {longest}, or `through: PHASE` to span phases"
        )));
    }
}

/// Each time is over before the next begins. False where that is not so, or the window need not lie in its phase.
fn check_repetition(fault: &Fault, duration: &Spanned<Duration>, diagnostics: &mut Diagnostics) -> bool {
    let Some(every) = &fault.schedule.every else {
        return true;
    };
    if duration.value < every.value {
        return fault.schedule.through.is_none();
    }
    let (lasts, again) = (duration_text(duration.value), duration_text(every.value));
    let message = format!("each time lasts {lasts}, and the next begins after {again}");
    let error = Diagnostic::error(duration.span, message).also(every.span, "the next begins then");
    diagnostics.push(error.help("make `for` shorter than `every`: each time is over before the next begins"));
    false
}

/// True if the fault spans phases and names one of them.
fn check_reference(fault: &Fault, names: &Names, diagnostics: &mut Diagnostics) -> bool {
    fault.schedule.through.as_ref().is_some_and(|through| {
        let name = Spanned::new(through.value.as_str(), through.span);
        names.refer(&name, "a phase", |class| class == Class::Phase, diagnostics)
    })
}

/// `through` names a phase that comes after the fault's own.
fn check_through(phase: &Phase, fault: &Fault, turns: &HashMap<&str, usize>, diagnostics: &mut Diagnostics) {
    let Some(through) = &fault.schedule.through else {
        return;
    };
    if turns.get(through.as_str()) <= turns.get(phase.name.as_str()) {
        let message = format!("`{}` does not come after `{}`", through.value, phase.name.value);
        let error = Diagnostic::error(through.span, message).also(phase.name.span, "the fault begins here");
        diagnostics.push(error.help("`through` names a later phase; without it a fault ends with its own"));
    }
}
