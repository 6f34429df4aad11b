//! When a fault holds: once, or again and again, on the run's timeline.
//!
//! Nothing here is drawn: the n-th time begins exactly n times `every` after the first. Times are scaled as one distance
//! from the phase's begin each, so that a scaled timeline has no rounding that grows.

use std::time::Duration;

use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::scenario::Fault;
use squall_model::span::Span;
use squall_model::units::duration_text;

use super::compile::Scale;

/// The most times that one fault may come: nearly three hours of one each second. Every time leaves four events.
pub const TIMES_MAX: usize = 10_000;

/// One time that a fault holds, from the begin of the first phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it is injected.
    pub from: Duration,
    /// When it is healed.
    pub to: Duration,
}

/// Where a fault's windows may lie, and how long they are.
pub(super) struct Place {
    /// The begin of its phase.
    pub start: Duration,
    /// The end of the last phase that it may touch.
    pub end: Duration,
    /// The length of its phase as written.
    pub written: Duration,
    pub scale: Scale,
    /// How long its kind holds where nothing says so.
    pub holds: Option<Duration>,
    /// How many targets it hits in turn.
    pub targets: usize,
}

/// The windows of a fault, in order; none of them where something is wrong, which is then said.
pub(super) fn windows(fault: &Fault, place: &Place, diagnostics: &mut Diagnostics) -> Option<Vec<Window>> {
    let written = fault.schedule.duration.as_ref().map(|written| written.value);
    let hold = written.or(place.holds);
    let window = |turn: u32, every: Duration, hold: Option<Duration>| {
        let from = fault.after().saturating_add(every.saturating_mul(turn));
        let at = |time| place.start + place.scale.of(time, place.written);
        Window {
            from: at(from),
            to: hold.map_or(place.end, |hold| at(from.saturating_add(hold))),
        }
    };
    let Some(every) = &fault.schedule.every else {
        if place.targets > 1 {
            let message = "several targets are hit one after the other";
            let error = Diagnostic::error(fault.kind.span, message);
            diagnostics.push(error.help("say with `every` how far apart"));
            return None;
        }
        let only = window(0, Duration::ZERO, hold);
        return fits(fault, &only, hold, place, diagnostics).then(|| vec![only]);
    };
    let Some(hold) = hold else {
        let error = Diagnostic::error(every.span, "it is not said how long each time lasts");
        diagnostics.push(error.help("say so with `for`"));
        return None;
    };
    // A `for` that is too long was told of where it is written.
    if hold >= every.value {
        if written.is_none() {
            let (lasts, again) = (duration_text(hold), duration_text(every.value));
            let message = format!("each time lasts {lasts}, and the next begins after {again}");
            let error = Diagnostic::error(every.span, message);
            diagnostics.push(error.help("each time is over before the next begins: make `every` longer"));
        }
        return None;
    }
    let all = (0..=TIMES_MAX as u32).map(|turn| window(turn, every.value, Some(hold)));
    let mut fitting: Vec<Window> = all.take_while(|window| window.to <= place.end).collect();
    let times = fault.schedule.times.as_ref();
    let round = (place.targets > 1).then_some(place.targets);
    let wanted = times.map(|times| times.value.get() as usize).or(round);
    let (count, span) = (
        wanted.unwrap_or(fitting.len()),
        times.map_or(every.span, |times| times.span),
    );
    if count > TIMES_MAX {
        diagnostics.push(Diagnostic::error(
            span,
            format!("it comes more than {TIMES_MAX} times"),
        ));
        return None;
    }
    if fitting.is_empty() || count > fitting.len() {
        diagnostics.push(too_many(span, count.max(1), fitting.len()));
        return None;
    }
    fitting.truncate(count);
    Some(fitting)
}

fn too_many(span: Span, wanted: usize, fitting: usize) -> Diagnostic {
    let message = if wanted == 1 {
        "the phase is over before the fault is".to_owned()
    } else {
        format!("of {wanted} times {fitting} are over before the phase is")
    };
    Diagnostic::error(span, message)
        .help("make the phase longer, or let it span phases with `through: PHASE`")
}

/// Whether a fault that lasts by its own measure is over in time; one with `for` was looked at where it was read.
fn fits(
    fault: &Fault,
    only: &Window,
    hold: Option<Duration>,
    place: &Place,
    diagnostics: &mut Diagnostics,
) -> bool {
    let over = only.to > place.end;
    if over && fault.schedule.duration.is_none() {
        let lasts = duration_text(hold.unwrap_or_default());
        let message = format!("the fault lasts {lasts}, and its phase is over before");
        diagnostics.push(Diagnostic::error(fault.kind.span, message));
    }
    !over
}
