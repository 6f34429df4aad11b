//! Every way a request can fail has its own name, and costs exactly one request.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use squall_load::http1::RequestTemplate;
use squall_load::{Arrivals, Think};

use crate::rig::{Rig, load, open, run};
use crate::server::{Server, Step, ok};

fn send(text: &str) -> Step {
    Step::Send(text.as_bytes().to_vec())
}

/// Ten requests a tenth of a second, each met by `steps`; the errors that were counted.
fn errors_of(steps: Vec<Step>) -> Vec<(String, u64)> {
    let server = Server::start(move |_| steps.clone());
    run(load("a", server.addr), open(100.0), 100).errors(0, 0)
}

#[test]
fn failures_have_the_name_of_what_happened() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let table: Vec<(Vec<Step>, &str)> = vec![
        (vec![Step::Close], "closed"),
        (vec![send(half), Step::Close], "closed"),
        (vec![Step::Reset], "reset"),
        (vec![send("SSH-2.0-OpenSSH_9.9\r\n\r\n")], "malformed"),
        (
            vec![send("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")],
            "status_503",
        ),
        (
            vec![
                send("HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
                Step::Close,
            ],
            "status_404",
        ),
    ];
    for (steps, kind) in table {
        assert_eq!(errors_of(steps.clone()), [(kind.to_owned(), 10)], "{steps:?}");
    }
}

#[test]
fn answers_in_unusual_shapes_are_no_failures() {
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_vec();
    let table: Vec<Vec<Step>> = vec![
        vec![Step::Trickle(chunked)],
        vec![
            send("HTTP/1.1 200 OK\r\n"),
            Step::Wait(Duration::from_millis(5)),
            send("Content-Length: 1\r\n\r\nx"),
        ],
        vec![send("HTTP/1.1 204 No Content\r\n\r\n")],
        vec![send(
            "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
        )],
        vec![send("HTTP/1.0 200 OK\r\n\r\nuntil close"), Step::Close],
        vec![
            send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"),
            Step::Close,
        ],
    ];
    for steps in table {
        assert_eq!(errors_of(steps.clone()), [], "{steps:?}");
    }
}

#[test]
fn examples_quote_the_answer_and_are_few() {
    let server = Server::start(|_| {
        vec![send(
            "HTTP/1.1 503 Busy\r\nContent-Length: 11\r\n\r\ncome later\n",
        )]
    });
    let told = run(load("a", server.addr), open(100.0), 300);
    let totals = told.of(0, 0);
    assert_eq!(totals.failed, 30);
    let examples: Vec<&str> = totals.examples.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(examples, ["503: come later"; 3]);
}

#[test]
fn a_request_without_answer_fails_at_its_timeout_and_costs_its_connection() {
    let server = Server::start(|number| {
        if number == 0 {
            vec![Step::Hang]
        } else {
            vec![ok("x")]
        }
    });
    let mut spec = load("a", server.addr);
    (spec.connections, spec.timeout) = (1, Duration::from_millis(150));
    let told = run(spec, open(100.0), 100);
    let totals = told.of(0, 0);
    assert_eq!(told.errors(0, 0), [("timeout".into(), 1)]);
    assert_eq!((totals.completed, server.accepted()), (10, 2));
    assert!(totals.service.max() >= 150_000, "counted at its elapsed time");
}

#[test]
fn requests_that_no_connection_came_free_for_are_dropped_a_timeout_after_their_phase() {
    let server = Server::start(|_| vec![Step::Hang]);
    let mut spec = load("a", server.addr);
    (spec.connections, spec.timeout) = (2, Duration::from_millis(300));
    let told = run(spec, open(1_000.0), 100);
    let totals = told.of(0, 0);
    assert_eq!(totals.intended, 100);
    // Two are sent at once, two when those have timed out; the rest is dropped 300 ms after the phase's end.
    assert!((2..=4).contains(&totals.sent), "{totals:?}");
    assert_eq!(told.errors(0, 0), [("timeout".into(), totals.sent)]);
    assert_eq!(totals.dropped, 100 - totals.sent);
}

