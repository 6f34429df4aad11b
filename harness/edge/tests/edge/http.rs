//! HTTP/1.1 on an edge: counted, and faults done to requests and responses. The test writes both ends by hand.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use squall_edge::{
    Direction, EdgeError, HttpAction, HttpFault, HttpMatch, HttpSeen, Latency, Options, PathMatch, ProxySpec,
};

use crate::stage::{Stage, carry, hear, is_silent, noise, rest, say, until};

fn stage() -> Stage {
    Stage::with(Options::default(), |spec| ProxySpec { http: true, ..spec })
}

fn fault(name: &str, matches: HttpMatch, action: HttpAction) -> HttpFault {
    HttpFault {
        name: name.to_owned(),
        matches,
        action,
    }
}

fn abort(status: u16, matches: HttpMatch) -> HttpFault {
    fault(
        "abort",
        matches,
        HttpAction::Abort {
            status,
            body: b"no".to_vec(),
        },
    )
}

fn under(prefix: &str) -> HttpMatch {
    HttpMatch {
        path: PathMatch::Prefix(prefix.to_owned()),
        ..HttpMatch::ALL
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-From: callee\r\n\r\n{body}",
        body.len()
    )
}

const ABORTED: &str = "HTTP/1.1 503 Injected\r\ncontent-length: 2\r\n\r\nno";

fn http(stage: &Stage) -> HttpSeen {
    stage.seen().http.unwrap()
}

/// One request, and the response to it.
#[track_caller]
fn exchange(caller: &TcpStream, callee: &TcpStream, path: &str, body: &str) {
    say(caller, callee, &get(path));
    say(callee, caller, &ok(body));
}

#[test]
fn requests_and_responses_are_counted_and_pass_as_they_are() {
    let stage = stage();
    let (caller, callee) = stage.open();
    exchange(&caller, &callee, "/a", "hello");
    say(
        &caller,
        &callee,
        "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n0\r\n\r\n",
    );
    say(
        &callee,
        &caller,
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    );
    say(&caller, &callee, &[get("/c"), get("/d")].concat());
    say(&callee, &caller, &[ok("1"), ok("2")].concat());
    let expected = HttpSeen {
        requests: 4,
        responses: 4,
        other_connections: 0,
    };
    until("all is counted", || http(&stage) == expected);
}

