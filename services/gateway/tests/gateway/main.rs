//! The gateway over real sockets: its upstreams are servers that do as they are told, its clients write bytes.

mod balancing;
mod clients;
mod framing;
mod limits;
mod protocols;
mod pushing;
mod retrying;
mod support;
