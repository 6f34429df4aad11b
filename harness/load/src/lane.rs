//! One load on one thread: its connections, fed from its [`Ledger`].
//!
//! Connections with room are used last-in first-out, as client pools do; a new one is opened only when a request waits and none
//! has room. A connection that the target closes while it carries nothing is forgotten without failing a request. A close that crosses a
//! request on the wire fails that request, since nobody can know whether the target acted on it.

mod reporting;
mod sealed;

use std::io;
use std::sync::Arc;

use crate::clock::{NS_PER_MS, duration_ns};
use crate::connection::{Connection, Slots, State, pack_token};
use crate::dispatcher::Shared;
use crate::in_flight::{Request, Wait};
use crate::ledger::Ledger;
use crate::phase::{Part, Phase, Source};
use crate::poller::Ready;
use crate::protocol::{Dialect, Event, Malformed, Tag};
use crate::report::ErrorKind;
use crate::socket::Socket;
use crate::spec::{LoadSpec, PhaseSpec};
use crate::tls::Client;

/// Connections being opened at once. More would overflow the queue of a listener with the common backlog of 1,024 or less, and each
/// that does not fit is tried again only a second later (tcp(7)).
const CONNECTING_MAX: usize = 256;

/// One load on one thread.
pub(crate) struct Lane {
    load: u16,
    dialect: Arc<dyn Dialect>,
    /// How its connections begin TLS, where they do.
    tls: Option<Arc<Client>>,
    /// A connection carries one request at a time.
    single: bool,
    spec: LoadSpec,
    part: Part,
    pub(crate) ledger: Ledger,
    connections: Slots,
    /// Connections with room for a request; the last is used first.
    free: Vec<u32>,
    connecting: usize,
    /// Connections whose answers carry no time stamp, so that they must be read at once.
    unstamped: usize,
    /// An answer has come in pieces, or was long.
    long: bool,
    /// Reads that brought one short answer, so far.
    short: u32,
}

/// A read of more than this is one of a long answer.
const LONG_BYTES: usize = 16 << 10;
/// Answers that nothing waits for are read at the latest this long after the thread went to sleep: the first that is longer than its
/// socket's buffer must not hold up its sender for long.
const READ_LATE_NS: u64 = NS_PER_MS;
/// So many short answers are taken as a promise that the next is short as well: then a wake-up that only reads is saved. Should it be
/// broken, one answer is held up by as much as [`READ_LATE_LONGEST_NS`], and after it none.
const SHORT_MIN: u32 = 100;
const READ_LATE_LONGEST_NS: u64 = 20 * NS_PER_MS;

impl Lane {
    pub(crate) fn new(
        load: u16,
        spec: LoadSpec,
        dialect: Arc<dyn Dialect>,
        tls: Option<Arc<Client>>,
        part: Part,
    ) -> Lane {
        Lane {
            load,
            single: dialect.streams() == 1,
            dialect,
            tls,
            part,
            ledger: Ledger::new(
                load,
                duration_ns(spec.timeout),
                spec.extract.clone(),
                spec.protocol.checks(),
            ),
            spec,
            connections: Slots::default(),
            free: Vec::new(),
            connecting: 0,
            unstamped: 0,
            long: false,
            short: 0,
        }
    }

    /// Adds a phase; `spec` has been checked. A lane without phases does nothing and tells nothing.
    pub(crate) fn push_phase(&mut self, spec: &PhaseSpec) {
        if self.spec.protocol.part().is_of_journey() {
            return;
        }
        let phase = Phase::new(
            spec,
            usize::from(self.load),
            self.spec.connections,
            self.part,
            self.spec.seed,
        );
        self.ledger.phases.push(phase);
    }

    /// Ends the open-ended phase `index`.
    pub(crate) fn end_phase(&mut self, index: u32, at_ns: u64) {
        if let Some(phase) = self.ledger.phases.iter_mut().find(|phase| phase.index == index) {
            phase.end_ns = phase.end_ns.min(at_ns.max(phase.start_ns));
        }
    }

