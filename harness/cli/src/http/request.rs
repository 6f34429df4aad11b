//! Reads one request from a connection, to its end, its limits or its deadline.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::chunked;

/// The longest head that is read, bytes.
const HEAD: usize = 8 << 10;

/// The most that chunks may be longer than what they carry.
const CHUNKS: usize = 64 << 10;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// The path with its query, as it was sent.
    pub target: String,
    /// Header fields, in their order.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is none, it ended too early, or its head is too long.
    Nonsense,
    /// Its body is too long.
    TooLong,
}

impl Request {
    /// The value of a header field, of the first that has the name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn body_kind(&self) -> Result<BodyKind, Refused> {
        if let Some(coding) = self.field("transfer-encoding") {
            let is_known = coding.trim().eq_ignore_ascii_case("chunked");
            return is_known.then_some(BodyKind::Chunked).ok_or(Refused::Nonsense);
        }
        let length = self
            .field("content-length")
            .map_or(Ok(0), |text| text.trim().parse());
        length.map(BodyKind::Length).map_err(|_| Refused::Nonsense)
    }
}

/// How the end of a body is known.
enum BodyKind {
    Length(usize),
    Chunked,
}

/// Reads a request.
pub fn read(
    stream: &mut TcpStream,
    until: Instant,
    body_bytes_max: usize,
) -> io::Result<Result<Request, Refused>> {
    let mut bytes = Vec::new();
    let (mut request, start) = loop {
        match parse(&bytes) {
            Err(refused) => return Ok(Err(refused)),
            Ok(Some(found)) => break found,
            Ok(None) => {}
        }
        if bytes.len() > HEAD || !more(stream, until, &mut bytes)? {
            return Ok(Err(Refused::Nonsense));
        }
    };
    bytes.drain(..start);
    let kind = match request.body_kind() {
        Ok(kind) => kind,
        Err(refused) => return Ok(Err(refused)),
    };
    if request
        .field("expect")
        .is_some_and(|expected| expected.eq_ignore_ascii_case("100-continue"))
    {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    loop {
        match whole(&kind, &bytes, body_bytes_max) {
            Err(refused) => return Ok(Err(refused)),
            Ok(Some(body)) => {
                request.body = body;
                return Ok(Ok(request));
            }
            Ok(None) => {}
        }
        if bytes.len() > body_bytes_max + CHUNKS {
            return Ok(Err(Refused::TooLong));
        }
        if !more(stream, until, &mut bytes)? {
            return Ok(Err(Refused::Nonsense));
        }
    }
}

/// The body, once `bytes` hold all of it.
fn whole(kind: &BodyKind, bytes: &[u8], body_bytes_max: usize) -> Result<Option<Vec<u8>>, Refused> {
    match *kind {
        BodyKind::Chunked => chunked::decode(bytes, body_bytes_max),
        BodyKind::Length(length) if length > body_bytes_max => Err(Refused::TooLong),
        BodyKind::Length(length) => Ok(bytes.get(..length).map(<[u8]>::to_vec)),
    }
}

/// Reads some more, if some comes in time.
fn more(stream: &mut TcpStream, until: Instant, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Ok(false);
    }
    stream.set_read_timeout(Some(left))?;
    let mut chunk = [0; 16 << 10];
    let count = stream.read(&mut chunk)?;
    bytes.extend_from_slice(&chunk[..count]);
    Ok(count > 0)
}

/// A request without its body, and where that begins; nothing while the head is not whole.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refused> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let start = match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Ok(None),
        Ok(httparse::Status::Complete(start)) => start,
        Err(_) => return Err(Refused::Nonsense),
    };
    let text = |word: Option<&str>| word.unwrap_or_default().to_owned();
    let value = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = request.headers.iter();
    let fields = fields
        .map(|field| (field.name.to_owned(), value(field.value)))
        .collect();
    let request = Request {
        method: text(request.method),
        target: text(request.path),
        fields,
        body: Vec::new(),
    };
    Ok(Some((request, start)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_head_is_one() {
        type Expected = Result<Option<&'static str>, Refused>;
        let table: [(&[u8], Expected); 6] = [
            (b"GET /a HTTP/1.1\r\nhost: a\r\n\r\nrest", Ok(Some("GET /a"))),
            (b"GET /a?b HTTP/1.0\r\n\r\n", Ok(Some("GET /a?b"))),
            (b"GET /a HTTP/1.1\r\nhost", Ok(None)),
            (b"", Ok(None)),
            (b"\x16\x03\x01\x02\x00", Err(Refused::Nonsense)),
            (b"GET /a HTTP/7\r\n\r\n", Err(Refused::Nonsense)),
        ];
        for (bytes, expected) in table {
            let found = parse(bytes)
                .map(|found| found.map(|(request, _)| format!("{} {}", request.method, request.target)));
            let expected = expected.map(|request| request.map(str::to_owned));
            assert_eq!(found, expected, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
