//! Runs bench programs under a guard: for a bounded time, and leaving nothing behind however squall ends.
//!
//! Each run is a process below the guard, which kills it when squall dies; what a run leaves running is killed when it has ended, so
//! that it can't disturb the next.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::sample::SampleError;
use crate::guard::{ExitStatus, GuardError, GuardHandle, SpawnError, SpawnRequest, Spawned};
use crate::process::log::last_lines;
use crate::process::sweep::sweep;
use crate::process::{Family, SERVICE_MARKER};
use crate::run::Stop;
use crate::undo::{JournalError, Stack, Step, Undo};

/// How often a wait looks whether an end was asked for.
const LOOK: Duration = Duration::from_millis(50);

/// How long processes may take to be gone once they are killed.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// Lines of a program's output that are told where it failed.
const LINES_SHOWN: usize = 8;

/// Guards that this process has started for programs.
static KEEPERS: AtomicU64 = AtomicU64::new(0);

/// A bench program: a command line, and where it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The program, a path or a name to look for in `PATH`; and arguments that come before Criterion's.
    pub words: Vec<OsString>,
    /// Where it runs; squall's own working directory if absent.
    pub directory: Option<PathBuf>,
    /// Variables on top of squall's own environment.
    pub env: Vec<(OsString, OsString)>,
}

impl Program {
    /// As it is told of.
    pub fn shown(&self) -> String {
        let words = self.words.iter().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }
}

/// Why a bench program did not do what it was asked for. In each case nothing of it is left running.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no guard to run it under.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// What would end it after a sudden death could not be written down.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It failed.
    #[error("`{program}` ended with {status}{}", shown(last_lines))]
    Failed {
        /// The command line.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// It went on and on.
    #[error(
        "`{program}` was ended, since it took longer than {} s{}",
        within.as_secs(),
        shown(last_lines)
    )]
    Hung {
        /// The command line.
        program: String,
        /// How long it had.
        within: Duration,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// It can't be killed.
    #[error("`{program}` has left processes that can't be killed; end them by hand: kill -9 {pids}")]
    Left {
        /// The command line.
        program: String,
        /// Their numbers.
        pids: String,
    },
    /// It ran, and wrote nothing where Criterion writes.
    #[error(
        "`{program}` wrote no measurement below CRITERION_HOME: is it Criterion that measures, and by wall time?{}",
        shown(last_lines)
    )]
    Nothing {
        /// The command line.
        program: String,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// What it wrote can't be read.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// The system refused something else.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// The kernel's words.
        source: io::Error,
    },
    /// An end was asked for.
    #[error("interrupted")]
    Stopped,
}

impl ProgramError {
    pub(super) fn system(doing: &'static str) -> impl FnOnce(io::Error) -> ProgramError {
        move |source| ProgramError::System { doing, source }
    }

    /// Whether it is this machine that failed, and not the program.
    pub(super) fn is_of_the_machine(&self) -> bool {
        matches!(
            self,
            ProgramError::Guard(_)
                | ProgramError::Journal(_)
                | ProgramError::Left { .. }
                | ProgramError::System { .. }
                | ProgramError::Spawn(SpawnError::GuardLost { .. } | SpawnError::GuardSilent { .. })
        )
    }
}

fn shown(lines: &[String]) -> String {
    match lines {
        [] => "; it printed nothing".to_owned(),
        lines => format!("; its last lines:\n    {}", lines.join("\n    ")),
    }
}

/// A run of a program.
#[derive(Clone, Debug)]
pub(super) struct Asked<'a> {
    pub(super) program: &'a Program,
    /// Arguments after its own.
    pub(super) args: Vec<OsString>,
    /// More variables.
    pub(super) env: Vec<(OsString, OsString)>,
    /// Where its output goes.
    pub(super) log: &'a Path,
    /// How long it may take.
    pub(super) within: Duration,
}

/// Who runs the programs of a gate: a guard, and a journal by which `squall clean` finds what even a double death leaves.
pub struct Keeper {
    // Dropped in this order: the guard ends what it started before the journal is unwound.
    guard: GuardHandle,
    stack: Stack,
    everything: Step,
    folder: PathBuf,
}

