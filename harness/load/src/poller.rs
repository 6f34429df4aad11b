//! The kernel's readiness list of one generator thread: sockets, a way to be woken, and waits that end on the nanosecond asked for.
//!
//! Everything is registered edge-triggered once and never changed, so a request costs no call here beyond its share of a wait.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::time::Timespec;

use crate::clock::NS_PER_S;

/// Events taken from the kernel at once.
const EVENTS: usize = 1024;
/// The token under which a wake-up arrives.
const WAKER: u64 = u64::MAX;

/// Wakes a [`Poller`] from another thread.
#[derive(Clone, Debug)]
pub(crate) struct Waker(Arc<OwnedFd>);

impl Waker {
    pub(crate) fn wake(&self) -> std::io::Result<()> {
        match rustix::io::write(&*self.0, &1_u64.to_ne_bytes()) {
            // Full: it was woken often enough already.
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// What happened on a registered socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ready {
    /// What it was registered under.
    pub(crate) token: u64,
    /// It takes bytes again.
    pub(crate) writable: bool,
    /// There is something to read: bytes, an end or an error.
    pub(crate) readable: bool,
    /// The peer sends no more, or the connection broke.
    pub(crate) ended: bool,
}

impl Ready {
    fn of(event: &epoll::Event) -> Ready {
        let (flags, data) = (event.flags, event.data);
        let ended = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        Ready {
            token: data.u64(),
            writable: flags.contains(EventFlags::OUT),
            readable: ended || flags.contains(EventFlags::IN),
            ended,
        }
    }
}

/// The readiness list, and beside it one on which only ends show: a thread that may read answers late waits on that.
pub(crate) struct Poller {
    epoll: OwnedFd,
    ends: OwnedFd,
    wakes: Arc<OwnedFd>,
    ready: Vec<Ready>,
}

impl Poller {
    pub(crate) fn new() -> std::io::Result<Poller> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let ends = epoll::create(CreateFlags::CLOEXEC)?;
        let wakes = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        for list in [&epoll, &ends] {
            epoll::add(list, &*wakes, EventData::new_u64(WAKER), EventFlags::IN)?;
        }
        let ready = Vec::with_capacity(EVENTS);
        Ok(Poller {
            epoll,
            ends,
            wakes,
            ready,
        })
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.wakes))
    }

    /// Registers a socket for all it may ever tell, until it is closed. `may_read_late`: the thread may wait for its end alone.
    pub(crate) fn add(&self, socket: impl AsFd, token: u64, may_read_late: bool) -> std::io::Result<()> {
        let ends = EventFlags::RDHUP | EventFlags::ET;
        let all = EventFlags::IN | EventFlags::OUT | ends;
        let data = EventData::new_u64(token);
        epoll::add(&self.epoll, &socket, data, all)?;
        // A second list costs each arrival of bytes a look. Errors and hang-ups show without being asked for.
        if may_read_late {
            epoll::add(&self.ends, &socket, data, ends)?;
        }
        Ok(())
    }

    /// Waits until a connection ends or breaks, somebody wakes the thread, or `at_most_ns` nanoseconds are over. What bytes come
    /// meanwhile wakes nobody. Then looks what is ready. Says whether the time was over.
    pub(crate) fn wait_for_ends(&mut self, at_most_ns: u64) -> std::io::Result<bool> {
        let mut events = [const { MaybeUninit::uninit() }; 1];
        let is_over = match epoll::wait(&self.ends, &mut events[..], Some(&timeout(at_most_ns))) {
            Ok((ended, _)) => ended.is_empty(),
            Err(Errno::INTR) => false,
            Err(errno) => return Err(errno.into()),
        };
        self.wait(0)?;
        Ok(is_over)
    }

    /// Waits until something is ready or `at_most_ns` nanoseconds are over.
    pub(crate) fn wait(&mut self, at_most_ns: u64) -> std::io::Result<()> {
        self.ready.clear();
        let mut events = [const { MaybeUninit::uninit() }; EVENTS];
        let (events, _) = match epoll::wait(&self.epoll, &mut events[..], Some(&timeout(at_most_ns))) {
            Ok(events) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(errno) => return Err(errno.into()),
        };
        self.ready.extend(events.iter().map(Ready::of));
        Ok(())
    }

    /// How much was ready at the last wait.
    pub(crate) fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// What was ready at the last wait; `None` stands for a wake-up, which is taken back here.
    pub(crate) fn ready(&self, at: usize) -> Option<Ready> {
        let ready = self.ready[at];
        if ready.token == WAKER {
            // Reset, so that the next wake-up shows. Nothing to read means that another round has done it.
            let _ = rustix::io::read(&*self.wakes, &mut [0_u8; 8]);
            return None;
        }
        Some(ready)
    }
}

fn timeout(at_most_ns: u64) -> Timespec {
    Timespec {
        tv_sec: (at_most_ns / NS_PER_S).min(i64::MAX as u64) as i64,
        tv_nsec: (at_most_ns % NS_PER_S) as i64,
    }
}
