//! Connections without faults: bytes, ends, resets, addresses, counters.

use std::io::{ErrorKind, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};

use squall_edge::{Direction, EdgeError, Options, ProxySpec};
use squall_model::seed::Seed;

use crate::stage::{Stage, accept, carry, connect, hear, is_reset, noise, own, resets, rest, say, until};

/// Handles may be used from several threads at once.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<squall_edge::Proxies>();
    shared::<squall_edge::Proxy>();
    shared::<squall_edge::DatagramProxy>();
};

#[test]
fn bytes_cross_both_ways_and_are_counted() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    say(&caller, &callee, "a question");
    say(&callee, &caller, "an answer, longer");
    let seen = stage.seen();
    assert_eq!((seen.opened, seen.open(), seen.closed), (1, 1, 0));
    let up = seen.direction(Direction::Upstream);
    assert_eq!((up.entered.bytes, up.entered.chunks), (10, 1));
    until("the last write is counted", || {
        stage.seen().direction(Direction::Downstream).forwarded.bytes == 17
    });
    assert_eq!(stage.seen().direction(Direction::Downstream).held_bytes, 0);
    assert!(up.last_entered_ns.unwrap() <= seen.at_ns);
    assert!(up.last_forwarded_ns.is_some());
}

#[test]
fn half_an_end_is_forwarded_and_the_other_half_goes_on() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    caller.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&callee), b"");
    say(&callee, &caller, "still here");
    drop(callee);
    assert_eq!(rest(&caller), b"");
    until("the connection is over", || stage.seen().closed == 1);
    assert_eq!(stage.seen().reset, 0);
}

#[test]
fn the_callee_may_end_first() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    callee.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&caller), b"");
    say(&caller, &callee, "still here");
}

#[test]
fn a_reset_by_the_caller_reaches_the_callee() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    say(&caller, &callee, "hello");
    rustix::net::sockopt::set_socket_linger(&caller, Some(std::time::Duration::ZERO)).unwrap();
    drop(caller);
    assert!(is_reset(&callee));
    until("it is counted", || stage.seen().reset == 1);
    assert_eq!(stage.seen().open(), 0);
}

#[test]
fn a_callee_that_ended_and_then_went_away_is_noticed_by_the_caller() {
    let stage = Stage::new();
    let (mut caller, callee) = stage.open();
    callee.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&caller), b"");
    rustix::net::sockopt::set_socket_linger(&callee, Some(std::time::Duration::ZERO)).unwrap();
    drop(callee);
    // Nothing tells the proxy until it has something to write there, as on a wire.
    until("the caller hears of it", || caller.write_all(b"hello?").is_err());
    until("it is counted", || stage.seen().reset == 1);
    let up = *stage.seen().direction(Direction::Upstream);
    assert_eq!(up.entered.bytes, up.forwarded.bytes + up.discarded_bytes);
}

#[test]
fn large_amounts_cross_unchanged_both_ways_at_once() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    let (up, down) = (noise(1, 8 << 20), noise(2, 8 << 20));
    std::thread::scope(|scope| {
        let there = scope.spawn(|| carry(&caller, &callee, &up));
        assert!(carry(&callee, &caller, &down) == down);
        assert!(there.join().unwrap() == up);
    });
    until("the connection is over", || stage.seen().closed == 1);
    let seen = stage.seen();
    for direction in Direction::BOTH {
        let seen = seen.direction(direction);
        assert_eq!(
            (seen.entered.bytes, seen.forwarded.bytes, seen.held_bytes),
            (8 << 20, 8 << 20, 0)
        );
    }
}

#[test]
fn connections_are_listed_by_number_with_their_callers() {
    let stage = Stage::with(
        Options {
            threads: 2,
            ..Options::default()
        },
        |spec| spec,
    );
    let pairs: Vec<_> = (0..5).map(|_| stage.open()).collect();
    let listed = stage.proxy.connections().unwrap();
    assert_eq!(
        listed.iter().map(|one| one.number).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4]
    );
    for (one, (caller, _)) in listed.iter().zip(&pairs) {
        assert_eq!(one.caller, caller.local_addr().unwrap());
    }
}

#[test]
fn several_threads_share_the_connections() {
    let stage = Stage::with(
        Options {
            threads: 3,
            ..Options::default()
        },
        |spec| spec,
    );
    for number in 0..9 {
        let (caller, callee) = stage.open();
        let bytes = noise(number, 200_000);
        assert!(carry(&caller, &callee, &bytes) == bytes);
    }
    until("all are over", || stage.seen().closed == 9);
}

#[test]
fn ipv6_works_as_ipv4_does() {
    let Ok(callee) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        // Where the machine has no IPv6 there is nothing to see.
        return;
    };
    let stage = Stage::new();
    let spec = ProxySpec {
        listen: SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ..ProxySpec::new("six", callee.local_addr().unwrap())
    };
    let proxy = stage.proxies.stream(spec, Seed::new(7)).unwrap();
    let caller = connect(proxy.listen());
    let callee = accept(&callee);
    say(&caller, &callee, "over six");
    say(&callee, &caller, "and back");
    assert!(proxy.connections().unwrap()[0].caller.is_ipv6());
}

