//! A small HTTP/1.1 server for measuring load generators: one thread, epoll, a fixed answer.
//!
//! `responder [CPU]` listens on a free loopback port, prints it, and serves until its standard input closes.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);
const STDIN: Token = Token(1);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n{\"id\":\"7241958301756297216\"}\n";

fn main() -> io::Result<()> {
    if let Some(cpu) = std::env::args().nth(1) {
        let cpu = cpu.parse().map_err(io::Error::other)?;
        squall_load::affinity::pin_current_thread(&[cpu])?;
    }
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
                        poll.registry()
                            .register(&mut stream, Token(next), Interest::READABLE)?;
                        connections.insert(Token(next), stream);
                        next += 1;
                    }
                }
                STDIN => return Ok(()),
                token => {
                    if connections
                        .get_mut(&token)
                        .is_some_and(|stream| !serve(stream, &mut buffer))
                    {
                        connections.remove(&token);
                    }
                }
            }
        }
    }
}

/// Answers every request that has arrived whole; returns whether the connection is still open.
fn serve(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    loop {
        match stream.read(buffer) {
            Ok(0) => return false,
            Ok(count) => {
                let requests = buffer[..count]
                    .windows(4)
                    .filter(|window| window == b"\r\n\r\n")
                    .count();
                if (0..requests).any(|_| stream.write_all(ANSWER).is_err()) {
                    return false;
                }
                if count < buffer.len() {
                    return true;
                }
            }
            Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}
