//! Exit codes: what the end of a command means, in the one place that says so.

use serde::{Deserialize, Serialize};

/// How a command ended, as its exit code says.
///
/// Code 0 and codes from 94 up are about the run; 1 and 2 are about Squall and its command line. A panic is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for held.
    Pass = 0,
    /// Squall itself failed.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Something could not be undone; what, and how to, is printed.
    NotUndone = 94,
    /// This machine lacks something the scenario needs.
    MissingCapability = 95,
    /// The numbers can't be trusted: saturated generator, unproven fault, no data.
    Invalid = 96,
    /// A regression.
    Regression = 97,
    /// An invariant was violated.
    InvariantViolated = 98,
    /// An expectation was not met, or a service died unasked or never got ready.
    ExpectationNotMet = 99,
    /// The scenario is wrong.
    ScenarioWrong = 104,
    /// Interrupted, as by Ctrl-C.
    Interrupted = 130,
    /// Terminated by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The order in which codes win when several apply. Those that end a command before anything runs (2, 95, 104) come
    /// where an internal failure does: they never meet the others in one run, only in one command over several scenarios.
    const GRAVEST_FIRST: [Exit; 12] = [
        Exit::Interrupted,
        Exit::Terminated,
        Exit::NotUndone,
        Exit::Internal,
        Exit::Usage,
        Exit::ScenarioWrong,
        Exit::MissingCapability,
        Exit::InvariantViolated,
        Exit::ExpectationNotMet,
        Exit::Regression,
        Exit::Invalid,
        Exit::Pass,
    ];

    /// The number handed to the system.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The one with this number, as a record has it.
    pub fn of(code: u8) -> Option<Exit> {
        Exit::GRAVEST_FIRST.into_iter().find(|exit| exit.code() == code)
    }

    /// Its place in the order of gravity, the gravest at zero.
    pub fn rank(self) -> usize {
        Exit::GRAVEST_FIRST
            .iter()
            .position(|other| *other == self)
            .unwrap_or(usize::MAX)
    }

    /// The code that wins among `exits`; [`Exit::Pass`] if there is none.
    pub fn gravest(exits: impl IntoIterator<Item = Exit>) -> Exit {
        exits
            .into_iter()
            .min_by_key(|exit| exit.rank())
            .unwrap_or(Exit::Pass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_wins() {
        let table: [(&[Exit], Exit); 5] = [
            (&[], Exit::Pass),
            (&[Exit::Pass, Exit::Invalid], Exit::Invalid),
            (
                &[Exit::Invalid, Exit::ExpectationNotMet, Exit::InvariantViolated],
                Exit::InvariantViolated,
            ),
            (&[Exit::InvariantViolated, Exit::Internal], Exit::Internal),
            (&[Exit::NotUndone, Exit::Interrupted], Exit::Interrupted),
        ];
        for (exits, expected) in table {
            assert_eq!(Exit::gravest(exits.iter().copied()), expected, "{exits:?}");
        }
    }

    #[test]
    fn the_order_is_the_documented_one_and_every_code_has_its_place() {
        let codes: Vec<u8> = Exit::GRAVEST_FIRST.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [130, 143, 94, 1, 2, 104, 95, 98, 99, 97, 96, 0]);
        for (place, exit) in Exit::GRAVEST_FIRST.iter().enumerate() {
            assert_eq!(exit.rank(), place);
        }
    }
}
