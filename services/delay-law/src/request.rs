//! Reading HTTP/1.1 requests: as much as a reply depends on, and no more.

use std::time::Duration;

use squall_service_kit::setting::parse_duration;

use crate::law::LONGEST;

/// The largest request head, in bytes.
pub const HEAD_MAX: usize = 16 * 1024;
/// The most headers.
const HEADERS_MAX: usize = 100;

/// What a request's head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its own length in bytes, the empty line included.
    pub length: usize,
    /// The bytes of body that follow.
    pub body: u64,
    /// Whether the connection stays open after the reply.
    pub keep_alive: bool,
    /// Whether the reply has a head only.
    pub head_only: bool,
    /// The delay that it asks for.
    pub asked: Option<Duration>,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// Not yet a whole head.
    Partial,
    /// A head.
    Whole(Head),
    /// Nothing that can be answered but by this status.
    Bad(Refusal),
}

/// Why a request can't be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not HTTP, or a header or a query that says nothing.
    Malformed,
    /// A body whose length isn't given.
    LengthRequired,
    /// A head that is too large.
    TooLarge,
}

impl Refusal {
    /// The whole reply; the connection closes after it.
    pub fn reply(self) -> &'static [u8] {
        match self {
            Self::Malformed => b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            Self::LengthRequired => {
                b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            }
            Self::TooLarge => {
                b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            }
        }
    }
}

/// Reads the head at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_MAX => length,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_MAX => return Parsed::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Parsed::Bad(Refusal::TooLarge),
        Err(_) => return Parsed::Bad(Refusal::Malformed),
    };
    let Ok(asked) = asked(request.path.unwrap_or_default()) else {
        return Parsed::Bad(Refusal::Malformed);
    };
    let mut head = Head {
        length,
        body: 0,
        keep_alive: request.version == Some(1),
        head_only: request.method == Some("HEAD"),
        asked,
    };
    for header in &*request.headers {
        if let Err(refusal) = apply(&mut head, header) {
            return Parsed::Bad(refusal);
        }
    }
    Parsed::Whole(head)
}

fn apply(head: &mut Head, header: &httparse::Header<'_>) -> Result<(), Refusal> {
    let value = std::str::from_utf8(header.value).unwrap_or_default().trim();
    if header.name.eq_ignore_ascii_case("content-length") {
        head.body = value.parse().map_err(|_| Refusal::Malformed)?;
    } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
        return Err(Refusal::LengthRequired);
    } else if header.name.eq_ignore_ascii_case("connection") {
        for token in value.split(',').map(str::trim) {
            if token.eq_ignore_ascii_case("close") {
                head.keep_alive = false;
            } else if token.eq_ignore_ascii_case("keep-alive") {
                head.keep_alive = true;
            }
        }
    }
    Ok(())
}

/// The delay in the query's `delay=5ms`, if there is one.
fn asked(target: &str) -> Result<Option<Duration>, ()> {
    let Some((_, query)) = target.split_once('?') else {
        return Ok(None);
    };
    let given = query.split('&').find_map(|pair| pair.strip_prefix("delay="));
    let Some(text) = given else {
        return Ok(None);
    };
    parse_duration(text)
        .filter(|delay| *delay <= LONGEST)
        .map(Some)
        .ok_or(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Duration, Head, Parsed, Refusal, parse};

    fn whole(text: &str) -> Head {
        match parse(text.as_bytes()) {
            Parsed::Whole(head) => head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_head_says_how_to_answer() {
        let plain = whole("GET / HTTP/1.1\r\nhost: a\r\n\r\nrest");
        assert_eq!(
            (
                plain.length,
                plain.body,
                plain.keep_alive,
                plain.head_only,
                plain.asked
            ),
            (27, 0, true, false, None)
        );
        let posted = whole("POST /x HTTP/1.1\r\nContent-Length: 12\r\nConnection: close\r\n\r\n");
        assert_eq!((posted.body, posted.keep_alive), (12, false));
        assert!(!whole("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(whole("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n").keep_alive);
        assert!(whole("HEAD / HTTP/1.1\r\n\r\n").head_only);
        let asked = whole("GET /a?x=1&delay=1.5ms HTTP/1.1\r\n\r\n").asked;
        assert_eq!(asked, Some(Duration::from_micros(1_500)));
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(20_000));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
        let table = [
            ("nonsense\r\n\r\n", Refusal::Malformed),
            ("GET /?delay=soon HTTP/1.1\r\n\r\n", Refusal::Malformed),
            ("GET /?delay=2h HTTP/1.1\r\n\r\n", Refusal::Malformed),
            (
                "POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
                Refusal::Malformed,
            ),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
                Refusal::LengthRequired,
            ),
            (&long, Refusal::TooLarge),
            (&many, Refusal::TooLarge),
        ];
        for (text, refusal) in table {
            assert_eq!(parse(text.as_bytes()), Parsed::Bad(refusal), "{text:.60}");
            assert!(refusal.reply().ends_with(b"\r\n\r\n"));
        }
        assert_eq!(parse(b"GET / HTT"), Parsed::Partial);
        assert_eq!(parse(b""), Parsed::Partial);
    }

    proptest! {
        #[test]
        fn no_bytes_at_all_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Parsed::Whole(head) = parse(&bytes) {
                prop_assert!(head.length <= bytes.len());
            }
        }
    }
}
