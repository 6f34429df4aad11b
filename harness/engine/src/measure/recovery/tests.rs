//! Loads whose truth is known: a server with a law of recovery, simulated row by row.

use squall_load::Samples;
use squall_load::Slice;
use squall_load::recorder::Recorder;

use super::band::TooFew;
use super::{Felt, HELD_US, History, ROW_US, Recovery, Window};

/// Requests a second.
const RATE: u64 = 2_000;
const PER_ROW: u64 = RATE * ROW_US / 1_000_000;
/// The baseline, and when the fault is injected and healed.
const BASELINE: (u64, u64) = (0, 5_000_000);
const INJECTED: u64 = 6_030_000;
const HEALED: u64 = 8_010_000;
const END: u64 = 20_000_000;

/// The usual latency of request `number`: 2 ms, one in fifty takes 8 ms.
fn usual_us(number: u64) -> u64 {
    if number % 50 == 7 {
        8_000
    } else {
        2_000 + number % 13
    }
}

/// A load whose request that is asked for at `t` takes `latency(t)`, or fails at once where that is nothing.
fn history(latency: impl Fn(u64, u64) -> Option<u64>) -> History {
    let mut history = History::new(Some(BASELINE));
    let mut rows: Vec<(Recorder, Slice)> = Vec::new();
    let row = |rows: &mut Vec<(Recorder, Slice)>, us: u64| {
        let at = (us / ROW_US) as usize;
        while rows.len() <= at {
            let start_us = rows.len() as u64 * ROW_US;
            let slice = Slice {
                start_us,
                end_us: start_us + ROW_US,
                ..Slice::default()
            };
            rows.push((Recorder::new(), slice));
        }
        at
    };
    for number in 0..END / 1_000_000 * RATE {
        let asked_us = number * 1_000_000 / RATE;
        let at = row(&mut rows, asked_us);
        rows[at].1.intended += 1;
        let took = latency(number, asked_us);
        let took_us = took.unwrap_or(100);
        let at = row(&mut rows, asked_us + took_us);
        rows[at].1.completed += 1;
        rows[at].1.failed += u64::from(took.is_none());
        rows[at].0.record_us(took_us);
    }
    for (mut recorder, slice) in rows {
        let response: Samples = recorder.take();
        history.add(&Slice { response, ..slice });
    }
    history
}

fn felt(mut history: History) -> Felt {
    let window = Window {
        injected_us: INJECTED,
        healed_us: HEALED,
        until_us: END,
    };
    history.felt(window).unwrap().unwrap()
}

#[test]
fn what_a_load_does_not_feel_is_over_at_once() {
    let felt = felt(history(|number, _| Some(usual_us(number))));
    assert_eq!((felt.detect_us, felt.recovery), (None, Recovery::After(0)));
    // Chance and the edges of rows, but nothing of the size of a fault: under a tenth of a millisecond a request.
    assert!(felt.debt_us < RATE * 2 * 100, "{felt:?}");
}

#[test]
fn the_recovery_of_a_known_law_is_found_to_a_row() {
    // The excess falls as exp(-t / constant); the latency is in its band when usual plus excess is no more than the P99 of 8 ms.
    for (excess_us, constant_us) in [
        (100_000_f64, 300_000_f64),
        (400_000.0, 1_000_000.0),
        (50_000.0, 2_000_000.0),
    ] {
        let felt = felt(history(|number, at_us| {
            let excess = match at_us {
                INJECTED..HEALED => excess_us,
                HEALED.. => excess_us * (-((at_us - HEALED) as f64) / constant_us).exp(),
                _ => 0.0,
            };
            Some(usual_us(number) + excess as u64)
        }));
        // One in fifty is over, which is more than one in a hundred, until its own 8 ms are: the others decide.
        let truth_us = constant_us * (excess_us / 6_000.0).ln();
        let Recovery::After(found_us) = felt.recovery else {
            panic!("{felt:?}")
        };
        let error_us = (found_us as f64 - truth_us).abs();
        assert!(
            error_us <= (truth_us * 0.1).max(100_000.0),
            "{found_us} for {truth_us}"
        );
        assert!(
            felt.detect_us.unwrap() <= 2 * ROW_US + excess_us as u64,
            "{felt:?}"
        );
        // Two seconds of the whole excess, and what the decay leaves until then.
        let debt = RATE as f64 / 1e6
            * excess_us
            * ((HEALED - INJECTED) as f64 + constant_us * (1.0 - 6_000.0 / excess_us));
        assert!(
            (felt.debt_us as f64 / debt - 1.0).abs() < 0.1,
            "{} for {debt}",
            felt.debt_us
        );
    }
}

