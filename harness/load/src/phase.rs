//! One phase of one load on one thread: where its requests come from and what became of them.

use crate::clock::us_to_ns;
use crate::in_flight::Request;
use crate::pacer::{self, Share};
use crate::report::Slice;
use crate::spec::{Arrivals, PhaseSpec};
use crate::tally::Tally;
use crate::think::Pauses;
use squall_model::seed::Seed;

/// This thread's part of a load: `at` of `ways`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) at: usize,
    pub(crate) ways: usize,
}

impl Part {
    /// This thread's share of `total` things handed out in turn.
    pub(crate) fn of(self, total: usize) -> usize {
        total / self.ways + usize::from(self.at < total % self.ways)
    }
}

/// Where a phase's requests come from.
pub(crate) enum Source {
    /// A schedule: its next arrival (number, nanoseconds since the epoch), and the rest of it.
    Open { next: Option<(u64, u64)>, share: Share },
    /// Users of this thread; `started` once they have sent their first request. Threads number requests in turn.
    Closed {
        users: usize,
        pauses: Pauses,
        started: bool,
        next_number: u64,
        ways: u64,
    },
    /// Nowhere.
    None,
}

/// One phase of one load on one thread.
pub(crate) struct Phase {
    pub(crate) index: u32,
    draw: u32,
    pub(crate) start_ns: u64,
    /// `u64::MAX` while the phase is open-ended.
    pub(crate) end_ns: u64,
    pub(crate) source: Source,
    /// Requests queued, in flight, or of users who think.
    pub(crate) outstanding: u64,
    /// Requests that may wait for a connection.
    pub(crate) queue_max: usize,
    /// Made when first needed: phases are known long before they begin.
    tally: Option<Box<Tally>>,
}

/// The shortest queue bound of a load, and the time its highest rate may fill it for (DESIGN, "The scenario").
const QUEUE_MIN: usize = 10_000;
const QUEUE_SECONDS: f64 = 10.0;

/// Requests that a phase has numbers for: a trillion.
pub(crate) const PHASE_SHIFT: u32 = 40;

impl Phase {
    /// The part of `spec` that load number `load` has on this thread; `connections` is the load's limit over all threads.
    ///
    /// A load with fewer connections than there are threads is carried by as many threads as it has connections.
    pub(crate) fn new(spec: &PhaseSpec, load: usize, connections: usize, part: Part, seed: Seed) -> Phase {
        let start_ns = us_to_ns(spec.start_us);
        let ways = part.ways.min(connections);
        let seed_of = |what| seed.child(what).child(itoa::Buffer::new().format(spec.draw));
        let (source, queue_max) = match spec.arrivals[load] {
            Arrivals::Open {
                rate_per_s,
                ref pacer,
            } if part.at < ways => {
                let seed = seed_of("arrivals");
                let queue_max = QUEUE_MIN
                    .max((pacer.peak_per_s(rate_per_s) * QUEUE_SECONDS) as usize)
                    .div_ceil(ways);
                let pacer =
                    pacer::build(pacer, rate_per_s, seed).expect("rates are checked when a phase is pushed");
                let share = Share::new(pacer, part.at, ways);
                (Source::Open { next: None, share }, queue_max)
            }
            Arrivals::Closed { users, think } if part.of(users) > 0 => {
                let users = part.of(users);
                let (next_number, ways) = (part.at as u64, part.ways as u64);
                (
                    Source::Closed {
                        users,
                        pauses: Pauses::new(think, seed_of("think")),
                        started: false,
                        next_number,
                        ways,
                    },
                    users,
                )
            }
            _ => (Source::None, 0),
        };
        let end_ns = spec.end_us.map_or(u64::MAX, us_to_ns);
        let mut phase = Phase {
            index: spec.index,
            draw: spec.draw,
            start_ns,
            end_ns,
            source,
            outstanding: 0,
            queue_max,
            tally: None,
        };
        phase.step();
        phase
    }

    /// Moves on to the next arrival of the schedule.
    pub(crate) fn step(&mut self) {
        if let Source::Open { next, share } = &mut self.source {
            let start_ns = self.start_ns;
            *next = share
                .next()
                .map(|(number, offset_ns)| (number, start_ns.saturating_add(offset_ns)));
        }
    }

