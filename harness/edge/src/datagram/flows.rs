//! The flows of one thread: the sockets of its datagram proxies, and what comes and goes on them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use squall_model::seed::Seed;

use super::DatagramFaults;
use super::lane::Lane;
use super::tally::DatagramTally;
use crate::poller::{Interest, Poller};
use crate::slots::Slots;
use crate::socket;
use crate::spec::Direction;
use crate::timers::Timers;
use crate::token::{Kind, Token};

/// Datagrams taken from one socket before others get their turn.
const TAKEN: usize = 64;

/// How a proxy for datagrams is to behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FlowsConfig {
    pub(crate) faults: [DatagramFaults; 2],
    pub(crate) cut: [bool; 2],
}

/// What a thread is told of datagram proxies.
#[derive(Debug)]
pub(crate) enum FlowsOrder {
    Serve {
        id: u32,
        listener: OwnedFd,
        upstream: SocketAddr,
        source: Option<IpAddr>,
        flows_max: usize,
        seed: Seed,
        tally: Arc<DatagramTally>,
        config: FlowsConfig,
    },
    Set {
        id: u32,
        config: FlowsConfig,
    },
    Forget {
        id: u32,
    },
}

struct Served {
    listener: OwnedFd,
    upstream: SocketAddr,
    source: Option<IpAddr>,
    flows_max: usize,
    seed: Seed,
    tally: Arc<DatagramTally>,
    config: FlowsConfig,
    by_caller: HashMap<SocketAddr, Token>,
    next_number: u64,
    /// Datagrams that have come, both ways.
    datagrams: u64,
}

struct Flow {
    proxy: u32,
    caller: SocketAddr,
    socket: OwnedFd,
    lanes: [Lane; 2],
    /// Which of its proxy's datagrams it had last.
    latest: u64,
    timer_ns: Option<u64>,
}

/// What a token of this kind is for.
enum Endpoint {
    Listener(u32),
    Flow(Box<Flow>),
}

/// The datagram proxies of one thread.
#[derive(Default)]
pub(crate) struct Flows {
    proxies: HashMap<u32, Served>,
    endpoints: Slots<Endpoint>,
}

impl Flows {
    pub(crate) fn follow(&mut self, order: FlowsOrder, poller: &Poller) {
        match order {
            FlowsOrder::Serve {
                id,
                listener,
                upstream,
                source,
                flows_max,
                seed,
                tally,
                config,
            } => {
                let token = self.endpoints.insert(Kind::Datagrams, Endpoint::Listener(id));
                // Where epoll has no room left nothing comes in; there is no better answer here.
                let _ = poller.change(&listener, token.into(), Interest::NONE, Interest::READ);
                let served = Served {
                    listener,
                    upstream,
                    source,
                    flows_max: flows_max.max(1),
                    seed,
                    tally,
                    config,
                    by_caller: HashMap::new(),
                    next_number: 0,
                    datagrams: 0,
                };
                self.proxies.insert(id, served);
            }
            FlowsOrder::Set { id, config } => {
                if let Some(served) = self.proxies.get_mut(&id) {
                    served.config = config;
                }
            }
            FlowsOrder::Forget { id } => {
                self.proxies.remove(&id);
                let is_of = |endpoint: &Endpoint| match endpoint {
                    Endpoint::Listener(proxy) => *proxy == id,
                    Endpoint::Flow(flow) => flow.proxy == id,
                };
                for token in self.endpoints.tokens(Kind::Datagrams, is_of) {
                    self.endpoints.remove(token);
                }
            }
        }
    }

    pub(crate) fn on_ready(
        &mut self,
        token: Token,
        now_ns: u64,
        scratch: &mut [u8],
        poller: &Poller,
        timers: &mut Timers,
    ) {
        match self.endpoints.get(token) {
            Some(Endpoint::Listener(id)) => self.take_from_callers(*id, now_ns, scratch, poller, timers),
            Some(Endpoint::Flow(_)) => self.take_from_callee(token, now_ns, scratch, timers),
            None => {}
        }
    }

    fn take_from_callers(
        &mut self,
        id: u32,
        now_ns: u64,
        scratch: &mut [u8],
        poller: &Poller,
        timers: &mut Timers,
    ) {
        for _ in 0..TAKEN {
            let Some(served) = self.proxies.get(&id) else {
                return;
            };
            let (count, caller) = match socket::receive_from(&served.listener, scratch) {
                Ok((count, Some(caller))) => (count, caller),
                Ok((_, None)) | Err(Errno::INTR) => continue,
                // Nothing more; or an error about a datagram that was sent before, which is over once it was told.
                Err(_) => return,
            };
            let known = served.by_caller.get(&caller).copied();
            let Some(token) = known.or_else(|| self.open(id, caller, now_ns, poller)) else {
                // The system has no descriptor left.
                let tally = &self.proxies[&id].tally;
                tally.entered(0, count, now_ns);
                tally.directions[0].overflowed.add(count);
                continue;
            };
            self.take(token, Direction::Upstream, &scratch[..count], now_ns, timers);
        }
    }

