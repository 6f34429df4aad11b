//! What is passed on, and what is not: fields, bodies, and messages that two parties might frame differently.

use std::io::{Read as _, Write as _};

use serde_json::json;

use crate::support::upstream::{Act, Seen, Upstream};
use crate::support::{Rig, one};

/// Sends bytes and returns the statuses of all answers until the connection ends or rests, and what the upstream saw.
#[track_caller]
fn send(bytes: &str, answers: usize) -> (Vec<u16>, Vec<Seen>) {
    let upstream = Upstream::well("");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    client.send(bytes);
    let statuses = (0..answers)
        .map_while(|_| client.reply())
        .map(|reply| reply.status)
        .collect();
    (statuses, upstream.seen())
}

/// Such a request must be refused, and nothing of it seen by the upstream.
#[track_caller]
fn refused(bytes: &str) {
    let (statuses, seen) = send(bytes, 2);
    assert_eq!(statuses, [400], "{bytes:?}");
    assert!(seen.is_empty(), "{bytes:?}: {seen:?}");
}

#[test]
fn messages_with_two_lengths_or_none_are_refused() {
    refused("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd");
    refused("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3, 4\r\n\r\nabcd");
    refused("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: +3\r\n\r\nabc");
    refused("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n");
    refused("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n");
    refused("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n");
    refused("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    refused("GET / HTTP/1.1\r\nhost: a\r\ncontent-length : 3\r\n\r\nabc");
    refused("GET / HTTP/1.1\r\nhost: a\r\n folded: 1\r\n\r\n");
}

#[test]
fn requests_for_no_host_or_two_are_refused() {
    for head in ["", "host: a\r\nhost: b\r\n", "host: a b\r\n", "host: me@a\r\n"] {
        let (statuses, seen) = send(&format!("GET / HTTP/1.1\r\n{head}\r\n"), 1);
        assert_eq!(statuses, [400], "{head:?}");
        assert!(seen.is_empty());
    }
}

#[test]
fn of_a_length_and_a_coding_the_coding_counts_and_the_length_is_not_passed_on() {
    let hidden = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (statuses, seen) = send(hidden, 1);
    if statuses == [400] {
        assert!(seen.is_empty());
        return;
    }
    assert_eq!(statuses, [200]);
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].body, "abc");
    assert!(!seen[0].headers.contains_key("content-length"));
}

#[test]
fn a_request_behind_another_is_another() {
    let two = "GET /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nGETGET /b HTTP/1.1\r\nhost: a\r\n\r\n";
    let (statuses, seen) = send(two, 2);
    assert_eq!(statuses, [200, 200]);
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    assert_eq!(lines, ["GET /a", "GET /b"]);
    assert_eq!(seen[0].body, "GET");
}

#[test]
fn chunks_are_framed_anew() {
    let chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let (statuses, seen) = send(chunked, 1);
    assert_eq!(statuses, [200]);
    assert_eq!(seen[0].body, "abcde");
}

#[test]
fn what_is_between_neighbours_is_not_passed_on() {
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: x-mine, keep-alive, host\r\nx-mine: 1\r\nkeep-alive: timeout=5\r\n\
        upgrade: websocket\r\nte: gzip\r\nproxy-connection: keep-alive\r\naccept: */*\r\n\r\n";
    let (statuses, seen) = send(request, 1);
    assert_eq!(statuses, [200]);
    let mut names: Vec<&str> = seen[0].headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "host",
        "via",
        "x-envoy-expected-rq-timeout-ms",
        "x-forwarded-for",
        "x-forwarded-proto",
    ];
    assert_eq!(names, expected);
}

#[test]
fn an_answer_says_what_it_is_and_keeps_what_is_between_neighbours() {
    let upstream = Upstream::well("body");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let reply = rig
        .client()
        .ask("GET / HTTP/1.1\r\nhost: a\r\nx-user-id: u-7\r\n\r\n");
    assert_eq!(reply.field("x-gateway-cluster"), "app");
    assert_eq!(reply.field("x-gateway-route"), "default");
    assert_eq!(reply.field("x-gateway-user"), "u-7");
    assert_eq!((reply.field("connection"), reply.field("x-private")), ("", ""));
    assert_eq!(reply.text(), "body");
}

#[test]
fn a_body_is_asked_for_where_the_client_waits_to_be_asked() {
    let upstream = Upstream::well("");
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\nexpect: 100-continue\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 100"));
    assert_eq!(client.ask("abc").status, 200);
    assert!(!upstream.seen()[0].headers.contains_key("expect"));
    let tea = rig
        .client()
        .ask("GET / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\n\r\n");
    assert_eq!((tea.status, tea.error().as_str()), (417, "expectation"));
}

#[test]
fn tunnels_and_upgrades_are_not_for_a_gateway() {
    let (statuses, seen) = send("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", 1);
    assert_eq!(statuses, [501]);
    assert!(seen.is_empty());
    let (statuses, seen) = send(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
        1,
    );
    assert_eq!(statuses, [200]);
    assert!(!seen[0].headers.contains_key("upgrade"));
}

#[test]
fn an_absolute_target_goes_before_host() {
    let (statuses, seen) = send("GET http://shop.test/a?b HTTP/1.1\r\nhost: other.test\r\n\r\n", 1);
    assert_eq!(statuses, [200]);
    assert_eq!(
        (seen[0].line.as_str(), &seen[0].headers["host"]),
        ("GET /a?b", &"shop.test".parse().unwrap())
    );
}

#[test]
fn bodies_are_passed_on_as_they_come() {
    let (send, pieces) = tokio::sync::mpsc::channel(1);
    let pieces = std::sync::Mutex::new(Some(pieces));
    let upstream = Upstream::start(move |_, _| Act::Pieces(pieces.lock().unwrap().take().unwrap()));
    let rig = Rig::new(&one(&[upstream.address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200"));
    for piece in ["one", "two"] {
        send.blocking_send(piece).unwrap();
        assert_eq!(client.chunk().unwrap(), piece.as_bytes());
    }
    drop(send);
    assert_eq!(client.chunk().unwrap(), b"");
}

#[test]
fn an_endpoint_that_answers_what_nobody_asked_for_is_not_believed() {
    for answer in [
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        "what is this\r\n\r\n",
        "",
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let rig = Rig::new(&one(&[address], &json!({"retry": {"attempts": 0}})));
        let reply = rig.get("/");
        assert_eq!(
            (reply.status, reply.error().as_str()),
            (502, "broken-off"),
            "{answer:?}"
        );
        upstream.join().unwrap();
    }
}

#[test]
fn an_answer_has_the_version_of_the_gateway_and_not_of_the_endpoint() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nbody").unwrap();
        }
    });
    let rig = Rig::new(&one(&[address], &json!({})));
    let mut client = rig.client();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(client.head().starts_with("HTTP/1.1 200"));
    assert_eq!(client.chunk().unwrap(), b"body");
    let mut old = rig.client();
    old.send("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    let head = old.head();
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    assert!(!head.contains("transfer-encoding"), "{head}");
    upstream.join().unwrap();
}
