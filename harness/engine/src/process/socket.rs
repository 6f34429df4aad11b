//! Which process listens on a TCP port, from `/proc`: `net/tcp` names the sockets, `fd/` their owners.
//!
//! Looked at through the process in question, so that a process in a network namespace of its own is seen as it sees
//! itself.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;
use std::{fs, io};

/// `TCP_LISTEN` of the kernel's `net/tcp_states.h`, as `/proc/net/tcp` prints it.
const LISTEN: &str = "0A";

/// The longest that an attempt to connect may take: loopback answers at once, or is saturated.
const CONNECT: Duration = Duration::from_millis(500);

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// The inode of the socket, by which its owners are known.
    pub inode: u64,
}

/// Whose listener would answer at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody listens there.
    Nobody,
    /// One of the processes that were asked about.
    Asked,
    /// Somebody else; who, where `/proc` lets it be seen.
    Other(Option<Holder>),
    /// It can't be told: the descriptors of a process that was asked about may not be looked at.
    Hidden,
}

/// A process that holds a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its pid.
    pub pid: i32,
    /// Its command's name.
    pub name: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}

/// All TCP sockets that listen, as seen by process `pid`.
pub fn listeners(pid: i32) -> io::Result<Vec<Listener>> {
    let v4 = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    // Absent where the kernel has no IPv6.
    let v6 = fs::read_to_string(format!("/proc/{pid}/net/tcp6")).unwrap_or_default();
    Ok(v4.lines().chain(v6.lines()).filter_map(parse_listener).collect())
}

/// Tells whether the listener that a connection to `address` would reach belongs to one of `pids`.
pub fn owner(address: SocketAddr, pids: &HashSet<i32, impl BuildHasher>) -> Owner {
    // One that is just ending has no view of the network any more.
    let Some(visible) = pids.iter().find_map(|pid| listeners(*pid).ok()) else {
        return Owner::Nobody;
    };
    let listeners = answering(address, &visible);
    if listeners.is_empty() {
        return Owner::Nobody;
    }
    let mut owned = HashSet::new();
    let mut hidden = false;
    for pid in pids {
        match sockets_of(*pid) {
            Ok(inodes) => owned.extend(inodes),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => hidden = true,
            // It has ended meanwhile.
            Err(_) => {}
        }
    }
    match listeners.iter().find(|listener| !owned.contains(&listener.inode)) {
        None => Owner::Asked,
        Some(_) if hidden => Owner::Hidden,
        Some(stranger) => Owner::Other(holder_of(stranger.inode)),
    }
}

/// Whether connections to both addresses reach the same listeners, as seen by process `pid`; false where nobody listens.
pub fn is_one_listener(one: SocketAddr, other: SocketAddr, pid: i32) -> bool {
    let visible = listeners(pid).unwrap_or_default();
    let found = answering(one, &visible);
    !found.is_empty() && found == answering(other, &visible)
}

/// Whether somebody listens at an address, as seen by process `pid`.
pub fn is_taken(address: SocketAddr, pid: i32) -> bool {
    is_one_listener(address, address, pid)
}

/// Connects, to see whether somebody takes connections at an address; if nobody does, why.
pub fn accepts(address: SocketAddr) -> io::Result<()> {
    taken(TcpStream::connect_timeout(&address, CONNECT))
}

/// A connection that its taker ended before the caller was back on a processor comes to nothing but its reset: it was taken all
/// the same.
fn taken(connected: io::Result<TcpStream>) -> io::Result<()> {
    match connected {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        other => other.map(drop),
    }
}

/// The process that listens at a port of this machine, where `/proc` lets it be seen.
pub fn holder(port: u16) -> Option<Holder> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let listeners = listeners(own).ok()?;
    let inode = listeners
        .iter()
        .find(|listener| listener.address.port() == port)?
        .inode;
    holder_of(inode)
}

/// Of several that share it, the one that has run longest: the others were forked from it.
fn holder_of(inode: u64) -> Option<Holder> {
    let table = super::Table::read().ok()?;
    let shares = |pid| sockets_of(pid).is_ok_and(|inodes| inodes.contains(&inode));
    let holders = table.iter().filter(|entry| shares(entry.identity.pid));
    let first = holders.min_by_key(|entry| (entry.identity.start_time, entry.identity.pid))?;
    Some(Holder {
        pid: first.identity.pid,
        name: first.name.clone(),
    })
}

