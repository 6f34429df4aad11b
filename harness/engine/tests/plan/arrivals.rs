//! Arrival processes: from a scenario to the times at which requests are sent.

use std::fs;
use std::time::Duration;

use expect_test::expect;
use squall_engine::plan::{PACERS, Plan, show};
use squall_load::{Arrivals, pacer};

use crate::rig::{around, check, plan, quick, read};

/// A load with these arrivals, over two phases of ten seconds; `changes` are those of the second.
fn with(load: &str, changes: &str) -> String {
    around(&format!(
        "load:\n  make: {{ to: ids, http: {{ get: / }}, {load} }}\nphases:\n  - {{ phase: own, for: 10s }}\n  \
         - {{ phase: changed, for: 10s, load: {{ {changes} }} }}\n"
    ))
}

/// What the timeline of a plan says of its loads.
fn timeline(plan: &Plan) -> String {
    let text = show(plan);
    let loads = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("make "));
    loads.skip(1).collect::<Vec<_>>().join("\n") + "\n"
}

/// The times of a load's arrivals in a phase, in nanoseconds since its begin.
fn times(plan: &Plan, load: usize, phase: usize) -> Vec<u64> {
    let Arrivals::Open { rate_per_s, pacer } = &plan.phases[phase].arrivals[load] else {
        return Vec::new();
    };
    // As the generator does it.
    let seed = plan.loads[load].seed.child("arrivals").child(&phase.to_string());
    let mut pacer = pacer::build(pacer, *rate_per_s, seed).expect("it was checked");
    let length = plan.phases[phase].length.as_nanos();
    std::iter::from_fn(|| pacer.next_arrival_ns())
        .take_while(|ns| u128::from(*ns) < length)
        .collect()
}

/// A file of times, and its path for a scenario.
fn trace(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trace.csv");
    fs::write(&path, text).expect("it can be written");
    (folder, path.display().to_string())
}

