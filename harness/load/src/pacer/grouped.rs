//! Arrivals that share moments: beyond some rate, a moment of its own for each request costs more than the request.
//!
//! A wake-up of the generator and one of the service are two switches of context, on a virtual machine two exits as well. At 20,000 requests/s
//! they are more than half of what a request costs, taken from the service on the same machine. So a schedule of more than
//! [`APART_PER_S`] asks for its requests in groups: each arrival is moved forward to the last of [`MOMENTS_PER_S`] moments a second before
//! it. What is intended is what is said here, so response times count from it and nothing is hidden; the mean rate, the numbers of the
//! requests and the spread beyond 1 ms stay as they are.

use super::Pacer;

/// Up to this rate each arrival has a moment of its own.
pub const APART_PER_S: f64 = 10_000.0;

/// Moments a second that the arrivals of a higher rate share.
pub const MOMENTS_PER_S: u64 = 1_000;

const MOMENT_NS: u64 = 1_000_000_000 / MOMENTS_PER_S;

/// Arrival `t` at `floor(t / m) m`, with `m` = 1 ms: so a phase of whole milliseconds has the arrivals that it would have without.
pub struct Grouped(Box<dyn Pacer>);

impl Grouped {
    /// Groups `arrivals`.
    pub fn new(arrivals: Box<dyn Pacer>) -> Grouped {
        Grouped(arrivals)
    }
}

impl Pacer for Grouped {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        Some(self.0.next_arrival_ns()? / MOMENT_NS * MOMENT_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PacerKind, build};
    use super::*;
    use squall_model::seed::Seed;
    use std::collections::BTreeSet;

    fn arrivals(kind: &PacerKind, rate_per_s: f64, count: usize) -> Vec<u64> {
        let mut pacer = build(kind, rate_per_s, Seed::new(7)).unwrap();
        (0..count).map(|_| pacer.next_arrival_ns().unwrap()).collect()
    }

    #[test]
    fn each_has_a_moment_of_its_own_up_to_a_rate_and_shares_one_beyond() {
        let moments = |rate_per_s| {
            let all = arrivals(&PacerKind::Even, rate_per_s, rate_per_s as usize);
            all.iter().collect::<BTreeSet<_>>().len()
        };
        assert_eq!(moments(APART_PER_S), APART_PER_S as usize);
        assert_eq!(moments(50_000.0), 1_000);
    }

    #[test]
    fn a_group_comes_less_than_a_moment_before_its_arrivals_and_in_order() {
        for kind in [PacerKind::Even, PacerKind::Poisson] {
            let grouped = arrivals(&kind, 40_000.0, 20_000);
            assert!(grouped.is_sorted());
            // The same seed and rate, ungrouped.
            let mut apart = kind.with(40_000.0, |process| process.pacer(Seed::new(7)));
            for at_ns in grouped {
                let own_ns = apart.next_arrival_ns().unwrap();
                assert!(own_ns - at_ns < MOMENT_NS, "{own_ns} {at_ns}");
            }
        }
    }

    #[test]
    fn bursts_and_traces_are_left_as_they_are() {
        use super::super::Burst;
        let burst = PacerKind::Burst(Burst {
            size: 100.0,
            every: std::time::Duration::from_micros(1_100),
        });
        let times: BTreeSet<u64> = arrivals(&burst, 1.0, 1_000).into_iter().collect();
        assert!(times.iter().all(|at_ns| at_ns % 1_100_000 == 0), "{times:?}");
    }
}
