//! Streams that stay open: held over phases, counted, opened anew when they are lost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use squall_load::http1::RequestTemplate;
use squall_load::sse::EventStream;
use squall_load::websocket::{Send, WebSocket};
use squall_load::{Arrivals, LoadSpec, Think};

use crate::rig::{Rig, load, open, run};

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

fn streams(addr: SocketAddr, events: Option<u32>) -> LoadSpec {
    let request = RequestTemplate::get("/live");
    LoadSpec {
        protocol: Arc::new(EventStream { request, events }),
        ..load("a", addr)
    }
}

fn users(users: usize) -> Arrivals {
    Arrivals::Closed {
        users,
        think: Think::NONE,
    }
}

/// Accepts streams, answers each with the head and one event, and hands them over.
fn server() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (hand, streams) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = [0; 1024];
            let count = stream.read(&mut asked).unwrap_or(0);
            assert!(asked[..count].starts_with(b"GET /live HTTP/1.1\r\n"));
            stream.write_all(HEAD).unwrap();
            stream.write_all(b"data: hello\n\n").unwrap();
            if hand.send(stream).is_err() {
                return;
            }
        }
    });
    (addr, streams)
}

#[test]
fn users_stay_on_their_streams_from_phase_to_phase() {
    let (addr, accepted) = server();
    let mut rig = Rig::start(vec![streams(addr, None)], 1);
    rig.push(0, 10_000, Some(200_000), vec![users(5)]);
    rig.push(1, 200_000, Some(400_000), vec![users(8)]);
    rig.push(2, 400_000, Some(600_000), vec![users(3)]);
    let held: Vec<TcpStream> = (0..8)
        .map(|_| accepted.recv_timeout(Duration::from_secs(10)).unwrap())
        .collect();
    let told = rig.finish();
    let opened: Vec<u64> = (0..3).map(|phase| told.of(0, phase).completed).collect();
    assert_eq!(opened, [5, 3, 0], "who is there already does not open another");
    let (first, second) = (told.of(0, 0), told.of(0, 1));
    assert_eq!((first.failed, first.messages, second.messages), (0, 5, 3));
    assert_eq!(told.of(0, 2).streams_lost, 0, "giving one up is not losing it");
    assert!(accepted.try_recv().is_err());
    drop(held);
}

#[test]
fn a_stream_that_is_lost_is_counted_and_opened_anew() {
    let (addr, accepted) = server();
    let mut rig = Rig::start(vec![streams(addr, None)], 1);
    rig.push(0, 10_000, Some(500_000), vec![users(2)]);
    let wait = || accepted.recv_timeout(Duration::from_secs(10)).unwrap();
    let (first, second) = (wait(), wait());
    drop(first);
    let third = wait();
    let told = rig.finish();
    let totals = told.of(0, 0);
    assert_eq!((totals.streams_lost, totals.completed, totals.failed), (1, 3, 0));
    drop((second, third));
}

#[test]
fn a_number_of_events_answers_a_request_of_a_schedule() {
    let (addr, accepted) = server();
    let told = run(streams(addr, Some(1)), open(100.0), 100);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed, totals.messages), (10, 0, 0));
    assert_eq!(
        accepted.try_iter().count(),
        10,
        "each has a connection of its own"
    );
}

#[test]
fn messages_over_websocket_are_answered_on_connections_that_stay() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A server that nobody here wrote.
                let mut socket = tungstenite::accept(stream).unwrap();
                while let Ok(message) = socket.read() {
                    if message.is_text() {
                        socket.send(message).unwrap();
                    }
                }
            });
        }
    });
    let socket = WebSocket {
        request: RequestTemplate::get("/echo"),
        send: Some(Send::Text("hello".into())),
    };
    let spec = LoadSpec {
        protocol: Arc::new(socket),
        connections: 2,
        ..load("a", addr)
    };
    let told = run(spec, open(500.0), 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (100, 0));
    assert!(totals.connections_opened <= 2, "{totals:?}");
}
