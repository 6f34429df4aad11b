//! WebSocket (RFC 6455): messages both ways on a connection that stays open.
//!
//! With a message to send, a request is that message and the next one that comes is its answer; the connection is opened before. With
//! nothing to send, a request opens the connection, whoever asked stays on it, and what comes are messages. Framing, masking,
//! pings and closes are tungstenite's; the bytes travel through memory, so that this session does no I/O either.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

use super::http1::{HeadReader, Request, RequestTemplate};
use crate::data::Values;
use crate::fields::Fields;
use crate::protocol::{Answer, Dialect, Event, KEPT_BODY_BYTES_MAX, Keep, Malformed, Protocol, Session, Tag};
use crate::spec::Target;
use crate::text::Text;

/// The key of every handshake: 16 bytes. It need not be secret, only present (RFC 6455, 1.3): the answer shows that the peer has read it.
const KEY: &str = "c3F1YWxsLWxvYWQta2V5IQ==";

/// Bytes that a connection sets aside for reading; tens of thousands of them stay open.
const READ_BUFFER_BYTES: usize = 512;

/// What a load sends over WebSocket.
#[derive(Clone, Debug)]
pub struct WebSocket {
    /// The request that opens the connection: a `GET`.
    pub request: RequestTemplate,
    /// What each request sends; `None`: opening the connection is the request.
    pub send: Option<Send>,
}

/// A message. Its values come from the request's feeds.
#[derive(Clone, Debug)]
pub enum Send {
    /// In a text frame.
    Text(Text),
    /// In a binary frame.
    Binary(Text),
}

impl Send {
    /// The message of request `number`; an error says in words what can't be sent.
    fn message(&self, values: &mut Values, number: u64) -> Result<Message, String> {
        let (Send::Text(text) | Send::Binary(text)) = self;
        values.draw(number);
        let mut bytes = Vec::new();
        text.write(values, &mut bytes)
            .map_err(|problem| problem.to_string())?;
        match self {
            Send::Text(_) => String::from_utf8(bytes)
                .map(Message::text)
                .map_err(|_| "a text message must be UTF-8".to_owned()),
            Send::Binary(_) => Ok(Message::binary(bytes)),
        }
    }
}

impl Protocol for WebSocket {
    fn dialect(&self, target: &Target, _keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        let mut request = self.request.clone();
        for (name, value) in [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ] {
            request.headers.push((name.into(), value.into()));
        }
        Ok(Arc::new(Conversation {
            handshake: Request::of(&request, &target.host)?,
            handshakes: Arc::default(),
            send: self.send.clone(),
            values: self.request.feeds.open(),
        }))
    }
}

/// What the connections of a load share.
#[derive(Clone, Debug)]
struct Conversation {
    handshake: Request,
    /// Connections opened before a request asked for one; their handshakes draw values by this number.
    handshakes: Arc<AtomicU64>,
    send: Option<Send>,
    values: Values,
}

impl Dialect for Conversation {
    fn session(&self) -> Box<dyn Session> {
        Box::new(SocketSession {
            conversation: self.clone(),
            state: State::Closed,
            tag: None,
            refused: None,
            arrived: Vec::new(),
            message: Message::Binary(Vec::new().into()),
        })
    }

    fn alpn(&self) -> Option<&'static [u8]> {
        Some(b"http/1.1")
    }
}

enum State {
    Closed,
    Opening(Box<HeadReader>),
    Open(Box<WebSocketContext>),
    /// The peer said goodbye.
    Over,
}

/// One connection.
struct SocketSession {
    conversation: Conversation,
    state: State,
    tag: Option<Tag>,
    /// Why the latest request could not be written.
    refused: Option<String>,
    /// Bytes of frames that were not read yet.
    arrived: Vec<u8>,
    /// The message that came last.
    message: Message,
}

impl SocketSession {
    fn holds(&self) -> bool {
        self.conversation.send.is_none()
    }

    /// Reads the head that answers the handshake; returns how many bytes it took and whether the connection is open now, or the status
    /// with which it was refused.
    fn receive_head(&mut self, bytes: &[u8]) -> Result<(usize, Option<Result<(), u16>>), Malformed> {
        let State::Opening(reader) = &mut self.state else {
            return Ok((0, None));
        };
        let Some((head, used)) = reader.receive(bytes)? else {
            return Ok((bytes.len(), None));
        };
        if head.status != 101 {
            self.state = State::Over;
            return Ok((used, Some(Err(head.status))));
        }
        let accept = tungstenite::handshake::derive_accept_key(KEY.as_bytes());
        if reader.fields.get("sec-websocket-accept") != Some(accept.as_bytes()) {
            return Err(Malformed(
                "Sec-WebSocket-Accept does not answer the key that was sent".into(),
            ));
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(KEPT_BODY_BYTES_MAX))
            .max_frame_size(Some(KEPT_BODY_BYTES_MAX));
        self.state = State::Open(Box::new(WebSocketContext::new(Role::Client, Some(config))));
        Ok((used, Some(Ok(()))))
    }

