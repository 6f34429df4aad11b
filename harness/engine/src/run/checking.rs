//! The thread on which invariants are checked while the load runs.
//!
//! Checking happens beside the run, over everything that the load read from responses, and never holds the generator up:
//! batches wait in a queue that the run's length and rate bound.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use squall_model::observation::ObservedBatch;

use crate::invariant::{Invariant, Outcome, Violation};
use crate::plan::Feed;

/// A checker and what feeds it.
pub struct Checked {
    /// What is read out of responses.
    pub feeds: Vec<Feed>,
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
                    let feed = Feed {
                        load: usize::from(batch.load),
                        reading: usize::from(batch.reading),
                    };
                    for (index, one) in checked
                        .iter_mut()
                        .enumerate()
                        .filter(|(_, one)| one.feeds.contains(&feed))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::Verdict;

    /// Takes every value for a violation; gives up at the value 13.
    #[derive(Default)]
    struct Suspicious(u64);

    impl Invariant for Suspicious {
        fn observe(&mut self, batch: &ObservedBatch) -> Vec<Violation> {
            let values: Vec<u64> = batch.responses().flat_map(|one| one.integers.to_vec()).collect();
            assert!(!values.contains(&13), "planned");
            self.0 += values.len() as u64;
            let violation = |value: u64| Violation {
                text: value.to_string(),
                at_us: value,
            };
            values.into_iter().map(violation).collect()
        }

        fn finish(&mut self) -> Outcome {
            Outcome {
                checked: self.0,
                violations: self.0,
                verdict: Verdict::Fail,
                reason: String::new(),
                examples: Vec::new(),
                last: vec![Violation {
                    text: "held back".to_owned(),
                    at_us: 0,
                }],
            }
        }
    }

    fn batch(load: u16, value: u64) -> ObservedBatch {
        let mut batch = ObservedBatch::new(load);
        batch.push_integer(value);
        batch.close_response(1, 2);
        batch
    }

    fn start() -> Checking {
        let checked = |loads: &[usize]| Checked {
            feeds: loads.iter().map(|&load| Feed { load, reading: 0 }).collect(),
            checker: Box::new(Suspicious::default()),
        };
        Checking::start(vec![checked(&[0]), checked(&[0, 2])]).unwrap()
    }

    #[test]
    fn each_checker_sees_the_loads_that_feed_it_and_everything_is_told() {
        let mut checking = start();
        for (load, value) in [(0, 1), (1, 2), (2, 3)] {
            checking.check(batch(load, value));
        }
        let outcomes = checking.finish().unwrap();
        let checked: Vec<u64> = outcomes.iter().map(|one| one.checked).collect();
        assert_eq!(checked, [1, 2]);
        let mut told: Vec<(usize, String)> = checking
            .found()
            .try_iter()
            .map(|(checker, one)| (checker, one.text))
            .collect();
        told.sort();
        let expected = [(0, "1"), (0, "held back"), (1, "1"), (1, "3"), (1, "held back")];
        assert_eq!(told, expected.map(|(checker, text)| (checker, text.to_owned())));
    }

    #[test]
    fn a_checker_that_fails_leaves_nothing_known() {
        let mut checking = start();
        checking.check(batch(2, 13));
        checking.check(batch(0, 1));
        assert_eq!(checking.finish(), None);
        // Nobody takes it any more, and nobody minds.
        checking.check(batch(0, 2));
    }
}
