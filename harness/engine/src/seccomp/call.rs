//! What a rule sees of a call that waits: its arguments, its process's memory, its process's descriptors.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::filter::Syscall;
use super::kernel::{Listener, Notification};

/// The most bytes that are read from a process at once.
const READ_MAX: usize = 4096;

/// A system call that waits to be told what becomes of it.
#[derive(Debug)]
pub struct Call<'a> {
    syscall: Syscall,
    notification: Notification,
    listener: &'a Listener,
}

impl<'a> Call<'a> {
    pub(super) fn new(syscall: Syscall, notification: Notification, listener: &'a Listener) -> Self {
        Self {
            syscall,
            notification,
            listener,
        }
    }

    /// Which call it is.
    pub fn syscall(&self) -> Syscall {
        self.syscall
    }

    /// The thread that called; its process has the same number if it has only one.
    pub fn thread(&self) -> i32 {
        self.notification.thread
    }

    /// An argument as it is in its register; `index` below 6.
    pub fn argument(&self, index: usize) -> u64 {
        self.notification.arguments[index]
    }

    /// Reads `length` bytes, at most 4096, of the process's memory. `ENOENT` if it doesn't wait any more.
    ///
    /// Another thread of the process may change them at any time after.
    pub fn read(&self, address: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length.min(READ_MAX)];
        File::open(format!("/proc/{}/mem", self.thread()))?.read_exact_at(&mut bytes, address)?;
        self.confirm()?;
        Ok(bytes)
    }

    /// A descriptor of the process, shared with it: what is done to the file that it names is done to the process's.
    pub fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        let process = self.pidfd()?;
        let descriptor = pidfd_getfd(process, number, PidfdGetfdFlags::empty())?;
        self.confirm()?;
        Ok(descriptor)
    }

    /// Whether its caller still waits. One that was killed doesn't, and what it asked for is never carried out.
    pub fn is_waiting(&self) -> bool {
        self.listener.is_waiting(self.notification.id)
    }

    fn pidfd(&self) -> io::Result<OwnedFd> {
        // Of the thread itself (Linux 6.9): it may have descriptors of its own, and outlive the one that started the process.
        let of_thread = PidfdFlags::from_bits_retain(libc::PIDFD_THREAD);
        let open = |id: i32, flags| pidfd_open(Pid::from_raw(id).ok_or(Errno::SRCH)?, flags);
        match open(self.thread(), of_thread) {
            Err(Errno::INVAL) => Ok(open(self.process()?, PidfdFlags::empty())?),
            opened => Ok(opened?),
        }
    }

    /// The process that the thread belongs to.
    fn process(&self) -> io::Result<i32> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.thread()))?;
        let mut lines = status.lines();
        let found = lines.find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
        found.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Whether what was just looked up by the thread's number was of the thread that called.
    fn confirm(&self) -> io::Result<()> {
        if self.is_waiting() {
            Ok(())
        } else {
            Err(Errno::NOENT.into())
        }
    }
}
