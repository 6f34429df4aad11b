//! Proxies between sockets that the tests hold both ends of. Loopback only.

mod datagrams;
mod http;
mod limits;
mod partitions;
mod stage;
mod streams;
mod toxics;
