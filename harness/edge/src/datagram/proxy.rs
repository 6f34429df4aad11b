//! The handle of a proxy for datagrams.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use squall_model::seed::Seed;

use super::flows::{FlowsConfig, FlowsOrder};
use super::tally::DatagramTally;
use super::{DatagramFaults, DatagramSpec};
use crate::error::EdgeError;
use crate::proxies::Threads;
use crate::seen::DatagramSeen;
use crate::socket;
use crate::spec::Direction;
use crate::worker::Order;

/// A proxy for datagrams. What a method changes is in force when it returns. Dropping it closes its sockets.
#[derive(Debug)]
pub struct DatagramProxy {
    name: String,
    id: u32,
    listen: SocketAddr,
    threads: Arc<Threads>,
    tally: Arc<DatagramTally>,
    config: Mutex<FlowsConfig>,
}

impl DatagramProxy {
    pub(crate) fn new(
        threads: Arc<Threads>,
        spec: DatagramSpec,
        seed: Seed,
    ) -> Result<DatagramProxy, EdgeError> {
        let (listener, listen) = socket::datagrams_on(spec.listen).map_err(|source| EdgeError::Listen {
            proxy: spec.name.clone(),
            address: spec.listen,
            source,
        })?;
        let (id, tally) = (threads.next_id(), Arc::new(DatagramTally::default()));
        let config = FlowsConfig {
            faults: [DatagramFaults::default(); 2],
            cut: [false; 2],
        };
        let order = FlowsOrder::Serve {
            id,
            listener,
            upstream: spec.upstream,
            source: spec.source,
            flows_max: spec.flows_max,
            seed,
            tally: Arc::clone(&tally),
            config,
        };
        threads.acceptor(id, |done| Order::Flows { order, done })?;
        Ok(DatagramProxy {
            name: spec.name,
            id,
            listen,
            threads,
            tally,
            config: Mutex::new(config),
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where callers send to, with the port that it got.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Changes what happens to the datagrams that come from now on in one direction. Those that wait are sent when they were to be.
    pub fn set_faults(&self, direction: Direction, faults: DatagramFaults) -> Result<(), EdgeError> {
        faults.check()?;
        let mut config = self.config();
        config.faults[direction.index()] = faults;
        self.set(*config)
    }

    /// What happens to the datagrams of one direction.
    pub fn faults(&self, direction: Direction) -> DatagramFaults {
        self.config().faults[direction.index()]
    }

    /// Drops every datagram of one direction, or of both.
    pub fn partition(&self, direction: Option<Direction>) -> Result<(), EdgeError> {
        let mut config = self.config();
        config.cut = Direction::BOTH.map(|one| direction.is_none_or(|only| only == one));
        self.set(*config)
    }

    /// Ends the partition, if there is one.
    pub fn heal(&self) -> Result<(), EdgeError> {
        let mut config = self.config();
        config.cut = [false; 2];
        self.set(*config)
    }

    /// What it saw so far.
    pub fn seen(&self) -> DatagramSeen {
        self.tally.seen()
    }

    fn config(&self) -> MutexGuard<'_, FlowsConfig> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, config: FlowsConfig) -> Result<(), EdgeError> {
        let order = FlowsOrder::Set { id: self.id, config };
        self.threads
            .acceptor(self.id, |done| Order::Flows { order, done })
    }
}

impl Drop for DatagramProxy {
    fn drop(&mut self) {
        let order = FlowsOrder::Forget { id: self.id };
        // Threads that have ended have closed everything already.
        let _ = self
            .threads
            .acceptor(self.id, |done| Order::Flows { order, done });
    }
}
