//! TLS against rustls behind hyper: HTTP/1.1 and HTTP/2, bad certificates, what was not agreed to.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::{ServerConnection, StreamOwned};
use squall_load::http1::RequestTemplate;
use squall_load::sse::EventStream;
use squall_load::websocket::{Send, WebSocket};
use squall_load::{Arrivals, Generator, LoadSpec, Options, Target, Think, Tls, Trust};

use crate::http2::{asking, spoken};
use crate::hyper_server::{Certified, HyperServer, Manner, Seen, certified};
use crate::rig::{Rig, Told, load, open, run};

fn secured(spec: LoadSpec, tls: &Tls) -> LoadSpec {
    LoadSpec {
        target: Target {
            tls: Some(tls.clone()),
            ..spec.target.clone()
        },
        ..spec
    }
}

/// A hundred requests over HTTP/1.1.
fn ask(server: &HyperServer, tls: &Tls) -> Told {
    run(secured(load("tls", server.addr), tls), open(500.0), 200)
}

fn check_refused(told: &Told, word: &str) {
    let totals = told.of(0, 0);
    assert_eq!(totals.intended, totals.completed, "{totals:?}");
    assert_eq!(told.errors(0, 0), [("tls".to_owned(), totals.completed)]);
    assert_eq!(totals.connections_opened, 0);
    assert!(totals.examples[0].1.contains(word), "{totals:?}");
}

fn served(manner: Manner, alpn: &[&[u8]]) -> (HyperServer, Certified) {
    let certified = certified(alpn);
    (HyperServer::start_under(manner, Some(&certified)), certified)
}

#[test]
fn http1_goes_over_tls() {
    let (server, certified) = served(Manner::default(), &[b"http/1.1"]);
    let told = ask(&server, &certified.tls);
    let totals = told.of(0, 0);
    assert_eq!(
        (totals.intended, totals.completed, totals.failed),
        (100, 100, 0),
        "{totals:?}"
    );
    assert_eq!(Seen::count(&server.seen.requests), 100);
    assert!(totals.connections_opened >= 1);
}

#[test]
fn http2_goes_over_tls() {
    let (server, certified) = served(spoken(Manner::default()), &[b"h2"]);
    let spec = secured(asking(&server, 100), &certified.tls);
    let told = run(spec, open(500.0), 200);
    let totals = told.of(0, 0);
    assert_eq!(
        (totals.intended, totals.completed, totals.failed),
        (100, 100, 0),
        "{totals:?}"
    );
}

#[test]
fn large_bodies_pass_both_ways() {
    let (server, certified) = served(Manner::default(), &[]);
    let mut spec = secured(load("tls", server.addr), &certified.tls);
    spec.protocol = Arc::new(RequestTemplate {
        method: "POST".into(),
        path: "/".into(),
        body: vec![b'x'; 1_000_000].into(),
        ..RequestTemplate::default()
    });
    let told = run(spec, open(50.0), 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (10, 0), "{totals:?}");
    assert!(totals.bytes_in > 10_000_000);
}

#[test]
fn a_certificate_that_nobody_trusted_signed_is_refused_in_rustls_words() {
    let (server, _) = served(Manner::default(), &[]);
    let other = certified(&[]);
    check_refused(&ask(&server, &other.tls), "invalid peer certificate");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let (server, certified) = served(Manner::default(), &[]);
    let tls = Tls {
        name: "else.test".into(),
        ..certified.tls
    };
    check_refused(&ask(&server, &tls), "not valid for name");
    let insecure = Tls {
        trust: Trust::Anyone,
        ..tls
    };
    assert_eq!(ask(&server, &insecure).of(0, 0).failed, 0, "unless nobody looks");
}

#[test]
fn a_target_that_does_not_agree_to_http2_is_refused() {
    let (server, certified) = served(Manner::default(), &[b"http/1.1"]);
    let spec = secured(asking(&server, 100), &certified.tls);
    check_refused(&run(spec, open(500.0), 100), "NoApplicationProtocol");
    let (server, certified) = served(Manner::default(), &[]);
    let spec = secured(asking(&server, 100), &certified.tls);
    check_refused(&run(spec, open(500.0), 100), "does not speak h2");
}

