//! What a proxy is made of, as data: addresses, directions, toxics, partitions. Opens nothing and decides nothing.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::toxic::ToxicKind;

/// What the proxies of a [`Proxies`](crate::Proxies) share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Threads that move bytes, at least one. A connection stays on the one it was given to.
    pub threads: usize,
    /// Bytes that one direction of one connection may hold for toxics and partitions before its sender is no longer read.
    pub held_bytes_max: usize,
}

impl Options {
    /// One thread; 4 MiB, which is 100 ms at 40 MB/s.
    pub const DEFAULT: Options = Options {
        threads: 1,
        held_bytes_max: 4 << 20,
    };
}

impl Default for Options {
    fn default() -> Options {
        Options::DEFAULT
    }
}

/// A way that bytes take across an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the caller to the callee.
    Upstream,
    /// From the callee to the caller.
    Downstream,
}

impl Direction {
    /// Both, in the order in which arrays hold them.
    pub const BOTH: [Direction; 2] = [Direction::Upstream, Direction::Downstream];

    /// Its place in arrays that hold both.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `upstream` or `downstream`, as Toxiproxy calls them.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::Upstream => "upstream",
            Direction::Downstream => "downstream",
        }
    }
}

/// A proxy for streams (TCP).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxySpec {
    /// What it is called in errors.
    pub name: String,
    /// Where callers connect to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the callee listens.
    pub upstream: SocketAddr,
    /// The address from which the callee is called; which the kernel takes if none.
    pub source: Option<IpAddr>,
    /// Whether it listens from the start.
    pub enabled: bool,
    /// Reads what passes as HTTP/1.1: requests are counted, and HTTP faults may be added. Costs a look at each head. A connection
    /// that turns out to carry something else is passed on untouched and counted.
    pub http: bool,
}

impl ProxySpec {
    /// An enabled proxy on a free port of 127.0.0.1 that does not look at what passes.
    pub fn new(name: impl Into<String>, upstream: SocketAddr) -> ProxySpec {
        ProxySpec {
            name: name.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            upstream,
            source: None,
            enabled: true,
            http: false,
        }
    }
}

/// A toxic on a proxy, as Toxiproxy describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct ToxicSpec {
    /// Unique on its proxy.
    pub name: String,
    /// The bytes it is for.
    pub stream: Direction,
    /// The share of connections that it is for, from 0 to 1. Drawn once for each connection.
    pub toxicity: f64,
    /// What it does.
    pub kind: ToxicKind,
}

impl ToxicSpec {
    /// A toxic for all connections, with the name that Toxiproxy gives: `latency_downstream`.
    pub fn new(stream: Direction, kind: impl Into<ToxicKind>) -> ToxicSpec {
        let kind = kind.into();
        ToxicSpec {
            name: format!("{}_{}", kind.type_name(), stream.name()),
            stream,
            toxicity: 1.0,
            kind,
        }
    }
}

/// A cut between caller and callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The only bytes that are cut off; both ways if none.
    pub direction: Option<Direction>,
    /// What becomes of connections that are open.
    pub open: OpenConnections,
    /// What becomes of connections that callers begin.
    pub new: NewConnections,
}

impl Partition {
    /// Both ways; what is open stalls, what is new is left waiting.
    pub const DEFAULT: Partition = Partition {
        direction: None,
        open: OpenConnections::Stall,
        new: NewConnections::Blackhole,
    };

    /// Whether bytes of this direction are cut off.
    pub fn cuts(&self, direction: Direction) -> bool {
        self.direction.is_none_or(|only| only == direction)
    }
}

impl Default for Partition {
    fn default() -> Partition {
        Partition::DEFAULT
    }
}

/// What a partition does to connections that are open when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenConnections {
    /// Their bytes, and their ends, are held and delivered in order after healing.
    Stall,
    /// They are reset at both ends. Needs a partition both ways.
    Reset,
}

/// What a partition does to connections that callers begin while it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewConnections {
    /// Nothing listens: the kernel refuses them, and nobody can count them.
    Refuse,
    /// They are accepted, reset at once, and counted as refused.
    Reset,
    /// The kernel completes them, and nobody serves them until healing.
    Blackhole,
}
