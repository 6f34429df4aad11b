//! The restart fault: a service is ended, stays down for a time, and is started again as it was.
//!
//! With several targets and `every` it is a rolling restart: each time the next of them. Again and again with `every` and
//! `times` it is a crash loop.
//!
//! What it does not do: it starts the service exactly as before, so a change of its version or settings is another scenario.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::{Diagnostic, Diagnostics};
use squall_model::name::Name;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::units::duration_text;
use squall_model::{choice, record};

use super::ending::{Ending, Named};
use super::target::{listed, names};
use super::{Fault, FaultError, FaultKind, FaultSpec, Part, SIGNALS, Target};

/// The restart fault in the list of faults.
pub const KIND: FaultKind = FaultKind {
    name: "restart",
    about: "ends a service and starts it again after a time, or several in turn",
    decode,
    schema,
    ways: &[SIGNALS],
};

/// How long a service is down where the scenario does not say.
const DOWN: Duration = Duration::from_secs(1);

choice! {
    /// The signals that a service can be ended with.
    pub enum With {
        /// Asks a program to end.
        Term = "TERM",
        /// Asks a program to end, as Ctrl-C does.
        Int = "INT",
        /// Asks a program to end and to dump its memory.
        Quit = "QUIT",
        /// Ends a program at once; it can't do anything about it.
        Kill = "KILL",
    }
}

record! {
    /// Ends a service and starts it again after a time, or several in turn.
    pub struct Restart {
        /// The service.
        pub target: Option<Spanned<Name>>,
        /// Several services, one after the other; needs `every`.
        pub targets: Option<NonEmpty<Spanned<Name>>>,
        /// How it is ended.
        pub signal: With = With::Term,
        /// From the signal until it is started again; 1s if left out.
        pub down: Option<Spanned<Duration>>,
    }
    exactly_one ["target", "targets"];
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Restart = fault.decode_params(diagnostics)?;
    let services = names(written.target.as_ref(), written.targets.as_ref(), diagnostics)?;
    let own_length = |span| {
        let error = Diagnostic::error(span, "a restart lasts as long as its `down`");
        error.help("write `down: DURATION` instead; to leave a service down, use `kill`")
    };
    let schedule = &fault.schedule;
    if let Some(written) = &schedule.duration {
        diagnostics.push(own_length(written.span));
        return None;
    }
    if let Some(through) = schedule.through.as_ref().filter(|_| schedule.every.is_none()) {
        diagnostics.push(own_length(through.span));
        return None;
    }
    if let Some(down) = written.down.filter(|down| down.is_zero()) {
        diagnostics.push(Diagnostic::error(
            down.span,
            "a service must be down for longer than nothing",
        ));
        return None;
    }
    let (name, signal) = match written.signal {
        With::Term => ("TERM", Signal::TERM),
        With::Int => ("INT", Signal::INT),
        With::Quit => ("QUIT", Signal::QUIT),
        With::Kill => ("KILL", Signal::KILL),
    };
    Some(Arc::new(RestartSpec {
        services,
        signal: Named {
            name,
            signal,
            ends: true,
        },
        down: written.down.map_or(DOWN, |down| down.value),
    }))
}

fn schema() -> Schema {
    Restart::schema()
}

/// A restart as planned.
#[derive(Debug)]
struct RestartSpec {
    services: Vec<String>,
    signal: Named,
    down: Duration,
}

impl FaultSpec for RestartSpec {
    fn about(&self) -> String {
        let (who, name, down) = (listed(&self.services), self.signal.name, duration_text(self.down));
        format!("ends {who} with SIG{name} and starts it again {down} later")
    }

    fn target(&self) -> Option<&str> {
        self.services.first().map(String::as_str)
    }

    fn targets(&self) -> Vec<&str> {
        self.services.iter().map(String::as_str).collect()
    }

    fn holds(&self) -> Option<Duration> {
        Some(self.down)
    }

    fn acts_on(&self) -> Option<Part> {
        Some(Part::Processes)
    }

    fn available(&self, _program: &Path, reports: &Path) -> Result<(), String> {
        SIGNALS.allowed(reports)
    }

    fn arm(&self, _folder: &Path, target: Option<&Target>) -> Result<Box<dyn Fault>, FaultError> {
        let target =
            target.ok_or_else(|| FaultError::Parameters("there is nothing to restart".to_owned()))?;
        Ok(Box::new(Ending::new(target.clone(), self.signal)))
    }
}
