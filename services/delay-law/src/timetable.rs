//! When the server stands still, when it is down, and how it recovers: pure functions of the time since the first request.
//!
//! - A **stall** or a **pause** of a length, every so often, covers `[k * every, k * every + length)` for k = 1, 2, ...
//! - The **outage** covers `[after, after + length)` once. It refuses, or stands still.
//! - **Recovery**: t after the end of the outage a delay is longer by `start * exp(-t / constant)`. So the excess falls to x
//!   after `constant * ln(start / x)`.
//!
//! While the server stands still nothing is read and nothing answered. What arrives then is taken up at the end, and what
//! falls due then is answered at the end.

use std::time::Duration;

/// Where windows overlap so that one leads into the next, the most that are followed.
const CHAIN_MAX: usize = 1_000;

/// A window that comes again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Periodic {
    /// How long it is; less than `every`.
    pub length: Duration,
    /// From the beginning of one to that of the next.
    pub every: Duration,
}

/// What the server does while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Down {
    /// It answers with an error at once.
    Refuses,
    /// It neither reads nor answers.
    StandsStill,
}

impl Down {
    /// The words for them.
    pub const WORDS: &[&str] = &["refuse", "stall"];
}

/// One outage and the recovery from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    /// When it begins.
    pub after: Duration,
    /// How long it is.
    pub length: Duration,
    /// What the server does meanwhile.
    pub down: Down,
    /// By how much delays are longer at its end.
    pub recovery_start: Duration,
    /// The time in which that excess falls to 1/e.
    pub recovery_constant: Duration,
}

/// Why the server stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A stall.
    Stall,
    /// A planted pause.
    Pause,
    /// The outage.
    Outage,
}

/// A time in which the server stands still, in nanoseconds since the first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halt {
    /// Why.
    pub cause: Cause,
    /// From when on.
    pub start_ns: u64,
    /// Until when.
    pub end_ns: u64,
}

/// All of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timetable {
    /// Stalls.
    pub stall: Option<Periodic>,
    /// Planted pauses.
    pub pause: Option<Periodic>,
    /// The outage.
    pub outage: Option<Outage>,
}

impl Periodic {
    /// The first window that ends after `at_ns`.
    fn next(self, cause: Cause, at_ns: u64) -> Halt {
        let (length_ns, every_ns) = (nanoseconds(self.length), nanoseconds(self.every).max(1));
        let current = (at_ns / every_ns).max(1);
        let start_ns = current.saturating_mul(every_ns);
        let start_ns = if start_ns.saturating_add(length_ns) > at_ns {
            start_ns
        } else {
            start_ns.saturating_add(every_ns)
        };
        Halt {
            cause,
            start_ns,
            end_ns: start_ns.saturating_add(length_ns),
        }
    }

    /// The share of all time that it covers.
    pub fn share(self) -> f64 {
        self.length.as_secs_f64() / self.every.as_secs_f64()
    }
}

impl Outage {
    fn window(self) -> (u64, u64) {
        let start_ns = nanoseconds(self.after);
        (start_ns, start_ns.saturating_add(nanoseconds(self.length)))
    }
}

impl Timetable {
    /// The first halt that ends after `at_ns`, if there is one; the one that began first where several do.
    pub fn next_halt(&self, at_ns: u64) -> Option<Halt> {
        let stall = self.stall.map(|stall| stall.next(Cause::Stall, at_ns));
        let pause = self.pause.map(|pause| pause.next(Cause::Pause, at_ns));
        let outage = self.outage.filter(|outage| outage.down == Down::StandsStill);
        let outage = outage.map(Outage::window).filter(|(_, end_ns)| *end_ns > at_ns);
        let outage = outage.map(|(start_ns, end_ns)| Halt {
            cause: Cause::Outage,
            start_ns,
            end_ns,
        });
        [stall, pause, outage]
            .into_iter()
            .flatten()
            .filter(|halt| halt.end_ns > halt.start_ns)
            .min_by_key(|halt| halt.start_ns)
    }

    /// The first moment from `at_ns` on at which the server does not stand still.
    pub fn moves_at(&self, at_ns: u64) -> u64 {
        let mut at_ns = at_ns;
        for _ in 0..CHAIN_MAX {
            match self.next_halt(at_ns) {
                Some(halt) if halt.start_ns <= at_ns => at_ns = halt.end_ns,
                _ => break,
            }
        }
        at_ns
    }

    /// Whether a request taken up at `at_ns` is refused.
    pub fn refuses(&self, at_ns: u64) -> bool {
        let outage = self.outage.filter(|outage| outage.down == Down::Refuses);
        outage.is_some_and(|outage| {
            let (start_ns, end_ns) = outage.window();
            (start_ns..end_ns).contains(&at_ns)
        })
    }