#[test]
fn a_target_that_refuses_fails_each_request_once() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(
        run(load("a", gone), open(500.0), 200).errors(0, 0),
        [("connect_refused".into(), 100)]
    );
    // A user pauses after a refusal, so closed loop is no flood: 2 users, 200 ms, at least 10 ms a round.
    let told = run(
        load("a", gone),
        Arrivals::Closed {
            users: 2,
            think: Think::NONE,
        },
        200,
    );
    assert!(
        (2..=40).contains(&told.of(0, 0).failed),
        "{:?}",
        told.errors(0, 0)
    );
}

#[test]
fn a_target_that_accepts_nobody_is_a_connect_timeout() {
    use rustix::net::{AddressFamily, SocketType, bind, getsockname, listen, socket};
    let listener = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&listener, &"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap()).unwrap();
    // A queue of one connection that nobody takes from: further handshakes go unanswered.
    listen(&listener, 0).unwrap();
    let addr = std::net::SocketAddr::try_from(getsockname(&listener).unwrap()).unwrap();
    let mut spec = load("a", addr);
    spec.timeout = Duration::from_millis(200);
    let told = run(spec, open(100.0), 100);
    let kinds: Vec<String> = told.errors(0, 0).into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.contains(&"connect_timeout".to_owned()), "{kinds:?}");
    told.of(0, 0);
}

#[test]
fn connections_closed_while_idle_are_reopened_without_a_failure() {
    let server = Server::start(|_| vec![ok("x"), Step::Close]);
    let mut rig = Rig::start(vec![load("a", server.addr)], 1);
    for round in 0..5 {
        let start_us = rig.now_us() + 50_000;
        rig.push(round, start_us, Some(start_us + 10_000), vec![open(100.0)]);
        rig.until(|told| told.ended.len() == round as usize + 1);
        let deadline = Instant::now() + Duration::from_secs(10);
        while server.seen.open.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }
    let told = rig.finish();
    let ends: Vec<(u64, u64)> = (0..5)
        .map(|round| (told.of(0, round).completed, told.of(0, round).failed))
        .collect();
    assert_eq!(ends, [(1, 0); 5]);
    assert_eq!(server.accepted(), 5);
}

#[test]
fn the_request_arrives_as_it_was_given() {
    let server = Server::answering("x");
    let mut spec = load("a", server.addr);
    spec.target.host = "ids.test".into();
    let request = RequestTemplate {
        headers: vec![("X-Y".into(), "z".into())],
        ..RequestTemplate::get("/id?n=1")
    };
    spec.protocol = Arc::new(request);
    run(spec, open(100.0), 10);
    let heads = server.seen.heads.lock().unwrap();
    assert_eq!(
        heads[..],
        ["GET /id?n=1 HTTP/1.1\r\nHost: ids.test\r\nX-Y: z\r\n\r\n"]
    );
}

#[test]
fn an_abort_ends_at_once_and_counts_what_it_cut_off() {
    let server = Server::start(|_| vec![Step::Hang]);
    let mut spec = load("a", server.addr);
    spec.connections = 2;
    let mut rig = Rig::start(vec![spec], 1);
    rig.push(0, 10_000, Some(3_600_000_000), vec![open(100.0)]);
    rig.push(1, 3_600_000_000, Some(3_700_000_000), vec![open(100.0)]);
    rig.until(|told| {
        told.totals
            .get(&(0, 0))
            .is_some_and(|totals| totals.intended >= 5)
    });
    let told = rig.abort();
    let totals = told.of(0, 0);
    assert_eq!((totals.sent, totals.aborted, totals.completed), (2, 2, 0));
    assert!(totals.dropped >= 3 && totals.intended < 10_000, "{totals:?}");
    assert_eq!(told.ended, [(0, 0, 0)]);
}

#[test]
fn what_the_generator_is_too_slow_for_is_not_blamed_on_the_target() {
    // Refusals cost the target nothing, so a million a second leave the generator as the only limit.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut spec = load("a", gone);
    spec.timeout = Duration::from_millis(200);
    let told = run(spec, open(1_000_000.0), 300);
    let totals = told.of(0, 0);
    assert_eq!(totals.intended, 300_000);
    assert!(totals.unsent_by_generator > 300_000 / 20, "{totals:?}");
    // Some are: a thread that was without a processor for long finds more due than may wait.
    assert!(totals.dropped < totals.unsent_by_generator, "{totals:?}");
}