#[test]
fn every_process_can_be_written_and_scaled() {
    let (_folder, path) = trace("at,what\n100.0,a\n100.5,b\n102,c\n");
    let table = [
        "rate: 100/s".to_owned(),
        "rate: 100/s, arrivals: poisson".to_owned(),
        "arrivals: { ramp: { from: 100/s, to: 300/s } }".to_owned(),
        "arrivals: { ramp: { from: 100/s, to: 0/s, over: 5s, spread: poisson } }".to_owned(),
        "arrivals: { step: { from: 100/s, to: 300/s, steps: 5 } }".to_owned(),
        "arrivals: { step: { from: 100/s, to: 300/s, every: 4s } }".to_owned(),
        "arrivals: { sine: { low: 0/s, high: 300/s, period: 2s } }".to_owned(),
        "arrivals: { sine: { mean: 100/s, amplitude: 20/s, period: 2s, spread: poisson } }".to_owned(),
        "arrivals: { burst: { size: 100, every: 2s } }".to_owned(),
        "rate: 100/s, arrivals: { burst: { size: 50 } }".to_owned(),
        "rate: 100/s, arrivals: { burst: { every: 4s } }".to_owned(),
        format!("arrivals: {{ trace: {path} }}"),
        format!("arrivals: {{ trace: {{ file: {path}, repeat: true, speed: 0.5x }} }}"),
    ];
    let shown: Vec<String> = table
        .iter()
        .map(|load| timeline(&plan(&with(load, "make: 5x"))))
        .collect();
    expect![[r#"
        make 100/s, even
        make 500/s, even
        make 100/s, poisson
        make 500/s, poisson
        make 200/s on average, ramp from 100/s to 300/s over 10.0 s
        make 1.00k/s on average, ramp from 500/s to 1.50k/s over 10.0 s
        make 25/s on average, ramp from 100/s to 0/s over 5.00 s, poisson
        make 125/s on average, ramp from 500/s to 0/s over 5.00 s, poisson
        make 200/s on average, 5 stairs of 2.00 s from 100/s to 300/s
        make 1.00k/s on average, 5 stairs of 2.00 s from 500/s to 1.50k/s
        make 180/s on average, 3 stairs of 4.00 s from 100/s to 300/s
        make 900/s on average, 3 stairs of 4.00 s from 500/s to 1.50k/s
        make 150/s on average, sine from 0/s to 300/s every 2.00 s
        make 750/s on average, sine from 0/s to 1.50k/s every 2.00 s
        make 100/s on average, sine from 80/s to 120/s every 2.00 s, poisson
        make 500/s on average, sine from 400/s to 600/s every 2.00 s, poisson
        make 50/s on average, bursts of 100 every 2.00 s
        make 250/s on average, bursts of 500 every 2.00 s
        make 100/s on average, bursts of 50 every 500 ms
        make 500/s on average, bursts of 50 every 100 ms
        make 120/s on average, bursts of 400 every 4.00 s
        make 600/s on average, bursts of 2.00k every 4.00 s
        make 0.30/s on average, trace of 3 arrivals over 2.00 s
        make 0.30/s on average, trace of 3 arrivals over 2.00 s at 5x
        make 0.50/s on average, trace of 3 arrivals over 2.00 s at 0.5x, again and again
        make 2.60/s on average, trace of 3 arrivals over 2.00 s at 2.5x, again and again
    "#]]
    .assert_eq(&shown.concat());
}

#[test]
fn every_process_is_in_the_list() {
    let names: Vec<&str> = PACERS.iter().map(|pacer| pacer.name).collect();
    assert_eq!(
        names,
        ["even", "poisson", "ramp", "step", "sine", "burst", "trace"]
    );
    for name in names {
        let (_, found) = read(
            &with(&format!("arrivals: {{ {name}: {{ nonsense: 1 }} }}"), ""),
            false,
        );
        assert!(found.contains("error"), "{name}: {found}");
    }
}

#[test]
fn a_load_has_one_source_of_its_rate() {
    check(
        &around(
            "load:
  both: { to: ids, http: { get: / }, rate: 1k/s, arrivals: { ramp: { from: 1/s, to: 2/s } } }
  none: { to: ids, http: { get: / }, arrivals: poisson }
  burst: { to: ids, http: { get: / }, arrivals: { burst: { size: 5 } } }
  three: { to: ids, http: { get: / }, rate: 1k/s, arrivals: { burst: { size: 5, every: 1s } } }
  fine: { to: ids, http: { get: / }, arrivals: { ramp: { from: 1/s, to: 2/s } } }
  plain: { to: ids, http: { get: / }, rate: 5/s }
phases:
  - { phase: a, for: 1s, load: { fine: 50/s } }
  - { phase: b, for: 1s, load: { fine: { arrivals: even } } }
  - { phase: c, for: 1s, load: { plain: { rate: 5/s, arrivals: { ramp: { from: 1/s, to: 2/s } } } } }
  - { phase: d, for: 1s, load: { fine: { users: 5 } } }
",
        ),
        &expect![[r#"
            s.yaml:5:44: error: `ramp` has rates of its own
              s.yaml:5:62: here
              help: leave `rate` out
            s.yaml:6:48: error: `poisson` needs `rate`
            s.yaml:7:51: error: `burst` needs `rate`, or both `size` and `every`
            s.yaml:8:45: error: `burst` has rates of its own
              s.yaml:8:63: here
              help: leave `rate` out
            s.yaml:12:40: error: `ramp` has rates of its own
              s.yaml:9:50: here
              help: scale it with a factor, or replace it: { rate: 100/s, arrivals: even }
            s.yaml:13:52: error: `even` needs `rate`
              help: give it a rate: { rate: 100/s, arrivals: ... }
            s.yaml:14:49: error: `ramp` has rates of its own
              s.yaml:14:66: here
              help: scale it with a factor, or replace it: { rate: 100/s, arrivals: even }
            s.yaml:15:49: error: `fine` has a rate: it has no users to change
              s.yaml:9:50: what the load has"#]],
    );
}

#[test]
fn what_cannot_be_paced_is_refused_where_it_stands() {
    check(
        &around(
            "load:
  zero: { to: ids, http: { get: / }, arrivals: { ramp: { from: 0/s, to: 0/s } } }
  ramp: { to: ids, http: { get: / }, arrivals: { ramp: { from: 5, to: 2M/s, ower: 5s } } }
  high: { to: ids, http: { get: / }, arrivals: { ramp: { from: 5/s, to: 2M/s } } }
  word: { to: ids, http: { get: / }, arrivals: ramp }
  steps: { to: ids, http: { get: / }, arrivals: { step: { from: 5/s, to: 2/s, steps: 1 } } }
  every: { to: ids, http: { get: / }, arrivals: { step: { from: 5/s, to: 2/s, every: 0s } } }
  wave: { to: ids, http: { get: / }, arrivals: { sine: { low: 5/s, high: 2/s, period: 1s } } }
  deep: { to: ids, http: { get: / }, arrivals: { sine: { mean: 5/s, amplitude: 6/s, period: 1s } } }
  half: { to: ids, http: { get: / }, arrivals: { sine: { mean: 5/s, high: 6/s, period: 1s } } }
  burst: { to: ids, http: { get: / }, arrivals: { burst: { size: 0, every: 1s } } }
  empty: { to: ids, http: { get: / }, arrivals: { burst: {} } }
  trace: { to: ids, http: { get: / }, arrivals: { trace: no-such-file.csv } }
  folder: { to: ids, http: { get: / }, arrivals: { trace: { file: / } } }
  still: { to: ids, http: { get: / }, arrivals: { trace: { repeat: true } } }
",
        ),
        &expect![[r#"
            s.yaml:6:50: error: pacing a ramp: all its rates are zero; give it one above
            s.yaml:7:64: error: `5` has no unit: write 5/s
            s.yaml:7:77: error: unknown key `ower`
              help: did you mean `over`?
            s.yaml:8:50: error: 2.00M/s is more than can be scheduled
              help: at most 1.00M/s
            s.yaml:9:48: error: the key `from` is missing
            s.yaml:9:48: error: the key `to` is missing
            s.yaml:10:51: error: pacing a step: 1 stairs; there must be 2 to 100000
            s.yaml:11:51: error: a stair of no length
            s.yaml:12:50: error: `low` is 5/s, above `high`, which is 2/s
            s.yaml:13:50: error: pacing a sine: an amplitude of 6 requests/s is more than the mean of 5
            s.yaml:14:58: error: `mean` needs `amplitude`
            s.yaml:14:69: error: `high` needs `low`
            s.yaml:15:51: error: pacing bursts of 0: a size must be above 0
            s.yaml:16:58: error: one of `size` or `every` is needed
            s.yaml:17:58: error: the trace `no-such-file.csv` cannot be replayed: No such file or directory (os error 2)
            s.yaml:18:67: error: the trace `/` cannot be replayed: it is no file
            s.yaml:19:58: error: the key `file` is missing"#]],
    );
}

#[test]
fn a_trace_that_is_none_is_refused_with_its_line() {
    let (_folder, path) = trace("1.0\nlater\n");
    let (plan, found) = read(&with(&format!("arrivals: {{ trace: {path} }}"), ""), false);
    assert!(plan.is_none());
    assert!(found.contains("line 2: `later` is no time"), "{found}");
    // Once, though two phases have the load.
    assert_eq!(found.matches("error").count(), 1, "{found}");
}

#[test]
fn a_phase_replaces_arrivals_and_they_start_with_it() {
    let plan = plan(&with(
        "rate: 100/s, arrivals: poisson",
        "make: { arrivals: { ramp: { from: 0/s, to: 100/s, over: 4s } } }",
    ));
    assert_eq!(timeline(&plan).lines().count(), 2);
    let changed = times(&plan, 0, 1);
    // Two hundred while it climbs, six hundred at the top.
    assert_eq!(changed.len(), 800);
    let climbing = changed.iter().filter(|ns| **ns < 4_000_000_000).count();
    assert!((199..=200).contains(&climbing), "{climbing}");
}

#[test]
fn ten_times_as_much_takes_effect_within_one_interval() {
    for load in [
        "rate: 100/s",
        "arrivals: { ramp: { from: 100/s, to: 100/s } }",
        "arrivals: { step: { from: 100/s, to: 100/s, steps: 2 } }",
        "arrivals: { sine: { mean: 100/s, amplitude: 0/s, period: 1s } }",
        "arrivals: { burst: { size: 1, every: 10ms } }",
    ] {
        let plan = plan(&with(load, "make: 10x"));
        let (before, after) = (times(&plan, 0, 0), times(&plan, 0, 1));
        assert_eq!((before.len(), after.len()), (1_000, 10_000), "{load}");
        // The first interval of the new rate, ten milliseconds of the old one, has all of its requests.
        let early = after.iter().filter(|ns| **ns < 10_000_000).count();
        assert!((9..=11).contains(&early), "{load}: {early}");
    }
}

#[test]
fn a_load_keeps_its_arrivals_when_another_is_added() {
    for load in [
        "rate: 300/s",
        "rate: 300/s, arrivals: poisson",
        "arrivals: { ramp: { from: 100/s, to: 300/s, spread: poisson } }",
        "arrivals: { step: { from: 100/s, to: 300/s, steps: 3 } }",
        "arrivals: { sine: { low: 100/s, high: 300/s, period: 2s } }",
        "arrivals: { burst: { size: 7, every: 90ms } }",
    ] {
        let make = format!("  make: {{ to: ids, http: {{ get: / }}, {load} }}\n");
        let other = "  a-first: { to: ids, http: { get: / }, rate: 50/s, arrivals: poisson }\n";
        let alone = plan(&around(&format!("load:\n{make}")));
        let beside = plan(&around(&format!("load:\n{other}{make}")));
        let (alone, beside) = (times(&alone, 0, 0), times(&beside, 1, 0));
        assert!(alone.len() > 500, "{load}");
        assert_eq!(alone, beside, "{load}");
    }
}

#[test]
fn the_rate_in_the_record_is_what_is_sent_on_average() {
    for load in [
        "arrivals: { ramp: { from: 100/s, to: 300/s } }",
        "arrivals: { step: { from: 100/s, to: 300/s, every: 3s } }",
        "arrivals: { sine: { low: 100/s, high: 300/s, period: 3s } }",
        "arrivals: { burst: { size: 30, every: 300ms } }",
    ] {
        let plan = plan(&with(load, ""));
        let Arrivals::Open { rate_per_s, .. } = plan.phases[0].arrivals[0] else {
            panic!("{load}: an open loop");
        };
        let sent = times(&plan, 0, 0).len() as f64;
        assert!(
            (rate_per_s * 10.0 - sent).abs() <= 1.0,
            "{load}: {rate_per_s}/s, {sent} sent"
        );
    }
}

#[test]
fn phases_that_are_scaled_down_take_ramps_stairs_and_waves_with_them() {
    let of = |load: &str| {
        timeline(&quick(&with(load, "")))
            .lines()
            .next()
            .map(str::to_owned)
    };
    let table = [
        (
            "arrivals: { ramp: { from: 0/s, to: 100/s, over: 5s } }",
            "over 1.00 s",
        ),
        (
            "arrivals: { step: { from: 0/s, to: 100/s, every: 2s } }",
            "5 stairs of 400 ms",
        ),
        (
            "arrivals: { sine: { low: 0/s, high: 100/s, period: 5s } }",
            "every 1.00 s",
        ),
        ("arrivals: { burst: { size: 5, every: 1s } }", "every 1.00 s"),
    ];
    for (load, expected) in table {
        let line = of(load).expect("a line");
        assert!(line.contains(expected), "{load}: {line}");
    }
    assert_eq!(quick(&with("rate: 1/s", "")).length(), Duration::from_secs(4));
}
