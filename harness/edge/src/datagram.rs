//! Datagrams (UDP): a socket towards the callee for each caller, and what can happen to datagrams on the way.

mod flows;
mod lane;
mod proxy;
mod tally;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::EdgeError;
use crate::proxy::check_share;
use crate::toxic::Latency;

pub(crate) use flows::{Flows, FlowsOrder};
pub use proxy::DatagramProxy;

/// A proxy for datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatagramSpec {
    /// What it is called in errors.
    pub name: String,
    /// Where callers send to; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the callee listens.
    pub upstream: SocketAddr,
    /// The address from which the callee is sent to; which the kernel takes if none.
    pub source: Option<IpAddr>,
    /// Callers' addresses that may have a socket at the same time; the one that was silent longest makes room for one more.
    pub flows_max: usize,
}

impl DatagramSpec {
    /// A proxy on a free port of 127.0.0.1 for 1,024 callers.
    pub fn new(name: impl Into<String>, upstream: SocketAddr) -> DatagramSpec {
        DatagramSpec {
            name: name.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            upstream,
            source: None,
            flows_max: 1_024,
        }
    }
}

/// What happens to the datagrams of one direction. Shares are from 0 to 1 and drawn for each datagram on its own, each fault from
/// a stream of random numbers of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DatagramFaults {
    /// The share that is dropped.
    pub loss: f64,
    /// The share that is sent twice, one right after the other.
    pub duplicate: f64,
    /// The share that waits until the next datagram of its flow and direction has gone, or 100 ms if none does. One waits at a
    /// time.
    pub reorder: f64,
    /// The share in which one bit, drawn evenly, is flipped. The checksum is made anew, so the receiver gets the datagram as it is.
    /// Empty datagrams have no bit to flip.
    pub corrupt: f64,
    /// How long each waits. With jitter datagrams overtake each other.
    pub delay: Option<Latency>,
}

impl DatagramFaults {
    fn check(&self) -> Result<(), EdgeError> {
        check_share("the share of loss", self.loss)?;
        check_share("the share of duplicate", self.duplicate)?;
        check_share("the share of reorder", self.reorder)?;
        check_share("the share of corrupt", self.corrupt)
    }
}
