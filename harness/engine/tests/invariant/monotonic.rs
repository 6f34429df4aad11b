//! `monotonic`: which pairs are ordered, and that every arrival order gives the verdict of a direct comparison of
//! all pairs.

use proptest::prelude::*;
use squall_engine::invariant::{
    EXAMPLES_MAX, Invariant, Monotonic, Outcome, REPORTED_MAX, Settings, Verdict,
};
use squall_model::observation::ObservedBatch;

use super::{Response, batch, settings};

/// Reads responses written as `SENT-RECEIVED=VALUE,VALUE`.
fn outcome(responses: &str) -> Outcome {
    let mut batch = ObservedBatch::new(0);
    for response in responses.split_whitespace() {
        let (times, values) = response.split_once('=').expect("times=values");
        let (sent, received) = times.split_once('-').expect("sent-received");
        for value in values.split(',').filter(|value| !value.is_empty()) {
            batch.push_token(value);
        }
        batch.close_response(sent.parse().expect("a time"), received.parse().expect("a time"));
    }
    let mut checker = Monotonic::new(settings());
    checker.observe(&batch);
    checker.finish()
}

#[test]
fn only_values_that_real_time_orders_are_compared() {
    let table = [
        ("nothing", "", 0, Verdict::Unknown),
        ("no values", "0-1= 2-3=", 0, Verdict::Unknown),
        ("nothing to compare with", "0-1=5", 0, Verdict::Unknown),
        ("greater after", "0-1=5 2-3=6", 0, Verdict::Pass),
        ("smaller after", "0-1=5 2-3=4", 1, Verdict::Fail),
        ("the same after", "0-1=5 2-3=5", 1, Verdict::Fail),
        (
            "overlapping requests have no order",
            "0-5=5 4-6=4",
            0,
            Verdict::Unknown,
        ),
        ("equal times have no order", "0-5=5 5-6=4", 0, Verdict::Unknown),
        ("one microsecond orders", "0-5=5 6-7=4", 1, Verdict::Fail),
        (
            "against the greatest, not the last",
            "0-1=9 0-2=3 3-4=5",
            1,
            Verdict::Fail,
        ),
        (
            "a slow request may be overtaken",
            "3-4=9 0-100=2 101-102=10",
            0,
            Verdict::Pass,
        ),
        (
            "a slow request orders those after it",
            "0-100=9 101-102=8",
            1,
            Verdict::Fail,
        ),
        ("rising in a response", "0-1=1,2,9", 0, Verdict::Pass),
        ("falling in a response", "0-1=1,9,2,3", 1, Verdict::Fail),
        ("equal in a response", "0-1=1,1", 1, Verdict::Fail),
        ("a response is one violation", "0-1=9 2-3=1,2,3", 1, Verdict::Fail),
        ("its least value counts", "0-1=5 2-3=4,9", 1, Verdict::Fail),
        (
            "texts by their bytes",
            "0-1=01B 2-3=01a 4-5=01Z",
            1,
            Verdict::Fail,
        ),
        (
            "texts and integers aren't compared",
            "0-1=zz 2-3=1",
            0,
            Verdict::Unknown,
        ),
        (
            "the ends of the range",
            "0-1=0 2-3=18446744073709551615",
            0,
            Verdict::Pass,
        ),
    ];
    for (name, responses, violations, verdict) in table {
        let found = outcome(responses);
        assert_eq!((found.violations, found.verdict), (violations, verdict), "{name}");
        assert_eq!(found.reason.is_empty(), verdict != Verdict::Unknown, "{name}");
    }
}

#[test]
fn a_violation_names_both_sides_of_the_contradiction() {
    let mut checker = Monotonic::new(settings());
    checker.observe(&batch(0, &[(1_000_000, 1_000_400, &["90", "91"])]));
    checker.observe(&batch(1, &[(1_000_500, 1_000_900, &["80", "79"])]));
    let texts: Vec<String> = checker
        .finish()
        .last
        .into_iter()
        .map(|violation| violation.text)
        .collect();
    assert_eq!(
        texts,
        [
            "79 came at 1.000900 s by orders to a request sent at 1.000500 s, after 91 had come at 1.000400 s by refresh"
        ]
    );
    // Within a response nothing has to be waited for.
    let found = Monotonic::new(settings()).observe(&batch(1, &[(0, 7, &["80", "79"])]));
    assert_eq!(
        found[0].text,
        "79 came after 80 in one response, at 0.000007 s by orders"
    );
    assert_eq!(found[0].at_us, 7);
}

#[test]
fn many_violations_are_all_counted_and_few_are_told() {
    let mut checker = Monotonic::new(settings());
    for at in 0..100_u64 {
        let mut batch = ObservedBatch::new(0);
        for i in 0..1000 {
            batch.push_integer(1_000_000 - at * 1000 - i);
            batch.close_response(at * 100_000 + i * 10, at * 100_000 + i * 10 + 5);
        }
        assert!(checker.observe(&batch).len() <= REPORTED_MAX);
    }
    let outcome = checker.finish();
    assert_eq!((outcome.checked, outcome.violations), (100_000, 99_999));
    assert_eq!(
        (outcome.examples.len(), outcome.last.len()),
        (EXAMPLES_MAX, REPORTED_MAX)
    );
}

