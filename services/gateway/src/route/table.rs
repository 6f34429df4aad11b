//! The table of routes: checked when it is read, and data from then on.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::experiment::Experiment;
use super::matching::Matching;
use super::read::{self, TableErrors};
use super::split::Split;

/// Rules in their order, the default, and what they refer to. As JSON:
///
/// ```json
/// {
///   "experiments": [
///     { "name": "ranking", "key": "x-user-id", "variants": [
///       { "name": "old", "cluster": "svc-v1", "weight": 9 },
///       { "name": "new", "cluster": "svc-v2", "weight": 1 }
///     ] }
///   ],
///   "routes": [
///     { "name": "gray", "match": { "headers": [{ "name": "x-env", "exact": "gray" }] }, "cluster": "svc-v2" },
///     { "name": "feed", "match": { "prefix": "/feed", "method": ["GET", "HEAD"] }, "experiment": "ranking" },
///     { "name": "rest", "weights": [{ "cluster": "svc-v1", "weight": 95 }, { "cluster": "svc-v2", "weight": 5 }] }
///   ],
///   "default": "svc-v1"
/// }
/// ```
///
/// `match` has `prefix` (of whole segments) or `exact` for the path, `method`, and `headers`, each with one of `exact`, `prefix`, `regex` (of the
/// whole value) and `present` (`false`: must be missing). What it leaves out matches everything. A rule has one of `cluster`, `weights`
/// and `experiment`, and so has `default`, for which a text is a cluster. Weights are whole numbers of any sum. The key of an experiment is
/// `x-user-id` where it is left out.
#[derive(Debug)]
pub struct RouteTable {
    pub(crate) clusters: BTreeSet<Arc<str>>,
    pub(crate) experiments: Vec<Arc<Experiment>>,
    pub(super) rules: Vec<Rule>,
    pub(super) default: Action,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: Arc<str>,
    pub(super) matching: Matching,
    pub(super) action: Action,
}

#[derive(Debug)]
pub(super) enum Action {
    Cluster(Arc<str>),
    Weights(Vec<Arc<str>>, Split),
    Experiment(Arc<Experiment>),
}

impl RouteTable {
    /// Everything to one cluster.
    pub fn to(cluster: &str, clusters: &BTreeSet<Arc<str>>) -> Result<Self, TableErrors> {
        Self::from_value(&serde_json::json!({ "default": cluster }), clusters)
    }

    /// Reads a table that may name these clusters, or tells everything that is wrong with it.
    pub fn from_json(text: &str, clusters: &BTreeSet<Arc<str>>) -> Result<Self, TableErrors> {
        read::text(text, clusters)
    }

    /// The same of JSON that was read already.
    pub fn from_value(value: &Value, clusters: &BTreeSet<Arc<str>>) -> Result<Self, TableErrors> {
        read::table(value, clusters)
    }

    /// The cluster of this name, if it is known.
    pub(crate) fn cluster(&self, name: &str) -> Option<Arc<str>> {
        self.clusters.get(name).map(Arc::clone)
    }
}
