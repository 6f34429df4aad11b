//! Running a block: what both share, then both arms at once, then the end of all.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use squall_model::exit::Exit;
use squall_model::gate::{Arm, BlockRecord, Both};
use squall_model::record::RunRecord;
use squall_model::scenario::Address;

use super::shared::{self, Readiness};
use super::timeline::Timeline;
use super::{measured, narrow};
use crate::catalogue::Catalogue;
use crate::criterion::ProgramError;
use crate::plan::Plan;
use crate::run::{self, Options, Rendezvous, RunError, Stop};

/// The longest that shared services may take to get ready, all together.
const SHARED_WITHIN: Duration = Duration::from_mins(2);

/// How often it is looked whether a block is to end while it waits.
const LOOK: Duration = Duration::from_millis(20);

/// A block that is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Each arm's plan, of the same scenario.
    pub plans: &'a Both<Plan>,
    /// What starts each arm's services.
    pub catalogues: &'a Both<Catalogue>,
    /// Which it is, from 1.
    pub number: u32,
    /// The gate's begin.
    pub began: Instant,
    /// Where its runs land, each in a folder of its arm's name.
    pub folder: &'a Path,
    /// The command line that repeats the gate.
    pub command: &'a str,
}

/// What a block left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it measured, also where it does not count.
    pub record: BlockRecord,
    /// Arms that did not come through: a service that did not start or that died, something that could not be undone.
    pub failures: Vec<ArmFailure>,
}

/// An arm that did not come through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArmFailure {
    /// Which.
    pub arm: Arm,
    /// Why, the gravest first.
    pub reasons: Vec<String>,
    /// What a run of it alone would exit with.
    pub exit: Exit,
    /// Whether it ever came to its first phase.
    pub began: bool,
}

/// Why a block was not run at all.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// An arm's run could not begin, for a reason of this machine.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What both arms use is not there.
    #[error("what both arms share did not get ready: {}", reasons.join("; "))]
    Shared {
        /// Why.
        reasons: Vec<String>,
        /// What a run of it alone would exit with.
        exit: Exit,
    },
    /// A program of micro-benchmarks could not be run, for a reason of this machine.
    #[error(transparent)]
    Bench(#[from] ProgramError),
    /// A thread could not be started or panicked.
    #[error("running an arm: {0}")]
    Thread(String),
}

impl BlockError {
    /// The exit code it amounts to.
    pub fn exit(&self) -> Exit {
        match self {
            BlockError::Run(e) => e.exit(),
            BlockError::Shared { exit, .. } => *exit,
            BlockError::Bench(_) | BlockError::Thread(_) => Exit::Internal,
        }
    }
}

/// Runs a block to its end, or until `stop` is requested.
pub fn run(block: &Block<'_>, stop: &Stop) -> Result<Outcome, BlockError> {
    let candidate = &block.plans.candidate;
    let seed = candidate.seed.child("gate").nth(u64::from(block.number));
    let timeline = Timeline::of(candidate, block.number, seed);
    let mut plans = Both::from_fn(|arm| narrow::narrow(block.plans.of(arm), &timeline, arm, seed));
    let start_us = block.began.elapsed().as_micros() as u64;
    let ran = with_shared(block, candidate, timeline.length(), stop, |ready| {
        for arm in Arm::BOTH {
            shared::find(plans.of_mut(arm), ready);
        }
        both(block, &plans, stop)
    })??;
    let mut record = BlockRecord {
        number: block.number,
        seed: seed.value(),
        start_us,
        duration_us: (block.began.elapsed().as_micros() as u64).saturating_sub(start_us),
        ..BlockRecord::default()
    };
    let mut failures = Vec::new();
    for arm in Arm::BOTH {
        let outcome = ran.of(arm);
        let (of_run, planned) = (&outcome.record, plans.of(arm));
        *record.arms.of_mut(arm) = measured::arm(block.plans.of(arm), planned, &timeline, arm, of_run);
        let failure = failure(arm, outcome);
        match &failure {
            Some(failure) => record
                .invalid
                .extend(failure.reasons.iter().map(|why| format!("{arm}: {why}"))),
            None => record.invalid.extend(measured::doubts(&timeline, arm, of_run)),
        }
        failures.extend(failure);
    }
    // Who only waited for the other has not failed.
    let waited = run::RendezvousError.to_string();
    if failures.iter().any(|failure| !failure.reasons.contains(&waited)) {
        failures.retain(|failure| !failure.reasons.contains(&waited));
    }
    record.host = measured::host(&timeline, Arm::BOTH.map(|arm| (arm, &ran.of(arm).record)));
    Ok(Outcome { record, failures })
}

