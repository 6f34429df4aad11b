//! One block: the programs of both arms run in turns, and what each slice of each told.

use std::path::Path;
use std::time::{Duration, Instant};

use squall_model::exit::Exit;
use squall_model::gate::{Arm, BlockRecord, Both, HostRecord, StretchRecord};
use squall_model::seed::{Seed, unit};

use super::bench::Bench;
use super::pace::Pace;
use super::program::{Keeper, ProgramError};
use crate::gate::{ArmFailure, BlockError, Outcome};
use crate::measure::host::Host;
use crate::measure::validity;
use crate::run::Stop;

/// A block that is to be run.
#[derive(Clone, Copy)]
pub struct Round<'a> {
    /// Both arms' programs.
    pub benches: &'a Both<Bench>,
    /// Who runs them.
    pub keeper: &'a Keeper,
    /// How long they measure.
    pub pace: Pace,
    /// How long a run of one may take.
    pub within: Duration,
    /// The gate's seed.
    pub seed: Seed,
    /// Which block it is, from 1.
    pub number: u32,
    /// The gate's begin.
    pub began: Instant,
    /// Where what they write lands.
    pub folder: &'a Path,
}

/// Runs a block to its end, or until `stop` is requested.
pub fn run(round: &Round<'_>, stop: &Stop) -> Result<Outcome, BlockError> {
    let seed = round.seed.child("gate").nth(u64::from(round.number));
    let start_us = round.began.elapsed().as_micros() as u64;
    let mut record = BlockRecord {
        number: round.number,
        seed: seed.value(),
        start_us,
        ..BlockRecord::default()
    };
    let mut failures = Vec::new();
    let zero = Instant::now();
    let now_us = || zero.elapsed().as_micros() as u64;
    let mut host = Host::start(0, 1);
    for (place, arm) in order(round.pace.slices, seed).into_iter().enumerate() {
        // Numbered and not named for its arm, so that the paths of both are of the same length.
        let folder = round.folder.join(format!("slice-{:02}", place + 1));
        let from = now_us();
        host.look_now(from, None);
        let bench = round.benches.of(arm);
        let ran = bench.slice(round.pace, round.keeper, &folder, round.within, stop);
        let end_us = now_us();
        host.look_now(end_us, Some(0));
        match ran {
            Ok(times) => record.arms.of_mut(arm).stretches.push(StretchRecord {
                phase: "slice".to_owned(),
                start_us: from,
                end_us,
                times,
                ..StretchRecord::default()
            }),
            Err(e) if e.is_of_the_machine() => return Err(BlockError::Bench(e)),
            Err(ProgramError::Stopped) => {
                record.invalid.push("interrupted".to_owned());
                break;
            }
            Err(e) => {
                record.invalid.push(format!("{arm}: {e}"));
                failures.push(failure(arm, &e));
                break;
            }
        }
    }
    record.invalid.extend(validity::suspended(host.suspended_us()));
    let seen = host.phase(0).record();
    record.host = HostRecord {
        strangers: seen.strangers,
        steal: seen.steal,
        // A meter that wakes a thousand times a second would be seen by what is measured.
        oversleep_us_p99: None,
    };
    record.duration_us = (round.began.elapsed().as_micros() as u64).saturating_sub(start_us);
    Ok(Outcome { record, failures })
}

fn failure(arm: Arm, error: &ProgramError) -> ArmFailure {
    ArmFailure {
        arm,
        reasons: vec![error.to_string()],
        exit: Exit::ExpectationNotMet,
        // It has run before.
        began: true,
    }
}

/// Whose turn it is: of the first pair by a draw, of the second the other way round, and so on, so that neither arm is always the
/// first, and what drifts meets both alike.
fn order(slices: u32, seed: Seed) -> Vec<Arm> {
    let mut rng = seed.child("order").rng();
    let mut first = Arm::Base;
    let mut turns = Vec::new();
    for pair in 0..slices {
        first = match pair % 2 {
            0 if unit(&mut rng) < 0.5 => Arm::Base,
            0 => Arm::Candidate,
            _ => first.other(),
        };
        turns.extend([first, first.other()]);
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arms_take_turns_as_often_and_none_is_always_the_first() {
        let mut firsts = 0;
        for number in 0..200 {
            let turns = order(2, Seed::new(5).nth(number));
            let [a, b, c, d] = turns.as_slice() else {
                panic!("{turns:?}")
            };
            assert_eq!((*b, *c, *d), (a.other(), a.other(), *a), "there and back");
            firsts += u32::from(*a == Arm::Base);
        }
        assert!((60..140).contains(&firsts), "{firsts} of 200");
        assert_eq!(order(2, Seed::new(5)), order(2, Seed::new(5)));
        assert_eq!(order(1, Seed::new(1)).len(), 2);
    }
}
