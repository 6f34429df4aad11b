//! The proxies of a run: one before each callee that a fault may cut off, made when the callee is up, and what they saw.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use squall_edge::{DatagramProxy, DatagramSpec, Options, Proxies, Proxy, ProxySpec};
use squall_model::event::EventKind;
use squall_model::record::EdgeRecord;
use squall_model::seed::Seed;

use super::fleet::Fleet;
use super::isolation::Isolation;
use super::supervisor::Supervisor;
use crate::fault::edge::At;
use crate::fault::{Carries, Crossing, FaultError, Led};
use crate::network::{Namespace, NetworkError, Place, within};
use crate::plan::{PlannedCrossing, PlannedEdge};
use crate::redirect::{Families, Redirects, Transport};
use crate::toxiproxy::{self, Remote, Server};
use crate::undo::{Stack, Undo};

/// How often connections are counted for their rate, microseconds.
const RATE_US: u64 = 1_000_000;

/// The proxies that are up.
#[derive(Default)]
pub(super) struct Edges {
    /// The threads that move bytes, by the place in which they are.
    threads: BTreeMap<Option<String>, Proxies>,
    /// A server that does the faults of streams, and how the proxies there are called.
    toxiproxy: Option<(Server, String)>,
    up: BTreeMap<usize, Up>,
    /// By caller: where its connects are led.
    redirects: BTreeMap<String, Arc<Redirects>>,
}

/// A proxy of an edge.
struct Up {
    post: Standing,
    led: Led,
    /// Connections when they were last counted, and when that was.
    counted: (u64, u64),
    per_s_max: f64,
}

/// What stands on an edge.
enum Standing {
    Streams(Arc<Proxy>),
    Datagrams(Arc<DatagramProxy>),
    /// A proxy on a Toxiproxy server, and one that counts before it.
    Toxiproxy(Arc<Proxy>, Remote),
}

impl Standing {
    /// Where callers are to go.
    fn listen(&self) -> SocketAddr {
        match self {
            Standing::Streams(proxy) | Standing::Toxiproxy(proxy, _) => proxy.listen(),
            Standing::Datagrams(proxy) => proxy.listen(),
        }
    }

    /// What the record tells of it.
    fn seen(&self) -> Seen {
        match self {
            Standing::Streams(proxy) | Standing::Toxiproxy(proxy, _) => {
                let seen = proxy.seen_since(u64::MAX);
                Seen {
                    bytes: seen.directions.iter().map(|way| way.forwarded.bytes).sum(),
                    opened: seen.opened,
                    requests: seen.http.map(|http| http.requests),
                    longest_silence_ns: seen.longest_silence_ns,
                }
            }
            Standing::Datagrams(proxy) => {
                let seen = proxy.seen();
                Seen {
                    bytes: seen.directions.iter().map(|way| way.forwarded.bytes).sum(),
                    opened: seen.flows_opened,
                    requests: None,
                    longest_silence_ns: seen.longest_silence_ns,
                }
            }
        }
    }
}

impl Up {
    /// The edge as a fault reaches it; `place` is where the caller is.
    fn crossing(&self, edge: &PlannedEdge, hit: &PlannedCrossing, place: Option<Namespace>) -> Crossing {
        match &self.post {
            Standing::Streams(proxy) => Crossing::Streams(self.at(edge, hit, proxy, place)),
            Standing::Datagrams(proxy) => Crossing::Datagrams(self.at(edge, hit, proxy, place)),
            Standing::Toxiproxy(proxy, remote) => {
                Crossing::Toxiproxy(self.at(edge, hit, proxy, place), remote.clone())
            }
        }
    }

    fn at<P>(
        &self,
        edge: &PlannedEdge,
        hit: &PlannedCrossing,
        proxy: &Arc<P>,
        place: Option<Namespace>,
    ) -> At<P> {
        At {
            caller: edge.caller.clone(),
            callee: edge.callee.clone(),
            proxy: Arc::clone(proxy),
            led: self.led.clone(),
            directions: hit.directions.clone(),
            place,
        }
    }
}

