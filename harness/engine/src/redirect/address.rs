//! Addresses as a program hands them to connect(2), and as they are compared.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The longest address that is looked at: `struct sockaddr_in6`.
pub(super) const BYTES_MAX: usize = 28;

/// The internet address in a `struct sockaddr` of a process of this machine; `None` for any other kind, or one cut short.
pub(super) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(bytes.first_chunk().copied()?));
    let port = u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?);
    let ip = match family {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?),
        // After the port come four bytes of flow information.
        libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The address that a connection to `address` reaches: an IPv4 address in IPv6's clothes is the IPv4 one, and connecting to
/// "any" address means this machine's own.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// `address` for an IPv6 socket.
pub(super) fn for_ipv6(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into(),
        SocketAddr::V6(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(port: u16, ip: [u8; 4]) -> Vec<u8> {
        let family = (libc::AF_INET as u16).to_ne_bytes();
        [&family[..], &port.to_be_bytes(), &ip, &[0; 8]].concat()
    }

    fn v6(port: u16, ip: Ipv6Addr) -> Vec<u8> {
        let family = (libc::AF_INET6 as u16).to_ne_bytes();
        [&family[..], &port.to_be_bytes(), &[9; 4], &ip.octets(), &[0; 4]].concat()
    }

    #[test]
    fn internet_addresses_are_read_and_others_are_not() {
        let address = |text: &str| Some(text.parse::<SocketAddr>().unwrap());
        assert_eq!(decode(&v4(80, [127, 0, 0, 2])), address("127.0.0.2:80"));
        assert_eq!(decode(&v4(80, [127, 0, 0, 2])[..8]), address("127.0.0.2:80"));
        assert_eq!(
            decode(&v6(8080, Ipv6Addr::LOCALHOST)[..BYTES_MAX]),
            address("[::1]:8080")
        );
        assert_eq!(decode(&v4(80, [127, 0, 0, 2])[..7]), None);
        assert_eq!(decode(&v6(80, Ipv6Addr::LOCALHOST)[..23]), None);
        assert_eq!(decode(&[]), None);
        let unix = [&(libc::AF_UNIX as u16).to_ne_bytes()[..], b"/run/socket\0"].concat();
        assert_eq!(decode(&unix), None);
        // Which disconnects a datagram socket.
        assert_eq!(decode(&[0; 16]), None);
    }

    #[test]
    fn one_place_has_one_address() {
        for (asked, reached) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("[::ffff:127.0.0.1]:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("[fe80::1%3]:80", "[fe80::1]:80"),
        ] {
            let asked: SocketAddr = asked.parse().unwrap();
            assert_eq!(canonical(asked), reached.parse().unwrap(), "{asked}");
        }
    }
}
