//! The handle of a proxy for streams: what it is told, checked and put into one configuration that the threads are given.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use squall_model::seed::Seed;

use crate::backlog;
use crate::chain::ActiveToxic;
use crate::config::{Accept, Config, Identity};
use crate::error::EdgeError;
use crate::http::{HttpFault, Rules};
use crate::proxies::Threads;
use crate::seen::{ConnectionSeen, EdgeSeen};
use crate::socket::Reservation;
use crate::spec::{Direction, NewConnections, OpenConnections, Partition, ProxySpec, ToxicSpec};
use crate::tally::{EdgeTally, PartitionTally, ToxicTally};
use crate::toxic::ToxicKind;
use crate::worker::Order;

/// A proxy for streams. What a method changes is in force on every open connection when it returns. Dropping it closes its
/// sockets and its connections.
#[derive(Debug)]
pub struct Proxy {
    name: String,
    identity: Arc<Identity>,
    threads: Arc<Threads>,
    state: Mutex<State>,
}

/// What the proxy is to be.
#[derive(Debug)]
struct State {
    reservation: Reservation,
    upstream: SocketAddr,
    source: Option<IpAddr>,
    enabled: bool,
    /// Whether the threads were given a socket to accept on.
    listening: bool,
    toxics: Vec<ActiveToxic>,
    next_toxic: u64,
    partition: Option<(Partition, Arc<PartitionTally>)>,
    /// Partitions that there were.
    partitions: u64,
    http: Option<Rules>,
}

impl State {
    fn config(&self) -> Config {
        let partition = self.partition.as_ref();
        let of = |direction: Direction| {
            let toxics = self.toxics.iter();
            toxics
                .filter(|toxic| toxic.spec.stream == direction)
                .cloned()
                .collect()
        };
        let stalls = |direction: Direction| {
            let holds =
                |(cut, _): &&(Partition, _)| cut.open == OpenConnections::Stall && cut.cuts(direction);
            partition.filter(holds).map(|_| self.partitions)
        };
        Config {
            upstream: self.upstream,
            source: self.source,
            accept: match partition.map(|(cut, _)| cut.new) {
                Some(NewConnections::Blackhole) => Accept::Wait,
                Some(NewConnections::Reset) => Accept::Reset,
                Some(NewConnections::Refuse) | None => Accept::Serve,
            },
            toxics: Direction::BOTH.map(of),
            stalls: Direction::BOTH.map(stalls),
            partition: partition.map(|(_, tally)| Arc::clone(tally)),
            http: self.http.clone().map(Arc::new),
        }
    }

    fn is_to_listen(&self) -> bool {
        let refuses = |(cut, _): &(Partition, _)| cut.new == NewConnections::Refuse;
        self.enabled && !self.partition.as_ref().is_some_and(refuses)
    }
}

