//! Protocols: requests into bytes, bytes into answers. One file each.
//!
//! A [`Session`] is the protocol's state on one connection. It does no I/O, reads no clock and knows no histogram, so that the
//! same session works over TCP, TLS or a unix socket, and its tests are bytes. Adding a protocol is one file and a way to
//! make its sessions.

pub mod http1;

/// Names a request within one generator thread and load.
pub(crate) type Tag = u32;

/// The most bytes of a body that are kept for extraction; a longer one cannot be extracted from.
pub const KEPT_BODY_BYTES_MAX: usize = 16 << 20;

/// How much of an answer's body a session has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Only the first bytes of an error's body, for an example.
    Errors,
    /// All of it, up to [`KEPT_BODY_BYTES_MAX`].
    Bodies,
}

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// Which request it answers.
    pub(crate) tag: Tag,
    /// The status code; protocols without one use 200.
    pub(crate) status: u16,
    /// What was kept of the body.
    pub(crate) body: &'a [u8],
    /// Whether `body` is the whole body.
    pub(crate) whole: bool,
    /// Whether the connection can carry on.
    pub(crate) reusable: bool,
}

/// Bytes that are not the protocol's. The text says where and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

/// The state of one protocol on one connection.
pub(crate) trait Session: Send {
    /// Appends the bytes of request `number` of its load to `out`. Only called when no request is outstanding; a protocol that carries
    /// several at once will say how many here.
    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>);

    /// Takes bytes that arrived; returns how many were used and the answer that they completed, if any. All are used unless
    /// an answer was completed; the caller calls again with the rest.
    fn receive<'a>(&'a mut self, bytes: &'a [u8]) -> Result<(usize, Option<Answer<'a>>), Malformed>;

    /// The peer has closed: the answer that this completes, if it does.
    fn end(&mut self) -> Option<Answer<'_>>;
}
