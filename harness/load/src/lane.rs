//! One load on one thread: its connections, fed from its [`Ledger`].
//!
//! Free connections are used last-in first-out, as client pools do; a new one is opened only when a request waits and none is
//! free. A connection that the target closes while it's idle is forgotten without failing a request. A close that crosses a
//! request on the wire fails that request, since nobody can know whether the target acted on it.

mod reporting;

use std::io::{self, Read};
use std::net::SocketAddr;

use mio::Interest;
use mio::net::TcpStream;

use crate::clock::duration_ns;
use crate::connection::{Connection, Slots, State, pack_token};
use crate::dispatcher::Shared;
use crate::in_flight::{Request, Wait};
use crate::ledger::{Ended, Ledger};
use crate::phase::{Part, Phase, Source};
use crate::protocol::http1::Http1;
use crate::protocol::{Malformed, Tag};
use crate::report::ErrorKind;
use crate::spec::{LoadSpec, PhaseSpec};

/// One load on one thread.
pub(crate) struct Lane {
    load: u16,
    addr: SocketAddr,
    http: Http1,
    spec: LoadSpec,
    part: Part,
    pub(crate) ledger: Ledger,
    connections: Slots,
    idle: Vec<u32>,
    connecting: usize,
}

impl Lane {
    pub(crate) fn new(load: u16, spec: LoadSpec, http: Http1, part: Part) -> Lane {
        Lane {
            load,
            addr: spec.target.addr,
            http,
            part,
            ledger: Ledger::new(load, duration_ns(spec.timeout), spec.extract.clone()),
            spec,
            connections: Slots::default(),
            idle: Vec::new(),
            connecting: 0,
        }
    }

    /// Adds a phase; `spec` has been checked.
    pub(crate) fn push_phase(&mut self, spec: &PhaseSpec) {
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

    /// The most connections this thread may hold for the load now. Users of a running phase have one each, whatever the limit for
    /// open loop.
    fn limit(&self, now_ns: u64) -> usize {
        let users = |phase: &Phase| match phase.source {
            Source::Closed { users, .. } => users,
            _ => 0,
        };
        let users = self.ledger.phases[self.ledger.live(now_ns)]
            .iter()
            .map(users)
            .max()
            .unwrap_or(0);
        self.part.of(self.spec.connections).max(users)
    }

    /// Does what time asks for: timeouts, arrivals, users' pauses; then sends what can be sent.
    pub(crate) fn advance(&mut self, shared: &mut Shared) {
        let now_ns = shared.tick();
        self.expire(now_ns);
        self.ledger.advance(now_ns, shared.behind);
        self.pump(shared);
    }

    fn expire(&mut self, now_ns: u64) {
        while let Some(wait) = self.ledger.in_flight.first()
            && wait.started_ns.saturating_add(self.ledger.timeout_ns) <= now_ns
        {
            let Some(connection) = self.connections.remove(wait.connection) else {
                break;
            };
            let seconds = self.spec.timeout.as_secs_f64();
            match connection.state {
                State::Connecting(tag) => {
                    self.connecting -= 1;
                    self.ledger.in_flight.remove(tag);
                    let example = || {
                        format!(
                            "connecting to {}: not done within {seconds} s",
                            self.spec.target.addr
                        )
                    };
                    self.ledger
                        .connect_failed(wait.started_ns, now_ns, ErrorKind::ConnectTimeout, example);
                }
                State::Busy(tag) => {
                    self.fail(tag, now_ns, ErrorKind::Timeout, || {
                        format!("no whole answer within {seconds} s")
                    });
                }
                State::Idle(_) | State::Between => break,
            }
        }
    }

    /// Gives waiting requests to free connections, and opens connections while requests wait and the limit allows it.
    fn pump(&mut self, shared: &mut Shared) {
        while let Some(&slot) = self.idle.last() {
            let now_ns = shared.tick();
            let Some(request) = self.ledger.next_request(now_ns) else {
                return;
            };
            self.idle.pop();
            self.send(slot, request, now_ns, shared);
        }
        while self.connecting < self.ledger.queue.len()
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
        connection.state = State::Busy(tag);
        shared.out.clear();
        connection.session.start(tag, request.number, &mut shared.out);
        match connection.write(&shared.out) {
            Ok(()) => phase.tally().counts.sent += 1,
            // The socket knew that the target had gone before it took a byte: the request was never sent.
            Err(error) if connection.used && is_gone(&error) => {
                self.ledger.in_flight.remove(tag);
                self.ledger.queue.push_front(request);
                self.connections.remove(slot);
            }
            Err(error) => {
                phase.tally().counts.sent += 1;
                self.connections.remove(slot);
                self.fail(tag, started_ns, ErrorKind::Reset, || {
                    format!("writing the request: {error}")
                });
            }
        }
    }

    fn connect(&mut self, shared: &mut Shared) {
        let started_ns = shared.tick();
        let (slot, generation) = self.connections.vacant();
        let opened = TcpStream::connect(self.addr).and_then(|mut stream| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            shared
                .registry
                .register(&mut stream, pack_token(self.load, slot, generation), interest)?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => {
                let wait = Wait {
                    connection: slot,
                    started_ns,
                    request: None,
                };
                let tag = self.ledger.in_flight.push(wait);
                self.connections
                    .insert(Connection::new(stream, Box::new(self.http.session()), tag));
                self.connecting += 1;
            }
            Err(error) => self.connect_failed(started_ns, &error, shared),
        }
    }

    fn connect_failed(&mut self, started_ns: u64, error: &io::Error, shared: &mut Shared) {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => ErrorKind::ConnectRefused,
            io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
            _ => ErrorKind::ConnectFailed,
        };
        let addr = self.addr;
        let now_ns = shared.tick();
        self.ledger.connect_failed(started_ns, now_ns, kind, || {
            format!("connecting to {addr}: {error}")
        });
    }

