//! Whether an endpoint may be used: what health checks say of it, and what requests met.
//!
//! Pure: it is told what happened and when. Two things take an endpoint out. `fall` bad checks in a row mark it down until `rise` good
//! ones let it in: what checks say goes before what requests met, so nothing else lets it in, and it is not ejected besides. `failures` requests in a row that failed eject it, for `base` the first time and so much longer each further time, up to
//! `max`; each `base` that it is well afterwards makes the next time shorter again.

use tokio::time::Instant;

use crate::config::{Ejection, Health};

/// What is known of an endpoint.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    listed: bool,
    down: bool,
    /// Checks in a row that say the opposite of `down`.
    contrary: u32,
    /// Requests in a row that failed.
    failures: u32,
    /// How often it was ejected lately.
    ejections: u32,
    ejected_until: Option<Instant>,
    /// When it was last let in after an ejection.
    restored_at: Option<Instant>,
}

/// The changes of state that there are, which is the invariant `endpoints`.
pub const ARROWS: &[&str] = &[
    "gone -> up",
    "up -> gone",
    "ejected -> gone",
    "down -> gone",
    "up -> ejected",
    "up -> down",
    "ejected -> up",
    "ejected -> down",
    "down -> up",
];

/// The states of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No document in force lists it: it is not there yet, or no more, and what requests still meet is not noted.
    Gone,
    /// It is used.
    Up,
    /// Requests to it failed, and it is left alone for a while.
    Ejected,
    /// Health checks say that it is not well.
    Down,
}

impl State {
    /// The word in events and in `GET /clusters`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Up => "up",
            Self::Ejected => "ejected",
            Self::Down => "down",
        }
    }
}

impl Standing {
    /// What it is. An ejection that is over counts until [`Standing::restore`].
    pub fn state(&self) -> State {
        match (self.listed, self.down, self.ejected_until) {
            (false, ..) => State::Gone,
            (true, true, _) => State::Down,
            (true, false, Some(_)) => State::Ejected,
            (true, false, None) => State::Up,
        }
    }

    /// A document lists it, or does no more. It begins anew each time.
    pub fn list(&mut self, listed: bool) {
        if self.listed != listed {
            *self = Self {
                listed,
                ..Self::default()
            };
        }
    }

    /// How many requests in a row failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// A request failed. Whether that is one too many, so that the endpoint is to be ejected.
    pub fn failed(&mut self, policy: &Ejection) -> bool {
        self.failures = self.failures.saturating_add(1);
        policy.failures > 0 && self.failures >= policy.failures && self.state() == State::Up
    }

    /// Ejects it, which is up, and returns until when.
    pub fn eject(&mut self, policy: &Ejection, now: Instant) -> Instant {
        if let Some(restored) = self.restored_at {
            let well = now.saturating_duration_since(restored).as_secs_f64() / policy.base.as_secs_f64();
            self.ejections = self.ejections.saturating_sub(well as u32);
        }
        self.ejections = self.ejections.saturating_add(1);
        let length = policy.base.saturating_mul(self.ejections).min(policy.max);
        self.failures = 0;
        let until = now + length;
        self.ejected_until = Some(until);
        until
    }

    /// Lets it in again if its time is over; whether that was so.
    pub fn restore(&mut self, now: Instant) -> bool {
        let over = self.ejected_until.is_some_and(|until| until <= now);
        if over {
            self.ejected_until = None;
            self.restored_at = Some(now);
            self.failures = 0;
        }
        over
    }

    /// Nobody checks it any more.
    pub fn unchecked(&mut self) {
        self.down = false;
        self.contrary = 0;
    }

    /// A health check was good or not.
    pub fn checked(&mut self, well: bool, policy: &Health) {
        if well != self.down {
            self.contrary = 0;
            return;
        }
        self.contrary += 1;
        let enough = if self.down { policy.rise } else { policy.fall };
        if self.contrary >= enough {
            self.down = !self.down;
            self.contrary = 0;
            self.failures = 0;
            self.ejected_until = None;
        }
    }

