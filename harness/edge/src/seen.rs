//! What an edge saw, as plain numbers: cumulative since the proxy was made, unless said otherwise. Written by `tally`, read by
//! whoever makes receipts.
//!
//! Moments are nanoseconds of `CLOCK_MONOTONIC`, the clock of [`std::time::Instant`] on Linux.

use std::net::SocketAddr;

use crate::spec::Direction;

/// A snapshot of one proxy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeSeen {
    /// When it was taken.
    pub at_ns: u64,
    /// Connections that were accepted and served, or begun to be.
    pub opened: u64,
    /// Connections that were accepted only to be reset, by a partition.
    pub refused: u64,
    /// Connections that broke: an end of them, or a fault, sent a reset.
    pub reset: u64,
    /// Connections whose callee could not be reached.
    pub unreachable: u64,
    /// Connections that are over, however they ended.
    pub closed: u64,
    /// Bytes per direction: `[upstream, downstream]`.
    pub directions: [DirectionSeen; 2],
    /// Every toxic, the latest last; removed ones stay, up to a number.
    pub toxics: Vec<ToxicSeen>,
    /// Every partition, likewise.
    pub partitions: Vec<PartitionSeen>,
    /// Every HTTP fault, likewise.
    pub http_faults: Vec<HttpFaultSeen>,
    /// The longest time in which no byte came from either end though a connection was open; one that still goes on counts.
    pub longest_silence_ns: u64,
    /// What was seen of HTTP, if the proxy reads it.
    pub http: Option<HttpSeen>,
}

impl EdgeSeen {
    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.opened.saturating_sub(self.closed)
    }

    /// The bytes of one direction.
    pub fn direction(&self, direction: Direction) -> &DirectionSeen {
        &self.directions[direction.index()]
    }
}

/// Bytes and the pieces they came or went in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Reads, writes or datagrams.
    pub chunks: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What went in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectionSeen {
    /// What was read from its sender.
    pub entered: Amount,
    /// What was written to its receiver.
    pub forwarded: Amount,
    /// What was read and thrown away: by a toxic, an HTTP fault, or with a connection that broke.
    pub discarded_bytes: u64,
    /// What an HTTP fault put in.
    pub inserted_bytes: u64,
    /// What is inside the proxy now: `entered + inserted - forwarded - discarded`.
    pub held_bytes: u64,
    /// When bytes last entered.
    pub last_entered_ns: Option<u64>,
    /// When bytes were last forwarded.
    pub last_forwarded_ns: Option<u64>,
}

/// How often something met traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Connections whose bytes or ends met it.
    pub connections: u64,
    /// What met it.
    pub amount: Amount,
    /// Ends of connections' directions that met it and went on, by themselves and not because it was removed.
    pub ends: u64,
    /// The longest time from when one of them came to when it went on.
    pub end_held_max_ns: u64,
    /// The first time.
    pub first_ns: Option<u64>,
    /// The last time.
    pub last_ns: Option<u64>,
}

/// What met one toxic.
#[derive(Clone, Debug, PartialEq)]
pub struct ToxicSeen {
    /// Its name.
    pub name: String,
    /// Its type, as Toxiproxy calls it.
    pub type_name: &'static str,
    /// Its direction.
    pub stream: Direction,
    /// When it was added: in force on every open connection from then on.
    pub added_ns: u64,
    /// When it was removed.
    pub removed_ns: Option<u64>,
    /// Traffic of connections that it was drawn for.
    pub met: Met,
}

/// What met one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionSeen {
    /// When it was in force.
    pub began_ns: u64,
    /// When it was healed.
    pub healed_ns: Option<u64>,
    /// Bytes that reached it and were held, per direction: `[upstream, downstream]`.
    pub met: [Met; 2],
    /// Open connections that it reset.
    pub reset: u64,
    /// New connections that it reset.
    pub refused: u64,
}

/// What met one HTTP fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpFaultSeen {
    /// Its name.
    pub name: String,
    /// When it was added.
    pub added_ns: u64,
    /// When it was removed.
    pub removed_ns: Option<u64>,
    /// Requests that it matched and acted on.
    pub requests: u64,
    /// The first time.
    pub first_ns: Option<u64>,
    /// The last time.
    pub last_ns: Option<u64>,
}

/// What was seen of HTTP/1.1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpSeen {
    /// Heads of requests that came.
    pub requests: u64,
    /// Heads of responses that came, without interim ones (1xx).
    pub responses: u64,
    /// Connections that carried something else, from their start or from some point on; passed untouched from there.
    pub other_connections: u64,
}

/// One open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSeen {
    /// Its number on its proxy, from 0 in the order of acceptance.
    pub number: u64,
    /// The caller's address.
    pub caller: SocketAddr,
    /// When it was accepted.
    pub opened_ns: u64,
    /// Bytes held in each direction now: `[upstream, downstream]`.
    pub held_bytes: [u64; 2],
}

/// A snapshot of a datagram proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramSeen {
    /// When it was taken.
    pub at_ns: u64,
    /// Callers' addresses that got a socket of their own towards the callee.
    pub flows_opened: u64,
    /// Those that have one now.
    pub flows: u64,
    /// Per direction: `[upstream, downstream]`.
    pub directions: [DatagramDirectionSeen; 2],
    /// The longest time without any datagram while there was a flow; one that still goes on counts.
    pub longest_silence_ns: u64,
}

/// What went in one direction of a datagram proxy. Amounts of the faults count the datagrams they acted on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DatagramDirectionSeen {
    /// What came.
    pub entered: Amount,
    /// What was sent on, copies included.
    pub forwarded: Amount,
    /// Dropped by `loss`.
    pub lost: Amount,
    /// Sent twice by `duplicate`.
    pub duplicated: Amount,
    /// Put behind the next one by `reorder`.
    pub reordered: Amount,
    /// Changed by `corrupt`.
    pub corrupted: Amount,
    /// Sent later by `delay`.
    pub delayed: Amount,
    /// Dropped by a partition.
    pub cut: Amount,
    /// Dropped for another reason: too many held, too many flows, or a receiver that is not there.
    pub overflowed: Amount,
    /// When the faults first acted on one.
    pub first_met_ns: Option<u64>,
    /// When they last did.
    pub last_met_ns: Option<u64>,
}
