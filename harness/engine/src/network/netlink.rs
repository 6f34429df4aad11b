//! Netlink as far as it is needed: messages of a header and attributes, each acknowledged, and lists.
//!
//! The kernel answers inside the call that asks, so nothing here waits for anybody. The formats are those of netlink(7).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// Longer than the kernel takes for anything: it answers at once, or something is very wrong.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Room for one answer: the kernel fills lists in pieces of at most 32 KiB.
const ANSWER_BYTES: usize = 64 * 1024;

/// The most answers to one request, as a bound: a list of everything in a namespace that squall has made.
const ANSWERS_MAX: usize = 100_000;

/// The header of each message, in bytes.
const HEADER: usize = 16;

/// What asks for an acknowledgement.
const REQUEST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;

/// Makes what isn't there, and refuses where it is.
pub(super) const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

/// Makes what isn't there, and replaces what is.
pub(super) const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

/// A message to the kernel.
#[derive(Clone, Debug)]
pub(super) struct Message(Vec<u8>);

impl Message {
    /// A message of a kind, with its family's fixed header.
    pub(super) fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(REQUEST | flags).to_ne_bytes());
        bytes.extend(header);
        Self(bytes).aligned()
    }

    /// Without an acknowledgement: for what is no request by itself.
    pub(super) fn silent(mut self) -> Self {
        self.0[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self
    }

    /// Adds an attribute.
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.aligned()
    }

    /// Adds a text, with the zero byte that ends it.
    pub(super) fn with_text(self, kind: u16, text: &str) -> Self {
        self.with(kind, &[text.as_bytes(), &[0]].concat())
    }

    /// Adds an attribute made of attributes.
    pub(super) fn nest(mut self, kind: u16, inside: impl FnOnce(Self) -> Self) -> Self {
        let at = self.0.len();
        self = inside(self.with(kind | libc::NLA_F_NESTED as u16, &[]));
        let length = (self.0.len() - at) as u16;
        self.0[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// Adds bytes that are no attribute: a header inside of a nest.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self.aligned()
    }

    fn aligned(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// The bytes to send, numbered.
    pub(super) fn numbered(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[0..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }

    fn asks_for_acknowledgement(&self) -> bool {
        u16::from_ne_bytes([self.0[6], self.0[7]]) & libc::NLM_F_ACK as u16 != 0
    }
}

/// A socket to the kernel, of the network namespace that its thread was in when it was made.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// `None` is rtnetlink.
    pub(super) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        set_socket_timeout(&fd, Timeout::Recv, Some(ANSWER_WITHIN))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// Has the kernel do one thing.
    pub(super) fn request(&mut self, message: Message) -> Result<(), Errno> {
        self.batch(vec![message])
    }

    /// Sends messages in one piece, and says what went wrong first.
    pub(super) fn batch(&mut self, messages: Vec<Message>) -> Result<(), Errno> {
        let first = self.sequence + 1;
        let mut awaited = 0;
        let mut bytes = Vec::new();
        for message in messages {
            awaited += usize::from(message.asks_for_acknowledgement());
            self.sequence += 1;
            bytes.extend(message.numbered(self.sequence));
        }
        send(&self.fd, &bytes, SendFlags::empty())?;
        while awaited > 0 {
            for answer in self.receive()?.answers() {
                if answer.kind == libc::NLMSG_ERROR as u16 && answer.sequence >= first {
                    answer.acknowledged()?;
                    awaited = awaited.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    /// Asks for a list: what follows the kernel's header of each entry, in order.
    pub(super) fn list(
        &mut self,
        kind: u16,
        header: &[u8],
        attributes: &[(u16, &str)],
    ) -> Result<Vec<Vec<u8>>, Errno> {
        let mut message = Message::new(kind, libc::NLM_F_DUMP as u16, header);
        for (kind, text) in attributes {
            message = message.with_text(*kind, text);
        }
        self.sequence += 1;
        send(&self.fd, &message.numbered(self.sequence), SendFlags::empty())?;
        let mut entries = Vec::new();
        while entries.len() < ANSWERS_MAX {
            for answer in self.receive()?.answers() {
                match i32::from(answer.kind) {
                    _ if answer.sequence != self.sequence => {}
                    libc::NLMSG_DONE => return Ok(entries),
                    libc::NLMSG_ERROR => answer.acknowledged()?,
                    _ => entries.push(answer.body.to_vec()),
                }
            }
        }
        Err(Errno::OVERFLOW)
    }

    fn receive(&self) -> Result<Answers, Errno> {
        let mut bytes = vec![0_u8; ANSWER_BYTES];
        let (received, _) = rustix::io::retry_on_intr(|| recv(&self.fd, &mut bytes[..], RecvFlags::empty()))?;
        bytes.truncate(received);
        Ok(Answers(bytes))
    }
}

/// What came in one piece.
struct Answers(Vec<u8>);

struct Answer<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

impl Answers {
    fn answers(&self) -> impl Iterator<Item = Answer<'_>> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let length = u32_at(rest, 0)? as usize;
            let message = rest.get(..length).filter(|message| message.len() >= HEADER)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some(Answer {
                kind: u16_at(message, 4)?,
                sequence: u32_at(message, 8)?,
                body: &message[HEADER..],
            })
        })
    }
}

impl Answer<'_> {
    fn acknowledged(&self) -> Result<(), Errno> {
        match u32_at(self.body, 0).map(|error| error.cast_signed().wrapping_neg()) {
            Some(0) => Ok(()),
            Some(errno) => Err(Errno::from_raw_os_error(errno)),
            None => Err(Errno::BADMSG),
        }
    }
}

/// Waits for the acknowledgement of the one message that was sent. Allocates nothing: for use after a fork.
pub(super) fn acknowledgement(fd: &OwnedFd) -> Result<(), Errno> {
    let mut bytes = [0_u8; 64];
    rustix::io::retry_on_intr(|| recv(fd, &mut bytes[..], RecvFlags::empty()))?;
    match u32_at(&bytes, HEADER).map(|error| error.cast_signed().wrapping_neg()) {
        Some(0) => Ok(()),
        Some(errno) => Err(Errno::from_raw_os_error(errno)),
        None => Err(Errno::BADMSG),
    }
}

/// The attributes in `bytes`, by kind, in order.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & !(libc::NLA_F_NESTED as u16);
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The first attribute of a kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find_map(|(found, value)| (found == kind).then_some(value))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// A number of this machine's byte order.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_laid_out_as_the_kernel_reads_it() {
        let message = Message::new(16, CREATE, &[7; 3])
            .with_text(3, "lo")
            .nest(18, |inside| inside.with(1, &[1, 2, 3, 4]));
        let bytes = message.numbered(5);
        let attributes_at = HEADER + 4;
        assert_eq!(u32_at(&bytes, 0), Some(bytes.len() as u32));
        assert_eq!(u16_at(&bytes, 4), Some(16));
        assert_eq!(u32_at(&bytes, 8), Some(5));
        assert_eq!(&bytes[HEADER..attributes_at], [7, 7, 7, 0]);
        let found: Vec<_> = attributes(&bytes[attributes_at..]).collect();
        assert_eq!(found[0], (3, &b"lo\0"[..]));
        assert_eq!(found[1].0, 18);
        assert_eq!(attribute(found[1].1, 1), Some(&[1, 2, 3, 4][..]));
        assert_eq!(attribute(found[1].1, 2), None);
    }

    #[test]
    fn what_was_cut_short_is_no_answer() {
        let whole = Message::new(2, 0, &(-1_i32).to_ne_bytes()).numbered(9);
        for length in [0, 3, HEADER - 1, whole.len() - 1] {
            assert_eq!(Answers(whole[..length].to_vec()).answers().count(), 0, "{length}");
        }
        let answers = Answers([whole.clone(), whole].concat());
        let errors: Vec<_> = answers.answers().map(|answer| answer.acknowledged()).collect();
        assert_eq!(errors, [Err(Errno::PERM), Err(Errno::PERM)]);
    }
}
