//! A client's socket: opened without waiting, over TCP, UDP or a unix socket.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, ipproto, sockopt,
};

use crate::spec::Address;
use crate::stamp;

/// How a protocol's bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// In a connection: TCP or a unix socket.
    Stream,
    /// Each message in a datagram of its own: UDP.
    Datagrams,
}

/// Connections from one source address to one loopback address, before the next source address is taken. Linux has 28,232 ports for
/// them by default and searches them one by one once half of them are taken.
const CONNECTIONS_PER_SOURCE: u32 = 10_000;

/// The longest path of a unix socket in bytes: what is left of `sun_path` (unix(7)) after its ending zero.
pub const UNIX_PATH_BYTES_MAX: usize = 107;

/// Whether a unix socket can have this path.
pub fn is_unix_path(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    (1..=UNIX_PATH_BYTES_MAX).contains(&bytes.len()) && !bytes.contains(&0)
}

/// A socket of the generator.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    carrier: Carrier,
    stamped: bool,
}

impl Socket {
    /// Opens a socket and begins to connect it, from `source` if that is given; `number` tells the open connections of a load
    /// apart. `stamped`: the time at which bytes arrive is wanted.
    pub(crate) fn open(
        address: &Address,
        source: Option<IpAddr>,
        carrier: Carrier,
        number: u32,
        stamped: bool,
    ) -> io::Result<Socket> {
        let (family, protocol) = match address {
            Address::Inet(addr) if addr.is_ipv4() => (AddressFamily::INET, ipproto::TCP),
            Address::Inet(_) => (AddressFamily::INET6, ipproto::TCP),
            Address::Unix(_) => (AddressFamily::UNIX, ipproto::TCP),
        };
        let (kind, protocol) = match (carrier, address) {
            (Carrier::Datagrams, _) => (SocketType::DGRAM, None),
            (Carrier::Stream, Address::Unix(_)) => (SocketType::STREAM, None),
            (Carrier::Stream, Address::Inet(_)) => (SocketType::STREAM, Some(protocol)),
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = rustix::net::socket_with(family, kind, flags, protocol)?;
        // Unix sockets have no stamps, though they take the option.
        let stamped = stamped && matches!(address, Address::Inet(_)) && stamp::enable(&fd);
        let connected = match address {
            Address::Inet(addr) => {
                let asked = source.map(|ip| SocketAddr::new(ip, 0));
                if let Some(source) = asked.or_else(|| source_for(*addr, number)) {
                    rustix::net::bind(&fd, &source)?;
                }
                if carrier == Carrier::Stream {
                    sockopt::set_tcp_nodelay(&fd, true)?;
                }
                rustix::net::connect(&fd, addr)
            }
            Address::Unix(path) => rustix::net::connect(&fd, &SocketAddrUnix::new(path)?),
        };
        match connected {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(Socket { fd, carrier, stamped })
    }

    /// Whether the connection stands by now; an error if it can't be made.
    pub(crate) fn is_connected(&self) -> io::Result<bool> {
        is_connected(&self.fd)
    }

    /// The socket itself, for who waits for it in another way.
    #[cfg(feature = "journey")]
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Reads what is there; with it comes the wall time of its arrival in nanoseconds, where the kernel tells it.
    #[inline]
    pub(crate) fn receive(&self, into: &mut [u8]) -> io::Result<(usize, Option<u64>)> {
        if self.stamped {
            return stamp::receive(&self.fd, into);
        }
        let (count, _) = rustix::net::recv(&self.fd, into, RecvFlags::empty())?;
        Ok((count, None))
    }

    /// Hands over bytes as far as they are taken.
    #[inline]
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.fd, bytes, SendFlags::NOSIGNAL)?)
    }

    /// Whether bytes come with the time of their arrival.
    pub(crate) fn is_stamped(&self) -> bool {
        self.stamped
    }

    /// Whether a read that did not fill its buffer has emptied the socket.
    #[inline]
    pub(crate) fn is_emptied_by(&self, count: usize, room: usize) -> bool {
        self.carrier == Carrier::Stream && count < room
    }
}

/// Whether a connection that was begun stands by now; an error if it can't be made.
pub(crate) fn is_connected(socket: impl AsFd) -> io::Result<bool> {
    sockopt::socket_error(&socket)??;
    Ok(rustix::net::getpeername(&socket).is_ok_and(|peer| peer.is_some()))
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The source address of connection `number` to `target`, where it must be another than the one the kernel would take: on
/// loopback all of 127/8 is ours, and each address has ports of its own.
fn source_for(target: SocketAddr, number: u32) -> Option<SocketAddr> {
    let block = number / CONNECTIONS_PER_SOURCE;
    let IpAddr::V4(ip) = target.ip() else { return None };
    // The kernel itself takes 127.0.0.1 for the first block.
    (ip.is_loopback() && block > 0).then(|| {
        let source = u32::from(Ipv4Addr::LOCALHOST) + block.min(0x00ff_fff0);
        SocketAddr::from((Ipv4Addr::from(source), 0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_connections_to_loopback_come_from_several_addresses() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 80));
        let sources = [0, 9_999, 10_000, 20_000].map(|number| source_for(loopback, number));
        let of = |last| Some(SocketAddr::from(([127, 0, 0, last], 0)));
        assert_eq!(sources, [None, None, of(2), of(3)]);
        assert_eq!(source_for(SocketAddr::from(([10, 0, 0, 1], 80)), 50_000), None);
    }
}
