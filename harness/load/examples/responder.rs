//! A small HTTP/1.1 server for measuring load generators: one thread, epoll, a fixed answer.
//!
//! `responder [CPU]` listens on a free loopback port, prints it, and serves until its standard input closes. For each line that comes
//! there it prints its own latency since the line before, in microseconds: from the kernel's stamp on the last segment of a request to
//! the end of the write of its answer, so that what a generator makes it queue is in it. With `stamp` as a second argument only: a stamp
//! costs something.

use std::collections::HashMap;
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::AsRawFd;

use hdrhistogram::Histogram;
use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use rustix::time::{ClockId, clock_gettime};

const LISTENER: Token = Token(0);
const STDIN: Token = Token(1);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n{\"id\":\"7241958301756297216\"}\n";

/// What a request took, by the kernel's stamp of its arrival.
struct Own {
    control: Vec<u8>,
    latency_us: Histogram<u64>,
}

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    if let Some(cpu) = args.next() {
        let cpu = cpu.parse().map_err(io::Error::other)?;
        squall_load::affinity::pin_current_thread(&[cpu])?;
    }
    let mut own = args.next().map(|_| Own {
        control: nix::cmsg_space!(nix::sys::time::TimeSpec),
        latency_us: squall_model::histogram::empty(),
    });
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().map_err(io::Error::other)?)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    poll.registry()
        .register(&mut SourceFd(&io::stdin().as_raw_fd()), STDIN, Interest::READABLE)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let mut connections: HashMap<Token, TcpStream> = HashMap::new();
    let mut next = 2;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 16 << 10];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                LISTENER => {
                    while let Ok((mut stream, _)) = listener.accept() {
                        stream.set_nodelay(true)?;
                        if own.is_some() {
                            setsockopt(&stream, sockopt::ReceiveTimestampns, &true)?;
                        }
                        poll.registry()
                            .register(&mut stream, Token(next), Interest::READABLE)?;
                        connections.insert(Token(next), stream);
                        next += 1;
                    }
                }
                STDIN => {
                    if io::stdin().read(&mut buffer[..1])? == 0 {
                        return Ok(());
                    }
                    if let Some(own) = &mut own {
                        own.tell()?;
                    }
                }
                token => {
                    if connections
                        .get_mut(&token)
                        .is_some_and(|stream| !serve(stream, &mut buffer, &mut own))
                    {
                        connections.remove(&token);
                    }
                }
            }
        }
    }
}

/// Answers every request that has arrived whole; returns whether the connection is still open.
fn serve(stream: &mut TcpStream, buffer: &mut [u8], own: &mut Option<Own>) -> bool {
    loop {
        let received = match own {
            Some(own) => own.receive(stream, buffer),
            None => stream.read(buffer).map(|count| (count, None)),
        };
        match received {
            Ok((0, _)) => return false,
            Ok((count, stamp_ns)) => {
                let requests = buffer[..count]
                    .windows(4)
                    .filter(|window| window == b"\r\n\r\n")
                    .count();
                if (0..requests).any(|_| stream.write_all(ANSWER).is_err()) {
                    return false;
                }
                if let (Some(own), Some(stamp_ns)) = (&mut *own, stamp_ns) {
                    own.latency_us
                        .saturating_record((wall_ns() - stamp_ns) as u64 / 1_000);
                }
                if count < buffer.len() {
                    return true;
                }
            }
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

impl Own {
    /// Reads; beside the count, when the kernel took in the last of it.
    fn receive(&mut self, stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Option<i64>)> {
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<()>(
            stream.as_raw_fd(),
            &mut parts,
            Some(&mut self.control),
            MsgFlags::empty(),
        )?;
        let stamp = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::ScmTimestampns(stamp) => {
                Some(stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec())
            }
            _ => None,
        });
        Ok((message.bytes, stamp))
    }

    fn tell(&mut self) -> io::Result<()> {
        let own = &mut self.latency_us;
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|q| own.value_at_quantile(q));
        writeln!(
            io::stdout(),
            "own count {} p50 {p50} p99 {p99} p99.9 {p999} max {}",
            own.len(),
            own.max()
        )?;
        own.reset();
        Ok(())
    }
}

fn wall_ns() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
