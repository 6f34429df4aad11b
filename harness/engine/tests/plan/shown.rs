//! A plan in words.

use expect_test::expect;
use squall_engine::plan::show;

use crate::rig::{plan, quick};

const SCENARIO: &str = r#"squall: 1
name: everything
about: One of each.
seed: 42
services:
  feed: { use: gateway, calls: { backend: ids } }
  ids: { use: store, with: { shards: 3, replicas: 2 } }
  own:
    run: [./own, --port, "{port}", --ids, "{ids}"]
    ready: { http: /healthz, within: 3s }
  worker: { run: [worker], ready: { log: "^ready" } }
  db: { at: "127.0.0.1:5432" }
  api: { at: "https://localhost", tls: { insecure: true } }
  cache: { at: "unix:/run/cache.sock" }
load:
  make: { to: ids, http: { get: /id }, rate: 2k/s, arrivals: poisson, timeout: 1s }
  browse: { to: own, http: { post: /b, body: "{}" }, users: 5, think: 20ms, connections: 5 }
  look: { to: own, http: { get: / }, users: 2, think: { from: 1s, to: 3s } }
  read: { to: own, http: { get: / }, users: 2, think: { exponential: 2s } }
phases:
  - { phase: warm-up, for: 5s, measure: false }
  - { phase: steady, for: 20s, baseline: true }
  - phase: back
    for: 10s
    load: { browse: 0x, make: 2x }
    faults:
      - clock: { target: ids, step: -50ms, after: 2s, for: 3s }
      - latency: { from: ids, to: feed, delay: 50ms, jitter: 5ms, after: 6s, for: 2s }
      - partition: { between: [make, ids], after: 6s, for: 2s }
invariants:
  wrote: { reached: "ids.metrics.store_writes_total >= 1" }
expect:
  steady: ["make.p99 < 20ms"]
  clock: ["make.errors == 0%"]
  run: ["ids.unique"]
"#;

#[test]
fn a_plan_says_what_would_run_when_and_what_it_needs() {
    expect![[r#"
        everything: 35.0 s in all, seed 42

        services, in the order in which they start
          ids              bundled store with shards=3 replicas=2
          feed             bundled gateway, calls backend=ids
          own              ./own --port {port} --ids {ids}, ready when GET /healthz answers 2xx, within 3.00 s
          worker           worker, ready when a line matches ^ready, within 10.0 s
          db               already running at 127.0.0.1:5432
          api              already running at localhost:443, over TLS, ANY CERTIFICATE TAKEN
          cache            already running at unix:/run/cache.sock

        loads
          make             GET /id to ids, at most 64 connections, 1.00 s timeout, values read from responses
          browse           POST /b to own, at most 5 connections, 30.0 s timeout
          look             GET / to own, at most 64 connections, 30.0 s timeout
          read             GET / to own, at most 64 connections, 30.0 s timeout

        edges
          feed->ids        through a proxy, which reads HTTP/1.1
          make->ids        through a proxy, which reads HTTP/1.1

        timeline
            0.000 s  warm-up for 5.00 s (not measured)
                       make 2.00k/s, poisson
                       browse 5 users, closed loop, 20.0 ms think time
                       look 2 users, closed loop, 1.00 s to 3.00 s think time
                       read 2 users, closed loop, exponential think time, mean 2.00 s
            5.000 s  steady for 20.0 s (baseline)
                       make 2.00k/s, poisson
                       browse 5 users, closed loop, 20.0 ms think time
                       look 2 users, closed loop, 1.00 s to 3.00 s think time
                       read 2 users, closed loop, exponential think time, mean 2.00 s
           25.000 s  back for 10.0 s
                       make 4.00k/s, poisson
                       browse rests
                       look 2 users, closed loop, 1.00 s to 3.00 s think time
                       read 2 users, closed loop, exponential think time, mean 2.00 s
           27.000 s    clock: steps the realtime clock of ids back by 50ms, for 3.00 s
           31.000 s    latency: delays bytes by 50.0 ms with 5.00 ms of jitter from ids to feed, for 2.00 s
           31.000 s    partition: cuts what goes between make and ids, for 2.00 s

        checks
          ids.unique               unique: what it gives is unique
          ids.monotonic            monotonic: what it gives is monotonic
          wrote                    reached: ids.metrics.store_writes_total >= 1
          steady                   make.p99 < 20ms
          clock                    make.errors == 0%
          run                      ids.unique

        needs
          Linux with pidfds (5.4 or newer), a writable reports folder
          the program ./own, for own
          the program worker, for worker
          clock: the clock fault must reach ids
    "#]]
    .assert_eq(&show(&plan(SCENARIO)));
}

#[test]
fn a_plan_that_was_scaled_down_says_so() {
    let text = show(&quick(SCENARIO));
    assert!(
        text.starts_with("everything: 6.00 s in all, seed 42, phases scaled down\n"),
        "{text}"
    );
}
