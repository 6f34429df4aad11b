//! HTTP/2 (RFC 9113): many requests at once on one connection, each a stream of its own.
//!
//! The state machine is the `h2` crate's. It expects a transport and a task; here the transport is two queues of bytes
//! ([`pipe`](self::pipe)), and the session itself polls whenever bytes came or a request starts. So there is no runtime and no
//! thread, and nothing is ever waited for. Over plain TCP both sides are taken to know beforehand that it is HTTP/2; over TLS it is
//! agreed on.

mod exchange;
mod pipe;
mod request;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};

use crate::check::Checks;
use crate::protocol::http1::RequestTemplate;
use crate::protocol::{Dialect, Event, Keep, Malformed, Protocol, Session, Tag};
use crate::report::ErrorKind;
use crate::spec::Target;
use exchange::{Ended, Exchange, Woken};
use pipe::Pipe;
use request::Prepared;

/// Requests at once on a connection, unless told otherwise; what servers allow by default too.
pub const STREAMS: usize = 100;
/// The most requests at once on a connection that can be asked for.
pub const STREAMS_MAX: usize = 10_000;

/// How much of one answer may be under way, and of all of a connection. Wide, so that it is the target that is measured.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// Bytes of an answer's fields, as HTTP/2 counts them.
const FIELDS_BYTES_MAX: u32 = 64 << 10;
/// Requests that one connection carries in its life: streams are numbered with odd numbers below 2^31.
const REQUESTS_MAX: u32 = (1 << 30) - 1;
/// The type of a SETTINGS frame, which a server's first one is (RFC 9113, 3.4 and 6.5), and the length of a frame's head.
const SETTINGS: u8 = 4;
const FRAME_HEAD_BYTES: usize = 9;

/// HTTP requests over HTTP/2.
#[derive(Clone, Debug)]
pub struct Http2 {
    /// What is asked.
    pub request: RequestTemplate,
    /// The most requests at once on a connection; fewer where the target allows fewer.
    pub streams: usize,
}

impl Http2 {
    /// Whether it can be written as HTTP/2, whatever the target; the error says what can't.
    pub fn check(&self) -> Result<(), String> {
        let target = Target {
            addr: std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into(),
            host: "localhost".into(),
            tls: None,
        };
        self.dialect(&target, Keep::default()).map(drop)
    }
}

impl Protocol for Http2 {
    fn dialect(&self, target: &Target, keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        if !(1..=STREAMS_MAX).contains(&self.streams) {
            return Err(format!(
                "requests at once on a connection are 1 to {STREAMS_MAX}, not {}",
                self.streams
            ));
        }
        Ok(Arc::new(Asked {
            request: Prepared::new(&self.request, target)?,
            streams: self.streams,
            keep,
        }))
    }

    fn checks(&self) -> Checks {
        self.request.checks.clone()
    }
}

/// What the connections of a load share.
#[derive(Clone, Debug)]
struct Asked {
    request: Prepared,
    streams: usize,
    keep: Keep,
}

impl Dialect for Asked {
    fn session(&self) -> Box<dyn Session> {
        Box::new(Http2Session::new(self.clone()))
    }

    fn streams(&self) -> usize {
        // One at a time would be taken for HTTP/1.1's way of it, where an early answer ends the connection.
        self.streams.max(2)
    }

    fn alpn(&self) -> Option<&'static [u8]> {
        Some(b"h2")
    }
}

/// The first frame of a target, as far as it has come.
enum Greeting {
    /// Its head, and how much of that is there.
    Head([u8; FRAME_HEAD_BYTES], usize),
    /// So many bytes are missing.
    Rest(usize),
    /// It was SETTINGS.
    Whole,
}

/// HTTP/2 on one connection.
struct Http2Session {
    asked: Asked,
    pipe: Pipe,
    connection: Connection<Pipe, Bytes>,
    requests: SendRequest<Bytes>,
    exchanges: Vec<Exchange>,
    /// Exchanges that carry nothing.
    vacant: Vec<u32>,
    woken: Arc<Woken>,
    greeting: Greeting,
    opened: bool,
    /// h2 takes a request now.
    takes: bool,
    /// The connection takes no further requests.
    spent: bool,
    /// The connection is over, and why.
    over: Option<String>,
    /// How many requests it has carried.
    carried: u32,
    /// Why the latest request could not be written.
    unwritable: Option<String>,
    /// Requests that h2 did not take, with its words.
    untaken: Vec<(Tag, String)>,
    /// What the last event says.
    text: String,
}

