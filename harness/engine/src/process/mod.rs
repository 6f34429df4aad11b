//! Services as processes: starting one and waiting until it is ready, its log, stopping it with all that it started.
//!
//! Everything runs under the guard (`crate::guard`); nothing here forks. A process is named by pid and start time
//! ([`Identity`]) and signalled through pidfds only.

mod family;
pub mod identity;
mod launch;
mod lifecycle;
pub mod log;
pub mod port;
pub mod ready;
mod service;
pub mod signals;
pub mod socket;
pub mod sweep;
pub mod table;
mod threads;

pub use family::{Family, Members};
pub use identity::Identity;
pub use launch::{
    Addresses, Invocation, Launch, MakeInvocation, PortWish, StartError, StopError, StopReport,
};
pub use lifecycle::{Ended, Lifecycle, Standing, Started};
pub use port::{PortError, PortReserver};
pub use ready::{Ready, ReadyLine};
pub use service::{SERVICE_MARKER, ServiceProcess};
pub use table::Table;
pub use threads::Threads;
