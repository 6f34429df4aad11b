//! Where the messages of HTTP/1.1 begin and end (RFC 9112). Reads bytes and keeps none of them.

/// Header fields of a head; one with more is not looked at.
const FIELDS_MAX: usize = 128;

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many more bytes.
    Length(u64),
    /// Chunks, each with its length.
    Chunked(Chunks),
    /// All that comes until the connection ends.
    UntilEnd,
}

impl Body {
    /// Without one.
    pub(super) const NONE: Body = Body::Length(0);

    /// Reads on in it: how many of `bytes` belong to it, and whether it ends with them. `None`: it is none.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(usize, bool)> {
        match self {
            Body::Length(left) => {
                let count = (*left).min(bytes.len() as u64);
                *left -= count;
                Some((count as usize, *left == 0))
            }
            Body::Chunked(chunks) => chunks.read(bytes),
            Body::UntilEnd => Some((bytes.len(), false)),
        }
    }
}

/// Where in a chunked body the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the digits of a chunk's length.
    Size { size: u64, digits: u8 },
    /// Behind them, before the end of the line.
    Extension { size: u64 },
    /// In a chunk.
    Data { left: u64 },
    /// Behind it, before the end of its line.
    DataEnd,
    /// In a line after the last chunk, of so many bytes up to now.
    Trailer { length: u32 },
}

impl Chunks {
    pub(super) const START: Chunks = Chunks::Size { size: 0, digits: 0 };

    fn read(&mut self, bytes: &[u8]) -> Option<(usize, bool)> {
        let mut at = 0;
        while at < bytes.len() {
            if let Chunks::Data { left } = self {
                let count = (*left).min((bytes.len() - at) as u64);
                *left -= count;
                at += count as usize;
                if *left == 0 {
                    *self = Chunks::DataEnd;
                }
                continue;
            }
            let byte = bytes[at];
            at += 1;
            let (next, ends) = self.after(byte)?;
            *self = next;
            if ends {
                return Some((at, true));
            }
        }
        Some((at, false))
    }

    /// Where the reader is after a byte outside of the data, and whether the body ends with it.
    fn after(self, byte: u8) -> Option<(Chunks, bool)> {
        let next = match (self, byte) {
            (Chunks::Size { digits: 1.., size } | Chunks::Extension { size }, b'\n') => {
                if size == 0 {
                    Chunks::Trailer { length: 0 }
                } else {
                    Chunks::Data { left: size }
                }
            }
            (Chunks::Size { digits: 1.., size }, b'\r' | b';' | b' ' | b'\t') => Chunks::Extension { size },
            (
                Chunks::Size {
                    size,
                    digits: digits @ 0..16,
                },
                _,
            ) => Chunks::Size {
                size: size << 4 | u64::from(char::from(byte).to_digit(16)?),
                digits: digits + 1,
            },
            (Chunks::Extension { .. }, _) | (Chunks::DataEnd | Chunks::Trailer { .. }, b'\r') => self,
            (Chunks::DataEnd, b'\n') => Chunks::START,
            (Chunks::Trailer { length: 0 }, b'\n') => return Some((self, true)),
            (Chunks::Trailer { .. }, b'\n') => Chunks::Trailer { length: 0 },
            (Chunks::Trailer { length }, _) => Chunks::Trailer {
                length: length.saturating_add(1),
            },
            _ => return None,
        };
        Some((next, false))
    }
}

/// What a head says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head<T> {
    /// It is not all there.
    Partial,
    /// This is no head of HTTP/1.
    Other,
    /// It is all there.
    Whole(T),
}

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestHead<'a> {
    pub(super) length: usize,
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) body: Body,
    /// The connection ends with the response.
    pub(super) closes: bool,
    /// The caller waits to be told to send the body.
    pub(super) expects: bool,
}

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResponseHead {
    pub(super) length: usize,
    pub(super) status: u16,
    pub(super) body: Body,
}

/// Reads the head of a request at the start of `bytes`.
pub(super) fn request(bytes: &[u8]) -> Head<RequestHead<'_>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Other,
    };
    let (Some(method), Some(path)) = (parsed.method, parsed.path) else {
        return Head::Other;
    };
    let Some(fields) = Fields::of(parsed.headers) else {
        return Head::Other;
    };
    let body = match (fields.is_coded, fields.is_chunked) {
        (true, true) => Body::Chunked(Chunks::START),
        // Its end can't be found.
        (true, false) => return Head::Other,
        (false, _) => fields.length.map_or(Body::NONE, Body::Length),
    };
    Head::Whole(RequestHead {
        length,
        method,
        path,
        body,
        closes: fields.closes || (parsed.version == Some(0) && !fields.keeps),
        expects: fields.expects,
    })
}

