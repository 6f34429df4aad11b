//! Connects another process's socket, without waiting.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, SocketType, connect, sockopt};

use super::address::for_ipv6;
use super::table::Transport;
use crate::seccomp::Verdict;

/// What the socket carries; `None` if it is none that is ever redirected.
pub(super) fn transport(socket: BorrowedFd<'_>) -> Result<Option<Transport>> {
    Ok(match sockopt::socket_type(socket) {
        Ok(SocketType::STREAM) => Some(Transport::Stream),
        Ok(SocketType::DGRAM) => Some(Transport::Datagram),
        Ok(_) | Err(Errno::NOTSOCK) => None,
        Err(errno) => return Err(errno),
    })
}

/// Starts connecting `socket`; says what its owner, who called connect(2), is to be told.
///
/// `interrupted`: this may be the same call again, after a signal kept its owner from hearing that it was done.
pub(super) fn redirect(socket: BorrowedFd<'_>, to: SocketAddr, interrupted: bool) -> Result<Verdict> {
    let to = match sockopt::socket_domain(socket)? {
        // It reaches IPv4 addresses too, but where its program has forbidden that.
        AddressFamily::INET6 if to.is_ipv4() && sockopt::ipv6_v6only(socket)? => {
            return Err(Errno::AFNOSUPPORT);
        }
        AddressFamily::INET6 => for_ipv6(to),
        _ => to,
    };
    let flags = fcntl_getfl(socket)?;
    let waits = !flags.contains(OFlags::NONBLOCK);
    if waits {
        // The flag is the socket's, not the descriptor's, so for a moment its owner has it too. He is inside connect(2), and
        // who else would use a socket that isn't connected?
        fcntl_setfl(socket, flags | OFlags::NONBLOCK)?;
    }
    let connected = connect(socket, &to);
    if waits {
        fcntl_setfl(socket, flags)?;
    }
    Ok(told(connected, waits, interrupted))
}

/// What the owner is told, who `waits` in connect(2) for the connection or asked not to.
fn told(connected: Result<()>, waits: bool, interrupted: bool) -> Verdict {
    match connected {
        Ok(()) => Verdict::Return(0),
        // Under way. The kernel lets the owner wait for it in his own call, whatever address that names: by his own
        // time limit, and interrupted by his own signals.
        Err(Errno::INPROGRESS | Errno::ALREADY) if waits => Verdict::Continue,
        Err(Errno::ALREADY) if interrupted => Verdict::Fail(Errno::INPROGRESS),
        Err(Errno::ISCONN) if interrupted => Verdict::Return(0),
        Err(errno) => Verdict::Fail(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_is_told_what_connect_would_have_said() {
        let fail = Verdict::Fail;
        for (connected, waits, interrupted, expected) in [
            (Ok(()), true, false, Verdict::Return(0)),
            (Ok(()), false, false, Verdict::Return(0)),
            (Err(Errno::INPROGRESS), true, false, Verdict::Continue),
            (Err(Errno::INPROGRESS), false, false, fail(Errno::INPROGRESS)),
            (Err(Errno::CONNREFUSED), true, false, fail(Errno::CONNREFUSED)),
            (Err(Errno::ISCONN), true, false, fail(Errno::ISCONN)),
            (Err(Errno::ALREADY), false, false, fail(Errno::ALREADY)),
            // The same call again: it was done at its first time.
            (Err(Errno::ALREADY), true, true, Verdict::Continue),
            (Err(Errno::ALREADY), false, true, fail(Errno::INPROGRESS)),
            (Err(Errno::ISCONN), true, true, Verdict::Return(0)),
            (Err(Errno::ISCONN), false, true, Verdict::Return(0)),
        ] {
            assert_eq!(
                told(connected, waits, interrupted),
                expected,
                "{connected:?} waits={waits} interrupted={interrupted}"
            );
        }
    }
}
