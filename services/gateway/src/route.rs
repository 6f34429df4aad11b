//! Where a request goes: what the plug-in says, else the first rule of the table that matches, else the table's default.
//!
//! [`Router::route`] never fails and never panics, whatever the request, the plug-in or the store of buckets does: there is always a table,
//! a table always has a default, and it names only clusters that were known when it was read. Tables and plug-ins are swapped by one
//! pointer each; requests under way keep what they began with.

mod chance;
mod event;
mod experiment;
mod matching;
mod read;
mod split;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName};
use tokio::sync::Mutex;

pub use self::event::{Event, Observe, Unobserved};
pub(crate) use self::experiment::{Experiment, UserDigest};
pub use self::read::{Fault, TableErrors};
pub use self::split::{Draw, Split};
pub use self::table::RouteTable;

use self::chance::Chance;
use self::experiment::UserHash;
use self::table::{Action, Rule};
use crate::bucket::{BucketError, BucketStore, Buckets, Found};
use crate::plugin::{Metadata, PluginError, Slot};

/// What a request is routed by.
#[derive(Debug, Clone, Copy)]
pub struct RouteRequest<'a> {
    /// The method as it was written; methods are case-sensitive.
    pub method: &'a str,
    /// The path. What follows a `?` is not looked at.
    pub path: &'a str,
    /// The header.
    pub headers: &'a HeaderMap,
}

impl RouteRequest<'_> {
    /// The path without its query.
    pub(crate) fn bare_path(&self) -> &str {
        self.path.split_once('?').map_or(self.path, |(path, _)| path)
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The cluster; one of those that were known when the table was read.
    pub cluster: Arc<str>,
    /// What decided.
    pub reason: RouteReason,
    /// The rule that matched; none for the default and the plug-in.
    pub rule: Option<Arc<str>>,
    /// The experiment and the variant of it, where one decided.
    pub variant: Option<(Arc<str>, Arc<str>)>,
}

/// What decided where a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RouteReason {
    /// No rule matched, and the default names one cluster.
    Default,
    /// A rule about path or method matched, and names one cluster.
    Path,
    /// A rule about headers matched, and names one cluster.
    Header,
    /// A draw against weights: for this request alone.
    Weight,
    /// The user's bucket in an experiment.
    Bucket,
    /// The plug-in.
    Plugin,
}

impl RouteReason {
    /// As `x-gateway-route` names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Path => "path",
            Self::Header => "header",
            Self::Weight => "weight",
            Self::Bucket => "bucket",
            Self::Plugin => "plugin",
        }
    }
}

impl fmt::Display for RouteReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a router is made with.
pub struct RouterOptions {
    /// What chance follows from.
    pub seed: u64,
    /// What plug-ins may ask about the gateway itself, such as `version` and `region`.
    pub metadata: Metadata,
    /// The header whose value is the user, for whom what a plug-in weighs is drawn once and for all.
    pub user_header: HeaderName,
    /// Where it is kept which variant a user has.
    pub buckets: BucketStore,
    /// Who is told of rare things.
    pub observe: Arc<dyn Observe>,
}

impl Default for RouterOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            metadata: Metadata::new(),
            user_header: HeaderName::from_static("x-user-id"),
            buckets: BucketStore::Memory,
            observe: Arc::new(Unobserved),
        }
    }
}

impl fmt::Debug for RouterOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterOptions")
            .field("seed", &self.seed)
            .field("metadata", &self.metadata)
            .field("user_header", &self.user_header)
            .field("buckets", &self.buckets)
            .finish_non_exhaustive()
    }
}

/// The table in force, shared by all workers; a clone is the same router.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

struct Shared {
    table: ArcSwap<RouteTable>,
    plugin: Slot,
    user_header: HeaderName,
    user_hash: UserHash,
    chance: Chance,
    buckets: Buckets,
    /// One table at a time, so that the last one wins.
    applying: Mutex<()>,
    observe: Arc<dyn Observe>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Router").field(&self.0.table).finish()
    }
}

impl Router {
    /// A router that begins with this table. With buckets in Redis it must be made in a tokio runtime.
    pub fn new(table: RouteTable, options: RouterOptions) -> Result<Self, BucketError> {
        Ok(Self(Arc::new(Shared {
            table: ArcSwap::from_pointee(table),
            plugin: Slot::new(options.metadata),
            user_header: options.user_header,
            user_hash: UserHash::new("plug-in"),
            chance: Chance::new(options.seed),
            buckets: Buckets::open(&options.buckets, Arc::clone(&options.observe))?,
            applying: Mutex::new(()),
            observe: options.observe,
        })))
    }

    /// Puts another table in force. Where it has other experiments than the one before, what users were given under those is synced first; if that
    /// can't be done, the table before stays in force.
    pub async fn apply(&self, table: RouteTable) -> Result<(), BucketError> {
        self.apply_after(table, || {}).await
    }

