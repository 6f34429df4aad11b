//! What is pushed to a gateway that runs: documents and plug-ins, each taken whole or not at all.
//!
//! A document comes from a file at the start and from config-center from then on: `gateway.json` and `gateway-plugin.wat` of the group
//! `GATEWAY`. One that is wrong is refused with an event and a count, and what is in force stays. Requests see no moment in between: the
//! clusters that a new table names are there before it, and those that only the old one names stay a while longer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Map, Value};
use squall_config_client::{Client, ConfigKey, GetError, KeyError};
use tokio::runtime::Handle;

use crate::config::{self, ConfigError};
use crate::plant::Plant;
use crate::proxy::forward::Gateway;
use crate::route::RouteTable;
use crate::upstream::{Clusters, health};

/// The data id of the document.
pub const DOCUMENT: &str = "gateway.json";
/// The data id of the plug-in.
pub const PLUGIN: &str = "gateway-plugin.wat";
/// The group of both.
pub const GROUP: &str = "GATEWAY";
/// The largest document, in bytes.
const DOCUMENT_BYTES_MAX: usize = 1 << 20;
/// How long a cluster that is no longer in the document stays for requests that were routed before.
const LEAVING_FOR: Duration = Duration::from_secs(5);
/// How long a swap takes where it is planted that requests fail meanwhile.
const PLANTED_SWAP: Duration = Duration::from_millis(20);
/// The keys of a document that the table of routes is made of.
const OF_TABLE: [&str; 3] = ["experiments", "routes", "default"];

/// Puts documents and plug-ins in force.
#[derive(Debug, Clone)]
pub struct Push {
    /// Where they are put in force.
    pub gateway: Arc<Gateway>,
    /// The addresses of the roles that a document may name.
    pub peers: Arc<BTreeMap<String, String>>,
    /// How many workers have pools.
    pub workers: usize,
    /// Where health checks run.
    pub runtime: Handle,
}

impl Push {
    /// Puts a document in force, or tells everything that is wrong with it. Resolves names, so it may block.
    pub async fn document(&self, text: &str) -> Result<(), ConfigError> {
        let applied = self.apply(text).await;
        let report = &self.gateway.report;
        match &applied {
            Ok(what) => {
                report.config_applied.inc();
                report.event("config-applied", what.clone());
            }
            Err(error) => {
                report.config_refused.inc();
                report.event("config-refused", error.to_string());
            }
        }
        applied.map(drop)
    }

    async fn apply(&self, text: &str) -> Result<String, ConfigError> {
        let document = read(text)?;
        let specs = config::clusters(&document, &self.peers);
        let names: BTreeSet<Arc<str>> = named(&document);
        let table = RouteTable::from_value(&of_table(&document), &names)
            .map_err(|errors| ConfigError(errors.0.iter().map(ToString::to_string).collect()));
        // Everything that is wrong at once, of the clusters and of the routes.
        let (specs, table) = match (specs, table) {
            (Ok(specs), Ok(table)) => (specs, table),
            (specs, table) => {
                let errors = [specs.err(), table.err()].into_iter().flatten();
                return Err(ConfigError(errors.flat_map(|error| error.0).collect()));
            }
        };
        let count = specs.len();
        let before = self.put(specs);
        if let Err(error) = self.gateway.router.apply(table).await {
            self.gateway.clusters.store(before);
            return Err(ConfigError(vec![error.to_string()]));
        }
        Ok(format!("{count} clusters"))
    }

    /// Puts clusters in force, and returns those that were.
    fn put(&self, specs: Vec<config::ClusterSpec>) -> Arc<Clusters> {
        let gateway = &self.gateway;
        let before = gateway.clusters.load_full();
        let after = Arc::new(Clusters::following(&before, specs, self.workers, &gateway.report));
        for cluster in after.iter().filter(|cluster| !before.has(cluster)) {
            drop(self.runtime.spawn(health::watch(Arc::downgrade(cluster))));
        }
        gateway.clusters.store(Arc::clone(&after));
        let gateway = Arc::clone(gateway);
        drop(self.runtime.spawn(async move {
            tokio::time::sleep(LEAVING_FOR).await;
            // Where another document came meanwhile, its own time is waited for.
            let settled = Arc::new(after.settled());
            drop(gateway.clusters.compare_and_swap(&after, settled));
        }));
        before
    }

    /// Puts a plug-in in force; `None` takes the one that is.
    pub async fn plugin(&self, source: Option<&str>) {
        if self.gateway.plant == Plant::FailsOnSwap {
            self.gateway.swapping.store(true, Ordering::Relaxed);
            tokio::time::sleep(PLANTED_SWAP).await;
            self.gateway.swapping.store(false, Ordering::Relaxed);
        }
        let router = &self.gateway.router;
        match source {
            // What came of it is told by the router.
            Some(source) => drop(router.apply_plugin(source.as_bytes())),
            None => router.remove_plugin(),
        }
    }

    /// Follows both data ids for as long as it is polled.
    pub async fn follow(&self, client: &Client) -> Result<(), FollowError> {
        let mut document = client.watch(&ConfigKey::new(DOCUMENT, GROUP, "")?).await?;
        let mut plugin = client.watch(&ConfigKey::new(PLUGIN, GROUP, "")?).await?;
        let mut has_plugin = false;
        loop {
            tokio::select! {
                entry = document.changed() => {
                    // One that was deleted, or is not there yet, leaves what is in force.
                    if let Some(text) = &entry.content {
                        let _ = self.document(text).await;
                    }
                }
                entry = plugin.changed() => {
                    if entry.content.is_some() || has_plugin {
                        self.plugin(entry.content.as_deref()).await;
                    }
                    has_plugin = entry.content.is_some();
                }
            }
        }
    }
}

/// Why configuration can't be followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// A data id is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The client has ended.
    #[error(transparent)]
    Client(#[from] GetError),
}

fn read(text: &str) -> Result<Value, ConfigError> {
    let wrong = |what: String| Err(ConfigError(vec![what]));
    if text.len() > DOCUMENT_BYTES_MAX {
        let bytes = text.len();
        return wrong(format!(
            "the document has {bytes} bytes, and may have {DOCUMENT_BYTES_MAX}"
        ));
    }
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(document)) => {
            let known = |key: &str| key == "clusters" || OF_TABLE.contains(&key);
            let unknown: Vec<&str> = document
                .keys()
                .map(String::as_str)
                .filter(|key| !known(key))
                .collect();
            if unknown.is_empty() {
                return Ok(Value::Object(document));
            }
            wrong(format!(
                "unknown: {}; a document has clusters, {}",
                unknown.join(", "),
                OF_TABLE.join(", ")
            ))
        }
        Ok(_) => wrong("the document is no JSON object".to_owned()),
        Err(error) => wrong(format!("the document is not JSON: {error}")),
    }
}

/// The names of a document's clusters, also of those that are wrong, so that routes to them are no further mistake.
fn named(document: &Value) -> BTreeSet<Arc<str>> {
    let clusters = document.get("clusters").and_then(Value::as_object);
    let names = clusters.into_iter().flat_map(Map::keys);
    names.map(|name| Arc::from(name.as_str())).collect()
}

fn of_table(document: &Value) -> Value {
    let keys = OF_TABLE.iter().filter_map(|key| {
        let value = document.get(key)?;
        Some(((*key).to_owned(), value.clone()))
    });
    Value::Object(keys.collect())
}
