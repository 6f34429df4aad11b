//! The clocks a generator reads: the wall clock, which anything may move, and a monotonic one to measure that by.
//!
//! Only [`SystemClock`] reads the machine's clocks, both through libc: a preloaded library that shifts a program's
//! wall clock must shift what the generator sees.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::layout::EPOCH_UNIX_MS;

/// What a generator needs of time.
pub trait Clock: Send + Sync {
    /// The wall clock: microseconds since [`EPOCH_UNIX_MS`], 0 before it.
    fn wall_us(&self) -> u64;
    /// Microseconds since some moment; never goes back, and goes on while the wall clock is stepped or stands still.
    fn monotonic_us(&self) -> u64;
    /// Passes the least time that is worth reading the clock again for.
    fn spin(&self);
    /// Passes this time without using the processor.
    fn sleep(&self, length: Duration);

    /// The wall clock in whole milliseconds.
    fn wall_ms(&self) -> u64 {
        self.wall_us() / 1_000
    }
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// The machine's clocks, monotonic time counting from now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn wall_us(&self) -> u64 {
        #[expect(
            clippy::disallowed_methods,
            reason = "an id is made of the wall clock; this is its one reader"
        )]
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_us = unix.as_secs() * 1_000_000 + u64::from(unix.subsec_micros());
        unix_us.saturating_sub(EPOCH_UNIX_MS * 1_000)
    }

    fn monotonic_us(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    fn spin(&self) {
        for _ in 0..16 {
            std::hint::spin_loop();
        }
    }

    fn sleep(&self, length: Duration) {
        #[expect(
            clippy::disallowed_methods,
            reason = "sleeping is the defence against a step back of 10 to 50 ms"
        )]
        thread::sleep(length);
    }
}

/// The machine's clocks, the wall clock shifted by hand: for measuring what a step costs.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    system: SystemClock,
    shift_us: AtomicI64,
}

impl ShiftedClock {
    /// Steps the wall clock, back if negative.
    pub fn step_us(&self, step: i64) {
        self.shift_us.fetch_add(step, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn wall_us(&self) -> u64 {
        self.system
            .wall_us()
            .saturating_add_signed(self.shift_us.load(Ordering::Relaxed))
    }

    fn monotonic_us(&self) -> u64 {
        self.system.monotonic_us()
    }

    fn spin(&self) {
        self.system.spin();
    }

    fn sleep(&self, length: Duration) {
        self.system.sleep(length);
    }
}

/// Clocks moved by hand, shared by reference: for tests and simulations.
#[derive(Debug)]
pub struct ManualClock {
    wall_us: AtomicU64,
    monotonic_us: AtomicU64,
    frozen: AtomicBool,
}

impl ManualClock {
    /// How far [`Clock::spin`] moves time, in microseconds.
    pub const SPIN_US: u64 = 20;

    /// The wall clock at `ms` since [`EPOCH_UNIX_MS`].
    pub fn at_ms(ms: u64) -> Self {
        Self {
            wall_us: AtomicU64::new(ms * 1_000),
            monotonic_us: AtomicU64::new(0),
            frozen: AtomicBool::new(false),
        }
    }

    /// Passes time: both clocks move, the wall clock only unless frozen.
    pub fn pass(&self, length: Duration) {
        let us = length.as_micros() as u64;
        self.monotonic_us.fetch_add(us, Ordering::SeqCst);
        if !self.frozen.load(Ordering::SeqCst) {
            self.wall_us.fetch_add(us, Ordering::SeqCst);
        }
    }

    /// Steps the wall clock, back if negative; it stops at the epoch.
    pub fn step_us(&self, step: i64) {
        let _ = self
            .wall_us
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |wall| {
                Some(wall.saturating_add_signed(step))
            });
    }

    /// Stops the wall clock, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.store(frozen, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn wall_us(&self) -> u64 {
        self.wall_us.load(Ordering::SeqCst)
    }

    fn monotonic_us(&self) -> u64 {
        self.monotonic_us.load(Ordering::SeqCst)
    }

    fn spin(&self) {
        self.pass(Duration::from_micros(Self::SPIN_US));
    }

    fn sleep(&self, length: Duration) {
        self.pass(length);
    }
}

impl<C: Clock> Clock for std::sync::Arc<C> {
    fn wall_us(&self) -> u64 {
        C::wall_us(self)
    }

    fn monotonic_us(&self) -> u64 {
        C::monotonic_us(self)
    }

    fn spin(&self) {
        C::spin(self);
    }

    fn sleep(&self, length: Duration) {
        C::sleep(self, length);
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, Duration, ManualClock, SystemClock};

    #[test]
    fn the_system_clock_counts_from_the_epoch() {
        // Between 2024-01-01 and what 41 bits of milliseconds hold.
        assert!((1..crate::layout::MS_MAX).contains(&SystemClock::new().wall_ms()));
    }

    #[test]
    fn a_frozen_wall_clock_leaves_monotonic_time_going() {
        let clock = ManualClock::at_ms(5);
        clock.freeze(true);
        clock.pass(Duration::from_millis(3));
        assert_eq!((clock.wall_us(), clock.monotonic_us()), (5_000, 3_000));
        clock.step_us(-9_000);
        assert_eq!(clock.wall_us(), 0);
    }
}
