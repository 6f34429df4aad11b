//! Reading from a socket, with the moment at which the bytes arrived at it.
//!
//! The kernel stamps what it receives with the wall clock (`SO_TIMESTAMPNS`, socket(7)), and for a stream gives the stamp of
//! the last segment read. It is turned into `CLOCK_MONOTONIC` by the difference between the two, read anew each millisecond.
//! So this is the one place of the service that looks at the wall clock, and it lets nothing depend on it but that difference.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::now_ns;

/// How long the difference between the clocks is taken to hold.
const DIFFERENCE_NS: u64 = 1_000_000;

/// How close two readings are that were not interrupted, and how often to try for such.
const CLOSE_NS: u64 = 2_000;
const LOOKS_MAX: usize = 8;

/// Reads, and turns stamps into monotonic time.
#[derive(Debug)]
pub(super) struct Receiver {
    bytes: Box<[u8]>,
    control: Vec<u8>,
    /// Wall clock less monotonic clock.
    difference_ns: i128,
    looked_ns: u64,
}

/// What was read.
pub(super) struct Received<'a> {
    /// The bytes; none at the end of the stream.
    pub(super) bytes: &'a [u8],
    /// Whether there may be more.
    pub(super) full: bool,
    /// When the last of them arrived, on `CLOCK_MONOTONIC`; never in the future.
    pub(super) stamp_ns: Option<u64>,
    /// When they were read.
    pub(super) read_ns: u64,
}

impl Receiver {
    pub(super) fn new(size: usize) -> Self {
        Self {
            bytes: vec![0; size].into_boxed_slice(),
            control: nix::cmsg_space!(TimeSpec),
            difference_ns: 0,
            looked_ns: 0,
        }
    }

    /// Reads what is there.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<Received<'_>> {
        let (count, stamp) = {
            let mut parts = [IoSliceMut::new(&mut self.bytes)];
            let message = recvmsg::<()>(
                socket.as_raw_fd(),
                &mut parts,
                Some(&mut self.control),
                MsgFlags::empty(),
            )?;
            let stamp = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            });
            (message.bytes, stamp)
        };
        let read_ns = now_ns();
        if read_ns - self.looked_ns >= DIFFERENCE_NS {
            self.look();
        }
        let stamp_ns = stamp.and_then(|stamp| {
            let wall_ns = i128::from(stamp.tv_sec()) * 1_000_000_000 + i128::from(stamp.tv_nsec());
            let monotonic_ns = u64::try_from(wall_ns - self.difference_ns).ok()?;
            (monotonic_ns <= read_ns).then_some(monotonic_ns)
        });
        Ok(Received {
            bytes: &self.bytes[..count],
            full: count == self.bytes.len(),
            stamp_ns,
            read_ns,
        })
    }

    /// Reads both clocks as close to each other as can be. A reading that was interrupted says little: of several the
    /// closest counts.
    fn look(&mut self) {
        let mut closest_ns = u64::MAX;
        for _ in 0..LOOKS_MAX {
            let before_ns = now_ns();
            let wall: Timespec = clock_gettime(ClockId::Realtime);
            let after_ns = now_ns();
            if after_ns - before_ns < closest_ns {
                closest_ns = after_ns - before_ns;
                let wall_ns = i128::from(wall.tv_sec) * 1_000_000_000 + i128::from(wall.tv_nsec);
                self.difference_ns = wall_ns - i128::from(u64::midpoint(before_ns, after_ns));
                self.looked_ns = after_ns;
            }
            if closest_ns < CLOSE_NS {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd as _;

    use nix::sys::socket::{setsockopt, sockopt};

    use super::{Receiver, now_ns};

    #[test]
    fn bytes_arrive_when_they_are_sent_and_not_when_they_are_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        setsockopt(&listener, sockopt::ReceiveTimestampns, &true).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        let mut receiver = Receiver::new(1_024);
        // The kernel begins to stamp a moment after it was first asked to.
        for _ in 0..200 {
            let before_ns = now_ns();
            client.write_all(b"hello").unwrap();
            let sent_ns = now_ns();
            while now_ns() < sent_ns + 5_000_000 {
                std::thread::yield_now();
            }
            let received = receiver.receive(stream.as_fd()).unwrap();
            assert_eq!((received.bytes, received.full), (&b"hello"[..], false));
            assert!(received.read_ns >= sent_ns + 5_000_000);
            let Some(stamp_ns) = received.stamp_ns else {
                continue;
            };
            // The clocks' difference may be a little off.
            assert!(stamp_ns + 100_000 >= before_ns && stamp_ns <= sent_ns + 100_000);
            return;
        }
        panic!("the kernel stamped nothing");
    }
}
