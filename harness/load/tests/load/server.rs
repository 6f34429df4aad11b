//! A scripted HTTP server: what it does with each request is decided by the test.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One thing that the server does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Sends bytes one at a time, each in a packet of its own.
    Trickle(Vec<u8>),
    /// Waits.
    Wait(Duration),
    /// Closes in good order.
    Close,
    /// Closes so that the peer sees a reset.
    Reset,
    /// Answers no more until the test is over.
    Hang,
}

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) accepted: AtomicUsize,
    pub(crate) open: AtomicUsize,
    pub(crate) open_max: AtomicUsize,
    pub(crate) requests: AtomicUsize,
    pub(crate) heads: Mutex<Vec<String>>,
    over: AtomicBool,
}

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Seen>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::SeqCst);
        // Lets the accepting thread see it.
        drop(TcpStream::connect(self.addr));
    }
}

impl Server {
    /// Starts a server that does with each request what `script` says, given its number over all connections, from 0.
    pub(crate) fn start(script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Server {
        Server::by_head(move |number, _| script(number))
    }

    /// As [`start`](Server::start), with the request's head too.
    pub(crate) fn by_head(script: impl Fn(usize, &str) -> Vec<Step> + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (script, shared) = (Arc::new(script), Arc::clone(&seen));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let (script, seen) = (Arc::clone(&script), Arc::clone(&shared));
                seen.accepted.fetch_add(1, Ordering::SeqCst);
                let open = seen.open.fetch_add(1, Ordering::SeqCst) + 1;
                seen.open_max.fetch_max(open, Ordering::SeqCst);
                std::thread::spawn(move || {
                    serve(stream.unwrap(), &*script, &seen);
                    seen.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Server { addr, seen }
    }

    /// Answers every request with 200 and `body`.
    pub(crate) fn answering(body: &'static str) -> Server {
        Server::start(move |_| vec![ok(body)])
    }

    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.seen.accepted.load(Ordering::SeqCst)
    }
}

pub(crate) fn ok(body: &str) -> Step {
    Step::Send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

fn serve(mut stream: TcpStream, script: &dyn Fn(usize, &str) -> Vec<Step>, seen: &Seen) {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
            let number = seen.requests.fetch_add(1, Ordering::SeqCst);
            for step in script(number, &head) {
                if !act(&mut stream, step, seen) {
                    return;
                }
            }
            seen.heads.lock().unwrap().push(head);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// Does one step; returns whether the connection is still open.
#[expect(
    clippy::disallowed_methods,
    reason = "a delay of the server is what the test plants"
)]
fn act(stream: &mut TcpStream, step: Step, seen: &Seen) -> bool {
    match step {
        Step::Send(bytes) => stream.write_all(&bytes).is_ok(),
        Step::Trickle(bytes) => bytes.iter().all(|byte| stream.write_all(&[*byte]).is_ok()),
        Step::Wait(time) => {
            std::thread::sleep(time);
            true
        }
        Step::Close => {
            let _ = stream.shutdown(Shutdown::Both);
            false
        }
        Step::Reset => {
            let _ = rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO));
            false
        }
        Step::Hang => {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(20)));
            let mut one = [0];
            loop {
                let read = stream.read(&mut one);
                if seen.over.load(Ordering::SeqCst) || matches!(read, Ok(0)) {
                    return false;
                }
            }
        }
    }
}
