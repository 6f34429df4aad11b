//! Gateways that are asked about users, and what they told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use squall_gateway::bucket::BucketStore;
use squall_gateway::route::{Event, Observe, RouteReason, RouteRequest, RouteTable, Router, RouterOptions};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// How long something may take that must happen. Only a broken machine or a broken program takes longer.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How often each kind of thing was told.
#[derive(Debug, Default)]
pub struct Told {
    counts: Mutex<BTreeMap<String, u64>>,
    changed: Notify,
}

impl Observe for Told {
    fn note(&self, event: &Event<'_>) {
        let kind = match event {
            Event::BucketByHash { why } => format!("{why:?}").to_lowercase(),
            Event::BucketStoreAway { .. } => "store away".to_owned(),
            Event::BucketStoreBack => "store back".to_owned(),
            other => format!("{other:?}"),
        };
        *self
            .counts
            .lock()
            .expect("no test panicked")
            .entry(kind)
            .or_default() += 1;
        self.changed.notify_waiters();
    }
}

impl Told {
    pub fn count(&self, kind: &str) -> u64 {
        self.counts
            .lock()
            .expect("no test panicked")
            .get(kind)
            .copied()
            .unwrap_or(0)
    }

    /// Waits until something of this kind was told.
    pub async fn until(&self, kind: &str) {
        let told = async {
            loop {
                let changed = self.changed.notified();
                if self.count(kind) > 0 {
                    return;
                }
                changed.await;
            }
        };
        let is_told = timeout(PATIENCE, told).await.is_ok();
        assert!(is_told, "never {kind}: {self:?}");
    }

    /// How many users the hash alone decided for.
    pub fn by_hash(&self) -> u64 {
        ["away", "unanswered", "busy", "full", "unwritten"]
            .iter()
            .map(|kind| self.count(kind))
            .sum()
    }
}

/// A gateway with one experiment, whose variants have these weights.
pub struct Gateway {
    pub router: Router,
    pub told: Arc<Told>,
}

pub fn table(variants: &[(&str, u32)]) -> RouteTable {
    let clusters: BTreeSet<Arc<str>> = variants.iter().map(|(name, _)| Arc::from(*name)).collect();
    let variants: Vec<_> = variants
        .iter()
        .map(|(name, weight)| serde_json::json!({ "name": name, "cluster": name, "weight": weight }))
        .collect();
    let table = serde_json::json!({
        "experiments": [{ "name": "e", "variants": variants }],
        "default": { "experiment": "e" }
    });
    RouteTable::from_value(&table, &clusters).expect("the table is valid")
}

/// The variant that a router gives a user.
pub async fn variant(router: &Router, user: &str) -> String {
    let user = HeaderValue::from_str(user).expect("a valid value");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-user-id"), user)]);
    let request = RouteRequest {
        method: "GET",
        path: "/",
        headers: &headers,
    };
    let route = router.route(&request).await;
    assert_eq!(route.reason, RouteReason::Bucket);
    route.cluster.to_string()
}

impl Gateway {
    pub fn new(address: &str, deadline: Duration, variants: &[(&str, u32)]) -> Self {
        let told = Arc::new(Told::default());
        let options = RouterOptions {
            buckets: BucketStore::Redis {
                address: address.to_owned(),
                deadline,
            },
            observe: Arc::clone(&told) as Arc<dyn Observe>,
            ..RouterOptions::default()
        };
        let router = Router::new(table(variants), options).expect("a valid address");
        Self { router, told }
    }

    /// The same, once it reaches its Redis.
    pub async fn connected(address: &str, variants: &[(&str, u32)]) -> Self {
        let gateway = Self::new(address, PATIENCE, variants);
        gateway.until_back("probe").await;
        gateway
    }

    pub async fn variant(&self, user: &str) -> String {
        variant(&self.router, user).await
    }

    pub async fn variants(&self, users: std::ops::Range<u32>) -> Vec<String> {
        let mut variants = Vec::new();
        for user in users {
            variants.push(self.variant(&user.to_string()).await);
        }
        variants
    }

    /// Waits until a user is decided for by more than its hash; asks about users of this name that nobody else asks about.
    pub async fn until_back(&self, name: &str) {
        let begin = Instant::now();
        for try_number in 0_u64.. {
            let before = self.told.by_hash();
            self.variant(&format!("{name}-{try_number}")).await;
            if self.told.by_hash() == before {
                return;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "Redis is not reached: {:?}",
                self.told
            );
            sleep(Duration::from_millis(5)).await;
        }
    }
}
