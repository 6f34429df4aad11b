//! When a gate stops, and which blocks count.

use super::*;

#[test]
fn between_looks_nothing_is_decided() {
    let mut gate = Gate::new(settings()).unwrap();
    for number in 1..20 {
        let broken = || readings(&[made("refresh.p99", 3.0, 0.06)], 1);
        let block = if number <= 14 {
            undecided(number, 40)
        } else {
            broken()
        };
        assert_eq!(
            gate.take_readings(Some(block), BLOCK * number),
            Next::Block,
            "after block {number}"
        );
        assert_eq!(gate.looked_at(), if number < 14 { 0 } else { 14 });
        assert_eq!(gate.verdict(), GateVerdict::Inconclusive);
    }
    let progress = gate.progress();
    assert_eq!((progress.blocks, progress.next_look), (19, Some(20)));
    assert!(progress.metrics[0].estimate > 1.05, "it informs: {progress:?}");
}

#[test]
fn it_stops_when_the_next_look_can_not_be_reached() {
    for (time_for, stopped) in [(39, 28), (40, 40), (50, 40), (56, 56), (89, 72)] {
        let end = stops(Settings::new(BLOCK * time_for), stopped as usize);
        assert_eq!(end, (GateEnd::Budget, stopped), "time for {time_for}");
    }
}

#[test]
fn it_runs_no_more_blocks_than_it_may() {
    for (allowed, stopped) in [(200, 90), (90, 90), (89, 72), (30, 28), (5, 5)] {
        let most = Settings {
            most_blocks: NonZeroU32::new(allowed),
            ..settings()
        };
        let planned = looks::last_until(stopped as usize).unwrap_or(PILOT);
        assert_eq!(
            stops(most, planned),
            (GateEnd::Blocks, stopped),
            "{allowed} allowed"
        );
    }
}

#[test]
fn a_first_block_that_was_slow_does_not_end_it_and_time_that_is_up_does() {
    let mut gate = Gate::new(Settings::new(BLOCK * 20)).unwrap();
    let quiet = [made("cpu", 0.0, 0.01)];
    assert_eq!(
        gate.take_readings(Some(readings(&quiet, 0)), BLOCK * 4),
        Next::Block
    );
    assert_eq!(
        gate.take_readings(Some(readings(&quiet, 1)), BLOCK * 20),
        Next::Stop(GateEnd::Budget)
    );
}

#[test]
fn blocks_that_do_not_count_break_it_five_in_a_row_or_half_of_ten() {
    let mut gate = Gate::new(settings()).unwrap();
    let next: Vec<Next> = (1..=5)
        .map(|number| gate.take(invalid(number), BLOCK * number))
        .collect();
    assert_eq!(next[3..], [Next::Block, Next::Stop(GateEnd::Broken)]);
    let record = gate.conclude(GateEnd::Broken, about());
    assert_eq!(record.verdict, GateVerdict::Inconclusive);
    assert_eq!(
        record.reasons,
        ["5 of 5 blocks don't count; 5 of them: the generator was late"]
    );

    let mut gate = Gate::new(settings()).unwrap();
    // Three of four.
    let ends = (1..=10).find_map(|number| {
        let valid = (number % 4 == 0).then(|| readings(&[made("cpu", 0.0, 0.01)], 0));
        match gate.take_readings(valid, BLOCK * number) {
            Next::Block => None,
            Next::Stop(end) => Some((number, end)),
        }
    });
    assert_eq!(ends, Some((10, GateEnd::Broken)));
}

#[test]
fn only_blocks_that_count_are_looked_at() {
    let mut gate = Gate::new(settings()).unwrap();
    for number in 0..26 {
        let valid = (number % 2 == 0).then(|| readings(&[made("cpu", 0.0, 0.001)], number));
        assert_eq!(
            gate.take_readings(valid, BLOCK * (number as u32 + 1)),
            Next::Block
        );
    }
    let last = readings(&[made("cpu", 0.0, 0.001)], 26);
    assert_eq!(
        gate.take_readings(Some(last), BLOCK * 27),
        Next::Stop(GateEnd::Decided)
    );
    assert_eq!(gate.looked_at(), 14);
}
