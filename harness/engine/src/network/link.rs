//! Links, their addresses and their queues: rtnetlink(7).

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::netlink::{CREATE, Message, REPLACE, Socket, attribute, u32_at};

/// The number that each namespace's loopback has.
pub(super) const LOOPBACK: u32 = 1;

/// `struct tc_ratespec` says so where no table of times is needed (`linux/pkt_sched.h`).
const LINK_LAYER_ETHERNET: u8 = 1;

const VETH_INFO_PEER: u16 = 1;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STATS2: u16 = 7;
const TCA_STATS_BASIC: u16 = 1;
const TCA_STATS_QUEUE: u16 = 3;
const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TC_H_ROOT: u32 = u32::MAX;

/// `struct tcmsg`, in bytes.
const TCMSG: usize = 20;

/// `struct ifinfomsg`: which link, and whether it is to be up.
fn link(index: u32, is_up: bool) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = if is_up { libc::IFF_UP as u32 } else { 0 };
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// Makes a bridge that is up.
pub(super) fn bridge(index: u32, name: &str) -> Message {
    Message::new(libc::RTM_NEWLINK, CREATE, &link(index, true))
        .with_text(libc::IFLA_IFNAME, name)
        .nest(libc::IFLA_LINKINFO, |info| {
            info.with_text(libc::IFLA_INFO_KIND, "bridge")
        })
}

/// Makes a cable: `index` here, up and plugged into a bridge, and its other end in another namespace, or in this one too.
pub(super) fn cable(
    (index, name): (u32, &str),
    bridge: u32,
    (peer, peer_name): (u32, &str),
    namespace: Option<BorrowedFd<'_>>,
) -> Message {
    Message::new(libc::RTM_NEWLINK, CREATE, &link(index, true))
        .with_text(libc::IFLA_IFNAME, name)
        .with(libc::IFLA_MASTER, &bridge.to_ne_bytes())
        .nest(libc::IFLA_LINKINFO, |info| {
            let info = info.with_text(libc::IFLA_INFO_KIND, "veth");
            info.nest(libc::IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |other| {
                    let other = other
                        .raw(&link(peer, false))
                        .with_text(libc::IFLA_IFNAME, peer_name);
                    match namespace {
                        Some(fd) => other.with(libc::IFLA_NET_NS_FD, &fd.as_raw_fd().to_ne_bytes()),
                        None => other,
                    }
                })
            })
        })
}

/// Sets a link up.
pub(super) fn up(index: u32) -> Message {
    Message::new(libc::RTM_NEWLINK, 0, &link(index, true))
}

/// Gives a link an address, to be used at once: nobody else is there who might have it.
pub(super) fn address(index: u32, ip: IpAddr, prefix: u8) -> Message {
    let (family, bytes) = match ip {
        IpAddr::V4(ip) => (libc::AF_INET, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6, ip.octets().to_vec()),
    };
    let mut header = [family as u8, prefix, libc::IFA_F_NODAD as u8, 0, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    Message::new(libc::RTM_NEWADDR, CREATE, &header)
        .with(libc::IFA_LOCAL, &bytes)
        .with(libc::IFA_ADDRESS, &bytes)
}

/// `struct tcmsg`: the queue through which a link sends.
fn queue(index: u32) -> [u8; TCMSG] {
    let mut header = [0; TCMSG];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[12..16].copy_from_slice(&TC_H_ROOT.to_ne_bytes());
    header
}

/// Lets a link send at most so many bytes a second: tc-tbf(8). Beyond `burst` bytes at once they wait in a queue, beyond `limit` bytes
/// in that they are dropped.
pub(super) fn token_bucket(index: u32, rate: u64, burst: u32, limit: u32) -> Message {
    // `struct tc_tbf_qopt`: two rates, the limit, the bucket in ticks (given in bytes below) and its peak's.
    let mut options = [0; 36];
    options[1] = LINK_LAYER_ETHERNET;
    options[8..12].copy_from_slice(&u32::try_from(rate).unwrap_or(u32::MAX).to_ne_bytes());
    options[24..28].copy_from_slice(&limit.to_ne_bytes());
    Message::new(libc::RTM_NEWQDISC, REPLACE, &queue(index))
        .with_text(TCA_KIND, "tbf")
        .nest(TCA_OPTIONS, |inside| {
            let inside = inside.with(TCA_TBF_PARMS, &options);
            let inside = inside.with(TCA_TBF_BURST, &burst.to_ne_bytes());
            match u32::try_from(rate) {
                Ok(_) => inside,
                Err(_) => inside.with(TCA_TBF_RATE64, &rate.to_ne_bytes()),
            }
        })
}

/// Gives a link back the queue that it had.
pub(super) fn no_token_bucket(index: u32) -> Message {
    Message::new(libc::RTM_DELQDISC, 0, &queue(index))
}

/// What the kernel has counted at a token bucket since it was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Bytes that were sent.
    pub bytes: u64,
    /// Packets that were sent.
    pub packets: u32,
    /// How often a packet had to wait for its turn.
    pub waited: u32,
    /// Packets that were dropped since the queue was full.
    pub dropped: u32,
    /// Bytes that wait now.
    pub backlog: u32,
}

/// What a link's token bucket has counted; `None` if it has none.
pub(super) fn counts(socket: &mut Socket, index: u32) -> Result<Option<QueueCounts>, Errno> {
    let entries = socket.list(libc::RTM_GETQDISC, &[0; TCMSG], &[])?;
    let of_link = |entry: &&Vec<u8>| {
        u32_at(entry, 4) == Some(index)
            && entry
                .get(TCMSG..)
                .and_then(|rest| attribute(rest, TCA_KIND))
                .is_some_and(|kind| kind == b"tbf\0")
    };
    Ok(entries.iter().find(of_link).and_then(|entry| {
        let stats = attribute(&entry[TCMSG..], TCA_STATS2)?;
        let basic = attribute(stats, TCA_STATS_BASIC)?;
        let queue = attribute(stats, TCA_STATS_QUEUE)?;
        Some(QueueCounts {
            bytes: u64::from_ne_bytes(basic.get(..8)?.try_into().ok()?),
            packets: u32_at(basic, 8)?,
            backlog: u32_at(queue, 4)?,
            dropped: u32_at(queue, 8)?,
            waited: u32_at(queue, 16)?,
        })
    }))
}
