//! One connection: what has been read of its next request, and the one that waits for its reply.

use std::os::fd::OwnedFd;

use crate::behaviour::Answer;
use crate::request::{self, HEAD_MAX, Head, Parsed, Refusal};

/// The most that a connection may send ahead of its reply, in bytes.
const AHEAD_MAX: usize = 2 * HEAD_MAX;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    /// The request that waits for its reply.
    pub(super) waiting: Option<Waiting>,
    /// When its bytes were last read.
    pub(super) read_ns: u64,
    /// When those bytes arrived.
    pub(super) arrival_ns: u64,
    /// Whether the other side has ended its own.
    pub(super) ended: bool,
    unread: Vec<u8>,
    /// A request whose body has not come yet, and how much of that is missing.
    begun: Option<(Head, u64)>,
}

/// A request that waits for its reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) arrival_ns: u64,
    pub(super) read_ns: u64,
    pub(super) due_ns: u64,
    pub(super) answer: Answer,
    pub(super) head_only: bool,
    pub(super) keep_alive: bool,
    /// How much of the reply has been written, once writing has begun.
    pub(super) written: Option<usize>,
}

/// A connection that sends more than it may.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

impl Connection {
    pub(super) fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            waiting: None,
            read_ns: 0,
            arrival_ns: 0,
            ended: false,
            unread: Vec::new(),
            begun: None,
        }
    }

    /// Takes in bytes that were read.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), TooMuch> {
        let mut bytes = bytes;
        if let Some((_, missing)) = &mut self.begun {
            let of_body = (*missing).min(bytes.len() as u64);
            *missing -= of_body;
            bytes = &bytes[of_body as usize..];
        }
        if self.unread.len() + bytes.len() > AHEAD_MAX {
            return Err(TooMuch);
        }
        self.unread.extend_from_slice(bytes);
        Ok(())
    }

    /// The next request, once it is there with its body; or why there can't be one.
    pub(super) fn next(&mut self) -> Result<Option<Head>, Refusal> {
        if self.begun.is_none() {
            if self.unread.is_empty() {
                return Ok(None);
            }
            match request::parse(&self.unread) {
                Parsed::Partial => return Ok(None),
                Parsed::Bad(refusal) => return Err(refusal),
                Parsed::Whole(head) => {
                    let there = self.unread.len() - head.length;
                    let of_body = head.body.min(there as u64) as usize;
                    self.unread.drain(..head.length + of_body);
                    self.begun = Some((head, head.body - of_body as u64));
                }
            }
        }
        Ok(self
            .begun
            .take_if(|(_, missing)| *missing == 0)
            .map(|(head, _)| head))
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD_MAX, Connection, TooMuch};
    use crate::request::Refusal;

    fn connection() -> Connection {
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        Connection::new(socket.into())
    }

    const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

    #[test]
    fn a_request_is_there_once_all_of_it_is_wherever_it_is_cut() {
        let text = b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nhelloGET /";
        let whole = text.len() - 5;
        for cut in 1..text.len() {
            let mut connection = connection();
            connection.feed(&text[..cut]).unwrap();
            let early = connection.next().unwrap();
            assert_eq!(early.is_some(), cut >= whole, "{cut}");
            connection.feed(&text[cut..]).unwrap();
            let request = early.or(connection.next().unwrap());
            assert_eq!(request.map(|head| head.body), Some(5), "{cut}");
            assert_eq!(connection.unread, b"GET /", "{cut}");
            assert_eq!(connection.next(), Ok(None));
        }
    }

    #[test]
    fn requests_that_come_together_are_taken_one_by_one() {
        let mut connection = connection();
        connection.feed(&GET.repeat(2)).unwrap();
        assert!(connection.next().unwrap().is_some());
        assert!(connection.next().unwrap().is_some());
        assert_eq!(connection.next(), Ok(None));
    }

    #[test]
    fn what_is_sent_ahead_is_bounded_and_a_body_is_not_kept() {
        let mut connection = connection();
        assert_eq!(connection.feed(&vec![b'x'; AHEAD_MAX + 1]), Err(TooMuch));
        connection
            .feed(b"POST / HTTP/1.1\r\ncontent-length: 10000000\r\n\r\n")
            .unwrap();
        assert_eq!(connection.next(), Ok(None));
        for _ in 0..1_000 {
            connection.feed(&[b'x'; 10_000]).unwrap();
        }
        assert!(connection.next().unwrap().is_some() && connection.unread.is_empty());
        connection.feed(b"\x00\x01\r\n").unwrap();
        assert_eq!(connection.next(), Err(Refusal::Malformed));
    }
}
