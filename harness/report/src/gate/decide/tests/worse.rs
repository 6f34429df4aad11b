//! What looks worse and is not shown yet: a gate goes on for it, and says so where the time is up.

use super::*;

/// Of a service that stalls now and then: CPU time hardly varies, and P99 is several times as long, but for some blocks.
fn stalling(number: usize, spared: &[usize]) -> Readings {
    let cpu = [0.004, -0.003, 0.001, -0.002][number % 4];
    let p99 = if spared.contains(&number) {
        -0.4 - 0.01 * number as f64
    } else {
        1.2 + 0.05 * number as f64
    };
    let reading = |name: &str, change| (MetricId::parse(name).unwrap(), paired(change));
    [reading("cpu", cpu), reading("feed.p99", p99)]
        .into_iter()
        .collect()
}

fn gate(settings: Settings, spared: &[usize]) -> (Gate, GateEnd) {
    run_of(settings, |number| stalling(number, spared))
}

#[test]
fn a_pass_waits_for_what_looks_worse_until_more_blocks_show_it() {
    let (gate, end) = gate(settings(), &[3, 6, 7]);
    assert_eq!((gate.verdict(), end), (GateVerdict::Regressed, GateEnd::Decided));
    assert!(
        gate.looked_at() > looks::LOOKS[0],
        "it was not shown at the first look"
    );
    assert!(gate.tested("cpu").unwrap().decides() && !gate.tested("feed.p99").unwrap().decides());
}

#[test]
fn what_looks_worse_when_the_time_is_up_is_said_beside_the_pass() {
    let short = Settings::new(BLOCK * 15);
    let (gate, end) = gate(short, &[3, 6, 7]);
    assert_eq!((gate.verdict(), end), (GateVerdict::Pass, GateEnd::Budget));
    let record = gate.conclude(end, about());
    let found = metric(&record, "feed.p99").finding.unwrap();
    assert!(found.p_value <= 0.05 && found.p_value > found.alpha, "{found:?}");
    assert!(
        record.blind_spot.contains(", and looks worse (+")
            && record.blind_spot.ends_with("which is not shown"),
        "{}",
        record.blind_spot
    );
}

#[test]
fn a_pass_does_not_wait_for_what_only_varies() {
    let (gate, end) = gate(settings(), &[0, 2, 4, 6, 8, 10, 12]);
    assert_eq!((gate.verdict(), end), (GateVerdict::Pass, GateEnd::Decided));
    assert_eq!(gate.looked_at(), looks::LOOKS[0]);
    assert!(!gate.conclude(end, about()).blind_spot.contains("looks worse"));
}

/// A gate that waits is not one that passed: what it waits for may be why its blocks go wrong.
#[test]
fn a_gate_that_breaks_off_or_is_ended_while_it_waits_has_not_passed() {
    let mut gate = Gate::new(settings()).unwrap();
    let mut next = Next::Block;
    for number in 0..looks::LOOKS[0] {
        next = gate.take_readings(Some(stalling(number, &[3, 6, 7])), BLOCK * (number as u32 + 1));
    }
    assert_eq!((gate.verdict(), next), (GateVerdict::Pass, Next::Block));
    for end in [GateEnd::Broken, GateEnd::Interrupted] {
        let record = gate.conclude(end, about());
        assert_eq!(record.verdict, GateVerdict::Inconclusive, "{end:?}");
        assert_eq!(record.blind_spot, "", "{end:?}");
    }
    assert_eq!(gate.conclude(GateEnd::Budget, about()).verdict, GateVerdict::Pass);
}
