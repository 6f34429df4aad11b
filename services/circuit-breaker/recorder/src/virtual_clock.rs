//! A clock that stands still until it is moved, in the place of the C library's, so that sentinel-core can be asked at exact times.
//!
//! The linker takes a program's own `clock_gettime`, `nanosleep` and `clock_nanosleep` before the C library's. All
//! clocks read the same here, and a sleep moves them.
#![expect(unsafe_code, reason = "the C library's functions have no other form")]

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};

const NS_PER_SEC: u64 = 1_000_000_000;
/// A whole minute in 2023: sentinel-core takes times near zero for no time at all.
pub const ZERO_NS: u64 = 1_700_000_040 * NS_PER_SEC;
/// `TIMER_ABSTIME`.
const ABSOLUTE: c_int = 1;

static NOW_NS: AtomicU64 = AtomicU64::new(ZERO_NS);

/// `struct timespec` of 64-bit Linux.
#[repr(C)]
pub struct Timespec {
    sec: i64,
    nsec: i64,
}

impl Timespec {
    fn ns(&self) -> u64 {
        self.sec as u64 * NS_PER_SEC + self.nsec as u64
    }
}

/// Microseconds since the clock's zero.
pub fn now_us() -> u64 {
    (NOW_NS.load(Ordering::SeqCst) - ZERO_NS) / 1_000
}

/// Moves the clock to this many microseconds since its zero, never back.
pub fn move_to_us(us: u64) {
    NOW_NS.fetch_max(ZERO_NS + us * 1_000, Ordering::SeqCst);
}

#[unsafe(no_mangle)]
extern "C" fn clock_gettime(_clock: c_int, out: *mut Timespec) -> c_int {
    let now_ns = NOW_NS.load(Ordering::SeqCst);
    let now = Timespec {
        sec: (now_ns / NS_PER_SEC) as i64,
        nsec: (now_ns % NS_PER_SEC) as i64,
    };
    // SAFETY: whoever calls clock_gettime hands in room for a timespec.
    unsafe { out.write(now) };
    0
}

#[unsafe(no_mangle)]
extern "C" fn nanosleep(length: *const Timespec, _left: *mut Timespec) -> c_int {
    // SAFETY: whoever calls nanosleep hands in a timespec.
    let length_ns = unsafe { &*length }.ns();
    NOW_NS.fetch_add(length_ns, Ordering::SeqCst);
    0
}

#[unsafe(no_mangle)]
extern "C" fn clock_nanosleep(
    _clock: c_int,
    flags: c_int,
    time: *const Timespec,
    _left: *mut Timespec,
) -> c_int {
    // SAFETY: whoever calls clock_nanosleep hands in a timespec.
    let time_ns = unsafe { &*time }.ns();
    if flags & ABSOLUTE != 0 {
        NOW_NS.fetch_max(time_ns, Ordering::SeqCst);
    } else {
        NOW_NS.fetch_add(time_ns, Ordering::SeqCst);
    }
    0
}
