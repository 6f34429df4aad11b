//! The server: one thread, one epoll, replies in a heap by when they are due.
//!
//! A request counts from its arrival, which the kernel stamps on its last segment: what the thread is late to read is no
//! delay that was asked for, and is made up for where the delay leaves room. Where there is no stamp a request counts from
//! when it was read. Time zero of the timetable is the first request's arrival.
//!
//! The server may also ask requests of itself, at an even rate from time zero on, and note when it would have answered
//! them. They take the delays of the requests of the same numbers and pass no socket. So they tell what a load generator
//! that is never late would have measured, also in moments in which a real one was kept from sending.
//!
//! Nothing here may wait, take a lock that somebody holds, or log, except where the timetable says to stand still.

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use rustix::event::{EventfdFlags, eventfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use squall_service_kit::ServiceError;
use tokio::sync::oneshot;

use crate::behaviour::{Answer, Behaviour};
use crate::book::Book;
use crate::report::Report;
use crate::timetable::nanoseconds;

mod arrival;
mod connection;
mod datagrams;
mod event_loop;
mod shadows;

use datagrams::Datagrams;
use event_loop::EventLoop;

/// How many connections may wait to be accepted; the system may cut it.
const BACKLOG: i32 = 65_535;

/// Ports drawn until one is found that is free for datagrams too.
const DRAWS_MAX: usize = 32;

/// What the server does, and with what.
#[derive(Debug, Clone)]
pub struct Config {
    /// When requests are answered, and how.
    pub behaviour: Behaviour,
    /// CPU time to burn for each request.
    pub work: Duration,
    /// How long before a reply is due to poll instead of sleep.
    pub spin: Duration,
    /// What it answers.
    pub replies: Replies,
    /// What it asks of itself.
    pub shadow: Option<Shadow>,
    /// Whether it sends back datagrams that come to its port.
    pub datagrams: bool,
}

/// The bytes of its replies.
#[derive(Debug, Clone)]
pub struct Replies {
    good: Reply,
    error: Reply,
}

#[derive(Debug, Clone)]
struct Reply {
    bytes: Arc<[u8]>,
    head: usize,
}

/// Requests that the server asks of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shadow {
    /// Requests a second.
    pub rate: u64,
    /// How many.
    pub count: u64,
}

/// A server that serves.
#[derive(Debug)]
pub struct Server {
    listen: SocketAddr,
    stop: Arc<AtomicBool>,
    wake: Arc<OwnedFd>,
    over: Option<oneshot::Receiver<()>>,
    thread: JoinHandle<io::Result<()>>,
    datagrams: Option<JoinHandle<io::Result<()>>>,
}

impl Replies {
    /// Replies with these statuses and a body of this many bytes.
    pub fn new(status: u16, error_status: u16, body_bytes: usize) -> Self {
        Self {
            good: Reply::new(status, body_bytes),
            error: Reply::new(error_status, body_bytes),
        }
    }

    /// The bytes of an answer, with its body or without.
    fn bytes(&self, answer: Answer, head_only: bool) -> &[u8] {
        let reply = match answer {
            Answer::Good => &self.good,
            Answer::Error | Answer::Refused => &self.error,
        };
        let end = if head_only { reply.head } else { reply.bytes.len() };
        &reply.bytes[..end]
    }
}

impl Reply {
    fn new(status: u16, body_bytes: usize) -> Self {
        // 204 and 304 have no body and no length: RFC 9110, 6.4.1 and 8.6.
        let bodiless = matches!(status, 204 | 304);
        let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        if !bodiless {
            write!(
                text,
                "content-type: text/plain\r\ncontent-length: {body_bytes}\r\n"
            )
            .expect("a string takes any text");
        }
        text.push_str("\r\n");
        let head = text.len();
        let mut bytes = text.into_bytes();
        if !bodiless {
            bytes.resize(head + body_bytes, b'.');
        }
        Self {
            bytes: bytes.into(),
            head,
        }
    }
}

fn reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Status")
}

impl Shadow {
    /// An even `rate` a second for `length`.
    pub fn new(rate: u64, length: Duration) -> Self {
        Self {
            rate,
            count: (length.as_secs_f64() * rate as f64).round() as u64,
        }
    }
}

