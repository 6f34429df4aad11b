//! One thread that moves bytes: waits until a socket is ready or a time has come, and does what is to be done.
//!
//! It must never wait for anything but its own poll, and never prints. Orders come from the handles through a channel and are
//! answered once they are in force.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use rustix::io::Errno;

use crate::clock::now_ns;
use crate::config::{Accept, Config, Identity};
use crate::connection::{Accepted, Connection, Context, Fate};
use crate::datagram::{Flows, FlowsOrder};
use crate::http::Passage;
use crate::poller::{Interest, Poller, Waker};
use crate::seen::ConnectionSeen;
use crate::slots::Slots;
use crate::socket;
use crate::timers::Timers;
use crate::token::{Kind, Token};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Connections accepted at once, before others get their turn.
const ACCEPTS: usize = 64;
/// How long nothing is accepted after the system had no descriptor left.
const PAUSE_NS: u64 = 100_000_000;

/// What a thread is told. `done` hears once it is in force.
pub(crate) enum Order {
    /// There is a proxy.
    Serve {
        identity: Arc<Identity>,
        config: Arc<Config>,
        done: Sender<()>,
    },
    /// It is to behave otherwise.
    Set {
        id: u32,
        config: Arc<Config>,
        done: Sender<()>,
    },
    /// It is to accept on another socket, or on none.
    Listen {
        id: u32,
        listener: Option<OwnedFd>,
        done: Sender<()>,
    },
    /// All its connections are to be ended.
    End { id: u32, reset: bool, done: Sender<()> },
    /// Somebody wants to know its connections.
    List {
        id: u32,
        to: Sender<Vec<ConnectionSeen>>,
    },
    /// There is no such proxy any more.
    Forget { id: u32, done: Sender<()> },
    /// Another thread accepted a connection for this one.
    Adopt { id: u32, accepted: Accepted },
    /// Something about a proxy for datagrams.
    Flows { order: FlowsOrder, done: Sender<()> },
    /// The thread is to end.
    Stop,
}

/// How a thread is reached.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) orders: Sender<Order>,
    pub(crate) waker: Waker,
}

impl Reach {
    /// Gives an order. Returns whether the thread is still there.
    pub(crate) fn give(&self, order: Order) -> bool {
        let given = self.orders.send(order).is_ok();
        self.waker.wake();
        given
    }
}

/// A proxy as a thread has it.
struct Served {
    identity: Arc<Identity>,
    config: Arc<Config>,
    /// Here if this is the thread that accepts.
    listener: Option<OwnedFd>,
    interest: Interest,
    next_number: u64,
}

/// One thread.
pub(crate) struct Worker {
    poller: Poller,
    timers: Timers,
    inbox: Receiver<Order>,
    /// All threads, this one among them, and its place there.
    threads: Vec<Reach>,
    at: usize,
    held_bytes_max: usize,
    scratch: Box<[u8]>,
    passage: Passage,
    proxies: HashMap<u32, Served>,
    connections: Slots<Box<Connection>>,
    flows: Flows,
}

impl Worker {
    pub(crate) fn new(
        poller: Poller,
        inbox: Receiver<Order>,
        threads: Vec<Reach>,
        at: usize,
        held_bytes_max: usize,
    ) -> Worker {
        Worker {
            poller,
            timers: Timers::default(),
            inbox,
            threads,
            at,
            held_bytes_max,
            scratch: vec![0; READ_BYTES].into_boxed_slice(),
            passage: Passage::default(),
            proxies: HashMap::new(),
            connections: Slots::default(),
            flows: Flows::default(),
        }
    }

    /// Runs until it is told to stop, or nobody is left who could, or its poll fails.
    pub(crate) fn run(mut self) {
        // The kernel puts off the end of a wait by up to 50 us otherwise. Where it refuses, delays are that much less exact.
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        loop {
            let at_most_ns = self.timers.next_ns().map(|at_ns| at_ns.saturating_sub(now_ns()));
            let Ok(ready) = self.poller.wait(at_most_ns) else {
                return;
            };
            let now_ns = now_ns();
            for at in 0..ready {
                let going = match self.poller.ready(at) {
                    Some((token, what)) => {
                        self.on_ready(Token::from(token), what, now_ns);
                        true
                    }
                    None => self.obey(),
                };
                if !going {
                    return;
                }
            }
            self.on_time(now_ns);
        }
    }

