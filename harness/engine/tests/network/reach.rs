//! Who reaches whom in a network that nothing is done to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

use squall_engine::network::NetworkError;

use crate::fixture::PATIENCE;
use crate::world::{acquaint, inside, network, pairs, socket};

pub(crate) fn places_reach_each_other() {
    let network = network();
    let all = [
        ("feed", "feed"),
        ("ranking", "ranking"),
        ("generator", "refresh"),
        ("generator", "browse"),
    ];
    for (place, end) in all {
        for (other_place, other) in all.into_iter().filter(|(other_place, _)| *other_place != place) {
            for (from, to) in pairs(&network, end, other) {
                let [sender, receiver] = [socket(&network, place, from), socket(&network, other_place, to)];
                acquaint(&sender, &receiver);
            }
        }
    }
    for (_, ip) in pairs(&network, "feed", "ranking") {
        let listener = inside(network.place("ranking").expect("a place"), || {
            TcpListener::bind((ip, 0)).expect("bound")
        });
        let address = listener.local_addr().expect("bound");
        let mut caller = inside(network.place("feed").expect("a place"), || {
            TcpStream::connect_timeout(&address, PATIENCE).expect("connected")
        });
        let (mut callee, from) = listener.accept().expect("accepted");
        assert!(
            pairs(&network, "feed", "ranking")
                .iter()
                .any(|(feed, _)| *feed == from.ip())
        );
        caller.write_all(b"who\n").expect("written");
        let mut line = [0; 4];
        callee.read_exact(&mut line).expect("read");
        assert_eq!(&line, b"who\n");
    }
}

pub(crate) fn a_place_reaches_nothing_else() {
    let network = network();
    let outside = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = outside.local_addr().expect("bound");
    let feed = network.place("feed").expect("a place");
    assert!(
        TcpStream::connect(address).is_ok(),
        "it can be reached from outside"
    );
    let refused = inside(feed, || TcpStream::connect(address)).expect_err("another 127.0.0.1");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let elsewhere: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    let unreachable = inside(feed, || TcpStream::connect(elsewhere)).expect_err("nowhere");
    assert_eq!(unreachable.kind(), std::io::ErrorKind::NetworkUnreachable);
}

pub(crate) fn sockets_stay_where_they_were_made() {
    let network = network();
    let inode = || std::fs::read_link("/proc/thread-self/ns/net").expect("readable");
    let before = inode();
    let feed = network.place("feed").expect("a place");
    let (there, socket) = inside(feed, || {
        (
            inode(),
            UdpSocket::bind((network.ipv4("feed").expect("an end"), 0)).expect("bound"),
        )
    });
    let expected = format!("net:[{}]", feed.namespace().inode().expect("known"));
    assert_eq!(there.to_str(), Some(expected.as_str()));
    assert_eq!(inode(), before, "the thread that asked is where it was");
    assert_ne!(there, before);
    // The address that it sends from is not one of this thread's namespace, where nothing else can bind it.
    let here = UdpSocket::bind((network.ipv4("feed").expect("an end"), 0));
    assert!(here.is_err() && socket.local_addr().is_ok());
}

pub(crate) fn names_that_are_not_there_are_errors() {
    let network = network();
    let unknown = network.watch("feed", "rankin").expect_err("no such end");
    assert!(
        matches!(&unknown, NetworkError::Unknown(name) if name == "rankin"),
        "{unknown}"
    );
    assert!(network.place("refresh").is_err(), "an end is no place");
    assert!(network.ipv4("generator").is_err(), "a place is no end");
    for share in [0.0, 1.5, -1.0, f64::NAN] {
        let refused = network.drop("feed", "ranking", squall_model::units::Ratio::new(share));
        assert!(matches!(refused, Err(NetworkError::Share(_))), "{share}");
    }
}
