//! One direction of a flow: decides what happens to each datagram, and keeps those that wait.
//!
//! Pure: it is told the time and hands out datagrams; it knows no socket.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use squall_model::seed::{Seed, unit};

use super::DatagramFaults;
use super::tally::DirectionTally;

/// Datagrams that wait in one direction of a flow; more are dropped.
const WAITING_MAX: usize = 4_096;
/// A datagram that is to come after the next one waits at most so long for it.
const REORDER_NS: u64 = 100_000_000;

/// A stream of random numbers for each fault, so that none changes another's.
struct Draws {
    loss: Xoshiro256PlusPlus,
    duplicate: Xoshiro256PlusPlus,
    reorder: Xoshiro256PlusPlus,
    corrupt: Xoshiro256PlusPlus,
    delay: Xoshiro256PlusPlus,
}

/// One direction of a flow.
pub(super) struct Lane {
    draws: Draws,
    /// By when they are due and the order in which they came.
    waiting: BTreeMap<(u64, u64), Bytes>,
    /// One that goes after the next one, and the time at which it no longer waits for that.
    passed_over: Option<(Bytes, u64)>,
    next: u64,
}

impl Lane {
    pub(super) fn new(seed: Seed) -> Lane {
        Lane {
            draws: Draws {
                loss: seed.child("loss").rng(),
                duplicate: seed.child("duplicate").rng(),
                reorder: seed.child("reorder").rng(),
                corrupt: seed.child("corrupt").rng(),
                delay: seed.child("delay").rng(),
            },
            waiting: BTreeMap::new(),
            passed_over: None,
            next: 0,
        }
    }

    /// Takes a datagram that came. What is to go on at once is due at once.
    pub(super) fn take(
        &mut self,
        datagram: &[u8],
        faults: &DatagramFaults,
        now_ns: u64,
        tally: &DirectionTally,
    ) {
        // Every stream is drawn from for every datagram, so that the choices of one fault depend on no other's share.
        let loses = unit(&mut self.draws.loss) < faults.loss;
        let duplicates = unit(&mut self.draws.duplicate) < faults.duplicate;
        let reorders = unit(&mut self.draws.reorder) < faults.reorder;
        let corrupts = unit(&mut self.draws.corrupt) < faults.corrupt;
        let bit = self.draws.corrupt.next_u64();
        let delay_ns = faults
            .delay
            .map_or(0, |delay| delay.draw_ns(&mut self.draws.delay));
        let count = datagram.len();
        if loses {
            return tally.met(&tally.lost, count, now_ns);
        }
        let mut datagram = datagram.to_vec();
        if corrupts && count > 0 {
            let bit = bit % (count as u64 * 8);
            datagram[(bit / 8) as usize] ^= 1 << (bit % 8);
            tally.met(&tally.corrupted, count, now_ns);
        }
        let datagram = Bytes::from(datagram);
        if delay_ns > 0 {
            tally.met(&tally.delayed, count, now_ns);
        }
        if reorders && self.passed_over.is_none() {
            tally.met(&tally.reordered, count, now_ns);
            self.passed_over = Some((
                datagram,
                now_ns.saturating_add(delay_ns).saturating_add(REORDER_NS),
            ));
            return;
        }
        let due_ns = now_ns.saturating_add(delay_ns);
        self.wait(datagram.clone(), due_ns, tally);
        if duplicates {
            tally.met(&tally.duplicated, count, now_ns);
            self.wait(datagram, due_ns, tally);
        }
        if let Some((before, _)) = self.passed_over.take() {
            self.wait(before, due_ns, tally);
        }
    }

    fn wait(&mut self, datagram: Bytes, due_ns: u64, tally: &DirectionTally) {
        if self.waiting.len() >= WAITING_MAX {
            return tally.overflowed.add(datagram.len());
        }
        self.waiting.insert((due_ns, self.next), datagram);
        self.next += 1;
    }

