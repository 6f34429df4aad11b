//! Makes requests and times them. Knows no service, process or fault.
//!
//! A [`Generator`] runs threads of its own, apart from any async runtime. Each thread is one event loop
//! (`dispatcher`) carrying its part of every load (`lane`: connections; `ledger`: what was asked for, what waits, how it ended).
//! A `pacer` says when requests are meant to be sent; a `protocol` turns them into bytes and bytes into answers; a
//! `recorder` keeps samples cheaply; `extract` reads values out of bodies. What happened leaves as [`Report`]s.
//!
//! Two times are always recorded: the **response time** from the intended send to the end of the answer, which sees queueing,
//! and the **service time** from the actual send. This crate never prints, never reads wall time, and never judges a result.

pub mod affinity;
mod clock;
mod connection;
mod contention;
mod descriptors;
mod dispatcher;
pub mod extract;
mod fields;
mod generator;
pub mod host;
mod in_flight;
mod lane;
mod ledger;
pub mod oneshot;
pub mod pacer;
mod phase;
mod poller;
pub mod protocol;
pub mod recorder;
pub mod report;
mod slice;
mod socket;
pub mod spec;
mod stamp;
mod tally;
pub mod url;

pub use extract::{Extraction, Pointer};
pub use generator::{Generator, Usage, load_seed};
pub use pacer::PacerKind;
pub use protocol::{Protocol, framed, http1, sse, websocket};
pub use recorder::Samples;
pub use report::{ErrorKind, Report, Slice};
pub use spec::{Address, Arrivals, LoadError, LoadSpec, Options, PhaseSpec, Target};
