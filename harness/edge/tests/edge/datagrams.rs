//! Datagrams through a proxy, with both ends in the test's hands.

use std::collections::HashSet;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use squall_edge::{
    DatagramFaults, DatagramProxy, DatagramSpec, Direction, EdgeError, Latency, Options, Proxies,
};
use squall_model::seed::Seed;

use crate::stage::{PATIENCE, own, until};

struct Stage {
    proxy: DatagramProxy,
    proxies: Proxies,
    caller: UdpSocket,
    callee: UdpSocket,
}

fn socket(on: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(on)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

impl Stage {
    fn new() -> Stage {
        Stage::with(|spec| spec)
    }

    fn with(change: impl FnOnce(DatagramSpec) -> DatagramSpec) -> Stage {
        let callee = socket(loopback()).unwrap();
        let proxies = Proxies::start(Options::default()).unwrap();
        let spec = change(DatagramSpec::new("edge", callee.local_addr().unwrap()));
        let proxy = proxies.datagram(spec, Seed::new(7)).unwrap();
        let caller = socket(loopback()).unwrap();
        caller.connect(proxy.listen()).unwrap();
        Stage {
            proxy,
            proxies,
            caller,
            callee,
        }
    }

    /// Sends numbered datagrams, each after the one before was decided about.
    fn send(&self, count: u64) {
        let start = self.proxy.seen().directions[0].entered.chunks;
        for number in 0..count {
            self.caller.send(&number.to_be_bytes()).unwrap();
            until("it has entered", || {
                self.proxy.seen().directions[0].entered.chunks > start + number
            });
        }
    }

    /// The numbers that have arrived, or will, until `last` comes.
    fn received(&self, count: u64) -> Vec<u64> {
        (0..count)
            .map(|_| {
                let mut bytes = [0; 8];
                assert_eq!(self.callee.recv(&mut bytes).unwrap(), 8);
                u64::from_be_bytes(bytes)
            })
            .collect()
    }

    fn up(&self, faults: DatagramFaults) {
        self.proxy.set_faults(Direction::Upstream, faults).unwrap();
    }

    /// What was sent on upstream, once all that was not dropped has been.
    fn forwarded(&self, count: u64) -> u64 {
        until("all are decided about", || {
            let up = self.proxy.seen().directions[0];
            up.forwarded.chunks + up.lost.chunks + up.cut.chunks == count + up.duplicated.chunks
        });
        self.proxy.seen().directions[0].forwarded.chunks
    }
}

#[test]
fn datagrams_cross_both_ways_and_each_caller_hears_its_own() {
    let stage = Stage::new();
    let other = socket(loopback()).unwrap();
    other.connect(stage.proxy.listen()).unwrap();
    let mut bytes = [0; 64];
    for (caller, text) in [
        (&stage.caller, "from one"),
        (&other, "from the other"),
        (&stage.caller, "again"),
    ] {
        caller.send(text.as_bytes()).unwrap();
        let (count, from) = stage.callee.recv_from(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], text.as_bytes());
        stage
            .callee
            .send_to(format!("to {text}").as_bytes(), from)
            .unwrap();
        let count = caller.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..count], format!("to {text}").as_bytes());
    }
    until("all is counted", || {
        stage.proxy.seen().directions[1].forwarded.chunks == 3
    });
    let seen = stage.proxy.seen();
    assert_eq!((seen.flows_opened, seen.flows), (2, 2));
    assert_eq!(
        (
            seen.directions[0].entered.chunks,
            seen.directions[0].forwarded.bytes
        ),
        (3, 27)
    );
}

#[test]
fn empty_and_large_datagrams_cross_unchanged() {
    let stage = Stage::new();
    for size in [0, 1, 1_472, 60_000] {
        let sent = crate::stage::noise(size as u64, size);
        stage.caller.send(&sent).unwrap();
        let mut bytes = vec![0; 65_536];
        let count = stage.callee.recv(&mut bytes).unwrap();
        assert!(bytes[..count] == sent, "{size}");
    }
}

#[test]
fn loss_drops_the_share_that_the_seed_says() {
    let run = || {
        let stage = Stage::new();
        stage.up(DatagramFaults {
            loss: 0.5,
            ..DatagramFaults::default()
        });
        stage.send(100);
        let forwarded = stage.forwarded(100);
        assert!((25..=75).contains(&forwarded), "{forwarded}");
        let met = stage.proxy.seen().directions[0];
        assert!(met.first_met_ns.unwrap() <= met.last_met_ns.unwrap());
        stage.received(forwarded)
    };
    let first = run();
    assert!(first.is_sorted());
    assert_eq!(first, run());
}

#[test]
fn duplicates_arrive_twice() {
    let stage = Stage::new();
    stage.up(DatagramFaults {
        duplicate: 1.0,
        ..DatagramFaults::default()
    });
    stage.send(3);
    assert_eq!(stage.received(6), [0, 0, 1, 1, 2, 2]);
    assert_eq!(stage.proxy.seen().directions[0].duplicated.chunks, 3);
}

#[test]
fn reordered_datagrams_arrive_after_the_next() {
    let stage = Stage::new();
    stage.up(DatagramFaults {
        reorder: 1.0,
        ..DatagramFaults::default()
    });
    // Both at once: one that waits alone goes on by itself after a while.
    stage.caller.send(&0_u64.to_be_bytes()).unwrap();
    stage.caller.send(&1_u64.to_be_bytes()).unwrap();
    let mut received = stage.received(2);
    let reordered = received == [1, 0];
    received.sort_unstable();
    assert_eq!(received, [0, 1]);
    // A machine that stood still for 100 ms between the two let the first go alone.
    assert!(reordered || stage.proxy.seen().directions[0].reordered.chunks == 2);
}

