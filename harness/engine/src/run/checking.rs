//! The thread on which invariants are checked while the load runs.
//!
//! Checking happens beside the run, over everything that the load read from responses, and never holds the generator up:
//! batches wait in a queue that the run's length and rate bound.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use squall_model::observation::ObservedBatch;

use crate::invariant::{Invariant, Outcome, Violation};

/// A checker and the loads that feed it.
pub struct Checked {
    /// The loads, by index.
    pub loads: Vec<usize>,
    /// The checker.
    pub checker: Box<dyn Invariant>,
}

/// The running thread.
#[derive(Debug)]
pub struct Checking {
    batches: Option<Sender<ObservedBatch>>,
    found: Receiver<(usize, Violation)>,
    thread: Option<JoinHandle<Vec<Outcome>>>,
}

impl Checking {
    /// Starts checking.
    pub fn start(mut checked: Vec<Checked>) -> std::io::Result<Checking> {
        let (batches, incoming) = unbounded::<ObservedBatch>();
        let (tell, found) = unbounded();
        let thread = std::thread::Builder::new()
            .name("squall-check".to_owned())
            .spawn(move || {
                for batch in incoming {
                    let load = usize::from(batch.load);
                    for (index, one) in checked
                        .iter_mut()
                        .enumerate()
                        .filter(|(_, one)| one.loads.contains(&load))
                    {
                        for violation in one.checker.observe(&batch) {
                            // Nobody listens any more once a run is being abandoned.
                            let _ = tell.send((index, violation));
                        }
                    }
                }
                let finish = |(index, one): (usize, &mut Checked)| {
                    let outcome = one.checker.finish();
                    for violation in &outcome.last {
                        let _ = tell.send((index, violation.clone()));
                    }
                    outcome
                };
                checked.iter_mut().enumerate().map(finish).collect()
            })?;
        Ok(Checking {
            batches: Some(batches),
            found,
            thread: Some(thread),
        })
    }

    /// Hands a batch over.
    pub fn check(&self, batch: ObservedBatch) {
        if let Some(batches) = &self.batches {
            // A checker that panicked is noticed at the end, where it makes its verdict unknown.
            let _ = batches.send(batch);
        }
    }

    /// Violations found so far, by the checker's index.
    pub fn found(&self) -> &Receiver<(usize, Violation)> {
        &self.found
    }

    /// Waits for the rest to be checked. Nothing if the checker itself failed: then nothing is known.
    pub fn finish(&mut self) -> Option<Vec<Outcome>> {
        self.batches = None;
        self.thread.take()?.join().ok()
    }
}
