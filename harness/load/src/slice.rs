//! Asking the kernel to let threads run soon after they wake: the generator's, and the one that injects faults.
//!
//! Since Linux 6.12 an ordinary thread may ask for a shorter time slice (sched(7), `sched_setattr(2)`: `sched_runtime`
//! of `SCHED_OTHER`). Its share of the processor stays what it was; it is only served earlier and for less time at once,
//! which is what a thread wants that wakes for a few microseconds at an appointed time. No privilege is needed, and
//! no other thread is touched. Where the kernel does not know it, nothing changes.
#![expect(unsafe_code, reason = "no safe wrapper of sched_setattr(2) exists")]

use std::num::NonZeroU64;

/// The shortest slice that the kernel grants, in nanoseconds.
const SLICE_NS: u64 = 100_000;

/// `struct sched_attr`, version 0.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime_ns: u64,
    deadline_ns: u64,
    period_ns: u64,
}

/// Lets the calling thread run soon after it wakes, and wake when it asked to, as far as the kernel allows. What it starts
/// afterwards inherits this.
pub fn run_in_time() {
    shorten();
    wake_on_time();
}

/// Asks for the shortest slice for the calling thread; says whether the kernel granted it.
pub(crate) fn shorten() -> bool {
    let nice = rustix::process::getpriority_process(None).unwrap_or(0);
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice,
        priority: 0,
        runtime_ns: SLICE_NS,
        deadline_ns: 0,
        period_ns: 0,
    };
    // SAFETY: the pointer is to a live structure of the size it states, which the kernel only reads.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    result == 0
}

/// Takes back the 50 us by which the kernel may delay the wake-ups of an ordinary thread (`PR_SET_TIMERSLACK`, prctl(2)).
pub(crate) fn wake_on_time() {
    // The least there is; refused by no kernel that has it.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
}

#[cfg(test)]
mod tests {
    #[test]
    fn asking_never_changes_the_policy() {
        super::shorten();
        // SAFETY: takes no pointer.
        let policy = unsafe { libc::sched_getscheduler(0) };
        assert_eq!(policy, libc::SCHED_OTHER);
    }
}
