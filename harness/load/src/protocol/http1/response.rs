//! Decodes responses from bytes as they come, split anywhere.
//!
//! In the common case a response lies whole in one read: its head is parsed in place and nothing is copied. Only what a read
//! left unfinished is kept, within bounds.

use std::mem::MaybeUninit;

use super::chunked::Chunked;
use crate::fields::Fields as Kept;
use crate::protocol::{Answer, KEPT_BODY_BYTES_MAX, Keep, Malformed, Tag};
use crate::report::EXAMPLE_BODY_BYTES;

/// Bytes allowed in a response's head.
const HEAD_BYTES_MAX: usize = 16 << 10;
const HEADERS_MAX: usize = 100;
/// Interim responses (1xx) allowed before the final one.
const INTERIM_MAX: u32 = 16;

/// How the end of a body is found (RFC 9112, 6.3).
#[derive(Clone, Debug)]
pub(in crate::protocol) enum Framing {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

/// What the head said.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Head {
    bytes: usize,
    pub(in crate::protocol) status: u16,
    reusable: bool,
    pub(in crate::protocol) framing: Framing,
}

/// Reads the one head of a response that does not end, split anywhere.
#[derive(Debug, Default)]
pub(in crate::protocol) struct HeadReader {
    kept: Vec<u8>,
    /// The fields of the head, once it was read.
    pub(in crate::protocol) fields: Kept,
}

impl HeadReader {
    /// Takes bytes; returns the head once it is whole, with the number of these bytes that belong to it.
    pub(in crate::protocol) fn receive(&mut self, bytes: &[u8]) -> Result<Option<(Head, usize)>, Malformed> {
        let before = self.kept.len();
        self.kept.extend_from_slice(bytes);
        if let Some(head) = parse_head(&self.kept, false, Some(&mut self.fields))? {
            self.kept = Vec::new();
            let used = head.bytes.saturating_sub(before);
            return Ok(Some((head, used)));
        }
        if self.kept.len() > HEAD_BYTES_MAX {
            return Err(Malformed(format!(
                "response head longer than {HEAD_BYTES_MAX} bytes"
            )));
        }
        Ok(None)
    }
}

enum State {
    Head,
    Body {
        status: u16,
        reusable: bool,
        framing: Framing,
    },
}

/// A whole response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) fields: &'a Kept,
    pub(super) body: &'a [u8],
    pub(super) body_bytes: u64,
    pub(super) whole: bool,
    pub(super) reusable: bool,
}

impl<'a> Response<'a> {
    pub(super) fn answer(self, tag: Tag) -> Answer<'a> {
        Answer {
            tag,
            status: self.status,
            fields: self.fields,
            body: self.body,
            body_bytes: self.body_bytes,
            whole: self.whole,
            holds: false,
        }
    }
}

/// Decodes one response after another.
pub(super) struct Decoder {
    head_only: bool,
    keep: Keep,
    state: State,
    interim: u32,
    /// The beginning of an unfinished head.
    partial_head: Vec<u8>,
    fields: Kept,
    body: Vec<u8>,
    body_bytes: u64,
}

impl Decoder {
    /// `head_only`: the requests are `HEAD`, so responses have no body whatever they say.
    pub(super) fn new(head_only: bool, keep: Keep) -> Decoder {
        Decoder {
            head_only,
            keep,
            state: State::Head,
            interim: 0,
            partial_head: Vec::new(),
            fields: Kept::default(),
            body: Vec::new(),
            body_bytes: 0,
        }
    }

    /// Makes ready for the next response.
    pub(super) fn reset(&mut self) {
        self.state = State::Head;
        self.interim = 0;
        self.partial_head.clear();
        self.body.clear();
        self.body_bytes = 0;
    }

