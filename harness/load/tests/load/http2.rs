//! HTTP/2 against hyper: many requests at once, resets, GOAWAY, flow control, timeouts.

use std::sync::Arc;
use std::time::Duration;

use squall_load::check::Wanted;
use squall_load::http1::RequestTemplate;
use squall_load::http2::Http2;
use squall_load::{Arrivals, Checks, LoadSpec};

use crate::data::{template, text};
use crate::hyper_server::{HyperServer, Manner, Seen};
use crate::rig::{load, open, run};
use crate::server::Server;

pub(crate) fn spoken(manner: Manner) -> Manner {
    Manner {
        http2: true,
        ..manner
    }
}

/// A load on `server` of `streams` requests at once on a connection.
pub(crate) fn asking(server: &HyperServer, streams: usize) -> LoadSpec {
    let request = RequestTemplate::get("/");
    LoadSpec {
        protocol: Arc::new(Http2 { request, streams }),
        ..load("h2", server.addr)
    }
}

#[test]
fn one_connection_carries_what_many_would() {
    let server = HyperServer::start(spoken(Manner {
        delay: Duration::from_millis(20),
        ..Manner::default()
    }));
    let spec = LoadSpec {
        connections: 1,
        ..asking(&server, 100)
    };
    // Of 500 requests each second, ten wait for their answers at any time.
    let told = run(spec, open(500.0), 400);
    let totals = told.of(0, 0);
    assert_eq!(
        (totals.intended, totals.completed, totals.failed),
        (200, 200, 0),
        "{totals:?}"
    );
    assert_eq!(
        (Seen::count(&server.seen.accepted), totals.connections_opened),
        (1, 1)
    );
    assert!(Seen::count(&server.seen.at_once_max) > 3, "{:?}", server.seen);
}

#[test]
fn users_share_connections() {
    let server = HyperServer::start(spoken(Manner::default()));
    let spec = LoadSpec {
        connections: 2,
        ..asking(&server, 8)
    };
    let users = Arrivals::Closed {
        users: 16,
        think: Duration::from_millis(1).into(),
    };
    let told = run(spec, users, 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.failed, totals.aborted), (0, 0), "{totals:?}");
    assert!(totals.completed >= 16);
    assert!(Seen::count(&server.seen.accepted) <= 2);
    assert!(Seen::count(&server.seen.at_once_max) <= 8);
}

#[test]
fn the_servers_limit_of_streams_is_kept() {
    let server = HyperServer::start(spoken(Manner {
        streams: Some(3),
        delay: Duration::from_millis(5),
        ..Manner::default()
    }));
    let spec = LoadSpec {
        connections: 1,
        ..asking(&server, 100)
    };
    let told = run(spec, open(1_000.0), 100);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (100, 0), "{totals:?}");
    assert!(Seen::count(&server.seen.at_once_max) <= 3, "{:?}", server.seen);
}

#[test]
fn resets_fail_their_own_requests() {
    let server = HyperServer::start(spoken(Manner {
        reset_every: Some(3),
        ..Manner::default()
    }));
    let told = run(asking(&server, 100), open(600.0), 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (120, 40), "{totals:?}");
    assert_eq!(told.errors(0, 0), [("reset".to_owned(), 40)]);
    assert!(
        totals.examples[0].1.contains("the target reset the stream"),
        "{totals:?}"
    );
}

#[test]
fn goaway_amid_requests_loses_none_from_the_books() {
    let server = HyperServer::start(spoken(Manner {
        goaway_after: Some(20),
        delay: Duration::from_millis(5),
        ..Manner::default()
    }));
    let told = run(asking(&server, 100), open(1_000.0), 300);
    let totals = told.of(0, 0);
    assert_eq!((totals.intended, totals.completed), (300, 300), "{totals:?}");
    assert!(totals.connections_opened >= 5, "{totals:?}");
    // Those that crossed the GOAWAY on the wire were never taken up; the others ended as if nothing had been said.
    let errors = told.errors(0, 0);
    assert!(errors.iter().all(|(kind, _)| kind == "closed"), "{errors:?}");
    assert!(totals.failed <= 100, "{totals:?}");
}

