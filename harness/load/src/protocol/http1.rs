//! HTTP/1.1 (RFC 9112): one request at a time on a connection that is kept alive.

mod chunked;
mod request;
mod response;

pub use request::{RequestTemplate, TemplateError};

use std::sync::Arc;

use crate::protocol::{Answer, Keep, Malformed, Session, Tag};
use response::Decoder;

/// The compiled request of a load, shared by its connections.
#[derive(Clone, Debug)]
pub(crate) struct Http1 {
    bytes: Arc<[u8]>,
    head_only: bool,
    keep: Keep,
}

impl Http1 {
    pub(crate) fn new(template: &RequestTemplate, host: &str, keep: Keep) -> Result<Http1, TemplateError> {
        Ok(Http1 {
            bytes: template.compile(host)?.into(),
            head_only: template.method == "HEAD",
            keep,
        })
    }

    pub(crate) fn session(&self) -> Http1Session {
        Http1Session {
            request: self.clone(),
            tag: None,
            decoder: Decoder::new(self.head_only, self.keep),
        }
    }
}

/// HTTP/1.1 on one connection.
pub(crate) struct Http1Session {
    request: Http1,
    tag: Option<Tag>,
    decoder: Decoder,
}

impl Session for Http1Session {
    fn start(&mut self, tag: Tag, _number: u64, out: &mut Vec<u8>) {
        debug_assert!(self.tag.is_none(), "one request at a time");
        self.tag = Some(tag);
        self.decoder.reset();
        out.extend_from_slice(&self.request.bytes);
    }

    fn receive<'a>(&'a mut self, bytes: &'a [u8]) -> Result<(usize, Option<Answer<'a>>), Malformed> {
        let Some(tag) = self.tag else {
            return Err(Malformed("bytes without a request".into()));
        };
        let (used, response) = self.decoder.receive(bytes)?;
        if response.is_some() {
            self.tag = None;
        }
        Ok((used, response.map(|response| response.answer(tag))))
    }

    fn end(&mut self) -> Option<Answer<'_>> {
        let tag = self.tag?;
        let response = self.decoder.end()?;
        self.tag = None;
        Some(response.answer(tag))
    }
}
