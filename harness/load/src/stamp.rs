//! When bytes arrived, as the kernel saw it: `SO_TIMESTAMPNS` (socket(7)), which TCP, UDP and TLS over them all give.
//!
//! A generator that reads an answer late, because it slept on purpose or because another program had the processor, would
//! otherwise charge its own lateness to the service. The kernel stamps a packet when it takes it in, by the wall clock; the
//! stamp is turned into the run's own time with the difference between both clocks at the read, and kept between the request's
//! start and the read, so that a step of the wall clock spoils no sample.
#![expect(
    unsafe_code,
    reason = "no safe wrapper gives the time stamp that comes along with recvmsg(2)"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};

use crate::clock::NS_PER_S;

/// Room for the control message of a time stamp, aligned as the kernel's headers are.
type Control = [u64; 8];

/// Asks for stamps on a socket; says whether the kernel gives them.
pub(crate) fn enable(socket: impl AsFd) -> bool {
    let on: libc::c_int = 1;
    // SAFETY: the pointer is to a live integer of the size stated, which the kernel only reads.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPNS,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    result == 0
}

/// Reads like `recv(2)`; with the bytes comes the wall time at which the last of them arrived, in nanoseconds since 1970, where
/// the kernel told it.
#[inline]
pub(crate) fn receive(socket: impl AsFd, into: &mut [u8]) -> io::Result<(usize, Option<u64>)> {
    let mut part = libc::iovec {
        iov_base: into.as_mut_ptr().cast(),
        iov_len: into.len(),
    };
    let mut control = MaybeUninit::<Control>::uninit();
    // SAFETY: all fields of a `msghdr` may be zero.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the message names one buffer and one control buffer, both live, writable and of the sizes stated.
    let count = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, 0) };
    if count < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((count as usize, stamp_of(&message)))
}

/// The stamp in a message's control data.
fn stamp_of(message: &libc::msghdr) -> Option<u64> {
    // SAFETY: the kernel has filled `msg_controllen` bytes of the control buffer with whole, aligned messages, as CMSG_FIRSTHDR and
    // CMSG_NXTHDR expect, and a message of this kind carries a `timespec`.
    unsafe {
        let mut header = libc::CMSG_FIRSTHDR(message);
        while let Some(one) = header.as_ref() {
            if one.cmsg_level == libc::SOL_SOCKET && one.cmsg_type == libc::SCM_TIMESTAMPNS {
                let time: libc::timespec = libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                return Some(time.tv_sec as u64 * NS_PER_S + time.tv_nsec as u64);
            }
            header = libc::CMSG_NXTHDR(message, header);
        }
    }
    None
}
