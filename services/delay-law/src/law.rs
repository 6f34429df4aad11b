//! The laws that delays follow, as pure functions: a quantile for each share, and the share below each delay.
//!
//! | law | quantile of q |
//! | --- | --- |
//! | constant | `delay` |
//! | lognormal | `median * exp(sigma * z(q))`, z the standard normal's quantile |
//! | two modes | `first` up to a share of `1 - share`, `second` above |
//!
//! A law knows nothing of time, queues or sockets, and draws nothing: it maps a number to a delay.

use std::time::Duration;

mod normal;

/// The longest delay, which cuts off the tail of a lognormal: an hour.
pub const LONGEST: Duration = Duration::from_hours(1);

/// How delays are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Law {
    /// The same for every request.
    Constant {
        /// The delay.
        delay: Duration,
    },
    /// The logarithm of the delay is normal.
    Lognormal {
        /// Half of the delays are shorter.
        median: Duration,
        /// The standard deviation of the delay's natural logarithm.
        sigma: f64,
    },
    /// One of two delays.
    TwoModes {
        /// The usual one.
        first: Duration,
        /// The other one.
        second: Duration,
        /// The share of requests with the other one, 0 to 1.
        share: f64,
    },
}

impl Law {
    /// The words for the laws.
    pub const WORDS: &[&str] = &["constant", "lognormal", "two-modes"];

    /// The law's own word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Constant { .. } => "constant",
            Self::Lognormal { .. } => "lognormal",
            Self::TwoModes { .. } => "two-modes",
        }
    }

    /// The delay that a share of `q` of all delays does not exceed: the smallest d with `cdf(d) >= q`.
    ///
    /// `q` is a share between 0 and 1; what is outside counts as the nearer end. The result is at most [`LONGEST`].
    pub fn quantile(&self, q: f64) -> Duration {
        let delay = match *self {
            Self::Constant { delay } => delay,
            Self::Lognormal { median, sigma } => {
                let seconds = median.as_secs_f64() * (sigma * normal::quantile(q)).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST)
            }
            Self::TwoModes { first, second, share } => {
                let (short, long, long_share) = if first <= second {
                    (first, second, share)
                } else {
                    (second, first, 1.0 - share)
                };
                if q > 1.0 - long_share { long } else { short }
            }
        };
        delay.min(LONGEST)
    }

    /// The share of delays that do not exceed `delay`.
    pub fn cdf(&self, delay: Duration) -> f64 {
        match *self {
            Self::Constant { delay: only } => share_if(only.min(LONGEST) <= delay),
            _ if delay >= LONGEST => 1.0,
            Self::Lognormal { median, sigma } => {
                if median.is_zero() || sigma == 0.0 {
                    return share_if(median <= delay);
                }
                normal::cdf((delay.as_secs_f64() / median.as_secs_f64()).ln() / sigma)
            }
            Self::TwoModes { first, second, share } => {
                (1.0 - share) * share_if(first <= delay) + share * share_if(second <= delay)
            }
        }
    }
}

fn share_if(all: bool) -> f64 {
    if all { 1.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Duration, LONGEST, Law};

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn quantiles_are_those_of_the_formula() {
        let constant = Law::Constant { delay: us(5_000) };
        let lognormal = Law::Lognormal {
            median: us(5_000),
            sigma: 0.5,
        };
        let two = Law::TwoModes {
            first: us(2_000),
            second: us(20_000),
            share: 0.05,
        };
        // z(0.99) = 2.326348, z(0.9999) = 3.719016: Abramowitz and Stegun, table 26.1.
        let table = [
            (constant, 0.5, 5_000),
            (constant, 0.9999, 5_000),
            (lognormal, 0.5, 5_000),
            (lognormal, 0.99, 16_000),
            (lognormal, 0.9999, 32_103),
            (two, 0.5, 2_000),
            (two, 0.95, 2_000),
            (two, 0.951, 20_000),
            (two, 0.9999, 20_000),
        ];
        for (law, q, expected_us) in table {
            let found = law.quantile(q).as_secs_f64() * 1e6;
            assert!(
                (found - f64::from(expected_us)).abs() < 1.0,
                "{law:?} {q}: {found}"
            );
        }
    }

    #[test]
    fn the_second_mode_may_be_the_shorter_one() {
        let law = Law::TwoModes {
            first: us(20_000),
            second: us(2_000),
            share: 0.25,
        };
        assert_eq!((law.quantile(0.2), law.quantile(0.3)), (us(2_000), us(20_000)));
        assert!((law.cdf(us(2_000)) - 0.25).abs() < 1e-12);
    }

    fn any_law() -> impl Strategy<Value = Law> {
        let delay = (0..10_000_000_u64).prop_map(Duration::from_micros);
        prop_oneof![
            delay.clone().prop_map(|delay| Law::Constant { delay }),
            (delay.clone(), 0.0..3.0).prop_map(|(median, sigma)| Law::Lognormal { median, sigma }),
            (delay.clone(), delay, 0.0..=1.0).prop_map(|(first, second, share)| Law::TwoModes {
                first,
                second,
                share
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_quantile_never_falls_with_its_share(law in any_law(), a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            prop_assert!(law.quantile(a.min(b)) <= law.quantile(a.max(b)));
            prop_assert!(law.quantile(b) <= LONGEST);
        }

        #[test]
        fn at_least_a_share_of_q_is_below_the_quantile_of_q(law in any_law(), q in 1e-6..0.999_999_f64) {
            // The quantile is cut to whole nanoseconds, which matters where the law is steep: look one further.
            let quantile = law.quantile(q);
            prop_assert!(law.cdf(quantile + Duration::from_nanos(1)) >= q - 1e-9, "{law:?}");
        }

        #[test]
        fn a_lognormal_quantile_inverts_its_cdf(median_us in 1_000..100_000_u64, sigma in 0.05..1.5, q in 1e-5..0.99999_f64) {
            let law = Law::Lognormal { median: us(median_us), sigma };
            prop_assert!((law.cdf(law.quantile(q)) - q).abs() < 1e-4);
        }

        #[test]
        fn any_share_at_all_gives_a_delay(law in any_law(), q in proptest::num::f64::ANY) {
            prop_assert!(law.quantile(q) <= LONGEST);
        }
    }
}
