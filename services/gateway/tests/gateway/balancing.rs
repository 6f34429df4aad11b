//! Connections that are used again, endpoints that are taken out and let in.

use serde_json::json;

use crate::support::upstream::{Act, Upstream};
use crate::support::{Rig, eventually, nobody, one};

#[test]
fn connections_are_used_again() {
    let upstream = Upstream::well("");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    for _ in 0..50 {
        client.get("/");
    }
    for _ in 0..50 {
        rig.get("/");
    }
    assert_eq!((upstream.seen().len(), upstream.connections()), (100, 1));
    assert_eq!(rig.metric("gateway_reused_total"), 99);
    assert_eq!(rig.metric("gateway_in_flight"), 0);
}

#[test]
fn requests_are_spread_over_the_endpoints() {
    let upstreams = [Upstream::well("a"), Upstream::well("b")];
    let rig = Rig::new(&one(&[upstreams[0].address, upstreams[1].address], &json!({})));
    let mut client = rig.client();
    for _ in 0..400 {
        client.get("/");
    }
    let counts = [upstreams[0].seen().len(), upstreams[1].seen().len()];
    // 200 each with a standard deviation of 10.
    assert!(
        counts.iter().all(|count| (120..=280).contains(count)),
        "{counts:?}"
    );
}

#[test]
fn an_endpoint_that_refuses_is_ejected_and_no_request_fails() {
    let upstream = Upstream::well("");
    let dead = nobody();
    let policy = json!({"ejection": {"failures": 3, "base": "1h", "max": "1h"}});
    let rig = Rig::new(&one(&[upstream.address, dead], &policy));
    let mut client = rig.client();
    for _ in 0..100 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(rig.metric("gateway_ejected_total"), 1);
    assert_eq!(rig.metric("gateway_retried_total"), 3);
    assert_eq!(upstream.seen().len(), 100);
}

#[test]
fn an_ejection_ends_and_the_endpoint_is_used_again() {
    let upstream = Upstream::well("a");
    let ill = Upstream::start(|number, _| Act::Answer(if number < 2 { 503 } else { 200 }, "b"));
    let policy = json!({"ejection": {"failures": 2, "base": "50ms"}});
    let rig = Rig::new(&one(&[upstream.address, ill.address], &policy));
    eventually("the endpoint is used again", || {
        assert_eq!(rig.get("/").status, 200);
        ill.seen().len() > 5
    });
    assert_eq!(rig.metric("gateway_ejected_total"), 1);
    assert_eq!(rig.metric("gateway_restored_total"), 1);
}

#[test]
fn the_last_endpoint_is_never_ejected() {
    let upstream = Upstream::start(|_, _| Act::Answer(503, ""));
    let policy = json!({"ejection": {"failures": 1}, "retry": {"attempts": 0}});
    let rig = Rig::new(&one(&[upstream.address], &policy));
    for _ in 0..20 {
        assert_eq!(rig.get("/").status, 503);
    }
    assert_eq!(rig.metric("gateway_ejected_total"), 0);
    assert_eq!(upstream.seen().len(), 20);
}

#[test]
fn checks_take_an_endpoint_out_and_let_it_in_again() {
    let (well, other) = (Upstream::well("well"), Upstream::well("other"));
    let policy = json!({
        "health": {"path": "/health", "interval": "10ms", "timeout": "2s", "rise": 2, "fall": 2},
        "ejection": {"failures": 0},
    });
    let rig = Rig::new(&one(&[well.address, other.address], &policy));
    let address = other.address;
    drop(other);
    eventually("the endpoint is down", || {
        rig.metric("gateway_ejected_total") == 1
    });
    let connects = rig.metric("gateway_retried_total");
    for _ in 0..50 {
        assert_eq!(rig.get("/").text(), "well");
    }
    assert_eq!(
        rig.metric("gateway_retried_total"),
        connects,
        "a request met one that was down"
    );
    let _again = Upstream::at(address, |_, _| Act::Answer(200, "again"));
    eventually("the endpoint is used again", || rig.get("/").text() == "again");
    assert_eq!(rig.metric("gateway_restored_total"), 1);
    assert!(rig.metric("gateway_checks_failed_total") >= 2);
}

#[test]
fn a_check_asks_for_its_path_and_anything_but_2xx_is_ill() {
    let ill =
        Upstream::start(|_, seen| Act::Answer(if seen.line == "GET /health" { 500 } else { 200 }, "ill"));
    let well = Upstream::well("well");
    let policy = json!({"health": {"path": "/health", "interval": "10ms", "timeout": "2s", "fall": 1}});
    let rig = Rig::new(&one(&[well.address, ill.address], &policy));
    eventually("the endpoint is down", || {
        rig.metric("gateway_ejected_total") == 1
    });
    for _ in 0..50 {
        assert_eq!(rig.get("/").text(), "well");
    }
    let checks = well
        .seen()
        .iter()
        .filter(|seen| seen.line == "GET /health")
        .count();
    assert!(checks > 0);
}
