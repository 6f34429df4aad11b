//! Whether the numbers of a phase can be trusted: the generator is judged before the service is.
//!
//! A closed loop has no schedule, so there is nothing to judge. Requests dropped because the service held all
//! connections are the service's doing and spoil no number.

use squall_load::oneshot::Totals;
use squall_model::histogram::Histogram;
use squall_model::record::LoadMode;
use squall_model::units::human;

/// The schedule lag that is always tolerated, microseconds.
const LAG_US: u64 = 1_000;

/// The share of the response P99 that the lag's P99 may have.
const LAG_SHARE: f64 = 0.10;

/// The share of intended requests that the generator may leave unsent.
const UNSENT_SHARE: f64 = 0.05;

/// Why the numbers of `load` in a phase can't be trusted; nothing where they can.
pub fn doubts(load: &str, mode: LoadMode, totals: &Totals) -> Vec<String> {
    let mut doubts = Vec::new();
    if mode != LoadMode::Open || totals.intended == 0 {
        return doubts;
    }
    let lag = high(&totals.lag);
    let limit = LAG_US.max((high(&totals.response) as f64 * LAG_SHARE) as u64);
    if lag > limit {
        doubts.push(format!(
            "the generator fell behind its schedule for {load}: P99 of the lag is {}, over the limit of {}; \
             lower the rate or give it more cores",
            human::microseconds(lag as f64),
            human::microseconds(limit as f64)
        ));
    }
    let unsent = totals.unsent_by_generator as f64 / totals.intended as f64;
    if unsent > UNSENT_SHARE {
        doubts.push(format!(
            "the generator left {} of the requests of {load} unsent ({} of {}); lower the rate or give it more cores",
            human::ratio(unsent),
            totals.unsent_by_generator,
            totals.intended
        ));
    }
    doubts
}

/// The P99, also of few samples: a guard must not fall silent for lack of them.
fn high(histogram: &Histogram) -> u64 {
    if histogram.is_empty() {
        0
    } else {
        histogram.value_at_quantile(0.99)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(lag_us: u64, response_us: u64, unsent: u64) -> Totals {
        let mut totals = Totals::default();
        totals.lag.record_n(lag_us, 1_000).unwrap();
        totals.response.record_n(response_us, 1_000).unwrap();
        totals.intended = 1_000 + unsent;
        totals.unsent_by_generator = unsent;
        totals
    }

    #[test]
    fn the_generator_is_held_to_its_schedule() {
        // (lag, response, unsent, doubts): the limit is the larger of 1 ms and a tenth of the response.
        let table = [
            (900, 1_000, 0, 0),
            (1_200, 1_000, 0, 1),
            (1_200, 20_000, 0, 0),
            (2_500, 20_000, 0, 1),
            (100, 1_000, 40, 0),
            (100, 1_000, 60, 1),
            (5_000, 1_000, 900, 2),
        ];
        for (lag, response, unsent, expected) in table {
            let found = doubts("a", LoadMode::Open, &totals(lag, response, unsent));
            assert_eq!(
                found.len(),
                expected,
                "lag {lag}, response {response}, unsent {unsent}: {found:?}"
            );
        }
    }

    #[test]
    fn a_closed_loop_has_no_schedule_to_judge() {
        assert!(doubts("a", LoadMode::Closed, &totals(1_000_000, 1, 1_000)).is_empty());
    }
}
