//! How a proxy for streams is to behave, as the threads that serve it have it: one value that is never changed, only replaced.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use squall_model::seed::Seed;

use crate::chain::ActiveToxic;
use crate::http::Rules;
use crate::tally::{EdgeTally, PartitionTally};

/// What is done with connections that wait to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accept {
    /// They are served.
    Serve,
    /// They wait on.
    Wait,
    /// They are accepted and reset.
    Reset,
}

/// How a proxy is to behave.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) upstream: SocketAddr,
    pub(crate) source: Option<IpAddr>,
    pub(crate) accept: Accept,
    /// Per direction, in the order in which bytes meet them.
    pub(crate) toxics: [Vec<ActiveToxic>; 2],
    /// The number of the partition that holds the bytes of a direction, if one does.
    pub(crate) stalls: [Option<u64>; 2],
    /// The partition that holds, for what it does.
    pub(crate) partition: Option<Arc<PartitionTally>>,
    /// What is done to HTTP, where it is read.
    pub(crate) http: Option<Arc<Rules>>,
}

/// What a proxy keeps for as long as it is there.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) id: u32,
    pub(crate) seed: Seed,
    pub(crate) tally: Arc<EdgeTally>,
}