impl Server {
    /// Listens on `address` and serves there, in a thread of its own.
    pub fn start(
        address: SocketAddr,
        config: Config,
        book: Arc<Book>,
        report: Report,
    ) -> Result<Self, ServiceError> {
        let ((listener, listen), socket) = if config.datagrams {
            let (listener, socket) = listen_to_both(address)?;
            (listener, Some(socket))
        } else {
            (listen(address).map_err(refused("requests", address))?, None)
        };
        let part = |part| move |source| ServiceError::Start { part, source };
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|source| part("serving loop")(source.into()))?;
        let (wake, stop) = (Arc::new(wake), Arc::new(AtomicBool::new(false)));
        let behaviour = config.behaviour;
        let datagrams = socket.map(|socket| Datagrams::new(socket, Arc::clone(&stop), behaviour));
        let datagrams = datagrams.transpose().map_err(part("datagram socket"))?;
        let serving = EventLoop::new(listener, &wake, Arc::clone(&stop), config, book, report)
            .map_err(part("serving loop"))?;
        let (ended, over) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("delay-law".to_owned())
            .spawn(move || {
                let outcome = serving.run();
                // Nobody may listen any more.
                let _ = ended.send(());
                outcome
            })
            .map_err(part("serving thread"))?;
        let datagrams = datagrams.map(|datagrams| {
            let thread = thread::Builder::new().name("delay-law-udp".to_owned());
            thread.spawn(move || datagrams.run())
        });
        Ok(Self {
            listen,
            stop,
            wake,
            over: Some(over),
            thread,
            datagrams: datagrams.transpose().map_err(part("datagram thread"))?,
        })
    }

    /// The address it serves on.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Done once the serving thread has ended, which it never does unasked but by an error.
    pub fn over(&mut self) -> impl Future<Output = ()> + use<> {
        let over = self.over.take();
        async move {
            match over {
                Some(over) => drop(over.await),
                None => std::future::pending().await,
            }
        }
    }

    /// Stops accepting, lets the requests in flight be answered for at most 5 s, and ends the thread.
    pub fn stop(self) -> Result<(), ServiceError> {
        self.stop.store(true, Ordering::Release);
        // It fails only where the thread has been woken already.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        let join = |thread: JoinHandle<io::Result<()>>| {
            let outcome = thread.join();
            outcome.unwrap_or_else(|_| Err(io::Error::other("it panicked")))
        };
        let (datagrams, outcome) = (self.datagrams.map_or(Ok(()), join), join(self.thread));
        outcome.and(datagrams).map_err(|source| ServiceError::Start {
            part: "serving loop",
            source,
        })
    }
}

fn refused(purpose: &'static str, address: SocketAddr) -> impl FnOnce(io::Error) -> ServiceError {
    move |source| ServiceError::Listen {
        purpose,
        address,
        source,
    }
}

/// A listener, and a socket for datagrams on the same port. Where any port will do, another is drawn if it is taken for datagrams.
fn listen_to_both(address: SocketAddr) -> Result<((OwnedFd, SocketAddr), UdpSocket), ServiceError> {
    let draws = if address.port() == 0 { DRAWS_MAX } else { 1 };
    let mut last = None;
    for _ in 0..draws {
        let (listener, bound) = listen(address).map_err(refused("requests", address))?;
        match UdpSocket::bind(bound) {
            Ok(socket) => return Ok(((listener, bound), socket)),
            Err(source) => last = Some(refused("datagrams", bound)(source)),
        }
    }
    Err(last.unwrap_or_else(|| refused("datagrams", address)(io::ErrorKind::AddrInUse.into())))
}

/// A listener whose connections send at once and have their arrivals stamped, as they inherit from it.
fn listen(address: SocketAddr) -> io::Result<(OwnedFd, SocketAddr)> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let listener = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    rustix::net::sockopt::set_socket_reuseaddr(&listener, true)?;
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    // Where it is refused, requests count from when they are read.
    let _ = setsockopt(&listener, sockopt::ReceiveTimestampns, &true);
    rustix::net::bind(&listener, &address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let bound = SocketAddr::try_from(rustix::net::getsockname(&listener)?)?;
    Ok((listener, bound))
}

/// `CLOCK_MONOTONIC` in nanoseconds.
fn now_ns() -> u64 {
    nanoseconds(squall_service_kit::clock::monotonic())
}
