//! What the gateway itself does for a request, beside the parsing and framing that are hyper's: `cargo bench -p squall-gateway --bench request`.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{HeaderValue, Request};
use http_body_util::Full;
use serde_json::json;
use squall_gateway::budget::RetryBudget;
use squall_gateway::config::{self, Budget};
use squall_gateway::draw::Source;
use squall_gateway::proxy::body::Outgoing;
use squall_gateway::proxy::{head, replay};
use squall_gateway::report::Report;
use squall_gateway::upstream::Clusters;
use squall_service_kit::Telemetry;
use tokio::time::Instant;

fn request() -> Request<Outgoing> {
    Request::get("/feed?page=1")
        .header("host", "shop.test")
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
        )
        .header("accept", "text/html,application/xhtml+xml")
        .header("accept-encoding", "gzip, deflate, br")
        .header("connection", "keep-alive")
        .header("x-user-id", "4711")
        .body(Outgoing::Left(Full::default()))
        .expect("a request")
}

fn heads(c: &mut Criterion) {
    let peer = HeaderValue::from_static("192.0.2.7");
    let given = request();
    c.bench_function("head: checked and prepared", |b| {
        b.iter_batched(
            || replay::again(&given).expect("it has no body").into_parts().0,
            |mut parts| {
                head::check(&mut parts, 16_384).expect("a valid head");
                head::prepare(&mut parts, false, &peer).expect("a valid head");
                parts
            },
            BatchSize::SmallInput,
        );
    });
    c.bench_function("head: copied for a retry", |b| {
        b.iter(|| replay::again(black_box(&given)));
    });
}

fn choosing(c: &mut Criterion) {
    let report = Arc::new(Report::new(&mut Telemetry::new()));
    for count in [3, 100] {
        let endpoints: Vec<String> = (0..count).map(|n| format!("127.0.0.1:{}", 10_000 + n)).collect();
        let document = json!({"clusters": {"app": {"endpoints": endpoints}}});
        let specs = config::clusters(&document, &BTreeMap::new()).expect("a valid document");
        let clusters = Clusters::following(&Clusters::default(), specs, 1, &report);
        let cluster = clusters.get("app").expect("it is there");
        let draw = Source::new(1);
        c.bench_function(&format!("endpoint: chosen of {count}"), |b| {
            b.iter(|| cluster.choose(&draw, None).begin());
        });
    }
}

fn budget(c: &mut Criterion) {
    let budget = RetryBudget::new(&Budget::default());
    let now = Instant::now();
    c.bench_function("budget: a request deposited", |b| {
        b.iter(|| budget.deposit(black_box(now)));
    });
    c.bench_function("budget: a retry withdrawn", |b| {
        b.iter(|| budget.withdraw(black_box(now)));
    });
}

criterion_group!(benches, heads, choosing, budget);
criterion_main!(benches);
