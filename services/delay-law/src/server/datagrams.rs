//! Datagrams (UDP) on the server's port: each is sent back as it came, after the delay that the law gives its number.
//!
//! A thread of its own, since a reply to a datagram belongs to no connection. Time zero of its timetable is its own first datagram,
//! and its draws are those of the law from the first on. What would be answered with an error is not answered.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::now_ns;
use crate::behaviour::{Answer, Behaviour};
use crate::slots::Slots;

/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Datagrams that wait for their delay; what comes beyond is dropped, as a full socket would.
const WAITING_MAX: usize = 65_536;
/// How often it looks whether it is told to stop.
const LOOK_NS: u64 = 50_000_000;

/// What is to be sent back: when, in the order in which it came, to whom, and what.
type Waiting = Reverse<(u64, u64, SocketAddr, Vec<u8>)>;

/// Sends datagrams back until it is told to stop.
pub(super) struct Datagrams {
    socket: UdpSocket,
    stop: Arc<AtomicBool>,
    behaviour: Behaviour,
    slots: Slots,
    /// The first datagram's arrival.
    zero_ns: Option<u64>,
    number: u64,
    waiting: BinaryHeap<Waiting>,
}

impl Datagrams {
    pub(super) fn new(socket: UdpSocket, stop: Arc<AtomicBool>, behaviour: Behaviour) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            stop,
            slots: Slots::new(behaviour.slots),
            behaviour,
            zero_ns: None,
            number: 0,
            waiting: BinaryHeap::new(),
        })
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        let mut scratch = vec![0; DATAGRAM_BYTES_MAX];
        while !self.stop.load(Ordering::Acquire) {
            let next_ns = self.send_due();
            let wait_ns = next_ns.map_or(LOOK_NS, |due_ns| due_ns.saturating_sub(now_ns()).min(LOOK_NS));
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: wait_ns as i64,
            };
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => self.take(&mut scratch),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes what has come.
    fn take(&mut self, scratch: &mut [u8]) {
        for _ in 0..WAITING_MAX {
            let (count, sender) = match self.socket.recv_from(scratch) {
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // About a datagram that was sent back before: its sender is gone.
                Err(_) => continue,
            };
            let at_ns = now_ns();
            let zero_ns = *self.zero_ns.get_or_insert(at_ns);
            let arrival_ns = at_ns.saturating_sub(zero_ns);
            let plan = self
                .behaviour
                .plan(&mut self.slots, self.number, arrival_ns, None);
            self.number += 1;
            if plan.answer == Answer::Good && self.waiting.len() < WAITING_MAX {
                let due_ns = zero_ns.saturating_add(plan.due_ns);
                let datagram = scratch[..count].to_vec();
                self.waiting
                    .push(Reverse((due_ns, self.number, sender, datagram)));
            }
        }
    }

    /// Sends back what is due; returns when the next is.
    fn send_due(&mut self) -> Option<u64> {
        loop {
            let next_ns = self.waiting.peek().map(|Reverse((due_ns, ..))| *due_ns)?;
            if next_ns > now_ns() {
                return Some(next_ns);
            }
            if let Some(Reverse((_, _, sender, datagram))) = self.waiting.pop() {
                // A datagram may be lost; this is how.
                let _ = self.socket.send_to(&datagram, sender);
            }
        }
    }
}
