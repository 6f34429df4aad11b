//! HTTP/1.1 (RFC 9112): one request at a time on a connection that is kept alive.

mod chunked;
#[cfg(feature = "journey")]
mod exchange;
mod request;
mod response;

#[cfg(feature = "journey")]
pub(crate) use exchange::{Exchange, Prepared};
pub use request::{RequestTemplate, TemplateError};
pub(super) use response::{Framing, HeadReader};

use std::sync::Arc;

use crate::check::Checks;
use crate::data::Values;
use crate::protocol::{Answer, Dialect, Event, Keep, Malformed, Protocol, Session, Tag};
use crate::spec::Target;
use crate::text::{Text, Unwritable};
use request::Compiled;
use response::Decoder;

impl Protocol for RequestTemplate {
    fn dialect(&self, target: &Target, keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        Ok(Arc::new(Http1 {
            request: Request::of(self, &target.host)?,
            head_only: self.method == "HEAD",
            keep,
        }))
    }

    fn checks(&self) -> Checks {
        self.checks.clone()
    }
}

/// The compiled request of a load, shared by its connections.
#[derive(Clone, Debug)]
struct Http1 {
    request: Request,
    head_only: bool,
    keep: Keep,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// Always the same.
    Constant(Arc<[u8]>),
    /// Head and body with values; see [`request::render`].
    Differing {
        texts: Arc<(Text, Option<Text>)>,
        values: Values,
        body: Vec<u8>,
    },
}

impl Request {
    /// The request of a load, fitted to a host.
    pub(super) fn of(template: &RequestTemplate, host: &str) -> Result<Request, String> {
        Ok(match template.compile(host).map_err(|error| error.to_string())? {
            Compiled::Constant(bytes) => Request::Constant(bytes),
            Compiled::Differing(head, body) => Request::Differing {
                texts: Arc::new((head, body)),
                values: template.feeds.open(),
                body: Vec::new(),
            },
        })
    }

    /// Appends request `number`; on an error nothing.
    #[inline]
    pub(super) fn write(&mut self, number: u64, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        match self {
            Request::Constant(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Request::Differing { texts, values, body } => {
                values.draw(number);
                request::render(&texts.0, texts.1.as_ref(), values, body, out)
            }
        }
    }
}

impl Dialect for Http1 {
    fn session(&self) -> Box<dyn Session> {
        Box::new(Http1Session {
            request: self.request.clone(),
            tag: None,
            spent: false,
            refused: None,
            decoder: Decoder::new(self.head_only, self.keep),
        })
    }

    fn alpn(&self) -> Option<&'static [u8]> {
        Some(b"http/1.1")
    }
}

/// HTTP/1.1 on one connection.
struct Http1Session {
    request: Request,
    tag: Option<Tag>,
    /// The peer has said that it closes after this answer.
    spent: bool,
    /// Why the latest request could not be written.
    refused: Option<Unwritable>,
    decoder: Decoder,
}

impl Session for Http1Session {
    fn room(&self) -> usize {
        usize::from(self.tag.is_none() && !self.spent)
    }

    fn start(&mut self, tag: Tag, number: u64, out: &mut Vec<u8>) {
        debug_assert!(self.tag.is_none(), "one request at a time");
        match self.request.write(number, out) {
            Ok(()) => {
                self.tag = Some(tag);
                self.decoder.reset();
            }
            Err(problem) => self.refused = Some(problem),
        }
    }

    fn refused(&mut self) -> Option<String> {
        self.refused.take().map(|problem| problem.to_string())
    }

    fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
        _out: &mut Vec<u8>,
    ) -> Result<(usize, Option<Event<'a>>), Malformed> {
        let Some(tag) = self.tag else {
            // What follows could be taken for the next answer.
            return match bytes {
                [] => Ok((0, None)),
                _ => Err(Malformed("bytes without a request".into())),
            };
        };
        let (used, response) = self.decoder.receive(bytes)?;
        let event = response.map(|response| {
            self.tag = None;
            self.spent = !response.reusable;
            Event::Answer(response.answer(tag))
        });
        Ok((used, event))
    }

    fn end(&mut self) -> Option<Answer<'_>> {
        let tag = self.tag?;
        let response = self.decoder.end()?;
        self.tag = None;
        Some(response.answer(tag))
    }

    fn is_spent(&self) -> bool {
        self.spent
    }
}
