//! What to do while the clock has not come past the last id: the three defences against a step back, the wait for
//! the next millisecond, and the discovery that the clock stands still.
//!
//! A pure state machine over readings of the clocks: it waits for nothing and issues nothing. The caller holds it
//! under a lock and reads the clocks under that lock, so the readings come in order.

use std::time::Duration;

use crate::incident::{Defence, Incident};
use crate::layout::Position;

/// A step back shorter than this is spun out, in milliseconds.
const SPIN_BELOW_MS: u64 = 10;
/// A step back shorter than this is slept out, in milliseconds.
const SLEEP_BELOW_MS: u64 = 50;
/// A clock that has not come past the last id after this long stands still, or as good as: the longest wait that the
/// defences impose is half of it.
const STALL_US: u64 = 100_000;
/// How long a full millisecond is waited for by spinning, before sleeping.
const SPIN_FULL_US: u64 = 2_000;
/// How old a reading of both clocks may be for the size of a step to be worked out from it.
const REFERENCE_US: u64 = 20_000;

/// What to do about a step back of 50 ms or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// Go on with the backup sequencer.
    #[default]
    Backup,
    /// Issue no id until the clock has caught up.
    Reject,
}

impl Policy {
    /// The words of the setting.
    pub const WORDS: &[&str] = &["backup", "reject"];

    /// The policy of one of [`Policy::WORDS`].
    pub fn named(word: &str) -> Self {
        if word == "reject" {
            Self::Reject
        } else {
            Self::Backup
        }
    }

    fn defence(self) -> Defence {
        match self {
            Self::Backup => Defence::Backup,
            Self::Reject => Defence::Reject,
        }
    }

    /// The defence against a step back of this many milliseconds.
    fn against(self, step_ms: u64) -> Defence {
        match step_ms {
            0..SPIN_BELOW_MS => Defence::Spin,
            SPIN_BELOW_MS..SLEEP_BELOW_MS => Defence::Sleep,
            _ => self.defence(),
        }
    }
}

/// A reading of both clocks at one moment, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock.
    pub wall_us: u64,
    /// The monotonic clock.
    pub monotonic_us: u64,
}

impl Reading {
    fn wall_ms(self) -> u64 {
        self.wall_us / 1_000
    }
}

/// What the caller is to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read the clock again soon.
    Spin,
    /// Come back after this time.
    Sleep(Duration),
    /// Let the backup sequencer take over.
    Backup,
    /// Refuse: the clock moved backward.
    RefuseBackward,
    /// Refuse: the clock stands still.
    RefuseStalled,
}

