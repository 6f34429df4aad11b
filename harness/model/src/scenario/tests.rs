//! Whole scenarios: what is accepted, every error with its place, and that the schema and the walker agree.

mod agreement;
mod errors;
mod robust;
mod vocabulary;

use expect_test::Expect;

use super::*;

/// A scenario with something of everything.
const FULL: &str = r#"squall: 1
name: feed-partition
about: The feed keeps answering while ranking is cut off and the clock steps back.
seed: 7
tags: [smoke, network]
x-shared: &node { node: 7 }

services:
  ids: { use: id-generator, with: *node }
  ranking: { use: ranking, calls: [ids] }
  feed: { use: feed, calls: { ranking: ranking, generator: ids } }
  checkout:
    run: [./checkout, --port, "{port}", "--feed=http://{feed}", --body, '{"a": {{b}', 8080]
    env: { RUST_LOG: warn, DB: "postgres://shop:${PGPASS}@{db.host}:{db.port}/shop", RETRIES: 3 }
    ready: { http: /healthz, within: 10s }
    calls: [feed, db]
    redirect: true
  node: { run: [./node, "{port.http}", "{data}"], ports: [http, raft], ready: { log: "^listening" } }
  db: { at: "127.0.0.1:5432", ready: { tcp: true } }

secrets: [PGPASS]

load:
  refresh:
    to: feed
    http: { get: "/feed/{user}" }
    rate: 2k/s
    arrivals: poisson
    connections: 64
    timeout: 1s
    data:
      user: { zipf: { n: 100000, s: 1.1 } }
      order: { sequence: { from: 1 } }
      size: { uniform: [1, 10] }
      kind: { choice: { a: 3, b: 1 } }
      other: { choice: [a, 1] }
      item: { csv: items.csv, pick: random }
      event: { jsonl: events.jsonl }
  browse: { to: checkout, users: 50, think: 1.5s, http: { get: / } }

phases:
  - { phase: warm-up, for: 5s, measure: false }
  - { phase: steady, for: 20s, baseline: true }
  - phase: cut
    for: 20s
    faults:
      - partition: { as: cut-ranking, between: [feed, ranking], after: 2s, for: 10s }
      - clock: { target: ids, step: -50ms, after: 5s, through: spike }
      - down
  - { phase: spike, for: 10s, load: { refresh: 5x, browse: { users: 100 } } }
  - { phase: other, for: 1m, load: { refresh: { rate: 1k/s, arrivals: { ramp: { to: 3k/s } } } } }

expect:
  steady: [ "refresh.p99 < 20ms", "refresh.errors == 0%" ]
  cut-ranking: [ "refresh.errors < 1%" ]
  clock: [ "ids.unique" ]
  run: [ "cut-ranking.recovery < 2s", "refresh.achieved > 99%" ]

invariants:
  orders: { complete: { sent: "place /id", seen: "list /id" } }

generator: { threads: 2 }
"#;

/// The environment of the tests.
fn environment(name: &str) -> Option<String> {
    match name {
        "PGPASS" => Some("s3cret{ids}".to_owned()),
        "EMPTY" => Some(String::new()),
        "SECONDS" => Some("5s".to_owned()),
        "THREE" => Some("3".to_owned()),
        _ => None,
    }
}

/// The plain form of everything that is found.
fn findings(text: &str) -> String {
    let (_, diagnostics, sources) = parse("s.yaml", text, &environment);
    diagnostics.display(&sources).to_string()
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&findings(text));
}

/// The smallest scenario around `sections`.
fn around(sections: &str) -> String {
    let mut text = "squall: 1\nname: s\n".to_owned();
    for (key, default) in [
        ("services", "services: { ids: { use: id-generator } }\n"),
        (
            "load",
            "load: { make: { to: ids, http: { get: /id }, rate: 1k/s } }\n",
        ),
        ("phases", "phases: [ { phase: steady, for: 10s } ]\n"),
    ] {
        if !sections.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            text.push_str(default);
        }
    }
    text + sections
}

