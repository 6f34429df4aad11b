//! The one connection of a user: the generator's own sockets, waited for by tokio.
//!
//! It sends bytes and reads one answer; it decides nothing and counts nothing.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, PoisonError};

use rustix::net::RecvFlags;
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};

use crate::protocol::http1::Exchange;
use crate::protocol::{Answer, Malformed};
use crate::report::ErrorKind;
use crate::socket::{Carrier, Socket, is_connected};
use crate::spec::Address;
use crate::stamp;

/// What went wrong, in kind and in words.
pub(super) type Trouble = (ErrorKind, String);

/// Where bytes are read to, shared by the users of a thread.
pub(super) type Scratch = Mutex<Box<[u8]>>;

/// A connection.
pub(super) struct Wire {
    stream: Stream,
    /// Whether bytes come with the time of their arrival.
    is_stamped: bool,
    /// Whether it has carried a request before.
    pub(super) is_used: bool,
    /// Whether it may carry another.
    pub(super) is_reusable: bool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn new(address: &Address, socket: Socket) -> io::Result<Stream> {
        let fd = socket.into_fd();
        match address {
            Address::Inet(_) => TcpStream::from_std(fd.into()).map(Stream::Tcp),
            Address::Unix(_) => UnixStream::from_std(fd.into()).map(Stream::Unix),
        }
    }

    async fn writable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.writable().await,
            Stream::Unix(stream) => stream.writable().await,
        }
    }

    async fn readable(&self) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.try_write(bytes),
            Stream::Unix(stream) => stream.try_write(bytes),
        }
    }

    /// Reads what is there; with it comes the wall time of its arrival in nanoseconds, where the kernel tells it.
    fn try_read(&self, into: &mut [u8], stamped: bool) -> io::Result<(usize, Option<u64>)> {
        let read = || {
            if stamped {
                return stamp::receive(self, into);
            }
            let (count, _) = rustix::net::recv(self, into, RecvFlags::empty())?;
            Ok((count, None))
        };
        match self {
            Stream::Tcp(stream) => stream.try_io(Interest::READABLE, read),
            Stream::Unix(stream) => stream.try_io(Interest::READABLE, read),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

fn is_no_more(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

impl Wire {
    /// Connects, from `source` if that is given; `number` tells the users of a load apart.
    pub(super) async fn connect(address: &Address, source: Option<IpAddr>, number: u32) -> io::Result<Wire> {
        let socket = Socket::open(address, source, Carrier::Stream, number, true)?;
        let is_stamped = socket.is_stamped();
        let stream = Stream::new(address, socket)?;
        stream.writable().await?;
        // Writable, and neither connected nor in error: a state that sockets are not known to have.
        if !is_connected(&stream)? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(Wire {
            stream,
            is_stamped,
            is_used: false,
            is_reusable: false,
        })
    }

    /// Whether the target has closed it meanwhile, or sent what nobody asked for.
    pub(super) fn is_stale(&self) -> bool {
        let looked = rustix::net::recv(&self.stream, &mut [0_u8], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !looked.is_err_and(|error| is_no_more(&error.into()))
    }

    /// Sends all of `bytes`.
    pub(super) async fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.is_reusable = false;
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if is_no_more(&error) => self.stream.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads one answer and lets `judge` have a look at it as soon as it is whole, with the wall time of its last bytes' arrival where
    /// the kernel told it; `came` is told of bytes as they come.
    pub(super) async fn answer<T>(
        &mut self,
        mut exchange: Exchange,
        scratch: &Scratch,
        came: impl Fn(usize),
        judge: impl FnOnce(&Answer<'_>, Option<u64>) -> T,
    ) -> Result<T, Trouble> {
        self.is_used = true;
        let broke = |error: io::Error| (ErrorKind::Reset, format!("the connection broke: {error}"));
        loop {
            self.stream.readable().await.map_err(broke)?;
            let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, stamp) = match self.stream.try_read(&mut scratch, self.is_stamped) {
                Err(error) if is_no_more(&error) || error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map_err(broke)?,
            };
            if count == 0 {
                let closed = "the target closed the connection before its answer was whole";
                let answer = exchange
                    .end()
                    .ok_or_else(|| (ErrorKind::Closed, closed.to_owned()))?;
                return Ok(judge(&answer, None));
            }
            came(count);
            let whole = exchange.receive(&scratch[..count]);
            if let Some((answer, used, reusable)) =
                whole.map_err(|Malformed(problem)| (ErrorKind::Malformed, problem))?
            {
                // What follows could be taken for the next answer.
                self.is_reusable = reusable && used == count;
                return Ok(judge(&answer, stamp));
            }
        }
    }
}
