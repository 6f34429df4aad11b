//! Redirect: programs that can't be told an address are led to a proxy all the same.
//!
//! A service whose processes stop at connect(2) (see [`crate::seccomp`]) is looked up in a table, [`Redirects`], from the
//! real address of a callee to that of its proxy. Where the address that a process asks for is in the table, squall takes
//! a duplicate of the very socket (`pidfd_getfd(2)`), connects it to the proxy, and tells the process how that went.
//! Everything else goes on as if nothing had been asked. The table may change at any time; connections that are open
//! already stay where they are.
//!
//! What it does not do, and why:
//! - The process sees the proxy: getpeername(2) shows its address. Only `connect` is caught, no address that a program
//!   passes on by other means.
//! - Datagrams are caught where a program connects its socket, not where each of them names its target (`sendto`). The
//!   same goes for TCP fast open by `sendto`.
//! - Calls through `io_uring` and of 32-bit programs aren't seen, nor is a program that another user runs or that forbids to be
//!   looked into (`PR_SET_DUMPABLE`, a set-uid program): its calls count as [`Counts::missed`] and go where they would.
//! - It is for programs that cooperate, and no sandbox: a program that wants to can change the address after it was read.

mod address;
mod connect;
mod probe;
mod table;

pub use probe::{Unavailable, probe};
pub use table::{Counts, Families, Miss, Redirects, Transport};