/// What all proxies of a run have in common.
#[derive(Clone, Copy)]
struct Ground<'a> {
    seed: Seed,
    isolation: &'a Isolation,
}

/// What an edge saw, whatever stands there.
#[derive(Clone, Copy)]
struct Seen {
    /// That crossed, both ways.
    bytes: u64,
    /// Connections, or sockets that sent datagrams.
    opened: u64,
    requests: Option<u64>,
    longest_silence_ns: u64,
}

impl Edges {
    /// Lets a Toxiproxy server do the faults of streams, by proxies whose names begin with `prefix`.
    pub(super) fn use_toxiproxy(&mut self, server: Server, prefix: String) {
        self.toxiproxy = Some((server, prefix));
    }

    /// Puts a proxy on an edge, whose callee is reached at `addresses`: at least the one that it is known by, which is the first.
    fn open(
        &mut self,
        number: usize,
        edge: &PlannedEdge,
        addresses: &[SocketAddr],
        ground: Ground<'_>,
        stack: &mut Stack,
    ) -> Result<&Up, OpenError> {
        let post = self.stand(number, edge, addresses, ground, stack)?;
        let led = if edge.redirect {
            let redirects = self.redirects.entry(edge.caller.clone()).or_default();
            for from in addresses {
                redirects.set(Transport::Stream, *from, post.listen())?;
            }
            Led::Redirected {
                redirects: Arc::clone(redirects),
                from: addresses.to_vec(),
            }
        } else {
            Led::Told
        };
        let up = Up {
            post,
            led,
            counted: (0, 0),
            per_s_max: 0.0,
        };
        Ok(self.up.entry(number).insert_entry(up).into_mut())
    }

    /// Puts before a callee what an edge needs. In an isolated network it is in the caller's place, so that what it sends are the caller's
    /// packets.
    fn stand(
        &mut self,
        number: usize,
        edge: &PlannedEdge,
        addresses: &[SocketAddr],
        ground: Ground<'_>,
        stack: &mut Stack,
    ) -> Result<Standing, FaultError> {
        let own = ground.isolation.address(&edge.caller);
        let address = addresses[0];
        let listen = match own {
            Some(own) => SocketAddr::new(own, 0),
            // An IPv6 socket reaches a proxy at an IPv4 address, an IPv4 socket no other.
            None if edge.redirect && addresses.iter().all(SocketAddr::is_ipv6) => {
                (Ipv6Addr::LOCALHOST, 0).into()
            }
            None => (Ipv4Addr::LOCALHOST, 0).into(),
        };
        let name = edge.name();
        let seed = ground.seed.child("edge").child(&name);
        let streams = |threads: &Proxies, upstream| {
            let spec = ProxySpec {
                http: edge.http,
                listen,
                source: own,
                ..ProxySpec::new(name.clone(), upstream)
            };
            threads.stream(spec, seed).map(Arc::new).map_err(FaultError::Edge)
        };
        if edge.carries == Carries::Streams
            && let Some((server, prefix)) = self.toxiproxy.clone()
        {
            let there = format!("{prefix}.{number}.{}.{}", edge.caller, edge.callee);
            let undo = Undo::DeleteToxiproxyProxy {
                api: server.api(),
                name: there.clone(),
            };
            stack
                .push(format!("proxy {there} on Toxiproxy"), undo)
                .map_err(|e| FaultError::Parameters(e.to_string()))?;
            let (remote, upstream) = server.create(&there, address)?;
            let counting = self.within(None, |threads| streams(threads, upstream))?;
            return Ok(Standing::Toxiproxy(counting, remote));
        }
        self.within(ground.isolation.place(&edge.caller), |threads| {
            match edge.carries {
                Carries::Streams => Ok(Standing::Streams(streams(threads, address)?)),
                Carries::Datagrams => {
                    let spec = DatagramSpec {
                        listen,
                        source: own,
                        ..DatagramSpec::new(name.clone(), address)
                    };
                    let proxy = threads.datagram(spec, seed).map_err(FaultError::Edge)?;
                    Ok(Standing::Datagrams(Arc::new(proxy)))
                }
            }
        })
    }

