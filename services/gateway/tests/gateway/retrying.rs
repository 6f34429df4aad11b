//! Requests that are sent again, and those that are not; deadlines.

use serde_json::json;

use crate::support::upstream::{Act, Upstream};
use crate::support::{Rig, eventually, nobody, one};

/// An upstream whose first `count` answers are what `act` makes, and then 200.
fn first(count: usize, act: impl Fn() -> Act + Send + Sync + 'static) -> Upstream {
    Upstream::start(move |number, _| {
        if number < count {
            act()
        } else {
            Act::Answer(200, "well")
        }
    })
}

#[test]
fn an_error_of_an_endpoint_is_tried_again_and_not_seen() {
    let upstream = first(2, || Act::Answer(503, "ill"));
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let reply = rig.get("/");
    assert_eq!((reply.status, reply.field("x-gateway-attempts")), (200, "3"));
    assert_eq!(rig.metric("gateway_retried_total"), 2);
}

#[test]
fn a_broken_connection_is_tried_again_with_the_same_body() {
    let upstream = first(1, || Act::Reset);
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let reply = rig.client().post("PUT", "kept");
    assert_eq!(reply.status, 200);
    let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["kept", "kept"]);
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    let upstream = first(1, || Act::Reset);
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let reply = rig.client().post("POST", "once");
    assert_eq!((reply.status, reply.error().as_str()), (502, "broken-off"));
    let ill = first(1, || Act::Answer(503, "ill"));
    let rig = Rig::new(&one(&[ill.address], &json!({})));
    assert_eq!(rig.client().post("POST", "once").status, 503);
    assert_eq!((upstream.seen().len(), ill.seen().len()), (1, 1));
}

#[test]
fn what_never_reached_an_endpoint_goes_to_another_whatever_it_is() {
    let upstream = Upstream::well("well");
    let rig = Rig::new(&one(&[nobody(), upstream.address], &json!({})));
    for _ in 0..20 {
        assert_eq!(rig.client().post("POST", "new").status, 200);
    }
    assert_eq!(upstream.seen().len(), 20);
    let seen = upstream.seen();
    assert!(seen.iter().all(|seen| seen.body == "new"));
}

#[test]
fn a_connection_that_was_closed_while_unused_costs_no_attempt() {
    let mut upstream = Upstream::well("first");
    let rig = Rig::new(&one(&[upstream.address], &json!({"retry": {"attempts": 0}})));
    for _ in 0..5 {
        assert_eq!(rig.client().post("POST", "new").status, 200);
        let address = upstream.address;
        drop(upstream);
        upstream = Upstream::at(address, |_, _| Act::Answer(200, "again"));
    }
    assert_eq!(rig.metric("gateway_retried_total"), 0);
}

#[test]
fn retries_stay_within_their_budget() {
    let upstream = Upstream::start(|_, _| Act::Answer(503, "ill"));
    let budget = json!({"retry": {"budget": {"ratio": 0.25, "min_per_second": 0.0, "window": "60s"}}});
    let rig = Rig::new(&one(&[upstream.address], &budget));
    let mut client = rig.client();
    for _ in 0..100 {
        // The endpoint's own answer, where it may not be asked again.
        let reply = client.get("/");
        assert_eq!((reply.status, reply.text().as_str()), (503, "ill"));
    }
    assert_eq!(upstream.seen().len(), 125);
    assert_eq!(rig.metric("gateway_retried_total"), 25);
    assert!(rig.metric("gateway_budget_exhausted_total") >= 75);
}

#[test]
fn there_are_no_more_attempts_than_the_policy_has() {
    let upstream = Upstream::start(|_, _| Act::Answer(503, "ill"));
    let rig = Rig::new(&one(&[upstream.address], &json!({"retry": {"attempts": 4}})));
    let reply = rig.get("/");
    assert_eq!((reply.status, reply.field("x-gateway-attempts")), (503, "5"));
    let rig = Rig::new(&one(&[upstream.address], &json!({"retry": {"statuses": []}})));
    assert_eq!(rig.get("/").field("x-gateway-attempts"), "");
    assert_eq!(upstream.seen().len(), 6);
}

#[test]
fn where_nobody_listens_that_is_said() {
    let rig = Rig::new(&one(&[nobody()], &json!({})));
    let reply = rig.get("/");
    assert_eq!((reply.status, reply.error().as_str()), (502, "unreachable"));
    assert!(reply.text().contains("app/127.0.0.1"), "{}", reply.text());
}

#[test]
fn a_request_ends_at_its_deadline() {
    let upstream = Upstream::start(|_, _| Act::Hang);
    let rig = Rig::new(&one(&[upstream.address], &json!({"deadline": "50ms"})));
    let reply = rig.get("/");
    assert_eq!((reply.status, reply.error().as_str()), (504, "deadline"));
    assert_eq!(rig.metric("gateway_deadline_exceeded_total"), 1);
    // There was no time left for another attempt.
    assert_eq!(rig.metric("gateway_retried_total"), 0);
}

#[test]
fn a_slow_attempt_makes_way_for_another_within_the_deadline() {
    let upstream = first(1, || Act::Hang);
    let rig = Rig::new(&one(
        &[upstream.address],
        &json!({"retry": {"attempt_timeout": "50ms"}}),
    ));
    let reply = rig.get("/");
    assert_eq!((reply.status, reply.field("x-gateway-attempts")), (200, "2"));
}

#[test]
fn a_client_may_be_in_a_hurry_and_an_endpoint_is_told() {
    let upstream = Upstream::start(|number, _| {
        if number == 0 {
            Act::Hang
        } else {
            Act::Answer(200, "")
        }
    });
    let rig = Rig::new(&one(&[upstream.address], &json!({"deadline": "20s"})));
    let hurried = "GET / HTTP/1.1\r\nhost: a\r\nx-envoy-upstream-rq-timeout-ms: 60\r\n\r\n";
    assert_eq!(rig.client().ask(hurried).status, 504);
    assert_eq!(rig.get("/").status, 200);
    let told: Vec<u64> = upstream
        .seen()
        .iter()
        .map(|seen| {
            seen.headers["x-envoy-expected-rq-timeout-ms"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    assert!(told[0] <= 60 && (60..=20_000).contains(&told[1]), "{told:?}");
}

#[test]
fn an_answer_that_stops_in_the_middle_ends_at_the_deadline() {
    let (send, pieces) = tokio::sync::mpsc::channel(1);
    let pieces = std::sync::Mutex::new(Some(pieces));
    let upstream = Upstream::start(move |_, _| Act::Pieces(pieces.lock().unwrap().take().unwrap()));
    let rig = Rig::new(&one(&[upstream.address], &json!({"deadline": "300ms"})));
    let mut client = rig.client();
    send.blocking_send("first").unwrap();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200"));
    assert_eq!(client.chunk().unwrap(), b"first");
    // Cut off, so that nobody takes it for whole.
    assert_eq!(client.chunk(), None);
    assert_eq!(rig.metric("gateway_deadline_exceeded_total"), 1);
    drop(send);
}

#[test]
fn a_slow_endpoint_is_waited_for_within_the_deadline() {
    let (upstream, answer) = Upstream::slow("slow");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it was asked", || upstream.seen().len() == 1);
    drop(answer);
    assert_eq!(client.reply().unwrap().text(), "slow");
}
