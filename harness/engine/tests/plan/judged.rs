//! One expectation at a time: pass, fail, or invalid and why.

use std::collections::BTreeMap;

use expect_test::expect;
use squall_engine::judge::{Evidence, Incidents};
use squall_engine::plan::Check;
use squall_model::record::{FaultFelt, ServiceRecord, Verdict};

use crate::measured::{BATCH, BROKEN, GOOD, MAKE, Requests, Run, STEADY, WARM, paused};
use crate::rig::{around, plan};

fn shown(run: &mut Run) -> String {
    run.shown(&Incidents::default())
}

#[test]
fn a_number_passes_or_fails_with_what_it_was() {
    let mut run = Run::new(
        r#"  steady:
    - "make.p99 < 2ms"
    - "make.p99 < 1ms"
    - "make.service.mean <= 1ms"
    - "make.errors < 1%"
    - "make.errors == 2%"
    - "make.throughput >= 1k/s"
    - "make.achieved > 99%"
    - "make.failed == 0"
"#,
    );
    run.requests(STEADY, MAKE, Requests { failed: 100, ..GOOD });
    expect![[r#"
        steady: make.p99 < 2ms is pass, 1000
        steady: make.p99 < 1ms is fail, 1000 was 1.00 ms, limit 1.00 ms
        steady: make.service.mean <= 1ms is pass, 1000
        steady: make.errors < 1% is fail, 0.02 was 2.00 %, limit 1.00 %
        steady: make.errors == 2% is pass, 0.02
        steady: make.throughput >= 1k/s is pass, 1000
        steady: make.achieved > 99% is pass, 1
        steady: make.failed == 0 is fail, 100 was 100, limit 0
        fail exit 99
          expected make.p99 < 1ms in steady: was 1.00 ms, limit 1.00 ms
          expected make.errors < 1% in steady: was 2.00 %, limit 1.00 %
          expected make.failed == 0 in steady: was 100, limit 0
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn a_percentile_with_too_few_samples_beyond_it_is_invalid() {
    for (count, verdict) in [(999, Verdict::Invalid), (1_000, Verdict::Pass)] {
        let mut run = Run::new("  steady: [\"make.p99 < 1s\"]\n");
        run.requests(STEADY, MAKE, Requests { count, ..GOOD });
        let (expectations, _) = run.judge(&Incidents::default());
        assert_eq!(expectations[0].verdict, verdict, "{count} samples");
    }
}

#[test]
fn what_was_not_measured_is_never_a_pass() {
    // Limits that zero, or nothing, would hold.
    let mut run = Run::new(
        r#"  run:
    - "make.p99 < 1s"
    - "make.max < 1s"
    - "make.errors == 0%"
    - "make.failed == 0"
    - "make.dropped == 0"
    - "make.throughput < 1M/s"
    - "make.achieved <= 100%"
    - "ids.cpu < 1h"
    - "ids.rss_max < 1GiB"
    - "ids.pauses.max < 1s"
    - "ids.gc.count == 0"
    - "ids.descriptors_max < 1000"
    - "ids.metrics.store_writes_total < 5"
"#,
    );
    run.requests(STEADY, BATCH, GOOD);
    // It has a meter, and it never answered.
    let why = "it told nothing on its admin endpoint".to_owned();
    let record = ServiceRecord {
        pauses_not_visible: vec!["hiccup".to_owned()],
        pauses_not_visible_why: BTreeMap::from([("hiccup".to_owned(), why)]),
        ..ServiceRecord::default()
    };
    run.service(STEADY, record);
    expect![[r#"
        run: make.p99 < 1s is invalid, - no data: no request was asked for
        run: make.max < 1s is invalid, - no data: no request was asked for
        run: make.errors == 0% is invalid, - no data: no request was asked for
        run: make.failed == 0 is invalid, - no data: no request was asked for
        run: make.dropped == 0 is invalid, - no data: no request was asked for
        run: make.throughput < 1M/s is invalid, - no data: no request was asked for
        run: make.achieved <= 100% is invalid, - no data: no request was asked for
        run: ids.cpu < 1h is invalid, - cpu is not visible for ids
        run: ids.rss_max < 1GiB is invalid, - rss_max is not visible for ids
        run: ids.pauses.max < 1s is invalid, - pauses.max is not visible for ids: no hiccup, because it told nothing on its admin endpoint
        run: ids.gc.count == 0 is invalid, - gc.count is not visible for ids
        run: ids.descriptors_max < 1000 is invalid, - descriptors_max is not visible for ids
        run: ids.metrics.store_writes_total < 5 is invalid, - ids did not report store_writes_total
        invalid exit 96
          expected make.p99 < 1s in run: no data: no request was asked for
          expected make.max < 1s in run: no data: no request was asked for
          expected make.errors == 0% in run: no data: no request was asked for
          expected make.failed == 0 in run: no data: no request was asked for
          expected make.dropped == 0 in run: no data: no request was asked for
          expected make.throughput < 1M/s in run: no data: no request was asked for
          expected make.achieved <= 100% in run: no data: no request was asked for
          expected ids.cpu < 1h in run: cpu is not visible for ids
          expected ids.rss_max < 1GiB in run: rss_max is not visible for ids
          expected ids.pauses.max < 1s in run: pauses.max is not visible for ids: no hiccup, because it told nothing on its admin endpoint
          expected ids.gc.count == 0 in run: gc.count is not visible for ids
          expected ids.descriptors_max < 1000 in run: descriptors_max is not visible for ids
          expected ids.metrics.store_writes_total < 5 in run: ids did not report store_writes_total
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn requests_that_were_all_dropped_fail_achieved_and_say_nothing_of_errors() {
    let mut run =
        Run::new("  steady: [\"make.achieved > 99%\", \"make.failed == 0\", \"make.dropped == 0\"]\n");
    let dropped = Requests {
        count: 0,
        dropped: 5_000,
        ..GOOD
    };
    run.requests(STEADY, MAKE, dropped);
    expect![[r#"
        steady: make.achieved > 99% is fail, 0 was 0 %, limit 99.0 %
        steady: make.failed == 0 is invalid, - no data: no request ended
        steady: make.dropped == 0 is fail, 5000 was 5.00k, limit 0
        fail exit 99
          expected make.achieved > 99% in steady: was 0 %, limit 99.0 %
          expected make.dropped == 0 in steady: was 5.00k, limit 0
          expected make.failed == 0 in steady: no data: no request ended
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn a_generator_that_fell_behind_spoils_its_own_load_and_phase_only() {
    let mut run = Run::new(
        "  steady: [\"make.p99 < 1s\", \"batch.p99 < 1s\", \"ids.unique\"]\n  broken: [\"make.p99 < 1s\"]\n  run: [\"make.p99 < 1s\", \"batch.p99 < 1s\"]\n",
    );
    for phase in [WARM, STEADY, BROKEN] {
        let lag_us = if phase == STEADY { 30_000 } else { 50 };
        run.requests(phase, MAKE, Requests { lag_us, ..GOOD });
        run.requests(phase, BATCH, GOOD);
    }
    expect![[r#"
        steady: make.p99 < 1s is invalid, 1000 the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
        steady: batch.p99 < 1s is pass, 1000
        steady: ids.unique is pass, -
        broken: make.p99 < 1s is pass, 1000
        run: make.p99 < 1s is invalid, 1000 the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
        run: batch.p99 < 1s is pass, 1000
        invalid exit 96
          phase steady: the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
    "#]].assert_eq(&shown(&mut run));
}

#[test]
fn lateness_spoils_times_and_leaves_what_is_counted() {
    let late = |lag_us, unsent| Requests {
        lag_us,
        unsent,
        ..GOOD
    };
    let shown = |expect: &str, requests| {
        let mut run = Run::good(expect);
        run.requests(STEADY, MAKE, requests);
        let (expectations, conclusion) = run.judge(&Incidents::default());
        let verdicts = expectations.iter().map(|one| one.verdict.as_str());
        let verdicts: Vec<_> = verdicts.chain([conclusion.verdict.as_str()]).collect();
        verdicts.join(" ")
    };
    let counted = "  steady: [\"make.errors == 0%\", \"make.achieved > 90%\"]\n";
    assert_eq!(shown(counted, late(30_000, 0)), "pass pass pass");
    // A schedule that slipped by more than a row of the series, or requests that were never sent: another load.
    assert_eq!(shown(counted, late(150_000, 0)), "invalid invalid invalid");
    assert_eq!(shown(counted, late(50, 2_000)), "invalid invalid invalid");
    // Times of another load, or of another phase, are not these.
    let other = "  steady: [\"batch.p99 < 1s\"]\n  broken: [\"make.p99 < 1s\"]\n";
    assert_eq!(shown(other, late(30_000, 0)), "pass pass pass");
    let times = "  run: [\"make.p99 < 1s\", \"make.errors == 0%\"]\n";
    assert_eq!(shown(times, late(30_000, 0)), "invalid pass invalid");
    // Where nothing is expected of any load, its numbers are what the run is for.
    assert_eq!(
        shown("  run: [\"ids.unique\"]\n", late(30_000, 0)),
        "pass invalid"
    );
}

#[test]
fn a_phase_that_is_not_measured_spoils_nothing_that_leaves_it_out() {
    let mut run = Run::new("  run: [\"make.p99 < 1s\"]\n");
    run.requests(
        WARM,
        MAKE,
        Requests {
            lag_us: 30_000,
            ..GOOD
        },
    );
    run.requests(STEADY, MAKE, GOOD);
    run.requests(BROKEN, MAKE, GOOD);
    expect![[r#"
        run: make.p99 < 1s is pass, 1000
        pass exit 0
    "#]]
    .assert_eq(&shown(&mut run));
    let mut asked = Run::new("  warm: [\"make.p99 < 1s\"]\n");
    asked.requests(
        WARM,
        MAKE,
        Requests {
            lag_us: 30_000,
            ..GOOD
        },
    );
    expect![[r#"
        warm: make.p99 < 1s is invalid, 1000 the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
        invalid exit 96
          expected make.p99 < 1s in warm: the generator fell behind its schedule for make: P99 of the lag is 30.0 ms, over the limit of 1.00 ms; lower the rate or give it more cores
    "#]].assert_eq(&shown(&mut asked));
}

#[test]
fn an_unproven_fault_makes_its_scope_and_the_run_invalid() {
    let mut run =
        Run::good("  back: [\"make.errors == 0%\", \"ids.unique\"]\n  steady: [\"make.errors == 0%\"]\n");
    run.collector.open_window(0, 11_000_000);
    run.requests_at(BROKEN, MAKE, 12_000_000, GOOD);
    run.unproven[0] = Some("the target did not look".to_owned());
    expect![[r#"
        back: make.errors == 0% is invalid, 0 fault back was not proven: the target did not look
        back: ids.unique is invalid, - fault back was not proven: the target did not look
        steady: make.errors == 0% is pass, 0
        invalid exit 96
          fault back was not proven: the target did not look
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn a_fault_that_was_never_armed_is_no_pass_either() {
    let mut run = Run::good("  back: [\"make.errors == 0%\"]\n");
    run.unproven.clear();
    let (expectations, _) = run.judge(&Incidents::default());
    assert_eq!(expectations[0].verdict, Verdict::Invalid);
}

#[test]
fn while_a_fault_holds_only_what_ended_meanwhile_counts() {
    let mut run = Run::good(
        "  back: [\"make.errors == 0%\", \"make.completed == 5000\", \"make.throughput == 2500/s\"]\n",
    );
    let bad = Requests {
        failed: 5_000,
        ..GOOD
    };
    run.requests_at(BROKEN, MAKE, 10_900_000, bad);
    run.collector.open_window(0, 11_000_000);
    run.requests_at(BROKEN, MAKE, 12_000_000, GOOD);
    run.collector.close_window(0, 13_000_000);
    run.requests_at(BROKEN, MAKE, 13_100_000, bad);
    let (expectations, _) = run.judge(&Incidents::default());
    for one in expectations {
        assert_eq!(one.verdict, Verdict::Pass, "{one:?}");
    }
}

#[test]
fn a_phase_that_was_cut_short_is_judged_on_no_number() {
    let mut run = Run::good(
        "  steady: [\"make.p99 < 1s\"]\n  broken: [\"make.p99 < 1s\", \"ids.cpu < 1h\", \"ids.unique\"]\n  run: [\"make.p99 < 1s\"]\n",
    );
    run.phases[BROKEN].complete = false;
    expect![[r#"
        steady: make.p99 < 1s is pass, 1000
        broken: make.p99 < 1s is invalid, 1000 phase broken was not run to its end
        broken: ids.cpu < 1h is invalid, - phase broken was not run to its end
        broken: ids.unique is invalid, - phase broken was not run to its end
        run: make.p99 < 1s is invalid, 1000 phase broken was not run to its end
        invalid exit 96
          expected make.p99 < 1s in broken: phase broken was not run to its end
          expected ids.cpu < 1h in broken: phase broken was not run to its end
          expected ids.unique in broken: phase broken was not run to its end
          expected make.p99 < 1s in run: phase broken was not run to its end
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn requests_whose_end_is_unknown_spoil_the_numbers_of_the_others() {
    let mut run = Run::new("  steady: [\"make.p99 < 1s\"]\n");
    run.requests(STEADY, MAKE, Requests { aborted: 12, ..GOOD });
    expect![[r#"
        steady: make.p99 < 1s is invalid, 1000 12 requests of make were cut off by the end of the run
        invalid exit 96
          expected make.p99 < 1s in steady: 12 requests of make were cut off by the end of the run
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn services_are_judged_over_the_phases_of_the_scope() {
    let mut run = Run::good(
        r#"  steady: ["ids.cpu == 30us", "ids.rss_max == 7B", "ids.pauses.max > 10ms"]
  run: ["ids.cpu == 70us", "ids.rss_max == 9B", "ids.pauses.max < 10ms", "ids.pauses.total > 20ms", "ids.restarts == 0", "ids.metrics.store_writes_total >= 5"]
"#,
    );
    run.told.insert(
        "ids".to_owned(),
        BTreeMap::from([("store_writes_total".to_owned(), 5.0)]),
    );
    for (phase, cpu_us, rss_max) in [(WARM, 1_000, 99), (STEADY, 30, 7), (BROKEN, 40, 9)] {
        let record = ServiceRecord {
            cpu_us: Some(cpu_us),
            rss_max: Some(rss_max),
            ..paused(12_000)
        };
        run.service(phase, record);
    }
    expect![[r#"
        steady: ids.cpu == 30us is pass, 30
        steady: ids.rss_max == 7B is pass, 7
        steady: ids.pauses.max > 10ms is pass, 12007
        run: ids.cpu == 70us is pass, 70
        run: ids.rss_max == 9B is pass, 9
        run: ids.pauses.max < 10ms is fail, 12007 was 12.0 ms, limit 10.0 ms
        run: ids.pauses.total > 20ms is pass, 24000
        run: ids.restarts == 0 is pass, 0
        run: ids.metrics.store_writes_total >= 5 is pass, 5
        fail exit 99
          expected ids.pauses.max < 10ms in run: was 12.0 ms, limit 10.0 ms
    "#]]
    .assert_eq(&shown(&mut run));
}

#[test]
fn how_the_loads_took_a_fault_is_judged_as_far_as_it_was_seen() {
    let shown = |change: &dyn Fn(&mut Run)| {
        let mut run =
            Run::good("  run: [\"back.recovery < 2s\", \"back.detect < 1s\", \"back.debt < 1s\"]\n");
        run.felt[0] = FaultFelt {
            detect_us: Some(300_000),
            recover_us: Some(640_000),
            debt_us: Some(900_000),
            ..FaultFelt::default()
        };
        change(&mut run);
        shown(&mut run)
    };
    expect![[r#"
        run: back.recovery < 2s is pass, 640000
        run: back.detect < 1s is pass, 300000
        run: back.debt < 1s is pass, 900000
        pass exit 0
    "#]]
    .assert_eq(&shown(&|_| {}));
    // A limit that was passed while it was still looked for is missed; of a later one nothing is known.
    let unrecovered = |run: &mut Run, us| {
        (run.felt[0].recover_us, run.felt[0].unrecovered_us) = (None, Some(us));
    };
    expect![[r#"
        run: back.recovery < 2s is fail, 5000000 was not over within 5.00 s, when something else began
        run: back.detect < 1s is pass, 300000
        run: back.debt < 1s is pass, 900000
        fail exit 99
          expected back.recovery < 2s in run: was not over within 5.00 s, when something else began
    "#]]
    .assert_eq(&shown(&|run| unrecovered(run, 5_000_000)));
    expect![[r#"
        run: back.recovery < 2s is invalid, 1000000 was not over within 1.00 s, when something else began
        run: back.detect < 1s is pass, 300000
        run: back.debt < 1s is pass, 900000
        invalid exit 96
          expected back.recovery < 2s in run: was not over within 1.00 s, when something else began
    "#]]
    .assert_eq(&shown(&|run| unrecovered(run, 1_000_000)));
    // What no load felt has no time to be felt; and without a baseline nothing is known.
    expect![[r#"
        run: back.recovery < 2s is pass, 0
        run: back.detect < 1s is invalid, - no load left its baseline's band
        run: back.debt < 1s is pass, 0
        invalid exit 96
          expected back.detect < 1s in run: no load left its baseline's band
    "#]]
    .assert_eq(&shown(&|run| {
        run.felt[0] = FaultFelt {
            recover_us: Some(0),
            debt_us: Some(0),
            ..FaultFelt::default()
        };
    }));
    // The baseline and the phases until recovery must be good.
    let spoiled = shown(&|run| {
        run.requests(
            STEADY,
            MAKE,
            Requests {
                lag_us: 30_000,
                ..GOOD
            },
        );
    });
    assert!(
        spoiled.contains("run: back.recovery < 2s is invalid, 640000 the generator fell behind"),
        "{spoiled}"
    );
    let spoiled = shown(&|run| {
        run.requests(
            WARM,
            MAKE,
            Requests {
                lag_us: 30_000,
                ..GOOD
            },
        );
    });
    assert!(spoiled.contains("pass exit 0"), "{spoiled}");
}

#[test]
fn reached_holds_or_proves_nothing() {
    let scenario = around("invariants: { wrote: { reached: \"ids.metrics.store_writes_total >= 3\" } }\n");
    let plan = plan(&scenario);
    let condition = plan.invariants.iter().find_map(|one| match &one.check {
        Check::Reached { condition } => Some(condition),
        Check::Values { .. } | Check::Transitions { .. } => None,
    });
    let run = Run::new("  run: [\"make.p99 < 1s\"]\n");
    let judged = |told: Option<f64>| {
        let told = told.map(|value| {
            (
                "ids".to_owned(),
                BTreeMap::from([("store_writes_total".to_owned(), value)]),
            )
        });
        let evidence = Evidence {
            plan: &run.plan,
            collector: &run.collector,
            phases: &run.phases,
            unproven: &run.unproven,
            felt: &run.felt,
            edges: &[],
            told: &told.into_iter().collect(),
            invariants: &[],
        };
        let (verdict, text) = evidence.reached(condition.unwrap());
        format!("{}: {text}\n", verdict.as_str())
    };
    let all = [Some(3.0), Some(2.0), Some(f64::NAN), None].map(judged).concat();
    expect![[r#"
        pass: ids.metrics.store_writes_total >= 3: was 3
        invalid: ids.metrics.store_writes_total >= 3: was 2, so what it stands for never happened
        invalid: ids.metrics.store_writes_total >= 3: was NaN, so what it stands for never happened
        invalid: ids.metrics.store_writes_total >= 3: ids did not report store_writes_total
    "#]]
    .assert_eq(&all);
}
