//! Makes requests and times them. Knows no service, process or fault.
//!
//! A [`Generator`] runs threads of its own, apart from any async runtime. Each thread is one event loop
//! (`dispatcher`) carrying its part of every load (`lane`: connections; `ledger`: what was asked for, what waits, how it ended).
//! A `pacer` says when requests are meant to be sent; a `protocol` turns them into bytes and bytes into answers; a
//! `recorder` keeps samples cheaply; `data` gives requests their values, which `text` writes; `extract` reads values out of
//! answers, `readings` gathers them, and `check` holds answers to what they must be. Users who make [`journey`]s of several steps
//! have a thread of their own, the only one with an async runtime. What happened leaves as [`Report`]s.
//!
//! Two times are always recorded: the **response time** from the intended send to the end of the answer, which sees queueing,
//! and the **service time** from the actual send. This crate never prints, never reads wall time, and never judges a result.

pub mod affinity;
pub mod check;
mod clock;
mod connection;
mod contention;
pub mod data;
mod descriptors;
mod dispatcher;
pub mod extract;
mod fields;
mod generator;
pub mod host;
mod in_flight;
pub mod journey;
mod lane;
mod ledger;
pub mod oneshot;
pub mod pacer;
pub mod pattern;
mod phase;
mod poller;
pub mod protocol;
mod readings;
pub mod recorder;
pub mod report;
pub mod slice;
mod socket;
pub mod spec;
mod stamp;
mod tally;
pub mod text;
mod think;
pub mod tls;
pub mod url;

pub use check::Checks;
pub use extract::{Extraction, Place, Pointer};
pub use fields::Fields;
pub use generator::{Generator, Usage, load_seed};
pub use pacer::PacerKind;
pub use pattern::Pattern;
pub use protocol::{Protocol, framed, http1, http2, sse, websocket};
pub use recorder::Samples;
pub use report::{ErrorKind, Report, Slice};
pub use socket::{UNIX_PATH_BYTES_MAX, is_unix_path};
pub use spec::{Address, Arrivals, DRAWS_MAX, LoadError, LoadSpec, Options, PhaseSpec, Target};
pub use text::Text;
pub use think::Think;
pub use tls::{Tls, Trust};
