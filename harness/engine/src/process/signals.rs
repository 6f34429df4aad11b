//! What a process does about a signal, and whether it has taken one, from `/proc/PID/status` (`proc_pid_status(5)`).

use std::fs;

use rustix::process::Signal;

use super::identity::Identity;

/// What becomes of a signal that a process gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// What the kernel does by default, which for the signals that are asked about here is to end the process.
    Default,
    /// Nothing.
    Ignored,
    /// A handler is called.
    Caught,
    /// It waits until it is asked for, as with `signalfd(2)` or `sigwait(3)`, or until it is let through: a shell keeps all
    /// signals waiting while it forks.
    Blocked,
}

/// What `process` does about `signal`; nothing where it is gone, or the kernel does not say.
pub fn disposition(process: Identity, signal: Signal) -> Option<Disposition> {
    let status = status(process)?;
    let has = |mask: &str| field(&status, mask).map(|mask| mask & bit(signal) != 0);
    Some(if has("SigCgt")? {
        Disposition::Caught
    } else if has("SigIgn")? {
        Disposition::Ignored
    } else if has("SigBlk")? {
        Disposition::Blocked
    } else {
        Disposition::Default
    })
}

/// Whether a signal that was sent to `process` as a whole still waits to be taken; nothing where it is gone.
pub fn is_pending(process: Identity, signal: Signal) -> Option<bool> {
    Some(field(&status(process)?, "ShdPnd")? & bit(signal) != 0)
}

/// The text, once it is certain that it is of this very process.
fn status(process: Identity) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    (Identity::of(process.pid) == Some(process)).then_some(text)
}

fn bit(signal: Signal) -> u64 {
    1 << (signal.as_raw() - 1)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let rest = |line: &'_ str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
    let mask = status.lines().find_map(rest)?;
    u64::from_str_radix(&mask, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_read_by_name() {
        let status =
            "Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000200\nSigCgt:\t0000000180014a07\n";
        assert_eq!(field(status, "ShdPnd"), Some(0x200));
        assert_eq!(bit(Signal::USR1), 0x200);
        assert_eq!(field(status, "SigBlk"), None);
    }

    #[test]
    fn a_program_that_was_told_to_ignore_a_signal_is_seen_to() {
        let script = "trap '' HUP; trap : USR1; echo; while :; do read x; done";
        let mut child = std::process::Command::new("sh")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut line = [0; 1];
        let out = child.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(out, &mut line).expect("it says when it is ready");
        let process = Identity::of(child.id().cast_signed()).expect("it runs");
        let of = |signal| disposition(process, signal);
        assert_eq!(of(Signal::HUP), Some(Disposition::Ignored));
        assert_eq!(of(Signal::USR1), Some(Disposition::Caught));
        assert_eq!(of(Signal::USR2), Some(Disposition::Default));
        assert_eq!(is_pending(process, Signal::USR1), Some(false));
        let other = Identity {
            start_time: process.start_time + 1,
            ..process
        };
        assert_eq!(disposition(other, Signal::HUP), None);
        child.kill().and_then(|()| child.wait()).expect("killed");
        assert_eq!(of(Signal::HUP), None);
    }
}
