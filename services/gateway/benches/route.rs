//! What routing costs a request: by the default, by rules, by weight, by bucket, and with a plug-in.
//!
//! The last figure is a start with as many users as are remembered.
//!
//! All but `first seen` are of users that the router knows already, in one thread, for a request with ten header fields.

use std::collections::BTreeSet;
use std::future::Future as _;
use std::hint::black_box;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion};
use http::{HeaderMap, HeaderName, HeaderValue};
use squall_gateway::bucket::{BUCKETS_MAX, BucketStore};
use squall_gateway::route::{Route, RouteRequest, RouteTable, Router, RouterOptions};

/// How many users there are.
const USERS: usize = 10_000;
const CANARY: &[u8] = include_bytes!("../plugins/canary.wat");
const EXPERIMENT: &str = r#"{
    "experiments": [{ "name": "e", "variants": [
        { "name": "a", "cluster": "svc-v1", "weight": 65 }, { "name": "b", "cluster": "svc-v2", "weight": 35 } ] }],
    "default": { "experiment": "e" }
}"#;
const WEIGHTS: &str = r#"{ "default": { "weights": [{ "cluster": "svc-v1", "weight": 65 }, { "cluster": "svc-v2", "weight": 35 }] } }"#;
const DEFAULT: &str = r#"{ "default": "svc-v1" }"#;

/// Twenty rules by header that don't match, as every request passes them.
fn rules() -> String {
    let rule = |number: u32| {
        serde_json::json!({
            "match": { "prefix": "/feed", "headers": [{ "name": "x-env", "exact": format!("env-{number}") }] },
            "cluster": "svc-v2"
        })
    };
    let rules: Vec<_> = (0..20).map(rule).collect();
    serde_json::json!({ "routes": rules, "default": "svc-v1" }).to_string()
}

fn router(table: &str, plugin: Option<&[u8]>, buckets: BucketStore) -> Router {
    let clusters: BTreeSet<Arc<str>> = ["svc-v1", "svc-v2"].into_iter().map(Arc::from).collect();
    let table = RouteTable::from_json(table, &clusters).expect("the table is valid");
    let options = RouterOptions {
        seed: 7,
        metadata: [("region".to_owned(), "shanghai".to_owned())].into(),
        buckets,
        ..RouterOptions::default()
    };
    let router = Router::new(table, options).expect("the store can be used");
    if let Some(plugin) = plugin {
        router.apply_plugin(plugin).expect("it is sound");
    }
    router
}

/// The header of a request of this user, as a browser behind two proxies sends it.
fn headers(user: usize) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fields = [
        ("host", "feed.example"),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        ),
        ("accept", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("accept-language", "zh-CN,zh;q=0.9,en;q=0.8"),
        ("cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
        ("x-forwarded-for", "203.0.113.7, 198.51.100.3"),
        ("x-request-id", "7f0f7c2e-3a1d-4a57-9e53-0d6a3c0f1c11"),
        ("x-env", "production"),
    ];
    for (name, value) in fields {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let user = HeaderValue::from_str(&format!("user-{user}")).expect("a valid value");
    headers.insert(HeaderName::from_static("x-user-id"), user);
    headers
}

fn route(router: &Router, headers: &HeaderMap) -> Route {
    let request = RouteRequest {
        method: "GET",
        path: "/feed/refresh",
        headers,
    };
    match pin!(router.route(&request)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(route) => route,
        Poll::Pending => unreachable!("nothing here is elsewhere"),
    }
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, router: &Router, users: &[HeaderMap]) {
    for user in users {
        route(router, user);
    }
    let mut next = users.iter().cycle();
    group.bench_function(name, |bencher| {
        bencher.iter(|| route(router, black_box(next.next().expect("it has no end"))));
    });
}

/// A user's first request: it is given a variant, which is written down before it is answered.
fn first_seen(group: &mut BenchmarkGroup<'_, WallTime>, folder: &Path) {
    let stores = [
        ("first seen, in memory", BucketStore::Memory),
        (
            "first seen, in a folder",
            BucketStore::Embedded(folder.to_owned()),
        ),
    ];
    for (name, store) in stores {
        let router = router(EXPERIMENT, None, store);
        let mut users = 0..;
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || headers(users.next().expect("it has no end")),
                |user| route(&router, &user),
                BatchSize::SmallInput,
            );
        });
    }
}

/// How long a start takes when the folder holds as many users as are remembered.
fn start(criterion: &mut Criterion, folder: &Path) {
    let store = || BucketStore::Embedded(folder.to_owned());
    let full = router(EXPERIMENT, None, store());
    for user in 0..BUCKETS_MAX {
        let mut headers = HeaderMap::new();
        headers.insert("x-user-id", HeaderValue::from(user));
        route(&full, &headers);
    }
    drop(full);
    let mut group = criterion.benchmark_group("start");
    group
        .sample_size(10)
        .bench_function("with a million users", |bencher| {
            bencher.iter(|| router(EXPERIMENT, None, store()));
        });
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let users: Vec<HeaderMap> = (0..USERS).map(headers).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = criterion.benchmark_group("route");
    let mut of = |name: &str, table: &str, plugin: Option<&[u8]>| {
        let router = router(table, plugin, BucketStore::Memory);
        measure(&mut group, name, &router, &users);
    };
    of("default", DEFAULT, None);
    of("twenty rules by header", &rules(), None);
    of("weight", WEIGHTS, None);
    of("bucket", EXPERIMENT, None);
    of("plug-in, else default", DEFAULT, Some(CANARY));
    of("plug-in, else bucket", EXPERIMENT, Some(CANARY));
    first_seen(&mut group, folder.path());
    group.finish();
    criterion.bench_function("push of a plug-in", |bencher| {
        let router = router(DEFAULT, None, BucketStore::Memory);
        bencher.iter(|| router.apply_plugin(black_box(CANARY)));
    });
    let folder = tempfile::tempdir().expect("a folder");
    start(&mut criterion, folder.path());
    criterion.final_summary();
}
