//! Each toxic, by what it does to bytes that the test sends and reads. Each of these fails if its toxic does nothing.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use squall_edge::{
    Bandwidth, Direction, EdgeError, Latency, LimitData, ResetPeer, Slicer, SlowClose, Timeout, ToxicKind,
    ToxicSpec,
};

use crate::stage::{Stage, carry, hear, is_reset, is_silent, noise, rest, say, until};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// Every toxic that lets all bytes through in the end, quick enough for tests.
fn harmless() -> Vec<ToxicKind> {
    vec![
        Latency {
            latency: MS(3),
            jitter: MS(3),
            ..Latency::default()
        }
        .into(),
        Bandwidth { rate: 20_000 }.into(),
        SlowClose { delay: MS(20) }.into(),
        Slicer {
            average_size: 700,
            size_variation: 500,
            delay: Duration::from_micros(10),
        }
        .into(),
        LimitData { bytes: u64::MAX >> 1 }.into(),
    ]
}

#[test]
fn latency_delays_each_way_on_its_own() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    stage.add(Direction::Downstream, Latency::of(MS(60)));
    say(&caller, &callee, "not delayed");
    let start = Instant::now();
    say(&callee, &caller, "delayed");
    assert!(start.elapsed() >= MS(60));
    stage.add(Direction::Upstream, Latency::of(MS(50)));
    let start = Instant::now();
    say(&caller, &callee, "delayed");
    assert!(start.elapsed() >= MS(50));
}

#[test]
fn latency_makes_the_way_longer_and_not_narrower() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    stage.add(Direction::Upstream, Latency::of(MS(500)));
    let start = Instant::now();
    for _ in 0..20 {
        caller.write_all(b"x").unwrap();
        std::thread::park_timeout(Duration::from_micros(100));
    }
    assert_eq!(hear(&callee, 20), "x".repeat(20));
    // One after the other they would take 10 s.
    assert!((MS(500)..MS(8_000)).contains(&start.elapsed()));
}

#[test]
fn two_latencies_add_up() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    for name in ["first", "second"] {
        let toxic = ToxicSpec {
            name: name.to_owned(),
            ..ToxicSpec::new(Direction::Upstream, Latency::of(MS(30)))
        };
        stage.proxy.add_toxic(toxic).unwrap();
    }
    let start = Instant::now();
    say(&caller, &callee, "twice");
    assert!(start.elapsed() >= MS(60));
}

#[test]
fn bandwidth_limits_the_rate() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    stage.add(Direction::Upstream, Bandwidth { rate: 200 });
    let bytes = noise(1, 60_000);
    let start = Instant::now();
    assert!(carry(&caller, &callee, &bytes) == bytes);
    assert!(start.elapsed() >= MS(300), "{:?}", start.elapsed());
}

#[test]
fn a_bandwidth_of_zero_holds_until_it_is_changed() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let name = stage.add(Direction::Upstream, Bandwidth { rate: 0 });
    caller.write_all(b"held").unwrap();
    until("it is held", || {
        stage.seen().direction(Direction::Upstream).held_bytes == 4
    });
    assert_eq!(stage.proxy.connections().unwrap()[0].held_bytes, [4, 0]);
    assert!(is_silent(&callee));
    stage
        .proxy
        .change_toxic(&name, Bandwidth { rate: 1_000 }.into(), 1.0)
        .unwrap();
    assert_eq!(hear(&callee, 4), "held");
}

#[test]
fn slow_close_delays_the_end_and_not_the_bytes() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    stage.add(Direction::Upstream, SlowClose { delay: MS(80) });
    let start = Instant::now();
    say(&caller, &callee, "bytes");
    caller.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&callee), b"");
    assert!(start.elapsed() >= MS(80));
}

