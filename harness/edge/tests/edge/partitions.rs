//! Partitions: what is held, reset, refused or left waiting, and that healing makes up for what was held.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};

use squall_edge::{Direction, EdgeError, Latency, NewConnections, OpenConnections, Partition};

use crate::stage::{
    Stage, accept, carry, connect, hear, is_reset, is_silent, noise, resets, rest, say, until,
};

fn held(stage: &Stage, direction: Direction) -> u64 {
    stage.seen().direction(direction).held_bytes
}

#[test]
fn a_stall_holds_both_ways_and_healing_delivers_in_order() {
    let stage = Stage::new();
    let (mut caller, mut callee) = stage.open();
    say(&caller, &callee, "before");
    stage.proxy.partition(Partition::default()).unwrap();
    for part in ["one ", "two ", "three"] {
        caller.write_all(part.as_bytes()).unwrap();
    }
    callee.write_all(b"back").unwrap();
    until("all is held", || {
        held(&stage, Direction::Upstream) == 13 && held(&stage, Direction::Downstream) == 4
    });
    assert!(is_silent(&callee) && is_silent(&caller));
    let seen = stage.seen();
    let partition = &seen.partitions[0];
    assert_eq!(
        partition.met.map(|met| (met.connections, met.amount.bytes)),
        [(1, 13), (1, 4)]
    );
    assert!(partition.began_ns <= partition.met[0].first_ns.unwrap());
    stage.proxy.heal().unwrap();
    assert_eq!(hear(&callee, 13), "one two three");
    assert_eq!(hear(&caller, 4), "back");
    say(&caller, &callee, "after");
    let seen = stage.seen();
    assert_eq!(seen.partitions[0].met[0].amount.bytes, 13);
    assert!(seen.partitions[0].healed_ns.unwrap() >= seen.partitions[0].met[0].last_ns.unwrap());
}

#[test]
fn one_direction_can_be_cut_alone() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let cut = Partition {
        direction: Some(Direction::Upstream),
        ..Partition::default()
    };
    stage.proxy.partition(cut).unwrap();
    assert_eq!(stage.proxy.partitioned(), Some(cut));
    caller.write_all(b"held").unwrap();
    say(&callee, &caller, "passes");
    until("it is held", || held(&stage, Direction::Upstream) == 4);
    assert!(is_silent(&callee));
    stage.proxy.heal().unwrap();
    assert_eq!(hear(&callee, 4), "held");
    assert_eq!(stage.proxy.partitioned(), None);
}

#[test]
fn an_end_is_held_as_bytes_are() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    stage.proxy.partition(Partition::default()).unwrap();
    caller.write_all(b"last words").unwrap();
    caller.shutdown(Shutdown::Write).unwrap();
    until("it is held", || held(&stage, Direction::Upstream) == 10);
    assert!(is_silent(&callee));
    stage.proxy.heal().unwrap();
    assert_eq!(rest(&callee), b"last words");
    say(&callee, &caller, "answer");
}

#[test]
fn what_a_toxic_delays_is_held_too() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let name = stage.add(
        Direction::Upstream,
        Latency::of(std::time::Duration::from_hours(1)),
    );
    caller.write_all(b"on its way").unwrap();
    until("it is on its way", || held(&stage, Direction::Upstream) == 10);
    stage.proxy.partition(Partition::default()).unwrap();
    assert_eq!(stage.seen().partitions[0].met[0].amount.bytes, 0);
    // It comes out of the toxic, and no further.
    stage.proxy.remove_toxic(&name).unwrap();
    until("it meets the partition", || {
        stage.seen().partitions[0].met[0].amount.bytes == 10
    });
    assert!(is_silent(&callee));
    stage.proxy.heal().unwrap();
    assert_eq!(hear(&callee, 10), "on its way");
}

#[test]
fn large_amounts_survive_many_partitions() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    let bytes = noise(3, 8 << 20);
    let read = std::thread::scope(|scope| {
        let carrying = scope.spawn(|| carry(&caller, &callee, &bytes));
        for _ in 0..20 {
            stage.proxy.partition(Partition::default()).unwrap();
            std::thread::park_timeout(std::time::Duration::from_micros(500));
            stage.proxy.heal().unwrap();
        }
        carrying.join().unwrap()
    });
    assert!(read == bytes);
}