    /// No more phases come: one that is still open-ended ends now.
    pub(crate) fn close_open_end(&mut self, now_ns: u64) {
        if let Some(last) = self.ledger.phases.last_mut()
            && last.end_ns == u64::MAX
        {
            last.end_ns = now_ns.max(last.start_ns);
        }
    }

    /// Whether no phase is left.
    pub(crate) fn is_over(&self) -> bool {
        self.ledger.first_live == self.ledger.phases.len()
    }

    /// How long answers may lie in their sockets: zero unless nothing waits for them, the kernel knows when they came, and they fit
    /// into their sockets' buffers.
    pub(crate) fn may_read_late_ns(&self, now_ns: u64) -> u64 {
        let may = self.unstamped == 0
            && self.single
            && !self.long
            && self.connecting == 0
            && self.ledger.queue.is_empty()
            && !self.is_closed_loop(now_ns);
        let nothing_comes = self.ledger.in_flight.first().is_none();
        match may {
            true if nothing_comes || self.short >= SHORT_MIN => READ_LATE_LONGEST_NS,
            true => READ_LATE_NS,
            false => 0,
        }
    }

    fn is_closed_loop(&self, now_ns: u64) -> bool {
        self.ledger.phases[self.ledger.live(now_ns)]
            .iter()
            .any(Phase::is_closed_loop)
    }

    /// Users of the phases that run now.
    fn users(&self, now_ns: u64) -> usize {
        let users = |phase: &Phase| match phase.source {
            Source::Closed { users, .. } => users,
            _ => 0,
        };
        let live = self.ledger.phases[self.ledger.live(now_ns)].iter();
        live.map(users).max().unwrap_or(0)
    }

    /// The most connections this thread may hold for the load now. Users of a running phase have one each, whatever the limit for
    /// open loop, unless a connection carries many at once.
    fn limit(&self, now_ns: u64) -> usize {
        let own = self.part.of(self.spec.connections);
        if self.single {
            own.max(self.users(now_ns))
        } else {
            own
        }
    }

    /// Does what time asks for: timeouts, arrivals, users' pauses; then sends what can be sent.
    pub(crate) fn advance(&mut self, shared: &mut Shared) {
        let now_ns = shared.tick();
        self.expire(now_ns, shared);
        self.ledger.advance(now_ns, shared.behind);
        self.pump(shared);
    }

    fn expire(&mut self, now_ns: u64, shared: &mut Shared) {
        while let Some((tag, wait)) = self.ledger.in_flight.first()
            && wait.started_ns.saturating_add(self.ledger.timeout_ns) <= now_ns
        {
            let Some(connection) = self.connections.get(wait.connection) else {
                return;
            };
            if connection.state == State::Open {
                // The answer may lie in the socket.
                self.read(wait.connection, false, shared);
                if self.ledger.in_flight.first() == Some((tag, wait)) {
                    self.expire_request(tag, wait.connection, now_ns, shared);
                }
            } else {
                self.close(wait.connection);
                self.ledger.in_flight.remove(tag);
                let (addr, seconds) = (&self.spec.target.addr, self.spec.timeout.as_secs_f64());
                let example = || format!("connecting to {addr}: not done within {seconds} s");
                self.ledger
                    .connect_failed(wait.started_ns, now_ns, ErrorKind::ConnectTimeout, example);
            }
        }
    }

    fn expire_request(&mut self, tag: Tag, slot: u32, now_ns: u64, shared: &mut Shared) {
        let seconds = self.spec.timeout.as_secs_f64();
        self.fail(tag, now_ns, ErrorKind::Timeout, || {
            format!("no whole answer within {seconds} s")
        });
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        connection.carries -= 1;
        shared.out.clear();
        if connection.session.cancel(tag, &mut shared.out) && connection.write(&shared.out).is_ok() {
            self.relist(slot, now_ns);
        } else {
            self.fail_connection(slot, now_ns, ErrorKind::Closed, || {
                "another request on the connection ran out of time".into()
            });
        }
    }