#[test]
fn a_disabled_proxy_closes_and_refuses_and_comes_back_at_its_address() {
    let stage = Stage::new();
    let address = stage.proxy.listen();
    let (caller, callee) = stage.open();
    stage.proxy.disable().unwrap();
    assert!(!stage.proxy.is_enabled());
    assert_eq!(rest(&caller), b"");
    assert_eq!(rest(&callee), b"");
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    stage.proxy.enable().unwrap();
    assert_eq!(stage.proxy.listen(), address);
    let (caller, callee) = stage.open();
    say(&caller, &callee, "again");
}

#[test]
fn another_callee_is_for_new_connections() {
    let stage = Stage::new();
    let (caller, callee) = stage.open();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    stage.proxy.set_upstream(other.local_addr().unwrap()).unwrap();
    let later = connect(stage.proxy.listen());
    let other = accept(&other);
    say(&caller, &callee, "to the first");
    say(&later, &other, "to the second");
}

#[test]
fn another_address_closes_what_is_open_and_serves_there() {
    let stage = Stage::with(Options::default(), |spec| ProxySpec {
        listen: own(1),
        ..spec
    });
    let (caller, _callee) = stage.open();
    let before = stage.proxy.listen();
    stage.proxy.set_listen("127.0.0.1:0".parse().unwrap()).unwrap();
    assert_ne!(stage.proxy.listen(), before);
    assert_eq!(rest(&caller), b"");
    assert!(TcpStream::connect(before).is_err());
    let (caller, callee) = stage.open();
    say(&caller, &callee, "here now");
}

#[test]
fn a_caller_whose_callee_is_not_there_is_reset() {
    let nobody = TcpListener::bind(own(2)).unwrap().local_addr().unwrap();
    let stage = Stage::with(Options::default(), |spec| ProxySpec {
        upstream: nobody,
        ..spec
    });
    assert!(resets(stage.proxy.listen()));
    until("it is counted", || stage.seen().unreachable == 1);
    assert_eq!(stage.seen().open(), 0);
}

#[test]
fn an_address_that_is_taken_is_an_error_that_names_it() {
    let stage = Stage::new();
    let taken = stage.callee.local_addr().unwrap();
    let spec = ProxySpec {
        listen: taken,
        ..ProxySpec::new("second", taken)
    };
    let error = stage.proxies.stream(spec, Seed::new(7)).unwrap_err();
    assert!(matches!(error, EdgeError::Listen { .. }));
    assert_eq!(
        error.to_string(),
        format!("proxy second: can't listen on {taken}")
    );
}

#[test]
fn a_dropped_proxy_closes_its_connections_and_its_address() {
    let Stage {
        proxy,
        proxies,
        callee,
    } = Stage::with(Options::default(), |spec| ProxySpec {
        listen: own(3),
        ..spec
    });
    let caller = connect(proxy.listen());
    let callee = accept(&callee);
    let address = proxy.listen();
    drop(proxy);
    assert_eq!(rest(&caller), b"");
    assert_eq!(rest(&callee), b"");
    assert!(TcpStream::connect(address).is_err());
    drop(proxies);
}

#[test]
fn with_the_threads_everything_ends() {
    let Stage {
        proxy,
        proxies,
        callee,
    } = Stage::with(Options::default(), |spec| ProxySpec {
        listen: own(4),
        ..spec
    });
    let caller = connect(proxy.listen());
    let callee = accept(&callee);
    drop(proxies);
    assert_eq!(rest(&caller), b"");
    assert_eq!(rest(&callee), b"");
    assert!(TcpStream::connect(proxy.listen()).is_err());
    assert!(matches!(proxy.heal(), Ok(())));
    assert!(matches!(
        proxy.set_upstream(proxy.upstream()),
        Err(EdgeError::Ended)
    ));
    assert!(matches!(proxy.connections(), Err(EdgeError::Ended)));
}

#[test]
fn silence_counts_only_while_a_connection_is_open() {
    let stage = Stage::new();
    std::thread::park_timeout(std::time::Duration::from_millis(30));
    assert_eq!(stage.seen().longest_silence_ns, 0);
    let (caller, callee) = stage.open();
    until("it has been silent for a while", || {
        stage.seen().longest_silence_ns > 40_000_000
    });
    say(&caller, &callee, "noise");
    drop((caller, callee));
    until("the connection is over", || stage.seen().open() == 0);
    let after = stage.seen().longest_silence_ns;
    let over = stage.seen().at_ns;
    until("more time passes", || {
        stage.seen().at_ns > over + after + 1_000_000
    });
    assert_eq!(stage.seen().longest_silence_ns, after);
}

#[test]
fn bytes_sent_before_the_callee_is_reached_are_not_lost() {
    let stage = Stage::new();
    let mut caller = connect(stage.proxy.listen());
    caller.write_all(b"early").unwrap();
    assert_eq!(hear(&accept(&stage.callee), 5), "early");
}