    #[inline]
    fn on_ready(&mut self, token: Token, what: Interest, now_ns: u64) {
        match token.kind() {
            Kind::Connection => {
                let (side, token) = (token.side(), token.whole());
                self.step(token, now_ns, |connection, cx| {
                    connection.on_ready(side, what, token.into(), cx)
                });
            }
            Kind::Listener => self.accept(token.slot(), now_ns),
            Kind::Datagrams => {
                self.flows
                    .on_ready(token, now_ns, &mut self.scratch, &self.poller, &mut self.timers);
            }
        }
    }

    fn on_time(&mut self, now_ns: u64) {
        while let Some((at_ns, token)) = self.timers.take_due(now_ns) {
            let token = Token::from(token);
            match token.kind() {
                Kind::Connection => {
                    let timer = self
                        .connections
                        .get_mut(token)
                        .map(|connection| &mut connection.timer_ns);
                    let Some(timer) = timer.filter(|timer| **timer == Some(at_ns)) else {
                        continue;
                    };
                    *timer = None;
                    self.step(token, now_ns, |connection, cx| {
                        connection.settle(token.into(), cx)
                    });
                }
                Kind::Listener => self.listen(token.slot()),
                Kind::Datagrams => self.flows.on_time(token, at_ns, now_ns, &mut self.timers),
            }
        }
    }

