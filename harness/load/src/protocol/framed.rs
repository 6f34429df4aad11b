//! Request and response over plain TCP and UDP: the same message each time, the answer told apart by a frame.
//!
//! A frame says where a message ends, in both directions: it is put around what is sent, and taken off what comes. One request is
//! on a connection at a time, so an answer belongs to the request before it. UDP has no connection to close after a lost
//! answer: its socket is given up instead, so that a late answer can't be taken for the next one's.

use std::sync::Arc;

use crate::data::{Feeds, Values};
use crate::fields::Fields;
use crate::protocol::{
    Answer, Carrier, Dialect, Event, KEPT_BODY_BYTES_MAX, Keep, Malformed, Protocol, Session, Tag,
};
use crate::spec::Target;
use crate::text::Text;

/// The most bytes that a UDP datagram carries over IPv4.
pub const DATAGRAM_BYTES_MAX: usize = 65_507;

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame {
    /// At a line feed, which is added to what is sent. A carriage return before it belongs to the message.
    Line,
    /// After as many bytes as a number before it says.
    Length {
        /// How many bytes the number has: 1, 2, 4 or 8.
        bytes: u8,
        /// Whether its lowest byte comes first.
        little_endian: bool,
    },
    /// After this many bytes. What is sent is sent as it is.
    Fixed(usize),
    /// With the datagram.
    Datagram,
}

/// A message that is sent again and again.
#[derive(Clone, Debug)]
pub struct Message {
    /// What is sent, without its frame.
    pub send: Text,
    /// Where the values in it come from.
    pub feeds: Feeds,
    /// Where an answer ends.
    pub frame: Frame,
}

impl Message {
    /// Whether it can be sent in its frame, whatever the values in it; the text says why not.
    pub fn check(&self) -> Result<(), String> {
        self.frame.check()?;
        self.send
            .literals()
            .try_for_each(|literal| self.frame.fits(literal))
    }
}

