//! Arrivals independent of each other: a Poisson process.
//!
//! The distances between arrivals are exponential with mean `1 / rate`, drawn by inversion: `-ln(1 - u) / rate` with `u`
//! uniform in `[0, 1)` (Devroye, Non-Uniform Random Variate Generation, 1986, II.2.1).

use rand_xoshiro::Xoshiro256PlusPlus;
use squall_model::seed::{Seed, unit};

use super::Pacer;

/// Arrival `i` at the sum of the first `i + 1` distances.
#[derive(Clone, Debug)]
pub struct Poisson {
    mean_gap_ns: f64,
    /// Whole nanoseconds, and apart from them the fraction: a sum kept in one double would lose precision with time.
    elapsed_ns: u64,
    fraction_ns: f64,
    rng: Xoshiro256PlusPlus,
}

impl Poisson {
    /// `rate_per_s` must have passed [`check_rate`](super::check_rate).
    pub fn new(rate_per_s: f64, seed: Seed) -> Poisson {
        Poisson {
            mean_gap_ns: 1e9 / rate_per_s,
            elapsed_ns: 0,
            fraction_ns: 0.0,
            rng: seed.rng(),
        }
    }
}

impl Pacer for Poisson {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        self.fraction_ns -= (1.0 - unit(&mut self.rng)).ln() * self.mean_gap_ns;
        let whole_ns = self.fraction_ns as u64;
        self.fraction_ns -= whole_ns as f64;
        self.elapsed_ns += whole_ns;
        Some(self.elapsed_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(rate_per_s: f64, seed: u64, count: usize) -> Vec<u64> {
        let mut pacer = Poisson::new(rate_per_s, Seed::new(seed));
        (0..count).map(|_| pacer.next_arrival_ns().unwrap()).collect()
    }

    #[test]
    fn a_seed_gives_the_same_arrivals_again_and_another_seed_others() {
        assert_eq!(arrivals(1_000.0, 7, 1_000), arrivals(1_000.0, 7, 1_000));
        assert_ne!(arrivals(1_000.0, 7, 1_000), arrivals(1_000.0, 8, 1_000));
    }

    #[test]
    fn distances_have_the_mean_and_variance_of_an_exponential() {
        let times = arrivals(2_000.0, 7, 200_000);
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // Standard errors at 200,000 draws: 0.22 % of the mean, 0.63 % of the variance; four of each.
        assert!((mean / 500_000.0 - 1.0).abs() < 0.009, "mean {mean}");
        assert!(
            (variance / 500_000.0_f64.powi(2) - 1.0).abs() < 0.026,
            "variance {variance}"
        );
    }

    #[test]
    fn counts_per_window_are_as_spread_out_as_their_mean() {
        // Index of dispersion of a Poisson process: 1; of even arrivals: 0.
        let times = arrivals(10_000.0, 11, 200_000);
        let windows = (times.last().unwrap() / 10_000_000) as usize;
        let mut counts = vec![0_f64; windows];
        for time in times {
            if let Some(count) = counts.get_mut((time / 10_000_000) as usize) {
                *count += 1.0;
            }
        }
        let mean = counts.iter().sum::<f64>() / windows as f64;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / windows as f64;
        assert!(
            (variance / mean - 1.0).abs() < 0.15,
            "dispersion {}",
            variance / mean
        );
    }
}