#[test]
fn a_chunk_that_is_cut_anywhere_is_understood() {
    let stage = stage();
    let (mut caller, mut callee) = stage.open();
    let request = format!(
        "{}{}",
        get("/first"),
        "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    );
    for (number, byte) in request.bytes().enumerate() {
        caller.write_all(&[byte]).unwrap();
        until("it has entered", || {
            stage.seen().direction(Direction::Upstream).entered.bytes == number as u64 + 1
        });
    }
    assert_eq!(hear(&callee, request.len()), request);
    let responses = [ok("one"), ok("two")].concat();
    for byte in responses.bytes() {
        callee.write_all(&[byte]).unwrap();
    }
    assert_eq!(hear(&caller, responses.len()), responses);
    until("all is counted", || {
        (http(&stage).requests, http(&stage).responses) == (2, 2)
    });
}

#[test]
fn what_is_no_http_passes_untouched_and_is_counted() {
    let stage = stage();
    stage.proxy.add_http_fault(abort(503, HttpMatch::ALL)).unwrap();
    let (caller, callee) = stage.open();
    let bytes = [vec![0], noise(1, 200_000)].concat();
    assert!(carry(&caller, &callee, &bytes) == bytes);
    let (caller, callee) = stage.open();
    say(&callee, &caller, "220 a server that speaks first\r\n");
    say(&caller, &callee, "EHLO you\r\n");
    assert_eq!(
        http(&stage),
        HttpSeen {
            requests: 0,
            responses: 0,
            other_connections: 2
        }
    );
}

#[test]
fn an_upgraded_connection_passes_untouched() {
    let stage = stage();
    stage.proxy.add_http_fault(abort(503, under("/never"))).unwrap();
    let (caller, callee) = stage.open();
    say(
        &caller,
        &callee,
        "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    );
    say(
        &callee,
        &caller,
        "HTTP/1.1 101 Switching Protocols\r\n\r\n\u{1}frame",
    );
    say(&caller, &callee, &get("/never"));
    assert_eq!(
        http(&stage),
        HttpSeen {
            requests: 1,
            responses: 1,
            other_connections: 0
        }
    );
}

#[test]
fn an_aborted_request_is_answered_and_never_seen_by_the_callee() {
    let stage = stage();
    let (mut caller, callee) = stage.open();
    exchange(&caller, &callee, "/before", "hello");
    stage.proxy.add_http_fault(abort(503, under("/bad"))).unwrap();
    caller
        .write_all(b"POST /bad HTTP/1.1\r\nContent-Length: 4\r\n\r\nlost")
        .unwrap();
    assert_eq!(hear(&caller, ABORTED.len()), ABORTED);
    // The connection is good for the next.
    exchange(&caller, &callee, "/good", "hello");
    stage.proxy.remove_http_fault("abort").unwrap();
    exchange(&caller, &callee, "/bad", "now it is good");
    let seen = stage.seen();
    assert_eq!(seen.http_faults[0].requests, 1);
    assert!(seen.http_faults[0].first_ns.unwrap() >= seen.http_faults[0].added_ns);
    assert!(seen.http_faults[0].removed_ns.unwrap() >= seen.http_faults[0].last_ns.unwrap());
    let up = seen.direction(Direction::Upstream);
    assert_eq!((up.held_bytes, up.discarded_bytes), (0, 45));
    assert_eq!(
        seen.direction(Direction::Downstream).inserted_bytes,
        ABORTED.len() as u64
    );
}

#[test]
fn answers_keep_the_order_of_the_requests() {
    let stage = stage();
    stage.proxy.add_http_fault(abort(503, under("/bad"))).unwrap();
    let (mut caller, callee) = stage.open();
    caller
        .write_all([get("/1"), get("/bad"), get("/2")].concat().as_bytes())
        .unwrap();
    assert_eq!(
        hear(&callee, get("/1").len() * 2),
        [get("/1"), get("/2")].concat()
    );
    assert!(is_silent(&caller));
    let mut callee = &callee;
    callee
        .write_all([ok("one"), ok("two")].concat().as_bytes())
        .unwrap();
    let expected = [ok("one").as_str(), ABORTED, &ok("two")].concat();
    assert_eq!(hear(&caller, expected.len()), expected);
}

#[test]
fn an_aborted_request_that_ends_the_connection_ends_it() {
    let stage = stage();
    stage.proxy.add_http_fault(abort(429, HttpMatch::ALL)).unwrap();
    let (mut caller, callee) = stage.open();
    caller
        .write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        .unwrap();
    let answer = String::from_utf8(rest(&caller)).unwrap();
    assert_eq!(
        answer,
        "HTTP/1.1 429 Injected\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno"
    );
    caller.shutdown(Shutdown::Write).unwrap();
    assert_eq!(rest(&callee), b"");
    until("it is over", || stage.seen().closed == 1);
}

#[test]
fn faults_match_by_method_pattern_and_number() {
    let stage = stage();
    let matches = HttpMatch {
        path: PathMatch::Regex(r"^/users/\d+$".to_owned()),
        method: Some("GET".to_owned()),
        first: Some(2),
        ..HttpMatch::ALL
    };
    stage.proxy.add_http_fault(abort(503, matches)).unwrap();
    let (mut caller, callee) = stage.open();
    exchange(&caller, &callee, "/users/x", "passes");
    say(&caller, &callee, "DELETE /users/7 HTTP/1.1\r\n\r\n");
    say(&callee, &caller, &ok(""));
    for _ in 0..2 {
        caller.write_all(get("/users/7").as_bytes()).unwrap();
        assert_eq!(hear(&caller, ABORTED.len()), ABORTED);
    }
    exchange(&caller, &callee, "/users/7", "the third passes");
    assert_eq!(stage.seen().http_faults[0].requests, 2);
}

#[test]
fn a_share_of_the_requests_is_drawn_from_the_seed() {
    let aborted = || -> Vec<bool> {
        let stage = stage();
        let half = HttpMatch {
            share: 0.5,
            ..HttpMatch::ALL
        };
        stage.proxy.add_http_fault(abort(503, half)).unwrap();
        let (mut caller, mut callee) = stage.open();
        let one = |_| {
            caller.write_all(get("/").as_bytes()).unwrap();
            let is_aborted = !callee_has_a_request(&callee, &caller);
            if is_aborted {
                assert_eq!(hear(&caller, ABORTED.len()), ABORTED);
            } else {
                assert_eq!(hear(&callee, get("/").len()), get("/"));
                callee.write_all(ok("x").as_bytes()).unwrap();
                assert_eq!(hear(&caller, ok("x").len()), ok("x"));
            }
            is_aborted
        };
        (0..40).map(one).collect()
    };
    let first = aborted();
    let count = first.iter().filter(|one| **one).count();
    assert!((8..=32).contains(&count), "{count}");
    assert_eq!(first, aborted());
}

/// Whether a request reached the callee; otherwise an answer has reached the caller.
fn callee_has_a_request(callee: &TcpStream, caller: &TcpStream) -> bool {
    until("one of both hears something", || {
        !is_silent(callee) || !is_silent(caller)
    });
    !is_silent(callee)
}

#[test]
fn a_delayed_request_goes_on_later_and_what_follows_it_too() {
    let stage = stage();
    let slow = HttpAction::Delay(Latency::of(Duration::from_millis(60)));
    stage
        .proxy
        .add_http_fault(fault("slow", under("/slow"), slow))
        .unwrap();
    let (mut caller, callee) = stage.open();
    exchange(&caller, &callee, "/quick", "x");
    let start = Instant::now();
    let both = [get("/slow"), get("/next")].concat();
    caller.write_all(both.as_bytes()).unwrap();
    caller.shutdown(Shutdown::Write).unwrap();
    assert_eq!(String::from_utf8(rest(&callee)).unwrap(), both);
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[test]
fn a_header_field_is_replaced_added_and_taken_out() {
    let stage = stage();
    let field = |name: &str, value: Option<&str>| HttpAction::Header {
        name: name.to_owned(),
        value: value.map(str::to_owned),
    };
    for (name, action) in [
        ("replace", field("x-from", Some("squall"))),
        ("add", field("Retry-After", Some("1"))),
        ("take", field("X-Gone", None)),
    ] {
        stage
            .proxy
            .add_http_fault(fault(name, HttpMatch::ALL, action))
            .unwrap();
    }
    let (caller, mut callee) = stage.open();
    say(&caller, &callee, &get("/"));
    callee
        .write_all(b"HTTP/1.1 200 OK\r\nX-From: callee\r\nContent-Length: 2\r\nX-Gone: 1\r\n\r\nhi")
        .unwrap();
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-from: squall\r\nRetry-After: 1\r\n\r\nhi";
    assert_eq!(hear(&caller, expected.len()), expected);
}

#[test]
fn a_body_is_replaced_however_the_callee_frames_it() {
    let stage = stage();
    let body = HttpAction::Body(b"{}".to_vec());
    stage
        .proxy
        .add_http_fault(fault("body", HttpMatch::ALL, body))
        .unwrap();
    let (caller, mut callee) = stage.open();
    for framed in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        say(&caller, &callee, &get("/"));
        callee
            .write_all(format!("HTTP/1.1 200 OK\r\nX-A: b\r\n{framed}").as_bytes())
            .unwrap();
        let expected = "HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(hear(&caller, expected.len()), expected);
    }
    say(&caller, &callee, "HEAD / HTTP/1.1\r\n\r\n");
    say(&callee, &caller, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    until("the last write is counted", || {
        stage.seen().direction(Direction::Downstream).held_bytes == 0
    });
}

#[test]
fn an_added_fault_spares_the_request_whose_head_has_begun_to_pass() {
    let stage = stage();
    let (mut caller, callee) = stage.open();
    say(&caller, &callee, "GET / HT");
    stage.proxy.add_http_fault(abort(503, HttpMatch::ALL)).unwrap();
    say(&caller, &callee, "TP/1.1\r\n\r\n");
    say(&callee, &caller, &ok("x"));
    caller.write_all(get("/").as_bytes()).unwrap();
    assert_eq!(hear(&caller, ABORTED.len()), ABORTED);
}

#[test]
fn a_fault_that_cannot_be_done_is_refused() {
    let stage = stage();
    let add = |action| {
        stage
            .proxy
            .add_http_fault(fault("wrong", HttpMatch::ALL, action))
            .unwrap_err()
    };
    let status = add(HttpAction::Abort {
        status: 99,
        body: Vec::new(),
    });
    assert_eq!(
        status.to_string(),
        "HTTP fault wrong: no response has the status 99: use 200 to 599"
    );
    let field = |name: &str, value: &str| HttpAction::Header {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    };
    for action in [
        field("a b", "c"),
        field("Content-Length", "3"),
        field("a", "b\r\nc: d"),
    ] {
        assert!(matches!(add(action), EdgeError::HttpFault { .. }));
    }
    let pattern = HttpMatch {
        path: PathMatch::Regex("(".to_owned()),
        ..HttpMatch::ALL
    };
    assert!(matches!(
        stage.proxy.add_http_fault(abort(503, pattern)),
        Err(EdgeError::HttpFault { .. })
    ));
    assert!(stage.proxy.http_faults().is_empty());
    let plain = Stage::new();
    let refused = plain.proxy.add_http_fault(abort(503, HttpMatch::ALL));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "proxy edge does not read HTTP: make it with `http: true`"
    );
}

#[test]
fn large_bodies_cross_unchanged_while_they_are_read() {
    let stage = stage();
    let (caller, callee) = stage.open();
    let body = noise(9, 3 << 20);
    let mut request = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend_from_slice(&body);
    assert!(carry(&caller, &callee, &request) == request);
    assert_eq!(
        http(&stage),
        HttpSeen {
            requests: 1,
            responses: 0,
            other_connections: 0
        }
    );
}
