//! Clients that give up, and callers that only ask: neither hides from a breaker what the calls came to.

use crate::launched::{Breaker, PATIENT};
use crate::server::{Gate, Server};
use crate::wait_until;

/// A breaker on recall that opens once half of five calls have failed, and stays so.
const BREAKS_RECALL: &str = r#"{ "degrade": [{
    "resource": "recall", "grade": 1, "count": 0.5, "timeWindow": 600,
    "minRequestAmount": 5, "statIntervalMs": 600000, "statBuckets": 10
}] }"#;

#[test]
fn recalls_that_hang_are_broken_though_every_client_gives_up_before_they_end() {
    let gate = Gate::default();
    let (recall, model) = (Server::behind(&gate), Server::good());
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let settings = ["recall-timeout=3s", "deadline=60s"];
    let breaker = Breaker::with_rules(BREAKS_RECALL, &peers, &settings);
    for calls in 1..=5 {
        breaker.ask_and_leave("recall is called", || recall.seen.requests() == calls);
    }
    breaker.get_until("/states", |states| states["breakers"]["recall"][0] == "open");
    assert_eq!(breaker.metric("recall_failed_total"), 5);
    // Nobody was there any more for whom the model was to rank.
    assert_eq!(model.seen.requests(), 0);
    gate.open();
}

#[test]
fn a_model_that_hangs_gives_way_to_the_light_one_though_every_client_gives_up_before_it_ends() {
    /// Two do, where each reaches the model in time.
    const CALLS: usize = 20;
    let rules = r#"{ "latency": [{
        "resource": "model", "p99Ms": 100, "slowForMs": 50, "stepMs": 50, "minRequestAmount": 1
    }] }"#;
    let gate = Gate::default();
    let (recall, model, light) = (Server::good(), Server::behind(&gate), Server::good());
    let peers = [("recall", &recall), ("model", &model), ("model-light", &light)];
    let breaker = Breaker::with_rules(rules, &peers, &["recall-timeout=1s", "deadline=1s"]);
    for _ in 0..CALLS {
        let (reached, failed) = (model.seen.requests(), breaker.metric("failed_total"));
        breaker.ask_and_leave("the model is called, or it is too late for that", || {
            model.seen.requests() > reached || breaker.metric("failed_total") > failed
        });
        wait_until("every call to the model is judged", || {
            breaker.metric("model_failed_total") == breaker.metric("model_full_total")
        });
        if breaker.get("/states").1["model"] == "light" {
            break;
        }
    }
    assert_eq!(breaker.get("/states").1["model"], "light");
    gate.open();
}

#[test]
fn whoever_only_asks_a_guard_tells_nothing_good_of_what_it_guards() {
    let recall = Server::start(|_, _| (500, String::new(), "no".to_owned()));
    let model = Server::good();
    let peers = [("recall", &recall), ("model", &model), ("model-light", &model)];
    let breaker = Breaker::with_rules(BREAKS_RECALL, &peers, &PATIENT);
    for _ in 0..50 {
        assert_eq!(breaker.get("/guard/recall").0, 200);
    }
    for _ in 0..5 {
        assert_eq!(breaker.get("/feed").0, 503, "nothing is cached");
    }
    assert_eq!(breaker.get("/states").1["breakers"]["recall"][0], "open");
    assert_eq!(breaker.get("/guard/recall").0, 503);
}
