//! The time that calls are judged by: nanoseconds of the kit's monotonic clock, which no step of the wall clock moves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use squall_service_kit::clock;

use crate::Plant;

/// Where time is taken from.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    is_wall: bool,
}

impl Time {
    /// The monotonic clock, but for the bug that takes the wall clock.
    pub fn new(plant: Plant) -> Self {
        Self {
            is_wall: plant == Plant::WallClock,
        }
    }

    /// Now, in nanoseconds.
    pub fn now_ns(self) -> u64 {
        if self.is_wall {
            return wall().as_nanos() as u64;
        }
        clock::monotonic().as_nanos() as u64
    }
}

/// Milliseconds since 1970, as the machine has it; 0 before.
pub fn wall_ms() -> u64 {
    wall().as_millis() as u64
}

#[expect(
    clippy::disallowed_methods,
    reason = "people are shown it beside the states, by which a clock fault is seen to reach the process; the planted bug decides by it"
)]
fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
}
