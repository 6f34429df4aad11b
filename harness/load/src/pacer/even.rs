//! Arrivals at equal distances: arrival `i` comes at `(i + u) / rate` seconds, with one `u` in 0..1 drawn from the load's
//! seed. Without it several even loads would ask for their requests at the same moments, and each wait for those before it.
//!
//! Each time is computed from the count, never by adding up distances, so the schedule does not drift however long it is.

use squall_model::seed::{Seed, unit};

use super::Pacer;

/// Arrival `i = 0, 1, 2, ...` at `(i + u) / rate`, rounded down to a nanosecond; a phase of `d` seconds has
/// `ceil(rate * d - u)`, which is `rate * d` where that is a whole number.
#[derive(Clone, Debug)]
pub struct Even {
    rate_per_s: f64,
    count: u64,
    shift_ns: u64,
}

impl Even {
    /// `rate_per_s` must have passed [`check_rate`](super::check_rate).
    pub fn new(rate_per_s: f64, seed: Seed) -> Even {
        Even::shifted(rate_per_s, (unit(&mut seed.rng()) * 1e9 / rate_per_s) as u64)
    }

    fn shifted(rate_per_s: f64, shift_ns: u64) -> Even {
        Even {
            rate_per_s,
            count: 0,
            shift_ns,
        }
    }
}

impl Pacer for Even {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        // Whole seconds and the rest apart: a double holds the product of a day's count and 1e9 only to some microseconds.
        let seconds = (self.count as f64 / self.rate_per_s).floor();
        let rest = (self.count as f64 - seconds * self.rate_per_s).max(0.0);
        self.count += 1;
        Some(self.shift_ns + seconds as u64 * 1_000_000_000 + (rest * 1e9 / self.rate_per_s) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate_per_s: f64, count: usize) -> Vec<u64> {
        let mut pacer = Even::shifted(rate_per_s, 0);
        (0..count).map(|_| pacer.next_arrival_ns().unwrap()).collect()
    }

    #[test]
    fn arrivals_stand_at_equal_distances() {
        let table: &[(f64, &[u64])] = &[
            (1.0, &[0, 1_000_000_000, 2_000_000_000]),
            (0.5, &[0, 2_000_000_000, 4_000_000_000]),
            (1_000.0, &[0, 1_000_000, 2_000_000]),
            (3.0, &[0, 333_333_333, 666_666_666, 1_000_000_000, 1_333_333_333]),
            (2_000_000.0, &[0, 500, 1_000, 1_500]),
        ];
        for (rate, expected) in table {
            assert_eq!(arrivals(*rate, expected.len()), *expected, "{rate}/s");
        }
    }

    #[test]
    fn loads_of_one_rate_do_not_ask_at_the_same_moments() {
        let first = |seed: u64| Even::new(10.0, Seed::new(seed)).next_arrival_ns().unwrap();
        let mut firsts: Vec<u64> = (0..100).map(first).collect();
        assert!(
            firsts.iter().all(|ns| *ns < 100_000_000),
            "within one distance: {firsts:?}"
        );
        assert_eq!(first(7), first(7));
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), 100);
    }

    #[test]
    fn a_day_of_arrivals_ends_where_it_should() {
        let mut pacer = Even::shifted(30_000.0, 0);
        pacer.count = 30_000 * 86_400;
        assert_eq!(pacer.next_arrival_ns(), Some(86_400 * 1_000_000_000));
        assert_eq!(pacer.next_arrival_ns(), Some(86_400 * 1_000_000_000 + 33_333));
    }

    #[test]
    fn times_never_go_backwards_at_odd_rates() {
        for rate in [7.3, 999.99, 12_345.678, 3_333_333.3] {
            assert!(arrivals(rate, 50_000).is_sorted(), "{rate}/s");
        }
    }
}
