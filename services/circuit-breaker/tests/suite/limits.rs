//! A limit of calls per second is never exceeded: not by any sequence of calls, not by any number of threads.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use proptest::prelude::*;
use squall_circuit_breaker::FeedPolicy;
use squall_circuit_breaker::flow::limiter::Limiter;
use squall_circuit_breaker::window::Span;

const MS: u64 = 1_000_000;
const HALF_SECOND_MS: u64 = 500;

/// The most that were admitted in any window of this length that begins at a multiple of `step_ms`, or anywhere if that is 1.
fn most(admitted_ms: &[u64], window_ms: u64, step_ms: u64) -> usize {
    let from = admitted_ms.first().copied().unwrap_or(0) / step_ms * step_ms;
    let to = admitted_ms.last().copied().unwrap_or(0);
    let within = |start: u64| {
        let is_before = |end: u64| admitted_ms.partition_point(|at| *at < end);
        is_before(start + window_ms) - is_before(start)
    };
    (from.saturating_sub(window_ms)..=to)
        .filter(|start| start.is_multiple_of(step_ms))
        .map(within)
        .max()
        .unwrap_or(0)
}

/// Calls as (milliseconds since the one before, how many).
fn calls() -> impl Strategy<Value = Vec<(u64, usize)>> {
    let gap = prop_oneof![4 => 0_u64..30, 2 => 100_u64..600, 1 => 900_u64..2_500];
    prop::collection::vec((gap, 1_usize..40), 1..80)
}

/// The times in milliseconds at which a limiter admitted.
fn admitted_ms(limiter: &Limiter, calls: &[(u64, usize)], limit: u64) -> Vec<u64> {
    let mut now_ms = 0;
    let mut admitted = Vec::new();
    for (gap_ms, count) in calls {
        now_ms += gap_ms;
        admitted.extend((0..*count).filter_map(|_| limiter.admit(now_ms * MS, limit).map(|_| now_ms)));
    }
    admitted
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn at_most_the_limit_passes_in_a_second_of_whole_buckets_and_in_any_half_second(calls in calls(), limit in 0_u64..60) {
        let admitted = admitted_ms(&Limiter::new(Span::SECOND), &calls, limit);
        prop_assert!(most(&admitted, 1_000, HALF_SECOND_MS) as u64 <= limit);
        prop_assert!(most(&admitted, HALF_SECOND_MS, 1) as u64 <= limit);
        prop_assert!(most(&admitted, 1_000, 1) as u64 <= 2 * limit);
    }

    #[test]
    fn finer_buckets_hold_the_limit_in_any_nine_tenths_of_the_window(calls in calls(), limit in 1_u64..60) {
        let limiter = Limiter::new(Span::new(1_000, 10).unwrap());
        let admitted = admitted_ms(&limiter, &calls, limit);
        prop_assert!(most(&admitted, 900, 1) as u64 <= limit);
    }

    /// The window of the feed's own rules, of which one bucket is more than a second.
    #[test]
    fn a_window_longer_by_a_bucket_holds_the_limit_in_any_second(calls in calls(), limit in 1_u64..60) {
        let limiter = Limiter::new(FeedPolicy::rules().flow[0].span());
        let admitted = admitted_ms(&limiter, &calls, limit);
        prop_assert!(most(&admitted, 1_000, 1) as u64 <= limit);
    }

    #[test]
    fn one_thread_is_refused_only_when_the_window_is_full(calls in calls(), limit in 1_u64..60) {
        let limiter = Limiter::new(Span::SECOND);
        let mut now_ms = 0;
        let mut admitted: Vec<u64> = Vec::new();
        for (gap_ms, count) in calls {
            now_ms += gap_ms;
            for _ in 0..count {
                let first_ms = (now_ms / HALF_SECOND_MS).saturating_sub(1) * HALF_SECOND_MS;
                let in_window = admitted.iter().filter(|at| **at >= first_ms).count() as u64;
                let passes = limiter.admit(now_ms * MS, limit).is_some();
                prop_assert_eq!(passes, in_window < limit, "{} of {} at {} ms", in_window, limit, now_ms);
                admitted.extend(passes.then_some(now_ms));
            }
        }
    }

    #[test]
    fn what_is_given_back_can_be_had_again(limit in 1_u64..200, given in 1_usize..50) {
        let limiter = Limiter::new(Span::SECOND);
        let take_all = || (0..1_000).filter(|_| limiter.admit(0, limit).is_some()).count();
        prop_assert_eq!(take_all() as u64, limit);
        let given = given.min(limit as usize);
        (0..given).for_each(|_| limiter.give_back(0));
        prop_assert_eq!(take_all(), given);
    }
}

#[test]
fn threads_together_get_exactly_the_limit_of_a_window() {
    const THREADS: usize = 6;
    for limit in [1, 7, 500, 5_000] {
        let limiter = Limiter::new(Span::SECOND);
        let admitted = AtomicU64::new(0);
        let gate = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    gate.wait();
                    for _ in 0..2_000 {
                        admitted.fetch_add(
                            u64::from(limiter.admit(3 * MS, limit).is_some()),
                            Ordering::Relaxed,
                        );
                    }
                });
            }
        });
        let left = (0..limit)
            .filter(|_| limiter.admit(3 * MS, limit).is_some())
            .count() as u64;
        assert_eq!(admitted.load(Ordering::Relaxed) + left, limit);
        // A refusal while permits were on their way is allowed; a shortfall of many would be a bug.
        assert!(left < 64 * THREADS as u64, "{left} of {limit} were withheld");
    }
}

/// Each thread has a clock of its own, and they disagree by up to a bucket and a half. By the times at which the limiter says that calls
/// count, the limit holds all the same.
#[test]
fn threads_whose_clocks_disagree_never_pass_more_than_the_limit() {
    const THREADS: u64 = 4;
    const UNTIL_MS: u64 = 200 * HALF_SECOND_MS;
    const LIMIT: u64 = 25;
    let limiter = Limiter::new(Span::SECOND);
    let gate = Barrier::new(THREADS as usize);
    // All follow this one, each from a distance of its own.
    let latest_ms = AtomicU64::new(1_000);
    let asks = |thread: u64| {
        let mut admitted_ms = Vec::new();
        gate.wait();
        for number in 0.. {
            let latest = latest_ms.fetch_add(1 + thread, Ordering::AcqRel);
            if latest > UNTIL_MS {
                break;
            }
            let now_ms = latest - (number * 97 + thread * 250) % 750;
            let counted = (0..3).filter_map(|_| limiter.admit(now_ms * MS, LIMIT));
            admitted_ms.extend(
                counted
                    .inspect(|at| assert!(*at >= now_ms * MS))
                    .map(|at| at / MS),
            );
        }
        admitted_ms
    };
    let mut admitted_ms = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let asks = &asks;
                    move || asks(thread)
                })
            })
            .collect();
        let all = threads.into_iter().map(|thread| thread.join().unwrap());
        all.collect::<Vec<_>>().concat()
    });
    admitted_ms.sort_unstable();
    assert!(most(&admitted_ms, 1_000, HALF_SECOND_MS) as u64 <= LIMIT);
    assert!(most(&admitted_ms, HALF_SECOND_MS, 1) as u64 <= LIMIT);
    let seconds = UNTIL_MS / 1_000;
    let total = admitted_ms.len() as u64;
    assert!(total >= seconds * LIMIT / 2, "only {total} in {seconds} s");
}
