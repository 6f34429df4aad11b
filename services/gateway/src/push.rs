//! What is pushed to a gateway that runs: documents and plug-ins, each taken whole or not at all.
//!
//! A document comes from a file at the start and from config-center from then on: `gateway.json` and `gateway-plugin.wat` of the group
//! `GATEWAY`. One that is wrong is refused with an event and a count, and what is in force stays. Requests see no moment in between: the
//! clusters that a new table names are there before it, and those that only the old one names stay a while longer.
//!
//! A plug-in may be uploaded before the document with the cluster that it names: it is kept, and tried again with each document.
//!
//! What takes long, such as resolving names and compiling, is done on threads of its own, since the thread of the caller has health checks too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};
use squall_config_client::{Client, ConfigKey, GetError, KeyError};
use tokio::runtime::Handle;

use crate::config::{self, ClusterSpec, ConfigError};
use crate::plant::Plant;
use crate::plugin::PluginError;
use crate::proxy::forward::Gateway;
use crate::route::RouteTable;
use crate::upstream::Clusters;
use crate::upstream::health::Watchers;

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

/// Puts documents and plug-ins in force. A clone is the same.
#[derive(Debug, Clone)]
pub struct Push(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Where they are put in force.
    gateway: Arc<Gateway>,
    /// The addresses of the roles that a document may name.
    peers: BTreeMap<String, String>,
    /// How many workers have pools.
    workers: usize,
    /// Where health checks run.
    runtime: Handle,
    watchers: Watchers,
    /// One document at a time.
    applying: tokio::sync::Mutex<()>,
    /// A plug-in that names a cluster that no document has had yet.
    waiting: Mutex<Option<Vec<u8>>>,
}

/// A document that nothing is wrong with.
struct Checked {
    clusters: Vec<ClusterSpec>,
    table: RouteTable,
}

impl Push {
    /// For `gateway`, whose documents may name these roles, and whose `workers` have pools. Health checks run on `runtime`.
    pub fn new(
        gateway: Arc<Gateway>,
        peers: BTreeMap<String, String>,
        workers: usize,
        runtime: Handle,
    ) -> Self {
        Self(Arc::new(Shared {
            gateway,
            peers,
            workers,
            runtime,
            watchers: Watchers::default(),
            applying: tokio::sync::Mutex::default(),
            waiting: Mutex::default(),
        }))
    }

    /// Where what is pushed is put in force.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.0.gateway
    }

    /// Where health checks run.
    pub fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    /// Puts a document in force, or tells everything that is wrong with it.
    pub async fn document(&self, text: &str) -> Result<(), ConfigError> {
        let applied = self.apply(text).await;
        let report = &self.0.gateway.report;
        match &applied {
            Ok(what) => {
                report.config_applied.inc();
                report.event("config-applied", what.clone());
                let waiting = self.waiting().take();
                if let Some(source) = waiting {
                    // What comes of it is told by the router.
                    let _ = self.plugin(source).await;
                }
            }
            Err(error) => {
                report.config_refused.inc();
                report.event("config-refused", error.to_string());
            }
        }
        applied.map(drop)
    }

    async fn apply(&self, text: &str) -> Result<String, ConfigError> {
        let shared = &*self.0;
        let _one_at_a_time = shared.applying.lock().await;
        let (pushed, text) = (self.clone(), text.to_owned());
        let Checked { clusters, table } = aside(move || check(&text, &pushed.0.peers)).await?;
        let count = clusters.len();
        let gateway = &shared.gateway;
        let before = gateway.clusters.load_full();
        let after = Clusters::following(&before, clusters, shared.workers, &gateway.report);
        let after = Arc::new(after);
        gateway.clusters.store(Arc::clone(&after));
        let take_over = || after.take_over(&before);
        if let Err(error) = gateway.router.apply_after(table, take_over).await {
            gateway.clusters.store(before);
            return Err(ConfigError(vec![error.to_string()]));
        }
        shared.watchers.follow(&after, &shared.runtime, gateway.plant);
        self.settle_later(after);
        Ok(format!("{count} clusters"))
    }

    /// Lets go of the clusters that left, once no request can ask for them.
    fn settle_later(&self, after: Arc<Clusters>) {
        let gateway = Arc::clone(&self.0.gateway);
        drop(self.0.runtime.spawn(async move {
            tokio::time::sleep(LEAVING_FOR).await;
            // Where another document came meanwhile, its own time is waited for.
            let settled = Arc::new(after.settled());
            drop(gateway.clusters.compare_and_swap(&after, settled));
        }));
    }

    /// Puts a plug-in in force. One that names a cluster that is not there is refused as others are, and kept for the next document.
    pub async fn plugin(&self, source: Vec<u8>) -> Result<(), PluginError> {
        self.swap_planted().await;
        let gateway = Arc::clone(&self.0.gateway);
        let (applied, source) = aside(move || (gateway.router.apply_plugin(&source), source)).await;
        let waits = applied.as_ref().is_err_and(PluginError::awaits_cluster);
        if waits {
            let text = "it names a cluster that is not there, and is tried again with the next document";
            self.0.gateway.report.event("plugin-waits", text.to_owned());
        }
        *self.waiting() = waits.then_some(source);
        applied
    }

    /// Takes the plug-in in force, and one that waits.
    pub async fn remove_plugin(&self) {
        self.swap_planted().await;
        *self.waiting() = None;
        self.0.gateway.router.remove_plugin();
    }

    /// Of a planted bug: a while in which requests fail.
    async fn swap_planted(&self) {
        let gateway = &self.0.gateway;
        if gateway.plant == Plant::FailsOnSwap {
            gateway.swapping.store(true, Ordering::Relaxed);
            tokio::time::sleep(PLANTED_SWAP).await;
            gateway.swapping.store(false, Ordering::Relaxed);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
                    match &entry.content {
                        // What comes of it is told by the router.
                        Some(source) => drop(self.plugin(source.as_bytes().to_vec()).await),
                        None if has_plugin => self.remove_plugin().await,
                        None => {}
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

/// Does something that takes long on a thread of its own.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // It panicked, which goes on here; or the runtime ends, and this task with it.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// Reads a document, or tells everything that is wrong with it. Resolves names.
fn check(text: &str, peers: &BTreeMap<String, String>) -> Result<Checked, ConfigError> {
    let document = read(text)?;
    let clusters = config::clusters(&document, peers);
    let names: BTreeSet<Arc<str>> = named(&document);
    let table = RouteTable::from_value(&of_table(&document), &names)
        .map_err(|errors| ConfigError(errors.0.iter().map(ToString::to_string).collect()));
    // Everything that is wrong at once, of the clusters and of the routes.
    match (clusters, table) {
        (Ok(clusters), Ok(table)) => Ok(Checked { clusters, table }),
        (clusters, table) => {
            let errors = [clusters.err(), table.err()].into_iter().flatten();
            Err(ConfigError(errors.flat_map(|error| error.0).collect()))
        }
    }
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