    /// The same, and `ready` is called when nothing can go wrong any more, right before the table is in force.
    pub async fn apply_after(&self, table: RouteTable, ready: impl FnOnce()) -> Result<(), BucketError> {
        let _one_at_a_time = self.0.applying.lock().await;
        let before = self.0.table.load_full();
        self.0.buckets.settle(&before, &table).await?;
        let rules = table.rules.len();
        ready();
        self.0.table.store(Arc::new(table));
        self.0.plugin.forgive();
        self.0.observe.note(&Event::TableApplied { rules });
        Ok(())
    }

    /// Puts another plug-in in force: a WebAssembly module, its text, or either in base64. It is compiled, checked and tried first, which takes a
    /// while and blocks the caller, but no request. If it is refused, what was in force still is.
    pub fn apply_plugin(&self, source: &[u8]) -> Result<(), PluginError> {
        let clusters = |name: &str| self.0.table.load().cluster(name);
        self.0.plugin.apply(source, &clusters, &*self.0.observe)
    }

    /// From now on the table alone decides.
    pub fn remove_plugin(&self) {
        self.0.plugin.remove(&*self.0.observe);
    }

    /// Where this request goes. Ready at once, but where only a store elsewhere knows a user's variant; then within that store's deadline.
    pub async fn route(&self, request: &RouteRequest<'_>) -> Route {
        match self.decide(request) {
            Decision::Made(route) => route,
            Decision::Ask(question) => {
                let variant = self.0.buckets.ask(&question.experiment, question.user).await;
                route_to(&question.experiment, variant, RouteReason::Bucket, question.rule)
            }
        }
    }

    fn decide(&self, request: &RouteRequest<'_>) -> Decision {
        let table = self.0.table.load();
        if let Some(route) = self.ask_plugin(&table, request) {
            return Decision::Made(route);
        }
        let rule = table.rules.iter().find(|rule| rule.matching.holds(request));
        let action = rule.map_or(&table.default, |rule| &rule.action);
        self.act(action, rule, request)
    }

    fn ask_plugin(&self, table: &RouteTable, request: &RouteRequest<'_>) -> Option<Route> {
        let shared = &*self.0;
        let clusters = |name: &str| table.cluster(name);
        let target = shared.plugin.ask(request, &clusters, &*shared.observe)?;
        let draw = match request.headers.get(&shared.user_header) {
            // By the cluster too: who is among the first tenth for one is not among those of every other.
            Some(user) => shared
                .user_hash
                .digest_in(&target.cluster, user.as_bytes())
                .draw(),
            None => shared.chance.draw(),
        };
        draw.is_within(target.weight).then_some(Route {
            cluster: target.cluster,
            reason: RouteReason::Plugin,
            rule: None,
            variant: None,
        })
    }

    fn act(&self, action: &Action, rule: Option<&Rule>, request: &RouteRequest<'_>) -> Decision {
        let name = rule.map(|rule| Arc::clone(&rule.name));
        Decision::Made(match action {
            Action::Cluster(cluster) => Route {
                cluster: Arc::clone(cluster),
                reason: rule.map_or(RouteReason::Default, |rule| rule.matching.reason()),
                rule: name,
                variant: None,
            },
            Action::Weights(clusters, split) => Route {
                cluster: Arc::clone(&clusters[split.pick(self.0.chance.draw())]),
                reason: RouteReason::Weight,
                rule: name,
                variant: None,
            },
            Action::Experiment(experiment) => {
                let Some(user) = experiment.digest(request.headers) else {
                    let variant = experiment.split.pick(self.0.chance.draw());
                    return Decision::Made(route_to(experiment, variant, RouteReason::Weight, name));
                };
                match self.0.buckets.find(experiment, user) {
                    Found::Variant(variant) => route_to(experiment, variant, RouteReason::Bucket, name),
                    Found::Elsewhere => {
                        return Decision::Ask(Question {
                            experiment: Arc::clone(experiment),
                            user,
                            rule: name,
                        });
                    }
                }
            }
        })
    }
}

/// Where a request goes, or what must be asked before that is known.
enum Decision {
    Made(Route),
    Ask(Question),
}

struct Question {
    experiment: Arc<Experiment>,
    user: UserDigest,
    rule: Option<Arc<str>>,
}

fn route_to(experiment: &Experiment, variant: usize, reason: RouteReason, rule: Option<Arc<str>>) -> Route {
    let variant = &experiment.variants[variant];
    Route {
        cluster: Arc::clone(&variant.cluster),
        reason,
        rule,
        variant: Some((Arc::clone(&experiment.name), Arc::clone(&variant.name))),
    }
}
