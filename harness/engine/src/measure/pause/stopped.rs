//! Time in which a process was held by a stop signal or a tracer, as its state shows it.
//!
//! State `T` or `t` in `/proc/PID/stat` (`proc_pid_stat(5)`). The kernel keeps no time of a stop, so its begin is taken to lie
//! halfway between the last look that saw the process run and the first that saw it stopped, and its end likewise: the length
//! is right within one interval between looks, and most stops that are shorter than that go unseen.

use std::collections::HashMap;

use squall_model::record::Each;

use super::{Kind, Pause};
use crate::process::Identity;

/// The kind.
pub const KIND: Kind = Kind {
    name: "stopped",
    about: "a process held by a stop signal or a tracer, right within one interval between looks",
    each: Each::Pause,
};

/// The stops of one service that are not over yet.
#[derive(Debug, Default)]
pub struct Stops {
    /// Per process that is stopped: when that began, and when it was seen last.
    open: HashMap<Identity, (u64, u64)>,
    last_look_us: Option<u64>,
}

impl Stops {
    /// Takes in a look at `at_us`, in which the processes of `stopped` were; the stops that it shows to be over.
    pub fn look(&mut self, at_us: u64, stopped: &[Identity]) -> Vec<Pause> {
        let middle = |from: u64| from + at_us.saturating_sub(from) / 2;
        let begin = self.last_look_us.map_or(at_us, middle);
        let mut over = Vec::new();
        self.open.retain(|process, (began, seen)| {
            let still = stopped.contains(process);
            if !still {
                over.push((*began, middle(*seen)));
            }
            still
        });
        for process in stopped {
            self.open.entry(*process).or_insert((begin, at_us)).1 = at_us;
        }
        self.last_look_us = Some(at_us);
        over.into_iter().map(pause).collect()
    }

    /// Ends the looking: what was still stopped then counts up to the last look.
    pub fn finish(self) -> Vec<Pause> {
        self.open.into_values().map(pause).collect()
    }
}

fn pause((began_us, ended_us): (u64, u64)) -> Pause {
    Pause {
        at_us: ended_us,
        length_us: ended_us.saturating_sub(began_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Identity = Identity {
        pid: 7,
        start_time: 1,
    };
    const OTHER: Identity = Identity {
        pid: 8,
        start_time: 1,
    };

    #[test]
    fn a_stop_lasts_from_between_two_looks_to_between_two_looks() {
        let mut stops = Stops::default();
        assert!(stops.look(100_000, &[]).is_empty());
        for at_us in [200_000, 300_000, 400_000] {
            assert!(stops.look(at_us, &[ONE]).is_empty());
        }
        let over = stops.look(500_000, &[]);
        assert_eq!(
            over,
            [Pause {
                at_us: 450_000,
                length_us: 300_000
            }]
        );
        assert!(stops.finish().is_empty());
    }

    #[test]
    fn a_true_stop_is_within_one_interval_of_what_is_said() {
        for begin_us in (0..100_000).step_by(7_000) {
            for length_us in [150_000, 333_000, 1_000_000] {
                let mut stops = Stops::default();
                let (begin, end) = (500_000 + begin_us, 500_000 + begin_us + length_us);
                let looks = (1..40).map(|at| at * 100_000);
                let found: Vec<Pause> = looks
                    .flat_map(|at| {
                        let held: &[Identity] = if (begin..end).contains(&at) { &[ONE] } else { &[] };
                        stops.look(at, held)
                    })
                    .collect();
                let [found] = found[..] else {
                    panic!("{found:?} of one stop of {length_us}")
                };
                assert!(
                    found.length_us.abs_diff(length_us) <= 100_000,
                    "{found:?} of {length_us}"
                );
            }
        }
    }

    #[test]
    fn each_process_has_its_own_stop_and_the_end_of_the_run_ends_it() {
        let mut stops = Stops::default();
        stops.look(0, &[]);
        stops.look(100_000, &[ONE, OTHER]);
        assert_eq!(stops.look(200_000, &[OTHER]).len(), 1);
        assert_eq!(
            stops.finish(),
            [Pause {
                at_us: 200_000,
                length_us: 150_000
            }]
        );
    }
}
