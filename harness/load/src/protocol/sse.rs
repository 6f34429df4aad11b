//! Server-sent events: a response that goes on, and says something now and then (WHATWG HTML, 9.2 "Server-sent events").
//!
//! A request opens a stream. Without a number of events to wait for it is answered by the stream's beginning, and whoever asked
//! stays on it: what comes then are messages. With one it is answered by the last of them, and the connection is closed.

mod parser;

use std::sync::Arc;

use super::http1::{Framing, HeadReader, Request, RequestTemplate};
use crate::protocol::{Answer, Dialect, Event, Keep, Malformed, Protocol, Session, Tag};
use crate::spec::Target;
use parser::Parser;

const MEDIA_TYPE: &str = "text/event-stream";

/// A stream of events, as a load asks for it.
#[derive(Clone, Debug)]
pub struct EventStream {
    /// The request that opens it.
    pub request: RequestTemplate,
    /// How many events answer the request; `None`: the stream's beginning does, and it is kept.
    pub events: Option<u32>,
}

impl Protocol for EventStream {
    fn dialect(&self, target: &Target, _keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        let mut request = self.request.clone();
        request.headers.push(("Accept".into(), MEDIA_TYPE.into()));
        Ok(Arc::new(Opening {
            request: Request::of(&request, &target.host)?,
            events: self.events,
        }))
    }
}

/// The compiled request of a load, shared by its connections.
#[derive(Clone, Debug)]
struct Opening {
    request: Request,
    events: Option<u32>,
}

impl Dialect for Opening {
    fn session(&self) -> Box<dyn Session> {
        Box::new(StreamSession {
            opening: self.clone(),
            state: State::Fresh,
            refused: None,
            parser: Parser::default(),
        })
    }

    fn alpn(&self) -> Option<&'static [u8]> {
        Some(b"http/1.1")
    }
}

enum State {
    Fresh,
    /// The request was sent.
    Asked(Tag, Box<HeadReader>),
    /// Events come; so many are left to wait for.
    Streaming {
        framing: Framing,
        awaited: Option<(Tag, u32)>,
    },
    Over,
}

/// One connection.
struct StreamSession {
    opening: Opening,
    state: State,
    /// Why the request could not be written.
    refused: Option<String>,
    parser: Parser,
}

impl StreamSession {
    /// Reads the head; returns how many bytes it took, and what it means.
    fn receive_head(&mut self, bytes: &[u8]) -> Result<(usize, Option<Begun>), Malformed> {
        let State::Asked(tag, reader) = &mut self.state else {
            return Ok((0, None));
        };
        let tag = *tag;
        let Some((head, used)) = reader.receive(bytes)? else {
            return Ok((bytes.len(), None));
        };
        let media_type = reader.fields.get("content-type").unwrap_or_default();
        let is_stream = media_type
            .get(..MEDIA_TYPE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()));
        if head.status == 200 && !is_stream {
            return Err(Malformed(format!(
                "content type {:?}; an event stream has {MEDIA_TYPE}",
                String::from_utf8_lossy(media_type)
            )));
        }
        if head.status != 200 {
            self.state = State::Over;
            return Ok((used, Some(Begun::Refused(tag, head.status))));
        }
        let awaited = self.opening.events.map(|events| (tag, events));
        self.state = State::Streaming {
            framing: head.framing,
            awaited,
        };
        Ok((used, awaited.is_none().then_some(Begun::Held(tag))))
    }

    fn take_body(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let State::Streaming { framing, .. } = &mut self.state else {
            return Ok(());
        };
        match framing {
            Framing::Chunked(chunked) => {
                chunked.decode(bytes, |data| self.parser.push(data))?;
            }
            Framing::Length(_) | Framing::UntilClose => self.parser.push(bytes),
        }
        Ok(())
    }
}

/// How a stream began.
enum Begun {
    Held(Tag),
    Refused(Tag, u16),
}

