//! The kernel's clocks as the fault groups them, and one law for each.
//!
//! Clocks of a family move together, but count from different moments, so each has a law with its own origin.

use std::fmt;

use rustix::time::{ClockId, DynamicClockId, clock_gettime_dynamic};

use super::law::ClockLaw;

/// Which clocks a fault moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClockFamily {
    /// The time of day: `CLOCK_REALTIME`, its coarse and alarm kin, and `CLOCK_TAI`.
    Realtime,
    /// Time since a fixed moment: `CLOCK_MONOTONIC`, its coarse kin, `CLOCK_BOOTTIME` and `CLOCK_MONOTONIC_RAW`.
    Monotonic,
}

impl fmt::Display for ClockFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Realtime => "realtime",
            Self::Monotonic => "monotonic",
        })
    }
}

/// A clock with a law of its own. The order is the page's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KernelClock {
    /// `CLOCK_REALTIME`
    Realtime,
    /// `CLOCK_TAI`
    Tai,
    /// `CLOCK_MONOTONIC`
    Monotonic,
    /// `CLOCK_BOOTTIME`
    Boottime,
    /// `CLOCK_MONOTONIC_RAW`
    MonotonicRaw,
}

impl KernelClock {
    /// All of them, in the page's order.
    pub const ALL: [Self; 5] = [
        Self::Realtime,
        Self::Tai,
        Self::Monotonic,
        Self::Boottime,
        Self::MonotonicRaw,
    ];

    /// The family it moves with.
    pub fn family(self) -> ClockFamily {
        match self {
            Self::Realtime | Self::Tai => ClockFamily::Realtime,
            Self::Monotonic | Self::Boottime | Self::MonotonicRaw => ClockFamily::Monotonic,
        }
    }

    /// The clock whose law a `clockid_t` of the kernel follows; coarse and alarm clocks follow their namesake.
    pub fn from_id(id: u32) -> Option<Self> {
        // linux/time.h
        match id {
            0 | 5 | 8 => Some(Self::Realtime),
            11 => Some(Self::Tai),
            1 | 6 => Some(Self::Monotonic),
            7 | 9 => Some(Self::Boottime),
            4 => Some(Self::MonotonicRaw),
            _ => None,
        }
    }

    fn id(self) -> DynamicClockId<'static> {
        match self {
            Self::Realtime => DynamicClockId::Known(ClockId::Realtime),
            Self::Tai => DynamicClockId::Tai,
            Self::Monotonic => DynamicClockId::Known(ClockId::Monotonic),
            Self::Boottime => DynamicClockId::Boottime,
            Self::MonotonicRaw => DynamicClockId::Known(ClockId::MonotonicRaw),
        }
    }
}

/// What every clock really showed, in nanoseconds since its own zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings([i64; 5]);

impl Readings {
    /// Readings in the page's order.
    pub fn new(ns: [i64; 5]) -> Self {
        Self(ns)
    }

    /// Reads this machine's clocks, one after the other.
    pub fn take() -> Self {
        Self(KernelClock::ALL.map(|clock| {
            let now = clock_gettime_dynamic(clock.id()).expect("Linux has had these clocks since 3.10");
            now.tv_sec * 1_000_000_000 + now.tv_nsec
        }))
    }

    /// What one clock showed.
    pub fn of(&self, clock: KernelClock) -> i64 {
        self.0[clock as usize]
    }
}

/// A law for each clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Laws([ClockLaw; 5]);

impl Laws {
    /// Every clock on real time.
    pub const REST: Self = Self([ClockLaw::REST; 5]);

    /// The law of one clock.
    pub fn of(&self, clock: KernelClock) -> ClockLaw {
        self.0[clock as usize]
    }

    /// Gives one clock another law.
    pub fn set(&mut self, clock: KernelClock, law: ClockLaw) {
        self.0[clock as usize] = law;
    }
}
