//! Expectations against stored values: what is looked up, what it comes to, and what is said where there is none.

use std::path::Path;

use expect_test::expect;
use squall_engine::judge::Incidents;
use squall_engine::plan::{Scope, Stored, nameable, stored_scope};
use squall_model::baseline::{Entry, Key, Spread, Values, meaning};
use squall_model::record::{FaultFelt, Verdict};

use crate::measured::{BATCH, BROKEN, GOOD, MAKE, Requests, Run, STEADY, paused};
use crate::rig::{around, read_with};

const HERE: &str = "2c-8g-some-cpu-linux-aaaaaa";

fn key(scope: &str, of: &str, metric: &str) -> Key {
    Key {
        scope: scope.to_owned(),
        of: of.to_owned(),
        metric: metric.to_owned(),
    }
}

/// An entry with one value of each of these.
fn entry(p99_us: f64) -> Entry {
    let mut values = Values::default();
    values.put(key("steady", "make", "p99"), p99_us);
    values.put(key("steady", "make", "achieved"), 1.0);
    values.put(key("run", "make", "errors"), 0.01);
    values.put(key("back", "make", "max"), 500.0);
    values.put(key("run", "back", "recovery"), 200_000.0);
    Entry {
        saved_at: "2026-01-15T09:31:00Z".to_owned(),
        measured_at: "2026-01-15T09:30:00Z".to_owned(),
        revision: "4f1c2ab".to_owned(),
        runs: vec!["a".to_owned(), "b".to_owned(), "c".to_owned()],
        seeds: vec![1, 2, 3],
        meaning: "m".to_owned(),
        values,
    }
}

fn stored(entries: Result<Vec<Entry>, String>) -> Stored {
    Stored {
        machine: HERE.to_owned(),
        entries,
        others: vec!["4c-8g-other-linux-bbbbbb".to_owned()],
        file: "reports/baselines/2c/s.json".to_owned(),
        overrides: String::new(),
        save: "squall baseline save s".to_owned(),
        since_change: <[f64]>::len,
    }
}

fn run(expect: &str, entries: Vec<Entry>) -> Run {
    let (plan, _) = Run::planned(expect, Some(stored(Ok(entries))));
    Run::of(plan.expect("a warning is no error")).all_well()
}

