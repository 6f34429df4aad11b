//! Messages over plain TCP and UDP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use squall_load::LoadSpec;
use squall_load::framed::{Frame, Message};

use crate::rig::{load, open, run};

fn asking(addr: SocketAddr, send: &str, frame: Frame) -> LoadSpec {
    let message = Message {
        send: send.into(),
        feeds: squall_load::data::Feeds::default(),
        frame,
    };
    LoadSpec {
        protocol: Arc::new(message),
        ..load("a", addr)
    }
}

/// Serves each connection on a thread until it closes.
fn serve(answer: fn(&mut BufReader<std::net::TcpStream>) -> std::io::Result<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                while answer(&mut stream).unwrap_or(false) {}
            });
        }
    });
    addr
}

#[test]
fn lines_are_answered_by_lines() {
    let addr = serve(|stream| {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(false);
        }
        assert_eq!(line, "PING\n");
        stream.get_mut().write_all(b"PONG\r\n")?;
        Ok(true)
    });
    let told = run(asking(addr, "PING", Frame::Line), open(500.0), 200);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (100, 0));
    assert_eq!(totals.bytes_in, 600);
}

#[test]
fn an_answer_longer_than_what_is_taken_fails_its_request() {
    let frame = Frame::Length {
        bytes: 4,
        little_endian: false,
    };
    let addr = serve(|stream| {
        let mut asked = [0; 8];
        stream.read_exact(&mut asked)?;
        stream.get_mut().write_all(&u32::MAX.to_be_bytes())?;
        Ok(true)
    });
    let told = run(asking(addr, "ping", frame), open(100.0), 50);
    assert_eq!(told.errors(0, 0), [("malformed".to_owned(), 5)]);
}

#[test]
fn a_datagram_that_is_lost_times_out_and_costs_no_other_its_answer() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        let mut count = 0;
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count += 1;
            // Every fourth is lost; the others are answered.
            if count % 4 != 0 {
                socket.send_to(&buffer[..length], from).unwrap();
            }
        }
    });
    let mut spec = asking(addr, "ping", Frame::Datagram);
    spec.timeout = Duration::from_millis(100);
    let told = run(spec, open(200.0), 400);
    let totals = told.of(0, 0);
    assert_eq!((totals.completed, totals.failed), (80, 20));
    assert_eq!(told.errors(0, 0), [("timeout".to_owned(), 20)]);
}