    /// By how much the delay of a request taken up at `at_ns` is longer than its law says.
    pub fn recovery(&self, at_ns: u64) -> Duration {
        let Some(outage) = self.outage else {
            return Duration::ZERO;
        };
        let (_, end_ns) = outage.window();
        let Some(since_ns) = at_ns.checked_sub(end_ns) else {
            return Duration::ZERO;
        };
        let constants = since_ns as f64 / nanoseconds(outage.recovery_constant).max(1) as f64;
        outage.recovery_start.mul_f64((-constants).exp())
    }
}

/// A duration in nanoseconds, 584 years at most.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Cause, Down, Duration, Outage, Periodic, Timetable};

    const MS: u64 = 1_000_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn periodic(length_ms: u64, every_ms: u64) -> Periodic {
        Periodic {
            length: ms(length_ms),
            every: ms(every_ms),
        }
    }

    fn outage(down: Down) -> Timetable {
        Timetable {
            outage: Some(Outage {
                after: ms(1_000),
                length: ms(500),
                down,
                recovery_start: ms(200),
                recovery_constant: ms(300),
            }),
            ..Timetable::default()
        }
    }

    #[test]
    fn stalls_come_every_so_often_and_not_at_once() {
        let table = Timetable {
            stall: Some(periodic(1_000, 5_000)),
            ..Timetable::default()
        };
        let cases = [
            (0, 0),
            (500, 500),
            (4_999, 4_999),
            (5_000, 6_000),
            (5_999, 6_000),
            (6_000, 6_000),
            (10_400, 11_000),
        ];
        for (at_ms, moves_ms) in cases {
            assert_eq!(table.moves_at(at_ms * MS), moves_ms * MS, "{at_ms}");
        }
    }

    #[test]
    fn windows_that_meet_are_one() {
        let table = Timetable {
            stall: Some(periodic(100, 1_000)),
            pause: Some(periodic(30, 90)),
            ..Timetable::default()
        };
        // 990..1020 is a pause, 1000..1100 a stall, 1080..1110 a pause.
        assert_eq!(table.moves_at(995 * MS), 1_110 * MS);
        let halt = table.next_halt(1_000 * MS).unwrap();
        assert_eq!((halt.cause, halt.start_ns), (Cause::Pause, 990 * MS));
    }

    #[test]
    fn an_outage_refuses_or_stands_still_and_then_decays() {
        let table = outage(Down::Refuses);
        assert_eq!(
            [999, 1_000, 1_499, 1_500].map(|at_ms| table.refuses(at_ms * MS)),
            [false, true, true, false]
        );
        assert_eq!(table.moves_at(1_200 * MS), 1_200 * MS);
        assert_eq!(table.recovery(1_499 * MS), Duration::ZERO);
        assert_eq!(table.recovery(1_500 * MS), ms(200));
        let later = table.recovery(1_800 * MS).as_secs_f64();
        assert!((later - 0.2 / std::f64::consts::E).abs() < 1e-6, "{later}");

        let still = outage(Down::StandsStill);
        assert!(!still.refuses(1_200 * MS));
        assert_eq!(still.moves_at(1_200 * MS), 1_500 * MS);
    }

    #[test]
    fn the_excess_is_down_to_x_after_constant_times_ln_of_start_over_x() {
        let table = outage(Down::Refuses);
        let seconds = 0.3 * (0.2_f64 / 0.01).ln();
        let at_ns = 1_500 * MS + (seconds * 1e9) as u64;
        assert!((table.recovery(at_ns).as_secs_f64() - 0.01).abs() < 1e-8);
    }

    proptest! {
        #[test]
        fn what_moves_is_in_no_halt_and_nothing_is_early(
            stall_ms in 1..400_u64, pause_ms in 1..100_u64, pause_every_ms in 300..2_000_u64, at_ns in 0..100_000 * MS,
        ) {
            let table = Timetable {
                stall: Some(periodic(stall_ms, 1_000)),
                pause: Some(periodic(pause_ms, pause_every_ms)),
                outage: outage(Down::StandsStill).outage,
            };
            let moves_ns = table.moves_at(at_ns);
            prop_assert!(moves_ns >= at_ns);
            prop_assert!(table.next_halt(moves_ns).unwrap().start_ns > moves_ns);
            prop_assert_eq!(table.moves_at(moves_ns), moves_ns);
        }

        #[test]
        fn any_moment_at_all_has_an_answer(length_ns: u64, every_ns: u64, at_ns: u64) {
            let length = Duration::from_nanos(length_ns);
            let table = Timetable {
                stall: Some(Periodic { length, every: Duration::from_nanos(every_ns) }),
                ..outage(Down::StandsStill)
            };
            prop_assert!(table.moves_at(at_ns) >= at_ns);
            prop_assert!(table.recovery(at_ns) <= ms(200));
        }
    }
}
