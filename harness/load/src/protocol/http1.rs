//! HTTP/1.1 (RFC 9112): one request at a time on a connection that is kept alive.

mod chunked;
mod request;
mod response;

pub use request::{RequestTemplate, TemplateError};
pub(super) use response::{Framing, HeadReader};

use std::sync::Arc;

use crate::protocol::{Answer, Dialect, Event, Keep, Malformed, Protocol, Session, Tag};
use crate::spec::Target;
use response::Decoder;

impl Protocol for RequestTemplate {
    fn dialect(&self, target: &Target, keep: Keep) -> Result<Arc<dyn Dialect>, String> {
        let bytes = self.compile(&target.host).map_err(|error| error.to_string())?;
        Ok(Arc::new(Http1 {
            bytes: bytes.into(),
            head_only: self.method == "HEAD",
            keep,
        }))
    }
}

/// The compiled request of a load, shared by its connections.
#[derive(Clone, Debug)]
struct Http1 {
    bytes: Arc<[u8]>,
    head_only: bool,
    keep: Keep,
}

impl Dialect for Http1 {
    fn session(&self) -> Box<dyn Session> {
        Box::new(Http1Session {
            request: self.clone(),
            tag: None,
            spent: false,
            decoder: Decoder::new(self.head_only, self.keep),
        })
    }

    fn alpn(&self) -> Option<&'static [u8]> {
        Some(b"http/1.1")
    }
}

/// HTTP/1.1 on one connection.
struct Http1Session {
    request: Http1,
    tag: Option<Tag>,
    /// The peer has said that it closes after this answer.
    spent: bool,
    decoder: Decoder,
}

impl Session for Http1Session {
    fn room(&self) -> usize {
        usize::from(self.tag.is_none() && !self.spent)
    }

    fn start(&mut self, tag: Tag, _number: u64, out: &mut Vec<u8>) {
        debug_assert!(self.tag.is_none(), "one request at a time");
        self.tag = Some(tag);
        self.decoder.reset();
        out.extend_from_slice(&self.request.bytes);
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