#[test]
fn timeout_lets_nothing_through_and_then_closes() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    stage.add(Direction::Upstream, Timeout { timeout: MS(60) });
    let start = Instant::now();
    caller.write_all(b"into the void").unwrap();
    assert_eq!(rest(&callee), b"");
    assert!(start.elapsed() >= MS(60));
    assert_eq!(rest(&caller), b"");
    until("it is counted", || {
        stage.seen().direction(Direction::Upstream).discarded_bytes == 13
    });
}

#[test]
fn a_timeout_of_zero_stays_open_and_closes_when_removed() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let name = stage.add(Direction::Upstream, Timeout::default());
    caller.write_all(b"into the void").unwrap();
    until("it is gone", || {
        stage.seen().direction(Direction::Upstream).discarded_bytes == 13
    });
    say(&callee, &caller, "the other way is free");
    assert!(is_silent(&callee));
    stage.proxy.remove_toxic(&name).unwrap();
    assert_eq!(rest(&callee), b"");
    assert_eq!(rest(&caller), b"");
}

#[test]
fn reset_peer_resets_both_ends_after_a_time() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    stage.add(Direction::Upstream, ResetPeer { timeout: MS(60) });
    let start = Instant::now();
    caller.write_all(b"x").unwrap();
    assert!(is_reset(&callee));
    assert!(is_reset(&caller));
    assert!(start.elapsed() >= MS(60));
    assert_eq!(stage.seen().reset, 1);
}

#[test]
fn a_removed_reset_peer_lets_go_what_it_held() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let name = stage.add(
        Direction::Upstream,
        ResetPeer {
            timeout: MS(3_600_000),
        },
    );
    caller.write_all(b"held").unwrap();
    until("it is held", || {
        stage.seen().direction(Direction::Upstream).held_bytes == 4
    });
    stage.proxy.remove_toxic(&name).unwrap();
    assert_eq!(hear(&callee, 4), "held");
    say(&caller, &callee, "and on");
}

#[test]
fn slicer_sends_small_pieces() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    stage.add(
        Direction::Downstream,
        Slicer {
            average_size: 10,
            size_variation: 0,
            delay: MS(1),
        },
    );
    let start = Instant::now();
    say(&callee, &caller, &"0123456789".repeat(16));
    assert!(start.elapsed() >= MS(15));
    until("every piece is counted", || {
        stage.seen().direction(Direction::Downstream).forwarded.chunks == 16
    });
    assert_eq!(stage.seen().direction(Direction::Downstream).entered.chunks, 1);
}

#[test]
fn limit_data_closes_after_its_last_byte() {
    let stage = Stage::new();
    let (caller, mut callee) = stage.open();
    stage.add(Direction::Downstream, LimitData { bytes: 25 });
    say(&callee, &caller, "0123456789");
    callee.write_all(&[b'x'; 100]).unwrap();
    assert_eq!(rest(&caller), [b'x'; 15]);
    until("it is over", || stage.seen().open() == 0);
}

#[test]
fn a_changed_limit_counts_what_passed_before() {
    let stage = Stage::new();
    let (caller, mut callee) = stage.open();
    let name = stage.add(Direction::Downstream, LimitData { bytes: 1_000 });
    say(&callee, &caller, "0123456789");
    stage
        .proxy
        .change_toxic(&name, LimitData { bytes: 12 }.into(), 1.0)
        .unwrap();
    callee.write_all(b"abcdef").unwrap();
    assert_eq!(rest(&caller), b"ab");
}

#[test]
fn a_removed_latency_lets_go_at_once_and_in_order() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let name = stage.add(Direction::Upstream, Latency::of(MS(3_600_000)));
    for part in ["one ", "two ", "three"] {
        caller.write_all(part.as_bytes()).unwrap();
    }
    until("all is held", || {
        stage.seen().direction(Direction::Upstream).held_bytes == 13
    });
    stage.proxy.remove_toxic(&name).unwrap();
    assert_eq!(hear(&callee, 13), "one two three");
    say(&caller, &callee, "on");
}

