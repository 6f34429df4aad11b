//! `nondecreasing`: as `monotonic`, and what is the same again is no violation, be it within a response or in a later one.

use proptest::prelude::*;
use squall_engine::invariant::{Invariant, Monotonic, Outcome, Verdict};

use super::{Response, batch, settings};

fn outcome(mut checker: Monotonic, responses: &[Response<'_>]) -> Outcome {
    checker.observe(&batch(0, responses));
    checker.finish()
}

#[test]
fn what_stands_still_is_in_order_and_what_goes_back_is_not() {
    let table: [(&str, &[Response<'_>], u64, Verdict); 8] = [
        ("nothing", &[], 0, Verdict::Unknown),
        ("nothing to compare with", &[(0, 1, &["5"])], 0, Verdict::Unknown),
        (
            "the same after",
            &[(0, 1, &["5"]), (2, 3, &["5"])],
            0,
            Verdict::Pass,
        ),
        ("the same in a response", &[(0, 1, &["5", "5"])], 0, Verdict::Pass),
        (
            "smaller after",
            &[(0, 1, &["5"]), (2, 3, &["4"])],
            1,
            Verdict::Fail,
        ),
        (
            "smaller in a response",
            &[(0, 1, &["5", "5", "4"])],
            1,
            Verdict::Fail,
        ),
        (
            "back to what it was, after something greater",
            &[(0, 1, &["5"]), (2, 3, &["6"]), (4, 5, &["5"])],
            1,
            Verdict::Fail,
        ),
        (
            "the same text after, then one before it",
            &[(0, 1, &["b"]), (2, 3, &["b"]), (4, 5, &["a"])],
            1,
            Verdict::Fail,
        ),
    ];
    for (name, responses, violations, verdict) in table {
        let found = outcome(Monotonic::nondecreasing(settings()), responses);
        assert_eq!((found.violations, found.verdict), (violations, verdict), "{name}");
    }
}

#[test]
fn a_violation_names_what_it_went_back_from() {
    let responses: [Response<'_>; 3] = [(0, 10, &["7"]), (20, 30, &["7"]), (40, 50, &["6"])];
    let found = outcome(Monotonic::nondecreasing(settings()), &responses);
    let text = &found.last[0].text;
    assert!(
        text.starts_with("6 came at 0.000050 s") && text.contains("after 7 had come"),
        "{text}"
    );
}

proptest! {
    /// Whoever reads one after the other what only grows or stands still never breaks it; the first step back is found.
    #[test]
    fn a_step_back_and_nothing_else_is_a_violation(steps in prop::collection::vec(0_u64..3, 2..40), back in 1_u64..5) {
        let mut version = 10;
        let mut versions: Vec<String> = steps.iter().map(|step| { version += step; version.to_string() }).collect();
        let check = |versions: &[String]| {
            let values: Vec<[&str; 1]> = versions.iter().map(|version| [version.as_str()]).collect();
            let at = |n: usize| (10 * n as u64, 10 * n as u64 + 5);
            let responses: Vec<Response<'_>> =
                values.iter().enumerate().map(|(n, values)| (at(n).0, at(n).1, &values[..])).collect();
            outcome(Monotonic::nondecreasing(settings()), &responses)
        };
        prop_assert_eq!(check(&versions).verdict, Verdict::Pass);
        versions.push((version - back).to_string());
        prop_assert_eq!(check(&versions).violations, 1);
    }
}
