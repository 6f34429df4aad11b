//! What can go wrong with a proxy, as one type.

use std::io;
use std::net::SocketAddr;

/// Why a proxy could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The threads could not be started.
    #[error("the proxies' threads could not be started")]
    Start(#[source] io::Error),
    /// Nothing can listen there.
    #[error("proxy {proxy}: can't listen on {address}")]
    Listen {
        /// The proxy's name.
        proxy: String,
        /// Where it was to listen.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another toxic or HTTP fault of the proxy has this name.
    #[error("proxy {proxy}: there is a {name} already")]
    Duplicate {
        /// The proxy's name.
        proxy: String,
        /// The name that was given twice.
        name: String,
    },
    /// The proxy has nothing of this name.
    #[error("proxy {proxy}: there is no {name}")]
    Unknown {
        /// The proxy's name.
        proxy: String,
        /// The name that was asked for.
        name: String,
    },
    /// A share outside of 0 to 1.
    #[error("{what} must be between 0 and 1, and is {value}")]
    Share {
        /// What the share is of.
        what: String,
        /// Its value.
        value: f64,
    },
    /// A fault that only datagrams can have.
    #[error(
        "a stream can have no {fault}: the kernel would repeat what is lost and sort what is out of order; use a datagram proxy"
    )]
    DatagramsOnly {
        /// `loss`, `duplicate`, `reorder` or `corrupt`.
        fault: &'static str,
    },
    /// Open connections can be reset only both ways.
    #[error(
        "proxy {proxy}: a partition of one direction can't reset connections, which have two; let it stall them"
    )]
    OneWayReset {
        /// The proxy's name.
        proxy: String,
    },
    /// An HTTP fault on a proxy that was not told to read HTTP.
    #[error("proxy {proxy} does not read HTTP: make it with `http: true`")]
    NotHttp {
        /// The proxy's name.
        proxy: String,
    },
    /// An HTTP fault that can't be done.
    #[error("HTTP fault {fault}: {reason}")]
    HttpFault {
        /// The fault's name.
        fault: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The threads have ended, since one of them failed.
    #[error("the proxies' threads have ended")]
    Ended,
}
