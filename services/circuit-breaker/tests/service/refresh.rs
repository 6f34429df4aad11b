//! Refreshes: over which connections, what of them fails, and what is said of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;

use crate::launched::{Breaker, PATIENT};
use crate::server::{Gate, Server, ok};
use crate::wait_until;

#[test]
fn a_refresh_is_served_over_connections_that_are_kept() {
    let (recall, model, light) = (Server::good(), Server::good(), Server::good());
    let peers = [("recall", &recall), ("model", &model), ("model-light", &light)];
    let breaker = Breaker::start(&peers, &[&["workers=2"], &PATIENT[..]].concat());
    for _ in 0..50 {
        let (status, answer) = breaker.get("/feed");
        assert_eq!(status, 200);
        assert_eq!(
            (&answer["card"], &answer["recall"], &answer["model"]),
            (&"feed".into(), &"live".into(), &"full".into())
        );
        assert!(answer["admitted_us"].is_u64());
    }
    let of = |server: &Server| (server.seen.connections(), server.seen.requests());
    assert_eq!((of(&recall), of(&model), of(&light)), ((1, 50), (1, 50), (0, 0)));
}

#[test]
fn the_model_ranks_what_was_recalled() {
    let recall = Server::start(|_, _| (200, String::new(), "seventeen songs".to_owned()));
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &PATIENT);
    assert_eq!(breaker.get("/feed").0, 200);
    assert_eq!(recall.seen.bodies(), [""]);
    assert_eq!(model.seen.bodies(), ["seventeen songs"]);
}

#[test]
fn a_connection_that_was_closed_meanwhile_fails_no_refresh() {
    let closes = Server::start(|_, _| (200, "connection: close\r\n".to_owned(), "ok".to_owned()));
    let model = Server::good();
    let peers = [("recall", &closes), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &PATIENT);
    for _ in 0..50 {
        assert_eq!(breaker.get("/feed").1["recall"], "live");
    }
}

#[test]
fn recall_that_fails_is_served_from_the_cache_once_there_is_something_in_it() {
    let status = Arc::new(AtomicU16::new(503));
    let told = Arc::clone(&status);
    let recall = Server::start(move |_, _| (told.load(Ordering::Acquire), String::new(), "ok".into()));
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &PATIENT);
    let (code, answer) = breaker.get("/feed");
    assert_eq!(code, 503, "{answer}");
    status.store(200, Ordering::Release);
    assert_eq!(breaker.get("/feed").1["recall"], "live");
    status.store(500, Ordering::Release);
    let (code, answer) = breaker.get("/feed");
    assert_eq!((code, &answer["recall"]), (200, &"cache".into()));
}

/// Recall never answers, and the model has what is left of the deadline.
#[test]
fn recall_that_hangs_leaves_time_for_the_model() {
    let (gate, hangs) = (Gate::default(), Arc::new(AtomicBool::new(false)));
    let (shut, told) = (gate.clone(), Arc::clone(&hangs));
    let recall = Server::start(move |_, _| {
        if told.load(Ordering::Acquire) {
            shut.wait();
        }
        ok()
    });
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::start(&peers, &["recall-timeout=500ms", "deadline=50s"]);
    // On a busy machine the first may take longer than recall may.
    breaker.get_until("/feed", |answer| answer["recall"] == "live");
    hangs.store(true, Ordering::Release);
    let (code, answer) = breaker.get("/feed");
    assert_eq!((code, &answer["recall"]), (200, &"cache".into()));
    gate.open();
}

