//! One connection through a proxy: two sockets, and a lane for each direction between them.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;
use squall_model::seed::Seed;

use crate::chain::End;
use crate::config::{Config, Identity};
use crate::http::{Exchange, Passage};
use crate::lane::{Lane, View};
use crate::poller::{Interest, Poller};
use crate::seen::ConnectionSeen;
use crate::socket;
use crate::spec::Direction;

/// What a connection needs of its thread.
pub(crate) struct Context<'a> {
    pub(crate) now_ns: u64,
    pub(crate) poller: &'a Poller,
    pub(crate) scratch: &'a mut [u8],
    pub(crate) passage: &'a mut Passage,
    pub(crate) held_bytes_max: usize,
}

/// How a connection is after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lives,
    /// It is to be closed.
    Closed,
    /// It is to be reset at both ends.
    Reset,
    /// Its callee could not be reached.
    Unreachable,
}

/// One connection. Of arrays over its two sockets the first is the caller's, which is the source of the first direction.
pub(crate) struct Connection {
    pub(crate) identity: Arc<Identity>,
    config: Arc<Config>,
    seed: Seed,
    number: u64,
    caller: SocketAddr,
    opened_ns: u64,
    sockets: [OwnedFd; 2],
    /// What epoll was told last.
    interests: [Interest; 2],
    connected: bool,
    lanes: [Lane; 2],
    exchange: Option<Box<Exchange>>,
    /// The earliest timer that is set for it.
    pub(crate) timer_ns: Option<u64>,
}

/// An accepted connection, before it is served.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) socket: OwnedFd,
    pub(crate) caller: SocketAddr,
    pub(crate) number: u64,
    pub(crate) opened_ns: u64,
}

impl Connection {
    /// Begins the way to the callee, over `callee`.
    pub(crate) fn new(
        identity: Arc<Identity>,
        config: Arc<Config>,
        accepted: Accepted,
        callee: OwnedFd,
    ) -> Connection {
        let seed = identity.seed.child("connection").nth(accepted.number);
        let exchange = config
            .http
            .is_some()
            .then(|| Box::new(Exchange::new(seed.child("http"))));
        Connection {
            identity,
            config,
            seed,
            number: accepted.number,
            caller: accepted.caller,
            opened_ns: accepted.opened_ns,
            sockets: [accepted.socket, callee],
            interests: [Interest::NONE; 2],
            connected: false,
            lanes: [Lane::default(), Lane::default()],
            exchange,
            timer_ns: None,
        }
    }

    pub(crate) fn seen(&self) -> ConnectionSeen {
        ConnectionSeen {
            number: self.number,
            caller: self.caller,
            opened_ns: self.opened_ns,
            held_bytes: [0, 1].map(|at| {
                let before = self
                    .exchange
                    .as_ref()
                    .map_or(0, |exchange| exchange.held_bytes(at));
                (before + self.lanes[at].held_bytes()) as u64
            }),
        }
    }

    /// When time alone makes something due.
    pub(crate) fn wake_ns(&self) -> Option<u64> {
        let exchange = self.exchange.as_ref().and_then(|exchange| exchange.wake_ns());
        self.lanes
            .iter()
            .filter_map(|lane| lane.wake_ns)
            .chain(exchange)
            .min()
    }

    /// Takes another configuration.
    pub(crate) fn configure(&mut self, config: &Arc<Config>, token: u64, cx: &mut Context<'_>) -> Fate {
        self.config = Arc::clone(config);
        for direction in Direction::BOTH {
            let view = view(&self.identity, &self.config, direction, cx.now_ns);
            self.lanes[direction.index()].reconcile(self.seed, view);
        }
        self.settle(token, cx)
    }

    /// Something happened on the socket of side `side`.
    #[inline]
    pub(crate) fn on_ready(&mut self, side: usize, what: Interest, token: u64, cx: &mut Context<'_>) -> Fate {
        if !self.connected {
            if socket::connected(&self.sockets[1]).is_err() {
                return Fate::Unreachable;
            }
            self.connected = true;
            return self.settle(token, cx);
        }
        if what.read && self.interests[side].read {
            self.read(side, cx);
        }
        self.settle(token, cx)
    }

