//! Tests of the ledger: every request is asked for, sent, dropped or ended exactly once.

use std::time::Duration;

use super::*;
use crate::pacer::PacerKind;
use crate::phase::Part;
use crate::report::Slice;
use crate::spec::{Arrivals, PhaseSpec};
use crate::think::Think;
use squall_model::seed::Seed;

const TIMEOUT_NS: u64 = 5 * NS_PER_S;

fn ledger(arrivals: Arrivals, end_us: u64) -> Ledger {
    let spec = PhaseSpec {
        index: 0,
        draw: 0,
        start_us: 0,
        end_us: Some(end_us),
        arrivals: vec![arrivals],
    };
    let mut ledger = Ledger::new(0, TIMEOUT_NS, Vec::new(), Checks::default());
    ledger
        .phases
        .push(Phase::new(&spec, 0, 64, Part { at: 0, ways: 1 }, Seed::new(1)));
    ledger
}

fn open(rate_per_s: f64, end_us: u64) -> Ledger {
    ledger(
        Arrivals::Open {
            rate_per_s,
            pacer: PacerKind::Even,
        },
        end_us,
    )
}

fn slice(ledger: &mut Ledger) -> Slice {
    ledger.phases[0].take_slice(0, 0, 0, 0)
}

#[test]
fn arrivals_are_queued_when_due_and_lag_is_how_late_they_were_taken() {
    let mut ledger = open(1_000.0, 1_000_000);
    let first_ns = ledger.next_wake_ns(0, false);
    let now_ns = first_ns + 2_500 * NS_PER_US;
    ledger.advance(now_ns, false);
    assert_eq!(ledger.queue.len(), 3);
    assert_eq!(ledger.next_wake_ns(now_ns, false), first_ns + 3 * NS_PER_MS);
    let lag: Vec<_> = slice(&mut ledger).lag.buckets().collect();
    assert_eq!(lag, [(500, 1), (1_500, 1), (2_500, 1)]);
}

#[test]
fn what_the_queue_cannot_hold_is_dropped() {
    let mut ledger = open(1_000.0, 1_000_000);
    ledger.phases[0].queue_max = 2;
    ledger.advance(4_500 * NS_PER_US, false);
    let slice = slice(&mut ledger);
    assert_eq!((slice.intended, slice.dropped, ledger.queue.len()), (5, 3, 2));
    assert_eq!(ledger.phases[0].outstanding, 2);
}

#[test]
fn a_thread_without_rest_leaves_arrivals_in_the_schedule_until_a_connection_is_free() {
    let mut ledger = open(1_000.0, 1_000_000);
    let first_ns = ledger.next_wake_ns(0, false);
    let now_ns = first_ns + 5_500 * NS_PER_US;
    ledger.advance(now_ns, true);
    assert_eq!(ledger.queue.len(), 1, "one waits for the next free connection");
    assert!(
        ledger.next_wake_ns(now_ns, true) > now_ns,
        "no busy waiting for the others"
    );
    for intended_ms in 0..6 {
        let later_ns = now_ns + intended_ms * NS_PER_MS / 10;
        assert_eq!(
            ledger.next_request(later_ns).unwrap().intended_ns,
            first_ns + intended_ms * NS_PER_MS
        );
    }
    assert!(ledger.next_request(now_ns).is_none());
}

#[test]
fn what_is_far_behind_its_time_when_the_phase_is_over_was_not_sent_by_the_generator() {
    let mut ledger = open(1_000.0, 1_000_000);
    ledger.advance(500 * NS_PER_MS, true);
    assert_eq!(ledger.queue.len(), 1);
    ledger.advance(NS_PER_S + LATE_NS + 1, true);
    let slice = slice(&mut ledger);
    assert_eq!(
        (slice.intended, slice.unsent_by_generator, slice.dropped),
        (1_000, 999, 0)
    );
    assert!(
        ledger.next_request(NS_PER_S + LATE_NS + 1).is_some(),
        "what was taken up is still sent"
    );
}

#[test]
fn what_the_generator_left_in_the_schedule_is_never_counted_as_dropped() {
    let mut ledger = open(1_000.0, 1_000_000);
    ledger.timeout_ns = LATE_NS / 4;
    for now_ms in 0..3_000 {
        ledger.advance(now_ms * NS_PER_MS, true);
    }
    let slice = slice(&mut ledger);
    assert_eq!(
        (slice.intended, slice.unsent_by_generator, slice.dropped),
        (1_000, 999, 1)
    );
}

#[test]
fn a_little_late_at_the_end_of_a_phase_is_still_sent() {
    let mut ledger = open(1_000.0, 1_000_000);
    ledger.advance(NS_PER_S + LATE_NS / 2, false);
    let slice = slice(&mut ledger);
    assert_eq!(
        (slice.intended, slice.unsent_by_generator, ledger.queue.len()),
        (1_000, 0, 1_000)
    );
}

#[test]
fn what_still_waits_a_timeout_after_its_phase_is_dropped() {
    let mut ledger = open(1_000.0, 3_000);
    ledger.advance(5 * NS_PER_MS, false);
    assert_eq!(
        ledger.next_wake_ns(5 * NS_PER_MS, false),
        3 * NS_PER_MS + TIMEOUT_NS
    );
    ledger.advance(3 * NS_PER_MS + TIMEOUT_NS, false);
    assert_eq!(slice(&mut ledger).dropped, 3);
    assert!(ledger.phases[0].is_over(3 * NS_PER_MS + TIMEOUT_NS));
}

#[test]
fn a_user_sends_again_only_after_thinking_and_stops_with_the_phase() {
    let think = Duration::from_millis(10);
    let mut ledger = ledger(
        Arrivals::Closed {
            users: 2,
            think: think.into(),
        },
        15_000,
    );
    ledger.advance(0, false);
    assert_eq!(ledger.queue.len(), 2);
    let done = |ledger: &mut Ledger, now_ns| {
        let request = ledger.queue.pop_front().unwrap();
        let ended = Ended {
            request,
            started_ns: now_ns,
            now_ns,
        };
        ledger.finish(ended, None::<(ErrorKind, fn() -> String)>);
    };
    done(&mut ledger, NS_PER_MS);
    assert_eq!(ledger.queue.len(), 1);
    ledger.advance(11 * NS_PER_MS, false);
    assert_eq!(ledger.queue.len(), 2, "the first user is back");
    done(&mut ledger, 12 * NS_PER_MS);
    done(&mut ledger, 12 * NS_PER_MS);
    assert!(!ledger.phases[0].is_over(15 * NS_PER_MS), "the users think");
    ledger.advance(22 * NS_PER_MS, false);
    assert!(ledger.queue.is_empty() && ledger.phases[0].is_over(22 * NS_PER_MS));
    assert_eq!(slice(&mut ledger).intended, 3);
}

#[test]
fn a_user_whose_connection_failed_pauses() {
    let mut ledger = ledger(
        Arrivals::Closed {
            users: 1,
            think: Think::NONE,
        },
        1_000_000,
    );
    ledger.advance(0, false);
    ledger.connect_failed(0, NS_PER_MS, ErrorKind::ConnectRefused, String::new);
    assert!(ledger.queue.is_empty());
    assert_eq!(
        ledger.next_wake_ns(NS_PER_MS, false),
        NS_PER_MS + CONNECT_PAUSE_NS
    );
    let slice = slice(&mut ledger);
    assert_eq!((slice.sent, slice.completed, slice.failed), (1, 1, 1));
}
