//! What is bounded: memory for a slow reader, and what many connections leave behind.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use squall_edge::{Direction, Latency, Options, Partition};

use crate::stage::{Stage, noise, say, until};

/// What one read brings, at most.
const READ_BYTES: u64 = 64 << 10;

/// Sends 8 MiB to a reader that begins only once `at_least` bytes are held. Returns the most that was held meanwhile.
fn held_for_a_slow_reader(
    stage: &Stage,
    (mut caller, mut callee): (TcpStream, TcpStream),
    at_least: u64,
) -> u64 {
    let bytes = noise(1, 8 << 20);
    let held = || stage.seen().direction(Direction::Upstream).held_bytes;
    std::thread::scope(|scope| {
        scope.spawn(|| caller.write_all(&bytes).unwrap());
        until("so much is held", || held() >= at_least);
        let (mut read, mut most) = (Vec::new(), held());
        // If a partition held it, it lets go.
        stage.proxy.heal().unwrap();
        let mut piece = vec![0; 50_000];
        while read.len() < bytes.len() {
            let count = callee.read(&mut piece).unwrap();
            read.extend_from_slice(&piece[..count]);
            most = most.max(held());
        }
        assert!(read == bytes);
        most
    })
}

/// Both ends of every connection are in this process. A soft limit is everybody's own to raise.
fn allow_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile);
    assert!(
        limit.maximum.is_none_or(|most| most >= count),
        "this machine allows a process fewer than {count} descriptors"
    );
    if limit.current.is_some_and(|now| now < count) {
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: limit.maximum,
                ..limit
            },
        )
        .unwrap();
    }
}

/// A stage whose proxy may hold 300,000 bytes in each direction of a connection.
fn small() -> Stage {
    let options = Options {
        held_bytes_max: 300_000,
        ..Options::default()
    };
    Stage::with(options, |spec| spec)
}

#[test]
fn a_slow_reader_holds_up_its_sender() {
    let stage = Stage::new();
    let most = held_for_a_slow_reader(&stage, stage.open(), 1);
    assert!(most <= READ_BYTES, "{most}");
}

#[test]
fn a_toxic_holds_no_more_than_it_may() {
    let stage = small();
    stage.add(Direction::Upstream, Latency::of(Duration::from_millis(2)));
    let most = held_for_a_slow_reader(&stage, stage.open(), 300_000);
    assert!(most <= 300_000 + READ_BYTES, "{most}");
}

#[test]
fn a_partition_holds_no_more_than_it_may() {
    let stage = small();
    let pair = stage.open();
    stage.proxy.partition(Partition::default()).unwrap();
    let most = held_for_a_slow_reader(&stage, pair, 300_000);
    assert!(most <= 300_000 + READ_BYTES, "{most}");
}

#[test]
fn a_thousand_connections_each_get_their_own_bytes() {
    allow_descriptors(4_500);
    let stage = Stage::with(
        Options {
            threads: 2,
            ..Options::default()
        },
        |spec| spec,
    );
    stage.add(Direction::Downstream, Latency::of(Duration::from_micros(500)));
    let pairs: Vec<_> = (0..1_000).map(|_| stage.open()).collect();
    assert_eq!(stage.seen().open(), 1_000);
    assert_eq!(stage.proxy.connections().unwrap().len(), 1_000);
    for (number, (caller, callee)) in pairs.iter().enumerate() {
        say(caller, callee, &format!("to {number}"));
    }
    for (number, (_, callee)) in pairs.iter().enumerate() {
        let mut callee = callee;
        callee.write_all(format!("from {number:4}").as_bytes()).unwrap();
    }
    for (number, (caller, _)) in pairs.iter().enumerate() {
        assert_eq!(crate::stage::hear(caller, 9), format!("from {number:4}"));
    }
    drop(pairs);
    until("all are over", || stage.seen().closed == 1_000);
    for direction in Direction::BOTH {
        assert_eq!(stage.seen().direction(direction).held_bytes, 0);
    }
}