impl Http2Session {
    fn new(asked: Asked) -> Http2Session {
        let pipe = Pipe::default();
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_max_send_streams(asked.streams)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(FIELDS_BYTES_MAX)
            .max_concurrent_reset_streams(asked.streams)
            .max_local_error_reset_streams(None);
        let mut begun = pin!(builder.handshake::<_, Bytes>(pipe.clone()));
        let Poll::Ready(Ok((requests, connection))) = begun.as_mut().poll(&mut idle()) else {
            unreachable!("h2 begins with a write of some bytes, for which an empty pipe has room");
        };
        Http2Session {
            asked,
            pipe,
            connection,
            requests,
            exchanges: Vec::new(),
            vacant: Vec::new(),
            woken: Arc::default(),
            greeting: Greeting::Head([0; FRAME_HEAD_BYTES], 0),
            opened: false,
            takes: false,
            spent: false,
            over: None,
            carried: 0,
            unwritable: None,
            untaken: Vec::new(),
            text: String::new(),
        }
    }

    fn active(&self) -> usize {
        self.exchanges.len() - self.vacant.len()
    }

    /// Lets h2 do all that it can, and moves what it writes to `out`.
    fn turn(&mut self, out: &mut Vec<u8>) {
        if self.over.is_none()
            && let Poll::Ready(result) = Pin::new(&mut self.connection).poll(&mut idle())
        {
            let why = result.map_or_else(|error| in_words(&error), |()| "it was closed".into());
            self.over = Some(why);
        }
        self.pipe.drain(out);
        match self.requests.poll_ready(&mut idle()) {
            Poll::Ready(Ok(())) => self.takes = true,
            Poll::Pending => self.takes = false,
            Poll::Ready(Err(_)) => self.spent = true,
        }
    }

    /// Looks at the first bytes: only SETTINGS open the connection, and what is not HTTP/2 at all is told apart.
    fn greet(&mut self, mut bytes: &[u8]) -> Result<(), Malformed> {
        if let Greeting::Head(head, have) = &mut self.greeting {
            let count = bytes.len().min(FRAME_HEAD_BYTES - *have);
            head[*have..*have + count].copy_from_slice(&bytes[..count]);
            *have += count;
            bytes = &bytes[count..];
            // A first byte that no frame's length has.
            if head[0] == b'H' {
                let problem = "the target answers in HTTP/1, not in HTTP/2: leave `version: 2` out";
                return Err(Malformed(problem.into()));
            }
            if *have < FRAME_HEAD_BYTES {
                return Ok(());
            }
            if head[3] != SETTINGS {
                return Err(Malformed(
                    "the target's first frame is not HTTP/2's SETTINGS".into(),
                ));
            }
            self.greeting = Greeting::Rest(u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize);
        }
        if let Greeting::Rest(left) = &mut self.greeting {
            *left -= bytes.len().min(*left);
            if *left == 0 {
                self.greeting = Greeting::Whole;
            }
        }
        Ok(())
    }

    /// The next exchange that has ended, well or badly.
    fn next_ended(&mut self) -> Option<(u32, Ended)> {
        while let Some(place) = self.woken.take() {
            let exchange = &mut self.exchanges[place as usize];
            if let Poll::Ready(ended) = exchange.advance(self.asked.keep) {
                self.vacant.push(place);
                return Some((place, ended));
            }
        }
        None
    }

    fn failed(&mut self, tag: Tag, kind: ErrorKind, text: String) -> Event<'_> {
        self.text = text;
        Event::Failed {
            tag,
            kind,
            text: &self.text,
        }
    }
}

impl Session for Http2Session {
    fn open(&mut self, out: &mut Vec<u8>) -> bool {
        self.turn(out);
        false
    }

