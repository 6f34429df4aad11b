//! The generator against real sockets: counts, times, failures, phases.

mod data;
mod failures;
mod framed;
mod http2;
mod hyper_server;
#[cfg(feature = "journey")]
mod journey;
mod live;
mod phases;
mod rig;
mod server;
mod times;
mod tls;
mod unix;
mod values;
