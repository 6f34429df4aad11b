//! What goose would take of the process, claimed before it can: the handler of Ctrl-C, and the one logger of `log`.
//!
//! Goose installs its handler through `ctrlc`, which takes one handler per process and refuses the next. So it is given one here, and
//! what handled SIGINT before is put back at once. What remains is a thread called `ctrl-c` that waits for ever.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Once;

use rustix::process::{Signal, getpid, kill_process};

/// Swallows what goose says.
struct Silence;

impl log::Log for Silence {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        false
    }

    fn log(&self, _: &log::Record<'_>) {}

    fn flush(&self) {}
}

/// Claims both, once in a process.
pub(super) fn take() -> io::Result<()> {
    static SILENCE: Silence = Silence;
    static ONCE: Once = Once::new();
    let mut result = Ok(());
    ONCE.call_once(|| {
        // A logger that is there already is as good: goose finds the place taken.
        let _ = log::set_logger(&SILENCE);
        result = claim_interrupt();
    });
    result
}

fn claim_interrupt() -> io::Result<()> {
    let before = action()?;
    // Only called for a signal that came between the two: it goes to whose turn it is by now.
    let resend = || {
        let _ = kill_process(getpid(), Signal::INT);
    };
    let claimed = ctrlc::set_handler(resend);
    put_back(&before)?;
    // Where something else uses `ctrlc`, its place is taken too.
    match claimed {
        Ok(()) | Err(ctrlc::Error::MultipleHandlers) => Ok(()),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// What SIGINT does now.
fn action() -> io::Result<libc::sigaction> {
    let mut now = MaybeUninit::uninit();
    #[expect(
        unsafe_code,
        reason = "there is no safe wrapper for sigaction(2) that only looks"
    )]
    // SAFETY: without a new action the call changes nothing, and it fills `now` where it succeeds.
    unsafe {
        if libc::sigaction(libc::SIGINT, std::ptr::null(), now.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(now.assume_init())
    }
}

fn put_back(before: &libc::sigaction) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "there is no safe wrapper for sigaction(2) with an action read before"
    )]
    // SAFETY: `before` is what the kernel gave for the same signal, so its handler was in force a moment ago.
    let result = unsafe { libc::sigaction(libc::SIGINT, before, std::ptr::null_mut()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_handled_ctrl_c_before_still_does() {
        let before = action().unwrap();
        take().unwrap();
        take().unwrap();
        let after = action().unwrap();
        assert_eq!(before.sa_sigaction, after.sa_sigaction);
        assert_eq!(
            before.sa_flags & libc::SA_RESTART,
            after.sa_flags & libc::SA_RESTART
        );
        // Goose's own attempt comes to nothing.
        let late = ctrlc::set_handler(|| {});
        assert!(matches!(late, Err(ctrlc::Error::MultipleHandlers)), "{late:?}");
        assert_eq!(action().unwrap().sa_sigaction, before.sa_sigaction);
    }
}
