//! The callee: answers each request with a small page, on one thread.

use std::collections::HashMap;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketFlags};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 16\r\n\r\nhello, shop.test";
/// What every answer ends with.
pub(crate) const BODY: &[u8] = b"hello, shop.test";

/// Serves until its process is ended. A request comes in one piece: they are small.
pub(crate) fn run() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    rustix::net::listen(&listener, 4_096).expect("it listens already");
    listener.set_nonblocking(true).expect("a socket");
    let epoll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
    epoll::add(&epoll, &listener, EventData::new_u64(0), EventFlags::IN).expect("room");
    println!("{}", listener.local_addr().expect("it is bound"));
    std::io::stdout().flush().expect("somebody reads");
    let mut open: HashMap<RawFd, OwnedFd> = HashMap::new();
    let mut bytes = vec![0; 64 << 10];
    loop {
        let mut events = [const { MaybeUninit::uninit() }; 256];
        let (events, _) = epoll::wait(&epoll, &mut events[..], None).expect("epoll");
        for event in events.iter() {
            let token = event.data.u64();
            if token == 0 {
                let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
                while let Ok(socket) = rustix::net::accept_with(&listener, flags) {
                    rustix::net::sockopt::set_tcp_nodelay(&socket, true).expect("a socket");
                    let fd = socket.as_raw_fd();
                    epoll::add(&epoll, &socket, EventData::new_u64(fd as u64), EventFlags::IN).expect("room");
                    open.insert(fd, socket);
                }
                continue;
            }
            let fd = token as RawFd;
            let Some(socket) = open.get(&fd) else { continue };
            let goes_on = match rustix::net::recv(socket, &mut bytes[..], RecvFlags::empty()) {
                Ok((0, _)) => false,
                Ok((count, _)) => {
                    !bytes[..count].ends_with(b"\r\n\r\n")
                        || rustix::net::send(socket, ANSWER, SendFlags::NOSIGNAL) == Ok(ANSWER.len())
                }
                Err(errno) => errno == rustix::io::Errno::AGAIN,
            };
            if !goes_on {
                open.remove(&fd);
            }
        }
    }
}