#[test]
fn open_connections_can_be_reset() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    say(&caller, &callee, "before");
    let cut = Partition {
        open: OpenConnections::Reset,
        new: NewConnections::Refuse,
        ..Partition::default()
    };
    stage.proxy.partition(cut).unwrap();
    assert!(is_reset(&caller));
    assert!(is_reset(&callee));
    let seen = stage.seen();
    assert_eq!((seen.partitions[0].reset, seen.reset, seen.open()), (1, 1, 0));
}

#[test]
fn one_direction_alone_cannot_be_reset() {
    let stage = Stage::new();
    let cut = Partition {
        direction: Some(Direction::Upstream),
        open: OpenConnections::Reset,
        new: NewConnections::Refuse,
    };
    let refused = stage.proxy.partition(cut);
    assert!(matches!(refused, Err(EdgeError::OneWayReset { .. })));
    assert_eq!(stage.proxy.partitioned(), None);
}

#[test]
fn new_connections_are_refused_and_served_again_after_healing() {
    let stage = Stage::new();
    let cut = Partition {
        new: NewConnections::Refuse,
        ..Partition::default()
    };
    let (caller, callee) = stage.open();
    stage.proxy.partition(cut).unwrap();
    let refused = TcpStream::connect(stage.proxy.listen()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    stage.proxy.heal().unwrap();
    say(&caller, &callee, "the open one went on");
    let (caller, callee) = stage.open();
    say(&caller, &callee, "a new one");
}

#[test]
fn new_connections_can_be_reset_and_counted() {
    let stage = Stage::new();
    let cut = Partition {
        new: NewConnections::Reset,
        ..Partition::default()
    };
    stage.proxy.partition(cut).unwrap();
    assert!(resets(stage.proxy.listen()));
    let seen = stage.seen();
    assert_eq!((seen.refused, seen.opened, seen.partitions[0].refused), (1, 0, 1));
}

#[test]
fn new_connections_are_left_waiting_and_served_after_healing() {
    let stage = Stage::new();
    stage.proxy.partition(Partition::default()).unwrap();
    let mut caller = connect(stage.proxy.listen());
    caller.write_all(b"anybody there?").unwrap();
    // A thread that has followed a later order has had its chance to accept.
    stage.proxy.set_upstream(stage.proxy.upstream()).unwrap();
    assert_eq!(stage.seen().opened, 0);
    until("the kernel has it waiting", || {
        stage.proxy.waiting().unwrap() == Some(1)
    });
    assert!(is_silent(&caller));
    stage.proxy.heal().unwrap();
    let callee = accept(&stage.callee);
    assert_eq!(hear(&callee, 14), "anybody there?");
    assert_eq!(stage.proxy.waiting().unwrap(), Some(0));
}

#[test]
fn a_partition_in_place_of_another_ends_the_first() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    let up = Partition {
        direction: Some(Direction::Upstream),
        ..Partition::default()
    };
    let down = Partition {
        direction: Some(Direction::Downstream),
        ..Partition::default()
    };
    stage.proxy.partition(up).unwrap();
    caller.write_all(b"held").unwrap();
    until("it is held", || held(&stage, Direction::Upstream) == 4);
    stage.proxy.partition(down).unwrap();
    assert_eq!(hear(&callee, 4), "held");
    let seen = stage.seen();
    assert!(seen.partitions[0].healed_ns.is_some() && seen.partitions[1].healed_ns.is_none());
}

#[test]
fn what_one_partition_held_meets_the_next() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    stage.proxy.partition(Partition::default()).unwrap();
    caller.write_all(b"held").unwrap();
    until("it is held", || held(&stage, Direction::Upstream) == 4);
    stage.proxy.partition(Partition::default()).unwrap();
    caller.write_all(b" on").unwrap();
    until("both met the second", || {
        stage.seen().partitions[1].met[0].amount.bytes == 7
    });
    assert_eq!(stage.seen().partitions[1].met[0].connections, 1);
    stage.proxy.heal().unwrap();
    assert_eq!(hear(&callee, 7), "held on");
}

#[test]
fn a_disabled_proxy_stays_down_when_a_partition_heals() {
    let stage = Stage::new();
    stage.proxy.disable().unwrap();
    let cut = Partition {
        new: NewConnections::Refuse,
        ..Partition::default()
    };
    stage.proxy.partition(cut).unwrap();
    stage.proxy.heal().unwrap();
    assert!(TcpStream::connect(stage.proxy.listen()).is_err());
}