#[test]
fn a_target_without_tls_is_refused() {
    let tls = certified(&[]).tls;
    let server = HyperServer::start(Manner::default());
    check_refused(
        &run(secured(load("tls", server.addr), &tls), open(100.0), 50),
        "TLS",
    );
}

#[test]
fn connections_after_the_first_resume_its_session() {
    let closes = Manner {
        closes: true,
        ..Manner::default()
    };
    let (server, certified) = served(closes, &[]);
    let told = ask(&server, &certified.tls);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (100, 0), "{totals:?}");
    let accepted = Seen::count(&server.seen.accepted);
    assert!(accepted >= 100, "{accepted}");
    assert!(
        Seen::count(&server.seen.resumed) > accepted / 2,
        "{:?}",
        server.seen
    );
}

/// Serves each connection on a thread of its own, once HTTP/1.1 was agreed on.
fn served_by(serve: fn(StreamOwned<ServerConnection, TcpStream>)) -> (SocketAddr, Certified) {
    let certified = certified(&[b"http/1.1"]);
    let config = Arc::new(certified.config.clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            std::thread::spawn(move || serve(StreamOwned::new(connection, stream)));
        }
    });
    (addr, certified)
}

#[test]
fn messages_over_websocket_go_over_tls() {
    let (addr, certified) = served_by(|stream| {
        let mut socket = tungstenite::accept(stream).unwrap();
        while let Ok(message) = socket.read() {
            if message.is_text() {
                socket.send(message).unwrap();
            }
        }
    });
    let socket = WebSocket {
        request: RequestTemplate::get("/echo"),
        send: Some(Send::Text("hello".into())),
    };
    let spec = LoadSpec {
        protocol: Arc::new(socket),
        ..secured(load("ws", addr), &certified.tls)
    };
    let told = run(spec, open(500.0), 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (100, 0), "{totals:?}");
}

#[test]
fn streams_of_events_stay_open_over_tls() {
    let (addr, certified) = served_by(|mut stream| {
        let mut asked = [0; 1024];
        let count = stream.read(&mut asked).unwrap();
        assert!(asked[..count].starts_with(b"GET /live HTTP/1.1\r\n"));
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        stream.write_all(head).unwrap();
        stream.write_all(b"data: hello\n\n").unwrap();
        // Until the other side goes.
        let _ = stream.read(&mut asked);
    });
    let stream = EventStream {
        request: RequestTemplate::get("/live"),
        events: None,
    };
    let spec = LoadSpec {
        protocol: Arc::new(stream),
        ..secured(load("sse", addr), &certified.tls)
    };
    let users = Arrivals::Closed {
        users: 3,
        think: Think::NONE,
    };
    let mut rig = Rig::start(vec![spec], 1);
    rig.push(0, 10_000, None, vec![users]);
    rig.until(|told| {
        told.totals
            .get(&(0, 0))
            .is_some_and(|totals| totals.messages == 3)
    });
    let told = rig.abort();
    let totals = told.of(0, 0);
    assert_eq!(
        (totals.completed, totals.failed, totals.streams_lost),
        (3, 0, 0),
        "{totals:?}"
    );
}

#[test]
fn what_cannot_be_set_up_is_refused_before_anything_is_sent() {
    let tls = Tls {
        name: "a b".into(),
        trust: Trust::Anyone,
    };
    let (sender, _reports) = crossbeam_channel::unbounded();
    let options = Options {
        threads: 1,
        cpus: None,
        epoch: std::time::Instant::now(),
        reports: sender,
    };
    let spec = secured(load("tls", ([127, 0, 0, 1], 1).into()), &tls);
    let error = Generator::start(vec![spec], &options).unwrap_err().to_string();
    assert!(
        error.contains("load `tls`") && error.contains("neither a host name"),
        "{error}"
    );
}