#[test]
fn a_changed_latency_is_for_what_already_waits() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let name = stage.add(Direction::Upstream, Latency::of(MS(3_600_000)));
    caller.write_all(b"waits").unwrap();
    until("it waits", || {
        stage.seen().direction(Direction::Upstream).held_bytes == 5
    });
    stage
        .proxy
        .change_toxic(&name, Latency::of(MS(1)).into(), 1.0)
        .unwrap();
    assert_eq!(hear(&callee, 5), "waits");
}

#[test]
fn an_end_waits_behind_the_bytes_before_it() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    stage.add(Direction::Upstream, Latency::of(MS(50)));
    let start = Instant::now();
    caller.write_all(b"last words").unwrap();
    drop(caller);
    assert_eq!(rest(&callee), b"last words");
    assert!(start.elapsed() >= MS(50));
}

#[test]
fn every_toxic_and_all_together_leave_the_bytes_as_they_are() {
    for (number, kinds) in harmless()
        .into_iter()
        .map(|kind| vec![kind])
        .chain([harmless()])
        .enumerate()
    {
        let stage = Stage::new();
        for kind in kinds {
            stage.add(Direction::Upstream, kind);
            stage.add(Direction::Downstream, kind);
        }
        let (caller, callee) = stage.open();
        let (up, down) = (noise(number as u64, 300_000), noise(100 + number as u64, 300_000));
        std::thread::scope(|scope| {
            let there = scope.spawn(|| carry(&caller, &callee, &up));
            assert!(carry(&callee, &caller, &down) == down, "{number}");
            assert!(there.join().unwrap() == up, "{number}");
        });
        until("it is over", || stage.seen().closed == 1);
        assert_eq!(stage.seen().reset, 0);
        for direction in Direction::BOTH {
            assert_eq!(stage.seen().direction(direction).held_bytes, 0, "{number}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Toxics come, change and go while bytes cross.
    #[test]
    fn what_is_done_while_bytes_cross_leaves_them_as_they_are(
        seed in 0_u64..1_000,
        steps in proptest::collection::vec((0_usize..5, 0_u8..3, prop::bool::ANY), 4..24),
    ) {
        let stage = Stage::new();
        let (caller, callee) = stage.open();
        let bytes = noise(seed, 1 << 20);
        let read = std::thread::scope(|scope| {
            let carrying = scope.spawn(|| carry(&caller, &callee, &bytes));
            for (which, what, full) in &steps {
                let kind = harmless()[*which];
                let spec = ToxicSpec {
                    toxicity: if *full { 1.0 } else { 0.5 },
                    ..ToxicSpec::new(Direction::Upstream, kind)
                };
                // What is not there can't be changed or removed, and what is there not be added: those steps do nothing.
                let _ = match what {
                    0 => stage.proxy.add_toxic(spec),
                    1 => stage.proxy.change_toxic(&spec.name, kind, spec.toxicity),
                    _ => stage.proxy.remove_toxic(&spec.name),
                };
                std::thread::park_timeout(Duration::from_micros(300));
            }
            carrying.join().unwrap()
        });
        prop_assert!(read == bytes);
    }
}

#[test]
fn a_share_of_the_connections_has_a_toxic_and_more_of_them_keep_it() {
    let stage = Stage::new();
    let name = "some".to_owned();
    let limit = LimitData { bytes: 0 };
    let toxic = ToxicSpec {
        name,
        toxicity: 0.3,
        ..ToxicSpec::new(Direction::Upstream, limit)
    };
    stage.proxy.add_toxic(toxic.clone()).unwrap();
    let pairs: Vec<_> = (0..60).map(|_| stage.open()).collect();
    // A toxic of another name draws for itself and changes nothing.
    stage.add(Direction::Upstream, Latency::of(MS(1)));
    let has = |(mut caller, mut callee): (std::net::TcpStream, std::net::TcpStream)| {
        caller.write_all(b"x").unwrap();
        // Whoever has it is closed before the byte, by an end or by a reset.
        callee.read(&mut [0]).map_or(true, |count| count == 0)
    };
    let had: Vec<bool> = pairs.into_iter().map(has).collect();
    let count = had.iter().filter(|has| **has).count();
    assert!((6..=30).contains(&count), "{count}");

    let again = Stage::new();
    again
        .proxy
        .add_toxic(ToxicSpec {
            toxicity: 0.6,
            ..toxic
        })
        .unwrap();
    let pairs: Vec<_> = (0..60).map(|_| again.open()).collect();
    let has_now: Vec<bool> = pairs.into_iter().map(has).collect();
    assert!(had.iter().zip(&has_now).all(|(before, now)| !before || *now));
    assert!(has_now.iter().filter(|has| **has).count() > count);
}

#[test]
fn what_met_a_toxic_is_counted_before_and_after() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    say(&caller, &callee, "before");
    let name = stage.add(Direction::Upstream, Latency::of(MS(1)));
    let before = &stage.seen().toxics[0];
    assert_eq!((before.met.connections, before.met.amount.bytes), (0, 0));
    assert_eq!(before.met.first_ns, None);
    say(&caller, &callee, "met");
    say(&caller, &callee, "met again");
    stage.proxy.remove_toxic(&name).unwrap();
    say(&caller, &callee, "after");
    let seen = stage.seen();
    let toxic = &seen.toxics[0];
    assert_eq!(
        (toxic.name.as_str(), toxic.type_name),
        ("latency_upstream", "latency")
    );
    assert_eq!((toxic.met.connections, toxic.met.amount.bytes), (1, 12));
    let (first, last) = (toxic.met.first_ns.unwrap(), toxic.met.last_ns.unwrap());
    assert!(toxic.added_ns <= first && first < last && last <= toxic.removed_ns.unwrap());
    assert_eq!(seen.direction(Direction::Upstream).entered.bytes, 23);
}

#[test]
fn what_cannot_be_told_apart_or_is_not_there_is_refused() {
    let stage = Stage::new();
    let name = stage.add(Direction::Upstream, Latency::of(MS(1)));
    let twice = stage
        .proxy
        .add_toxic(ToxicSpec::new(Direction::Upstream, Latency::of(MS(2))));
    assert_eq!(
        twice.unwrap_err().to_string(),
        "proxy edge: there is a toxic latency_upstream already"
    );
    assert!(matches!(
        stage.proxy.remove_toxic("other"),
        Err(EdgeError::Unknown { .. })
    ));
    let other_type = stage.proxy.change_toxic(&name, Timeout::default().into(), 1.0);
    assert!(matches!(other_type, Err(EdgeError::Unknown { .. })));
    let share = ToxicSpec {
        toxicity: 1.5,
        ..ToxicSpec::new(Direction::Upstream, Timeout::default())
    };
    assert!(matches!(
        stage.proxy.add_toxic(share),
        Err(EdgeError::Share { .. })
    ));
    assert_eq!(stage.proxy.toxics().len(), 1);
}

#[test]
fn a_look_since_a_moment_tells_of_nothing_that_was_over_by_then() {
    let stage = Stage::new();
    for _ in 0..3 {
        let name = stage.add(Direction::Upstream, Latency::of(Duration::from_millis(1)));
        stage.proxy.remove_toxic(&name).unwrap();
    }
    let before = stage.seen();
    assert_eq!(before.toxics.len(), 3);
    let name = stage.add(Direction::Upstream, Latency::of(Duration::from_millis(1)));
    let names = |since_ns| -> Vec<bool> {
        let toxics = stage.proxy.seen_since(since_ns).toxics;
        toxics.iter().map(|toxic| toxic.removed_ns.is_none()).collect()
    };
    assert_eq!((names(before.at_ns), names(u64::MAX)), (vec![true], vec![true]));
    stage.proxy.remove_toxic(&name).unwrap();
    assert_eq!((names(before.at_ns), names(u64::MAX)), (vec![false], vec![]));
}
