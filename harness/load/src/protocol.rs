//! Protocols: requests into bytes, bytes into answers. One file each.
//!
//! Three steps, each with a type of its own. A [`Protocol`] is what a load asks, as a scenario writes it. Once the target's address is
//! known it becomes a [`Dialect`], shared by all connections of a load on a thread. Each connection has a [`Session`]: the protocol's
//! state, which does no I/O, reads no clock and knows no histogram, so that the same session works over TCP, TLS or a unix
//! socket, and its tests are bytes. Adding a protocol is one file and one line where scenarios are read.

pub mod framed;
pub mod http1;
pub mod http2;
pub mod sse;
pub mod websocket;

use std::fmt::Debug;
use std::sync::Arc;

use crate::check::Checks;
pub use crate::fields::Fields;
use crate::journey::Part;
use crate::report::ErrorKind;
pub use crate::socket::Carrier;
use crate::spec::Target;

/// Names a request within one generator thread and load.
pub type Tag = u32;

/// The most bytes of a body that are kept for extraction; a longer one cannot be extracted from.
pub const KEPT_BODY_BYTES_MAX: usize = 16 << 20;

/// How much of an answer a session has to keep. Of an error's body the first bytes are always kept, for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Its header fields.
    pub fields: bool,
    /// All of its body, up to [`KEPT_BODY_BYTES_MAX`].
    pub body: bool,
}

impl Keep {
    /// Neither.
    pub const NOTHING: Keep = Keep {
        fields: false,
        body: false,
    };

    /// What either asks for.
    #[must_use]
    pub fn and(self, other: Keep) -> Keep {
        Keep {
            fields: self.fields || other.fields,
            body: self.body || other.body,
        }
    }
}

/// What a load asks, before it is known where.
pub trait Protocol: Debug + Send + Sync {
    /// Fits it to a target; an error says in words what can't be written.
    fn dialect(&self, target: &Target, keep: Keep) -> Result<Arc<dyn Dialect>, String>;

    /// What its answers must be.
    fn checks(&self) -> Checks {
        Checks::default()
    }

    /// Whether it belongs to users who make journeys, who are not the generator's own.
    fn part(&self) -> Part<'_> {
        Part::Alone
    }
}

/// What a load asks of its target.
pub trait Dialect: Debug + Send + Sync {
    /// The state of a new connection.
    fn session(&self) -> Box<dyn Session>;

    /// How its bytes travel.
    fn carrier(&self) -> Carrier {
        Carrier::Stream
    }

    /// How many requests a connection carries at once, at most.
    fn streams(&self) -> usize {
        1
    }

    /// What it calls itself in TLS's application-layer protocol negotiation (RFC 7301).
    fn alpn(&self) -> Option<&'static [u8]> {
        None
    }
}

/// A whole answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Which request it answers.
    pub tag: Tag,
    /// The status code; protocols without one use 200.
    pub status: u16,
    /// Its header fields, where they were to be kept.
    pub fields: &'a Fields,
    /// What was kept of the body.
    pub body: &'a [u8],
    /// How long the body is.
    pub body_bytes: u64,
    /// Whether `body` is the whole body.
    pub whole: bool,
    /// Whether the connection stays with whoever asked, and carries messages from now on (an event stream).
    pub holds: bool,
}

/// What bytes that arrived meant.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The connection is open: it may carry requests from now on.
    Opened,
    /// A request was answered.
    Answer(Answer<'a>),
    /// A request failed and the connection goes on without it.
    Failed {
        /// Which one.
        tag: Tag,
        /// How.
        kind: ErrorKind,
        /// In words.
        text: &'a str,
    },
    /// A message that answers no request: what the target sends of its own accord.
    Message(&'a [u8]),
}

/// Bytes that are not the protocol's. The text says where and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

/// The state of one protocol on one connection.
pub trait Session: Send {
    /// The connection stands: appends what is sent before any request. Returns whether it may carry requests at once; else an
    /// [`Event::Opened`] comes.
    fn open(&mut self, _out: &mut Vec<u8>) -> bool {
        true
    }

    /// How many more requests it takes now.
    fn room(&self) -> usize;

    /// Appends the bytes of request `number` of its load to `out`. Only called while there is [`room`](Session::room).
    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>);

    /// Why the request that was started last cannot be written, in words, where [`start`](Session::start) appended nothing for
    /// that reason. The connection goes on without it.
    fn refused(&mut self) -> Option<String> {
        None
    }

    /// Takes bytes that arrived; returns how many were used and what they meant, if anything yet. All are used where it is
    /// nothing; else the caller calls again with the rest, also with none left. What the protocol answers by itself goes to `out`.
    fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Event<'a>>), Malformed>;

    /// The peer has closed: the answer that this completes, if it does.
    fn end(&mut self) -> Option<Answer<'_>> {
        None
    }

    /// Gives up a request that took too long. Returns whether the connection can go on without it, as few protocols can.
    fn cancel(&mut self, _tag: Tag, _out: &mut Vec<u8>) -> bool {
        false
    }

    /// Whether bytes wait for room, since much was appended before: then [`resume`](Session::resume) gives them.
    fn holds_back(&self) -> bool {
        false
    }

    /// All that was appended has been taken: appends what was held back, as far as that is bounded.
    fn resume(&mut self, _out: &mut Vec<u8>) {}

    /// Whether the connection takes no further requests and is to be closed once those it carries have ended.
    fn is_spent(&self) -> bool {
        false
    }
}
