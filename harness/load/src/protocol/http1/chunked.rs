//! The chunked transfer coding (RFC 9112, 7.1), decoded across any split of its bytes.

use crate::protocol::Malformed;

/// Bytes allowed in one size line with its extensions, and in all trailers together.
const LINE_BYTES_MAX: usize = 4096;
const TRAILER_BYTES_MAX: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size {
        digits: u8,
    },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// In the trailer section; `line` counts the bytes of the current line without its end.
    Trailer {
        line: usize,
    },
    Done,
}

/// Decodes one chunked body.
#[derive(Clone, Debug)]
pub(in crate::protocol) struct Chunked {
    state: State,
    /// Size of the chunk while it's read, then what is left of it.
    left: u64,
    line_bytes: usize,
}

impl Chunked {
    pub(in crate::protocol) fn new() -> Chunked {
        Chunked {
            state: State::Size { digits: 0 },
            left: 0,
            line_bytes: 0,
        }
    }

    pub(in crate::protocol) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Decodes `bytes` until they or the body end; hands each run of data to `data`; returns how many were used.
    pub(in crate::protocol) fn decode(
        &mut self,
        bytes: &[u8],
        mut data: impl FnMut(&[u8]),
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                let run = (bytes.len() - at).min(usize::try_from(self.left).unwrap_or(usize::MAX));
                data(&bytes[at..at + run]);
                at += run;
                self.left -= run as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.step(bytes[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<(), Malformed> {
        self.state = match (self.state, byte) {
            (State::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits == 15 {
                    return Err(Malformed("chunk size with more than 15 digits".into()));
                }
                self.left = self.left * 16 + u64::from((byte as char).to_digit(16).unwrap_or(0));
                State::Size { digits: digits + 1 }
            }
            (State::Size { digits: 1.. }, b';' | b' ' | b'\t') => State::Extension,
            (State::Size { digits: 1.. } | State::Extension, b'\r') => State::SizeLf,
            // A bare LF ends a line too (RFC 9112, 2.2), except after chunk data.
            (State::Size { digits: 1.. } | State::Extension | State::SizeLf, b'\n') => self.size_read(),
            (State::Extension, _) => self.count_line(State::Extension, LINE_BYTES_MAX)?,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                (self.left, self.line_bytes) = (0, 0);
                State::Size { digits: 0 }
            }
            (State::Trailer { line: 0 }, b'\n') => State::Done,
            (State::Trailer { .. }, b'\n') => State::Trailer { line: 0 },
            (State::Trailer { line }, b'\r') => State::Trailer { line },
            (State::Trailer { line }, _) => {
                self.count_line(State::Trailer { line: line + 1 }, TRAILER_BYTES_MAX)?
            }
            (state, byte) => {
                return Err(Malformed(format!(
                    "byte 0x{byte:02x} where {} was due",
                    expected(state)
                )));
            }
        };
        Ok(())
    }

    fn size_read(&mut self) -> State {
        self.line_bytes = 0;
        if self.left == 0 {
            State::Trailer { line: 0 }
        } else {
            State::Data
        }
    }

    fn count_line(&mut self, next: State, max: usize) -> Result<State, Malformed> {
        self.line_bytes += 1;
        if self.line_bytes > max {
            return Err(Malformed(format!(
                "chunk extension or trailers longer than {max} bytes"
            )));
        }
        Ok(next)
    }
}

fn expected(state: State) -> &'static str {
    match state {
        State::Size { .. } => "a chunk's size",
        State::DataCr | State::DataLf => "the end of a chunk",
        _ => "the end of a line",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Result<(String, usize, bool), String> {
        let mut chunked = Chunked::new();
        let mut body = Vec::new();
        let used = chunked
            .decode(bytes, |data| body.extend_from_slice(data))
            .map_err(|error| error.0)?;
        Ok((String::from_utf8(body).unwrap(), used, chunked.is_done()))
    }

    #[test]
    fn chunks_extensions_and_trailers_are_decoded_and_no_byte_more() {
        let table: &[(&str, &str, bool)] = &[
            ("0\r\n\r\n", "", true),
            ("5\r\nhello\r\n0\r\n\r\n", "hello", true),
            ("5;a=b\r\nhello\r\n00\r\nX: y\r\nZ: w\r\n\r\n", "hello", true),
            ("A \r\n0123456789\r\n1\r\n!\r\n0\r\n\r\n", "0123456789!", true),
            ("5\nhello\r\n0\n\n", "hello", true),
            ("5\r\nhel", "hel", false),
            ("5\r\nhello\r\n0\r\n", "hello", false),
        ];
        for (bytes, body, done) in table {
            let with_rest = format!("{bytes}{}", if *done { "HTTP/1.1" } else { "" });
            assert_eq!(
                decoded(with_rest.as_bytes()),
                Ok(((*body).into(), bytes.len(), *done)),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        for bytes in [
            "\r\n",
            "x",
            "-1\r\n",
            "5\r\nhelloX",
            "5\r\nhello\rX",
            "1234567890123456\r\n",
            "5\rX",
            ";a\r\n",
        ] {
            assert!(decoded(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
        let endless = format!("5;{}", "a".repeat(LINE_BYTES_MAX + 1));
        assert!(decoded(endless.as_bytes()).is_err());
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(TRAILER_BYTES_MAX));
        assert!(decoded(trailers.as_bytes()).is_err());
    }
}
