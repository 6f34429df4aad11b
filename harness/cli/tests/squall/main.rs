//! The `squall` binary as its users meet it: real processes, real sockets, real signals.
//!
//! One test binary, so that a single lock decides who has the machine: a test that puts load on it or counts processes
//! runs alone, the others share. Every wait has a deadline, and no test asserts how long something took.

#[path = "../foreign.rs"]
mod foreign;

mod bad_luck;
mod baselines;
mod capacity;
mod check;
mod commands;
mod compare;
mod datagrams;
mod edges;
mod formats;
mod gate;
mod gate_criterion;
mod gate_setups;
mod index;
mod isolated;
mod load;
mod metrics;
mod pauses;
mod placeholders;
mod progress;
mod proxy;
mod redirect;
mod scenarios;
mod sockets;
mod support;
mod toxiproxy;
