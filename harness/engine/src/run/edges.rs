//! The proxies of a run: one before each callee that a fault may cut off, made when the callee is up, and what they saw.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;

use squall_edge::{EdgeSeen, Options, Proxies, Proxy, ProxySpec};
use squall_model::record::EdgeRecord;

use super::isolation::Isolation;
use super::supervisor::Supervisor;
use crate::fault::{Crossing, FaultError};
use crate::network::{NetworkError, Place, within};
use crate::plan::{PlannedCrossing, PlannedEdge};

/// How often connections are counted for their rate, microseconds.
const RATE_US: u64 = 1_000_000;

/// The proxies that are up.
#[derive(Default)]
pub(super) struct Edges {
    /// The threads that move bytes, by the place in which they are.
    threads: BTreeMap<Option<String>, Proxies>,
    up: BTreeMap<usize, Up>,
}

/// A proxy of an edge.
struct Up {
    proxy: Arc<Proxy>,
    /// Connections when they were last counted, and when that was.
    counted: (u64, u64),
    per_s_max: f64,
}

impl Edges {
    /// Puts proxies before a callee that is up at `address`; where callers are to go instead, by the caller's name.
    fn open(
        &mut self,
        planned: &[PlannedEdge],
        callee: &str,
        address: SocketAddr,
        seed: squall_model::seed::Seed,
        isolation: &Isolation,
    ) -> Result<Vec<(String, SocketAddr)>, FaultError> {
        let mut told = Vec::new();
        for (at, edge) in planned
            .iter()
            .enumerate()
            .filter(|(_, edge)| edge.callee == callee)
        {
            let seed = seed.child("edge").child(&edge.name());
            let proxy = Arc::new(self.proxy(edge, address, seed, isolation)?);
            told.push((edge.caller.clone(), proxy.listen()));
            let up = Up {
                proxy,
                counted: (0, 0),
                per_s_max: 0.0,
            };
            self.up.insert(at, up);
        }
        Ok(told)
    }

    /// The proxy of an edge. In an isolated network it is in the caller's place, so that what it sends are the caller's packets.
    fn proxy(
        &mut self,
        edge: &PlannedEdge,
        address: SocketAddr,
        seed: squall_model::seed::Seed,
        isolation: &Isolation,
    ) -> Result<Proxy, FaultError> {
        let own = isolation.address(&edge.caller);
        let plain = ProxySpec::new(edge.name(), address);
        let spec = ProxySpec {
            http: edge.http,
            listen: own.map_or(plain.listen, |own| SocketAddr::new(own, 0)),
            source: own,
            ..plain
        };
        let place = isolation.place(&edge.caller);
        let threads = self.threads.entry(place.map(|place| place.name().to_owned()));
        let made = within(place.map(Place::namespace), || {
            let threads = match threads {
                Entry::Occupied(running) => running.into_mut(),
                Entry::Vacant(free) => free.insert(Proxies::start(Options::DEFAULT)?),
            };
            threads.stream(spec, seed)
        });
        made.map_err(NetworkError::entering)?.map_err(FaultError::Edge)
    }

    /// The edges that a fault hits.
    pub(super) fn crossings(
        &self,
        planned: &[PlannedEdge],
        hit: &[PlannedCrossing],
        isolation: &Isolation,
    ) -> Vec<Crossing> {
        let crossing = |one: &PlannedCrossing| {
            let edge = &planned[one.edge];
            Some(Crossing {
                caller: edge.caller.clone(),
                callee: edge.callee.clone(),
                proxy: Arc::clone(&self.up.get(&one.edge)?.proxy),
                directions: one.directions.clone(),
                place: isolation.namespace(&edge.caller),
            })
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
            let opened = up.proxy.seen().opened;
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

impl Supervisor<'_> {
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
            .open(planned, callee, address, seed, &self.isolation)
            .map_err(|e| format!("putting a proxy before {callee}: {e}"))
    }

    /// What the proxies saw, for the record, in the plan's order.
    pub(super) fn see_edges(&self) -> Vec<EdgeRecord> {
        let seen: BTreeMap<usize, (EdgeSeen, f64)> = self
            .edges
            .up
            .iter()
            .map(|(at, up)| (*at, (up.proxy.seen(), up.per_s_max)))
            .collect();
        let edges = self.plan.edges.iter().enumerate();
        let records = edges.map(|(at, edge)| {
            let mut record = EdgeRecord {
                caller: edge.caller.clone(),
                callee: edge.callee.clone(),
                ..EdgeRecord::default()
            };
            if let Some((seen_here, per_s_max)) = seen.get(&at) {
                record.bytes = seen_here.directions.iter().map(|way| way.forwarded.bytes).sum();
                record.connections = seen_here.opened;
                record.connections_per_s_max = *per_s_max;
                record.requests = seen_here.http.map(|http| http.requests);
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
    fn calls_of(&self, caller: &str, seen: &BTreeMap<usize, (EdgeSeen, f64)>) -> Option<u64> {
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
            calls += seen.get(&at)?.0.http?.requests;
        }
        Some(calls)
    }
}
