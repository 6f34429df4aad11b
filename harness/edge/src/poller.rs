//! The kernel's readiness list of one thread: plain epoll, level-triggered, with waits that end on the nanosecond asked for.
//!
//! A socket of which nothing is wanted is taken out, so that an end or error on it can't wake the thread again and again.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::clock::NS_PER_S;

/// Events taken from the kernel at once.
const EVENTS: usize = 256;
/// The token under which a wake-up arrives.
const WAKER: u64 = u64::MAX;

/// Wakes a [`Poller`] from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn wake(&self) {
        // Full means that it was woken often enough already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// What is wanted of a socket, or happened on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// There is something to read: bytes, an end or an error.
    pub(crate) read: bool,
    /// It takes bytes, or broke.
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const NONE: Interest = Interest {
        read: false,
        write: false,
    };
    pub(crate) const READ: Interest = Interest {
        read: true,
        write: false,
    };
    pub(crate) const WRITE: Interest = Interest {
        read: false,
        write: true,
    };

    fn flags(self) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::IN, self.read);
        flags.set(EventFlags::OUT, self.write);
        flags
    }

    fn of(flags: EventFlags) -> Interest {
        let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        Interest {
            read: broken || flags.contains(EventFlags::IN),
            write: broken || flags.contains(EventFlags::OUT),
        }
    }
}

/// The readiness list.
pub(crate) struct Poller {
    epoll: OwnedFd,
    wakes: Arc<OwnedFd>,
    ready: Vec<(u64, Interest)>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Poller> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let wakes = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        epoll::add(&epoll, &*wakes, EventData::new_u64(WAKER), EventFlags::IN)?;
        let ready = Vec::with_capacity(EVENTS);
        Ok(Poller { epoll, wakes, ready })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wakes))
    }

    /// Changes what is wanted of a socket from `before` to `after`.
    #[inline]
    pub(crate) fn change(
        &self,
        socket: impl AsFd,
        token: u64,
        before: Interest,
        after: Interest,
    ) -> io::Result<()> {
        let data = EventData::new_u64(token);
        if before == after {
            Ok(())
        } else if before == Interest::NONE {
            Ok(epoll::add(&self.epoll, socket, data, after.flags())?)
        } else if after == Interest::NONE {
            Ok(epoll::delete(&self.epoll, socket)?)
        } else {
            Ok(epoll::modify(&self.epoll, socket, data, after.flags())?)
        }
    }

    /// Waits until something is ready, or `at_most_ns` nanoseconds are over. Returns how much is ready.
    pub(crate) fn wait(&mut self, at_most_ns: Option<u64>) -> io::Result<usize> {
        self.ready.clear();
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let timeout = at_most_ns.map(timeout);
        match epoll::wait(&self.epoll, &mut events[..], timeout.as_ref()) {
            Ok((events, _)) => {
                let ready = events.iter().map(|event| {
                    let (flags, data) = (event.flags, event.data);
                    (data.u64(), Interest::of(flags))
                });
                self.ready.extend(ready);
                Ok(self.ready.len())
            }
            Err(Errno::INTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    /// What was ready at the last wait; `None` stands for a wake-up, which is taken back here.
    #[inline]
    pub(crate) fn ready(&self, at: usize) -> Option<(u64, Interest)> {
        let (token, what) = self.ready[at];
        if token == WAKER {
            // Nothing to read means that another round has done it.
            let _ = rustix::io::read(&*self.wakes, &mut [0_u8; 8]);
            return None;
        }
        Some((token, what))
    }
}

fn timeout(at_most_ns: u64) -> Timespec {
    Timespec {
        tv_sec: (at_most_ns / NS_PER_S).min(i64::MAX as u64) as i64,
        tv_nsec: (at_most_ns % NS_PER_S) as i64,
    }
}