    /// The next arrival that lies within the phase: its number and intended time.
    #[inline]
    pub(crate) fn next_arrival(&self) -> Option<(u64, u64)> {
        match self.source {
            Source::Open {
                next: Some((number, at_ns)),
                ..
            } if at_ns < self.end_ns => Some((number, at_ns)),
            _ => None,
        }
    }

    /// Whether it asks for requests without a schedule.
    #[inline]
    pub(crate) fn is_closed_loop(&self) -> bool {
        matches!(self.source, Source::Closed { .. })
    }

    /// The number of a request within its load, different in each draw.
    #[inline]
    pub(crate) fn request_number(&self, request: &Request) -> u64 {
        u64::from(self.draw) << PHASE_SHIFT | request.number
    }

    /// Whether everything intended in it is over.
    pub(crate) fn is_over(&self, now_ns: u64) -> bool {
        now_ns >= self.end_ns && self.outstanding == 0 && self.next_arrival().is_none()
    }

    /// Counts what is left of the schedule as not sent for the generator's own slowness; at most `max` arrivals, so that
    /// the thread does not stop for long.
    pub(crate) fn give_up_schedule(&mut self, max: usize) {
        for _ in 0..max {
            if self.next_arrival().is_none() {
                return;
            }
            let counts = &mut self.tally().counts;
            counts.intended += 1;
            counts.unsent_by_generator += 1;
            self.step();
        }
    }

    #[inline]
    pub(crate) fn tally(&mut self) -> &mut Tally {
        self.tally.get_or_insert_default()
    }

    /// The slice so far.
    pub(crate) fn take_slice(&mut self, load: u16, thread: u16, start_us: u64, end_us: u64) -> Slice {
        let slice = self.tally.as_mut().map(|tally| tally.take()).unwrap_or_default();
        Slice {
            load,
            phase: self.index,
            thread,
            start_us,
            end_us,
            ..slice
        }
    }

    /// Frees what only a running phase needs.
    pub(crate) fn retire(&mut self) {
        self.tally = None;
        self.source = Source::None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pacer::{PacerKind, Ramp, Spread};
    use std::time::Duration;

    fn intended(threads: usize, connections: usize) -> Vec<u64> {
        let arrivals = vec![Arrivals::Open {
            rate_per_s: 500.0,
            pacer: PacerKind::Poisson,
        }];
        let spec = PhaseSpec {
            index: 3,
            draw: 3,
            start_us: 1_000_000,
            end_us: Some(2_000_000),
            arrivals,
        };
        let mut times = Vec::new();
        for at in 0..threads {
            let mut phase = Phase::new(&spec, 0, connections, Part { at, ways: threads }, Seed::new(5));
            while let Some((_, at_ns)) = phase.next_arrival() {
                times.push(at_ns);
                phase.step();
            }
        }
        times.sort_unstable();
        times
    }

    #[test]
    fn a_phases_arrivals_do_not_depend_on_threads_or_connections() {
        let alone = intended(1, 64);
        assert!(
            alone
                .iter()
                .all(|at_ns| (1_000_000_000..2_000_000_000).contains(at_ns))
        );
        assert_eq!(intended(3, 64), alone);
        assert_eq!(intended(8, 2), alone);
    }

    #[test]
    fn the_queue_has_room_for_ten_seconds_of_the_highest_rate() {
        let queue_max = |pacer: PacerKind| {
            let arrivals = vec![Arrivals::Open {
                rate_per_s: 2_500.0,
                pacer,
            }];
            let spec = PhaseSpec {
                index: 0,
                draw: 0,
                start_us: 0,
                end_us: Some(1_000_000),
                arrivals,
            };
            Phase::new(&spec, 0, 64, Part { at: 0, ways: 2 }, Seed::new(5)).queue_max
        };
        let ramp = Ramp {
            from_per_s: 0.0,
            to_per_s: 5_000.0,
            over: Duration::from_secs(1),
            spread: Spread::Even,
        };
        assert_eq!(queue_max(PacerKind::Even), 12_500);
        assert_eq!(queue_max(PacerKind::Ramp(ramp)), 25_000);
    }

    #[test]
    fn shares_add_up() {
        for (total, ways) in [(1, 3), (7, 2), (64, 5), (0, 4)] {
            assert_eq!(
                (0..ways).map(|at| Part { at, ways }.of(total)).sum::<usize>(),
                total
            );
        }
    }
}