impl Session for StreamSession {
    fn room(&self) -> usize {
        usize::from(matches!(self.state, State::Fresh))
    }

    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>) {
        match self.opening.request.write(number, out) {
            Ok(()) => self.state = State::Asked(tag, Box::default()),
            Err(problem) => self.refused = Some(problem.to_string()),
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
        if matches!(self.state, State::Fresh) && !bytes.is_empty() {
            return Err(Malformed("bytes without a request".into()));
        }
        let (mut used, begun) = self.receive_head(bytes)?;
        match begun {
            Some(Begun::Held(tag)) => {
                return Ok((used, Some(Event::Answer(stream_answer(tag, 200, &[], true)))));
            }
            Some(Begun::Refused(tag, status)) => {
                return Ok((used, Some(Event::Answer(stream_answer(tag, status, &[], false)))));
            }
            None => {}
        }
        self.take_body(&bytes[used..])?;
        used = bytes.len();
        let Some(data) = self.parser.next_event()? else {
            return Ok((used, None));
        };
        if let State::Streaming {
            awaited: Some((tag, left)),
            ..
        } = &mut self.state
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let tag = *tag;
                self.state = State::Over;
                return Ok((used, Some(Event::Answer(stream_answer(tag, 200, data, false)))));
            }
        }
        Ok((used, Some(Event::Message(data))))
    }

    fn is_spent(&self) -> bool {
        matches!(self.state, State::Over)
    }
}

fn stream_answer(tag: Tag, status: u16, body: &[u8], holds: bool) -> Answer<'_> {
    Answer {
        tag,
        status,
        fields: crate::fields::Fields::NONE,
        body,
        body_bytes: body.len() as u64,
        whole: true,
        holds,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";

    fn session(events: Option<u32>) -> Box<dyn Session> {
        let stream = EventStream {
            request: RequestTemplate::get("/live"),
            events,
        };
        let target = Target {
            addr: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            host: "h".into(),
            tls: None,
        };
        let mut session = stream.dialect(&target, Keep::default()).unwrap().session();
        session.start(3, 0, &mut Vec::new());
        session
    }

    /// What came of `bytes`, cut at `cut`.
    fn told(session: &mut dyn Session, bytes: &[u8], cut: usize) -> Result<Vec<String>, Malformed> {
        let mut told = Vec::new();
        for mut part in [&bytes[..cut], &bytes[cut..]] {
            loop {
                let (used, event) = session.receive(part, &mut Vec::new())?;
                part = &part[used..];
                told.push(match event {
                    None => break,
                    Some(Event::Message(data)) => String::from_utf8_lossy(data).into_owned(),
                    Some(Event::Answer(answer)) => format!(
                        "answer {} {} {}",
                        answer.status,
                        String::from_utf8_lossy(answer.body),
                        answer.holds
                    ),
                    Some(event) => format!("{event:?}"),
                });
            }
        }
        Ok(told)
    }

    #[test]
    fn a_stream_is_held_and_what_comes_are_messages_wherever_the_bytes_are_cut() {
        let bytes = format!("{HEAD}data: one\n\n: a comment\n\nevent: x\ndata: two\ndata: lines\n\n");
        for cut in 0..bytes.len() {
            assert_eq!(
                told(&mut *session(None), bytes.as_bytes(), cut).unwrap(),
                ["answer 200  true", "one", "two\nlines"],
                "{cut}"
            );
        }
    }

    #[test]
    fn with_a_number_of_events_the_last_one_answers() {
        let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                       8\r\ndata: 1\n\r\n1\r\n\n\r\n9\r\ndata: 2\n\n\r\n";
        let mut session = session(Some(2));
        assert_eq!(
            told(&mut *session, chunked.as_bytes(), 0).unwrap(),
            ["1", "answer 200 2 false"]
        );
        assert!(session.is_spent());
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(
            told(&mut *session(None), refused, 0).unwrap(),
            ["answer 503  false"]
        );
        let html = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";
        assert_eq!(
            told(&mut *session(None), html, 0).unwrap_err().0,
            "content type \"text/html\"; an event stream has text/event-stream"
        );
    }
}