    /// Reads the next message with data out of what has arrived; answers pings and closes on the way.
    fn next_message(&mut self, out: &mut Vec<u8>) -> Result<bool, Malformed> {
        let State::Open(context) = &mut self.state else {
            return Ok(false);
        };
        let mut stream = InMemory {
            input: &self.arrived,
            out,
        };
        let result = loop {
            match context.read(&mut stream) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    self.message = message;
                    break Ok(true);
                }
                Ok(Message::Close(_)) => {
                    // The goodbye back lies ready; where it can't go out the connection ends all the same.
                    let _ = context.flush(&mut stream);
                    self.state = State::Over;
                    break Ok(false);
                }
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => break Ok(false),
                Err(Error::ConnectionClosed | Error::AlreadyClosed) => {
                    self.state = State::Over;
                    break Ok(false);
                }
                Err(error) => break Err(Malformed(error.to_string())),
            }
        };
        let read = self.arrived.len() - stream.input.len();
        self.arrived.drain(..read);
        self.arrived.shrink_to(READ_BUFFER_BYTES);
        result
    }

    fn body(&self) -> &[u8] {
        match &self.message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            _ => &[],
        }
    }

    fn answer(&self, tag: Tag, status: u16, body: bool, holds: bool) -> Event<'_> {
        let body = if body { self.body() } else { &[] };
        Event::Answer(Answer {
            tag,
            status,
            fields: Fields::NONE,
            body,
            body_bytes: body.len() as u64,
            whole: true,
            holds,
        })
    }
}

impl Session for SocketSession {
    fn open(&mut self, out: &mut Vec<u8>) -> bool {
        if self.holds() {
            return true;
        }
        self.state = State::Opening(Box::default());
        let number = self.conversation.handshakes.fetch_add(1, Ordering::Relaxed);
        // One that can't be written is not sent: the connection then runs into its timeout.
        let _ = self.conversation.handshake.write(number, out);
        false
    }

    fn room(&self) -> usize {
        let ready = match self.state {
            State::Open(_) => !self.holds(),
            State::Closed => self.holds(),
            State::Opening(_) | State::Over => false,
        };
        usize::from(ready && self.tag.is_none())
    }

    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>) {
        let Conversation {
            handshake,
            send,
            values,
            ..
        } = &mut self.conversation;
        let (State::Open(context), Some(send)) = (&mut self.state, &send) else {
            match handshake.write(number, out) {
                Ok(()) => {
                    self.state = State::Opening(Box::default());
                    self.tag = Some(tag);
                }
                Err(problem) => self.refused = Some(problem.to_string()),
            }
            return;
        };
        let message = match send.message(values, number) {
            Ok(message) => message,
            Err(problem) => {
                self.refused = Some(problem);
                return;
            }
        };
        let mut stream = InMemory { input: &[], out };
        let sent = context
            .write(&mut stream, message)
            .and_then(|()| context.flush(&mut stream));
        // Into memory nothing fails but a peer that has closed; then the connection is about to end with that.
        if sent.is_err() {
            self.state = State::Over;
        }
        self.tag = Some(tag);
    }

    fn refused(&mut self) -> Option<String> {
        self.refused.take()
    }

    fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Event<'a>>), Malformed> {
        if matches!(self.state, State::Closed) && !bytes.is_empty() {
            return Err(Malformed("bytes without a request".into()));
        }
        let (used, begun) = self.receive_head(bytes)?;
        let holds = self.holds();
        match begun {
            Some(Ok(())) if holds => {
                let tag = self.tag.take();
                return Ok((used, tag.map(|tag| self.answer(tag, 200, false, true))));
            }
            Some(Ok(())) => return Ok((used, Some(Event::Opened))),
            Some(Err(status)) if holds => {
                let tag = self.tag.take();
                return Ok((used, tag.map(|tag| self.answer(tag, status, false, false))));
            }
            Some(Err(status)) => {
                return Err(Malformed(format!(
                    "status {status} to the handshake, which 101 accepts"
                )));
            }
            None => {}
        }
        self.arrived.extend_from_slice(&bytes[used..]);
        if !self.next_message(out)? {
            return Ok((bytes.len(), None));
        }
        let event = match self.tag.take() {
            Some(tag) => self.answer(tag, 200, true, false),
            None => Event::Message(self.body()),
        };
        Ok((bytes.len(), Some(event)))
    }

    fn is_spent(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

/// A stream between two buffers.
struct InMemory<'a> {
    input: &'a [u8],
    out: &'a mut Vec<u8>,
}

