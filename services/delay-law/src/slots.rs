//! A queue, first come first served, in front of a number of slots that a request holds for its delay.
//!
//! When each slot comes free is all that has to be known, so the queue is arithmetic and nobody waits in it. With one slot,
//! a constant delay D and Poisson arrivals at a rate r it is M/D/1: with load p = r D < 1, the mean wait is
//! p D / (2 (1 - p)) (Pollaczek and Khinchine).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When each slot comes free.
#[derive(Debug, Clone)]
pub struct Slots {
    free_ns: BinaryHeap<Reverse<u64>>,
}

impl Slots {
    /// `count` slots, all free; 0: as many as there are requests.
    pub fn new(count: usize) -> Self {
        Self {
            free_ns: std::iter::repeat_n(Reverse(0), count).collect(),
        }
    }

    /// Takes the slot that comes free first for `delay_ns`, by a request that is there from `at_ns` on; returns from when.
    pub fn take(&mut self, at_ns: u64, delay_ns: u64) -> u64 {
        let Some(mut first) = self.free_ns.peek_mut() else {
            return at_ns;
        };
        let from_ns = first.0.max(at_ns);
        *first = Reverse(from_ns.saturating_add(delay_ns));
        from_ns
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Slots;

    #[test]
    fn a_request_waits_for_the_slot_that_is_free_first() {
        let mut two = Slots::new(2);
        let starts: Vec<u64> = [0, 1, 2, 3, 40].iter().map(|at| two.take(*at, 10)).collect();
        assert_eq!(starts, [0, 1, 10, 11, 40]);
    }

    #[test]
    fn without_slots_nobody_waits() {
        let mut none = Slots::new(0);
        assert!((0..100).all(|at| none.take(at, 1_000) == at));
    }

    #[test]
    fn the_mean_wait_is_that_of_theory() {
        // M/D/1 at a load of 0.5: half a delay.
        let draws = crate::Draws {
            seed: 7,
            stratified: false,
        };
        let (mut slot, mut at, mut waited, n) = (Slots::new(1), 0.0_f64, 0.0, 400_000);
        for number in 0..n {
            at += -2_000.0 * draws.draw(crate::draws::Stream::Delay, number).ln();
            waited += slot.take(at as u64, 1_000) as f64 - at.floor();
        }
        let mean = waited / n as f64;
        assert!((mean - 500.0).abs() < 20.0, "{mean}");
    }

    proptest! {
        #[test]
        fn never_more_at_once_than_there_are_slots(
            count in 1..5_usize, gaps in proptest::collection::vec((0..20_u64, 0..50_u64), 1..100),
        ) {
            let mut slots = Slots::new(count);
            let (mut at, mut held) = (0, Vec::new());
            for (gap, delay) in gaps {
                at += gap;
                let from = slots.take(at, delay);
                prop_assert!(from >= at);
                held.push((from, from + delay));
            }
            for (from, _) in &held {
                let together = held.iter().filter(|(start, end)| start <= from && from < end).count();
                prop_assert!(together <= count);
            }
        }
    }
}
