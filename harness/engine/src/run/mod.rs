//! Running a plan: the only place that sequences services, phases and faults.
//!
//! Nothing starts before everything the plan needs was found to be there, and nothing outlives the run: each step that
//! changes something pushes its undo first. What happens is written down as it happens.

mod beat;
mod checking;
mod driving;
mod edges;
mod faults;
mod fleet;
mod intake;
mod isolation;
mod preflight;
mod reached;
mod recovering;
mod rendezvous;
mod restarts;
mod setup;
mod starting;
mod supervisor;
mod timeline;
mod verdict;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use squall_model::event::Event;
use squall_model::exit::Exit;
use squall_model::record::RunRecord;

use crate::catalogue::Catalogue;
use crate::guard::GuardError;
use crate::observer::Observer;
use crate::plan::Plan;
use crate::record::{FolderError, RecordError};
use crate::undo::JournalError;

pub use preflight::{Missing, existing, preflight};
pub use rendezvous::{Rendezvous, RendezvousError};

/// How a plan is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where runs land.
    pub reports: PathBuf,
    /// The command line that repeats the run.
    pub command: String,
    /// What Squall brings along.
    pub catalogue: Catalogue,
    /// Where its first phase waits for that of another run.
    pub rendezvous: Option<Arc<Rendezvous>>,
}

/// A request to end a run early, from a signal handler or a test.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicI32>);

impl Stop {
    /// Asks for the end, as `signal` would.
    pub fn request(&self, signal: i32) {
        self.0.store(signal, Ordering::Relaxed);
    }

    /// The signal, if an end was asked for.
    pub fn requested(&self) -> Option<i32> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            signal => Some(signal),
        }
    }
}

/// What a run left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The record, as in `run.json`.
    pub record: RunRecord,
    /// The timeline, as in `events.ndjson`.
    pub events: Vec<Event>,
    /// The run's folder.
    pub folder: PathBuf,
    /// The exit code.
    pub exit: Exit,
}

/// Why a run did not begin.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The machine lacks something.
    #[error("this machine lacks what the scenario needs")]
    Missing(Vec<Missing>),
    /// There is no folder for it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its files can't be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Its undo journal can't be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no guard, and without one nothing may start.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The system refused a thread or a look at itself.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
}

impl RunError {
    /// The exit code it amounts to.
    pub fn exit(&self) -> Exit {
        match self {
            RunError::Missing(_) => Exit::MissingCapability,
            _ => Exit::Internal,
        }
    }
}

/// Runs `plan` to its end, or until `stop` is requested.
///
/// An `Err` means that nothing was started; a run that began and went wrong is an [`Outcome`] whose record says so.
pub fn run(
    plan: &Plan,
    options: &Options,
    observer: &mut dyn Observer,
    stop: &Stop,
) -> Result<Outcome, RunError> {
    let missing = preflight(plan, &options.catalogue, &options.reports);
    if !missing.is_empty() {
        return Err(RunError::Missing(missing));
    }
    supervisor::supervise(plan, options, observer, stop)
}