/// Of several that match, the kernel takes the most specific; that there are several of the same kind (`SO_REUSEPORT`)
/// means that any of them may answer.
fn answering(address: SocketAddr, listeners: &[Listener]) -> Vec<Listener> {
    let wanted = address.ip().to_canonical();
    let kinds: [&dyn Fn(IpAddr) -> bool; 3] = [
        &|ip| ip.to_canonical() == wanted,
        &|ip| ip.is_unspecified() && ip.is_ipv4() == wanted.is_ipv4(),
        &|ip| ip == IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    kinds
        .iter()
        .map(|fits| {
            let at_port = listeners
                .iter()
                .filter(|listener| listener.address.port() == address.port());
            at_port
                .filter(|listener| fits(listener.address.ip()))
                .copied()
                .collect::<Vec<_>>()
        })
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// The inodes of the sockets that a process has open.
fn sockets_of(pid: i32) -> io::Result<HashSet<u64>> {
    let mut inodes = HashSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A descriptor may be closed while the folder is read.
        let Ok(link) = entry.and_then(|entry| fs::read_link(entry.path())) else {
            continue;
        };
        let inode: Option<u64> = link
            .to_str()
            .and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inodes.extend(inode);
    }
    Ok(inodes)
}

fn parse_listener(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let address = SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    Some(Listener {
        address,
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// The kernel prints an address as 32-bit words in this machine's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        u32::from_str_radix(hex.get(at..at + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn own() -> i32 {
        rustix::process::getpid().as_raw_nonzero().get()
    }

    #[test]
    fn only_listening_sockets_count() {
        let header = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        let listens = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 12345 1 0 100 0";
        let connected = "   1: 0100007F:1F90 0100007F:A0B0 01 00000000:00000000 00:00000000 00000000  1000 0 12346 1 0 20 4";
        assert_eq!(parse_listener(header), None);
        assert_eq!(parse_listener(connected), None);
        #[cfg(target_endian = "little")]
        assert_eq!(
            parse_listener(listens),
            Some(Listener {
                address: "127.0.0.1:8080".parse().expect("an address"),
                inode: 12345
            })
        );
    }

    #[test]
    fn who_ends_a_connection_at_once_has_taken_it() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        accepts(address).expect("somebody listens");
        drop(listener);
        let refused = accepts(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        // When the reset overtakes the caller is up to the kernel.
        taken(Err(io::ErrorKind::ConnectionReset.into())).expect("it was taken");
        taken(Err(io::ErrorKind::TimedOut.into())).expect_err("nobody took it");
    }

    #[test]
    fn the_most_specific_listener_answers() {
        let at = |address: &str, inode| Listener {
            address: address.parse().expect("an address"),
            inode,
        };
        let all = [
            at("127.0.0.1:80", 1),
            at("0.0.0.0:80", 2),
            at("[::]:80", 3),
            at("[::1]:80", 4),
            at("[::]:81", 5),
        ];
        for (asked, expected) in [
            ("127.0.0.1:80", vec![1]),
            ("127.0.0.2:80", vec![2]),
            ("[::1]:80", vec![4]),
            ("127.0.0.1:81", vec![5]),
            ("127.0.0.1:82", vec![]),
        ] {
            let found = answering(asked.parse().expect("an address"), &all);
            assert_eq!(
                found.iter().map(|listener| listener.inode).collect::<Vec<_>>(),
                expected,
                "{asked}"
            );
        }
    }

    #[test]
    fn a_listener_is_told_from_somebody_elses() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        assert_eq!(owner(address, &HashSet::from([own()])), Owner::Asked);
        let parent = rustix::process::getppid()
            .expect("a parent")
            .as_raw_nonzero()
            .get();
        let Owner::Other(Some(holder)) = owner(address, &HashSet::from([parent])) else {
            panic!("the parent doesn't listen there");
        };
        assert_eq!(holder.pid, own());
        assert_eq!(super::holder(address.port()).expect("visible").pid, own());
        drop(listener);
        // A child that another test starts meanwhile holds all descriptors until it executes its program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while owner(address, &HashSet::from([own()])) != Owner::Nobody {
            assert!(
                std::time::Instant::now() < deadline,
                "somebody still listens there"
            );
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_listener_for_both_families_is_one() {
        let at = |ip: IpAddr, port| SocketAddr::new(ip, port);
        let [v4, v6] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let both = [Listener {
            address: at(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 80),
            inode: 1,
        }];
        assert_eq!(answering(at(v4, 80), &both), answering(at(v6, 80), &both));
        let only = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = only.local_addr().expect("an address").port();
        assert!(is_taken(at(v4, port), own()));
        assert!(is_one_listener(at(v4, port), at(v4, port), own()));
        assert!(!is_one_listener(at(v4, port), at(v6, port), own()));
        assert!(!is_one_listener(at(v6, port), at(v4, port), own()));
    }

    #[test]
    fn an_ipv6_listener_is_seen() {
        // A machine without IPv6 has nothing to show here.
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            return;
        };
        let address = listener.local_addr().expect("an address");
        assert_eq!(owner(address, &HashSet::from([own()])), Owner::Asked);
    }
}
