//! When each request is to be answered, and how: law, draws, timetable and slots together.
//!
//! A request that arrives at a is taken up at `t = moves_at(a)`. Its delay is `d = quantile(draw) + recovery(t)`. It holds a
//! slot from `s >= t` on, and is answered at `moves_at(s + d)`. Times are nanoseconds since the first request's arrival.

use std::time::Duration;

use crate::draws::{Draws, Stream};
use crate::law::Law;
use crate::slots::Slots;
use crate::timetable::{Timetable, nanoseconds};

/// What the server does with requests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// How delays are spread.
    pub law: Law,
    /// What requests draw.
    pub draws: Draws,
    /// When it stands still, is down and recovers.
    pub timetable: Timetable,
    /// The share of requests answered with an error, 0 to 1.
    pub error_share: f64,
    /// How many requests are worked on at once; 0: all.
    pub slots: usize,
}

/// What a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What it asked for.
    Good,
    /// An error, drawn for it.
    Error,
    /// An error, for the outage.
    Refused,
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// When it is to be answered.
    pub due_ns: u64,
    /// What.
    pub answer: Answer,
}

impl Behaviour {
    /// Plans the request `number`, counted from 0, that arrives at `arrival_ns`. `asked` is the delay that the request wants
    /// instead of the law's. Requests are to be planned in the order in which they arrive.
    pub fn plan(&self, slots: &mut Slots, number: u64, arrival_ns: u64, asked: Option<Duration>) -> Plan {
        let taken_ns = self.timetable.moves_at(arrival_ns);
        if self.timetable.refuses(taken_ns) {
            return Plan {
                due_ns: taken_ns,
                answer: Answer::Refused,
            };
        }
        let drawn = || self.law.quantile(self.draws.draw(Stream::Delay, number));
        let delay = asked.unwrap_or_else(drawn) + self.timetable.recovery(taken_ns);
        let delay_ns = nanoseconds(delay);
        let from_ns = slots.take(taken_ns, delay_ns);
        let is_error = self.error_share > 0.0 && self.draws.draw(Stream::Error, number) < self.error_share;
        Plan {
            due_ns: self.timetable.moves_at(from_ns.saturating_add(delay_ns)),
            answer: if is_error { Answer::Error } else { Answer::Good },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Behaviour, Draws, Duration, Law, Slots, Timetable};
    use crate::timetable::{Down, Outage, Periodic};

    const MS: u64 = 1_000_000;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn constant() -> Behaviour {
        Behaviour {
            law: Law::Constant { delay: ms(5) },
            draws: Draws {
                seed: 7,
                stratified: true,
            },
            timetable: Timetable::default(),
            error_share: 0.0,
            slots: 0,
        }
    }

    fn answered_ms(behaviour: &Behaviour, at_ms: u64) -> u64 {
        let plan = behaviour.plan(&mut Slots::new(behaviour.slots), 0, at_ms * MS, None);
        plan.due_ns / MS
    }

    #[test]
    fn a_stall_holds_up_what_arrives_and_what_is_due() {
        let mut behaviour = constant();
        behaviour.timetable.stall = Some(Periodic {
            length: ms(1_000),
            every: ms(5_000),
        });
        let cases = [
            (4_000, 4_005),
            (4_994, 4_999),
            (4_996, 6_000),
            (5_000, 6_005),
            (5_999, 6_005),
            (6_000, 6_005),
        ];
        for (at_ms, expected_ms) in cases {
            assert_eq!(answered_ms(&behaviour, at_ms), expected_ms, "{at_ms}");
        }
    }

    #[test]
    fn an_outage_refuses_at_once_and_recovery_adds_to_the_law() {
        let mut behaviour = constant();
        behaviour.timetable.outage = Some(Outage {
            after: ms(1_000),
            length: ms(500),
            down: Down::Refuses,
            recovery_start: ms(100),
            recovery_constant: ms(200),
        });
        let plan = behaviour.plan(&mut Slots::new(0), 0, 1_200 * MS, None);
        assert_eq!((plan.due_ns, plan.answer), (1_200 * MS, Answer::Refused));
        assert_eq!(answered_ms(&behaviour, 1_500), 1_605);
        assert_eq!(answered_ms(&behaviour, 5_000), 5_005);
    }

    #[test]
    fn a_request_may_ask_for_a_delay_of_its_own() {
        let plan = constant().plan(&mut Slots::new(0), 0, 0, Some(ms(70)));
        assert_eq!(plan.due_ns, 70 * MS);
    }

    #[test]
    fn the_share_of_errors_is_exact_over_a_block() {
        let mut behaviour = constant();
        behaviour.error_share = 1.0 / 64.0;
        let mut slots = Slots::new(0);
        let errors = (0..4_096)
            .filter(|number| behaviour.plan(&mut slots, *number, 0, None).answer == Answer::Error)
            .count();
        assert_eq!(errors, 64);
    }
}