#[test]
fn a_model_that_fails_or_is_late_fails_the_refresh_with_the_gateways_statuses() {
    let cases = [
        ("fails", "deadline=60s", 502),
        ("hangs", "deadline=1s", 504),
        ("talks", "deadline=60s", 502),
    ];
    for (behaviour, deadline, expected) in cases {
        let gate = Gate::default();
        let shut = gate.clone();
        let recall = Server::good();
        let model = Server::start(move |_, _| match behaviour {
            "fails" => (500, String::new(), "no".to_owned()),
            "hangs" => {
                shut.wait();
                ok()
            }
            _ => (200, String::new(), "x".repeat(5_000)),
        });
        let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
        let breaker = Breaker::start(&peers, &[deadline, "recall-timeout=30s", "answer-max=4096"]);
        // On a busy machine a second may be over before the model is called.
        breaker.get_until("/feed", |_| model.seen.requests() > 0);
        let (code, answer) = breaker.get("/feed");
        assert_eq!(code, expected, "{behaviour}: {answer}");
        assert!(
            answer["error"]
                .as_str()
                .is_some_and(|text| text.contains("model"))
        );
        gate.open();
    }
}

/// The first calls are held until all clients have asked: only as many come to recall as there may be connections.
#[test]
fn no_more_connections_are_opened_than_may_be() {
    const CLIENTS: u64 = 8;
    let gate = Gate::default();
    let (recall, model) = (Server::behind(&gate), Server::good());
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let settings = ["connections=2", "deadline=60s", "recall-timeout=50s", "workers=2"];
    let breaker = Breaker::start(&peers, &settings);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| (0..5).for_each(|_| assert_eq!(breaker.get("/feed").1["recall"], "live")));
        }
        wait_until("all have asked, and two were let through", || {
            breaker.metric("requests_total") == CLIENTS && recall.seen.requests() == 2
        });
        gate.open();
    });
    assert_eq!((recall.seen.connections(), recall.seen.requests()), (2, 40));
}

#[test]
fn what_cannot_be_answered_is_said_in_http() {
    let server = Server::good();
    let peers = [("recall", &server), ("model", &server), ("model-light", &server)];
    let breaker = Breaker::start(&peers, &[]);
    for (path, status) in [
        ("/nowhere", 404),
        ("/guard/unknown", 404),
        ("/rules/versions", 502),
    ] {
        let (code, answer) = breaker.get(path);
        assert_eq!((code, answer["error"].is_string()), (status, true), "{path}");
    }
    assert_eq!(breaker.get("/guard/feed").0, 200);
    let url = format!("http://{}/feed", breaker.host.listen());
    assert_eq!(breaker.agent.post(&url).send("x").unwrap().status().as_u16(), 405);
}

/// Its turn would come after a minute, and nobody waits longer than the deadline.
#[test]
fn a_place_in_a_queue_is_not_waited_for_beyond_the_deadline() {
    let server = Server::good();
    let peers = [("recall", &server), ("model", &server), ("model-light", &server)];
    let queue =
        r#"[{ "resource": "slow", "count": 0.016, "controlBehavior": 2, "maxQueueingTimeMs": 100000 }]"#;
    let breaker = Breaker::with_rules(queue, &peers, &["deadline=1s"]);
    assert_eq!(breaker.get("/guard/slow").0, 200);
    assert_eq!(breaker.get("/guard/slow").0, 429);
}

#[test]
fn a_second_breaker_of_a_resource_has_a_name_of_its_own() {
    let rules = r#"{ "degrade": [
        { "resource": "recall", "grade": 2, "count": 1, "timeWindow": 600, "minRequestAmount": 1 },
        { "resource": "recall", "grade": 2, "count": 0, "timeWindow": 600, "minRequestAmount": 1 }
    ] }"#;
    let recall = Server::start(|_, _| (500, String::new(), "no".to_owned()));
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::with_rules(rules, &peers, &PATIENT);
    assert_eq!(breaker.get("/feed").0, 503);
    assert_eq!(
        breaker.get("/states").1["breakers"]["recall"],
        serde_json::json!(["closed", "open"])
    );
    let events = breaker.events();
    let of: Vec<_> = events
        .iter()
        .filter_map(|event| event["transition"]["of"].as_str())
        .collect();
    assert_eq!(of, ["recall#1"]);
}