    /// Something happened on a connection.
    #[inline]
    pub(crate) fn on_event(
        &mut self,
        slot: u32,
        generation: u16,
        event: &mio::event::Event,
        shared: &mut Shared,
    ) {
        if !self.connections.is_current(slot, generation) {
            return;
        }
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        if let State::Connecting(tag) = connection.state {
            match connection.stream.take_error() {
                Ok(None) if connection.stream.peer_addr().is_ok() => self.connected(slot, tag, shared),
                Ok(None) => return,
                Ok(Some(error)) | Err(error) => {
                    self.connections.remove(slot);
                    self.connecting -= 1;
                    let started_ns = self.ledger.in_flight.remove(tag).started_ns;
                    self.connect_failed(started_ns, &error, shared);
                }
            }
        } else {
            if event.is_writable()
                && let Err(error) = connection.flush()
            {
                return self.lost(slot, &error, shared);
            }
            if event.is_readable() || event.is_read_closed() || event.is_error() {
                self.read(slot, event.is_read_closed() || event.is_error(), shared);
            }
        }
        self.pump(shared);
    }

    fn connected(&mut self, slot: u32, tag: Tag, shared: &mut Shared) {
        let started_ns = self.ledger.in_flight.remove(tag).started_ns;
        self.connecting -= 1;
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        connection.state = State::Between;
        if let Err(error) = connection.stream.set_nodelay(true) {
            self.connections.remove(slot);
            return self.connect_failed(started_ns, &error, shared);
        }
        let live = self.ledger.live(shared.tick());
        if let Some(phase) = self.ledger.phases[live].first_mut() {
            phase.tally().counts.connections_opened += 1;
        }
        self.make_idle(slot);
    }

