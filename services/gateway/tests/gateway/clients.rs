//! Clients that stand still, go away or send nonsense: what they hold is let go, and no endpoint is blamed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::protocols::{over_http2, request};
use crate::support::upstream::{Act, Upstream};
use crate::support::{PATIENCE, Rig, eventually, one};

/// More than a connection's buffers take.
static TEXT: LazyLock<String> = LazyLock::new(|| "x".repeat(64 << 20));

/// Long enough for a busy machine to send a head, short enough to wait for.
const HEAD_WITHIN: &str = "head-within=1s";

/// Two endpoints that do the same, either of which one failure ejects, and a gateway before them.
fn pair(script: fn() -> Act, policy: &Value) -> ([Upstream; 2], Rig) {
    // Made now, since it takes a while.
    LazyLock::force(&TEXT);
    let upstreams = [(); 2].map(|()| Upstream::start(move |_, _| script()));
    let rig = blaming(&upstreams.each_ref().map(|upstream| upstream.address), policy);
    (upstreams, rig)
}

/// A gateway that ejects an endpoint after one failure.
fn blaming(endpoints: &[SocketAddr], policy: &Value) -> Rig {
    let mut policy = policy.clone();
    policy["ejection"] = json!({"failures": 1});
    policy["retry"] = json!({"attempts": 0});
    Rig::with(&one(endpoints, &policy), &[HEAD_WITHIN])
}

fn long() -> Act {
    Act::Answer(200, &TEXT)
}

fn asked(upstreams: &[Upstream]) -> usize {
    upstreams.iter().map(|upstream| upstream.seen().len()).sum()
}

/// What a request held is free again, and no endpoint was ejected for it.
#[track_caller]
fn let_go(rig: &Rig) {
    eventually("it is let go", || rig.metric("gateway_in_flight") == 0);
    assert_eq!(
        rig.metric("gateway_ejected_total"),
        0,
        "the endpoint is not to blame"
    );
}

#[test]
fn one_that_takes_no_answer_holds_no_place() {
    let (upstreams, rig) = pair(long, &json!({"deadline": "1s", "limits": {"requests": 1}}));
    let mut deaf = rig.client();
    deaf.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it was asked", || asked(&upstreams) == 1);
    let_go(&rig);
    assert_eq!(rig.metric("gateway_deadline_exceeded_total"), 1);
    eventually("it is cut off", || rig.metric("gateway_connections") == 0);
    let mut next = rig.client();
    next.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(next.head().starts_with("HTTP/1.1 200"));
    drop(deaf);
}

#[test]
fn one_that_takes_no_answer_by_http2_holds_no_place() {
    let (upstreams, rig) = pair(long, &json!({"deadline": "1s"}));
    over_http2(&rig, async |mut sender| {
        let response = sender.send_request(request(http::Method::GET, "")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(asked(&upstreams), 1);
        let_go(&rig);
        eventually("it is cut off", || rig.metric("gateway_connections") == 0);
        drop(response);
    });
}

#[test]
fn one_that_takes_its_answer_so_slowly_that_the_endpoint_gives_up_blames_nobody() {
    let (gave_up, has_given_up) = std::sync::mpsc::channel();
    let addresses = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let gave_up = gave_up.clone();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", TEXT.len());
            stream.write_all(head.as_bytes()).unwrap();
            assert!(stream.write_all(TEXT.as_bytes()).is_err(), "all of it was taken");
            drop(stream);
            gave_up.send(()).unwrap();
        });
        address
    });
    let rig = blaming(&addresses, &json!({}));
    let mut deaf = rig.client();
    deaf.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(deaf.head().starts_with("HTTP/1.1 200"));
    has_given_up.recv_timeout(PATIENCE).unwrap();
    assert!(deaf.rest() < TEXT.len());
    let_go(&rig);
}

#[test]
fn one_that_says_nothing_or_half_a_preface_is_let_go() {
    let (_upstreams, rig) = pair(|| Act::Answer(200, ""), &json!({}));
    let begun = [
        "",
        "PRI",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    let silent = begun.map(|begun| {
        let mut client = rig.client();
        client.send(begun);
        client
    });
    eventually("they are there", || rig.metric("gateway_connections") == 4);
    eventually("they are let go", || rig.metric("gateway_connections") == 0);
    drop(silent);
}

#[test]
fn one_whose_body_is_nonsense_is_told_so() {
    for http2 in [false, true] {
        let (_upstreams, rig) = pair(|| Act::Answer(200, ""), &json!({"http2": http2}));
        let chunk =
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense\r\n";
        let reply = rig.client().ask(chunk);
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (400, "bad-request"),
            "HTTP/2: {http2}"
        );
        let_go(&rig);
    }
}

#[test]
fn one_that_goes_away_in_the_middle_of_its_body_is_forgotten() {
    for http2 in [false, true] {
        let (_upstreams, rig) = pair(|| Act::Answer(200, ""), &json!({"http2": http2}));
        let mut client = rig.client();
        client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc");
        eventually("it is in flight", || rig.metric("gateway_in_flight") == 1);
        drop(client);
        let_go(&rig);
    }
}

#[test]
fn one_that_does_not_send_its_body_ends_at_the_deadline() {
    let (_upstreams, rig) = pair(|| Act::Answer(200, ""), &json!({"deadline": "1s"}));
    let reply = rig
        .client()
        .ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc");
    assert_eq!((reply.status, reply.error().as_str()), (504, "deadline"));
    let_go(&rig);
}

#[test]
fn one_in_a_hurry_blames_nobody_whom_it_takes_longer_to_connect_to() {
    // With a queue of one that is full, nobody is connected any more, and nobody is refused.
    let full = [(); 2].map(|()| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let queued = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener, queued)
    });
    let addresses = full
        .each_ref()
        .map(|(listener, _)| listener.local_addr().unwrap());
    let rig = blaming(&addresses, &json!({}));
    let hurried = "GET / HTTP/1.1\r\nhost: a\r\nx-envoy-upstream-rq-timeout-ms: 100\r\n\r\n";
    assert_eq!(rig.client().ask(hurried).status, 504);
    let_go(&rig);
    // One that gave it time would.
    let patient = rig.client().get("/");
    assert_eq!((patient.status, patient.error().as_str()), (502, "unreachable"));
    assert_eq!(rig.metric("gateway_ejected_total"), 1);
}