    /// Makes something with the threads of a place, or of the machine's own network, which are started when first needed.
    fn within<T: Send>(
        &mut self,
        place: Option<&Place>,
        make: impl FnOnce(&Proxies) -> Result<T, FaultError> + Send,
    ) -> Result<T, FaultError> {
        let threads = self.threads.entry(place.map(|place| place.name().to_owned()));
        let made = within(place.map(Place::namespace), || {
            let threads = match threads {
                Entry::Occupied(running) => running.into_mut(),
                Entry::Vacant(free) => {
                    free.insert(Proxies::start(Options::DEFAULT).map_err(FaultError::Edge)?)
                }
            };
            make(threads)
        });
        made.map_err(NetworkError::entering)?
    }

    /// The edges that a fault hits, all of which must have a proxy.
    pub(super) fn crossings(
        &self,
        planned: &[PlannedEdge],
        hit: &[PlannedCrossing],
        isolation: &Isolation,
    ) -> Result<Vec<Crossing>, String> {
        let crossing = |one: &PlannedCrossing| {
            let edge = &planned[one.edge];
            let up = self.up.get(&one.edge);
            let up = up.ok_or_else(|| format!("no proxy stands on {}", edge.name()))?;
            Ok(up.crossing(edge, one, isolation.namespace(&edge.caller)))
        };
        hit.iter().map(crossing).collect()
    }

    /// Counts connections, once a second.
    pub(super) fn look(&mut self, now_us: u64) {
        for up in self.up.values_mut() {
            let (count, at_us) = up.counted;
            if now_us < at_us + RATE_US {
                continue;
            }
            let opened = up.post.seen().opened;
            let per_s = (opened - count) as f64 * 1e6 / (now_us - at_us) as f64;
            up.per_s_max = up.per_s_max.max(per_s);
            up.counted = (opened, now_us);
        }
    }

    /// Closes all proxies.
    pub(super) fn close(&mut self) {
        self.up.clear();
        self.threads.clear();
    }
}

/// Why an edge has no proxy, or its caller is not led there.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Fault(#[from] FaultError),
    #[error(transparent)]
    Families(#[from] Families),
}

