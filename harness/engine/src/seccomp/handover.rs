//! How a child puts a filter on between fork and exec, and hands the listener to whoever forked it.
#![expect(unsafe_code, reason = "code that runs between fork and exec has no safe form")]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, connect, recvmsg, sendmsg, socket_with,
    socketpair,
};

use super::filter::{Syscall, program};
use super::kernel::{Listener, install};

/// Where the child's listener arrives.
#[derive(Debug)]
pub(crate) struct Handover(OwnedFd);

/// What has arrived.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The filter is on.
    Listener(Listener),
    /// The kernel would not have it; spawning failed with its error.
    Refused,
    /// There was no child to put it on, or it is not as far yet.
    Nothing,
}

/// Has `command` put a filter on that stops at `calls`, after all else that was asked of it and right before exec.
pub(crate) fn arrange(command: &mut Command, calls: &[Syscall]) -> io::Result<Handover> {
    let program = program(calls).ok_or(Errno::NOSYS)?;
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let put_on = move || {
        let listener = install(&program);
        // The child closes both by exec.
        send(&theirs, listener.as_ref().ok())?;
        listener.map(drop).map_err(io::Error::from)
    };
    // SAFETY: `put_on` makes system calls and nothing else: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(put_on) };
    Ok(Handover(ours))
}

/// The same; and then, so stopped, the child connects to `to` and executes nothing: spawning fails with what connect(2) said,
/// with `ECANCELED` if it said that all is well.
pub(crate) fn arrange_connect(
    command: &mut Command,
    calls: &[Syscall],
    to: SocketAddr,
) -> io::Result<Handover> {
    let handover = arrange(command, calls)?;
    let connects = move || {
        let family = match to {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        connect(&socket, &to)?;
        Err(Errno::CANCELED.into())
    };
    // SAFETY: `connects` makes system calls and nothing else, as above.
    unsafe { command.pre_exec(connects) };
    Ok(handover)
}

/// One byte, with the listener if there is one.
fn send(to: &OwnedFd, listener: Option<&OwnedFd>) -> io::Result<()> {
    let fds = listener.map(|listener| [listener.as_fd()]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if let Some(fds) = &fds {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

impl Handover {
    /// What has arrived by now. Once the command was spawned, or failed to, this is final.
    pub(crate) fn take(&self) -> io::Result<Handed> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = rustix::io::retry_on_intr(|| {
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)
        });
        match received {
            Ok(received) if received.bytes > 0 => {}
            Ok(_) | Err(Errno::AGAIN) => return Ok(Handed::Nothing),
            Err(errno) => return Err(errno.into()),
        }
        let listener = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        match listener {
            Some(listener) => Ok(Handed::Listener(Listener::new(listener)?)),
            None => Ok(Handed::Refused),
        }
    }
}

impl AsFd for Handover {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
