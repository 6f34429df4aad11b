//! The service's requests, over real sockets.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use squall_id_generator::http::router;
use squall_id_generator::report::Report;
use squall_id_generator::{
    Clock, Config, Generator, HighWaterMark, ManualClock, Plant, Policy, SERVICE, ShiftedClock, SystemClock,
};
use squall_service_kit::{Host, Launch, Settings, Telemetry};
use support::{Client, ids};

fn start(config: Config, clock: impl Clock + 'static) -> Host {
    let any = "127.0.0.1:0".parse().unwrap();
    let settings = Settings::parse(SERVICE.settings, ["workers=2"]).unwrap();
    let launch = Launch {
        listen: any,
        admin: any,
        data: std::env::temp_dir(),
        peers: BTreeMap::new(),
        settings,
    };
    let mut telemetry = Telemetry::new();
    let report = Arc::new(Report::new(&mut telemetry));
    let generator = Generator::new(
        config,
        clock,
        HighWaterMark::in_memory(),
        Arc::clone(&report) as _,
    );
    Host::start(&launch, router(generator, report), telemetry).unwrap()
}

/// A service whose clock is moved by hand.
struct Stage {
    host: Host,
    client: Client,
    clock: Arc<ManualClock>,
}

impl Stage {
    fn new(policy: Policy) -> Self {
        let clock = Arc::new(ManualClock::at_ms(80_000_000_000));
        let host = start(
            Config {
                policy,
                ..Config::default()
            },
            Arc::clone(&clock),
        );
        let client = Client::connect(host.listen());
        Self { host, client, clock }
    }

    /// One id that needs no waiting for.
    fn id(&mut self) -> u64 {
        let (status, body) = self.client.get("/id");
        assert_eq!(status, 200, "{body}");
        ids(&body)[0]
    }

    /// One id after a step back, time passing only once the step has been noticed.
    fn id_after_step(&mut self) -> u64 {
        let done = AtomicBool::new(false);
        let (clock, admin) = (&self.clock, self.host.admin());
        let noticed = count_rollbacks(admin);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) && count_rollbacks(admin) == noticed {
                    thread::yield_now();
                }
                while !done.load(Ordering::Relaxed) {
                    clock.pass(Duration::from_micros(10));
                    thread::yield_now();
                }
            });
            let (status, body) = self.client.get("/id");
            done.store(true, Ordering::Relaxed);
            assert_eq!(status, 200, "{body}");
            ids(&body)[0]
        })
    }

    fn admin(&self, target: &str) -> String {
        Client::connect(self.host.admin()).get(target).1
    }
}

/// The steps back that the service has told of.
fn count_rollbacks(admin: SocketAddr) -> usize {
    let (_, events) = Client::connect(admin).get("/events");
    events.matches("\"kind\":\"rollback\"").count()
}

/// Ids of several connections at once, each asking `each` times.
fn ids_of_connections(host: &Host, connections: usize, each: usize, target: &str) -> Vec<u64> {
    thread::scope(|scope| {
        let connection = || {
            let mut client = Client::connect(host.listen());
            (0..each)
                .flat_map(|_| ids(&client.get(target).1))
                .collect::<Vec<u64>>()
        };
        let handles: Vec<_> = (0..connections).map(|_| scope.spawn(connection)).collect();
        handles
            .into_iter()
            .flat_map(|handle| handle.join().unwrap())
            .collect()
    })
}

fn repeated(ids: &[u64]) -> usize {
    ids.len() - ids.iter().collect::<HashSet<_>>().len()
}

#[test]
fn one_id_or_many_are_strings_that_increase() {
    let host = start(
        Config {
            node: 5,
            ..Config::default()
        },
        SystemClock::new(),
    );
    let mut client = Client::connect(host.listen());
    let mut all = Vec::new();
    for target in ["/id", "/ids?count=1", "/ids?count=10000", "/id"] {
        let (status, body) = client.get(target);
        assert_eq!(status, 200, "{body}");
        all.extend(ids(&body));
    }
    assert_eq!(all.len(), 10_003);
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(
        all.iter()
            .all(|id| squall_id_generator::layout::parts(*id).1 == 5)
    );
    assert!(host.stop());
}

