//! The handles: threads that move bytes, and proxies on them. Everything dies with its handle.

#![expect(
    clippy::unimplemented,
    reason = "the bodies follow; the signatures are what others build on"
)]

use std::net::SocketAddr;

use squall_model::seed::Seed;

use crate::datagram::{DatagramFaults, DatagramSpec};
use crate::error::EdgeError;
use crate::http::HttpFault;
use crate::seen::{ConnectionSeen, DatagramSeen, EdgeSeen};
use crate::spec::{Direction, Options, Partition, ProxySpec, ToxicSpec};
use crate::toxic::ToxicKind;

/// The threads. Dropping it closes every proxy on them and joins the threads; proxies' handles then answer
/// [`EdgeError::Ended`].
pub struct Proxies {
    _options: Options,
}

impl Proxies {
    /// Starts the threads.
    pub fn start(options: Options) -> Result<Proxies, EdgeError> {
        Ok(Proxies { _options: options })
    }

    /// Makes a proxy for streams. It draws only from children of `seed`.
    pub fn stream(&self, spec: ProxySpec, seed: Seed) -> Result<Proxy, EdgeError> {
        unimplemented!("{spec:?} {seed:?}")
    }

    /// Makes a proxy for datagrams. It draws only from children of `seed`.
    pub fn datagram(&self, spec: DatagramSpec, seed: Seed) -> Result<DatagramProxy, EdgeError> {
        unimplemented!("{spec:?} {seed:?}")
    }
}

/// A proxy for streams. What a method changes is in force on every open connection when it returns. Dropping it closes its
/// sockets and its connections.
pub struct Proxy {
    spec: ProxySpec,
}

impl Proxy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Where callers connect to, with the port that it got. Stays the same while it is disabled.
    pub fn listen(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Moves it to another address; a new one if only the port is 0. Closes all connections, as Toxiproxy does.
    pub fn set_listen(&self, _listen: SocketAddr) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Where the callee listens.
    pub fn upstream(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Sends connections that are accepted from now on to another callee. Open ones stay.
    pub fn set_upstream(&self, _upstream: SocketAddr) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Whether it listens, partitions aside.
    pub fn is_enabled(&self) -> bool {
        unimplemented!()
    }

    /// Listens again.
    pub fn enable(&self) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Closes all connections; the kernel refuses new ones. The address stays taken.
    pub fn disable(&self) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Closes all connections and goes on listening.
    pub fn close_connections(&self) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// The toxics, in the order in which bytes meet them.
    pub fn toxics(&self) -> Vec<ToxicSpec> {
        unimplemented!()
    }

    /// Adds a toxic behind the others.
    pub fn add_toxic(&self, _toxic: ToxicSpec) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Gives a toxic other attributes and another share. Its type and direction stay; the share decides anew with each
    /// connection's first draw. What it held is decided about anew.
    pub fn change_toxic(&self, _name: &str, _kind: ToxicKind, _toxicity: f64) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Removes a toxic. What it held goes on in order.
    pub fn remove_toxic(&self, _name: &str) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Cuts caller and callee off from each other, in place of an earlier partition.
    pub fn partition(&self, _partition: Partition) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Ends the partition, if there is one. What was held goes on in order.
    pub fn heal(&self) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// The partition that holds.
    pub fn partitioned(&self) -> Option<Partition> {
        unimplemented!()
    }

    /// Adds an HTTP fault behind the others. It is for requests whose head comes from now on.
    pub fn add_http_fault(&self, _fault: HttpFault) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Removes an HTTP fault. Requests that met it keep what it did to them.
    pub fn remove_http_fault(&self, _name: &str) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// The HTTP faults in the order in which requests meet them.
    pub fn http_faults(&self) -> Vec<HttpFault> {
        unimplemented!()
    }

    /// The open connections, by number.
    pub fn connections(&self) -> Result<Vec<ConnectionSeen>, EdgeError> {
        unimplemented!()
    }

    /// What it saw so far. Asks no thread, so it can be called often.
    pub fn seen(&self) -> EdgeSeen {
        unimplemented!()
    }
}

/// A proxy for datagrams. What a method changes is in force when it returns. Dropping it closes its sockets.
pub struct DatagramProxy {
    spec: DatagramSpec,
}

impl DatagramProxy {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Where callers send to, with the port that it got.
    pub fn listen(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Changes what happens to the datagrams that come from now on in one direction.
    pub fn set_faults(&self, _direction: Direction, _faults: DatagramFaults) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// What happens to the datagrams of one direction.
    pub fn faults(&self, _direction: Direction) -> DatagramFaults {
        unimplemented!()
    }

    /// Drops every datagram of one direction, or of both.
    pub fn partition(&self, _direction: Option<Direction>) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// Ends the partition, if there is one.
    pub fn heal(&self) -> Result<(), EdgeError> {
        unimplemented!()
    }

    /// What it saw so far.
    pub fn seen(&self) -> DatagramSeen {
        unimplemented!()
    }
}