    /// Reads until the socket is empty; a read that does not fill the buffer has emptied it.
    fn read(&mut self, slot: u32, to_the_end: bool, shared: &mut Shared) {
        loop {
            let Some(connection) = self.connections.get(slot) else {
                return;
            };
            match connection.stream.read(&mut shared.scratch) {
                Ok(0) => return self.closed(slot, shared),
                Ok(count) => {
                    let now_ns = shared.tick();
                    if !self.take_bytes(slot, &shared.scratch[..count], now_ns) {
                        return;
                    }
                    if count < shared.scratch.len() && !to_the_end {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.lost(slot, &error, shared),
            }
        }
    }

    /// Hands bytes to the protocol; returns whether the connection is still open.
    fn take_bytes(&mut self, slot: u32, bytes: &[u8], now_ns: u64) -> bool {
        let Some(connection) = self.connections.get(slot) else {
            return false;
        };
        let State::Busy(tag) = connection.state else {
            // Bytes that nobody asked for: what follows could be taken for the next answer.
            self.forget(slot);
            return false;
        };
        let wait = self.ledger.in_flight.get(tag);
        if let Some(request) = wait.request {
            self.ledger.phases[request.phase as usize].tally().counts.bytes_in += bytes.len() as u64;
        }
        let written = connection.is_written();
        match connection.session.receive(bytes) {
            Ok((_, None)) => true,
            Ok((used, Some(answer))) => {
                connection.state = State::Between;
                connection.used = true;
                // An answer to half a request, or with something after it, leaves the stream in an unknown place.
                let reusable = answer.reusable && used == bytes.len() && written;
                self.ledger.in_flight.remove(tag);
                if let Some(request) = wait.request {
                    let ended = Ended {
                        request,
                        started_ns: wait.started_ns,
                        now_ns,
                    };
                    self.ledger.answered(ended, &answer);
                }
                if reusable && self.connections.len() <= self.limit(now_ns) {
                    self.make_idle(slot);
                    return true;
                }
                self.connections.remove(slot);
                false
            }
            Err(Malformed(problem)) => {
                self.connections.remove(slot);
                self.fail(tag, now_ns, ErrorKind::Malformed, || problem);
                false
            }
        }
    }

    fn make_idle(&mut self, slot: u32) {
        let place = self.idle.len() as u32;
        if let Some(connection) = self.connections.get(slot) {
            connection.state = State::Idle(place);
            self.idle.push(slot);
        }
    }

    /// Closes a connection that carries nothing.
    fn forget(&mut self, slot: u32) {
        if let Some(Connection {
            state: State::Idle(place),
            ..
        }) = self.connections.remove(slot)
        {
            self.idle.swap_remove(place as usize);
            if let Some(&moved) = self.idle.get(place as usize)
                && let Some(connection) = self.connections.get(moved)
            {
                connection.state = State::Idle(place);
            }
        }
    }

    /// Closes idle connections beyond the limit, which may have been higher in the phase before.
    fn shed_idle(&mut self, now_ns: u64) {
        while self.connections.len() > self.limit(now_ns)
            && let Some(&slot) = self.idle.first()
        {
            self.forget(slot);
        }
    }

    /// The target closed the connection in good order.
    fn closed(&mut self, slot: u32, shared: &mut Shared) {
        let now_ns = shared.tick();
        let Some(connection) = self.connections.get(slot) else {
            return;
        };
        let State::Busy(tag) = connection.state else {
            return self.forget(slot);
        };
        if let Some(answer) = connection.session.end() {
            let wait = self.ledger.in_flight.remove(tag);
            if let Some(request) = wait.request {
                self.ledger.answered(
                    Ended {
                        request,
                        started_ns: wait.started_ns,
                        now_ns,
                    },
                    &answer,
                );
            }
        } else {
            self.fail(tag, now_ns, ErrorKind::Closed, || {
                "the target closed the connection before its answer was whole".into()
            });
        }
        self.connections.remove(slot);
    }

    /// The connection broke.
    fn lost(&mut self, slot: u32, error: &io::Error, shared: &mut Shared) {
        let now_ns = shared.tick();
        match self.connections.get(slot).map(|connection| connection.state) {
            Some(State::Busy(tag)) => {
                self.connections.remove(slot);
                self.fail(tag, now_ns, ErrorKind::Reset, || {
                    format!("the connection broke: {error}")
                });
            }
            _ => self.forget(slot),
        }
    }

    fn fail(&mut self, tag: Tag, now_ns: u64, kind: ErrorKind, example: impl FnOnce() -> String) {
        let Wait {
            request, started_ns, ..
        } = self.ledger.in_flight.remove(tag);
        if let Some(request) = request {
            self.ledger.finish(
                Ended {
                    request,
                    started_ns,
                    now_ns,
                },
                Some((kind, example)),
            );
        }
    }

    /// Gives up everything at once.
    pub(crate) fn abort(&mut self, now_ns: u64) {
        while let Some(wait) = self.ledger.in_flight.first() {
            let Some(connection) = self.connections.remove(wait.connection) else {
                break;
            };
            if let State::Busy(tag) | State::Connecting(tag) = connection.state {
                self.ledger.in_flight.remove(tag);
            }
            if let Some(request) = wait.request {
                self.ledger.phases[request.phase as usize].tally().counts.aborted += 1;
            }
        }
        self.connections.clear();
        self.idle.clear();
        self.connecting = 0;
        self.ledger.phases.retain(|phase| phase.start_ns <= now_ns);
        self.ledger.abort(now_ns);
    }
}

/// Whether a write failed because the peer had closed before.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionReset | ConnectionAborted | NotConnected
    )
}
