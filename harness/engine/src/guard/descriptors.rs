//! Sets up the guard's own file descriptors: the socket out of the way of what it starts, nothing else kept.
#![expect(
    unsafe_code,
    reason = "closing descriptors that no value in this process owns has no safe form"
)]

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::{fs, io};

use rustix::stdio::{dup2_stdin, stdin};

/// The first descriptor after standard input, output and error.
const FIRST: i32 = 3;

/// Closes all but standard input, output and error; takes the socket off standard input and puts `/dev/null` there.
///
/// Must be the first thing the process does: a descriptor above 2 that something here already owned would be closed
/// under it. What is open at this point was inherited from whoever started squall (a job server's pipe, a terminal
/// recorder), who would wait for its end for as long as a service held it.
pub(super) fn take_socket() -> io::Result<OwnedFd> {
    for number in inherited()? {
        // SAFETY: nothing in this process has opened a descriptor yet (see above), so none of these is owned by a
        // value; the listing's own descriptor is closed by now, and closing its number again only fails.
        unsafe { libc::close(number) };
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin(), FIRST)?;
    dup2_stdin(OpenOptions::new().read(true).open("/dev/null")?)?;
    Ok(socket)
}

fn inherited() -> io::Result<Vec<i32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        if let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            numbers.push(number);
        }
    }
    numbers.retain(|number| *number >= FIRST);
    Ok(numbers)
}