    /// Reads what came on one side, once: if there is more, epoll says so again, and others get their turn.
    #[inline]
    fn read(&mut self, side: usize, cx: &mut Context<'_>) {
        let direction = Direction::BOTH[side];
        match socket::receive(&self.sockets[side], cx.scratch) {
            Ok(0) => self.push_end(direction, End::Finished, cx),
            Ok(count) => {
                self.identity.tally.entered(direction, count, cx.now_ns);
                if self.exchange.is_some() {
                    self.exchange_bytes(direction, count, cx);
                } else {
                    self.forward(direction, count, cx);
                }
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => {
                // Gone both ways: what the other side says has nowhere to go.
                self.lanes[1 - side].sink_gone = true;
                self.push_end(direction, End::Broken, cx);
            }
        }
    }

    /// Sends on what was read; what is not taken at once waits.
    #[inline]
    fn forward(&mut self, direction: Direction, count: usize, cx: &mut Context<'_>) {
        let view = view(&self.identity, &self.config, direction, cx.now_ns);
        let lane = &mut self.lanes[direction.index()];
        let bytes = &cx.scratch[..count];
        let sent = if lane.is_direct() {
            // An error shows again, and is dealt with, when the rest is sent.
            socket::send(&self.sockets[1 - direction.index()], bytes).unwrap_or(0)
        } else {
            0
        };
        if sent > 0 {
            view.tally.directions[direction.index()].forwarded(sent, cx.now_ns);
        }
        if sent < count {
            lane.push(Bytes::copy_from_slice(&bytes[sent..]), view);
        }
    }

    /// Lets what was read pass through the reading of HTTP.
    fn exchange_bytes(&mut self, direction: Direction, count: usize, cx: &mut Context<'_>) {
        let (Some(exchange), Some(rules)) = (&mut self.exchange, &self.config.http) else {
            return;
        };
        let bytes = &cx.scratch[..count];
        match direction {
            Direction::Upstream => {
                exchange.request_bytes(bytes, rules, &self.identity.tally, cx.now_ns, cx.passage);
            }
            Direction::Downstream => {
                exchange.response_bytes(bytes, &self.identity.tally, cx.now_ns, cx.passage);
            }
        }
        self.take_passage(cx);
    }

    fn push_end(&mut self, direction: Direction, end: End, cx: &mut Context<'_>) {
        self.lanes[direction.index()].source_ended = true;
        if let Some(exchange) = &mut self.exchange {
            exchange.end(direction, end, cx.now_ns, cx.passage);
            self.take_passage(cx);
        } else {
            let view = view(&self.identity, &self.config, direction, cx.now_ns);
            self.lanes[direction.index()].push_end(end, view);
        }
    }

    /// Puts what the reading of HTTP let go onto the lanes.
    fn take_passage(&mut self, cx: &mut Context<'_>) {
        for direction in Direction::BOTH {
            let view = view(&self.identity, &self.config, direction, cx.now_ns);
            let lane = &mut self.lanes[direction.index()];
            let passed = &mut cx.passage.directions[direction.index()];
            for bytes in passed.bytes.drain(..) {
                lane.push(bytes, view);
            }
            if let Some(end) = passed.end.take() {
                lane.push_end(end, view);
            }
        }
    }

    /// Moves on what can be moved, and tells epoll what is wanted from now on.
    pub(crate) fn settle(&mut self, token: u64, cx: &mut Context<'_>) -> Fate {
        if self.connected {
            if let Some(exchange) = &mut self.exchange
                && exchange.advance(cx.now_ns, cx.passage)
            {
                self.take_passage(cx);
            }
            for direction in Direction::BOTH {
                match self.advance(direction, cx.now_ns) {
                    Fate::Lives => {}
                    over => return over,
                }
            }
            if self.lanes.iter().all(|lane| lane.ended) {
                return Fate::Closed;
            }
            if self.is_broken() {
                return Fate::Reset;
            }
        }
        match self.tell(token, cx) {
            Ok(()) => Fate::Lives,
            // Epoll has no room: the connection can't be served.
            Err(_) => Fate::Reset,
        }
    }

    /// Whether a receiver is gone that will not be noticed where it is read: since it has said its last before, and that was
    /// delivered, or since the other one is gone as well.
    #[inline]
    fn is_broken(&self) -> bool {
        let [up, down] = &self.lanes;
        (up.sink_gone && (down.sink_gone || down.ended)) || (down.sink_gone && up.ended)
    }

    #[inline]
    fn advance(&mut self, direction: Direction, now_ns: u64) -> Fate {
        let lane = &mut self.lanes[direction.index()];
        let untouched = lane.is_direct() && !lane.sink_gone;
        if untouched || lane.ended {
            return Fate::Lives;
        }
        let sink = &self.sockets[1 - direction.index()];
        match lane.advance(sink, view(&self.identity, &self.config, direction, now_ns)) {
            None => Fate::Lives,
            Some(End::Finished) => {
                socket::end(sink);
                lane.ended = true;
                lane.wake_ns = None;
                Fate::Lives
            }
            Some(End::Closed) => Fate::Closed,
            Some(End::Broken | End::Reset) => Fate::Reset,
        }
    }

    #[inline]
    fn tell(&mut self, token: u64, cx: &Context<'_>) -> std::io::Result<()> {
        for side in 0..2 {
            let wanted = if self.connected {
                let held = self
                    .exchange
                    .as_ref()
                    .map_or(0, |exchange| exchange.held_bytes(side));
                Interest {
                    read: held < cx.held_bytes_max && self.lanes[side].takes_more(cx.held_bytes_max),
                    write: self.lanes[1 - side].is_blocked(),
                }
            } else {
                [Interest::NONE, Interest::WRITE][side]
            };
            if wanted != self.interests[side] {
                let token = token | side as u64;
                cx.poller
                    .change(&self.sockets[side], token, self.interests[side], wanted)?;
                self.interests[side] = wanted;
            }
        }
        Ok(())
    }

    /// Ends it as `fate` says, and counts that.
    pub(crate) fn finish(mut self, fate: Fate, now_ns: u64) {
        let tally = &self.identity.tally;
        for direction in Direction::BOTH {
            let view = view(&self.identity, &self.config, direction, now_ns);
            self.lanes[direction.index()].abandon(view);
            if let Some(exchange) = &self.exchange {
                tally.directions[direction.index()].discarded(exchange.held_bytes(direction.index()));
            }
        }
        tally.closed(now_ns);
        match fate {
            Fate::Lives | Fate::Closed => {}
            Fate::Reset => tally.reset(),
            Fate::Unreachable => tally.unreachable(),
        }
        if matches!(fate, Fate::Reset | Fate::Unreachable) {
            self.sockets.into_iter().for_each(socket::reset);
        }
    }
}

#[inline]
fn view<'a>(identity: &'a Identity, config: &'a Config, direction: Direction, now_ns: u64) -> View<'a> {
    View {
        direction,
        config,
        tally: &identity.tally,
        now_ns,
    }
}