    fn take_from_callee(&mut self, token: Token, now_ns: u64, scratch: &mut [u8], timers: &mut Timers) {
        for _ in 0..TAKEN {
            let Some(Endpoint::Flow(flow)) = self.endpoints.get(token) else {
                return;
            };
            match socket::receive(&flow.socket, scratch) {
                Ok(count) => self.take(token, Direction::Downstream, &scratch[..count], now_ns, timers),
                Err(Errno::AGAIN) => return,
                // Nobody listens there, or did not a while ago; that is told once for each time.
                Err(_) => {}
            }
        }
    }

    /// A socket towards the callee for a caller that has none.
    fn open(&mut self, id: u32, caller: SocketAddr, now_ns: u64, poller: &Poller) -> Option<Token> {
        self.make_room(id);
        let served = self.proxies.get_mut(&id)?;
        let socket = socket::datagrams_to(served.upstream, served.source).ok()?;
        let seed = served.seed.child("flow").nth(served.next_number);
        served.next_number += 1;
        let flow = Flow {
            proxy: id,
            caller,
            socket,
            lanes: Direction::BOTH.map(|direction| Lane::new(seed.child(direction.name()))),
            latest: served.datagrams,
            timer_ns: None,
        };
        let token = self
            .endpoints
            .insert(Kind::Datagrams, Endpoint::Flow(Box::new(flow)));
        let Some(Endpoint::Flow(flow)) = self.endpoints.get(token) else {
            return None;
        };
        if poller
            .change(&flow.socket, token.into(), Interest::NONE, Interest::READ)
            .is_err()
        {
            self.endpoints.remove(token);
            return None;
        }
        served.by_caller.insert(caller, token);
        served.tally.flow_opened(now_ns);
        Some(token)
    }

    /// Where a proxy has as many flows as it may, the one that was silent longest goes.
    fn make_room(&mut self, id: u32) {
        let Some(served) = self.proxies.get_mut(&id) else {
            return;
        };
        if served.by_caller.len() < served.flows_max {
            return;
        }
        let latest = |token: Token| match self.endpoints.get(token) {
            Some(Endpoint::Flow(flow)) => flow.latest,
            _ => 0,
        };
        let silent = served.by_caller.iter().min_by_key(|(_, token)| latest(**token));
        if let Some((caller, token)) = silent.map(|(caller, token)| (*caller, *token)) {
            served.by_caller.remove(&caller);
            served.tally.flow_closed();
            self.endpoints.remove(token);
        }
    }

    fn take(
        &mut self,
        token: Token,
        direction: Direction,
        datagram: &[u8],
        now_ns: u64,
        timers: &mut Timers,
    ) {
        let Some(Endpoint::Flow(flow)) = self.endpoints.get_mut(token) else {
            return;
        };
        let Some(served) = self.proxies.get_mut(&flow.proxy) else {
            return;
        };
        let at = direction.index();
        served.datagrams += 1;
        flow.latest = served.datagrams;
        served.tally.entered(at, datagram.len(), now_ns);
        let tally = &served.tally.directions[at];
        if served.config.cut[at] {
            return tally.met(&tally.cut, datagram.len(), now_ns);
        }
        flow.lanes[at].take(datagram, &served.config.faults[at], now_ns, tally);
        flow.send_due(token, served, now_ns, timers);
    }

    pub(crate) fn on_time(&mut self, token: Token, at_ns: u64, now_ns: u64, timers: &mut Timers) {
        let Some(Endpoint::Flow(flow)) = self.endpoints.get_mut(token) else {
            return;
        };
        if let Some(served) = self.proxies.get(&flow.proxy)
            && flow.timer_ns == Some(at_ns)
        {
            flow.timer_ns = None;
            flow.send_due(token, served, now_ns, timers);
        }
    }
}

impl Flow {
    /// Sends what is due both ways, and sets a timer for the next.
    fn send_due(&mut self, token: Token, served: &Served, now_ns: u64, timers: &mut Timers) {
        for direction in Direction::BOTH {
            let at = direction.index();
            let tally = &served.tally.directions[at];
            while let Some(datagram) = self.lanes[at].due(now_ns) {
                // A partition also cuts off what was on its way.
                if served.config.cut[at] {
                    tally.met(&tally.cut, datagram.len(), now_ns);
                    continue;
                }
                let send = || match direction {
                    Direction::Upstream => socket::send(&self.socket, &datagram),
                    Direction::Downstream => socket::send_to(&served.listener, &datagram, self.caller),
                };
                // The first error may be about a datagram before.
                match send().or_else(|_| send()) {
                    Ok(count) => tally.forwarded.add(count),
                    Err(_) => tally.overflowed.add(datagram.len()),
                }
            }
        }
        let wake_ns = self.lanes.iter().filter_map(Lane::wake_ns).min();
        if let Some(wake_ns) = wake_ns
            && self.timer_ns.is_none_or(|timer_ns| wake_ns < timer_ns)
        {
            self.timer_ns = Some(wake_ns);
            timers.set(wake_ns, token.into());
        }
    }
}