impl Keeper {
    /// Starts a guard, which is `squall guard`, with its journal and log in a new folder.
    pub fn start(squall: &Path, folder: &Path, name: &str) -> Result<Keeper, ProgramError> {
        fs::create_dir_all(folder).map_err(ProgramError::system("making the folder of the guard"))?;
        let turn = KEEPERS.fetch_add(1, Ordering::Relaxed);
        let run_id = format!("{name}-gate-{turn}-{}", std::process::id());
        let mut stack = Stack::create(folder, &run_id)?;
        let marked = Undo::KillMarked {
            run_id: run_id.clone(),
        };
        let everything = stack.push("every process of this run", marked)?;
        let guard = GuardHandle::start(squall, &["guard"], &run_id, &folder.join("guard.log"))?;
        Ok(Keeper {
            guard,
            stack,
            everything,
            folder: folder.to_owned(),
        })
    }

    /// Ends everything that was started, and takes the folder away.
    pub fn end(mut self) -> Result<(), ProgramError> {
        self.guard.shutdown()?;
        self.stack.done(self.everything);
        fs::remove_dir_all(&self.folder).map_err(ProgramError::system("removing the folder of the guard"))
    }

    /// Runs a program to its end, which must be a good one, and ends whatever it leaves.
    pub(super) fn run(&self, asked: &Asked<'_>, stop: &Stop) -> Result<(), ProgramError> {
        if stop.requested().is_some() {
            return Err(ProgramError::Stopped);
        }
        let spawned = self.guard.spawn(&request(asked))?;
        let ended = wait(&spawned, asked.within, stop);
        self.sweep(asked, &spawned)?;
        match ended {
            Ended::Exited(status) if status.success() => Ok(()),
            Ended::Exited(status) => Err(ProgramError::Failed {
                program: asked.program.shown(),
                status,
                last_lines: asked.last_lines(),
            }),
            Ended::Hung => Err(ProgramError::Hung {
                program: asked.program.shown(),
                within: asked.within,
                last_lines: asked.last_lines(),
            }),
            Ended::Stopped => Err(ProgramError::Stopped),
        }
    }

    /// Kills what is left of it.
    fn sweep(&self, asked: &Asked<'_>, spawned: &Spawned) -> Result<(), ProgramError> {
        let family = Family {
            guard: self.guard.process(),
            leader: spawned.process,
            name: FAMILY.to_owned(),
        };
        let swept = sweep(KILL_WITHIN, |table| family.members(table), || {});
        let swept = swept.map_err(ProgramError::system("ending what a program left"))?;
        spawned.exit.wait(KILL_WITHIN);
        if swept.left.is_empty() {
            return Ok(());
        }
        let pids: Vec<String> = swept.left.iter().map(|process| process.pid.to_string()).collect();
        Err(ProgramError::Left {
            program: asked.program.shown(),
            pids: pids.join(" "),
        })
    }
}

/// What every process of a program carries in its environment.
const FAMILY: &str = "bench";

impl Asked<'_> {
    pub(super) fn last_lines(&self) -> Vec<String> {
        last_lines(self.log, 0, LINES_SHOWN).unwrap_or_default()
    }
}

fn request(asked: &Asked<'_>) -> SpawnRequest {
    let mut words = asked.program.words.iter().cloned();
    let mut env = asked.program.env.clone();
    env.extend(asked.env.iter().cloned());
    env.push((SERVICE_MARKER.into(), FAMILY.into()));
    SpawnRequest {
        program: words.next().unwrap_or_default(),
        args: words.chain(asked.args.iter().cloned()).collect(),
        env,
        directory: asked.program.directory.clone(),
        log: asked.log.into(),
        ..SpawnRequest::default()
    }
}

/// How a run ended.
enum Ended {
    Exited(ExitStatus),
    Hung,
    Stopped,
}

fn wait(spawned: &Spawned, within: Duration, stop: &Stop) -> Ended {
    let deadline = Instant::now() + within;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(status) = spawned.exit.wait(left.min(LOOK)) {
            return Ended::Exited(status);
        }
        if stop.requested().is_some() {
            return Ended::Stopped;
        }
        if left.is_zero() {
            return Ended::Hung;
        }
    }
}