/// Reads the head of a response, to a request of method HEAD if `to_head`, at the start of `bytes`.
pub(super) fn response(bytes: &[u8], to_head: bool) -> Head<ResponseHead> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut fields);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Partial,
        Err(_) => return Head::Other,
    };
    let (Some(status), Some(fields)) = (parsed.code, Fields::of(parsed.headers)) else {
        return Head::Other;
    };
    let body = if to_head || status < 200 || status == 204 || status == 304 {
        Body::NONE
    } else if fields.is_chunked {
        Body::Chunked(Chunks::START)
    } else if fields.is_coded {
        Body::UntilEnd
    } else {
        fields.length.map_or(Body::UntilEnd, Body::Length)
    };
    Head::Whole(ResponseHead { length, status, body })
}

/// What the header fields say about where the message and the connection end.
#[derive(Default)]
struct Fields {
    length: Option<u64>,
    is_coded: bool,
    is_chunked: bool,
    closes: bool,
    keeps: bool,
    expects: bool,
}

impl Fields {
    /// `None` where they contradict each other.
    fn of(fields: &[httparse::Header<'_>]) -> Option<Fields> {
        let mut found = Fields::default();
        for field in fields {
            let value = field.value.trim_ascii();
            let ends_with = |token: &[u8]| {
                let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                last.trim_ascii().eq_ignore_ascii_case(token)
            };
            let has = |token: &[u8]| {
                let mut all = value.split(|byte| *byte == b',');
                all.any(|one| one.trim_ascii().eq_ignore_ascii_case(token))
            };
            if field.name.eq_ignore_ascii_case("content-length") {
                let length = number(value)?;
                if found.length.is_some_and(|before| before != length) {
                    return None;
                }
                found.length = Some(length);
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                found.is_coded = true;
                found.is_chunked = ends_with(b"chunked");
            } else if field.name.eq_ignore_ascii_case("connection") {
                found.closes |= has(b"close");
                found.keeps |= has(b"keep-alive");
            } else if field.name.eq_ignore_ascii_case("expect") {
                found.expects |= has(b"100-continue");
            }
        }
        Some(found)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes of `text` are the chunked body at its start, read in pieces of `step`.
    fn chunked(text: &str, step: usize) -> Option<(usize, bool)> {
        let (mut chunks, mut at) = (Body::Chunked(Chunks::START), 0);
        for piece in text.as_bytes().chunks(step) {
            let (count, ends) = chunks.read(piece)?;
            at += count;
            if ends {
                return Some((at, true));
            }
        }
        Some((at, false))
    }

    #[test]
    fn a_chunked_body_ends_where_it_says_however_it_is_cut() {
        for (body, rest) in [
            ("5\r\nhello\r\n0\r\n\r\n", "HTTP/1.1"),
            ("a;x=y\r\n0123456789\r\n1\r\n\n\r\n000\r\nSum: 1\r\n\r\n", "GET"),
            ("0\n\n", ""),
        ] {
            let text = format!("{body}{rest}");
            for step in 1..text.len() {
                assert_eq!(
                    chunked(&text, step),
                    Some((body.len(), true)),
                    "{text:?} by {step}"
                );
            }
        }
        assert_eq!(chunked("5\r\nhel", 2), Some((6, false)));
        for wrong in ["\r\n", "x\r\n", "5\r\nhelloX", "11111111111111111\r\n"] {
            assert_eq!(chunked(wrong, 1), None, "{wrong:?}");
        }
    }

    #[test]
    fn requests_say_what_follows_them() {
        let body = |text: &str| match request(text.as_bytes()) {
            Head::Whole(head) => Ok(head.body),
            Head::Partial => Err("partial"),
            Head::Other => Err("other"),
        };
        assert_eq!(body("GET / HTTP/1.1\r\n\r\n"), Ok(Body::NONE));
        assert_eq!(
            body("POST / HTTP/1.1\r\nContent-Length: 12\r\n\r\n"),
            Ok(Body::Length(12))
        );
        let chunked = "POST / HTTP/1.1\r\nContent-Length: 12\r\nTransfer-Encoding: gzip, chunked\r\n\r\n";
        assert_eq!(body(chunked), Ok(Body::Chunked(Chunks::START)));
        assert_eq!(
            body("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n"),
            Err("other")
        );
        assert_eq!(
            body("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
            Err("other")
        );
        assert_eq!(
            body("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n"),
            Err("other")
        );
        assert_eq!(body("GET / HTTP/1.1\r\nHost: a"), Err("partial"));
        assert_eq!(body("\u{1}\u{2}"), Err("other"));
        assert_eq!(body("PING\r\n"), Err("other"));
    }

    #[test]
    fn responses_say_what_follows_them() {
        let body = |text: &str, to_head| match response(text.as_bytes(), to_head) {
            Head::Whole(head) => Some((head.status, head.body)),
            _ => None,
        };
        let with_length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(body(with_length, false), Some((200, Body::Length(3))));
        assert_eq!(body(with_length, true), Some((200, Body::NONE)));
        assert_eq!(
            body("HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", false),
            Some((304, Body::NONE))
        );
        assert_eq!(
            body("HTTP/1.0 200 OK\r\n\r\n", false),
            Some((200, Body::UntilEnd))
        );
        assert_eq!(body("220 mail ready\r\n", false), None);
    }
}