#[test]
fn every_refusal_is_json_that_says_what_would_be_right() {
    let host = start(Config::default(), SystemClock::new());
    let mut client = Client::connect(host.listen());
    let count = r#"{"error":"count must be a whole number from 1 to 10000, as in /ids?count=100"}"#;
    let cases = [
        ("GET", "/ids", 400, count),
        ("GET", "/ids?count=0", 400, count),
        ("GET", "/ids?count=10001", 400, count),
        ("GET", "/ids?count=many", 400, count),
        (
            "GET",
            "/",
            404,
            r#"{"error":"no such path; there are /id and /ids?count=N"}"#,
        ),
        (
            "GET",
            "/id/",
            404,
            r#"{"error":"no such path; there are /id and /ids?count=N"}"#,
        ),
        ("POST", "/id", 405, r#"{"error":"use GET"}"#),
        ("DELETE", "/ids?count=1", 405, r#"{"error":"use GET"}"#),
    ];
    for (method, target, status, body) in cases {
        assert_eq!(
            client.request(method, target).unwrap(),
            (status, body.to_owned()),
            "{method} {target}"
        );
    }
}

#[test]
fn connections_never_share_an_id() {
    let host = start(Config::default(), SystemClock::new());
    let mut ids = ids_of_connections(&host, 8, 100, "/id");
    ids.extend(ids_of_connections(&host, 4, 10, "/ids?count=1000"));
    assert_eq!((ids.len(), repeated(&ids)), (40_800, 0));
}

#[test]
fn each_defence_shows_in_events_and_metrics() {
    let mut stage = Stage::new(Policy::Backup);
    let mut all = Vec::new();
    for step_us in [-5_000, -20_000, -50_000] {
        all.push(stage.id());
        stage.clock.step_us(step_us);
        all.push(stage.id_after_step());
    }
    let metrics = stage.admin("/metrics");
    assert!(metrics.contains("\nid_generator_backup_active 1\n"), "{metrics}");
    assert!(
        metrics.contains("\nid_generator_last_rollback_seconds 0.05\n"),
        "{metrics}"
    );
    for (name, value) in [
        ("ids", 6),
        ("rollback_spin", 1),
        ("rollback_sleep", 1),
        ("rollback_backup", 1),
        ("rollback_rejected", 0),
    ] {
        let line = format!("\nid_generator_{name}_total {value}\n");
        assert!(metrics.contains(&line), "{line} is missing from {metrics}");
    }
    stage.clock.pass(Duration::from_secs(1));
    all.push(stage.id());
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]));

    let events: Vec<(String, String)> = stage.admin("/events").lines().map(kind_and_text).collect();
    let rollbacks: Vec<&str> = events
        .iter()
        .filter(|(kind, _)| kind == "rollback")
        .map(|(_, text)| text.as_str())
        .collect();
    for (text, (defence, step_ms)) in rollbacks.iter().zip([("spin", 5), ("sleep", 20), ("backup", 50)]) {
        assert!(
            text.starts_with(&format!("defence={defence} step_ms={step_ms} ")),
            "{events:?}"
        );
    }
    let count = |wanted| events.iter().filter(|(kind, _)| kind == wanted).count();
    let counts = ["rollback", "alarm", "backup-entered", "backup-left"].map(count);
    assert_eq!(counts, [3, 2, 1, 1], "{events:?}");
    assert!(
        stage
            .admin("/metrics")
            .contains("\nid_generator_backup_active 0\n")
    );
}

fn kind_and_text(line: &str) -> (String, String) {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    (
        event["kind"].as_str().unwrap().to_owned(),
        event["text"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn the_policy_reject_answers_503_with_the_agreed_words() {
    let mut stage = Stage::new(Policy::Reject);
    let before = stage.id();
    stage.clock.step_us(-50_000);
    for target in ["/id", "/ids?count=3"] {
        let body = r#"{"error":"clock moved backward, reject ID generation"}"#.to_owned();
        assert_eq!(stage.client.get(target), (503, body));
    }
    assert!(
        stage
            .admin("/metrics")
            .contains("\nid_generator_rollback_rejected_total 2\n")
    );
    stage.clock.pass(Duration::from_millis(60));
    assert!(stage.id() > before);
}

#[test]
fn a_lost_sequence_repeats_ids() {
    let host = start(
        Config {
            plant: Plant::LostSequence,
            ..Config::default()
        },
        SystemClock::new(),
    );
    assert!(repeated(&ids_of_connections(&host, 4, 250, "/id")) > 0);
}

#[test]
fn reuse_after_a_rollback_repeats_ids() {
    let clock = Arc::new(ShiftedClock::default());
    let host = start(
        Config {
            plant: Plant::ReuseAfterRollback,
            ..Config::default()
        },
        Arc::clone(&clock),
    );
    let mut ids = ids_of_connections(&host, 4, 250, "/id");
    assert_eq!(repeated(&ids), 0);
    clock.step_us(-50_000);
    ids.extend(ids_of_connections(&host, 4, 250, "/id"));
    assert!(repeated(&ids) > 0);
}