#[test]
fn a_stored_value_of_the_same_scope_is_what_a_number_is_held_to() {
    let mut run = run(
        r#"  steady: [ "make.p99 < baseline * 1.3", "make.response.p99 < baseline", "make.p99 < baseline + 5ms", "make.achieved > baseline - 5%" ]
  back: [ "make.max <= baseline * 2", "make.max < baseline" ]
  run: [ "make.errors <= baseline", "back.recovery < baseline * 1.5" ]
"#,
        vec![entry(1_000.0)],
    );
    run.collector.open_window(0, 11_000_000);
    run.requests_at(BROKEN, MAKE, 12_000_000, GOOD);
    run.collector.close_window(0, 13_000_000);
    run.felt[0] = FaultFelt {
        recover_us: Some(250_000),
        ..FaultFelt::default()
    };
    expect![[r#"
        steady: make.p99 < baseline * 1.3 is pass, 1000
        steady: make.response.p99 < baseline is fail, 1000 was 1.00 ms, limit 1.00 ms from the stored 1.00 ms of 2026-01-15T09:31:00Z; the scenario has changed since
        steady: make.p99 < baseline + 5ms is pass, 1000
        steady: make.achieved > baseline - 5% is pass, 1
        back: make.max <= baseline * 2 is pass, 1000
        back: make.max < baseline is fail, 1000 was 1.00 ms, limit 500 us from the stored 500 us of 2026-01-15T09:31:00Z; the scenario has changed since
        run: make.errors <= baseline is pass, 0
        run: back.recovery < baseline * 1.5 is pass, 250000
        fail exit 99
          expected make.response.p99 < baseline in steady: was 1.00 ms, limit 1.00 ms from the stored 1.00 ms of 2026-01-15T09:31:00Z; the scenario has changed since
          expected make.max < baseline in back: was 1.00 ms, limit 500 us from the stored 500 us of 2026-01-15T09:31:00Z; the scenario has changed since
    "#]].assert_eq(&run.shown(&Incidents::default()));
}

#[test]
fn what_an_expectation_was_held_to_is_recorded() {
    let entries = vec![entry(900.0), entry(1_200.0), entry(1_000.0)];
    let mut run = run("  steady: [ \"make.p99 < baseline * 1.5\" ]\n", entries);
    let (expectations, _) = run.judge(&Incidents::default());
    let [one] = &expectations[..] else {
        panic!("there is one")
    };
    let held = one.baseline.as_ref().expect("it was held to one");
    assert_eq!(
        (one.verdict, one.limit, held.value),
        (Verdict::Pass, Some(1_500.0), 1_000.0)
    );
    assert_eq!((held.runs, held.entries, held.machine.as_str()), (3, 3, HERE));
    assert_eq!(
        held.spread,
        Some(Spread {
            entries: 3,
            min: 900.0,
            max: 1_200.0
        })
    );
    assert!(held.scenario_changed, "the entry is of another text");
}

#[test]
fn only_entries_of_what_the_newest_did_tell_of_the_spread() {
    let mut old = entry(1.0);
    old.meaning = "other".to_owned();
    let expect = "  steady: [ \"make.p99 < baseline\" ]\n";
    let spread = |entries| {
        let (expectations, _) = run(expect, entries).judge(&Incidents::default());
        expectations[0].baseline.as_ref().and_then(|held| held.spread)
    };
    assert_eq!(
        spread(vec![old.clone(), entry(900.0)]),
        None,
        "one entry has no spread"
    );
    let two = spread(vec![old, entry(900.0), entry(1_000.0)]).expect("two have");
    assert_eq!((two.entries, two.min), (2, 900.0));
}

#[test]
fn a_scenario_that_does_the_same_is_not_told_to_have_changed() {
    let text = around("expect: { run: [ \"make.p99 < baseline\" ] }\n");
    let mut same = entry(1_000.0);
    same.meaning = meaning(&around(""), "");
    let (plan, found) = read_with(Path::new("/"), &text, false, Some(stored(Ok(vec![same]))));
    assert_eq!(found, "");
    let plan = plan.expect("nothing is wrong");
    let shown = squall_engine::plan::show(&plan);
    assert!(
        shown.contains("make.p99 < baseline: 1.00 ms, from the stored 1.00 ms of 2026"),
        "{shown}"
    );
    // The phase is the only measured one, so the run's value is stored as the phase's.
    let (_, limit) = plan.expectations[0].condition.limit.as_ref().expect("it has one");
    let held = limit.stored().expect("it is stored");
    assert_eq!((held.value, held.scenario_changed), (1_000.0, false));
}

#[test]
fn without_a_stored_value_nothing_is_judged_and_why_is_said_beforehand() {
    let expect = r#"  steady: [ "make.p99 < baseline * 1.3", "make.p99 < 1s", "make.p50 > baseline" ]
"#;
    let (plan, found) = Run::planned(expect, Some(stored(Ok(Vec::new()))));
    expect![[r#"
        s.yaml:12:25: warning: no baseline of s on this machine (2c-8g-some-cpu-linux-aaaaaa) is stored; there are of 4c-8g-other-linux-bbbbbb, which are other machines; `squall baseline save s` stores one
          note: an expectation without a stored value is invalid: a check without data is never a pass"#]].assert_eq(&found);
    let plan = plan.expect("a warning is no error");
    let shown = squall_engine::plan::show(&plan);
    assert!(
        shown.contains("make.p50 > baseline: nothing is stored"),
        "{shown}"
    );
    let mut run = Run::of(plan).all_well();
    expect![[r#"
        steady: make.p99 < baseline * 1.3 is invalid, 1000 no baseline of s on this machine (2c-8g-some-cpu-linux-aaaaaa) is stored; there are of 4c-8g-other-linux-bbbbbb, which are other machines; `squall baseline save s` stores one
        steady: make.p99 < 1s is pass, 1000
        steady: make.p50 > baseline is invalid, 1000 no baseline of s on this machine (2c-8g-some-cpu-linux-aaaaaa) is stored; there are of 4c-8g-other-linux-bbbbbb, which are other machines; `squall baseline save s` stores one
        invalid exit 96
          expected make.p99 < baseline * 1.3 in steady: no baseline of s on this machine (2c-8g-some-cpu-linux-aaaaaa) is stored; there are of 4c-8g-other-linux-bbbbbb, which are other machines; `squall baseline save s` stores one
          expected make.p50 > baseline in steady: no baseline of s on this machine (2c-8g-some-cpu-linux-aaaaaa) is stored; there are of 4c-8g-other-linux-bbbbbb, which are other machines; `squall baseline save s` stores one
    "#]].assert_eq(&run.shown(&Incidents::default()));
    let (expectations, _) = run.judge(&Incidents::default());
    let lacking: Vec<bool> = expectations.iter().map(|one| one.lacks_baseline).collect();
    assert_eq!(lacking, [true, false, true]);
}

#[test]
fn a_metric_that_the_newest_entry_lacks_is_invalid() {
    let expect = "  steady: [ \"make.p999 < baseline\" ]\n";
    let (plan, found) = Run::planned(expect, Some(stored(Ok(vec![entry(1_000.0)]))));
    assert!(found.contains("has no make.p999 in steady"), "{found}");
    let mut run = Run::of(plan.expect("a warning is no error")).all_well();
    run.requests(
        STEADY,
        MAKE,
        Requests {
            count: 20_000,
            ..GOOD
        },
    );
    let (expectations, conclusion) = run.judge(&Incidents::default());
    assert_eq!(
        (expectations[0].verdict, conclusion.exit.code()),
        (Verdict::Invalid, 96)
    );
}

#[test]
fn what_cannot_be_read_or_means_nothing_is_an_error() {
    let found = |expect: &str, entries| Run::planned(expect, Some(stored(entries)));
    let (plan, text) = found(
        "  steady: [ \"make.p99 < baseline\" ]\n",
        Err("it is torn".to_owned()),
    );
    assert!(
        plan.is_none() && text.contains("repair reports/baselines/2c/s.json"),
        "{text}"
    );
    // Where nothing asks for it, nothing is read.
    let (plan, _) = found("  steady: [ \"make.p99 < 1s\" ]\n", Err("it is torn".to_owned()));
    assert!(plan.is_some());
    for (expect, why) in [
        (
            "  warm: [ \"make.p99 < baseline\" ]\n",
            "nothing is stored of warm",
        ),
        (
            "  steady: [ \"make.p99 < baseline for 5s\" ]\n",
            "`for` in an expectation",
        ),
        ("  steady: [ \"make.p99 < baseline + 5\" ]\n", "`5` is a number"),
        (
            "  steady: [ \"ids.unique == baseline\" ]\n",
            "compared with nothing",
        ),
        (
            "  steady: [ \"back.recovery < baseline\" ]\n",
            "known only once the run is over",
        ),
        (
            "  steady: [ \"make.p99 < 1s\" ]\ninvariants: { r: { reached: ids.metrics.store_writes_total > baseline } }\n",
            "a stored value is no limit here",
        ),
    ] {
        let (plan, text) = found(expect, Ok(vec![entry(1.0)]));
        assert!(plan.is_none() && text.contains(why), "{expect}: {text}");
    }
}

#[test]
fn a_run_that_is_scaled_down_is_held_to_nothing_stored() {
    let text = around("expect: { run: [ \"make.p99 < baseline\" ] }\n");
    let (plan, found) = read_with(Path::new("/"), &text, true, Some(stored(Ok(vec![entry(1.0)]))));
    assert!(found.contains("scaled down by --quick"), "{found}");
    let plan = plan.expect("a warning is no error");
    let (_, limit) = plan.expectations[0].condition.limit.as_ref().expect("it has one");
    assert_eq!(limit.number(), None);
}

#[test]
fn what_is_spoiled_is_not_stored_and_what_is_not_is_the_judges_own_number() {
    let mut run = Run::good("  run: [ \"make.p99 < 1s\" ]\n");
    run.service(STEADY, paused(7_000));
    run.told
        .entry("ids".to_owned())
        .or_default()
        .insert("store_reads_total".to_owned(), 12.0);
    run.unproven[0] = Some("the target never read its clock".to_owned());
    run.requests(
        BROKEN,
        BATCH,
        Requests {
            count: 10,
            dropped: 5_000,
            unsent: 5_000,
            ..GOOD
        },
    );
    let numbers = run.numbers();
    let get = |scope: &str, of: &str, metric: &str| numbers.get(&key(scope, of, metric));
    assert_eq!(get("steady", "make", "p99"), Some(1_000.0));
    assert_eq!(get("steady", "make", "service.p99"), Some(1_000.0));
    assert_eq!(get("steady", "make", "p9999"), None, "too few samples");
    assert_eq!(get("steady", "make", "achieved"), Some(1.0));
    assert_eq!(get("steady", "ids", "pauses.total"), Some(7_000.0));
    assert_eq!(get("run", "ids", "metrics.store_reads_total"), Some(12.0));
    assert_eq!(
        get("steady", "ids", "metrics.store_reads_total"),
        None,
        "known of the run only"
    );
    assert_eq!(get("warm", "make", "p99"), None, "not measured");
    assert_eq!(get("broken", "batch", "p99"), None, "the generator was too slow");
    assert_eq!(get("back", "make", "p99"), None, "the fault was not proven");
    assert_eq!(get("run", "back", "recovery"), None);
}

#[test]
fn every_metric_that_can_be_named_is_stored_under_a_name_that_says_its_unit() {
    let run = Run::new("  run: [ \"make.p99 < 1s\" ]\n");
    let names = squall_engine::plan::Names::of(&run.plan);
    let metrics = nameable(&run.plan);
    assert!(metrics.len() > 50);
    let mut seen = std::collections::BTreeSet::new();
    for metric in metrics {
        let (of, name) = names.stored_as(&metric).expect("it has a number");
        assert_eq!(
            squall_model::baseline::dimension(&name),
            metric.dimension(),
            "{of}.{name}"
        );
        let path = format!("{of}.{name}");
        assert!(seen.insert(path.clone()), "{path} twice");
        assert_eq!(
            stored_scope(&metric, &Scope::Run, &run.plan.phases),
            Scope::Run,
            "two phases are measured"
        );
    }
}
