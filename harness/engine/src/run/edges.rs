//! The proxies of a run: one before each callee that a fault may cut off, made when the callee is up, and what they saw.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use squall_edge::{DatagramProxy, DatagramSpec, Options, Proxies, Proxy, ProxySpec};
use squall_model::record::EdgeRecord;
use squall_model::seed::Seed;

use super::supervisor::Supervisor;
use crate::fault::edge::At;
use crate::fault::{Carries, Crossing, FaultError};
use crate::plan::{PlannedCrossing, PlannedEdge};
use crate::toxiproxy::{self, Remote, Server};
use crate::undo::{Stack, Undo};

/// How often connections are counted for their rate, microseconds.
const RATE_US: u64 = 1_000_000;

/// The proxies that are up.
#[derive(Default)]
pub(super) struct Edges {
    threads: Option<Proxies>,
    /// A server that does the faults of streams, and how the proxies there are called.
    toxiproxy: Option<(Server, String)>,
    up: BTreeMap<usize, Up>,
}

/// A proxy of an edge.
struct Up {
    post: Standing,
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

    /// The edge as a fault reaches it.
    fn crossing(&self, edge: &PlannedEdge, hit: &PlannedCrossing) -> Crossing {
        match self {
            Standing::Streams(proxy) => Crossing::Streams(at(edge, hit, proxy)),
            Standing::Datagrams(proxy) => Crossing::Datagrams(at(edge, hit, proxy)),
            Standing::Toxiproxy(proxy, remote) => Crossing::Toxiproxy(at(edge, hit, proxy), remote.clone()),
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

fn at<P>(edge: &PlannedEdge, hit: &PlannedCrossing, proxy: &Arc<P>) -> At<P> {
    At {
        caller: edge.caller.clone(),
        callee: edge.callee.clone(),
        proxy: Arc::clone(proxy),
        directions: hit.directions.clone(),
    }
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

    /// Puts proxies before a callee that is up at `address`; where callers are to go instead, by the caller's name.
    fn open(
        &mut self,
        planned: &[PlannedEdge],
        callee: &str,
        address: SocketAddr,
        seed: Seed,
        stack: &mut Stack,
    ) -> Result<Vec<(String, SocketAddr)>, FaultError> {
        let mut told = Vec::new();
        for (at, edge) in planned
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.callee == callee)
        {
            let post = self.stand(at, edge, address, seed, stack)?;
            told.push((edge.caller.clone(), post.listen()));
            let up = Up {
                post,
                counted: (0, 0),
                per_s_max: 0.0,
            };
            self.up.insert(at, up);
        }
        Ok(told)
    }

    /// Puts before a callee what an edge needs.
    fn stand(
        &mut self,
        at: usize,
        edge: &PlannedEdge,
        address: SocketAddr,
        seed: Seed,
        stack: &mut Stack,
    ) -> Result<Standing, FaultError> {
        let threads = match self.threads.take() {
            Some(threads) => threads,
            None => Proxies::start(Options::DEFAULT).map_err(FaultError::Edge)?,
        };
        let threads = self.threads.insert(threads);
        let name = edge.name();
        let seed = seed.child("edge").child(&name);
        let streams = |upstream| {
            let spec = ProxySpec {
                http: edge.http,
                ..ProxySpec::new(name.clone(), upstream)
            };
            threads.stream(spec, seed).map(Arc::new).map_err(FaultError::Edge)
        };
        match (edge.carries, &self.toxiproxy) {
            (Carries::Datagrams, _) => {
                let spec = DatagramSpec::new(name, address);
                let proxy = threads.datagram(spec, seed).map_err(FaultError::Edge)?;
                Ok(Standing::Datagrams(Arc::new(proxy)))
            }
            (Carries::Streams, None) => Ok(Standing::Streams(streams(address)?)),
            (Carries::Streams, Some((server, prefix))) => {
                let there = format!("{prefix}.{at}.{}.{}", edge.caller, edge.callee);
                let undo = Undo::DeleteToxiproxyProxy {
                    api: server.api(),
                    name: there.clone(),
                };
                stack
                    .push(format!("proxy {there} on Toxiproxy"), undo)
                    .map_err(|e| FaultError::Parameters(e.to_string()))?;
                let (remote, listen) = server.create(&there, address)?;
                Ok(Standing::Toxiproxy(streams(listen)?, remote))
            }
        }
    }

    /// The edges that a fault hits.
    pub(super) fn crossings(&self, planned: &[PlannedEdge], hit: &[PlannedCrossing]) -> Vec<Crossing> {
        let crossing = |one: &PlannedCrossing| {
            let up = self.up.get(&one.edge)?;
            Some(up.post.crossing(&planned[one.edge], one))
        };
        hit.iter().filter_map(crossing).collect()
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
        self.threads = None;
    }
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

    /// Puts the proxies before a service that is up; where its callers are to go instead.
    pub(super) fn open_edges(
        &mut self,
        callee: &str,
        address: Option<SocketAddr>,
    ) -> Result<Vec<(String, SocketAddr)>, String> {
        let Some(address) = address else {
            return Ok(Vec::new());
        };
        let (planned, seed) = (&self.plan.edges, self.plan.seed);
        self.edges
            .open(planned, callee, address, seed, &mut self.stack)
            .map_err(|e| format!("putting a proxy before {callee}: {e}"))
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
