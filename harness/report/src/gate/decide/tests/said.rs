//! What a gate says of what it knows.

use super::*;

#[test]
fn the_same_code_passes_and_says_what_it_could_not_see() {
    let record = concluded(
        settings(),
        &[
            made("cpu", 0.0, 0.01),
            made("refresh.p50", 0.0, 0.02),
            made("refresh.p99", 0.0, 0.5),
        ],
    );
    assert_eq!(
        (record.verdict, record.end, record.exit_code),
        (GateVerdict::Pass, GateEnd::Decided, 0)
    );
    assert_eq!((record.looked_at, record.stopped_early), (14, true));
    assert!(
        record.blind_spot.starts_with("pass: cpu (below +")
            && record
                .blind_spot
                .contains("refresh.p99 not decidable here, would see +"),
        "{}",
        record.blind_spot
    );
    // It would have seen less if it had gone on; it has not.
    let of = |blocks| {
        let tests = looks::Tests {
            gates: NonZeroU32::MIN,
            metrics: 3,
        };
        let spread = metric(&record, "refresh.p99").plan.unwrap().spread;
        planner::smallest(
            planner::Noise { spread, share: 1.0 },
            Limits::USUAL,
            blocks,
            tests,
        )
        .unwrap()
    };
    let seen = words::change(squall_model::gate::MetricScale::Ratio, of(14));
    assert!(
        record.blind_spot.ends_with(&format!("would see {seen}")),
        "{}",
        record.blind_spot
    );
    let planned = metric(&record, "refresh.p99").plan.unwrap().smallest.unwrap();
    assert!((planned - of(90)).abs() < 1e-12);
    assert_eq!(
        record.reasons,
        ["cpu, refresh.p50: not worse by as much as is not tolerated"]
    );
    assert!(record.advice.is_empty(), "{:?}", record.advice);
}

#[test]
fn a_regression_stops_the_gate_at_a_look() {
    let record = concluded(
        settings(),
        &[made("cpu", 0.0, 0.01), made("refresh.p99", 1.2_f64.ln(), 0.05)],
    );
    assert_eq!(
        (record.verdict, record.end, record.exit_code),
        (GateVerdict::Regressed, GateEnd::Decided, 97)
    );
    assert_eq!(record.looked_at, 14);
    assert!(
        record.reasons[0].starts_with("refresh.p99 regressed: +"),
        "{:?}",
        record.reasons
    );
    assert!(record.blind_spot.is_empty());
    let finding = metric(&record, "refresh.p99").finding.unwrap();
    assert!(finding.lower.unwrap() > 1.02 && finding.p_value <= finding.alpha && !finding.accepted);
}

#[test]
fn what_improved_is_said_and_blocks_nothing() {
    let record = concluded(settings(), &[made("cpu", -0.3, 0.01)]);
    assert_eq!((record.verdict, record.exit_code), (GateVerdict::Improved, 0));
    assert_eq!(record.blind_spot, "improved: cpu (below +0.0 %)");
    assert!(
        record.reasons[1].starts_with("cpu improved: -26 %"),
        "{:?}",
        record.reasons
    );
}

#[test]
fn where_nothing_can_be_decided_it_stops_at_the_first_look_and_says_what_would_help() {
    let record = concluded(
        settings(),
        &[made("refresh.p50", 0.0, 0.4), made("refresh.p99", 0.0, 0.8)],
    );
    assert_eq!(
        (record.verdict, record.end, record.exit_code),
        (GateVerdict::Inconclusive, GateEnd::Environment, 0)
    );
    assert_eq!((record.looked_at, record.stopped_early), (14, false));
    assert!(
        metric(&record, "refresh.p50")
            .why_not
            .starts_with("not decidable here, would see +")
    );
    assert!(
        record.advice[0].starts_with("refresh.p50 varies by ") && record.advice[0].contains("7.0 % would do"),
        "{:?}",
        record.advice
    );
}

#[test]
fn more_time_is_advised_where_it_would_do() {
    let short = Settings::new(BLOCK * 20);
    let record = concluded(short, &[made("refresh.p99", 0.0, 0.05)]);
    assert_eq!(record.end, GateEnd::Environment);
    let plan = metric(&record, "refresh.p99").plan.unwrap();
    let look = looks::first_from(plan.needed.unwrap().ceil() as usize).unwrap();
    let minutes = (look as f64 * BLOCK.as_secs_f64() / 60.0).ceil();
    assert!(
        record.advice[0].starts_with(&format!("a budget of {minutes} minutes")),
        "{:?}",
        record.advice
    );
}