    fn room(&self) -> usize {
        if !self.opened || !self.takes || self.is_spent() {
            return 0;
        }
        let allowed = self
            .asked
            .streams
            .min(self.connection.max_concurrent_send_streams());
        allowed.saturating_sub(self.active())
    }

    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>) {
        let (head, body) = match self.asked.request.write(number) {
            Ok(request) => request,
            Err(problem) => {
                self.unwritable = Some(problem);
                return;
            }
        };
        self.carried += 1;
        let sent = self
            .requests
            .send_request(head, body.is_empty())
            .and_then(|(answer, mut sending)| {
                if !body.is_empty() {
                    // Kept by h2 and sent as the target's windows allow.
                    sending.send_data(body, true)?;
                }
                Ok((answer, sending))
            });
        match sent {
            Ok((answer, sending)) => {
                let place = self.vacant.pop().unwrap_or_else(|| {
                    let place = self.exchanges.len() as u32;
                    self.exchanges.push(Exchange::new(place, &self.woken));
                    place
                });
                self.exchanges[place as usize].begin(tag, answer, sending);
            }
            Err(error) => self.untaken.push((tag, in_words(&error))),
        }
        self.turn(out);
    }

    fn refused(&mut self) -> Option<String> {
        self.unwritable.take()
    }

    fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Event<'a>>), Malformed> {
        if !bytes.is_empty() {
            self.greet(bytes)?;
            if !self.pipe.push(bytes) {
                return Err(Malformed("the target sends much and takes nothing".into()));
            }
            self.turn(out);
        }
        let used = bytes.len();
        if !self.opened && matches!(self.greeting, Greeting::Whole) && self.over.is_none() {
            self.opened = true;
            return Ok((used, Some(Event::Opened)));
        }
        if let Some((tag, text)) = self.untaken.pop() {
            return Ok((used, Some(self.failed(tag, ErrorKind::Closed, text))));
        }
        let mut ended = self.next_ended();
        if ended.is_none() {
            // What was read makes room for more, which the target has to be told; and that may bring more.
            self.turn(out);
            ended = self.next_ended();
        }
        match ended {
            Some((place, Ended { tag, result: Ok(()) })) => {
                let answer = self.exchanges[place as usize].answer(tag);
                Ok((used, Some(Event::Answer(answer))))
            }
            Some((
                _,
                Ended {
                    tag,
                    result: Err(error),
                },
            )) => {
                let event = self.failed(tag, kind_of(&error), in_words(&error));
                Ok((used, Some(event)))
            }
            None => match &self.over {
                Some(why) if !self.opened || self.active() > 0 => Err(Malformed(why.clone())),
                _ => Ok((used, None)),
            },
        }
    }

    fn cancel(&mut self, tag: Tag, out: &mut Vec<u8>) -> bool {
        let place = self.exchanges.iter().position(|one| one.tag() == Some(tag));
        if let Some(place) = place {
            self.exchanges[place].cancel();
            self.vacant.push(place as u32);
        }
        self.untaken.retain(|(untaken, _)| *untaken != tag);
        self.turn(out);
        self.over.is_none()
    }

    fn holds_back(&self) -> bool {
        self.pipe.is_full()
    }

    fn resume(&mut self, out: &mut Vec<u8>) {
        self.turn(out);
    }

    fn is_spent(&self) -> bool {
        self.spent || self.over.is_some() || self.carried >= REQUESTS_MAX
    }
}

/// Nobody is woken: whoever has something for h2 polls it.
fn idle() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn kind_of(error: &h2::Error) -> ErrorKind {
    if error.is_library() {
        ErrorKind::Malformed
    } else if error.is_reset() {
        ErrorKind::Reset
    } else {
        ErrorKind::Closed
    }
}

fn in_words(error: &h2::Error) -> String {
    let Some(reason) = error.reason() else {
        return format!("HTTP/2: {error}");
    };
    let what = match (error.is_reset(), error.is_library()) {
        (true, false) => "the target reset the stream",
        (true, true) => "the target broke the rules of a stream",
        (false, false) => "the target closed the connection with GOAWAY",
        (false, true) => "the target broke the rules of the connection",
    };
    format!("HTTP/2: {what}: {reason}")
}

#[cfg(test)]
#[path = "http2/session_tests.rs"]
mod tests;
