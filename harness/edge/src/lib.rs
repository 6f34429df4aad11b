//! Squall's edge: the proxies that stand between a caller and a callee.
//!
//! A [`Proxies`] is a number of threads; on it proxies for streams ([`Proxy`]) and datagrams ([`DatagramProxy`]) are made, each
//! with a listening address and the address of its callee. Toxics, partitions and HTTP faults can be added, changed and removed
//! while connections are open. What an edge saw can be read at any time ([`EdgeSeen`]).
//!
//! This crate knows no scenario, process, engine or load. It reaches out to no address but those it is given, and draws no random
//! number but from the seeds it is given.

pub mod api;
mod backlog;
mod chain;
mod clock;
mod config;
mod connection;
mod datagram;
mod error;
mod http;
mod lane;
mod poller;
mod proxies;
mod proxy;
mod seen;
mod slots;
mod socket;
mod spec;
mod tally;
mod timers;
mod token;
mod toxic;
mod worker;

pub use datagram::{DatagramFaults, DatagramProxy, DatagramSpec};
pub use error::EdgeError;
pub use http::{HttpAction, HttpFault, HttpMatch, PathMatch};
pub use proxies::Proxies;
pub use proxy::Proxy;
pub use seen::{
    Amount, ConnectionSeen, DatagramDirectionSeen, DatagramSeen, DirectionSeen, EdgeSeen, HttpFaultSeen,
    HttpSeen, Met, PartitionSeen, ToxicSeen,
};
pub use spec::{Direction, NewConnections, OpenConnections, Options, Partition, ProxySpec, ToxicSpec};
pub use toxic::{
    Bandwidth, Chunk, Distribution, EndVerdict, Latency, LimitData, ResetPeer, Rule, Slicer, SlowClose, Stop,
    TOXICS, Timeout, ToxicKind, ToxicType, Verdict, toxic_type,
};