    /// One that is due.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<Bytes> {
        let waits = self.waiting.first_key_value().map(|((due_ns, _), _)| *due_ns);
        if waits.is_some_and(|due_ns| due_ns <= now_ns) {
            return self.waiting.pop_first().map(|(_, datagram)| datagram);
        }
        self.passed_over
            .take_if(|(_, until_ns)| *until_ns <= now_ns)
            .map(|(datagram, _)| datagram)
    }

    /// When the next one is due.
    pub(super) fn wake_ns(&self) -> Option<u64> {
        let waits = self.waiting.first_key_value().map(|((due_ns, _), _)| *due_ns);
        let passed_over = self.passed_over.as_ref().map(|(_, until_ns)| *until_ns);
        waits.into_iter().chain(passed_over).min()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::toxic::Latency;

    /// What comes out of 1,000 numbered datagrams that come a microsecond apart, each with its time.
    fn through(faults: DatagramFaults) -> (Vec<(Vec<u8>, u64)>, DirectionTally) {
        let (mut lane, tally) = (Lane::new(Seed::new(7)), DirectionTally::default());
        let mut out = Vec::new();
        for number in 0..1_000_u64 {
            lane.take(&number.to_be_bytes(), &faults, number * 1_000, &tally);
            while let Some(datagram) = lane.due(number * 1_000) {
                out.push((datagram.to_vec(), number * 1_000));
            }
        }
        while let Some(at_ns) = lane.wake_ns() {
            let datagram = lane.due(at_ns).expect("it is due");
            out.push((datagram.to_vec(), at_ns));
        }
        (out, tally)
    }

    fn numbers(out: &[(Vec<u8>, u64)]) -> Vec<u64> {
        let number = |bytes: &Vec<u8>| u64::from_be_bytes(bytes.as_slice().try_into().expect("eight bytes"));
        out.iter().map(|(bytes, _)| number(bytes)).collect()
    }

    /// Whether `count` of 1,000 can be a share of a quarter: four standard deviations either way.
    fn is_a_quarter(count: u64) -> bool {
        (195..=305).contains(&count)
    }

    #[test]
    fn without_faults_all_pass_at_once_and_in_order() {
        let (out, _) = through(DatagramFaults::default());
        assert_eq!(numbers(&out), (0..1_000).collect::<Vec<_>>());
        assert!(
            out.iter()
                .enumerate()
                .all(|(at, (_, at_ns))| at as u64 * 1_000 == *at_ns)
        );
    }

    #[test]
    fn loss_drops_a_share() {
        let faults = DatagramFaults {
            loss: 0.25,
            ..DatagramFaults::default()
        };
        let (out, tally) = through(faults);
        let lost = tally.lost.seen().chunks;
        assert!(is_a_quarter(lost), "{lost}");
        assert_eq!(out.len() as u64, 1_000 - lost);
        assert!(numbers(&out).is_sorted());
    }

    #[test]
    fn duplicates_follow_their_originals() {
        let faults = DatagramFaults {
            duplicate: 0.25,
            ..DatagramFaults::default()
        };
        let (out, tally) = through(faults);
        let numbers = numbers(&out);
        let twice = numbers.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64;
        assert_eq!(twice, tally.duplicated.seen().chunks);
        assert!(is_a_quarter(twice) && numbers.is_sorted(), "{twice}");
    }

    #[test]
    fn reordered_ones_come_after_the_next_and_none_is_lost() {
        let faults = DatagramFaults {
            reorder: 0.25,
            ..DatagramFaults::default()
        };
        let (out, tally) = through(faults);
        let mut numbers = numbers(&out);
        let back = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count() as u64;
        let reordered = tally.reordered.seen().chunks;
        // The last has no next one.
        assert!(back == reordered || back + 1 == reordered, "{back} {reordered}");
        assert!(reordered > 100, "{reordered}");
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn corruption_flips_one_bit() {
        let faults = DatagramFaults {
            corrupt: 0.25,
            ..DatagramFaults::default()
        };
        let (out, tally) = through(faults);
        let flipped = |(at, number): (usize, u64)| (at as u64 ^ number).count_ones();
        let flips: Vec<u32> = numbers(&out).into_iter().enumerate().map(flipped).collect();
        assert!(flips.iter().all(|count| *count <= 1));
        let corrupted = flips.iter().filter(|count| **count == 1).count() as u64;
        assert_eq!(corrupted, tally.corrupted.seen().chunks);
        assert!(is_a_quarter(corrupted), "{corrupted}");
    }

    #[test]
    fn jitter_lets_datagrams_overtake_each_other() {
        let delay = Latency {
            latency: Duration::from_micros(50),
            jitter: Duration::from_micros(20),
            ..Latency::default()
        };
        let faults = DatagramFaults {
            delay: Some(delay),
            ..DatagramFaults::default()
        };
        let (out, _) = through(faults);
        assert!(!numbers(&out).is_sorted());
        for (bytes, at_ns) in &out {
            let came_ns = u64::from_be_bytes(bytes.as_slice().try_into().expect("eight bytes")) * 1_000;
            let waited_ns = at_ns - came_ns;
            assert!((30_000..=71_000).contains(&waited_ns), "{waited_ns}");
        }
    }

    #[test]
    fn a_share_changes_no_other_faults_choices() {
        let lost = |duplicate: f64| {
            let faults = DatagramFaults {
                loss: 0.1,
                duplicate,
                ..DatagramFaults::default()
            };
            let mut numbers = numbers(&through(faults).0);
            numbers.dedup();
            numbers
        };
        assert_eq!(lost(0.0), lost(0.5));
    }
}