#[test]
fn errors_alone_are_felt() {
    let felt = felt(history(|number, at_us| {
        let fails = (INJECTED..HEALED + 700_000).contains(&at_us) && number % 20 == 0;
        (!fails).then(|| usual_us(number))
    }));
    assert!(felt.detect_us.unwrap() <= 2 * ROW_US, "{felt:?}");
    let Recovery::After(us) = felt.recovery else {
        panic!("{felt:?}")
    };
    assert!(us.abs_diff(700_000) <= ROW_US, "{felt:?}");
}

#[test]
fn silence_is_felt() {
    // Nothing ends while the fault holds; then all that waited does, and the queue is gone at once.
    let felt = felt(history(|number, at_us| match at_us {
        INJECTED..HEALED => Some(HEALED - at_us + 1_000),
        _ => Some(usual_us(number)),
    }));
    assert!(felt.detect_us.unwrap() <= 2 * ROW_US, "{felt:?}");
    assert!(
        matches!(felt.recovery, Recovery::After(us) if us <= 2 * ROW_US),
        "{felt:?}"
    );
}

#[test]
fn a_load_that_stays_ill_has_not_recovered() {
    let felt = felt(history(|number, at_us| {
        Some(usual_us(number) + if at_us < INJECTED { 0 } else { 30_000 })
    }));
    assert_eq!(felt.recovery, Recovery::NotWithin(END - HEALED));
    assert_eq!(
        Recovery::NotWithin(5).worse(Recovery::After(9)),
        Recovery::NotWithin(5),
        "what is not over is worse than what took long"
    );
}

#[test]
fn a_relapse_within_the_time_to_hold_is_no_recovery() {
    let relapse = HEALED + HELD_US - 2 * ROW_US;
    let felt = felt(history(|number, at_us| {
        let ill = (INJECTED..HEALED).contains(&at_us) || (relapse..relapse + ROW_US).contains(&at_us);
        Some(usual_us(number) + if ill { 30_000 } else { 0 })
    }));
    let Recovery::After(us) = felt.recovery else {
        panic!("{felt:?}")
    };
    assert!(us >= relapse + ROW_US - HEALED, "{felt:?}");
}

#[test]
fn what_comes_after_recovery_is_not_the_faults_doing() {
    let later = HEALED + 4 * HELD_US;
    let felt = felt(history(|number, at_us| {
        let ill = (later..later + ROW_US).contains(&at_us);
        Some(usual_us(number) + if ill { 30_000 } else { 0 })
    }));
    assert_eq!((felt.detect_us, felt.recovery), (None, Recovery::After(0)));
}

#[test]
fn without_a_baseline_or_with_too_short_a_one_nothing_is_said() {
    let window = Window {
        injected_us: INJECTED,
        healed_us: HEALED,
        until_us: END,
    };
    let mut none = History::new(None);
    assert_eq!(none.felt(window), Ok(None));
    let mut short = History::new(Some((0, 300_000)));
    let mut recorder = Recorder::new();
    (0..PER_ROW).for_each(|number| recorder.record_us(usual_us(number)));
    short.add(&Slice {
        completed: PER_ROW,
        response: recorder.take(),
        end_us: ROW_US,
        ..Slice::default()
    });
    assert_eq!(short.felt(window), Err(TooFew(PER_ROW)));
    // A fault that was injected before the baseline was over can't be held to it.
    let early = Window {
        injected_us: BASELINE.1 - 1,
        ..window
    };
    assert_eq!(history(|number, _| Some(usual_us(number))).felt(early), Ok(None));
}