    /// Does something to a connection, and what follows from it.
    #[inline]
    fn step(
        &mut self,
        token: Token,
        now_ns: u64,
        what: impl FnOnce(&mut Connection, &mut Context<'_>) -> Fate,
    ) {
        // An event may be older than the end of what it is for.
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let mut cx = Context {
            now_ns,
            poller: &self.poller,
            scratch: &mut self.scratch,
            passage: &mut self.passage,
            held_bytes_max: self.held_bytes_max,
        };
        let fate = what(connection, &mut cx);
        if fate == Fate::Lives {
            if let Some(wake_ns) = connection.wake_ns()
                && connection.timer_ns.is_none_or(|timer_ns| wake_ns < timer_ns)
            {
                connection.timer_ns = Some(wake_ns);
                self.timers.set(wake_ns, token.into());
            }
        } else if let Some(connection) = self.connections.remove(token) {
            connection.finish(fate, now_ns);
        }
    }

    fn accept(&mut self, id: u32, now_ns: u64) {
        for _ in 0..ACCEPTS {
            let Some(served) = self.proxies.get_mut(&id) else {
                return;
            };
            let Some(listener) = &served.listener else { return };
            let (socket, caller) = match socket::accept(listener) {
                Ok(accepted) => accepted,
                Err(Errno::AGAIN) => return,
                // One that was given up before it was accepted.
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(_) => return self.pause(id, now_ns),
            };
            if served.config.accept == Accept::Reset {
                served.identity.tally.refused();
                if let Some(partition) = &served.config.partition {
                    partition.refused();
                }
                socket::reset(socket);
                continue;
            }
            let number = served.next_number;
            served.next_number += 1;
            served.identity.tally.opened(now_ns);
            let accepted = Accepted {
                socket,
                caller,
                number,
                opened_ns: now_ns,
            };
            let to = (number % self.threads.len() as u64) as usize;
            if to == self.at {
                self.open(id, accepted, now_ns);
            } else {
                self.threads[to].give(Order::Adopt { id, accepted });
            }
        }
    }

    /// The system has no descriptors left: waits a little instead of being told so again and again.
    fn pause(&mut self, id: u32, now_ns: u64) {
        if let Some(served) = self.proxies.get_mut(&id) {
            let token = Token::new(Kind::Listener, id, 0);
            served.want(Interest::NONE, &self.poller);
            self.timers.set(now_ns + PAUSE_NS, token.into());
        }
    }

    /// Makes the listener of a proxy be looked at, or not, as the configuration says.
    fn listen(&mut self, id: u32) {
        if let Some(served) = self.proxies.get_mut(&id) {
            let wanted = match served.config.accept {
                Accept::Serve | Accept::Reset => Interest::READ,
                Accept::Wait => Interest::NONE,
            };
            served.want(wanted, &self.poller);
        }
    }

    fn open(&mut self, id: u32, accepted: Accepted, now_ns: u64) {
        let Some(served) = self.proxies.get(&id) else {
            return;
        };
        let Ok(callee) = socket::connect(served.config.upstream, served.config.source) else {
            served.identity.tally.unreachable();
            served.identity.tally.closed(now_ns);
            return socket::reset(accepted.socket);
        };
        let (identity, config) = (Arc::clone(&served.identity), Arc::clone(&served.config));
        let connection = Connection::new(identity, Arc::clone(&config), accepted, callee);
        let token = self.connections.insert(Kind::Connection, Box::new(connection));
        self.step(token, now_ns, |connection, cx| {
            connection.configure(&config, token.into(), cx)
        });
    }

    /// Does what it was ordered; returns whether it goes on.
    fn obey(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Order::Stop) | Err(crossbeam_channel::TryRecvError::Disconnected) => return false,
                Ok(order) => self.follow(order, now_ns()),
                Err(crossbeam_channel::TryRecvError::Empty) => return true,
            }
        }
    }

    fn follow(&mut self, order: Order, now_ns: u64) {
        // Whoever waited may have gone.
        let tell = |done: Sender<()>| {
            let _ = done.send(());
        };
        match order {
            Order::Serve {
                identity,
                config,
                done,
            } => {
                let served = Served {
                    identity: Arc::clone(&identity),
                    config,
                    listener: None,
                    interest: Interest::NONE,
                    next_number: 0,
                };
                self.proxies.insert(identity.id, served);
                tell(done);
            }
            Order::Set { id, config, done } => {
                self.set(id, &config, now_ns);
                tell(done);
            }
            Order::Listen { id, listener, done } => {
                if let Some(served) = self.proxies.get_mut(&id) {
                    served.want(Interest::NONE, &self.poller);
                    served.listener = listener;
                }
                self.listen(id);
                tell(done);
            }
            Order::End { id, reset, done } => {
                self.end(id, if reset { Fate::Reset } else { Fate::Closed }, now_ns);
                tell(done);
            }
            Order::List { id, to } => {
                let tokens = self.connections_of(id);
                let seen = tokens.iter().filter_map(|token| self.connections.get(*token));
                let _ = to.send(seen.map(|connection| connection.seen()).collect());
            }
            Order::Forget { id, done } => {
                self.end(id, Fate::Closed, now_ns);
                self.proxies.remove(&id);
                tell(done);
            }
            Order::Adopt { id, accepted } => self.open(id, accepted, now_ns),
            Order::Flows { order, done } => {
                self.flows.follow(order, &self.poller);
                tell(done);
            }
            Order::Stop => {}
        }
    }

    fn set(&mut self, id: u32, config: &Arc<Config>, now_ns: u64) {
        if let Some(served) = self.proxies.get_mut(&id) {
            served.config = Arc::clone(config);
        }
        self.listen(id);
        for token in self.connections_of(id) {
            self.step(token, now_ns, |connection, cx| {
                connection.configure(config, token.into(), cx)
            });
        }
    }

    fn end(&mut self, id: u32, fate: Fate, now_ns: u64) {
        let partition = self
            .proxies
            .get(&id)
            .and_then(|served| served.config.partition.clone());
        for token in self.connections_of(id) {
            if let Some(connection) = self.connections.remove(token) {
                connection.finish(fate, now_ns);
                if let Some(partition) = partition.as_ref().filter(|_| fate == Fate::Reset) {
                    partition.reset();
                }
            }
        }
    }

    fn connections_of(&self, id: u32) -> Vec<Token> {
        let is_of = |connection: &Connection| connection.identity.id == id;
        self.connections
            .tokens(Kind::Connection, |connection| is_of(connection))
    }
}

impl Served {
    fn want(&mut self, wanted: Interest, poller: &Poller) {
        let Some(listener) = &self.listener else { return };
        let token = Token::new(Kind::Listener, self.identity.id, 0);
        // Where epoll has no room left nothing is accepted; there is no better answer here.
        if poller
            .change(listener, token.into(), self.interest, wanted)
            .is_ok()
        {
            self.interest = wanted;
        }
    }
}