impl Read for InMemory<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.input.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.input.read(into)
    }
}

impl Write for InMemory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(send: Option<Send>) -> Box<dyn Session> {
        let socket = WebSocket {
            request: RequestTemplate::get("/live"),
            send,
        };
        let target = Target {
            addr: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            host: "h".into(),
            tls: None,
        };
        socket.dialect(&target, Keep::default()).unwrap().session()
    }

    fn accepted() -> Vec<u8> {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            tungstenite::handshake::derive_accept_key(KEY.as_bytes())
        )
        .into_bytes()
    }

    /// What a server sends as `messages`.
    fn framed(messages: &[Message]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut server = WebSocketContext::new(Role::Server, None);
        for message in messages {
            let mut stream = InMemory {
                input: &[],
                out: &mut out,
            };
            server.write(&mut stream, message.clone()).unwrap();
            server.flush(&mut stream).unwrap();
        }
        out
    }

    fn told(session: &mut dyn Session, bytes: &[u8], cut: usize, out: &mut Vec<u8>) -> Vec<String> {
        let mut told = Vec::new();
        for mut part in [&bytes[..cut], &bytes[cut..]] {
            loop {
                let (used, event) = session.receive(part, out).unwrap();
                part = &part[used..];
                told.push(match event {
                    None => break,
                    Some(Event::Message(data)) => String::from_utf8_lossy(data).into_owned(),
                    Some(Event::Answer(answer)) => {
                        format!("answer {}", String::from_utf8_lossy(answer.body))
                    }
                    Some(event) => format!("{event:?}"),
                });
            }
        }
        told
    }

    #[test]
    fn a_connection_is_held_and_what_comes_are_messages_wherever_the_bytes_are_cut() {
        let mut bytes = accepted();
        bytes.extend(framed(&[
            Message::text("one"),
            Message::Ping(b"x".as_slice().into()),
            Message::binary(vec![b'2'; 300]),
        ]));
        for cut in 0..bytes.len() {
            let mut session = session(None);
            assert!(session.open(&mut Vec::new()));
            session.start(1, 0, &mut Vec::new());
            let mut out = Vec::new();
            assert_eq!(
                told(&mut *session, &bytes, cut, &mut out),
                ["answer ", "one", "2".repeat(300).as_str()]
            );
            assert!(!out.is_empty(), "the ping was answered");
        }
    }

    #[test]
    fn a_message_is_answered_by_the_next_one() {
        let mut session = session(Some(Send::Text("ask".into())));
        let mut out = Vec::new();
        assert!(!session.open(&mut out) && session.room() == 0);
        assert_eq!(told(&mut *session, &accepted(), 0, &mut out), ["Opened"]);
        assert_eq!(session.room(), 1);
        out.clear();
        session.start(1, 0, &mut out);
        assert_eq!(session.room(), 0);
        let mut server = WebSocketContext::new(Role::Server, None);
        let mut stream = InMemory {
            input: &out,
            out: &mut Vec::new(),
        };
        assert_eq!(server.read(&mut stream).unwrap(), Message::text("ask"));
        let bytes = framed(&[Message::text("yes"), Message::text("more")]);
        assert_eq!(
            told(&mut *session, &bytes, 0, &mut Vec::new()),
            ["answer yes", "more"]
        );
        assert_eq!(session.room(), 1);
    }

    #[test]
    fn a_handshake_that_is_not_accepted_is_malformed() {
        for (head, problem) in [
            (
                "HTTP/1.1 404 No\r\n\r\n",
                "status 404 to the handshake, which 101 accepts",
            ),
            (
                "HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n",
                "Sec-WebSocket-Accept does not answer the key that was sent",
            ),
        ] {
            let mut session = session(Some(Send::Text("ask".into())));
            session.open(&mut Vec::new());
            let error = session.receive(head.as_bytes(), &mut Vec::new()).unwrap_err();
            assert_eq!(error.0, problem);
        }
    }

    #[test]
    fn after_a_close_nothing_more_is_asked() {
        let mut session = session(Some(Send::Binary(vec![1].into())));
        let mut out = Vec::new();
        session.open(&mut out);
        let mut bytes = accepted();
        bytes.extend(framed(&[Message::Close(None)]));
        out.clear();
        assert_eq!(told(&mut *session, &bytes, 0, &mut out), ["Opened"]);
        assert!(!out.is_empty(), "the close was answered");
        assert!(session.room() == 0 && session.is_spent());
    }
}