/// The wait for the clock to come past a position.
#[derive(Debug)]
pub struct Watch {
    policy: Policy,
    wait: Option<WaitState>,
    /// Both clocks while they last agreed.
    reference: Option<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct WaitState {
    /// The position that is waited past. A position never comes twice, so it names the wait.
    at: Position,
    /// Monotonic time when the wait, or its last step back, began.
    since_us: u64,
    /// The wall clock as last read.
    wall_ms: u64,
    /// What was chosen at the last step back, or on finding that the clock stands still.
    defence: Option<Defence>,
    stalled: bool,
}

impl Watch {
    /// Waits for nothing yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            wait: None,
            reference: None,
        }
    }

    /// Takes note of a reading of both clocks while ids were being issued from the wall clock.
    pub fn agree(&mut self, reading: Reading) {
        self.reference = Some(reading);
    }

    /// Decides about a wait for the clock to come past `at`, which `now` has not.
    pub fn look(&mut self, at: Position, now: Reading) -> (Option<Incident>, Action) {
        let behind_ms = at.ms.saturating_sub(now.wall_ms());
        let known = self.wait.filter(|wait| wait.at == at);
        let step_ms = match known {
            None => (behind_ms > 0).then(|| behind_ms.max(self.step_since_reference(now))),
            Some(wait) => wait.wall_ms.checked_sub(now.wall_ms()).filter(|step| *step > 0),
        };
        let mut wait = known.unwrap_or(WaitState {
            at,
            since_us: now.monotonic_us,
            wall_ms: 0,
            defence: None,
            stalled: false,
        });
        wait.wall_ms = now.wall_ms();
        let waited_us = now.monotonic_us.saturating_sub(wait.since_us);
        let mut incident = None;
        if let Some(step_ms) = step_ms {
            let defence = self.policy.against(behind_ms.max(step_ms));
            wait = WaitState {
                since_us: now.monotonic_us,
                defence: Some(defence),
                stalled: false,
                ..wait
            };
            incident = Some(Incident::Rollback {
                step_ms,
                behind_ms,
                defence,
            });
            // The clocks no longer agree as they did, and the step must not count into the next one.
            self.reference = None;
        } else if known.is_none() {
            incident = Some(Incident::SequenceExhausted);
        } else if waited_us >= STALL_US && !matches!(wait.defence, Some(Defence::Backup | Defence::Reject)) {
            let defence = self.policy.defence();
            wait = WaitState {
                defence: Some(defence),
                stalled: true,
                ..wait
            };
            incident = Some(Incident::Stalled {
                waited_ms: waited_us / 1_000,
                defence,
            });
        }
        self.wait = Some(wait);
        (incident, wait.action(behind_ms, waited_us))
    }

    /// By how many milliseconds the wall clock is behind where a recent reading says it should be. The last id may
    /// be some milliseconds older than the step, so how far the clock is behind that id falls short of the step.
    fn step_since_reference(&self, now: Reading) -> u64 {
        let Some(reference) = self.reference else { return 0 };
        let passed_us = now.monotonic_us.saturating_sub(reference.monotonic_us);
        if passed_us > REFERENCE_US {
            return 0;
        }
        let step_us = (reference.wall_us + passed_us).saturating_sub(now.wall_us);
        (step_us + 500) / 1_000
    }
}

