//! Arrivals at equal distances: arrival `i` comes at `i / rate` seconds.
//!
//! Each time is computed from the count, never by adding up distances, so the schedule does not drift however long it is.

use super::Pacer;

/// Arrival `i = 0, 1, 2, ...` at `i / rate`, rounded down to a nanosecond; a phase of `d` seconds has `ceil(rate * d)`.
#[derive(Clone, Debug)]
pub struct Even {
    rate_per_s: f64,
    count: u64,
}

impl Even {
    /// `rate_per_s` must have passed [`check_rate`](super::check_rate).
    pub fn new(rate_per_s: f64) -> Even {
        Even { rate_per_s, count: 0 }
    }
}

impl Pacer for Even {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        // Whole seconds and the rest apart: a double holds the product of a day's count and 1e9 only to some microseconds.
        let seconds = (self.count as f64 / self.rate_per_s).floor();
        let rest = (self.count as f64 - seconds * self.rate_per_s).max(0.0);
        self.count += 1;
        Some(seconds as u64 * 1_000_000_000 + (rest * 1e9 / self.rate_per_s) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate_per_s: f64, count: usize) -> Vec<u64> {
        let mut pacer = Even::new(rate_per_s);
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
    fn a_day_of_arrivals_ends_where_it_should() {
        let mut pacer = Even::new(30_000.0);
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
