//! What the generator is asked to do: loads, phases, options. Plain data, checked when it is handed over.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_model::seed::Seed;

use crate::extract::Extraction;
use crate::pacer::{PacerError, PacerKind};
use crate::protocol::Protocol;
use crate::report::Report;
use crate::think::Think;
use crate::tls::{Tls, TlsError};

/// Loads that one generator may carry.
pub const LOADS_MAX: usize = 1_000;
/// Generator threads.
pub const THREADS_MAX: usize = 256;
/// Connections or users of one load.
pub const CONNECTIONS_MAX: usize = 1_000_000;

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An IP address and port.
    Inet(SocketAddr),
    /// A unix socket's path.
    Unix(PathBuf),
}

impl Address {
    /// Whether it leads nowhere but this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Inet(addr) => addr.ip().is_loopback(),
            Address::Unix(_) => true,
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Address {
        Address::Inet(addr)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(addr) => addr.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where a load goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address to connect to, resolved.
    pub addr: Address,
    /// What the `Host` header says.
    pub host: String,
    /// How to begin TLS, where it is to be spoken.
    pub tls: Option<Tls>,
}

/// One load: requests of one kind to one target.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Its name, for messages.
    pub name: String,
    /// Where it goes.
    pub target: Target,
    /// The address that its connections come from; which the kernel takes if none. Its ports bound the open connections.
    pub source: Option<IpAddr>,
    /// What it sends.
    pub protocol: Arc<dyn Protocol>,
    /// The most connections it may hold open at once in open loop; opened on demand. In closed loop each user has one of its own.
    pub connections: usize,
    /// How long a request may take from its actual send, and a connection from its start.
    pub timeout: Duration,
    /// What to read out of responses.
    pub extract: Vec<Extraction>,
    /// Where its random choices come from.
    pub seed: Seed,
}

/// How the requests of one load arrive in one phase.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// Open loop: requests are sent when they are due, whatever became of the ones before.
    Open {
        /// Requests per second, over all threads; the mean over the phase where the pacer has rates of its own.
        rate_per_s: f64,
        /// How they are spread.
        pacer: PacerKind,
    },
    /// Closed loop: each user waits for the answer, thinks, and sends the next. It cannot see queueing: a slow answer delays the
    /// request that would have shown it.
    Closed {
        /// Users, over all threads.
        users: usize,
        /// Time between an answer and the user's next request.
        think: Think,
    },
    /// The load rests in this phase.
    None,
}

/// How many draws there are: as many as request numbers have room for.
pub const DRAWS_MAX: u32 = 1 << 24;

/// A stretch of the timeline. Requests belong to the phase of their intended time.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseSpec {
    /// Its number; each phase's is higher than the one's before.
    pub index: u32,
    /// What its arrivals and the numbers of its requests, and so their values, derive from beside the load's seed: two phases in
    /// which this is the same ask for the same. No load may have two such, or its requests are not told apart. Below
    /// [`DRAWS_MAX`].
    pub draw: u32,
    /// When it starts, in microseconds since the epoch; not before the phase before it ends.
    pub start_us: u64,
    /// When it ends; `None` until [`end_phase`](crate::Generator::end_phase) says so.
    pub end_us: Option<u64>,
    /// What each load does, in the order of the loads.
    pub arrivals: Vec<Arrivals>,
}

/// How the generator runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Generator threads.
    pub threads: usize,
    /// The processors to pin them to, one each in turn; see [`plan_cpus`](crate::affinity::plan_cpus).
    pub cpus: Option<Vec<usize>>,
    /// Zero of the timeline.
    pub epoch: Instant,
    /// Where reports go. Nothing waits for it, so it should be unbounded: a bounded one that is full loses reports, which is
    /// counted in [`Usage::reports_lost`](crate::Usage::reports_lost). Their number is bounded: per thread and load one slice
    /// each 100 ms for each unfinished phase, and values in batches of thousands.
    pub reports: crossbeam_channel::Sender<Report>,
}

/// Why the generator refused what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A number is outside its bounds.
    #[error("starting the load generator: {what} must be between {min} and {max}, not {given}")]
    OutOfBounds {
        /// Which number.
        what: String,
        /// Lowest allowed.
        min: usize,
        /// Highest allowed.
        max: usize,
        /// What was given.
        given: usize,
    },
    /// The request cannot be written in its protocol.
    #[error("preparing the request of load `{load}`: {problem}")]
    Request {
        /// The load.
        load: String,
        /// What is wrong with it.
        problem: String,
    },
    /// TLS can't be set up.
    #[error("preparing the connections of load `{load}`: {source}")]
    Tls {
        /// The load.
        load: String,
        /// Why not.
        source: TlsError,
    },
    /// A rate cannot be paced.
    #[error("pacing load `{load}` in phase {phase}")]
    Pacer {
        /// The load.
        load: String,
        /// The phase's index.
        phase: u32,
        /// What is wrong with the rate.
        source: PacerError,
    },
    /// A timeout of zero.
    #[error("starting load `{load}`: its timeout is zero; give it a longer one")]
    NoTimeout {
        /// The load.
        load: String,
    },
    /// A phase does not fit the ones before it.
    #[error("adding phase {phase}: {problem}")]
    Phase {
        /// The phase's index.
        phase: u32,
        /// Why it does not fit.
        problem: String,
    },
    /// The operating system refused something.
    #[error("{doing}")]
    System {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A generator thread is gone.
    #[error("talking to generator thread {0}: it has ended; its last report says why")]
    ThreadGone(usize),
}
