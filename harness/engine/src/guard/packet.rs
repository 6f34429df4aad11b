//! Packets of JSON over a `SOCK_SEQPACKET` pair, each with a few file descriptors at most.
//!
//! Message boundaries are the kernel's, so nothing is ever half read; the end of the socket is the end of the other side.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::PACKET_BYTES_MAX;

/// The most descriptors that travel with one packet.
pub(super) const FDS_MAX: usize = 4;

/// One end of the socket between squall and the guard.
#[derive(Debug)]
pub(super) struct Packets(OwnedFd);

impl Packets {
    /// Two connected ends, both closed by exec.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Self(ours), theirs))
    }

    /// Takes a socket that was handed over; refuses what isn't one of the right kind.
    pub(super) fn from_socket(socket: OwnedFd) -> io::Result<Self> {
        if rustix::net::sockopt::socket_type(&socket)? == SocketType::SEQPACKET {
            Ok(Self(socket))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a packet socket"))
        }
    }

    /// Sends one value with its descriptors, at most [`FDS_MAX`].
    pub(super) fn send(&self, value: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(value)?;
        if bytes.len() > PACKET_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "packet too long"));
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("no room for so many descriptors"));
        }
        loop {
            match sendmsg(
                &self.0,
                &[IoSlice::new(&bytes)],
                &mut control,
                SendFlags::NOSIGNAL,
            ) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Receives one value with its descriptors, fewer than were sent where this process has no free numbers for them;
    /// `None` once the other side is gone.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; PACKET_BYTES_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut iov = [IoSliceMut::new(&mut bytes)];
            match recvmsg(&self.0, &mut iov, &mut control, RecvFlags::CMSG_CLOEXEC) {
                Ok(received) => break received,
                Err(Errno::INTR) => {}
                // What the other side left unread when it died.
                Err(Errno::CONNRESET) => return Ok(None),
                Err(errno) => return Err(errno.into()),
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "packet too long"));
        }
        let mut fds = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                fds.extend(received);
            }
        }
        Ok(Some((serde_json::from_slice(&bytes[..received.bytes])?, fds)))
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn a_value_and_a_descriptor_arrive_together_and_the_end_is_seen() {
        let (ours, theirs) = Packets::pair().expect("a pair");
        let theirs = Packets::from_socket(theirs).expect("the right kind");
        let file = File::open("/proc/self/stat").expect("opens");
        ours.send(&"first", &[file.as_fd()]).expect("sent");
        ours.send(&"second", &[]).expect("sent");
        let (value, mut fds) = theirs.receive::<String>().expect("received").expect("a packet");
        let same = File::from(fds.pop().expect("a descriptor"))
            .metadata()
            .expect("stat")
            .ino();
        assert_eq!(
            (value.as_str(), same),
            ("first", file.metadata().expect("stat").ino())
        );
        let (value, fds) = theirs.receive::<String>().expect("received").expect("a packet");
        assert_eq!((value.as_str(), fds.len()), ("second", 0));
        drop(ours);
        assert!(theirs.receive::<String>().expect("no error").is_none());
        assert!(theirs.send(&"late", &[]).is_err());
    }

    #[test]
    fn what_is_too_long_or_no_packet_socket_is_refused() {
        let (ours, _theirs) = Packets::pair().expect("a pair");
        assert!(ours.send(&"x".repeat(PACKET_BYTES_MAX), &[]).is_err());
        let null = File::open("/dev/null").expect("opens");
        assert!(Packets::from_socket(null.into()).is_err());
    }
}
