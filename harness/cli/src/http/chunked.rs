//! Takes a chunked body apart: RFC 9112, section 7.1. Extensions and trailers are read and forgotten.

use super::request::Refused;

/// The longest trailer that is read, bytes.
const TRAILER: usize = 8 << 10;

/// The body, once `bytes` hold all of it; nothing while they don't.
pub fn decode(bytes: &[u8], body_bytes_max: usize) -> Result<Option<Vec<u8>>, Refused> {
    let mut body = Vec::new();
    let mut rest = bytes;
    loop {
        let (start, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Refused::Nonsense),
        };
        rest = &rest[start..];
        if size == 0 {
            return trailer(rest).map(|is_whole| is_whole.then_some(body));
        }
        let size = usize::try_from(size).map_err(|_| Refused::TooLong)?;
        if size > body_bytes_max.saturating_sub(body.len()) {
            return Err(Refused::TooLong);
        }
        let Some(chunk) = rest.get(..size + 2) else {
            return Ok(None);
        };
        let (chunk, end) = chunk.split_at(size);
        if end != b"\r\n" {
            return Err(Refused::Nonsense);
        }
        body.extend_from_slice(chunk);
        rest = &rest[size + 2..];
    }
}

/// Whether the lines behind the last chunk are all there.
fn trailer(bytes: &[u8]) -> Result<bool, Refused> {
    if bytes.starts_with(b"\r\n") || bytes.windows(4).any(|four| four == b"\r\n\r\n") {
        return Ok(true);
    }
    if bytes.len() > TRAILER {
        Err(Refused::TooLong)
    } else {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_there_with_its_last_byte_and_not_before() {
        let whole = b"3\r\nabc\r\nA;name=value\r\n0123456789\r\n0\r\nname: value\r\n\r\n";
        for count in 0..whole.len() {
            assert_eq!(decode(&whole[..count], 13), Ok(None), "{count}");
        }
        assert_eq!(decode(whole, 13), Ok(Some(b"abc0123456789".to_vec())));
        assert_eq!(decode(whole, 12), Err(Refused::TooLong));
        assert_eq!(decode(b"0\r\n\r\n", 0), Ok(Some(Vec::new())));
    }

    #[test]
    fn what_is_no_chunk_is_refused() {
        for bytes in [&b"x\r\n"[..], b"3\r\nabcd\r\n", b"-1\r\n"] {
            assert_eq!(decode(bytes, 10), Err(Refused::Nonsense));
        }
        assert_eq!(decode(b"fffffffffffffff\r\n", 10), Err(Refused::TooLong));
    }
}
