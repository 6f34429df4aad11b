//! The caller: one connection for the latency, 64 for the throughput. HTTP/1.1, each request as a browser might send it.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

const CONNECTIONS: usize = 64;
const REQUEST: &[u8] = b"GET /feed?page=1 HTTP/1.1\r\nhost: shop.test\r\nuser-agent: bench\r\naccept: */*\r\nx-user-id: 4711\r\n\r\n";

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    stream
}

/// Reads one answer, of which nothing else follows. Its body is as long as the server's.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) {
    let mut length = 0;
    loop {
        let count = stream.read(&mut buffer[length..]).expect("it answers");
        assert!(count > 0, "it closed the connection");
        length += count;
        if buffer[..length].ends_with(super::server::BODY) {
            assert!(
                buffer.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&buffer[..length])
            );
            return;
        }
    }
}

fn round_trip(stream: &mut TcpStream) {
    stream.write_all(REQUEST).expect("it is open");
    read_answer(stream, &mut [0; 4096]);
}

/// The median time of a request with one connection, in nanoseconds.
pub(crate) fn round_trips(to: SocketAddr, count: usize) -> u64 {
    let mut stream = connect(to);
    for _ in 0..200 {
        round_trip(&mut stream);
    }
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        round_trip(&mut stream);
        times.push(start.elapsed().as_nanos() as u64);
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// Requests per second with 64 connections, each of which always has one on its way.
pub(crate) fn throughput(to: SocketAddr, seconds: f64) -> f64 {
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(to)).collect();
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
    for (at, stream) in streams.iter_mut().enumerate() {
        round_trip(stream);
        epoll::add(&epoll, &*stream, EventData::new_u64(at as u64), EventFlags::IN).expect("room");
        stream.write_all(REQUEST).expect("it is open");
    }
    let (start, end) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut count = 0_u64;
    let mut buffer = [0; 4096];
    while start.elapsed() < end {
        let mut events = [const { MaybeUninit::uninit() }; CONNECTIONS];
        let (events, _) = epoll::wait(&epoll, &mut events[..], None).expect("epoll");
        for event in events.iter() {
            let token = event.data.u64();
            let stream = &mut streams[token as usize];
            read_answer(stream, &mut buffer);
            stream.write_all(REQUEST).expect("it is open");
            count += 1;
        }
    }
    count as f64 / start.elapsed().as_secs_f64()
}
