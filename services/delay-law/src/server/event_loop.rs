//! The loop of the serving thread.
//!
//! Each round: stand still if the timetable says so, answer what is due, wait until something else is or something arrives,
//! accept and read. Sockets are watched edge-triggered, so that one that sends ahead of its reply wakes nobody.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::epoll;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketFlags, accept_with, send};
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::Timespec;
use squall_service_kit::host::connections_max;

use super::arrival::Receiver;
use super::connection::{Connection, Waiting};
use super::shadows::Shadows;
use super::{Config, now_ns};
use crate::book::{Book, Sample};
use crate::report::Report;
use crate::request::Head;
use crate::slots::Slots;
use crate::timetable::{Halt, nanoseconds};

/// Events taken in at once.
const EVENTS: usize = 512;
/// After so many of them it looks again for what is due.
const LOOK_EVENTS: usize = 8;
/// Before it stands still, how often it looks for what has arrived.
const ROUNDS_MAX: usize = 64;
/// Connections accepted before it looks again for what is due.
const ACCEPTS: usize = 32;
/// The bytes read at once, and how often from one connection before the others have their turn.
const READ_BYTES: usize = 64 * 1024;
const READS: usize = 4;
/// How long to wait when the system refuses a connection, such as for want of descriptors.
const ACCEPT_RETRY_NS: u64 = 10_000_000;
/// How long requests in flight may take once it is told to stop.
const GRACE_NS: u64 = 5_000_000_000;
/// While it stands still, how often it looks whether it is told to stop.
const STOP_LOOK_NS: u64 = 100_000_000;
/// How many entries of closed connections the heap may hold besides as many as there are connections.
const STALE_MAX: usize = 1_024;

const LISTENER: u64 = u64::MAX;
const WAKE: u64 = u64::MAX - 1;

/// A place in the table of connections, and which of its tenants is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    index: u32,
    tenant: u32,
}

impl Place {
    fn token(self) -> u64 {
        u64::from(self.tenant) << 32 | u64::from(self.index)
    }

    fn of(token: u64) -> Self {
        Self {
            index: token as u32,
            tenant: (token >> 32) as u32,
        }
    }
}

/// The table of connections.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<(u32, Option<Connection>)>,
    free: Vec<u32>,
}

impl Table {
    fn len(&self) -> usize {
        self.rows.len() - self.free.len()
    }

    fn get(&mut self, place: Place) -> Option<&mut Connection> {
        match self.rows.get_mut(place.index as usize) {
            Some((tenant, connection)) if *tenant == place.tenant => connection.as_mut(),
            _ => None,
        }
    }

    fn insert(&mut self, connection: Connection) -> Place {
        let index = self.free.pop().unwrap_or_else(|| {
            self.rows.push((0, None));
            (self.rows.len() - 1) as u32
        });
        let row = &mut self.rows[index as usize];
        row.1 = Some(connection);
        Place { index, tenant: row.0 }
    }

    fn remove(&mut self, place: Place) {
        if self.get(place).is_some() {
            let row = &mut self.rows[place.index as usize];
            // The largest tenants would collide with the tokens above.
            *row = ((row.0 + 1) % (u32::MAX - 1), None);
            self.free.push(place.index);
        }
    }
}

/// Whether there may be more to accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Empty,
    Waiting,
    RetryAt(u64),
}

/// The loop.
pub(super) struct EventLoop {
    epoll: OwnedFd,
    listener: Option<OwnedFd>,
    stop: Arc<AtomicBool>,
    config: Config,
    slots: Slots,
    receiver: Receiver,
    door: Door,
    connections_max: usize,
    connections: Table,
    /// Connections with more to read than one turn takes.
    again: Vec<Place>,
    /// When each waiting request is due, its number, and where it is: of those due together the first to come goes first.
    due: BinaryHeap<Reverse<(u64, u64, Place)>>,
    waiting: usize,
    shadows: Option<Shadows>,
    /// The first request's arrival.
    zero_ns: Option<u64>,
    halt: Option<Halt>,
    number: u64,
    samples: Vec<Sample>,
    book: Arc<Book>,
    report: Report,
    stop_by_ns: Option<u64>,
}