impl Frame {
    fn check(self) -> Result<(), String> {
        match self {
            Frame::Length { bytes, .. } if ![1, 2, 4, 8].contains(&bytes) => {
                Err(format!("a length has 1, 2, 4 or 8 bytes, not {bytes}"))
            }
            Frame::Fixed(0) => Err("an answer of no bytes never comes".into()),
            Frame::Fixed(size) if size > KEPT_BODY_BYTES_MAX => {
                Err(format!("answers may have at most {KEPT_BODY_BYTES_MAX} bytes"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a message can be sent in the frame; the text says why not.
    fn fits(self, message: &[u8]) -> Result<(), String> {
        let length = message.len();
        match self {
            Frame::Line if message.contains(&b'\n') => {
                Err("a message that ends with its line can't hold a line feed".into())
            }
            Frame::Length { bytes, .. } if bytes < 8 && length as u64 >= 1 << (8 * bytes) => Err(format!(
                "a message of {length} bytes is too long for a length of {bytes} bytes"
            )),
            Frame::Datagram if length > DATAGRAM_BYTES_MAX => Err(format!(
                "a datagram carries at most {DATAGRAM_BYTES_MAX} bytes, not {length}"
            )),
            _ => Ok(()),
        }
    }

    /// Appends a message in its frame.
    fn put(self, message: &[u8], out: &mut Vec<u8>) {
        if let Frame::Length { bytes, little_endian } = self {
            let length = message.len() as u64;
            let bytes = usize::from(bytes);
            if little_endian {
                out.extend_from_slice(&length.to_le_bytes()[..bytes]);
            } else {
                out.extend_from_slice(&length.to_be_bytes()[8 - bytes..]);
            }
        }
        out.extend_from_slice(message);
        if self == Frame::Line {
            out.push(b'\n');
        }
    }
}

impl Protocol for Message {
    fn dialect(&self, _target: &Target, _keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        self.check()?;
        let frame = self.frame;
        let request = if let Some(message) = self.send.as_literal() {
            let mut bytes = Vec::new();
            frame.put(message, &mut bytes);
            Request::Constant(bytes.into())
        } else {
            Request::Differing {
                text: Arc::new(self.send.clone()),
                values: self.feeds.open(),
                message: Vec::new(),
            }
        };
        Ok(Arc::new(Framed { request, frame }))
    }
}

/// What is sent.
#[derive(Clone, Debug)]
enum Request {
    /// Always the same, in its frame.
    Constant(Arc<[u8]>),
    /// A text with values; `message` is for its own use.
    Differing {
        text: Arc<Text>,
        values: Values,
        message: Vec<u8>,
    },
}

impl Request {
    /// Appends request `number`; on an error, which is in words, nothing.
    fn write(&mut self, frame: Frame, number: u64, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Request::Constant(bytes) => out.extend_from_slice(bytes),
            Request::Differing {
                text,
                values,
                message,
            } => {
                message.clear();
                values.draw(number);
                text.write(values, message)
                    .map_err(|problem| problem.to_string())?;
                frame.fits(message)?;
                frame.put(message, out);
            }
        }
        Ok(())
    }
}

/// A message in its frame, shared by the connections of a load.
#[derive(Clone, Debug)]
struct Framed {
    request: Request,
    frame: Frame,
}

impl Dialect for Framed {
    fn session(&self) -> Box<dyn Session> {
        Box::new(FramedSession {
            request: self.request.clone(),
            frame: self.frame,
            tag: None,
            refused: None,
            kept: Vec::new(),
        })
    }

    fn carrier(&self) -> Carrier {
        match self.frame {
            Frame::Datagram => Carrier::Datagrams,
            _ => Carrier::Stream,
        }
    }
}

/// One connection, or one UDP socket.
struct FramedSession {
    request: Request,
    frame: Frame,
    tag: Option<Tag>,
    /// Why the latest request could not be written.
    refused: Option<String>,
    /// The beginning of an unfinished answer, frame included.
    kept: Vec<u8>,
}

impl Session for FramedSession {
    fn room(&self) -> usize {
        usize::from(self.tag.is_none())
    }

    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>) {
        self.kept.clear();
        match self.request.write(self.frame, number, out) {
            Ok(()) => self.tag = Some(tag),
            Err(problem) => self.refused = Some(problem),
        }
    }

    fn refused(&mut self) -> Option<String> {
        self.refused.take()
    }

    fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
        _out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Event<'a>>), Malformed> {
        let Some(tag) = self.tag else {
            return match (bytes, self.frame) {
                ([], _) => Ok((0, None)),
                // Of its own accord, or twice: on the network both happen.
                (_, Frame::Datagram) => Ok((bytes.len(), Some(Event::Message(bytes)))),
                _ => Err(Malformed("bytes without a request".into())),
            };
        };
        let frame = self.frame;
        // Whole in one read: no copy.
        if self.kept.is_empty()
            && let Some(end) = end_of(frame, bytes)?
        {
            self.tag = None;
            let body = bare(frame, &bytes[..end]);
            return Ok((end, Some(answer(tag, body))));
        }
        let before = self.kept.len();
        self.kept.extend_from_slice(bytes);
        let Some(end) = end_of(frame, &self.kept)? else {
            return Ok((bytes.len(), None));
        };
        self.tag = None;
        let body = bare(frame, &self.kept[..end]);
        Ok((end - before, Some(answer(tag, body))))
    }
}

fn answer(tag: Tag, body: &[u8]) -> Event<'_> {
    Event::Answer(Answer {
        tag,
        status: 200,
        fields: Fields::NONE,
        body,
        body_bytes: body.len() as u64,
        whole: true,
        holds: false,
    })
}

/// How many of `bytes` make up the first message with its frame; `None` while it isn't whole.
fn end_of(frame: Frame, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let end = match frame {
        Frame::Line => memchr::memchr(b'\n', bytes).map(|at| at + 1),
        Frame::Fixed(size) => Some(size),
        Frame::Datagram => Some(bytes.len()),
        Frame::Length {
            bytes: width,
            little_endian,
        } => length(bytes, usize::from(width), little_endian).map(|length| {
            usize::try_from(length)
                .unwrap_or(usize::MAX)
                .saturating_add(usize::from(width))
        }),
    };
    let announced = end.unwrap_or(bytes.len());
    if announced > KEPT_BODY_BYTES_MAX {
        return Err(Malformed(format!(
            "an answer of {announced} bytes or more; at most {KEPT_BODY_BYTES_MAX} are taken"
        )));
    }
    Ok(end.filter(|end| *end <= bytes.len()))
}

/// The number at the beginning of `bytes`, where it is whole.
fn length(bytes: &[u8], width: usize, little_endian: bool) -> Option<u64> {
    let number = bytes.get(..width)?;
    let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
    Some(if little_endian {
        number.iter().rev().fold(0, add)
    } else {
        number.iter().fold(0, add)
    })
}

/// A message without its frame.
fn bare(frame: Frame, framed: &[u8]) -> &[u8] {
    match frame {
        Frame::Line => &framed[..framed.len() - 1],
        Frame::Length { bytes, .. } => &framed[usize::from(bytes)..],
        Frame::Fixed(_) | Frame::Datagram => framed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BIG: Frame = Frame::Length {
        bytes: 4,
        little_endian: false,
    };
    const LITTLE: Frame = Frame::Length {
        bytes: 2,
        little_endian: true,
    };

    fn session(frame: Frame) -> Box<dyn Session> {
        let message = Message {
            send: "ask".into(),
            feeds: Feeds::default(),
            frame,
        };
        let target = Target {
            addr: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            host: String::new(),
            tls: None,
        };
        message.dialect(&target, Keep::default()).unwrap().session()
    }

    /// Feeds one answer in pieces that end at `cuts`; returns its body and the bytes used of the last piece.
    fn feed(session: &mut dyn Session, bytes: &[u8], cuts: &[usize]) -> Result<Option<Vec<u8>>, Malformed> {
        let mut start = 0;
        for end in cuts.iter().copied().chain([bytes.len()]) {
            let (used, event) = session.receive(&bytes[start..end], &mut Vec::new())?;
            if let Some(Event::Answer(answer)) = event {
                assert_eq!(answer.tag, 7);
                return Ok(Some(answer.body.to_vec()));
            }
            assert_eq!(used, end - start, "all is used while no answer is whole");
            start = end;
        }
        Ok(None)
    }

    #[test]
    fn what_is_sent_is_framed() {
        let sent = |frame| {
            let mut out = Vec::new();
            session(frame).start(7, 0, &mut out);
            out
        };
        assert_eq!(sent(Frame::Line), b"ask\n");
        assert_eq!(sent(BIG), b"\0\0\0\x03ask");
        assert_eq!(sent(LITTLE), b"\x03\0ask");
        assert_eq!(sent(Frame::Fixed(9)), b"ask");
        assert_eq!(sent(Frame::Datagram), b"ask");
    }

    #[test]
    fn an_answer_is_whole_wherever_it_is_cut() {
        let table: [(Frame, &[u8], &[u8]); 5] = [
            (Frame::Line, b"yes\r\n", b"yes\r"),
            (BIG, b"\0\0\0\x03yes", b"yes"),
            (LITTLE, b"\x03\0yes", b"yes"),
            (BIG, b"\0\0\0\0", b""),
            (Frame::Fixed(4), b"yes!", b"yes!"),
        ];
        for (frame, bytes, body) in table {
            for cut in 0..bytes.len() {
                let mut session = session(frame);
                session.start(7, 0, &mut Vec::new());
                assert_eq!(session.room(), 0);
                let cuts: &[usize] = if cut == 0 { &[] } else { &[cut] };
                assert_eq!(
                    feed(&mut *session, bytes, cuts),
                    Ok(Some(body.to_vec())),
                    "{frame:?} {cut}"
                );
                assert_eq!(session.room(), 1);
            }
        }
    }

    #[test]
    fn bytes_nobody_asked_for_break_a_stream_and_are_a_message_in_a_datagram() {
        let mut stream = session(Frame::Line);
        assert!(stream.receive(b"hello\n", &mut Vec::new()).is_err());
        let mut socket = session(Frame::Datagram);
        let (used, event) = socket.receive(b"hello", &mut Vec::new()).unwrap();
        assert!(
            used == 5 && matches!(event, Some(Event::Message(b"hello"))),
            "{event:?}"
        );
    }

    #[test]
    fn what_cannot_be_framed_is_refused() {
        let problem = |send: &[u8], frame| {
            let message = Message {
                send: send.into(),
                feeds: Feeds::default(),
                frame,
            };
            message.check().unwrap_err()
        };
        let one_byte = Frame::Length {
            bytes: 1,
            little_endian: false,
        };
        expect_test::expect![[r"
            a message that ends with its line can't hold a line feed
            a message of 256 bytes is too long for a length of 1 bytes
            an answer of no bytes never comes
            a datagram carries at most 65507 bytes, not 65508"]]
        .assert_eq(
            &[
                problem(b"a\nb", Frame::Line),
                problem(&[0; 256], one_byte),
                problem(b"", Frame::Fixed(0)),
                problem(&vec![0; DATAGRAM_BYTES_MAX + 1], Frame::Datagram),
            ]
            .join("\n"),
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_keep_without_bound(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            cut in 0..200_usize,
            frame in prop::sample::select(vec![Frame::Line, BIG, LITTLE, Frame::Fixed(5), Frame::Datagram]),
        ) {
            let mut session = session(frame);
            session.start(7, 0, &mut Vec::new());
            let _ = feed(&mut *session, &bytes, &[cut.min(bytes.len())]);
        }
    }
}
