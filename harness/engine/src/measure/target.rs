//! Whether a load sent as many requests as were asked for, and if not, why.
//!
//! This spoils no number: what the service held up is the service's doing, and what a schedule draws at random is as it was
//! meant. The generator's own slowness is judged in [`validity`](super::validity).

use std::time::Duration;

use squall_load::Arrivals;
use squall_load::oneshot::Totals;
use squall_model::units::human;

/// The share of the requests by which a load may miss its target without a word; one request it may miss always.
const SHARE: f64 = 0.001;

/// Why `totals`, what came of `arrivals` over `length`, miss the target rate; nothing where they meet it, or there is none.
/// `complete` if the phase was not cut short.
pub fn missed(arrivals: &Arrivals, length: Duration, complete: bool, totals: &Totals) -> Option<String> {
    let Arrivals::Open { rate_per_s, pacer } = arrivals else {
        return None;
    };
    let asked = pacer.count_within(*rate_per_s, length);
    let short = asked - totals.sent as f64;
    if short.abs() <= (asked * SHARE).max(1.0) {
        return None;
    }
    let drawn = totals.intended as f64 - asked;
    let many = |count: u64| format!("{count} request{}", if count == 1 { "" } else { "s" });
    let mut reasons = Vec::new();
    if totals.dropped > 0 {
        let dropped = many(totals.dropped);
        reasons.push(format!(
            "{dropped} dropped, since no connection came free for them"
        ));
    }
    if totals.unsent_by_generator > 0 {
        let unsent = many(totals.unsent_by_generator);
        reasons.push(format!("the generator was too slow for {unsent}"));
    }
    let ended = totals.sent + totals.dropped + totals.unsent_by_generator;
    if totals.intended > ended {
        reasons.push(format!(
            "{} still waited when it was counted",
            many(totals.intended - ended)
        ));
    }
    if drawn.abs() > 1.0 {
        let by = many(drawn.abs().round() as u64);
        let way = if drawn > 0.0 { "more" } else { "fewer" };
        reasons.push(if pacer.is_random() {
            format!("its arrivals are random, and {by} {way} were drawn than come on average")
        } else if complete {
            format!("its schedule has {by} {way} than the rate asks for; the generator's count is not whole")
        } else {
            format!("the phase was cut short, and {by} {way} had come due by then")
        });
    }
    Some(format!(
        "sent {} of {asked:.0} requests, {}: {}",
        totals.sent,
        human::ratio(totals.sent as f64 / asked),
        reasons.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use squall_load::pacer::{Ramp, Spread};
    use squall_load::{PacerKind, Think};

    fn open(pacer: PacerKind) -> Arrivals {
        Arrivals::Open {
            rate_per_s: 1_000.0,
            pacer,
        }
    }

    /// Totals with so many sent, dropped and unsent.
    fn totals(sent: u64, dropped: u64, unsent_by_generator: u64) -> Totals {
        Totals {
            intended: sent + dropped + unsent_by_generator,
            sent,
            dropped,
            unsent_by_generator,
            ..Totals::default()
        }
    }

    const SECONDS: Duration = Duration::from_secs(10);

    #[test]
    fn a_target_is_met_within_a_thousandth() {
        let even = open(PacerKind::Even);
        for sent in [9_990, 10_000, 10_010] {
            let totals = totals(sent, 10_000_u64.saturating_sub(sent), 0);
            assert_eq!(missed(&even, SECONDS, true, &totals), None, "{sent}");
        }
        // One more or less is no miss, however few there are.
        let few = Duration::from_millis(5);
        assert_eq!(missed(&even, few, true, &totals(4, 1, 0)), None);
        assert!(missed(&even, few, true, &totals(3, 2, 0)).is_some());
    }

    #[test]
    fn a_rate_that_changes_is_held_to_its_own_count() {
        let ramp = open(PacerKind::Ramp(Ramp {
            from_per_s: 0.0,
            to_per_s: 2_000.0,
            over: SECONDS,
            spread: Spread::Even,
        }));
        assert_eq!(missed(&ramp, SECONDS, true, &totals(10_000, 0, 0)), None);
        // Cut in the middle it had a quarter.
        assert_eq!(missed(&ramp, SECONDS / 2, false, &totals(2_500, 0, 0)), None);
        assert!(missed(&ramp, SECONDS, true, &totals(9_900, 100, 0)).is_some());
    }

    #[test]
    fn each_miss_says_why() {
        let (even, poisson) = (open(PacerKind::Even), open(PacerKind::Poisson));
        let table = [
            (
                missed(&even, SECONDS, true, &totals(9_900, 90, 10)),
                "sent 9900 of 10000 requests, 99.0 %: 90 requests dropped, since no connection came free for them; \
                 the generator was too slow for 10 requests",
            ),
            (
                missed(&poisson, SECONDS, true, &totals(10_083, 0, 0)),
                "sent 10083 of 10000 requests, 101 %: its arrivals are random, and 83 requests more were drawn than come \
                 on average",
            ),
            (
                missed(&even, SECONDS, false, &totals(9_000, 0, 0)),
                "sent 9000 of 10000 requests, 90.0 %: the phase was cut short, and 1000 requests fewer had come due by then",
            ),
            (
                missed(&even, SECONDS, true, &totals(9_000, 0, 0)),
                "sent 9000 of 10000 requests, 90.0 %: its schedule has 1000 requests fewer than the rate asks for; \
                 the generator's count is not whole",
            ),
        ];
        for (found, expected) in table {
            assert_eq!(found.as_deref(), Some(expected));
        }
    }

    #[test]
    fn no_miss_is_without_a_reason() {
        let even = open(PacerKind::Even);
        let waiting = Totals {
            intended: 10_000,
            sent: 9_000,
            ..Totals::default()
        };
        let found = missed(&even, SECONDS, false, &waiting).unwrap();
        assert!(
            found.ends_with(": 1000 requests still waited when it was counted"),
            "{found}"
        );
    }

    #[test]
    fn a_closed_loop_and_a_load_that_rests_have_no_target() {
        let closed = Arrivals::Closed {
            users: 5,
            think: Think::NONE,
        };
        assert_eq!(missed(&closed, SECONDS, true, &totals(7, 0, 0)), None);
        assert_eq!(missed(&Arrivals::None, SECONDS, true, &totals(0, 0, 0)), None);
    }
}