impl WaitState {
    fn action(&self, behind_ms: u64, waited_us: u64) -> Action {
        match self.defence {
            Some(Defence::Backup) => Action::Backup,
            Some(Defence::Reject) if self.stalled => Action::RefuseStalled,
            Some(Defence::Reject) if behind_ms > 0 => Action::RefuseBackward,
            Some(Defence::Sleep) => Action::Sleep(Duration::from_millis(behind_ms.max(1))),
            None if waited_us >= SPIN_FULL_US => Action::Sleep(Duration::from_millis(1)),
            _ => Action::Spin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Defence, Duration, Incident, Policy, Position, Reading, Watch};

    const AT: Position = Position {
        ms: 10_000,
        sequence: 3,
        backup: false,
    };

    fn reading(wall_ms: u64, monotonic_ms: u64) -> Reading {
        Reading {
            wall_us: wall_ms * 1_000,
            monotonic_us: monotonic_ms * 1_000,
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "what a look returns is optional")]
    fn rollback(step_ms: u64, behind_ms: u64, defence: Defence) -> Option<Incident> {
        Some(Incident::Rollback {
            step_ms,
            behind_ms,
            defence,
        })
    }

    #[test]
    fn the_size_of_the_step_chooses_the_defence() {
        let ms = Duration::from_millis;
        let cases = [
            (1, Defence::Spin, Action::Spin),
            (9, Defence::Spin, Action::Spin),
            (10, Defence::Sleep, Action::Sleep(ms(10))),
            (49, Defence::Sleep, Action::Sleep(ms(49))),
            (50, Defence::Backup, Action::Backup),
            (3_600, Defence::Backup, Action::Backup),
        ];
        for (step, defence, action) in cases {
            let seen = Watch::new(Policy::Backup).look(AT, reading(AT.ms - step, 0));
            assert_eq!(seen, (rollback(step, step, defence), action));
        }
        let refused = Watch::new(Policy::Reject).look(AT, reading(AT.ms - 50, 0));
        assert_eq!(
            refused,
            (rollback(50, 50, Defence::Reject), Action::RefuseBackward)
        );
    }

    #[test]
    fn a_step_is_told_once_while_ids_wait_for_it() {
        let mut watch = Watch::new(Policy::Backup);
        assert_eq!(
            watch.look(AT, reading(AT.ms - 20, 0)).0,
            rollback(20, 20, Defence::Sleep)
        );
        assert_eq!(watch.look(AT, reading(AT.ms - 20, 0)).0, None);
        assert_eq!(
            watch.look(AT, reading(AT.ms - 5, 15)),
            (None, Action::Sleep(Duration::from_millis(5)))
        );
        assert_eq!(
            watch.look(AT, reading(AT.ms - 45, 16)).0,
            rollback(40, 45, Defence::Sleep)
        );
        assert_eq!(
            watch.look(AT, reading(AT.ms - 60, 17)),
            (rollback(15, 60, Defence::Backup), Action::Backup)
        );
    }

    #[test]
    fn a_recent_reading_gives_the_whole_step_where_the_last_id_is_older_than_it() {
        let mut watch = Watch::new(Policy::Backup);
        watch.agree(reading(AT.ms, 0));
        // Three milliseconds after the last id the clock stepped by 50: it is 47 behind that id.
        assert_eq!(
            watch.look(AT, reading(AT.ms - 47, 3)).0,
            rollback(50, 47, Defence::Backup)
        );
        let mut watch = Watch::new(Policy::Backup);
        watch.agree(reading(AT.ms, 0));
        // A reading too old says nothing.
        assert_eq!(
            watch.look(AT, reading(AT.ms - 20, 30)).0,
            rollback(20, 20, Defence::Sleep)
        );
    }

    #[test]
    fn a_step_does_not_count_into_the_next() {
        let mut watch = Watch::new(Policy::Backup);
        watch.agree(reading(AT.ms, 0));
        assert_eq!(
            watch.look(AT, reading(AT.ms - 5, 0)).0,
            rollback(5, 5, Defence::Spin)
        );
        let later = Position { ms: AT.ms + 1, ..AT };
        assert_eq!(
            watch.look(later, reading(later.ms - 20, 6)).0,
            rollback(20, 20, Defence::Sleep)
        );
    }

    #[test]
    fn a_full_millisecond_is_waited_out_and_told_once() {
        let full = Position::full(10_000);
        let mut watch = Watch::new(Policy::Backup);
        assert_eq!(
            watch.look(full, reading(10_000, 0)),
            (Some(Incident::SequenceExhausted), Action::Spin)
        );
        assert_eq!(watch.look(full, reading(10_000, 1)), (None, Action::Spin));
        assert_eq!(
            watch.look(full, reading(10_000, 2)),
            (None, Action::Sleep(Duration::from_millis(1)))
        );
    }

    #[test]
    fn a_clock_that_stands_still_is_found_out() {
        for (policy, defence, action) in [
            (Policy::Backup, Defence::Backup, Action::Backup),
            (Policy::Reject, Defence::Reject, Action::RefuseStalled),
        ] {
            let full = Position::full(10_000);
            let mut watch = Watch::new(policy);
            watch.look(full, reading(10_000, 0));
            assert_eq!(watch.look(full, reading(10_000, 99)).0, None);
            let stalled = Some(Incident::Stalled {
                waited_ms: 100,
                defence,
            });
            assert_eq!(watch.look(full, reading(10_000, 100)), (stalled, action));
            assert_eq!(watch.look(full, reading(10_000, 101)), (None, action));
        }
    }

    #[test]
    fn a_refusal_lasts_until_the_clock_has_caught_up() {
        let mut watch = Watch::new(Policy::Reject);
        watch.look(AT, reading(AT.ms - 60, 0));
        assert_eq!(
            watch.look(AT, reading(AT.ms - 1, 59)),
            (None, Action::RefuseBackward)
        );
        assert_eq!(
            watch.look(AT, reading(AT.ms - 1, 500)),
            (None, Action::RefuseBackward)
        );
    }
}