    /// Gives waiting requests to connections with room, and opens connections while requests wait and the limit allows it.
    fn pump(&mut self, shared: &mut Shared) {
        while let Some(&slot) = self.free.last() {
            let now_ns = shared.tick();
            let Some(request) = self.ledger.next_request(now_ns) else {
                return;
            };
            self.send(slot, request, now_ns, shared);
        }
        while self.connecting * self.dialect.streams() < self.ledger.queue.len()
            && self.connecting < CONNECTING_MAX
            && self.connections.len() < self.limit(shared.latest_ns)
        {
            self.connect(shared);
        }
    }

    #[inline]
    fn send(&mut self, slot: u32, mut request: Request, started_ns: u64, shared: &mut Shared) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        let phase = &mut self.ledger.phases[request.phase as usize];
        if phase.is_closed_loop() {
            request.intended_ns = started_ns;
        }
        let wait = Wait {
            connection: slot,
            started_ns,
            request: Some(request),
        };
        let tag = self.ledger.in_flight.push(wait);
        connection.carries += 1;
        connection.latest = tag;
        shared.out.clear();
        connection
            .session
            .start(tag, phase.request_number(&request), &mut shared.out);
        if shared.out.is_empty()
            && let Some(problem) = connection.session.refused()
        {
            connection.carries -= 1;
            phase.tally().counts.sent += 1;
            return self.fail(tag, started_ns, ErrorKind::Render, || problem);
        }
        let written = connection.write(&shared.out);
        if connection.session.room() == 0 {
            self.unlist(slot);
        }
        let Err(error) = written else {
            self.ledger.phases[request.phase as usize].tally().counts.sent += 1;
            return;
        };
        // The socket knew that the target had gone before it took a byte: the request was never sent.
        if self.single && self.connections.get(slot).is_some_and(|one| one.used) && is_gone(&error) {
            self.ledger.in_flight.remove(tag);
            self.ledger.queue.push_front(request);
            self.close(slot);
        } else {
            self.ledger.phases[request.phase as usize].tally().counts.sent += 1;
            self.fail_connection(slot, started_ns, ErrorKind::Reset, || {
                format!("writing the request: {error}")
            });
        }
    }

    fn connect(&mut self, shared: &mut Shared) {
        let started_ns = shared.tick();
        // A closed loop reads at once, and a stamp costs a tenth of what it asks flat out.
        let stamped = !self.is_closed_loop(started_ns);
        let (slot, generation) = self.connections.vacant();
        let carrier = self.dialect.carrier();
        let LoadSpec { target, source, .. } = &self.spec;
        let opened = Socket::open(&target.addr, *source, carrier, slot, stamped).and_then(|socket| {
            shared.poller.add(
                &socket,
                pack_token(self.load, slot, generation),
                socket.is_stamped(),
            )?;
            let tls = self.tls.as_ref().map(|client| client.layer()).transpose()?;
            Ok((socket, tls.map(Box::new)))
        });
        match opened {
            Ok((socket, tls)) => {
                let wait = Wait {
                    connection: slot,
                    started_ns,
                    request: None,
                };
                let tag = self.ledger.in_flight.push(wait);
                self.unstamped += usize::from(!socket.is_stamped());
                self.connections
                    .insert(Connection::new(socket, tls, self.dialect.session(), tag));
                self.connecting += 1;
            }
            Err(error) => self.connect_failed(started_ns, &error, shared),
        }
    }

    fn connect_failed(&mut self, started_ns: u64, error: &io::Error, shared: &mut Shared) {
        let kind = ErrorKind::of_connecting(error);
        let addr = &self.spec.target.addr;
        let now_ns = shared.tick();
        self.ledger.connect_failed(started_ns, now_ns, kind, || {
            format!("connecting to {addr}: {error}")
        });
    }

    /// Something happened on a connection.
    #[inline]
    pub(crate) fn on_event(&mut self, slot: u32, generation: u16, ready: Ready, shared: &mut Shared) {
        if !self.connections.is_current(slot, generation) {
            return;
        }
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if let State::Connecting(tag) = connection.state {
            match connection.socket.is_connected() {
                Ok(true) => self.connected(slot, tag, shared),
                Ok(false) => return,
                Err(error) => self.not_connected(slot, tag, &error, shared),
            }
        } else {
            if ready.writable
                && let Err(error) = connection.flush()
            {
                return self.lost(slot, &error, shared);
            }
            if ready.readable {
                self.read(slot, ready.ended, shared);
            }
        }
        self.pump(shared);
    }

    /// The socket is connected: what the protocol needs before requests comes now.
    fn connected(&mut self, slot: u32, tag: Tag, shared: &mut Shared) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        connection.state = State::Opening(tag);
        match connection.begin(&mut shared.out) {
            Ok(true) => self.opened(slot, shared.tick()),
            Ok(false) => {}
            Err(error) => self.not_connected(slot, tag, &error, shared),
        }
    }

    fn not_connected(&mut self, slot: u32, tag: Tag, error: &io::Error, shared: &mut Shared) {
        self.close(slot);
        let started_ns = self.ledger.in_flight.remove(tag).started_ns;
        self.connect_failed(started_ns, error, shared);
    }

    /// The connection may carry requests.
    fn opened(&mut self, slot: u32, now_ns: u64) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if let State::Connecting(tag) | State::Opening(tag) = connection.state {
            connection.state = State::Open;
            self.connecting -= 1;
            self.ledger.in_flight.remove(tag);
            if let Some(phase) = self.ledger.live_phase(now_ns) {
                phase.tally().counts.connections_opened += 1;
            }
        }
        self.relist(slot, now_ns);
    }

    /// Reads until the socket is empty.
    fn read(&mut self, slot: u32, to_the_end: bool, shared: &mut Shared) {
        loop {
            let Some(connection) = self.connections.get(slot) else {
                return;
            };
            match connection.socket.receive(&mut shared.scratch) {
                Ok((0, _)) => return self.closed(slot, shared),
                Ok((count, stamp)) => {
                    let now_ns = shared.tick();
                    let came_ns = stamp.map(|wall_ns| shared.on_timeline(wall_ns));
                    let emptied = connection.socket.is_emptied_by(count, shared.scratch.len());
                    let goes_on = if connection.is_sealed() {
                        self.take_sealed(slot, count, came_ns, now_ns, shared)
                    } else {
                        let (bytes, out) = (&shared.scratch[..count], &mut shared.out);
                        self.take_bytes(slot, bytes, came_ns, now_ns, out)
                    };
                    if !goes_on || (emptied && !to_the_end) {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lost(slot, &error, shared),
            }
        }
    }

    /// Hands bytes to the protocol; returns whether the connection is still open. `came_ns`: when they arrived, where the kernel
    /// has told it.
    fn take_bytes(
        &mut self,
        slot: u32,
        mut bytes: &[u8],
        came_ns: Option<u64>,
        now_ns: u64,
        out: &mut Vec<u8>,
    ) -> bool {
        self.long |= bytes.len() > LONG_BYTES;
        self.short = self.short.saturating_add(1);
        self.count_bytes(slot, bytes.len(), now_ns);
        out.clear();
        loop {
            let Some(connection) = self.connections.get(slot) else {
                return false;
            };
            match connection.session.receive(bytes, out) {
                Ok((_, None)) => break,
                Ok((used, Some(event))) => {
                    bytes = &bytes[used..];
                    match event {
                        Event::Answer(answer) => {
                            connection.carries -= 1;
                            connection.used = true;
                            connection.held |= answer.holds;
                            let wait = self.ledger.in_flight.remove(answer.tag);
                            let at_ns = came_ns.map_or(now_ns, |at_ns| at_ns.clamp(wait.started_ns, now_ns));
                            if let Some(ended) = wait.ended(at_ns) {
                                self.ledger.count_unstamped(&ended, came_ns);
                                self.ledger.answered(ended, &answer);
                            }
                        }
                        Event::Failed { tag, kind, text } => {
                            connection.carries -= 1;
                            let wait = self.ledger.in_flight.remove(tag);
                            let at_ns = came_ns.map_or(now_ns, |at_ns| at_ns.clamp(wait.started_ns, now_ns));
                            if let Some(ended) = wait.ended(at_ns) {
                                self.ledger.finish(ended, Some((kind, || text.to_owned())));
                            }
                        }
                        Event::Message(message) => self.ledger.message(message, now_ns),
                        Event::Opened => self.opened(slot, now_ns),
                    }
                    if bytes.is_empty() && self.single {
                        break;
                    }
                }
                Err(Malformed(problem)) => {
                    self.fail_connection(slot, now_ns, ErrorKind::Malformed, || problem.clone());
                    return false;
                }
            }
        }
        self.after_bytes(slot, out, now_ns)
    }

    /// Sends what the protocol has to say by itself and finds the connection its place; returns whether it is still open.
    fn after_bytes(&mut self, slot: u32, out: &[u8], now_ns: u64) -> bool {
        let Some(connection) = self.connections.get(slot) else {
            return false;
        };
        self.long |= connection.carries > 0;
        // An answer to half a request leaves the stream in an unknown place.
        let half_asked = self.single && connection.carries == 0 && !connection.is_written();
        if half_asked {
            self.close(slot);
            return false;
        }
        if let Err(error) = connection.write(out) {
            self.fail_connection(slot, now_ns, ErrorKind::Reset, || {
                format!("the connection broke: {error}")
            });
            return false;
        }
        self.relist(slot, now_ns);
        self.connections.get(slot).is_some()
    }

    fn count_bytes(&mut self, slot: u32, count: usize, now_ns: u64) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        let request = if self.single && connection.carries == 1 {
            self.ledger.in_flight.get(connection.latest).request
        } else {
            None
        };
        let phase = match request {
            Some(request) => Some(&mut self.ledger.phases[request.phase as usize]),
            None => self.ledger.live_phase(now_ns),
        };
        if let Some(phase) = phase {
            phase.tally().counts.bytes_in += count as u64;
        }
    }

    /// Puts a connection with room among those that take requests; closes one that carries nothing and is not wanted any more.
    fn relist(&mut self, slot: u32, now_ns: u64) {
        let too_many = self.connections.len() > self.limit(now_ns);
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if connection.state != State::Open || connection.held {
            return;
        }
        let spent = connection.session.is_spent() || too_many;
        if spent && connection.carries == 0 {
            self.close(slot);
        } else if spent || connection.session.room() == 0 {
            self.unlist(slot);
        } else if connection.place.is_none() {
            connection.place = Some(self.free.len() as u32);
            self.free.push(slot);
        }
    }

    /// Takes a connection from the list of those that take requests.
    fn unlist(&mut self, slot: u32) {
        let place = self
            .connections
            .get(slot)
            .and_then(|connection| connection.place.take());
        self.close_gap(place);
    }

    fn close_gap(&mut self, place: Option<u32>) {
        let Some(place) = place else { return };
        self.free.swap_remove(place as usize);
        if let Some(&moved) = self.free.get(place as usize)
            && let Some(connection) = self.connections.get(moved)
        {
            connection.place = Some(place);
        }
    }

    /// Closes a connection. What it carries is the caller's to fail.
    fn close(&mut self, slot: u32) {
        let Some(connection) = self.connections.remove(slot) else {
            return;
        };
        self.close_gap(connection.place);
        self.connecting -= usize::from(connection.state != State::Open);
        self.unstamped -= usize::from(!connection.socket.is_stamped());
        self.ledger.held -= usize::from(connection.held);
    }

    /// Closes a connection and fails everything it carries.
    fn fail_connection(&mut self, slot: u32, now_ns: u64, kind: ErrorKind, example: impl Fn() -> String) {
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        let (state, carries, latest, held) = (
            connection.state,
            connection.carries,
            connection.latest,
            connection.held,
        );
        let opening = if kind == ErrorKind::Tls || connection.is_handshaking() {
            ErrorKind::Tls
        } else {
            ErrorKind::ConnectFailed
        };
        self.close(slot);
        match state {
            State::Connecting(tag) | State::Opening(tag) => {
                let started_ns = self.ledger.in_flight.remove(tag).started_ns;
                self.ledger.connect_failed(started_ns, now_ns, opening, example);
            }
            State::Open if held => self.ledger.stream_lost(now_ns),
            State::Open if carries == 1 && self.single => self.fail(latest, now_ns, kind, example),
            State::Open if carries > 0 => {
                for tag in self.ledger.in_flight.of_connection(slot) {
                    self.fail(tag, now_ns, kind, &example);
                }
            }
            State::Open => {}
        }
    }

    /// Closes connections that carry nothing beyond the limit, which may have been higher in the phase before.
    fn shed(&mut self, now_ns: u64) {
        while self.connections.len() > self.limit(now_ns)
            && let Some(&slot) = self.free.first()
            && self.connections.get(slot).is_some_and(|one| one.carries == 0)
        {
            self.close(slot);
        }
        let users = self.users(now_ns);
        if self.ledger.held > users {
            let held: Vec<u32> = self.connections.slots().collect();
            for slot in held {
                if self.ledger.held > users && self.connections.get(slot).is_some_and(|one| one.held) {
                    self.close(slot);
                }
            }
        }
    }

    /// The target closed the connection in good order.
    fn closed(&mut self, slot: u32, shared: &mut Shared) {
        let now_ns = shared.tick();
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        let when = if connection.state == State::Open {
            "before its answer was whole"
        } else {
            "while it was being opened"
        };
        if connection.is_end_meant()
            && let Some(answer) = connection.session.end()
        {
            connection.carries -= 1;
            let wait = self.ledger.in_flight.remove(answer.tag);
            if let Some(ended) = wait.ended(now_ns) {
                self.ledger.answered(ended, &answer);
            }
        }
        self.fail_connection(slot, now_ns, ErrorKind::Closed, || {
            format!("the target closed the connection {when}")
        });
    }

    /// The connection broke.
    fn lost(&mut self, slot: u32, error: &io::Error, shared: &mut Shared) {
        let now_ns = shared.tick();
        self.fail_connection(slot, now_ns, ErrorKind::Reset, || {
            format!("the connection broke: {error}")
        });
    }

    fn fail(&mut self, tag: Tag, now_ns: u64, kind: ErrorKind, example: impl FnOnce() -> String) {
        if let Some(ended) = self.ledger.in_flight.remove(tag).ended(now_ns) {
            self.ledger.finish(ended, Some((kind, example)));
        }
    }

    /// Gives up everything at once.
    pub(crate) fn abort(&mut self, now_ns: u64) {
        while let Some((tag, wait)) = self.ledger.in_flight.first() {
            self.ledger.in_flight.remove(tag);
            if let Some(request) = wait.request {
                self.ledger.phases[request.phase as usize].tally().counts.aborted += 1;
            }
        }
        self.connections.clear();
        self.free.clear();
        self.connecting = 0;
        self.unstamped = 0;
        self.ledger.held = 0;
        self.ledger.phases.retain(|phase| phase.start_ns <= now_ns);
        self.ledger.abort(now_ns);
    }
}

/// Whether a write failed because the peer had closed before.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionReset | ConnectionAborted | NotConnected
    )
}
