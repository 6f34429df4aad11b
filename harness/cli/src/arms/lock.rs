//! Locks on files, so that gates at the same time don't build over each other. The kernel frees them however a process ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::ArmsError;
use super::program::{LOOK, Surroundings};

/// A lock, held for as long as the value lives.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not left to closing: a child that is just being forked by another thread has the file open until its exec.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// With whom a lock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// With nobody.
    Alone,
    /// With others who share it.
    Shared,
}

/// Takes a lock if nobody's stands against it.
pub fn try_take(path: &Path, sharing: Sharing) -> io::Result<Option<Lock>> {
    let operation = match sharing {
        Sharing::Alone => FlockOperation::NonBlockingLockExclusive,
        Sharing::Shared => FlockOperation::NonBlockingLockShared,
    };
    apply(open(path)?, operation)
}

/// Takes a lock alone, waiting at most `within` for whoever holds it, who is told of once.
pub fn take(
    path: &Path,
    within: Duration,
    surroundings: &Surroundings<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Lock, ArmsError> {
    let failed = || ArmsError::file("locking", path);
    if let Some(lock) = try_take(path, Sharing::Alone).map_err(failed())? {
        return Ok(lock);
    }
    tell("another gate of this repository is building: waiting for it");
    let deadline = Instant::now() + within;
    let taken = take_in_background(path.to_owned()).map_err(failed())?;
    loop {
        match taken.recv_timeout(LOOK) {
            Ok(lock) => return lock.map_err(failed()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(failed()(io::Error::other(
                    "the thread that waited for it is gone",
                )));
            }
            Err(RecvTimeoutError::Timeout) => surroundings.go_on()?,
        }
        if Instant::now() >= deadline {
            return Err(ArmsError::Busy {
                waited: within,
                lock: path.to_owned(),
            });
        }
    }
}

/// The kernel has no wait for a lock that ends at a deadline, so a thread waits. If nobody wants the lock any more once it has
/// it, it lets go of it.
fn take_in_background(path: PathBuf) -> io::Result<crossbeam_channel::Receiver<io::Result<Lock>>> {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    std::thread::Builder::new()
        .name("squall-lock".to_owned())
        .spawn(move || {
            let lock = open(&path).and_then(|file| {
                let lock = apply(file, FlockOperation::LockExclusive)?;
                lock.ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))
            });
            let _ = sender.send(lock);
        })?;
    Ok(receiver)
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn apply(file: File, operation: FlockOperation) -> io::Result<Option<Lock>> {
    match rustix::io::retry_on_intr(|| flock(&file, operation)) {
        // Some network file systems have no locks.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::NOSYS) => Ok(Some(Lock { file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}
