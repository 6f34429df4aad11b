//! What it costs to write a request: one that is always the same, which is the hot path, and one with values.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use squall_load::data::{Feeds, Uniform, Zipf, feed_seed};
use squall_load::http1::RequestTemplate;
use squall_load::protocol::Keep;
use squall_load::text::{Escape, Slot};
use squall_load::{Protocol as _, Target, Text};
use squall_model::seed::Seed;

fn with_values() -> RequestTemplate {
    let seed = |name| feed_seed(Seed::new(7), name);
    let value = |before: &str, name: &str, feed: u16| {
        let mut text = Text::from(before);
        text.push_value(name, Slot::Drawn { feed, field: 0 }, Escape::None);
        text
    };
    RequestTemplate {
        feeds: Feeds::new(vec![
            Arc::new(Zipf::new(100_000, 1.1, seed("user")).expect("a law")),
            Arc::new(Uniform::new(1, 10, seed("size")).expect("bounds")),
        ]),
        body: value("size=", "size", 1),
        ..RequestTemplate::get(value("/feed/", "user", 0))
    }
}

fn write(c: &mut Criterion) {
    let target = Target {
        addr: SocketAddr::from(([127, 0, 0, 1], 80)).into(),
        host: "127.0.0.1:80".into(),
        tls: None,
    };
    let mut group = c.benchmark_group("write");
    for (name, template) in [
        ("constant", RequestTemplate::get("/feed/7")),
        ("values", with_values()),
    ] {
        let dialect = template
            .dialect(&target, Keep::default())
            .expect("it can be written");
        let mut out = Vec::with_capacity(4096);
        group.bench_function(name, |bench| {
            let mut number = 0;
            bench.iter_batched_ref(
                || dialect.session(),
                |session| {
                    out.clear();
                    number += 1;
                    session.start(0, number, &mut out);
                    black_box(&out);
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, write);
criterion_main!(benches);
