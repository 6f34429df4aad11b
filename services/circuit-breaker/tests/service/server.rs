//! A server on HTTP/1.1 that keeps connections and does as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use crate::DEADLINE;

/// Status, headers and body.
pub type Response = (u16, String, String);

/// What a server answers a request with: its path and its body. It may take its time.
type Answer = dyn Fn(&str, &str) -> Response + Send + Sync;

/// A server.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
}

/// What a server has seen.
#[derive(Default)]
pub struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    bodies: Mutex<Vec<String>>,
    /// Whether it closes every connection without a word.
    is_away: AtomicBool,
}

impl Seen {
    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Acquire)
    }

    /// How many requests have come, answered or not.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    /// The bodies of the requests, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}

impl Server {
    pub fn start(answer: impl Fn(&str, &str) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (counted, answer): (_, Arc<Answer>) = (Arc::clone(&seen), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (Arc::clone(&counted), Arc::clone(&answer));
                seen.connections.fetch_add(1, Ordering::AcqRel);
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { address, seen }
    }

    /// One that answers `ok` to everything.
    pub fn good() -> Self {
        Self::start(|_, _| ok())
    }

    /// One that answers `ok` to everything once the gate is open.
    pub fn behind(gate: &Gate) -> Self {
        let gate = gate.clone();
        Self::start(move |_, _| {
            gate.wait();
            ok()
        })
    }

    /// Goes away, or comes back to the same address.
    pub fn set_away(&self, is_away: bool) {
        self.seen.is_away.store(is_away, Ordering::Release);
    }
}

pub fn ok() -> Response {
    (200, String::new(), "ok".to_owned())
}

fn serve(stream: TcpStream, seen: &Seen, answer: &Answer) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            let is_over = stream.read_line(&mut line)? == 0;
            if is_over || seen.is_away.load(Ordering::Acquire) {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if path.is_empty() {
                line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
            } else if let Some(given) = line.strip_prefix("content-length:") {
                length = given.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        seen.bodies.lock().unwrap().push(body.clone());
        seen.requests.fetch_add(1, Ordering::AcqRel);
        let (status, headers, text) = answer(&path, &body);
        let length = text.len();
        let head = format!("HTTP/1.1 {status} x\r\n{headers}content-length: {length}\r\n\r\n{text}");
        stream.get_mut().write_all(head.as_bytes())?;
        if headers.contains("connection: close") {
            return Ok(());
        }
    }
}

/// Holds back what waits at it until it is opened.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub fn open(&self) {
        let (is_open, told) = &*self.0;
        *is_open.lock().unwrap() = true;
        told.notify_all();
    }

    /// Returns once it is open, or the test is over anyway.
    pub fn wait(&self) {
        let (is_open, told) = &*self.0;
        let shut = told.wait_timeout_while(is_open.lock().unwrap(), DEADLINE, |is_open| !*is_open);
        drop(shut.unwrap());
    }
}
