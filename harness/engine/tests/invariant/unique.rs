//! `unique`: what counts as a repeat, what is said of it, and that none is missed or made up.

use std::collections::HashSet;

use proptest::prelude::*;
use squall_engine::invariant::{EXAMPLES_MAX, Invariant, Outcome, REPORTED_MAX, Settings, Unique, Verdict};
use squall_model::observation::ObservedBatch;

use super::{Response, batch, settings};

fn outcome(batches: &[ObservedBatch]) -> Outcome {
    let mut checker = Unique::new(settings());
    for batch in batches {
        checker.observe(batch);
    }
    checker.finish()
}

#[test]
fn repeats_are_counted_per_extra_sighting() {
    let table: &[(&str, &[&[&str]], u64, Verdict)] = &[
        ("nothing", &[], 0, Verdict::Unknown),
        ("responses without values", &[&[], &[]], 0, Verdict::Unknown),
        ("one value", &[&["1"]], 0, Verdict::Unknown),
        ("distinct", &[&["1", "2"], &["3"]], 0, Verdict::Pass),
        ("twice in one response", &[&["1", "1"]], 1, Verdict::Fail),
        ("twice in two responses", &[&["1"], &["2", "1"]], 1, Verdict::Fail),
        ("four times", &[&["1", "1"], &["1"], &["1"]], 3, Verdict::Fail),
        ("texts", &[&["a", "b"], &["a", "b", "c"]], 2, Verdict::Fail),
        (
            "a number as a string is that number",
            &[&["7"], &["7"]],
            1,
            Verdict::Fail,
        ),
        (
            "two spellings are two values",
            &[&["7", "07", "7.0", "+7"]],
            0,
            Verdict::Pass,
        ),
        (
            "the ends of the range",
            &[&["0", "18446744073709551615"], &["0", "18446744073709551615"]],
            2,
            Verdict::Fail,
        ),
        (
            "beyond the range",
            &[&["18446744073709551616", "18446744073709551617"]],
            0,
            Verdict::Pass,
        ),
        ("empty texts repeat too", &[&["", ""]], 1, Verdict::Fail),
    ];
    // Close together, and so far apart that each response falls in a window of its own.
    for gap_us in [10, 10_000_000] {
        for (name, responses, violations, verdict) in table {
            let responses: Vec<Response<'_>> = (1..)
                .zip(*responses)
                .map(|(at, values): (u64, _)| (at * gap_us, at * gap_us + 5, *values))
                .collect();
            let found = outcome(&[batch(0, &responses)]);
            let expected = (
                responses.iter().map(|r| r.2.len() as u64).sum(),
                *violations,
                *verdict,
            );
            assert_eq!(
                (found.checked, found.violations, found.verdict),
                expected,
                "{name}, gap {gap_us}"
            );
            assert_eq!(found.reason.is_empty(), *verdict != Verdict::Unknown, "{name}");
        }
    }
}

#[test]
fn a_violation_says_what_was_seen_when_and_by_which_load() {
    let mut checker = Unique::new(settings());
    let first = [
        (12_000_000, 12_100_000, ["41", "42"].as_slice()),
        (12_200_000, 12_300_000, &["x", "y"]),
    ];
    assert_eq!(checker.observe(&batch(0, &first)), []);
    // Far enough ahead to end the first window; repeats inside this one are found when it ends.
    let second = [
        (14_000_000, 14_201_000, ["7", "42", "8"].as_slice()),
        (14_000_000, 14_202_000, &["7"]),
        (14_000_000, 14_203_000, &["y"]),
    ];
    assert_eq!(checker.observe(&batch(1, &second)), []);
    let mut found = checker.observe(&batch(9, &[(20_000_000, 20_000_001, &["9", "z"])]));
    found.extend(checker.finish().last);
    let texts: Vec<&str> = found.iter().map(|violation| violation.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "42 was seen at 12.100000 s by refresh, and again at 14.201000 s by orders (value 2 of 3)",
            "7 was seen at 14.201000 s by orders (value 1 of 3), and again at 14.202000 s by orders",
            "\"y\" was seen at 12.300000 s by refresh, and again at 14.203000 s by orders",
        ]
    );
    assert_eq!(
        found.iter().map(|violation| violation.at_us).collect::<Vec<_>>(),
        [14_201_000, 14_202_000, 14_203_000]
    );
}

#[test]
fn an_earlier_sighting_is_told_by_its_window_even_after_runs_have_merged() {
    let mut checker = Unique::new(settings());
    let second = |at: u64, value: u64| {
        let mut both = ObservedBatch::new(0);
        both.push_integer(value);
        both.close_response(0, at * 1_000_000);
        both.load = (at % 2) as u16;
        both.push_integer(value + 1_000_000);
        both.close_response(0, at * 1_000_000 + 70_000);
        both
    };
    for at in 0..300 {
        assert_eq!(checker.observe(&second(at, at)), []);
    }
    checker.observe(&second(400, 123));
    let outcome = checker.finish();
    assert_eq!(
        outcome.examples,
        [
            "123 was seen between 123.000000 s and 123.070000 s by orders, and again at 400.000000 s by refresh",
            "1000123 was seen between 123.000000 s and 123.070000 s by orders, and again at 400.070000 s by refresh",
        ]
    );
}

#[test]
fn a_repeat_is_reported_once_its_window_is_over() {
    let mut checker = Unique::new(settings());
    checker.observe(&batch(0, &[(0, 1_000, &["5"]), (0, 2_000, &["5"])]));
    assert_eq!(checker.observe(&batch(0, &[(0, 150_000, &["6"])])), []);
    let found = checker.observe(&batch(0, &[(0, 201_001, &["7"])]));
    assert_eq!(found.len(), 1, "200 ms of data must be enough");
    let outcome = checker.finish();
    assert_eq!(
        (outcome.violations, outcome.last.len(), outcome.examples.len()),
        (1, 0, 1)
    );
    assert_eq!(checker.finish(), outcome, "asking again changes nothing");
}