impl EventLoop {
    pub(super) fn new(
        listener: OwnedFd,
        wake: &OwnedFd,
        stop: Arc<AtomicBool>,
        config: Config,
        book: Arc<Book>,
        report: Report,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let edge = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), edge)?;
        epoll::add(&epoll, wake, epoll::EventData::new_u64(WAKE), edge)?;
        Ok(Self {
            epoll,
            listener: Some(listener),
            stop,
            slots: Slots::new(config.behaviour.slots),
            shadows: config.shadow.map(Shadows::new),
            config,
            receiver: Receiver::new(READ_BYTES),
            door: Door::Waiting,
            connections_max: connections_max(),
            connections: Table::default(),
            again: Vec::new(),
            due: BinaryHeap::new(),
            waiting: 0,
            zero_ns: None,
            halt: None,
            number: 0,
            samples: Vec::new(),
            book,
            report,
            stop_by_ns: None,
        })
    }

    /// Serves until told to stop and the requests in flight are answered.
    pub(super) fn run(mut self) -> io::Result<()> {
        // The kernel may wake a thread up to its timer slack late, 50 us by default. Where that can't be lowered, replies
        // are that much later, and the book tells.
        let _ = set_current_timer_slack(NonZeroU64::new(1));
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.halt_if_due(&mut events)?;
            let now_ns = self.keep_up();
            self.book.take(&mut self.samples);
            if self.is_over(now_ns) {
                return Ok(());
            }
            let wait_ns = self.rest_ns(now_ns);
            self.wait(&mut events, wait_ns)?;
            self.take_in(&events);
        }
    }

    /// Told to stop, closes the door; returns whether nothing is left to do.
    fn is_over(&mut self, now_ns: u64) -> bool {
        if !self.stop.load(Ordering::Acquire) {
            return false;
        }
        self.listener = None;
        self.door = Door::Empty;
        let by_ns = *self.stop_by_ns.get_or_insert(now_ns + GRACE_NS);
        self.waiting == 0 || now_ns >= by_ns
    }

    /// How long there is nothing to do if nothing arrives, in nanoseconds.
    fn rest_ns(&self, now_ns: u64) -> Option<u64> {
        if !self.again.is_empty() || self.door == Door::Waiting {
            return Some(0);
        }
        let spin_ns = nanoseconds(self.config.spin);
        let next_ns = self.next_ns();
        next_ns.map(|next_ns| next_ns.saturating_sub(now_ns).saturating_sub(spin_ns))
    }

    fn wait(&self, events: &mut Vec<epoll::Event>, at_most_ns: Option<u64>) -> io::Result<()> {
        let timeout = at_most_ns.map(timespec);
        events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Accepts and reads.
    fn take_in(&mut self, events: &[epoll::Event]) {
        self.accept();
        for place in std::mem::take(&mut self.again) {
            self.read(place, true);
        }
        for (at, event) in events.iter().enumerate() {
            if at % LOOK_EVENTS == LOOK_EVENTS - 1 {
                self.keep_up();
            }
            self.handle(event);
        }
    }

    /// When there is something to do next, if nothing arrives.
    fn next_ns(&self) -> Option<u64> {
        let due_ns = self.due.peek().map(|Reverse((due_ns, ..))| *due_ns);
        let zero_ns = self.zero_ns.unwrap_or_default();
        let halt_ns = self.halt.map(|halt| zero_ns.saturating_add(halt.start_ns));
        let shadow_ns = self.zero_ns.and(self.shadows.as_ref()).and_then(Shadows::next_ns);
        let retry_ns = match self.door {
            Door::RetryAt(at_ns) => Some(at_ns),
            Door::Empty | Door::Waiting => None,
        };
        let shadow_ns = shadow_ns.map(|at_ns| zero_ns.saturating_add(at_ns));
        [due_ns, halt_ns, shadow_ns, retry_ns, self.stop_by_ns]
            .into_iter()
            .flatten()
            .min()
    }

    /// Stands still where it is time to.
    ///
    /// What has arrived before is taken up and answered before: else it would wait out a halt that it did not arrive in.
    fn halt_if_due(&mut self, events: &mut Vec<epoll::Event>) -> io::Result<()> {
        while let (Some(zero_ns), Some(halt)) = (self.zero_ns, self.halt) {
            let start_ns = zero_ns.saturating_add(halt.start_ns);
            if start_ns > now_ns() {
                break;
            }
            for _ in 0..ROUNDS_MAX {
                self.wait(events, Some(0))?;
                if events.is_empty() && self.again.is_empty() && self.door != Door::Waiting {
                    break;
                }
                self.take_in(events);
            }
            self.answer(start_ns, zero_ns);
            self.stand_still(halt, zero_ns);
            self.halt = self.config.behaviour.timetable.next_halt(halt.end_ns);
        }
        Ok(())
    }

    /// Answers what is due, unless it is time to stand still; returns what time it is then.
    fn keep_up(&mut self) -> u64 {
        let now_ns = now_ns();
        let Some(zero_ns) = self.zero_ns else {
            return now_ns;
        };
        if let Some(shadows) = &mut self.shadows {
            shadows.plan(&self.config.behaviour, now_ns.saturating_sub(zero_ns));
        }
        let halt_ns = self.halt.map(|halt| zero_ns.saturating_add(halt.start_ns));
        self.answer(halt_ns.map_or(now_ns, |halt_ns| halt_ns.min(now_ns)), zero_ns)
    }

    fn stand_still(&mut self, halt: Halt, zero_ns: u64) {
        let began_ns = now_ns();
        let end_ns = zero_ns.saturating_add(halt.end_ns);
        let mut at_ns = began_ns;
        while at_ns < end_ns && !self.stop.load(Ordering::Acquire) {
            // A signal may cut it short: then it is asked for again.
            let _ = clock_nanosleep_absolute(ClockId::Monotonic, &timespec(end_ns.min(at_ns + STOP_LOOK_NS)));
            at_ns = now_ns();
        }
        let length_us = (at_ns - began_ns) / 1_000;
        self.report.halted(halt, began_ns / 1_000, length_us);
    }

    /// Answers everything due by `until_ns`, its own requests included, in the order in which it is due.
    fn answer(&mut self, until_ns: u64, zero_ns: u64) -> u64 {
        loop {
            let due_ns = self.due.peek().map_or(u64::MAX, |Reverse((due_ns, ..))| *due_ns);
            let shadow_ns = self.shadows.as_ref().and_then(Shadows::due_ns);
            let shadow_ns = shadow_ns.map_or(u64::MAX, |at_ns| zero_ns.saturating_add(at_ns));
            if due_ns.min(shadow_ns) > until_ns {
                return now_ns();
            }
            if due_ns <= shadow_ns {
                if let Some(Reverse((.., place))) = self.due.pop() {
                    self.reply(place);
                    self.advance(place);
                }
            } else if let Some(arrival_ns) = self.shadows.as_mut().and_then(Shadows::answer) {
                let held_ns = now_ns().saturating_sub(zero_ns + arrival_ns);
                self.samples.push(Sample::Shadow { held_ns });
            }
        }
    }

    fn handle(&mut self, event: &epoll::Event) {
        let (flags, data) = (event.flags, event.data.u64());
        match data {
            LISTENER => self.door = Door::Waiting,
            WAKE => {}
            token => {
                let place = Place::of(token);
                if flags.contains(epoll::EventFlags::OUT) {
                    self.write_on(place);
                    self.advance(place);
                }
                if flags.intersects(!epoll::EventFlags::OUT) {
                    let whole = flags.intersects(!(epoll::EventFlags::OUT | epoll::EventFlags::IN));
                    self.read(place, whole);
                }
            }
        }
    }

    fn accept(&mut self) {
        if let Door::RetryAt(at_ns) = self.door
            && now_ns() >= at_ns
        {
            self.door = Door::Waiting;
        }
        if self.door != Door::Waiting {
            return;
        }
        for _ in 0..ACCEPTS {
            let Some(listener) = &self.listener else {
                return;
            };
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(socket) if self.connections.len() < self.connections_max => self.welcome(socket),
                // Closing it is the clearest refusal.
                Ok(_) | Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.door = Door::Empty;
                    return;
                }
                Err(_) => {
                    self.door = Door::RetryAt(now_ns() + ACCEPT_RETRY_NS);
                    return;
                }
            }
        }
    }

    fn welcome(&mut self, socket: OwnedFd) {
        use epoll::EventFlags as Flags;
        let place = self.connections.insert(Connection::new(socket));
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        if let Some(connection) = self.connections.get(place)
            && epoll::add(
                &self.epoll,
                &connection.socket,
                epoll::EventData::new_u64(place.token()),
                flags,
            )
            .is_ok()
        {
            self.report.connections.inc();
        } else {
            self.connections.remove(place);
        }
    }

    fn close(&mut self, place: Place) {
        if let Some(connection) = self.connections.get(place) {
            self.waiting -= usize::from(connection.waiting.is_some());
            self.connections.remove(place);
            self.report.connections.dec();
        }
    }

    /// Reads what is there, and takes up the request if it is whole. Unless `to_the_end`, a read that does not fill the
    /// buffer is the last: there is nothing more, and if something comes there is a new event.
    fn read(&mut self, place: Place, to_the_end: bool) {
        let Some(connection) = self.connections.get(place) else {
            return;
        };
        for turn in 0.. {
            if turn == READS {
                self.again.push(place);
                break;
            }
            let received = match self.receiver.receive(connection.socket.as_fd()) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return self.close(place),
            };
            if received.bytes.is_empty() {
                connection.ended = true;
                break;
            }
            // A stamp before the last look at this socket is none of these bytes'.
            let stamp_ns = received
                .stamp_ns
                .filter(|stamp_ns| *stamp_ns >= connection.read_ns);
            if stamp_ns.is_none() {
                self.report.unstamped.inc();
            }
            connection.arrival_ns = stamp_ns.unwrap_or(received.read_ns);
            connection.read_ns = received.read_ns;
            let more = to_the_end || received.full;
            if connection.feed(received.bytes).is_err() {
                return self.close(place);
            }
            if !more {
                break;
            }
        }
        self.advance(place);
    }

    /// Takes up requests until one has to wait for its reply.
    fn advance(&mut self, place: Place) {
        loop {
            let Some(connection) = self.connections.get(place) else {
                return;
            };
            if connection.waiting.is_some() {
                return;
            }
            match connection.next() {
                Ok(Some(head)) => self.begin(place, head),
                Ok(None) if connection.ended => return self.close(place),
                Ok(None) => return,
                Err(refusal) => {
                    // If it can't be told, the connection closes all the same.
                    let _ = send(&connection.socket, refusal.reply(), SendFlags::NOSIGNAL);
                    self.report.malformed.inc();
                    return self.close(place);
                }
            }
        }
    }

    /// Plans a request, and answers it if it is due already.
    fn begin(&mut self, place: Place, head: Head) {
        let Some(connection) = self.connections.get(place) else {
            return;
        };
        let (arrival_ns, read_ns) = (connection.arrival_ns, now_ns());
        let zero_ns = *self.zero_ns.get_or_insert_with(|| {
            self.halt = self.config.behaviour.timetable.next_halt(0);
            arrival_ns
        });
        let at_ns = arrival_ns.saturating_sub(zero_ns);
        let plan = self
            .config
            .behaviour
            .plan(&mut self.slots, self.number, at_ns, head.asked);
        self.number += 1;
        let due_ns = zero_ns.saturating_add(plan.due_ns);
        connection.waiting = Some(Waiting {
            arrival_ns,
            read_ns,
            due_ns,
            answer: plan.answer,
            head_only: head.head_only,
            keep_alive: head.keep_alive,
            written: None,
        });
        self.waiting += 1;
        burn(nanoseconds(self.config.work));
        if due_ns <= now_ns() {
            self.reply(place);
        } else {
            self.due.push(Reverse((due_ns, self.number, place)));
            self.forget_the_gone();
        }
    }

    /// Drops what the heap holds of closed connections, once that is a good part of it.
    fn forget_the_gone(&mut self) {
        if self.due.len() > 2 * self.connections.len() + STALE_MAX {
            let connections = &mut self.connections;
            self.due.retain(|Reverse((due_ns, _, place))| {
                let waiting = connections.get(*place).and_then(|connection| connection.waiting);
                waiting.is_some_and(|waiting| waiting.due_ns == *due_ns)
            });
        }
    }

    fn reply(&mut self, place: Place) {
        if let Some(waiting) = self
            .connections
            .get(place)
            .and_then(|connection| connection.waiting.as_mut())
        {
            waiting.written = Some(0);
            self.write_on(place);
        }
    }

    /// Goes on writing a reply that has been begun, if one has.
    fn write_on(&mut self, place: Place) {
        let Some(connection) = self.connections.get(place) else {
            return;
        };
        let Some(waiting) = &mut connection.waiting else {
            return;
        };
        let Some(mut written) = waiting.written else {
            return;
        };
        let bytes = self.config.replies.bytes(waiting.answer, waiting.head_only);
        while written < bytes.len() {
            match send(&connection.socket, &bytes[written..], SendFlags::NOSIGNAL) {
                Ok(sent) => written += sent,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    waiting.written = Some(written);
                    return;
                }
                Err(_) => return self.close(place),
            }
        }
        self.note_answered(place);
    }

    fn note_answered(&mut self, place: Place) {
        let Some(connection) = self.connections.get(place) else {
            return;
        };
        let Some(waiting) = connection.waiting.take() else {
            return;
        };
        let now_ns = now_ns();
        self.waiting -= 1;
        self.report
            .answered(waiting.answer, now_ns.saturating_sub(waiting.due_ns));
        self.samples.push(Sample::Request {
            intended_ns: waiting.due_ns.saturating_sub(waiting.arrival_ns),
            held_ns: now_ns.saturating_sub(waiting.arrival_ns),
            unread_ns: waiting.read_ns.saturating_sub(waiting.arrival_ns),
        });
        if !waiting.keep_alive || self.stop_by_ns.is_some() {
            self.close(place);
        }
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i64,
    }
}

/// Uses the processor for `ns` of this thread's own time.
fn burn(ns: u64) {
    if ns == 0 {
        return;
    }
    let used_ns = || {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        used.tv_sec as u64 * 1_000_000_000 + used.tv_nsec as u64
    };
    let until_ns = used_ns() + ns;
    while used_ns() < until_ns {
        std::hint::spin_loop();
    }
}
