//! System calls of a service's processes that stop and ask squall what becomes of them.
//!
//! A seccomp filter with a listener (`seccomp_unotify(2)`) is put on a service between fork and exec
//! ([`SpawnRequest::stops_at`](crate::guard::SpawnRequest::stops_at)) and inherited by everything that it starts, whatever
//! it is written in and however it is linked. Each system call that the filter names then waits until the service's one
//! [`Supervisor`] has answered. The kernel allows one listener for a process, so faults never install filters: they are
//! [`Rule`]s, which the supervisor asks in turn.
//!
//! This is a way to reach programs that cooperate and no sandbox. What a rule reads through a pointer may be changed by
//! another thread of the program before the kernel reads it again after [`Verdict::Continue`], and a call made through
//! `io_uring`, or by a 32-bit program, stops at no filter here. A filter can't be taken off again: once its supervisor is gone,
//! the calls it names fail with `ENOSYS`, so a supervisor lives as long as its service.
//!
//! `filter.rs` is the program that the kernel runs, `handover.rs` how a child puts it on and hands its listener over,
//! `kernel.rs` what the listener is asked, `supervisor.rs` who asks, and `call.rs` what a rule sees of a call.

mod call;
mod filter;
pub(crate) mod handover;
mod kernel;
mod supervisor;

pub use call::Call;
pub use filter::{IS_SUPPORTED, Syscall};
pub use kernel::Listener;
pub use supervisor::{Health, Rule, Supervisor, Verdict, calls_of};