/// A service that issues one value for ever: every count is exact, what is spelled out is bounded.
#[test]
fn many_violations_are_all_counted_and_few_are_told() {
    let mut checker = Unique::new(settings());
    let mut told = 0;
    for at in 0..50_u64 {
        let mut batch = ObservedBatch::new(0);
        (0..2_000).for_each(|value| batch.push_integer(value));
        batch.close_response(at * 300_000, at * 300_000 + 100);
        let found = checker.observe(&batch);
        assert!(found.len() <= REPORTED_MAX);
        told += found.len();
    }
    let outcome = checker.finish();
    assert_eq!((outcome.checked, outcome.violations), (100_000, 98_000));
    assert_eq!(outcome.examples.len(), EXAMPLES_MAX);
    assert!(told > 100, "each window has room of its own");
}

#[test]
fn repeats_are_found_at_any_distance() {
    const VALUES: u64 = 3_000_000;
    let dense: fn(u64) -> u64 = |i| ((i / 4000) << 22) | (i % 4000);
    let random: fn(u64) -> u64 = |i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let distances = [1, 2, 127, 128, 129, 999, 65_536, 1_000_000, 1 << 20, 2_500_000];
    for (name, value) in [("dense", dense), ("random", random)] {
        let mut checker = Unique::new(settings());
        let mut batch = ObservedBatch::new(0);
        for i in 0..VALUES {
            // Places far apart, so that no repeat is repeated itself.
            let distance = (2_600_000..)
                .step_by(3_001)
                .zip(distances)
                .find(|(place, _)| *place == i);
            batch.push_integer(value(i - distance.map_or(0, |(_, distance)| distance)));
            if i % 100 == 99 {
                batch.close_response(i / 8, i / 4);
            }
            if batch.is_full() {
                checker.observe(&batch);
                batch.clear();
            }
        }
        checker.observe(&batch);
        let outcome = checker.finish();
        assert_eq!(
            outcome.violations,
            distances.len() as u64,
            "{name}: {:#?}",
            outcome.examples
        );
    }
}

#[test]
fn past_its_memory_it_still_finds_what_it_can_but_never_passes() {
    let run = |repeat: Option<u64>| {
        let mut checker = Unique::new(Settings {
            memory_max: 20_000,
            ..settings()
        });
        for at in 0..100_u64 {
            let mut batch = ObservedBatch::new(0);
            (0..1000).for_each(|i| batch.push_integer((at * 1000 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            batch.close_response(at * 1_000_000, at * 1_000_000);
            checker.observe(&batch);
        }
        let mut batch = ObservedBatch::new(0);
        if let Some(i) = repeat {
            batch.push_integer(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        batch.close_response(500_000_000, 500_000_000);
        checker.observe(&batch);
        assert!(checker.kept_bytes() < 40_000, "{} bytes", checker.kept_bytes());
        checker.finish()
    };
    let clean = run(None);
    assert_eq!((clean.violations, clean.verdict), (0, Verdict::Unknown));
    assert!(clean.reason.contains("memory limit"), "{}", clean.reason);
    let found = run(Some(5));
    assert_eq!(
        (found.violations, found.verdict),
        (1, Verdict::Fail),
        "a repeat of a value that was kept"
    );
    assert!(
        found.reason.contains("memory limit"),
        "the count may be too low: {}",
        found.reason
    );
    assert_eq!(
        run(Some(99_999)).verdict,
        Verdict::Unknown,
        "a repeat of one that wasn't is never a pass"
    );
}

#[test]
fn the_seed_changes_no_verdict() {
    for seed in [0, 1, u64::MAX] {
        let mut checker = Unique::new(Settings { seed, ..settings() });
        checker.observe(&batch(0, &[(0, 1, &["a", "b", "ab", "b", "a "])]));
        assert_eq!(checker.finish().violations, 1);
    }
}

/// One response: how long after the one before, by which load, and its values.
fn response() -> impl Strategy<Value = (i64, u16, Vec<String>)> {
    let value = prop_oneof![
        6 => (0..3_000_u64).prop_map(|value| value.to_string()),
        1 => any::<u64>().prop_map(|value| value.to_string()),
        3 => (0..1_000_u64).prop_map(|value| format!("id-{value}")),
    ];
    (
        -100_000..400_000_i64,
        0..3_u16,
        prop::collection::vec(value, 0..40),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_hash_set(responses in prop::collection::vec(response(), 0..120)) {
        let mut checker = Unique::new(settings());
        let mut seen = HashSet::new();
        let (mut at_us, mut checked, mut repeats, mut told) = (0_u64, 0, 0, Vec::new());
        for (step_us, load, values) in &responses {
            at_us = at_us.saturating_add_signed(*step_us);
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            checked += values.len() as u64;
            repeats += values.iter().filter(|value| !seen.insert(value.to_string())).count() as u64;
            told.extend(checker.observe(&batch(*load, &[(at_us, at_us, &values)])));
        }
        let outcome = checker.finish();
        prop_assert_eq!((outcome.checked, outcome.violations), (checked, repeats));
        told.extend(outcome.last);
        prop_assert!(told.len() as u64 <= repeats);
        prop_assert_eq!(told.is_empty(), repeats == 0);
        prop_assert_eq!(outcome.verdict == Verdict::Pass, checked > 1 && repeats == 0);
        for violation in told {
            let value = violation.text.split(' ').next().unwrap_or_default().trim_matches('"');
            prop_assert!(responses.iter().flat_map(|r| &r.2).filter(|seen| *seen == value).count() > 1);
        }
    }
}