    /// Takes bytes; returns how many belong to the response, and the response once it's whole.
    pub(super) fn receive<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Result<(usize, Option<Response<'a>>), Malformed> {
        let mut used = 0;
        while matches!(self.state, State::Head) {
            let Some(head) = self.receive_head(&bytes[used..], &mut used)? else {
                return Ok((used, None));
            };
            if (100..200).contains(&head.status) {
                self.interim(head.status)?;
                continue;
            }
            // The whole body is here: no copy.
            if let Framing::Length(length) = head.framing
                && let Ok(length) = usize::try_from(length)
                && let Some(body) = bytes.get(used..used.saturating_add(length))
            {
                let (status, reusable) = (head.status, head.reusable);
                return Ok((
                    used + length,
                    Some(Response {
                        status,
                        fields: &self.fields,
                        body,
                        body_bytes: length as u64,
                        whole: true,
                        reusable,
                    }),
                ));
            }
            let Head {
                status,
                reusable,
                framing,
                ..
            } = head;
            self.state = State::Body {
                status,
                reusable,
                framing,
            };
        }
        let (of_body, done) = self.receive_body(&bytes[used..])?;
        Ok((used + of_body, if done { Some(self.response()) } else { None }))
    }

    /// The connection was closed: the response whose body ends with that.
    pub(super) fn end(&mut self) -> Option<Response<'_>> {
        matches!(
            self.state,
            State::Body {
                framing: Framing::UntilClose,
                ..
            }
        )
        .then(|| self.response())
    }

    /// Parses a head from what was kept and `bytes`; adds to `used` how many of `bytes` it took.
    fn receive_head(&mut self, bytes: &[u8], used: &mut usize) -> Result<Option<Head>, Malformed> {
        let kept = self.keep.fields.then_some(&mut self.fields);
        if self.partial_head.is_empty() {
            if let Some(head) = parse_head(bytes, self.head_only, kept)? {
                *used += head.bytes;
                return Ok(Some(head));
            }
            self.keep_partial_head(bytes)?;
            *used += bytes.len();
            return Ok(None);
        }
        let before = self.partial_head.len();
        self.keep_partial_head(&bytes[..bytes.len().min(HEAD_BYTES_MAX + 1 - before)])?;
        let taken = self.partial_head.len() - before;
        // A head ends with a line end: without one among the new bytes there is no need to look again.
        if memchr::memchr(b'\n', &self.partial_head[before..]).is_none() {
            *used += taken;
            return Ok(None);
        }
        let kept = self.keep.fields.then_some(&mut self.fields);
        let head = parse_head(&self.partial_head, self.head_only, kept)?;
        if let Some(head) = head {
            *used += head.bytes - before;
            self.partial_head.clear();
            Ok(Some(head))
        } else {
            *used += taken;
            Ok(None)
        }
    }

    fn keep_partial_head(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        self.partial_head.extend_from_slice(bytes);
        if self.partial_head.len() > HEAD_BYTES_MAX
            && parse_head(&self.partial_head, self.head_only, None)?.is_none()
        {
            return Err(Malformed(format!(
                "response head longer than {HEAD_BYTES_MAX} bytes"
            )));
        }
        Ok(())
    }

    fn interim(&mut self, status: u16) -> Result<(), Malformed> {
        self.interim += 1;
        if status == 101 {
            return Err(Malformed(
                "101 Switching Protocols, which the request did not ask for".into(),
            ));
        }
        if self.interim > INTERIM_MAX {
            return Err(Malformed(format!("more than {INTERIM_MAX} interim responses")));
        }
        Ok(())
    }

    fn receive_body(&mut self, bytes: &[u8]) -> Result<(usize, bool), Malformed> {
        let State::Body { status, framing, .. } = &mut self.state else {
            return Ok((0, false));
        };
        let keep_max = match self.keep {
            Keep { body: true, .. } => KEPT_BODY_BYTES_MAX,
            _ if *status >= 400 => EXAMPLE_BODY_BYTES,
            _ => 0,
        };
        let (body, body_bytes) = (&mut self.body, &mut self.body_bytes);
        let mut keep = |data: &[u8]| {
            let room = keep_max.saturating_sub(body.len()).min(data.len());
            body.extend_from_slice(&data[..room]);
            *body_bytes += data.len() as u64;
        };
        match framing {
            Framing::Length(left) => {
                let run = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                keep(&bytes[..run]);
                *left -= run as u64;
                Ok((run, *left == 0))
            }
            Framing::Chunked(chunked) => {
                let used = chunked.decode(bytes, keep)?;
                Ok((used, chunked.is_done()))
            }
            Framing::UntilClose => {
                keep(bytes);
                Ok((bytes.len(), false))
            }
        }
    }

    fn response(&mut self) -> Response<'_> {
        let (status, reusable) = match &self.state {
            State::Body {
                status,
                reusable,
                framing,
            } => (*status, *reusable && !matches!(framing, Framing::UntilClose)),
            State::Head => (0, false),
        };
        self.state = State::Head;
        Response {
            status,
            fields: &self.fields,
            body: &self.body,
            body_bytes: self.body_bytes,
            whole: self.body.len() as u64 == self.body_bytes,
            reusable,
        }
    }
}

