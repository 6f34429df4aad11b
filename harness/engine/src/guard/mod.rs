//! The guard: a second process of squall's own binary that starts every service and outlives squall by as long as it
//! takes to kill them all.
//!
//! Squall can be killed at any moment by a signal that no program sees, so cleaning up can't be left to squall. The guard
//! is the parent of every service and the *subreaper* of whatever those start (prctl(2), `PR_SET_CHILD_SUBREAPER`):
//! a process that daemonises itself becomes the guard's child, not init's. When the socket to squall ends, however that
//! came, the guard kills everything below it. If it is the guard that dies, its orphans become squall's, who is a
//! subreaper too, and squall kills them. If both die in the same instant, `squall clean` finds the rest by the marker
//! that each of them carries in its environment.
//!
//! `server.rs` is the guard's own side, `client.rs` squall's; `protocol.rs` is what they say to each other. The guard is
//! single-threaded, never runs anything that squall didn't ask for, and never outlives what it guards.

mod client;
mod descriptors;
mod exit;
mod packet;
mod protocol;
mod rescue;
mod server;
mod spawn;

pub use client::{Event, GuardError, GuardHandle, Spawned};
pub use exit::{ExitStatus, ExitWatch};
pub use protocol::{SpawnError, SpawnRequest};
pub use rescue::Rescue;
pub use server::main;

/// The environment variable that every process of a run carries, its value the run's id.
pub const RUN_MARKER: &str = "SQUALL_RUN";