#[test]
fn what_was_seen_of_the_machine_is_advised_by() {
    let mut gate = Gate::new(settings()).unwrap();
    for number in 0..3 {
        let mut block = violating(&[]);
        block.number = number;
        block.host.strangers = Some(0.23);
        block.host.steal = Some(0.001);
        block.host.oversleep_us_p99 = Some(3_200);
        gate.take(block, BLOCK);
    }
    let record = gate.conclude(GateEnd::Interrupted, about());
    assert_eq!(record.host.strangers, Some(0.23));
    assert!(
        record.advice[0].starts_with("other programs had 23 %"),
        "{:?}",
        record.advice
    );
    assert!(record.advice[1].contains("3.2 ms late"), "{:?}", record.advice);
    assert_eq!(record.advice.len(), 2);
}

#[test]
fn what_is_not_decided_is_said_with_its_interval() {
    let mut gate = Gate::new(settings()).unwrap();
    for number in 1..=20 {
        gate.take_readings(Some(undecided(number, 40)), BLOCK * number);
    }
    let record = gate.conclude(GateEnd::Interrupted, about());
    assert_eq!(record.verdict, GateVerdict::Inconclusive);
    let [reason] = &record.reasons[..] else {
        panic!("one is enough: {:?}", record.reasons);
    };
    assert!(
        reason.starts_with("not decided: refresh.p99 +")
            && reason.ends_with("in 20 blocks before somebody ended it"),
        "{reason}"
    );
}

#[test]
fn without_a_base_there_is_no_verdict() {
    let gate = Gate::new(settings()).unwrap();
    let record = gate.conclude(GateEnd::NoBase, about());
    assert_eq!((record.verdict, record.exit_code), (GateVerdict::NoBase, 0));
    assert_eq!(record.reasons.len(), 1);
}

#[test]
fn the_gates_of_a_command_share_alpha() {
    let shared = Settings {
        gates: NonZeroU32::new(3).unwrap(),
        ..settings()
    };
    let alpha = |settings| {
        let record = concluded(settings, &[made("cpu", 0.0, 0.01)]);
        record.metrics[0].finding.unwrap().alpha
    };
    assert!((alpha(settings()) / alpha(shared) - 3.0).abs() < 1e-12);
}

#[test]
fn exit_codes_are_those_that_are_documented() {
    use GateVerdict::{Improved, Inconclusive, NoBase, Pass, Regressed};
    let strict = Policy {
        fail_on_inconclusive: true,
        ..BLOCKING
    };
    let advise = Policy {
        blocks_merge: false,
        fail_on_inconclusive: true,
    };
    let table = [
        (Regressed, false, 97),
        (Regressed, true, 98),
        (Inconclusive, false, 96),
        (Pass, false, 0),
        (Improved, false, 0),
        (NoBase, false, 0),
    ];
    for (verdict, violates, code) in table {
        assert_eq!(exit(verdict, violates, strict).code(), code, "{verdict:?}");
        assert_eq!(exit(verdict, violates, advise).code(), 0, "{verdict:?}");
    }
    assert_eq!(exit(Inconclusive, false, BLOCKING), Exit::Pass);
}

#[test]
fn real_blocks_go_all_the_way_into_a_record_that_can_be_read_again() {
    use super::super::super::metric::tests::{block, slice};
    let mut gate = Gate::new(settings()).unwrap();
    let mut end = None;
    for number in 1..=14 {
        let of = |name: &str, us: f64| {
            let at = |slice_number: usize| {
                let noise = normal(Seed::new(9).child(name).nth(number), slice_number);
                slice(1_000, (us * (0.01 * noise).exp()) as u64)
            };
            [at(0), at(1), at(2)]
        };
        let block = BlockRecord {
            number: number as u32,
            ..block(&of("base", 20_000.0), &of("candidate", 26_000.0))
        };
        if let Next::Stop(why) = gate.take(block, BLOCK * number as u32) {
            end = Some(why);
        }
    }
    assert_eq!(end, Some(GateEnd::Decided));
    let record = gate.conclude(GateEnd::Decided, about());
    assert_eq!(record.verdict, GateVerdict::Regressed);
    let p99 = metric(&record, "refresh.p99");
    let estimate = p99.finding.unwrap().estimate;
    assert!((estimate - 1.3).abs() < 0.05, "{estimate}");
    assert_eq!((p99.kind, p99.of.as_deref()), (MetricKind::P99, Some("refresh")));
    assert_eq!((p99.values.len(), p99.changes.len()), (14, 14));
    assert_eq!(
        metric(&record, "refresh.errors").finding.unwrap().verdict,
        GateVerdict::Pass
    );
    assert!(
        metric(&record, "refresh.p999")
            .why_not
            .contains("needs 10000 requests in a block, which holds 3000")
    );
    let text = serde_json::to_string(&record).unwrap();
    let again: GateRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(again.metrics.len(), record.metrics.len());
    assert_eq!(again.reasons, record.reasons);
}

#[test]
fn the_same_blocks_get_the_same_record() {
    let of = || {
        concluded(
            settings(),
            &[made("cpu", 0.0, 0.03), made("refresh.p99", 0.04, 0.06)],
        )
    };
    assert_eq!(of(), of());
}