#[test]
fn large_bodies_pass_narrow_windows() {
    let server = HyperServer::start(spoken(Manner {
        window: Some(1_000),
        ..Manner::default()
    }));
    let body: Vec<u8> = (0..300_000_u32).map(|n| b'a' + (n % 26) as u8).collect();
    let request = RequestTemplate {
        method: "POST".into(),
        path: "/".into(),
        body: body.into(),
        ..RequestTemplate::default()
    };
    let spec = LoadSpec {
        protocol: Arc::new(Http2 { request, streams: 4 }),
        ..load("h2", server.addr)
    };
    let told = run(spec, open(50.0), 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (10, 0), "{totals:?}");
    assert!(totals.bytes_in > 10 * 300_000, "{totals:?}");
}

#[test]
fn a_timeout_gives_up_its_stream_and_keeps_the_connection() {
    let server = HyperServer::start(spoken(Manner {
        hangs: Some("/"),
        ..Manner::default()
    }));
    let spec = LoadSpec {
        timeout: Duration::from_millis(50),
        connections: 1,
        ..asking(&server, 100)
    };
    let told = run(spec, open(200.0), 200);
    let totals = told.of(0, 0);
    assert_eq!(told.errors(0, 0), [("timeout".to_owned(), 40)]);
    assert_eq!((totals.completed, totals.connections_opened), (40, 1));
    // The server was told of all but perhaps the last.
    assert!(Seen::count(&server.seen.given_up) >= 30, "{:?}", server.seen);
}

#[test]
fn values_are_read_from_bodies() {
    let server = HyperServer::start(spoken(Manner::default()));
    let spec = LoadSpec {
        extract: vec![crate::values::extraction("/n", false)],
        ..asking(&server, 100)
    };
    let told = run(spec, open(200.0), 100);
    assert_eq!(told.of(0, 0).failed, 0);
    assert!(!told.values.is_empty());
}

#[test]
fn requests_have_values_of_their_own_and_answers_are_checked() {
    let server = HyperServer::start(spoken(Manner::default()));
    // Of the items the second would break the message; the body comes back, and only the first is as wanted.
    let request = RequestTemplate {
        method: "POST".into(),
        body: text("n=", "order", 0),
        checks: Checks {
            headers: vec![("content-length".into(), Wanted::Text("5".into()))],
            body: Some(Wanted::Text("n=100".into())),
            ..Checks::default()
        },
        ..template(b"item\na b\n\"c\nd\"\n")
    };
    let spec = LoadSpec {
        protocol: Arc::new(Http2 { request, streams: 4 }),
        ..load("h2", server.addr)
    };
    let told = run(spec, open(100.0), 100);
    assert_eq!(
        told.errors(0, 0),
        [("render".to_owned(), 5), ("check_body".to_owned(), 4)]
    );
    assert_eq!(told.of(0, 0).completed, 10);
    assert_eq!(
        Seen::count(&server.seen.requests),
        5,
        "the others were never sent"
    );
}

#[test]
fn a_target_of_http1_alone_is_named() {
    let server = Server::start(|_| {
        vec![crate::server::Step::Send(
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        )]
    });
    let request = RequestTemplate::get("/");
    let spec = LoadSpec {
        protocol: Arc::new(Http2 { request, streams: 10 }),
        ..load("h2", server.addr)
    };
    let told = run(spec, open(100.0), 50);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (5, 5), "{totals:?}");
    assert_eq!(told.errors(0, 0), [("connect_failed".to_owned(), 5)]);
    assert!(totals.examples[0].1.contains("answers in HTTP/1"), "{totals:?}");
}
