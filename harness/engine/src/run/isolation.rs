//! The isolated network of a run: a place for each service and one for the load generator, in which each load is an end.
//!
//! What has to be somewhere asks here where that is. In the shared network the answer is always nowhere in particular. It drops no
//! packet: faults do.

use std::net::IpAddr;
use std::sync::Arc;

use squall_model::scenario;

use crate::network::{Namespace, Network, NetworkError, Ownership, Place, PlaceSpec, Unavailable};
use crate::plan::Plan;

/// The generator's place; no service can be called so.
const GENERATOR: &str = "load generator";

/// Where services and loads are.
#[derive(Clone, Default)]
pub struct Isolation {
    network: Option<Arc<Network>>,
}

/// Why the network of a run could not be isolated.
#[derive(Debug, thiserror::Error)]
pub enum IsolationError {
    /// Squall may not.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The kernel refused.
    #[error("isolating the network: {0}")]
    Network(#[from] NetworkError),
}

impl Isolation {
    /// Makes the network that a plan asks for.
    pub(super) fn of(plan: &Plan) -> Result<Isolation, IsolationError> {
        if plan.network == scenario::Network::Shared {
            return Ok(Isolation::default());
        }
        let owner = Ownership::take()?;
        let service = |name: &String| PlaceSpec {
            name: name.clone(),
            ends: vec![name.clone()],
        };
        let mut places: Vec<PlaceSpec> = plan.services.iter().map(|one| service(&one.name)).collect();
        // Steps are made by their journey's users, from where these are.
        let loads = plan.loads.iter().filter(|load| !load.is_step());
        places.push(PlaceSpec {
            name: GENERATOR.to_owned(),
            ends: loads.map(|load| load.name.clone()).collect(),
        });
        let network = Network::build(owner, &places)?;
        Ok(Isolation {
            network: Some(Arc::new(network)),
        })
    }

    /// The network itself, where it is isolated.
    pub(super) fn network(&self) -> Option<&Arc<Network>> {
        self.network.as_ref()
    }

    /// The place of a service, or of a load.
    pub(super) fn place(&self, end: &str) -> Option<&Place> {
        let network = self.network.as_ref()?;
        network.place(end).or_else(|_| network.place(GENERATOR)).ok()
    }

    /// The network namespace of a service.
    pub(super) fn namespace(&self, service: &str) -> Option<Namespace> {
        Some(self.place(service)?.namespace().clone())
    }

    /// The network namespace of the load generator.
    pub(super) fn generator(&self) -> Option<Namespace> {
        self.namespace(GENERATOR)
    }

    /// The address that a service listens at, or that a load's requests come from.
    pub(super) fn address(&self, end: &str) -> Option<IpAddr> {
        Some(self.network.as_ref()?.ipv4(end).ok()?.into())
    }
}
