//! The clock fault as a scenario writes it: `clock: { target: ids, step: -50ms }`.

use std::sync::Arc;

use squall_model::decode::{Decode as _, Schema, True};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::scenario;
use squall_model::span::{Span, Spanned};
use squall_model::units::{Ppm, SignedDuration};
use squall_model::{choice, record};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{ClockChange, ClockFamily, ClockParams, ClockSpec};
use crate::fault::FaultSpec;

choice! {
    /// The clocks that are moved.
    pub enum Which {
        /// The time of day.
        Realtime = "REALTIME",
        /// The time since a fixed moment.
        Monotonic = "MONOTONIC",
    }
}

record! {
    /// Shows a service another time than the real one, which stays as it is.
    pub struct Clock {
        /// The service whose clock it is.
        pub target: Spanned<Name>,
        /// Moves the clock by so much; negative is back.
        pub step: Option<Spanned<SignedDuration>>,
        /// Sets the clock to a date, such as `2038-01-19T03:14:00Z`.
        pub jump_to: Option<Spanned<String>>,
        /// Stops the clock.
        pub freeze: Option<True>,
        /// Lets the clock gain so much on the real one; negative loses.
        pub drift: Option<Spanned<Ppm>>,
        /// Which clocks are moved.
        pub which as "clock": Which = Which::Realtime,
    }
    exactly_one ["step", "jump_to", "freeze", "drift"];
    later ["strobe"];
}

/// Reads the parameters of a clock fault.
pub(super) fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Clock = fault.decode_params(diagnostics)?;
    let (change, span) = written.change(diagnostics)?;
    let clock = match written.which {
        Which::Realtime => ClockFamily::Realtime,
        Which::Monotonic => ClockFamily::Monotonic,
    };
    match ClockSpec::new(written.target.as_str().to_owned(), ClockParams { clock, change }) {
        Ok(spec) => Some(Arc::new(spec)),
        Err(why) => {
            diagnostics.push(Diagnostic::error(span, why.to_string()));
            None
        }
    }
}

/// The schema of the parameters.
pub(super) fn schema() -> Schema {
    Clock::schema()
}

impl Clock {
    /// The one change that is written, and where.
    fn change(&self, diagnostics: &mut Diagnostics) -> Option<(ClockChange, Span)> {
        if let Some(step) = &self.step {
            if step.as_nanos() == 0 {
                diagnostics.push(Diagnostic::error(step.span, "a step of nothing changes nothing"));
                return None;
            }
            return Some((ClockChange::Step(step.as_nanos()), step.span));
        }
        if let Some(date) = &self.jump_to {
            return Some((jump(date, diagnostics)?, date.span));
        }
        if let Some(drift) = &self.drift {
            if drift.get() == 0.0 {
                diagnostics.push(Diagnostic::error(
                    drift.span,
                    "a drift of nothing changes nothing",
                ));
                return None;
            }
            return Some((
                ClockChange::Drift {
                    ppb: (drift.get() * 1_000.0).round() as i64,
                },
                drift.span,
            ));
        }
        self.freeze.map(|True| (ClockChange::Freeze, self.target.span))
    }
}

fn jump(date: &Spanned<String>, diagnostics: &mut Diagnostics) -> Option<ClockChange> {
    let at = OffsetDateTime::parse(date, &Rfc3339)
        .ok()
        .and_then(|at| at.unix_timestamp_nanos().try_into().ok());
    if at.is_none() {
        let error = Diagnostic::error(
            date.span,
            format!("`{}` is no date that a clock can show", date.value),
        );
        diagnostics.push(error.help("write it like 2038-01-19T03:14:00Z"));
    }
    at.map(ClockChange::JumpTo)
}

#[cfg(test)]
mod tests {
    use super::*;
    use squall_model::scenario::parse;

    fn about(params: &str) -> Result<String, String> {
        let text = format!(
            "squall: 1\nname: a\nservices:\n  ids: {{ run: [sleep, \"1\"] }}\nphases:\n  \
             - {{ phase: p, for: 1s, faults: [{{ clock: {params} }}] }}\n"
        );
        let (scenario, mut diagnostics, sources) = parse("a.yaml", &text, &|_| None);
        let spec = scenario.and_then(|scenario| {
            let (_, fault) = scenario.faults().next()?;
            decode(fault, &mut diagnostics)
        });
        let about = spec.filter(|_| diagnostics.ok()).map(|spec| spec.about());
        about.ok_or_else(|| diagnostics.display(&sources).to_string())
    }

    #[test]
    fn each_change_can_be_written() {
        let table = [
            (
                "{ target: ids, step: -50ms }",
                "steps the realtime clock of ids back by 50ms",
            ),
            (
                "{ target: ids, step: 1h, clock: MONOTONIC }",
                "steps the monotonic clock of ids forward by",
            ),
            (
                "{ target: ids, jump_to: 2038-01-19T03:14:00Z }",
                "sets the realtime clock of ids to 2038",
            ),
            ("{ target: ids, freeze: true }", "stops the realtime clock of ids"),
            (
                "{ target: ids, drift: -50ppm }",
                "lets the realtime clock of ids drift by -50 ppm",
            ),
        ];
        for (params, expected) in table {
            let about = about(params).unwrap();
            assert!(about.starts_with(expected), "{params}: {about}");
        }
    }

    #[test]
    fn what_no_clock_can_do_is_refused() {
        let table = [
            ("{ target: ids }", "step"),
            ("{ target: ids, step: -5 }", "unit"),
            ("{ target: ids, step: 0s }", "changes nothing"),
            ("{ target: ids, step: 1s, freeze: true }", "freeze"),
            ("{ target: ids, jump_to: tomorrow }", "no date"),
            (
                "{ target: ids, jump_to: 2038-01-19T03:14:00Z, clock: MONOTONIC }",
                "no date to jump to",
            ),
            ("{ target: ids, drift: 2000000ppm }", "drift"),
            ("{ target: ids, drift: 0ppm }", "changes nothing"),
        ];
        for (params, expected) in table {
            let error = about(params).unwrap_err();
            assert!(error.contains(expected), "{params}: {error}");
        }
    }
}
