//! Which metrics are tested and which a pass waits for.

use super::*;

#[test]
fn what_decides_is_chosen_by_spread_alone() {
    let names = [
        "cpu", "a.p50", "b.p50", "c.p50", "a.p99", "b.p99", "c.p99", "a.p999", "b.p999", "pause", "a.errors",
        "b.errors",
    ];
    let mut chosen = Vec::new();
    for number in 0..40 {
        let seed = Seed::new(number);
        let choose = |moved: &dyn Fn(usize) -> f64| {
            let mut gate = Gate::new(settings()).unwrap();
            for block in 0..PILOT {
                let of = |(at, name): (usize, &&str)| {
                    let of_metric = seed.child(name);
                    let scale = if name.ends_with("errors") { 0.03 } else { 1.0 };
                    let spread = 0.12 * unit(&mut of_metric.rng()) * scale;
                    let change = spread * normal(of_metric.child("noise"), block) + moved(at);
                    (MetricId::parse(name).unwrap(), paired(change))
                };
                gate.readings.push(names.iter().enumerate().map(of).collect());
            }
            gate.elapsed = BLOCK * PILOT as u32;
            gate.look(looks::levels(PILOT, NonZeroU32::MIN).unwrap());
            deciding(&gate)
        };
        let still = choose(&|_| 0.0);
        // Powers of two, so that adding them rounds little.
        assert_eq!(still, choose(&|_| 0.5));
        assert_eq!(still, choose(&|_| -2.0));
        assert_eq!(still, choose(&|at| (at as f64 - 5.0) / 4.0));
        chosen.push(still.len());
    }
    assert!(
        chosen.contains(&MOST_DECIDING) && chosen.iter().any(|count| *count < MOST_DECIDING),
        "{chosen:?}"
    );
}

#[test]
fn at_most_eight_decide_and_of_equals_the_first_kinds() {
    let equals = [
        "cpu",
        "a.p50",
        "b.p50",
        "a.p99",
        "b.p99",
        "a.p999",
        "b.p999",
        "a.throughput",
        "a.errors",
        "b.errors",
        "pause",
    ];
    let metrics: Vec<Made> = equals.iter().rev().map(|name| made(name, 0.0, 1e-5)).collect();
    let (gate, _) = run(settings(), &metrics);
    assert_eq!(deciding(&gate), equals[..8]);
    let record = gate.conclude(GateEnd::Decided, about());
    assert_eq!(metric(&record, "pause").why_not, "8 others are seen sooner");
    let order: Vec<bool> = record.metrics.iter().map(|metric| metric.decides).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "those that decide come first");
}

#[test]
fn those_decide_first_that_are_seen_sooner() {
    let noisier = ["cpu", "a.p50", "b.p50", "c.p50"].map(|name| made(name, 0.0, 0.045));
    let quiet = ["a.p99", "b.p99", "c.p99", "d.p99", "e.p99", "f.p99"].map(|name| made(name, 0.0, 0.001));
    let metrics: Vec<Made> = noisier.into_iter().chain(quiet).collect();
    let (gate, _) = run(settings(), &metrics);
    let deciding = deciding(&gate);
    let tails = deciding.iter().filter(|name| name.ends_with("p99")).count();
    assert_eq!((tails, deciding.len()), (6, 8), "{deciding:?}");
}

#[test]
fn what_there_are_too_few_blocks_for_does_not_decide() {
    let few = Settings {
        most_blocks: NonZeroU32::new(30),
        ..settings()
    };
    assert_eq!(stops(few, 56), (GateEnd::Environment, 14));
}

#[test]
fn a_metric_that_some_blocks_lack_takes_as_many_more_and_one_that_most_lack_is_not_tested() {
    let with = |every: u32| {
        let mut gate = Gate::new(settings()).unwrap();
        for number in 1..=14 {
            let mut block = readings(&[made("cpu", 0.0, 0.02)], number as usize);
            let pause = if number % every == 0 {
                Reading::Absent("no meter".to_owned())
            } else {
                paired(0.1 * normal(Seed::new(3), number as usize))
            };
            block.insert(MetricId::parse("pause").unwrap(), pause);
            gate.take_readings(Some(block), BLOCK * number);
        }
        gate.conclude(GateEnd::Interrupted, about())
    };
    let half = with(2);
    let pause = metric(&half, "pause");
    let plan = pause.plan.unwrap();
    let whole = planner::Noise {
        spread: plan.spread,
        share: 1.0,
    };
    let needed = planner::needed(whole, Limits::PAUSE);
    assert!((plan.needed.unwrap() - 2.0 * needed).abs() < 1e-9, "{plan:?}");
    assert_eq!(pause.finding.unwrap().blocks, 7);
    let none = with(1);
    let pause = metric(&none, "pause");
    assert_eq!((pause.finding, pause.plan), (None, None));
    assert_eq!(pause.why_not, "0 of the first 14 blocks have a value: no meter");
}

/// That nothing failed decides only where nothing else was asked for.
#[test]
fn errors_alone_carry_no_pass_where_times_were_measured() {
    let blocks = [made("refresh.errors", 0.0, 0.0), made("refresh.p99", 0.0, 0.8)];
    let record = concluded(settings(), &blocks);
    assert_eq!(
        (record.verdict, record.end),
        (GateVerdict::Inconclusive, GateEnd::Environment)
    );
    let errors = metric(&record, "refresh.errors");
    assert!(
        !errors.decides && errors.why_not.starts_with("errors alone carry no pass"),
        "{errors:?}"
    );
    let asked = Settings {
        metrics: vec!["errors".to_owned()],
        ..settings()
    };
    assert_eq!(concluded(asked, &blocks).verdict, GateVerdict::Pass);
    let worse = [made("refresh.errors", 0.1, 0.001), made("refresh.p99", 0.0, 0.8)];
    assert_eq!(
        concluded(settings(), &worse).verdict,
        GateVerdict::Regressed,
        "it blocks all the same"
    );
}

#[test]
fn a_metric_that_does_not_decide_still_raises_the_alarm() {
    let record = concluded(
        settings(),
        &[made("cpu", 0.0, 0.01), made("refresh.p99", 2.0, 0.6)],
    );
    assert_eq!(record.verdict, GateVerdict::Regressed);
    let p99 = metric(&record, "refresh.p99");
    assert!(!p99.decides && p99.finding.unwrap().verdict == GateVerdict::Regressed);
}

#[test]
fn a_name_of_nothing_is_said() {
    let record = concluded(accept("refrsh.p99", 0.08), &[made("refresh.p99", 0.0, 0.01)]);
    assert_eq!(record.advice, ["`refrsh.p99` names no metric of this gate"]);
}

#[test]
fn only_metrics_that_were_asked_for_are_tested() {
    let only = Settings {
        metrics: vec!["p50".to_owned()],
        ..settings()
    };
    let record = concluded(
        only,
        &[made("refresh.p50", 0.0, 0.01), made("refresh.p99", 1.0, 0.01)],
    );
    assert_eq!(record.verdict, GateVerdict::Pass);
    let p99 = metric(&record, "refresh.p99");
    assert_eq!(
        (p99.finding, p99.why_not.as_str()),
        (None, "not among the metrics that were asked for")
    );
}