#[test]
fn a_reordered_datagram_without_a_next_one_arrives_in_the_end() {
    let stage = Stage::new();
    stage.up(DatagramFaults {
        reorder: 1.0,
        ..DatagramFaults::default()
    });
    let start = Instant::now();
    stage.send(1);
    assert_eq!(stage.received(1), [0]);
    assert!(start.elapsed() >= Duration::from_millis(100));
}

#[test]
fn corruption_flips_exactly_one_bit() {
    let stage = Stage::new();
    stage.up(DatagramFaults {
        corrupt: 1.0,
        ..DatagramFaults::default()
    });
    stage.send(20);
    let received = stage.received(20);
    let flips: Vec<u64> = received
        .iter()
        .zip(0..)
        .map(|(got, sent): (&u64, u64)| got ^ sent)
        .collect();
    assert!(flips.iter().all(|flip| flip.is_power_of_two()), "{flips:?}");
    assert!(flips.iter().collect::<HashSet<_>>().len() > 5, "{flips:?}");
}

#[test]
fn delay_is_for_its_direction() {
    let stage = Stage::new();
    stage.up(DatagramFaults {
        delay: Some(Latency::of(Duration::from_millis(60))),
        ..DatagramFaults::default()
    });
    let start = Instant::now();
    stage.send(1);
    assert_eq!(stage.received(1), [0]);
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert_eq!(stage.proxy.seen().directions[0].delayed.chunks, 1);
    assert_eq!(
        stage.proxy.faults(Direction::Downstream),
        DatagramFaults::default()
    );
}

#[test]
fn a_partition_drops_what_comes_and_what_was_on_its_way() {
    let stage = Stage::new();
    let delay = Duration::from_millis(400);
    stage.up(DatagramFaults {
        delay: Some(Latency::of(delay)),
        ..DatagramFaults::default()
    });
    let start = Instant::now();
    stage.send(1);
    stage.proxy.partition(None).unwrap();
    // On a machine that stood still meanwhile the first has gone.
    let is_on_its_way = start.elapsed() < delay;
    stage.send(2);
    until("all three are decided about", || {
        let up = stage.proxy.seen().directions[0];
        up.cut.chunks + up.forwarded.chunks == 3
    });
    if is_on_its_way {
        assert_eq!(stage.proxy.seen().directions[0].cut.chunks, 3);
        stage.proxy.heal().unwrap();
        stage.up(DatagramFaults::default());
        stage.caller.send(&7_u64.to_be_bytes()).unwrap();
        assert_eq!(stage.received(1), [7]);
    }
}

#[test]
fn the_caller_silent_longest_makes_room_for_a_new_one() {
    let stage = Stage::with(|spec| DatagramSpec { flows_max: 2, ..spec });
    let callers: Vec<UdpSocket> = (0..3).map(|_| socket(loopback()).unwrap()).collect();
    for caller in &callers {
        caller.connect(stage.proxy.listen()).unwrap();
        caller.send(b"x").unwrap();
        assert_eq!(stage.callee.recv(&mut [0]).unwrap(), 1);
    }
    let seen = stage.proxy.seen();
    assert_eq!((seen.flows_opened, seen.flows), (3, 2));
    callers[0].send(b"x").unwrap();
    assert_eq!(stage.callee.recv(&mut [0]).unwrap(), 1);
    assert_eq!(stage.proxy.seen().flows_opened, 4);
}

#[test]
fn a_callee_that_is_not_there_harms_nothing() {
    let nobody = socket(own(5)).unwrap().local_addr().unwrap();
    let stage = Stage::with(|spec| DatagramSpec {
        upstream: nobody,
        ..spec
    });
    stage.send(5);
    // The callee comes back; what is sent from now on reaches it, though the socket may still be to tell of the refusals.
    let callee = socket(nobody).unwrap();
    stage.send(1);
    let mut bytes = [0; 8];
    assert_eq!(callee.recv(&mut bytes).unwrap(), 8);
}

#[test]
fn ipv6_works_as_ipv4_does() {
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let Ok(callee) = socket(six) else {
        // Where the machine has no IPv6 there is nothing to see.
        return;
    };
    let stage = Stage::new();
    let spec = DatagramSpec {
        listen: six,
        ..DatagramSpec::new("six", callee.local_addr().unwrap())
    };
    let proxy = stage.proxies.datagram(spec, Seed::new(7)).unwrap();
    let caller = socket(six).unwrap();
    caller.send_to(b"over six", proxy.listen()).unwrap();
    let mut bytes = [0; 64];
    let (count, from) = callee.recv_from(&mut bytes).unwrap();
    assert_eq!(&bytes[..count], b"over six");
    callee.send_to(b"and back", from).unwrap();
    assert_eq!(caller.recv(&mut bytes).unwrap(), 8);
}

#[test]
fn shares_outside_of_0_to_1_are_refused() {
    let stage = Stage::new();
    let faults = DatagramFaults {
        corrupt: -0.1,
        ..DatagramFaults::default()
    };
    let refused = stage.proxy.set_faults(Direction::Upstream, faults);
    assert!(matches!(refused, Err(EdgeError::Share { .. })));
}

#[test]
fn a_dropped_proxy_gives_its_address_back() {
    let stage = Stage::with(|spec| DatagramSpec {
        listen: own(6),
        ..spec
    });
    let listen = stage.proxy.listen();
    assert!(UdpSocket::bind(listen).is_err());
    drop(stage.proxy);
    assert!(UdpSocket::bind(listen).is_ok());
}