impl Proxy {
    pub(crate) fn new(threads: Arc<Threads>, spec: ProxySpec, seed: Seed) -> Result<Proxy, EdgeError> {
        let state = State {
            reservation: reserve(&spec.name, spec.listen)?,
            upstream: spec.upstream,
            source: spec.source,
            enabled: spec.enabled,
            listening: false,
            toxics: Vec::new(),
            next_toxic: 0,
            partition: None,
            partitions: 0,
            http: spec.http.then(Rules::default),
        };
        let identity = Arc::new(Identity {
            id: threads.next_id(),
            seed,
            tally: Arc::new(EdgeTally::new(spec.http)),
        });
        let config = Arc::new(state.config());
        threads.all(|done| Order::Serve {
            identity: Arc::clone(&identity),
            config: Arc::clone(&config),
            done,
        })?;
        let proxy = Proxy {
            name: spec.name,
            identity,
            threads,
            state: Mutex::new(state),
        };
        proxy.listen_as_told(&mut proxy.state())?;
        Ok(proxy)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where callers connect to, with the port that it got. Stays the same while it is disabled.
    pub fn listen(&self) -> SocketAddr {
        self.state().reservation.address()
    }

    /// Moves it to another address; a free port of it if the port is 0. Closes all connections, as Toxiproxy does.
    pub fn set_listen(&self, listen: SocketAddr) -> Result<(), EdgeError> {
        let mut state = self.state();
        let reservation = reserve(&self.name, listen)?;
        self.stop_listening(&mut state)?;
        self.end_connections(false)?;
        state.reservation = reservation;
        self.listen_as_told(&mut state)
    }

    /// Where the callee listens.
    pub fn upstream(&self) -> SocketAddr {
        self.state().upstream
    }

    /// Sends connections that are accepted from now on to another callee. Open ones stay.
    pub fn set_upstream(&self, upstream: SocketAddr) -> Result<(), EdgeError> {
        let mut state = self.state();
        state.upstream = upstream;
        self.configure(&state)
    }

    /// Whether it listens, partitions aside.
    pub fn is_enabled(&self) -> bool {
        self.state().enabled
    }

    /// Listens again.
    pub fn enable(&self) -> Result<(), EdgeError> {
        let mut state = self.state();
        state.enabled = true;
        self.listen_as_told(&mut state)
    }

    /// Closes all connections; the kernel refuses new ones. The address stays taken.
    pub fn disable(&self) -> Result<(), EdgeError> {
        let mut state = self.state();
        state.enabled = false;
        self.listen_as_told(&mut state)?;
        self.end_connections(false)
    }

    /// Closes all connections and goes on listening.
    pub fn close_connections(&self) -> Result<(), EdgeError> {
        self.end_connections(false)
    }

    /// The toxics, in the order in which bytes meet them.
    pub fn toxics(&self) -> Vec<ToxicSpec> {
        self.state()
            .toxics
            .iter()
            .map(|toxic| toxic.spec.clone())
            .collect()
    }

    /// Adds a toxic behind the others.
    pub fn add_toxic(&self, toxic: ToxicSpec) -> Result<(), EdgeError> {
        check_share("a toxic's share", toxic.toxicity)?;
        let mut state = self.state();
        if state.toxics.iter().any(|one| one.spec.name == toxic.name) {
            return Err(self.duplicate("toxic", &toxic.name));
        }
        let tally = Arc::new(ToxicTally::new(&toxic.name, toxic.kind.type_name(), toxic.stream));
        self.identity.tally.tell_of_toxic(&tally);
        state.next_toxic += 1;
        let id = state.next_toxic;
        state.toxics.push(ActiveToxic {
            id,
            version: 0,
            spec: toxic,
            tally: Arc::clone(&tally),
        });
        self.configure(&state)?;
        tally.added();
        Ok(())
    }

    /// Gives a toxic other attributes, and another share. Its type and direction stay. What was drawn for a connection stays
    /// drawn, so that a greater share is for those connections that it was for, and some more. What the toxic held is decided
    /// about anew.
    pub fn change_toxic(&self, name: &str, kind: ToxicKind, toxicity: f64) -> Result<(), EdgeError> {
        check_share("a toxic's share", toxicity)?;
        let mut state = self.state();
        let of_type = |one: &&mut ActiveToxic| one.spec.kind.type_name() == kind.type_name();
        let found = state.toxics.iter_mut().find(|one| one.spec.name == name);
        let toxic = found
            .filter(of_type)
            .ok_or_else(|| self.unknown("toxic", &format!("{name} of type {}", kind.type_name())))?;
        toxic.version += 1;
        toxic.spec.kind = kind;
        toxic.spec.toxicity = toxicity;
        self.configure(&state)
    }

    /// Removes a toxic. What it held goes on in order.
    pub fn remove_toxic(&self, name: &str) -> Result<(), EdgeError> {
        let mut state = self.state();
        let at = state.toxics.iter().position(|one| one.spec.name == name);
        let toxic = state
            .toxics
            .remove(at.ok_or_else(|| self.unknown("toxic", name))?);
        self.configure(&state)?;
        toxic.tally.removed();
        Ok(())
    }

    /// Cuts caller and callee off from each other, in place of an earlier partition.
    pub fn partition(&self, partition: Partition) -> Result<(), EdgeError> {
        if partition.open == OpenConnections::Reset && partition.direction.is_some() {
            return Err(EdgeError::OneWayReset {
                proxy: self.name.clone(),
            });
        }
        let mut state = self.state();
        let tally = Arc::new(PartitionTally::default());
        self.identity.tally.tell_of_partition(&tally);
        state.partitions += 1;
        let before = state.partition.replace((partition, Arc::clone(&tally)));
        self.listen_as_told(&mut state)?;
        self.configure(&state)?;
        if let Some((_, before)) = before {
            before.healed();
        }
        tally.began();
        if partition.open == OpenConnections::Reset {
            self.end_connections(true)?;
        }
        Ok(())
    }

    /// Ends the partition, if there is one. What was held goes on in order.
    pub fn heal(&self) -> Result<(), EdgeError> {
        let mut state = self.state();
        let Some((_, tally)) = state.partition.take() else {
            return Ok(());
        };
        self.configure(&state)?;
        self.listen_as_told(&mut state)?;
        tally.healed();
        Ok(())
    }

    /// The partition that holds.
    pub fn partitioned(&self) -> Option<Partition> {
        self.state().partition.as_ref().map(|(partition, _)| *partition)
    }

    /// Adds an HTTP fault behind the others. It is for requests whose head comes from now on.
    pub fn add_http_fault(&self, fault: HttpFault) -> Result<(), EdgeError> {
        let mut state = self.state();
        let rules = state.http.as_mut().ok_or_else(|| self.not_http())?;
        if rules.faults().any(|one| one.name == fault.name) {
            return Err(self.duplicate("HTTP fault", &fault.name));
        }
        let tally = rules.add(fault)?;
        self.identity.tally.tell_of_http_fault(&tally);
        self.configure(&state)?;
        tally.added();
        Ok(())
    }

    /// Removes an HTTP fault. Requests that met it keep what it did to them.
    pub fn remove_http_fault(&self, name: &str) -> Result<(), EdgeError> {
        let mut state = self.state();
        let rules = state.http.as_mut().ok_or_else(|| self.not_http())?;
        let tally = rules
            .remove(name)
            .ok_or_else(|| self.unknown("HTTP fault", name))?;
        self.configure(&state)?;
        tally.removed();
        Ok(())
    }

    /// The HTTP faults in the order in which requests meet them.
    pub fn http_faults(&self) -> Vec<HttpFault> {
        let state = self.state();
        state.http.iter().flat_map(Rules::faults).cloned().collect()
    }

    /// The open connections, by number.
    pub fn connections(&self) -> Result<Vec<ConnectionSeen>, EdgeError> {
        let id = self.identity.id;
        let mut all = self.threads.ask(|to| Order::List { id, to })?.concat();
        all.sort_unstable_by_key(|one| one.number);
        Ok(all)
    }

    /// Connections that the kernel has completed and nobody has accepted: while a partition is a black hole, those that met it.
    /// `None` while nothing listens. Reads a list of the kernel, so it is not to be called often.
    pub fn waiting(&self) -> std::io::Result<Option<u64>> {
        backlog::waiting(self.listen())
    }

    /// What it saw so far. Asks no thread, so it can be called often.
    pub fn seen(&self) -> EdgeSeen {
        self.seen_since(0)
    }

    /// The same, but of toxics, partitions and HTTP faults only those that were not over before `since_ns` of `CLOCK_MONOTONIC`: what
    /// a look costs does not grow with what there was. [`u64::MAX`] tells of none that is over.
    pub fn seen_since(&self, since_ns: u64) -> EdgeSeen {
        self.identity.tally.seen(since_ns)
    }

    /// Nothing that panics is done while it is locked, so what a panic elsewhere left is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn configure(&self, state: &State) -> Result<(), EdgeError> {
        let (id, config) = (self.identity.id, Arc::new(state.config()));
        self.threads.all(|done| Order::Set {
            id,
            config: Arc::clone(&config),
            done,
        })
    }

