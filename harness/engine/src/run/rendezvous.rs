//! Where runs that are to be on one timeline wait for each other: their first phases begin at the same moment.
//!
//! Services take as long as they like to get ready, and each run has its own. A run that ends before it came here breaks the
//! rendezvous, so that nobody waits for what will never come.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// From the last arrival to the begin: long enough for everyone to wake, and to hand its phases to its generator.
const LEAD: Duration = Duration::from_millis(50);

/// The meeting place of a number of runs.
#[derive(Debug)]
pub struct Rendezvous {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    awaited: usize,
    begin: Option<Instant>,
    is_broken: bool,
}

/// One of those who were awaited has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other run did not come to its first phase")]
pub struct RendezvousError;

impl Rendezvous {
    /// Of `runs` runs.
    pub fn of(runs: usize) -> Rendezvous {
        Rendezvous {
            state: Mutex::new(State {
                awaited: runs,
                begin: None,
                is_broken: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// Says that one more run is ready.
    pub fn arrive(&self) {
        let mut state = self.state();
        state.awaited = state.awaited.saturating_sub(1);
        if state.awaited == 0 {
            state.begin = Some(Instant::now() + LEAD);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// When all begin; nothing if that was not known within `patience`. To be asked again after looking whether it is still wanted.
    pub fn begin(&self, patience: Duration) -> Result<Option<Instant>, RendezvousError> {
        let undecided = |state: &mut State| state.begin.is_none() && !state.is_broken;
        let waited = self.changed.wait_timeout_while(self.state(), patience, undecided);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match (state.begin, state.is_broken) {
            (Some(begin), _) => Ok(Some(begin)),
            (None, true) => Err(RendezvousError),
            (None, false) => Ok(None),
        }
    }

    /// Says that a run has ended. Of one that had come here before, nobody minds.
    pub fn leave(&self) {
        let mut state = self.state();
        state.is_broken = state.begin.is_none();
        drop(state);
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn all_begin_at_one_moment_that_is_still_to_come() {
        let place = Rendezvous::of(2);
        place.arrive();
        assert_eq!(place.begin(Duration::ZERO), Ok(None), "one is missing");
        let (ours, theirs) = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                place.arrive();
                place.begin(LONG)
            });
            (place.begin(LONG), other.join().expect("it does not panic"))
        });
        assert_eq!(ours, theirs);
        assert!(ours.unwrap().is_some());
    }

    #[test]
    fn nobody_waits_for_a_run_that_has_ended() {
        let place = Rendezvous::of(2);
        place.arrive();
        place.leave();
        assert_eq!(place.begin(LONG), Err(RendezvousError));
    }

    #[test]
    fn a_run_that_ends_after_all_have_met_breaks_nothing() {
        let place = Rendezvous::of(1);
        place.arrive();
        place.leave();
        assert!(place.begin(LONG).unwrap().is_some());
    }
}
