//! Ports for programs that must be told theirs.
//!
//! A port can't be held for another program, so this is a draw, not a lock: it is made where the kernel doesn't draw for
//! outgoing connections, and whoever starts the program asks afterwards whether the draw was lost, and draws again.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::RangeInclusive;

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use thiserror::Error;

use super::socket::{Holder, holder};

/// Below this, ports are given to well-known services.
const LOWEST: u16 = 10_000;

/// Draws before it gives up; with half of all ports taken, one in 10^60 fails.
const DRAWS_MAX: usize = 200;

/// A port that was asked for and can't be had.
#[derive(Debug, Error)]
pub enum PortError {
    /// Somebody has it.
    #[error("port {port} is taken{}; free it, or choose another one", by(holder.as_ref()))]
    Taken {
        /// The port.
        port: u16,
        /// Who has it, where that can be seen.
        holder: Option<Holder>,
    },
    /// None found.
    #[error("no free port was found in {DRAWS_MAX} draws: is this machine out of ports?")]
    NoneFree,
}

fn by(holder: Option<&Holder>) -> String {
    holder.map(|holder| format!(" by {holder}")).unwrap_or_default()
}

/// Draws ports at random, none of them twice. Make one a run.
#[derive(Debug)]
pub struct PortReserver {
    given: HashSet<u16>,
    random: RandomState,
    draws: u64,
    ephemeral: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl PortReserver {
    /// Seeded by the system: two runs at the same time draw differently.
    #[expect(
        clippy::new_without_default,
        reason = "a default that is random each time would surprise"
    )]
    pub fn new() -> Self {
        let read = |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).unwrap_or_default();
        Self {
            given: HashSet::new(),
            random: RandomState::new(),
            draws: 0,
            ephemeral: parse_ephemeral(&read("ip_local_port_range")),
            reserved: parse_reserved(&read("ip_local_reserved_ports")),
        }
    }

    /// A port that nobody has at this moment, TCP and UDP, IPv4 and IPv6, outside the range of outgoing connections if
    /// there is any other.
    pub fn reserve(&mut self) -> Result<u16, PortError> {
        for draw in 0..DRAWS_MAX {
            let port = self.draw();
            // A machine may have given nearly all ports to outgoing connections; half of the draws insist.
            let insist = draw < DRAWS_MAX / 2;
            let unwise = insist && self.ephemeral.contains(&port);
            let promised = self.reserved.iter().any(|range| range.contains(&port));
            if !unwise && !promised && !self.given.contains(&port) && is_free(port, Use::Fresh) {
                self.given.insert(port);
                return Ok(port);
            }
        }
        Err(PortError::NoneFree)
    }

    fn draw(&mut self) -> u16 {
        self.draws += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.draws);
        let choices = u64::from(u16::MAX - LOWEST) + 1;
        LOWEST + (hasher.finish() % choices) as u16
    }
}

/// Whether somebody has taken a port since it was drawn. Ask when the program that was to have it has ended.
pub fn lost_race(port: u16) -> bool {
    !is_free(port, Use::Again)
}

/// Fails if a port that must be this one is taken.
pub fn check_free(port: u16) -> Result<(), PortError> {
    if is_free(port, Use::Again) {
        Ok(())
    } else {
        Err(PortError::Taken {
            port,
            holder: holder(port),
        })
    }
}

/// How strictly a port must be free.
#[derive(Clone, Copy, PartialEq)]
enum Use {
    /// Nothing at all, also no connection that lingers; TCP and UDP.
    Fresh,
    /// As a server that sets `SO_REUSEADDR` sees it: lingering connections of its last life don't count; TCP only.
    Again,
}

/// Tries to bind, without listening: nobody can connect meanwhile.
fn is_free(port: u16, usage: Use) -> bool {
    let kinds: &[SocketType] = if usage == Use::Fresh {
        &[SocketType::STREAM, SocketType::DGRAM]
    } else {
        &[SocketType::STREAM]
    };
    let everywhere = [
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0)),
    ];
    kinds
        .iter()
        .all(|kind| everywhere.iter().all(|address| can_bind(*kind, *address, usage)))
}

fn can_bind(kind: SocketType, address: SocketAddr, usage: Use) -> bool {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let attempt = || -> Result<(), Errno> {
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        if address.is_ipv6() {
            set_ipv6_v6only(&socket, true)?;
        }
        if usage == Use::Again {
            set_socket_reuseaddr(&socket, true)?;
        }
        bind(&socket, &address)
    };
    // Any other failure (no IPv6 here, a privileged port) says nothing about who has it.
    attempt() != Err(Errno::ADDRINUSE)
}

fn parse_ephemeral(text: &str) -> RangeInclusive<u16> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(low)), Some(Ok(high))) => low..=high,
        // Linux's own default.
        _ => 32_768..=60_999,
    }
}

/// `ip_local_reserved_ports`: numbers and ranges, comma-separated.
fn parse_reserved(text: &str) -> Vec<RangeInclusive<u16>> {
    let range = |part: &str| {
        let (low, high) = part.split_once('-').unwrap_or((part, part));
        Some(low.parse().ok()?..=high.parse().ok()?)
    };
    text.trim().split(',').filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    #[test]
    fn reads_the_kernels_ranges() {
        assert_eq!(parse_ephemeral("15000\t20000\n"), 15_000..=20_000);
        assert_eq!(parse_ephemeral(""), 32_768..=60_999);
        assert_eq!(parse_reserved("8080,9000-9010\n"), [8080..=8080, 9000..=9010]);
        assert!(parse_reserved("\n").is_empty());
    }

    #[test]
    fn no_port_is_given_twice_and_each_can_be_bound() {
        let mut ports = PortReserver::new();
        let given: Vec<u16> = (0..50).map(|_| ports.reserve().expect("a port")).collect();
        assert_eq!(given.iter().collect::<HashSet<_>>().len(), given.len());
        for port in given {
            assert!(
                port >= LOWEST && !ports.ephemeral.contains(&port),
                "{port} is drawn by the kernel too"
            );
        }
    }

    #[test]
    fn a_port_in_use_by_any_family_or_protocol_is_not_free() {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let port = |address: std::io::Result<SocketAddr>| address.expect("an address").port();
        assert!(!is_free(port(tcp.local_addr()), Use::Fresh));
        assert!(!is_free(port(tcp.local_addr()), Use::Again));
        assert!(!is_free(port(udp.local_addr()), Use::Fresh));
        if let Ok(tcp) = TcpListener::bind("[::1]:0") {
            assert!(!is_free(port(tcp.local_addr()), Use::Again));
        }
    }

    #[test]
    fn a_taken_port_is_named_with_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        assert!(lost_race(port));
        let error = check_free(port).expect_err("it is taken").to_string();
        assert!(error.contains(&port.to_string()), "{error}");
        assert!(error.contains(&std::process::id().to_string()), "{error}");
    }

    #[test]
    fn a_connection_that_lingers_is_no_lost_race() {
        let port = PortReserver::new().reserve().expect("a port");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("it is free");
        let address = listener.local_addr().expect("an address");
        let client = TcpStream::connect(address).expect("connects");
        let (server, _) = listener.accept().expect("accepts");
        // The side that closes first lingers.
        drop(server);
        drop(client);
        drop(listener);
        assert!(!lost_race(address.port()));
    }
}