#[test]
fn the_full_scenario_is_read() {
    let (scenario, diagnostics, sources) = parse("s.yaml", FULL, &environment);
    assert!(diagnostics.is_empty(), "{}", diagnostics.display(&sources));
    let scenario = scenario.unwrap();
    assert_eq!(scenario.seed, Some(7));
    assert_eq!(
        scenario.services.names().collect::<Vec<_>>(),
        ["ids", "ranking", "feed", "checkout", "node", "db"]
    );
    let checkout = scenario.services.get("checkout").unwrap();
    let argv = &checkout.run.as_ref().unwrap().argv;
    assert_eq!(
        argv.iter().map(ToString::to_string).collect::<Vec<_>>()[5..],
        ["{\"a\": {{b}", "8080"]
    );
    // What the environment gave is no placeholder, though it looks like one.
    let database = checkout.env.get("DB").unwrap();
    let names: Vec<&str> = database.placeholders().map(|name| name.value.as_str()).collect();
    assert_eq!(names, ["db.host", "db.port"]);
    assert_eq!(
        sources.slice(database.placeholders().next().unwrap().span),
        "{db.host}"
    );
    let faults: Vec<(usize, &str)> = scenario
        .faults()
        .map(|(at, fault)| (at, fault.name().value))
        .collect();
    assert_eq!(faults, [(2, "cut-ranking"), (2, "clock"), (2, "down")]);
    let (_, clock) = scenario.faults().nth(1).unwrap();
    assert_eq!(
        clock.params.to_json(),
        serde_json::json!({"target": "ids", "step": "-50ms"})
    );
    let calls = &scenario.services.get("feed").unwrap().calls.0;
    assert_eq!(
        (calls[1].role.as_str(), calls[1].service.as_str()),
        ("generator", "ids")
    );
    assert_eq!(scenario.load.get("refresh").unwrap().protocol.kind.value, "http");
    assert_eq!(scenario.phase("cut").unwrap().0, 2);
}

#[test]
fn the_environment_is_read_where_a_value_asks_for_it() {
    let text = around(
        "about: \"$${NAME} ${EMPTY:-none}\"\nseed: ${THREE}\nphases: [ { phase: a, for: \"${SECONDS}\" }, { phase: b, for: \"${NONE:-7s}\" } ]\n",
    );
    let (scenario, diagnostics, sources) = parse("s.yaml", &text, &environment);
    assert!(diagnostics.is_empty(), "{}", diagnostics.display(&sources));
    let scenario = scenario.unwrap();
    assert_eq!(scenario.about.as_deref(), Some("${NAME} none"));
    assert_eq!(scenario.seed, Some(3));
    let lengths: Vec<u64> = scenario
        .phases
        .iter()
        .map(|phase| phase.duration.as_secs())
        .collect();
    assert_eq!(lengths, [5, 7]);
}

#[test]
fn overrides_reach_every_value() {
    let overrides: Vec<String> = [
        "load.refresh.rate=1k/s",
        "phases.steady.for=2s",
        "phases.cut.faults.cut-ranking.after=1s",
        "phases.cut.faults.clock.step=-5ms",
        "phases.4.for=3s",
        "services.ids.with={ node: 9 }",
        "generator.threads=1",
        "seed=9",
    ]
    .map(str::to_owned)
    .to_vec();
    let (scenario, diagnostics, sources) = parse_with("s.yaml", FULL, &overrides, &environment);
    assert!(diagnostics.is_empty(), "{}", diagnostics.display(&sources));
    let scenario = scenario.unwrap();
    assert_eq!(
        scenario.load.get("refresh").unwrap().rate.unwrap().to_string(),
        "1k/s"
    );
    assert_eq!(scenario.phase("steady").unwrap().1.duration.as_secs(), 2);
    assert_eq!(scenario.phases[4].duration.as_secs(), 3);
    let faults: Vec<String> = scenario
        .faults()
        .map(|(_, fault)| fault.params.to_json().to_string())
        .collect();
    assert!(faults[1].contains("-5ms"), "{faults:?}");
    assert_eq!(scenario.seed, Some(9));
}
