//! A network to test with, and sockets in it.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use squall_engine::network::{Network, NetworkError, Ownership, Place, PlaceSpec};

use crate::fixture::PATIENCE;

/// Two services, one that nothing is done to, and a place with two loads.
pub(crate) fn network() -> Network {
    build().expect("made")
}

/// The same; it takes five namespaces.
pub(crate) fn build() -> Result<Network, NetworkError> {
    let spec = |name: &str, ends: &[&str]| PlaceSpec {
        name: name.to_owned(),
        ends: ends.iter().map(|end| (*end).to_owned()).collect(),
    };
    let places = [
        spec("feed", &["feed"]),
        spec("ranking", &["ranking"]),
        spec("ids", &["ids"]),
        spec("generator", &["refresh", "browse"]),
    ];
    Network::build(Ownership::take().expect("it was taken before"), &places)
}

/// Does something on a thread that is in a place.
pub(crate) fn inside<T: Send>(place: &Place, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            place.namespace().enter().expect("entered");
            work()
        });
        worker.join().expect("it did not panic")
    })
}

/// An end's addresses, of the families that the machine has.
pub(crate) fn addresses(network: &Network, end: &str) -> Vec<IpAddr> {
    let ipv4 = network.ipv4(end).expect("an end").into();
    let ipv6 = network.ipv6(end).expect("an end").map(IpAddr::from);
    if ipv6.is_none() {
        crate::say("NOT TESTED: this machine has no IPv6");
    }
    std::iter::once(ipv4).chain(ipv6).collect()
}

/// Two ends' addresses, pair by pair.
pub(crate) fn pairs(network: &Network, one: &str, other: &str) -> Vec<(IpAddr, IpAddr)> {
    let [one, other] = [addresses(network, one), addresses(network, other)];
    one.into_iter().zip(other).collect()
}

/// A datagram socket of an end. It is made in its place and used from wherever the test is.
pub(crate) fn socket(network: &Network, place: &str, ip: IpAddr) -> UdpSocket {
    let place = network.place(place).expect("a place");
    let socket = inside(place, || UdpSocket::bind((ip, 0)).expect("bound"));
    socket.set_read_timeout(Some(PATIENCE)).expect("set");
    socket
}

/// Receives so many datagrams, and sees to it that no more are there. Call it when the kernel has nothing more to deliver.
pub(crate) fn receive_exactly(socket: &UdpSocket, count: u64) {
    let mut bytes = [0; 64];
    for number in 0..count {
        let received = socket.recv_from(&mut bytes);
        assert!(received.is_ok(), "{number} of {count} came: {received:?}");
    }
    socket.set_nonblocking(true).expect("set");
    let more = socket.recv_from(&mut bytes);
    socket.set_nonblocking(false).expect("set");
    assert!(more.is_err(), "more than {count} came");
}

/// Sends so many datagrams.
pub(crate) fn send(socket: &UdpSocket, to: SocketAddr, count: u64) {
    for _ in 0..count {
        let sent = socket
            .send_to(b"who", to)
            .expect("sent: a dropped packet is no error");
        assert_eq!(sent, 3);
    }
}

/// Has both ends learn each other's hardware addresses, so that what follows is the datagrams and nothing else.
pub(crate) fn acquaint(one: &UdpSocket, other: &UdpSocket) {
    let address = |socket: &UdpSocket| socket.local_addr().expect("bound");
    send(one, address(other), 1);
    receive_exactly(other, 1);
    send(other, address(one), 1);
    receive_exactly(one, 1);
}
