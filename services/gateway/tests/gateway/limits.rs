//! What there may not be too much of, and the end.

use std::time::Duration;

use serde_json::json;

use crate::protocols::{over_http2, request};
use crate::support::client::Client;
use crate::support::upstream::{Act, Upstream};
use crate::support::{PATIENCE, Rig, eventually, one};

/// An upstream that holds each request until what it returns second is dropped.
fn holding() -> (Upstream, std::sync::mpsc::Sender<()>) {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let upstream = Upstream::start(move |_, _| {
        let (send, pieces) = tokio::sync::mpsc::channel(1);
        let held = std::sync::Arc::clone(&held);
        std::thread::spawn(move || {
            let _ = held.lock().unwrap().recv();
            drop(send);
        });
        Act::Pieces(pieces)
    });
    (upstream, release)
}

#[test]
fn what_is_too_much_is_refused_at_once() {
    let (upstream, release) = holding();
    let rig = Rig::new(&one(
        &[upstream.address],
        &json!({"limits": {"requests": 2, "pending": 1}}),
    ));
    let mut clients: Vec<Client> = (0..3).map(|_| rig.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    eventually("two are in flight", || rig.metric("gateway_in_flight") == 2);
    // The third waits, or is about to: then the fourth or it is refused, and none hangs.
    eventually("one is refused", || {
        let mut hurried = rig.client();
        let reply = hurried.ask("GET / HTTP/1.1\r\nhost: a\r\nx-envoy-upstream-rq-timeout-ms: 200\r\n\r\n");
        reply.status == 503 && reply.error() == "overloaded" && reply.field("retry-after") == "1"
    });
    assert!(rig.metric("gateway_overloaded_total") >= 1);
    assert_eq!(upstream.seen().len(), 2);
    drop(release);
    for client in &mut clients {
        assert_eq!(client.reply().unwrap().status, 200);
    }
    eventually("none is in flight", || rig.metric("gateway_in_flight") == 0);
}

#[test]
fn a_body_that_is_too_long_is_refused() {
    let upstream = Upstream::well("");
    let rig = Rig::with(&one(&[upstream.address], &json!({})), &["body-max=10"]);
    assert_eq!(rig.client().post("POST", "0123456789").status, 200);
    let told = rig.client().post("POST", "0123456789a");
    assert_eq!((told.status, told.error().as_str()), (413, "body-too-long"));
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n01234567\r\n0\r\n\r\n";
    let found = rig.client().ask(chunked);
    assert_eq!((found.status, found.error().as_str()), (413, "body-too-long"));
    // None of it counts against the endpoint.
    assert_eq!(rig.metric("gateway_ejected_total"), 0);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_head_that_is_too_long_is_refused() {
    let upstream = Upstream::well("");
    let rig = Rig::with(&one(&[upstream.address], &json!({})), &["head-max=1000"]);
    let head = |length: usize| format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(length));
    assert_eq!(rig.client().ask(&head(900)).status, 200);
    assert_eq!(rig.client().ask(&head(1_000)).status, 431);
    // Longer than what is buffered: refused while it is read.
    assert_eq!(rig.client().ask(&head(200_000)).status, 431);
    assert_eq!(upstream.seen().len(), 1);
}

#[test]
fn a_head_may_be_as_long_as_is_set_whatever_the_version() {
    let upstream = Upstream::well("");
    let rig = Rig::with(&one(&[upstream.address], &json!({})), &["head-max=200000"]);
    let field = "y".repeat(150_000);
    let head = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {field}\r\n\r\n");
    assert_eq!(rig.client().ask(&head).status, 200);
    over_http2(&rig, async |mut sender| {
        let mut request = request(http::Method::GET, "");
        request.headers_mut().insert("x", field.parse().unwrap());
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    });
}

#[test]
fn a_client_that_sends_no_head_is_let_go() {
    let upstream = Upstream::well("");
    let rig = Rig::with(&one(&[upstream.address], &json!({})), &["head-within=50ms"]);
    let mut slow = rig.client();
    slow.send("GET / HTTP/1.1\r\nho");
    assert!(slow.is_closed());
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let upstream = Upstream::start(|_, _| Act::Hang);
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || rig.metric("gateway_in_flight") == 1);
    drop(client);
    eventually("it is given up", || rig.metric("gateway_in_flight") == 0);
    eventually("it is closed", || rig.metric("gateway_connections") == 0);
    assert_eq!(rig.metric("gateway_ejected_total"), 0);
}

#[test]
fn requests_in_flight_are_answered_before_the_end() {
    let (upstream, release) = holding();
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let listen = rig.running.listen();
    let (mut busy, mut idle) = (rig.client(), rig.client());
    busy.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || rig.metric("gateway_in_flight") == 1);
    let stopping = std::thread::spawn(move || rig.running.stop(PATIENCE));
    assert!(idle.is_closed(), "a connection without a request stays");
    eventually("nobody accepts", || std::net::TcpStream::connect(listen).is_err());
    drop(release);
    assert_eq!(busy.reply().unwrap().status, 200);
    assert!(busy.is_closed());
    assert!(stopping.join().unwrap(), "it ended without its requests");
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let upstream = Upstream::start(|_, _| Act::Hang);
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it is in flight", || rig.metric("gateway_in_flight") == 1);
    assert!(!rig.running.stop(Duration::from_millis(50)));
}
