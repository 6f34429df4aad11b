//! The caller: one connection for the latency, 32 for the throughput, many for the memory.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// Bytes of a message, about those of a small request.
const MESSAGE_BYTES: usize = 128;
const CONNECTIONS: usize = 32;

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("it listens");
    stream.set_nodelay(true).expect("a socket");
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a socket");
    stream
}

fn round_trip(stream: &mut TcpStream) {
    let mut message = [7; MESSAGE_BYTES];
    stream.write_all(&message).expect("it is open");
    stream.read_exact(&mut message).expect("it answers");
}

/// The median time of a round trip with one connection, in nanoseconds.
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

/// Round trips per second with 32 connections, each of which always has one message on its way.
pub(crate) fn throughput(to: SocketAddr, seconds: f64) -> f64 {
    let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(to)).collect();
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
    for (at, stream) in streams.iter_mut().enumerate() {
        round_trip(stream);
        epoll::add(&epoll, &*stream, EventData::new_u64(at as u64), EventFlags::IN).expect("room");
        stream.write_all(&[7; MESSAGE_BYTES]).expect("it is open");
    }
    let (start, end) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut count = 0_u64;
    while start.elapsed() < end {
        let mut events = [const { MaybeUninit::uninit() }; CONNECTIONS];
        let (events, _) = epoll::wait(&epoll, &mut events[..], None).expect("epoll");
        for event in events.iter() {
            let token = event.data.u64();
            let stream = &mut streams[token as usize];
            let mut message = [0; MESSAGE_BYTES];
            stream.read_exact(&mut message).expect("it answers");
            stream.write_all(&message).expect("it is open");
            count += 1;
        }
    }
    count as f64 / start.elapsed().as_secs_f64()
}

/// Opens connections, makes one round trip on each, says so, and holds them until standard input ends.
pub(crate) fn hold(to: SocketAddr, count: usize) {
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        let mut stream = connect(to);
        round_trip(&mut stream);
        open.push(stream);
    }
    println!("{to}");
    std::io::stdout().flush().expect("somebody reads");
    // Whatever ends it is the end.
    let _ = std::io::stdin().read(&mut [0]);
}
