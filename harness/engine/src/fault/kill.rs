//! The kill fault: a service gets a signal. Where that ends it, it stays down until the fault is over, and is started again.
//!
//! A signal that is there to end programs goes to every process of the service; SIGHUP, SIGUSR1 and SIGUSR2 go to the main
//! process alone. One that has a handler for such a signal, or waits for it, is shown by the kernel to have taken it, and runs
//! on.
//!
//! What it does not do: it can't show what a program does with a signal that it took.

use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use squall_model::decode::{Decode as _, NonEmpty, Schema};
use squall_model::diagnostic::Diagnostics;
use squall_model::name::Name;
use squall_model::scenario;
use squall_model::span::Spanned;
use squall_model::{choice, record};

use super::ending::{Ending, Named};
use super::target::{listed, names};
use super::{Fault, FaultError, FaultKind, FaultSpec, Part, SIGNALS, Target};

/// The kill fault in the list of faults.
pub const KIND: FaultKind = FaultKind {
    name: "kill",
    about: "sends a signal to a service, and starts it again later if that ended it",
    decode,
    schema,
    ways: &[SIGNALS],
};

choice! {
    /// The signals that can be sent.
    pub enum Sent {
        /// Ends a program at once; it can't do anything about it.
        Kill = "KILL",
        /// Asks a program to end.
        Term = "TERM",
        /// Asks a program to end, as Ctrl-C does.
        Int = "INT",
        /// Asks a program to end and to dump its memory.
        Quit = "QUIT",
        /// Ends a program as `abort` does.
        Abrt = "ABRT",
        /// Ends a program as an access to a wrong address does.
        Segv = "SEGV",
        /// Asks many programs to read their configuration again.
        Hup = "HUP",
        /// What the program makes of it.
        Usr1 = "USR1",
        /// What the program makes of it.
        Usr2 = "USR2",
    }
}

record! {
    /// Sends a signal to a service, and starts it again later if that ended it.
    pub struct Kill {
        /// The service.
        pub target: Option<Spanned<Name>>,
        /// Several services, one after the other; needs `every`.
        pub targets: Option<NonEmpty<Spanned<Name>>>,
        /// The signal.
        pub signal: Sent = Sent::Kill,
    }
    exactly_one ["target", "targets"];
}

impl Sent {
    fn named(self) -> Named {
        let (signal, ends) = match self {
            Sent::Kill => (Signal::KILL, true),
            Sent::Term => (Signal::TERM, true),
            Sent::Int => (Signal::INT, true),
            Sent::Quit => (Signal::QUIT, true),
            Sent::Abrt => (Signal::ABORT, true),
            Sent::Segv => (Signal::SEGV, true),
            Sent::Hup => (Signal::HUP, false),
            Sent::Usr1 => (Signal::USR1, false),
            Sent::Usr2 => (Signal::USR2, false),
        };
        Named {
            name: self.as_str(),
            signal,
            ends,
        }
    }
}

fn decode(fault: &scenario::Fault, diagnostics: &mut Diagnostics) -> Option<Arc<dyn FaultSpec>> {
    let written: Kill = fault.decode_params(diagnostics)?;
    let services = names(written.target.as_ref(), written.targets.as_ref(), diagnostics)?;
    Some(Arc::new(KillSpec {
        services,
        signal: written.signal.named(),
    }))
}

fn schema() -> Schema {
    Kill::schema()
}

/// A kill as planned.
#[derive(Debug)]
struct KillSpec {
    services: Vec<String>,
    signal: Named,
}

impl FaultSpec for KillSpec {
    fn about(&self) -> String {
        format!("sends SIG{} to {}", self.signal.name, listed(&self.services))
    }

    fn target(&self) -> Option<&str> {
        self.services.first().map(String::as_str)
    }

    fn targets(&self) -> Vec<&str> {
        self.services.iter().map(String::as_str).collect()
    }

    fn acts_on(&self) -> Option<Part> {
        Some(Part::Processes)
    }

    fn available(&self, _program: &Path, reports: &Path) -> Result<(), String> {
        SIGNALS.allowed(reports)
    }

    fn arm(&self, _folder: &Path, target: Option<&Target>) -> Result<Box<dyn Fault>, FaultError> {
        let target = target.ok_or_else(|| FaultError::Parameters("there is nothing to kill".to_owned()))?;
        Ok(Box::new(Ending::new(target.clone(), self.signal)))
    }
}