#[test]
fn a_response_beyond_a_bound_leaves_doubt_only_where_it_matters() {
    let bounds = Settings {
        reorder_max_us: 100,
        request_max_us: 1_000_000,
        ..settings()
    };
    let run = |responses: &[Response<'_>]| {
        let mut checker = Monotonic::new(bounds.clone());
        for response in responses {
            checker.observe(&batch(0, &[*response]));
        }
        let outcome = checker.finish();
        (outcome.verdict, outcome.reason)
    };
    // The 8 comes when the 7, sent after it, has been judged: the violation is missed, but not passed over.
    let (verdict, reason) = run(&[
        (0, 10, &["5"]),
        (30, 40, &["7"]),
        (500, 600, &["9"]),
        (0, 20, &["8"]),
    ]);
    assert_eq!(verdict, Verdict::Unknown);
    assert!(reason.contains("later than 0.000100 s"), "{reason}");
    // A late 4 could not have contradicted anything.
    let (verdict, reason) = run(&[
        (0, 10, &["5"]),
        (30, 40, &["7"]),
        (500, 600, &["9"]),
        (0, 20, &["4"]),
    ]);
    assert_eq!((verdict, reason.as_str()), (Verdict::Pass, ""));
    // A request that took longer than any may is compared with nothing.
    let (verdict, reason) = run(&[
        (0, 10, &["5"]),
        (20, 30, &["6"]),
        (5_000_000, 5_000_010, &["7"]),
        (25, 9_000_000, &["8"]),
    ]);
    assert_eq!(verdict, Verdict::Unknown);
    assert!(reason.contains("longer ago than is remembered"), "{reason}");
}

/// Sent, received, how late it reaches the checker, values.
type Sample = (u64, u64, u64, Vec<u64>);

/// Values that mostly follow the time, so that some samples hold and some don't.
fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let sample = (
        0..400_u64,
        0..60_u64,
        0..50_u64,
        prop::collection::vec(0..8_u64, 0..4),
        0..100_u64,
    );
    let samples = prop::collection::vec(sample, 0..40);
    (samples, prop_oneof![Just(1_u64), Just(20), Just(100)]).prop_map(|(samples, noise)| {
        samples
            .into_iter()
            .map(|(sent, took, late, steps, noisy)| {
                let mut value = (sent + took / 2) * 100 + noisy * noise;
                let values = steps.into_iter().map(|step| {
                    value += step;
                    value
                });
                (sent, sent + took, late, values.collect())
            })
            .collect()
    })
}

/// The definition, word for word.
fn violations(samples: &[Sample]) -> u64 {
    let within: usize = samples
        .iter()
        .map(|s| s.3.windows(2).filter(|pair| pair[1] <= pair[0]).count())
        .sum();
    let across = samples.iter().filter(|after| {
        samples.iter().any(|before| {
            before.1 < after.0
                && after
                    .3
                    .iter()
                    .any(|value| before.3.iter().any(|earlier| value <= earlier))
        })
    });
    (within + across.count()) as u64
}

fn run(mut samples: Vec<Sample>, settings: Settings) -> Outcome {
    samples.sort_by_key(|(_, received_us, late_us, _)| received_us + late_us);
    let mut checker = Monotonic::new(settings);
    for responses in samples.chunks(3) {
        let mut batch = ObservedBatch::new(0);
        for (sent_us, received_us, _, values) in responses {
            for &value in values {
                batch.push_integer(value);
            }
            batch.close_response(*sent_us, *received_us);
        }
        checker.observe(&batch);
    }
    checker.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_all_pairs_in_any_order_within_the_bound(samples in samples()) {
        let expected = violations(&samples);
        let found = run(samples, Settings { reorder_max_us: 50, request_max_us: 60, ..settings() });
        prop_assert_eq!(found.violations, expected);
        prop_assert_eq!(found.verdict == Verdict::Fail, expected > 0);
        let nothing_ordered = found.checked == 0 || found.reason.contains("has to be greater");
        prop_assert!(found.verdict != Verdict::Unknown || nothing_ordered);
    }

    /// Bounds far too small for the disorder: it may not know, but it makes nothing up and never passes what is
    /// wrong.
    #[test]
    fn beyond_the_bounds_it_neither_passes_nor_accuses_wrongly(samples in samples(), reorder_max_us in 0..20_u64) {
        let expected = violations(&samples);
        let found = run(samples, Settings { reorder_max_us, request_max_us: 0, ..settings() });
        prop_assert!(found.violations <= expected);
        prop_assert!(found.verdict != Verdict::Pass || expected == 0);
    }
}
