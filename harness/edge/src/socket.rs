//! The system calls on sockets that a proxy needs. None of them waits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, ipproto, sockopt};

/// Connections that the kernel completes before they are accepted; it may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4_096;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

fn stream(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = family(address);
    Ok(rustix::net::socket_with(
        family,
        SocketType::STREAM,
        FLAGS,
        Some(ipproto::TCP),
    )?)
}

fn family(address: SocketAddr) -> AddressFamily {
    match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    }
}

fn bound(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = stream(address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Every address is those of IPv4 too, as Go has it, whatever `net.ipv6.bindv6only` says.
    if matches!(address, SocketAddr::V6(six) if six.ip().is_unspecified()) {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// An address that stays taken, whether something listens on it or not.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// Bound and never listening: to a caller there is nothing here, and no other program is given the port.
    _socket: OwnedFd,
    address: SocketAddr,
}

impl Reservation {
    /// Takes an address; port 0 takes a free one.
    pub(crate) fn of(address: SocketAddr) -> io::Result<Reservation> {
        let socket = bound(address)?;
        let address = local_address(&socket)?;
        Ok(Reservation {
            _socket: socket,
            address,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there. What is accepted sends without delay, which Linux hands on from the listening socket.
    pub(crate) fn listen(&self) -> io::Result<OwnedFd> {
        let socket = bound(self.address)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(socket)
    }
}

fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    SocketAddr::try_from(rustix::net::getsockname(socket)?).map_err(Into::into)
}

/// Takes a connection that waits, if there is one.
pub(crate) fn accept(listener: impl AsFd) -> Result<(OwnedFd, SocketAddr), Errno> {
    let (socket, caller) = rustix::net::acceptfrom_with(listener, FLAGS)?;
    let caller = caller.and_then(|any| SocketAddr::try_from(any).ok());
    // A socket that went away before it could be asked for its peer has none.
    Ok((socket, caller.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)))))
}

/// Begins a connection, from a port of `source` if that is given.
pub(crate) fn connect(address: SocketAddr, source: Option<IpAddr>) -> io::Result<OwnedFd> {
    let socket = stream(address)?;
    if let Some(source) = source {
        rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    }
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether a connection that was begun has failed.
pub(crate) fn connected(socket: impl AsFd) -> io::Result<()> {
    Ok(sockopt::socket_error(socket)??)
}

#[inline]
pub(crate) fn receive(socket: impl AsFd, into: &mut [u8]) -> Result<usize, Errno> {
    Ok(rustix::net::recv(socket, into, RecvFlags::empty())?.0)
}

#[inline]
pub(crate) fn send(socket: impl AsFd, bytes: &[u8]) -> Result<usize, Errno> {
    rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)
}

/// Says that nothing more comes.
pub(crate) fn end(socket: impl AsFd) {
    // A socket whose other end is gone already needs to hear nothing.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

/// Closes a socket so that its other end gets a reset, whatever is on its way.
pub(crate) fn reset(socket: OwnedFd) {
    // Where this fails the end is an ordinary one; there is nothing else to try.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    drop(socket);
}

/// A socket for datagrams on an address.
pub(crate) fn datagrams_on(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let socket = rustix::net::socket_with(family(address), SocketType::DGRAM, FLAGS, None)?;
    rustix::net::bind(&socket, &address)?;
    let address = local_address(&socket)?;
    Ok((socket, address))
}

/// A socket for datagrams to and from one address, at a port of `source` if that is given.
pub(crate) fn datagrams_to(address: SocketAddr, source: Option<IpAddr>) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(family(address), SocketType::DGRAM, FLAGS, None)?;
    if let Some(source) = source {
        rustix::net::bind(&socket, &SocketAddr::new(source, 0))?;
    }
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Takes a datagram and its sender.
pub(crate) fn receive_from(socket: impl AsFd, into: &mut [u8]) -> Result<(usize, Option<SocketAddr>), Errno> {
    let (count, _, sender) = rustix::net::recvfrom(socket, into, RecvFlags::empty())?;
    Ok((count, sender.and_then(|any| SocketAddr::try_from(any).ok())))
}

/// Sends a datagram to an address.
pub(crate) fn send_to(socket: impl AsFd, bytes: &[u8], to: SocketAddr) -> Result<usize, Errno> {
    rustix::net::sendto(socket, bytes, SendFlags::NOSIGNAL, &to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_and_what_is_connected_sends_without_delay() {
        let reservation = Reservation::of("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = reservation.listen().unwrap();
        let caller = connect(reservation.address(), None).unwrap();
        assert!(sockopt::tcp_nodelay(&caller).unwrap());
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        let (accepted, from) = loop {
            match accept(&listener) {
                Ok(accepted) => break accepted,
                Err(errno) => assert!(errno == Errno::AGAIN && std::time::Instant::now() < deadline),
            }
        };
        assert!(sockopt::tcp_nodelay(&accepted).unwrap());
        assert_eq!(from, local_address(&caller).unwrap());
    }

    #[test]
    fn a_reserved_address_stays_taken_while_nothing_listens() {
        let reservation = Reservation::of("127.0.0.1:0".parse().unwrap()).unwrap();
        drop(reservation.listen().unwrap());
        assert!(std::net::TcpStream::connect(reservation.address()).is_err());
        reservation.listen().unwrap();
    }

    #[test]
    fn every_address_of_ipv6_is_those_of_ipv4_too() {
        let reservation = Reservation::of("[::]:0".parse().unwrap()).unwrap();
        let _listener = reservation.listen().unwrap();
        let port = reservation.address().port();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    #[test]
    fn one_address_of_ipv6_is_no_other() {
        let reservation = Reservation::of("[::1]:0".parse().unwrap()).unwrap();
        let _listener = reservation.listen().unwrap();
        let port = reservation.address().port();
        assert!(std::net::TcpStream::connect(("::1", port)).is_ok());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}