    /// Of a planted bug: ejects it although it is down.
    pub fn eject_down(&mut self, policy: &Ejection, now: Instant) {
        self.down = false;
        self.eject(policy, now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::{ARROWS, Standing, State};
    use crate::config::{Ejection, Health};

    const EJECTION: Ejection = Ejection {
        failures: 3,
        base: Duration::from_secs(1),
        max: Duration::from_secs(4),
    };

    fn listed() -> Standing {
        let mut standing = Standing::default();
        standing.list(true);
        standing
    }

    fn health() -> Health {
        Health {
            rise: 2,
            fall: 3,
            ..Health::default()
        }
    }

    #[test]
    fn checks_must_agree_in_a_row() {
        let mut standing = listed();
        let mut states = Vec::new();
        for well in [false, false, true, false, false, false, true, false, true, true] {
            standing.checked(well, &health());
            states.push(standing.state() == State::Up);
        }
        let expected = [true, true, true, true, true, false, false, false, false, true];
        assert_eq!(states, expected);
    }

    #[test]
    fn failures_must_be_in_a_row() {
        let mut standing = listed();
        assert!(!standing.failed(&EJECTION) && !standing.failed(&EJECTION));
        standing.succeeded();
        assert!(!standing.failed(&EJECTION) && !standing.failed(&EJECTION));
        assert!(standing.failed(&EJECTION));
        let never = Ejection {
            failures: 0,
            ..EJECTION
        };
        assert!(!standing.failed(&never));
    }

    #[test]
    fn each_ejection_is_longer_up_to_the_longest_and_being_well_makes_them_shorter() {
        let mut now = Instant::now();
        let mut standing = listed();
        let mut eject = |standing: &mut Standing, well: u64| {
            now += Duration::from_secs(well);
            let until = standing.eject(&EJECTION, now);
            assert!(!standing.restore(until - Duration::from_millis(1)));
            assert_eq!(standing.state(), State::Ejected);
            assert!(standing.restore(until));
            let length = until - now;
            now = until;
            length.as_secs()
        };
        let lengths: Vec<u64> = (0..6).map(|_| eject(&mut standing, 0)).collect();
        assert_eq!(lengths, [1, 2, 3, 4, 4, 4]);
        assert_eq!(eject(&mut standing, 4), 3);
        assert_eq!(eject(&mut standing, 100), 1);
    }

    #[test]
    fn what_checks_say_goes_before_what_requests_met() {
        let now = Instant::now();
        let mut standing = listed();
        standing.eject(&EJECTION, now);
        for _ in 0..3 {
            standing.checked(false, &health());
        }
        assert_eq!(standing.state(), State::Down);
        assert!((0..10).all(|_| !standing.failed(&EJECTION)), "it is out already");
        assert!(!standing.restore(now + EJECTION.max), "only checks let it in");
        for _ in 0..2 {
            standing.checked(true, &health());
        }
        assert_eq!(standing.state(), State::Up);
    }

    /// What may happen to an endpoint, by number, a second after what happened before.
    fn happens(standing: &mut Standing, what: u8, now: Instant) {
        match what {
            0 => standing.list(true),
            1 => standing.list(false),
            2 => standing.checked(true, &health()),
            3 => standing.checked(false, &health()),
            4 => standing.succeeded(),
            5 => standing.unchecked(),
            6 => drop(standing.restore(now)),
            _ => {
                if standing.failed(&EJECTION) {
                    standing.eject(&EJECTION, now);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn it_goes_only_where_the_invariant_allows(steps in prop::collection::vec(0_u8..12, 1..400)) {
            let mut standing = Standing::default();
            let mut now = Instant::now();
            for what in steps {
                now += Duration::from_secs(1);
                let before = standing.state().word();
                happens(&mut standing, what, now);
                let arrow = format!("{before} -> {}", standing.state().word());
                prop_assert!(before == standing.state().word() || ARROWS.contains(&&*arrow), "{arrow}");
            }
        }

        #[test]
        fn it_is_never_left_alone_for_longer_than_the_longest(waits in prop::collection::vec(0u64..10_000, 1..50)) {
            let mut now = Instant::now();
            let mut standing = listed();
            for wait in waits {
                now += Duration::from_millis(wait);
                let until = standing.eject(&EJECTION, now);
                prop_assert!(until > now && until - now <= EJECTION.max);
                now = until;
                prop_assert!(standing.restore(now));
            }
        }
    }
}
