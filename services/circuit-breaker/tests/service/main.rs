//! The service from outside, in front of servers that do as they are told.

mod impatience;
mod launched;
mod refresh;
mod rules;
mod server;
mod start;

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for anything.
const DEADLINE: Duration = Duration::from_mins(1);

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not yet: {what}");
        thread::yield_now();
    }
}
