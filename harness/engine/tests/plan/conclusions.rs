//! What a run amounts to: its verdict, its exit code, its reasons.

use expect_test::expect;
use proptest::prelude::*;
use squall_engine::judge::Incidents;
use squall_model::exit::Exit;
use squall_model::record::Verdict;

use crate::measured::{BATCH, BROKEN, GOOD, MAKE, Requests, Run, STEADY};

const LATE: Requests = Requests {
    lag_us: 30_000,
    ..GOOD
};

fn interrupted() -> Incidents {
    Incidents {
        interrupted: Some(("SIGINT (Ctrl-C)".to_owned(), Exit::Interrupted)),
        ..Incidents::default()
    }
}

#[test]
fn a_run_in_which_all_held_passes_without_a_reason() {
    let mut run = Run::good("  run: [\"make.p99 < 1s\", \"ids.unique\"]\n");
    expect![[r#"
        run: make.p99 < 1s is pass, 1000
        run: ids.unique is pass, -
        pass exit 0
    "#]]
    .assert_eq(&run.shown(&Incidents::default()));
}

#[test]
fn a_violated_invariant_is_a_fail_also_where_every_number_is_spoiled() {
    let mut run = Run::new("  run: [\"make.p99 < 1s\"]\n");
    run.requests(STEADY, MAKE, LATE);
    run.requests(BROKEN, MAKE, LATE);
    run.invariant("ids.unique", Verdict::Fail);
    expect![[r#"
        run: make.p99 < 1s is invalid, 1000 the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
        fail exit 98
          invariant ids.unique was violated, 1 in 1000: 7 was seen twice
          phase steady: the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
          phase broken: the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
    "#]].assert_eq(&run.shown(&Incidents::default()));
}

#[test]
fn an_invariant_that_saw_nothing_makes_the_run_invalid() {
    let mut run = Run::good("  run: [\"ids.unique\", \"make.errors == 0%\"]\n");
    run.invariant("ids.unique", Verdict::Invalid);
    expect![[r#"
        run: ids.unique is invalid, - invariant ids.unique can't be judged: 7 was seen twice
        run: make.errors == 0% is pass, 0
        invalid exit 96
          invariant ids.unique can't be judged: 7 was seen twice
    "#]]
    .assert_eq(&run.shown(&Incidents::default()));
}

#[test]
fn a_fail_in_a_valid_part_beats_invalid_elsewhere() {
    let mut run = Run::new("  steady: [\"make.p99 < 1us\"]\n  broken: [\"make.p99 < 1s\"]\n");
    run.requests(STEADY, MAKE, GOOD);
    run.requests(BROKEN, MAKE, LATE);
    expect![[r#"
        steady: make.p99 < 1us is fail, 1000 was 1.00 ms, limit 1.00 us
        broken: make.p99 < 1s is invalid, 1000 the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
        fail exit 99
          expected make.p99 < 1us in steady: was 1.00 ms, limit 1.00 us
          phase broken: the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
    "#]].assert_eq(&run.shown(&Incidents::default()));
}

#[test]
fn an_interruption_decides_the_code_and_hides_no_fail() {
    let mut run = Run::good("  steady: [\"make.p99 < 1us\"]\n  broken: [\"make.p99 < 1s\"]\n");
    run.phases[BROKEN].complete = false;
    run.unproven[0] = Some("the run ended before it began".to_owned());
    expect![[r#"
        steady: make.p99 < 1us is fail, 1000 was 1.00 ms, limit 1.00 us
        broken: make.p99 < 1s is invalid, 1000 phase broken was not run to its end
        fail exit 130
          interrupted by SIGINT (Ctrl-C): what was measured until then is shown
          expected make.p99 < 1us in steady: was 1.00 ms, limit 1.00 us
          fault back was not proven: the run ended before it began
    "#]]
    .assert_eq(&run.shown(&interrupted()));
}

#[test]
fn an_interruption_alone_is_no_verdict_on_the_service() {
    let mut run = Run::good("  run: [\"make.p99 < 1s\"]\n");
    expect![[r#"
        run: make.p99 < 1s is pass, 1000
        invalid exit 130
          interrupted by SIGINT (Ctrl-C): what was measured until then is shown
    "#]]
    .assert_eq(&run.shown(&interrupted()));
}

#[test]
fn a_doubt_that_stands_above_is_not_said_again_for_each_expectation() {
    let mut run = Run::new("  steady: [\"make.p99 < 1s\", \"make.p50 < 1s\", \"make.p90 < 1s\"]\n");
    run.requests(STEADY, MAKE, LATE);
    run.requests(STEADY, BATCH, GOOD);
    let (expectations, conclusion) = run.judge(&Incidents::default());
    assert!(expectations.iter().all(|one| one.verdict == Verdict::Invalid));
    assert_eq!(conclusion.reasons.len(), 1, "{:?}", conclusion.reasons);
}

/// Something that can go wrong beside the checks, by number.
fn happen(run: &mut Run, incidents: &mut Incidents, what: u8) {
    match what {
        0 => incidents.interrupted = Some(("SIGTERM".to_owned(), Exit::Terminated)),
        1 => incidents.failed = Some("writing events.ndjson: no space".to_owned()),
        2 => incidents.not_undone.push("a process is left".to_owned()),
        3 => incidents.services.push("service ids died unasked".to_owned()),
        4 => run.invariant("ids.unique", Verdict::Fail),
        5 => run.invariant("ids.monotonic", Verdict::Invalid),
        6 => run.unproven[0] = Some("the target did not look".to_owned()),
        7 => run.requests(
            STEADY,
            MAKE,
            Requests {
                lag_us: 500_000,
                ..GOOD
            },
        ),
        8 => run.requests(
            STEADY,
            BATCH,
            Requests {
                response_us: 3_000_000,
                ..GOOD
            },
        ),
        9 => incidents
            .lingering
            .push("fault back was not shown to be over".to_owned()),
        _ => run.phases[BROKEN].complete = false,
    }
}

const LAG: u8 = 7;
const CUT_SHORT: u8 = 10;
const HAPPENINGS: u8 = 11;

#[test]
fn each_thing_that_goes_wrong_has_its_code() {
    let codes: Vec<String> = (0..HAPPENINGS)
        .map(|what| {
            let mut run = Run::good("  run: [\"make.p99 < 1s\", \"batch.p99 < 1s\"]\n");
            let mut incidents = Incidents::default();
            happen(&mut run, &mut incidents, what);
            let (_, conclusion) = run.judge(&incidents);
            format!("{} {}", conclusion.exit.code(), conclusion.verdict.as_str())
        })
        .collect();
    assert_eq!(
        codes,
        [
            "143 invalid",
            "1 invalid",
            "94 fail",
            "99 fail",
            "98 fail",
            "96 invalid",
            "96 invalid",
            "96 invalid",
            "99 fail",
            "96 invalid",
            "96 invalid"
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn one_more_thing_that_goes_wrong_never_makes_a_run_look_better(
        before in proptest::collection::vec(0..HAPPENINGS, 0..6),
        // What spoils a number takes its fail away, as it must; all else only adds.
        more in (0..HAPPENINGS).prop_filter("spoils a number", |what| ![LAG, CUT_SHORT].contains(what)),
    ) {
        let judge = |all: &[u8]| {
            let mut run = Run::good("  run: [\"make.p99 < 1s\", \"batch.p99 < 1s\"]\n");
            let mut incidents = Incidents::default();
            for what in all {
                happen(&mut run, &mut incidents, *what);
            }
            run.judge(&incidents).1
        };
        let (less, worse) = (judge(&before), judge(&[&before[..], &[more]].concat()));
        prop_assert!(worse.exit.rank() <= less.exit.rank(), "{less:?} then {worse:?}");
        prop_assert!(worse.verdict != Verdict::Pass);
        prop_assert!(!worse.reasons.is_empty());
        let unique: std::collections::BTreeSet<_> = worse.reasons.iter().collect();
        prop_assert_eq!(unique.len(), worse.reasons.len(), "{:?}", worse.reasons);
    }
}