    /// Begins or stops to listen, whichever the state asks for.
    fn listen_as_told(&self, state: &mut State) -> Result<(), EdgeError> {
        if !state.is_to_listen() {
            return self.stop_listening(state);
        }
        if state.listening {
            return Ok(());
        }
        let listener = state.reservation.listen().map_err(|source| EdgeError::Listen {
            proxy: self.name.clone(),
            address: state.reservation.address(),
            source,
        })?;
        let id = self.identity.id;
        let listener = Some(listener);
        self.threads
            .acceptor(id, |done| Order::Listen { id, listener, done })?;
        state.listening = true;
        Ok(())
    }

    fn stop_listening(&self, state: &mut State) -> Result<(), EdgeError> {
        if state.listening {
            let id = self.identity.id;
            let listener = None;
            self.threads
                .acceptor(id, |done| Order::Listen { id, listener, done })?;
            state.listening = false;
        }
        Ok(())
    }

    fn end_connections(&self, reset: bool) -> Result<(), EdgeError> {
        let id = self.identity.id;
        self.threads.all(|done| Order::End { id, reset, done })
    }

    fn duplicate(&self, what: &str, name: &str) -> EdgeError {
        EdgeError::Duplicate {
            proxy: self.name.clone(),
            name: format!("{what} {name}"),
        }
    }

    fn unknown(&self, what: &str, name: &str) -> EdgeError {
        EdgeError::Unknown {
            proxy: self.name.clone(),
            name: format!("{what} {name}"),
        }
    }

    fn not_http(&self) -> EdgeError {
        EdgeError::NotHttp {
            proxy: self.name.clone(),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let id = self.identity.id;
        // Threads that have ended have closed everything already.
        let _ = self.threads.all(|done| Order::Forget { id, done });
    }
}

fn reserve(proxy: &str, listen: SocketAddr) -> Result<Reservation, EdgeError> {
    Reservation::of(listen).map_err(|source| EdgeError::Listen {
        proxy: proxy.to_owned(),
        address: listen,
        source,
    })
}

pub(crate) fn check_share(what: &str, value: f64) -> Result<(), EdgeError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(EdgeError::Share {
        what: what.to_owned(),
        value,
    })
}
