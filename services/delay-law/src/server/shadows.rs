//! The requests that the server asks of itself.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Shadow;
use crate::behaviour::Behaviour;
use crate::slots::Slots;

/// How long before its arrival a request is planned, in nanoseconds.
const AHEAD_NS: u64 = 20_000_000;

/// Those that are planned and not yet answered, in nanoseconds since the first request.
#[derive(Debug)]
pub(super) struct Shadows {
    shadow: Shadow,
    planned: u64,
    due: BinaryHeap<Reverse<(u64, u64)>>,
}

impl Shadows {
    pub(super) fn new(shadow: Shadow) -> Self {
        Self {
            shadow,
            planned: 0,
            due: BinaryHeap::new(),
        }
    }

    fn arrival_ns(&self, number: u64) -> u64 {
        (u128::from(number) * 1_000_000_000 / u128::from(self.shadow.rate.max(1))) as u64
    }

    /// Plans those that arrive soon.
    pub(super) fn plan(&mut self, behaviour: &Behaviour, at_ns: u64) {
        while self.planned < self.shadow.count {
            let arrival_ns = self.arrival_ns(self.planned);
            if arrival_ns > at_ns + AHEAD_NS {
                return;
            }
            let plan = behaviour.plan(&mut Slots::new(0), self.planned, arrival_ns, None);
            self.due.push(Reverse((plan.due_ns, arrival_ns)));
            self.planned += 1;
        }
    }

    /// When there is something to do next: a request to answer or some to plan.
    pub(super) fn next_ns(&self) -> Option<u64> {
        let due_ns = self.due_ns();
        let plan_ns = (self.planned < self.shadow.count)
            .then(|| self.arrival_ns(self.planned).saturating_sub(AHEAD_NS / 2));
        due_ns.into_iter().chain(plan_ns).min()
    }

    /// When the next one is due.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((due_ns, _))| *due_ns)
    }

    /// Answers the next one; returns when it arrived.
    pub(super) fn answer(&mut self) -> Option<u64> {
        self.due.pop().map(|Reverse((_, arrival_ns))| arrival_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD_NS, Shadow, Shadows};
    use crate::{Behaviour, Draws, Law, Timetable};

    #[test]
    fn they_come_evenly_and_each_is_answered_once() {
        let behaviour = Behaviour {
            law: Law::Constant {
                delay: std::time::Duration::from_millis(5),
            },
            draws: Draws {
                seed: 0,
                stratified: true,
            },
            timetable: Timetable::default(),
            error_share: 0.0,
            slots: 0,
        };
        let mut shadows = Shadows::new(Shadow {
            rate: 1_000,
            count: 100,
        });
        let mut arrivals = Vec::new();
        let mut at_ns = 0;
        while let Some(next_ns) = {
            shadows.plan(&behaviour, at_ns);
            shadows.next_ns()
        } {
            assert!(next_ns <= at_ns + AHEAD_NS);
            at_ns = at_ns.max(next_ns);
            while shadows.due_ns().is_some_and(|due_ns| due_ns <= at_ns) {
                arrivals.extend(shadows.answer());
            }
        }
        let expected: Vec<u64> = (0..100).map(|number| number * 1_000_000).collect();
        assert_eq!(arrivals, expected);
        assert_eq!(at_ns, 104_000_000);
    }
}