impl Supervisor<'_> {
    /// Finds the Toxiproxy server, where the scenario names one.
    pub(super) fn find_toxiproxy(&mut self, run_id: &str) -> Result<(), String> {
        let named = self.plan.toxiproxy.as_ref();
        if let Some(address) = named.filter(|_| !self.plan.edges.is_empty()) {
            let server = Server::find(address).map_err(|e| e.to_string())?;
            let prefix = format!("{}{run_id}", toxiproxy::PREFIX);
            self.edges.use_toxiproxy(server, prefix);
        }
        Ok(())
    }

    /// Puts the proxies before a service that is up, and has the fleet lead its callers there.
    pub(super) fn open_edges(&mut self, callee: &str, fleet: &mut Fleet) -> Result<(), String> {
        let (planned, seed) = (&self.plan.edges, self.plan.seed);
        let Some(known_by) = fleet.get(callee).and_then(|member| member.address) else {
            return Ok(());
        };
        for (at, edge) in planned
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.callee == callee)
        {
            let addresses = match fleet.get(callee) {
                // In a network of its own a caller's 127.0.0.1 is not its callee's.
                Some(member) if edge.redirect && self.isolation.network().is_none() => member.reached_at(),
                _ => vec![known_by],
            };
            let ground = Ground {
                seed,
                isolation: &self.isolation,
            };
            let opened = self.edges.open(at, edge, &addresses, ground, &mut self.stack);
            let up = opened.map_err(|e| format!("putting a proxy before {callee}: {e}"))?;
            let caller = edge.caller.clone();
            match &up.led {
                Led::Redirected { redirects, .. } => fleet.redirect(caller, Arc::clone(redirects)),
                Led::Told => fleet.proxy(caller, edge.callee.clone(), up.post.listen()),
            }
        }
        Ok(())
    }

    /// Says where connects that were to be redirected went elsewhere, and where nobody was there to answer them.
    pub(super) fn check_redirects(&mut self, fleet: &Fleet) {
        let mut warnings = Vec::new();
        for (caller, redirects) in &self.edges.redirects {
            let counts = redirects.counts();
            let Some(miss) = counts.last_miss else {
                continue;
            };
            warnings.push(format!(
                "{} of the {} connects of {caller} could not be redirected and went where they would; the last one failed {}: {}",
                counts.missed, counts.seen, miss.doing, miss.error
            ));
        }
        for text in warnings {
            self.emit(EventKind::Warning { text });
        }
        for process in fleet
            .members()
            .iter()
            .filter_map(|member| member.process.as_ref())
        {
            if let Some(why) = process.unanswered() {
                let service = process.name();
                self.fail(format!(
                    "the thread that answers the connects of {service} failed: {why}"
                ));
            }
        }
    }

    /// What the proxies saw, for the record, in the plan's order.
    pub(super) fn see_edges(&self) -> Vec<EdgeRecord> {
        let seen: BTreeMap<usize, (Seen, f64)> = self
            .edges
            .up
            .iter()
            .map(|(at, up)| (*at, (up.post.seen(), up.per_s_max)))
            .collect();
        let edges = self.plan.edges.iter().enumerate();
        let records = edges.map(|(at, edge)| {
            let mut record = EdgeRecord {
                caller: edge.caller.clone(),
                callee: edge.callee.clone(),
                ..EdgeRecord::default()
            };
            if let Some((seen_here, per_s_max)) = seen.get(&at) {
                record.bytes = seen_here.bytes;
                record.connections = seen_here.opened;
                record.connections_per_s_max = *per_s_max;
                record.requests = seen_here.requests;
                record.longest_silence_us =
                    (seen_here.opened > 0).then_some(seen_here.longest_silence_ns / 1_000);
                record.requests_per_call = record
                    .requests
                    .zip(self.calls_of(&edge.caller, &seen))
                    .and_then(|(requests, calls)| (calls > 0).then(|| requests as f64 / calls as f64));
            }
            if let Some(Led::Redirected { redirects, from }) = self.edges.up.get(&at).map(|up| &up.led) {
                let to_here = from
                    .iter()
                    .map(|from| redirects.redirected(Transport::Stream, *from));
                record.redirected = Some(to_here.sum());
                record.missed = Some(redirects.counts().missed);
            }
            record
        });
        records.collect()
    }

    /// Requests that a caller made of itself, if it is a load, or got: from loads, and over edges that are read. Nothing where some that
    /// it got can't be counted.
    fn calls_of(&self, caller: &str, seen: &BTreeMap<usize, (Seen, f64)>) -> Option<u64> {
        let sent = |load: usize| -> u64 {
            let phases = 0..self.plan.phases.len();
            phases.map(|phase| self.collector.phase(phase, load).sent).sum()
        };
        let loads = self
            .plan
            .loads
            .iter()
            .enumerate()
            .filter(|(_, load)| !load.is_step());
        if let Some((at, _)) = loads.clone().find(|(_, load)| load.name == caller) {
            return Some(sent(at));
        }
        let from_loads: u64 = loads
            .filter(|(_, load)| load.to == caller)
            .map(|(at, _)| sent(at))
            .sum();
        let mut calls = from_loads;
        for service in self.plan.services.iter().filter(|service| service.name != caller) {
            if !service.calls.values().any(|callee| callee == caller) {
                continue;
            }
            let edge = |edge: &PlannedEdge| edge.caller == service.name && edge.callee == caller;
            let at = self.plan.edges.iter().position(edge)?;
            calls += seen.get(&at)?.0.requests?;
        }
        Some(calls)
    }
}
