//! Isolated networks: places with a network of their own, joined by a bridge on which packets are dropped.
//!
//! A [`Network`] is one network namespace for each place, a service or the load generator, and a hub with a bridge. Each place
//! has a cable to the bridge, and for each of its ends, which are what faults name, an IPv4 and an IPv6 address. Everything
//! from one end to another is forwarded by the hub, whose packet filter drops what a fault asks for ([`Network::drop`])
//! and counts it: the kernel's own counters are the evidence. Limits are token buckets on the cables ([`Network::limit`]).
//! All of it may change at any time, and open connections feel it.
//!
//! An ordinary user may do this inside a user namespace; [`Ownership::take`] moves the whole process into one. A namespace
//! has no name and no file: it vanishes with the last process, descriptor and socket that is of it, so nothing has to be undone.
//!
//! What it does not do, and why:
//! - A place reaches the other places and nothing else: not the machine's own network, and not what listens on the machine's
//!   `127.0.0.1`. Each place has a `127.0.0.1` of its own, where the others can't reach it.
//! - Neighbour discovery (ARP, `ICMPv6`) is never dropped, so a partition is silent and no "host unreachable".
//! - Which packets a share hits is drawn by the kernel and does not follow the run's seed.
//! - The kernel forwards up to 64 KiB of a TCP stream in one piece, and drops and counts it as one packet.
//! - It touches no network but those it has made.
//!
//! `namespace.rs` makes and enters namespaces, `link.rs` cables and addresses and queues, `filter.rs` the rules; these speak
//! to the kernel by `netlink.rs`. `isolated.rs` puts it together, `probe.rs` says what a machine lacks for it.

mod filter;
mod isolated;
mod link;
mod namespace;
mod netlink;
mod probe;

pub use filter::PacketCounts;
pub use isolated::{Direction, DropRule, Network, NetworkError, Place, PlaceSpec, Watch};
pub use link::QueueCounts;
pub use namespace::{Namespace, Ownership, within};
pub use probe::{Unavailable, probe};