/// Parses a head at the beginning of `bytes`, its fields into `kept` where that is asked for; `None` when it isn't whole yet.
fn parse_head(bytes: &[u8], head_only: bool, kept: Option<&mut Kept>) -> Result<Option<Head>, Malformed> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, &mut headers)
        .map_err(|error| Malformed(format!("response head: {error}")))?;
    let httparse::Status::Complete(head_bytes) = status else {
        return Ok(None);
    };
    if head_bytes > HEAD_BYTES_MAX {
        return Err(Malformed(format!(
            "response head longer than {HEAD_BYTES_MAX} bytes"
        )));
    }
    let status = response.code.unwrap_or(0);
    let mut fields = Fields {
        reusable: response.version == Some(1),
        ..Fields::default()
    };
    for header in response.headers.iter() {
        fields.take(header)?;
    }
    if let Some(kept) = kept {
        kept.clear();
        for header in response.headers.iter() {
            kept.push(header.name.as_bytes(), header.value);
        }
    }
    let bodiless = head_only || status == 204 || status == 304 || (100..200).contains(&status);
    let framing = match fields {
        _ if bodiless => Framing::Length(0),
        Fields {
            coded: true,
            chunked: true,
            ..
        } => Framing::Chunked(Chunked::new()),
        Fields { coded: true, .. } => Framing::UntilClose,
        Fields {
            length: Some(length), ..
        } => Framing::Length(length),
        _ => Framing::UntilClose,
    };
    Ok(Some(Head {
        bytes: head_bytes,
        status,
        reusable: fields.reusable,
        framing,
    }))
}

/// The headers that decide framing and reuse.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    /// There is a transfer coding, which overrides the length.
    coded: bool,
    /// The last transfer coding is chunked.
    chunked: bool,
    reusable: bool,
}

impl Fields {
    #[inline]
    fn take(&mut self, header: &httparse::Header<'_>) -> Result<(), Malformed> {
        // Lengths first: nearly every header is told apart by its length alone.
        match header.name.len() {
            14 if header.name.eq_ignore_ascii_case("content-length") => self.take_length(header.value),
            17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                self.coded = true;
                self.chunked = tokens(header.value)
                    .last()
                    .is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
                Ok(())
            }
            10 if header.name.eq_ignore_ascii_case("connection") => {
                for token in tokens(header.value) {
                    if token.eq_ignore_ascii_case(b"close") {
                        self.reusable = false;
                    } else if token.eq_ignore_ascii_case(b"keep-alive") {
                        self.reusable = true;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_length(&mut self, value: &[u8]) -> Result<(), Malformed> {
        // A list of equal numbers counts as one (RFC 9110, 8.6).
        for token in tokens(value) {
            let length = token
                .iter()
                .try_fold(0_u64, |sum, byte| {
                    let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
                    sum.checked_mul(10)?.checked_add(digit)
                })
                .filter(|_| !token.is_empty());
            match (length, self.length) {
                (Some(length), None) => self.length = Some(length),
                (Some(length), Some(before)) if length == before => {}
                _ => {
                    return Err(Malformed(format!(
                        "content-length {:?}",
                        String::from_utf8_lossy(value)
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The elements of a comma-separated list, trimmed.
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
