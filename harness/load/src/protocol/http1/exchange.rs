//! One request and its answer, for who does the sending and receiving elsewhere and brings the values: the users of journeys.

use super::request::{Compiled, RequestTemplate, TemplateError, render};
use super::response::Decoder;
use crate::data::Values;
use crate::protocol::{Answer, Keep, Malformed};
use crate::text::Unwritable;

/// A request of which all that stays the same is written already.
#[derive(Debug)]
pub(crate) struct Prepared {
    compiled: Compiled,
    keep: Keep,
    head_only: bool,
}

impl Prepared {
    /// Fits `template` to the target that calls itself `host`; `keep` says what of the answers is wanted.
    pub(crate) fn new(template: &RequestTemplate, host: &str, keep: Keep) -> Result<Prepared, TemplateError> {
        Ok(Prepared {
            compiled: template.compile(host)?,
            keep,
            head_only: template.method == "HEAD",
        })
    }

    /// Appends the request with `values` to `out`; `body` is for its own use. On an error nothing is appended.
    pub(crate) fn write(
        &self,
        values: &Values,
        body: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unwritable> {
        match &self.compiled {
            Compiled::Constant(bytes) => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Compiled::Differing(head, of_body) => render(head, of_body.as_ref(), values, body, out),
        }
    }

    /// Makes ready for its answer.
    pub(crate) fn exchange(&self) -> Exchange {
        Exchange(Decoder::new(self.head_only, self.keep))
    }
}

/// An answer as it comes.
pub(crate) struct Exchange(Decoder);

impl Exchange {
    /// Takes bytes. Once the answer is whole: it, how many bytes belonged to it, and whether the connection may carry another request.
    pub(crate) fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Result<Option<(Answer<'a>, usize, bool)>, Malformed> {
        let (used, response) = self.0.receive(bytes)?;
        Ok(response.map(|response| (response.answer(0), used, response.reusable)))
    }

    /// The peer has closed: the answer that this completes, if it does.
    pub(crate) fn end(&mut self) -> Option<Answer<'_>> {
        self.0.end().map(|response| response.answer(0))
    }
}