/// What became of an arm that did not come through. What it merely measured is no failure, whatever it was.
fn failure(arm: Arm, outcome: &run::Outcome) -> Option<ArmFailure> {
    let is_measured = |exit: Exit| {
        matches!(
            exit,
            Exit::Pass | Exit::Invalid | Exit::InvariantViolated | Exit::ExpectationNotMet
        )
    };
    let RunRecord { phases, reasons, .. } = &outcome.record;
    let is_whole = !phases.is_empty() && phases.iter().all(|phase| phase.complete);
    if is_measured(outcome.exit) && is_whole {
        return None;
    }
    Some(ArmFailure {
        arm,
        reasons: reasons.clone(),
        exit: outcome.exit,
        began: phases.iter().any(|phase| phase.end_us > 0),
    })
}

/// Both arms at once.
fn both(block: &Block<'_>, plans: &Both<Plan>, stop: &Stop) -> Result<Both<run::Outcome>, BlockError> {
    let rendezvous = Arc::new(Rendezvous::of(Arm::BOTH.len()));
    let options = Both::from_fn(|arm| Options {
        reports: block.folder.join(arm.as_str()),
        command: block.command.to_owned(),
        catalogue: block.catalogues.of(arm).clone(),
        rendezvous: Some(Arc::clone(&rendezvous)),
    });
    let one = |arm: Arm| {
        let ran = run::run(plans.of(arm), options.of(arm), &mut (), stop);
        rendezvous.leave();
        ran
    };
    std::thread::scope(|scope| {
        let spawned = Both::from_fn(|arm| {
            let thread = std::thread::Builder::new().name(format!("squall-{arm}"));
            thread.spawn_scoped(scope, move || one(arm))
        });
        let joined = |spawned: io::Result<ScopedJoinHandle<'_, Result<run::Outcome, RunError>>>| {
            let thread = spawned.map_err(|e| {
                rendezvous.leave();
                BlockError::Thread(e.to_string())
            })?;
            let ran = thread.join().map_err(|_| {
                rendezvous.leave();
                BlockError::Thread("it panicked".to_owned())
            })?;
            ran.map_err(BlockError::Run)
        };
        let (base, candidate) = (joined(spawned.base), joined(spawned.candidate));
        Ok(Both {
            base: base?,
            candidate: candidate?,
        })
    })
}

/// Does something while what both arms share is up.
fn with_shared<T>(
    block: &Block<'_>,
    candidate: &Plan,
    length: Duration,
    stop: &Stop,
    act: impl FnOnce(&[(String, Address)]) -> T,
) -> Result<T, BlockError> {
    let Some(plan) = shared::plan(candidate, length) else {
        return Ok(act(&[]));
    };
    let options = Options {
        reports: block.folder.join("shared"),
        command: block.command.to_owned(),
        catalogue: block.catalogues.candidate.clone(),
        rendezvous: None,
    };
    let own_stop = Stop::default();
    let has_ended = AtomicBool::new(false);
    let (mut observer, addresses) = Readiness::new();
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| {
            let ran = run::run(&plan, &options, &mut observer, &own_stop);
            has_ended.store(true, Ordering::Release);
            ran
        });
        let is_over = || has_ended.load(Ordering::Acquire) || stop.requested().is_some();
        let ready = ready(&addresses, plan.services.len(), is_over);
        let did = ready.map(|ready| act(&ready));
        own_stop.request(libc::SIGTERM);
        let kept = keeping
            .join()
            .map_err(|_| BlockError::Thread("what both share panicked".to_owned()))?;
        match (did, kept) {
            (Some(did), Ok(_)) => Ok(did),
            (None, Ok(outcome)) => Err(BlockError::Shared {
                reasons: outcome.record.reasons,
                exit: outcome.exit,
            }),
            (_, Err(e)) => Err(BlockError::Run(e)),
        }
    })
}

/// Where all of them are, once they are ready; nothing where they do not all get so.
fn ready(
    addresses: &Receiver<(String, Address)>,
    services: usize,
    is_over: impl Fn() -> bool,
) -> Option<Vec<(String, Address)>> {
    let deadline = Instant::now() + SHARED_WITHIN;
    let mut ready = Vec::new();
    while ready.len() < services {
        match addresses.recv_timeout(LOOK) {
            Ok(one) => ready.push(one),
            Err(RecvTimeoutError::Timeout) if !is_over() && Instant::now() < deadline => {}
            Err(_) => return None,
        }
    }
    Some(ready)
}
