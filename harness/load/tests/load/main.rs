//! The generator against real sockets: counts, times, failures, phases.

mod data;
mod failures;
mod framed;
mod live;
mod phases;
mod rig;
mod server;
mod times;
mod values;
