//! Holds tens of thousands of event streams and `WebSockets` open and says something to all of them now and then, for measuring
//! the generator: `live_server PORT [PUSH_EVERY_MS]`. Prints its address; ends when its standard input does.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(usize::MAX);
/// How often it is looked whether to go on.
const LOOK: Duration = Duration::from_millis(100);
static OVER: AtomicBool = AtomicBool::new(false);
const EVENTS_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

struct Client {
    stream: TcpStream,
    asked: Vec<u8>,
    /// What a push looks like to it, once it has asked.
    push: Option<&'static [u8]>,
}

impl Client {
    /// Reads; answers the request once it is whole. Returns whether it is still there.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) if self.push.is_none() => self.asked.extend_from_slice(&buffer[..count]),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        if self.push.is_none() && self.asked.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&self.asked).into_owned();
            let key = head
                .lines()
                .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
            if let Some(key) = key {
                let accept = tungstenite::handshake::derive_accept_key(key.trim().as_bytes());
                write!(
                    self.stream,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                )?;
                self.push = Some(b"\x81\x04push");
            } else {
                self.stream.write_all(EVENTS_HEAD)?;
                self.push = Some(b"data: push\n\n");
            }
            self.asked = Vec::new();
        }
        Ok(true)
    }
}

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let port = args.get(1).map_or("0", String::as_str);
    let every = args
        .get(2)
        .and_then(|ms| ms.parse().ok())
        .unwrap_or(u64::MAX / 2_000);
    let every = Duration::from_millis(every);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit {
        current: Some(limit.maximum.unwrap_or(0).max(120_000)),
        maximum: Some(limit.maximum.unwrap_or(0).max(120_000)),
    };
    // Where the hard limit can't be raised, the soft one is raised to it.
    if rustix::process::setrlimit(rustix::process::Resource::Nofile, most).is_err() {
        let most = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        rustix::process::setrlimit(rustix::process::Resource::Nofile, most)?;
    }
    // All interfaces of loopback: many clients come from many source addresses.
    let mut listener = TcpListener::bind(format!("127.0.0.1:{port}").parse().map_err(io::Error::other)?)?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    std::thread::spawn(|| {
        // Nothing is ever written to it: it ends with whoever started this.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        OVER.store(true, Ordering::Relaxed);
    });
    serve(&mut listener, every)
}

fn serve(listener: &mut TcpListener, every: Duration) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(4096);
    let mut clients: HashMap<usize, Client> = HashMap::new();
    let mut next = 0;
    let mut push_at = Instant::now() + every;
    while !OVER.load(Ordering::Relaxed) {
        let wait = push_at.saturating_duration_since(Instant::now()).min(LOOK);
        poll.poll(&mut events, Some(wait))?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    poll.registry()
                        .register(&mut stream, Token(next), Interest::READABLE)?;
                    let client = Client {
                        stream,
                        asked: Vec::new(),
                        push: None,
                    };
                    clients.insert(next, client);
                    next += 1;
                }
            } else if let Some(client) = clients.get_mut(&event.token().0)
                && !client.read().unwrap_or(false)
            {
                clients.remove(&event.token().0);
            }
        }
        if Instant::now() >= push_at {
            push_at += every;
            for client in clients.values_mut() {
                if let Some(push) = client.push {
                    // A client that does not read has its own trouble.
                    let _ = client.stream.write(push);
                }
            }
        }
    }
    Ok(())
}
