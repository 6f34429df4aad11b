//! Upstreams: the clusters in force, their endpoints, and the connections to them.
//!
//! | module | holds |
//! | --- | --- |
//! | [`cluster`] | endpoints with one policy, and the choice among them |
//! | [`endpoint`] | one address: requests in flight, whether it may be used |
//! | [`standing`] | when an endpoint is taken out and let in again, as a function of what was seen and when |
//! | [`admission`] | how many requests a cluster works on, and how many wait |
//! | [`pool`] | connections that are there, for one worker and one endpoint |
//! | [`connection`] | opening one, sending on one |
//! | [`health`] | asking endpoints whether they are well |
//!
//! It knows nothing of clients, routes and retries.

pub mod admission;
pub mod cluster;
pub mod connection;
pub mod endpoint;
pub mod health;
pub mod pool;
pub mod standing;

use std::collections::HashMap;
use std::sync::Arc;

use self::cluster::Cluster;
use self::endpoint::Endpoint;
use crate::config::ClusterSpec;
use crate::report::Report;

/// The clusters in force, by name. Never changes; another takes its place.
#[derive(Debug, Default)]
pub struct Clusters {
    named: HashMap<Arc<str>, Arc<Cluster>>,
    /// Those that the document before had: requests that were routed by it may still ask for them.
    leaving: HashMap<Arc<str>, Arc<Cluster>>,
}

impl Clusters {
    /// The clusters of a document. What `before` already has is carried over: endpoints with what is known of them and
    /// their connections, retry budgets, and whole clusters where nothing about them is new.
    pub fn following(before: &Self, specs: Vec<ClusterSpec>, workers: usize, report: &Arc<Report>) -> Self {
        let clusters = specs.into_iter().map(|spec| {
            let name = Arc::clone(&spec.name);
            let cluster = match before.named.get(&spec.name) {
                Some(same) if same.spec() == &spec => Arc::clone(same),
                old => Arc::new(Cluster::new(spec, old.map(Arc::as_ref), workers, report)),
            };
            (name, cluster)
        });
        let named: HashMap<_, _> = clusters.collect();
        let gone = before.named.iter().filter(|(name, _)| !named.contains_key(*name));
        let leaving = gone.map(|(name, cluster)| (Arc::clone(name), Arc::clone(cluster)));
        Self {
            leaving: leaving.collect(),
            named,
        }
    }

    /// Endpoints that only `before` lists leave, and those that it does not list enter. To be called once, right before requests are routed to
    /// these clusters.
    pub fn take_over(&self, before: &Self) {
        let (old, new) = (before.endpoints(), self.endpoints());
        // First those that leave: one that enters may have the name of one that leaves.
        for (_, left) in old.iter().filter(|(address, _)| !new.contains_key(*address)) {
            left.leave();
        }
        for (_, entered) in new.iter().filter(|(address, _)| !old.contains_key(*address)) {
            entered.enter();
        }
    }

    /// The same once nobody can ask for those that left.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self {
            named: self.named.clone(),
            leaving: HashMap::new(),
        }
    }

    /// The cluster called `name`.
    pub fn get(&self, name: &str) -> Option<&Arc<Cluster>> {
        self.named.get(name).or_else(|| self.leaving.get(name))
    }

    /// All endpoints, each by where it is in memory: names may be those of others that left.
    fn endpoints(&self) -> HashMap<*const Endpoint, &Arc<Endpoint>> {
        let all = self.iter().flat_map(|cluster| cluster.endpoints());
        all.map(|endpoint| (Arc::as_ptr(endpoint), endpoint)).collect()
    }

    /// Whether this very cluster is in force.
    pub fn has(&self, cluster: &Arc<Cluster>) -> bool {
        let found = self.named.get(&cluster.spec().name);
        found.is_some_and(|found| Arc::ptr_eq(found, cluster))
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.named.values()
    }
}
