//! The lines of an event stream, and the events they make up (WHATWG HTML, 9.2.6 "Interpreting an event stream").
//!
//! Only the data is kept. Lines end with a line feed, with a carriage return before it or not; a carriage return alone, which the
//! standard allows too, ends a line once the byte after it is known.

use crate::protocol::{KEPT_BODY_BYTES_MAX, Malformed};

/// Bytes of room that an idle stream may keep.
const ROOM_BYTES: usize = 4096;

/// Collects bytes and gives events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    text: Vec<u8>,
    /// What of `text` was read already.
    read: usize,
    /// The data of the event that is being read, or was given last.
    data: Vec<u8>,
    given: bool,
}

impl Parser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// The data of the next event that is whole.
    pub(super) fn next_event(&mut self) -> Result<Option<&[u8]>, Malformed> {
        if std::mem::take(&mut self.given) {
            self.data.clear();
            self.data.shrink_to(ROOM_BYTES);
        }
        while let Some((line, next)) = line_at(&self.text, self.read) {
            self.read = next;
            let line = &self.text[line];
            if line.is_empty() && !self.data.is_empty() {
                // The line feed after the last data line does not belong to the data.
                self.data.pop();
                self.given = true;
                return Ok(Some(&self.data));
            }
            if let Some(data) = value_of_data(line) {
                self.data.extend_from_slice(data);
                self.data.push(b'\n');
            }
        }
        self.text.drain(..self.read);
        self.read = 0;
        self.text.shrink_to(ROOM_BYTES);
        if self.text.len() + self.data.len() > KEPT_BODY_BYTES_MAX {
            return Err(Malformed(format!(
                "an event of more than {KEPT_BODY_BYTES_MAX} bytes"
            )));
        }
        Ok(None)
    }
}

/// The line that begins at `start` without its end, and where the next begins.
fn line_at(text: &[u8], start: usize) -> Option<(std::ops::Range<usize>, usize)> {
    let end = start + memchr::memchr2(b'\n', b'\r', &text[start..])?;
    if text[end] == b'\n' {
        return Some((start..end, end + 1));
    }
    match text.get(end + 1)? {
        b'\n' => Some((start..end, end + 2)),
        _ => Some((start..end, end + 1)),
    }
}

/// The value of a `data` field.
fn value_of_data(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"data")?;
    match rest {
        [] => Some(rest),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(parts: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for part in parts {
            parser.push(part);
            while let Some(data) = parser.next_event().unwrap() {
                events.push(String::from_utf8_lossy(data).into_owned());
            }
        }
        events
    }

    #[test]
    fn the_examples_of_the_standard_give_its_events() {
        let table: [(&str, &[&str]); 4] = [
            ("data: YHOO\ndata: +2\ndata: 10\n\n", &["YHOO\n+2\n10"]),
            (
                ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                &["first event", "second event", " third event"],
            ),
            ("data\n\ndata\ndata\n\ndata:", &["", "\n"]),
            ("data:test\r\n\r\ndata: test\r\rdata: x", &["test", "test"]),
        ];
        for (text, expected) in table {
            assert_eq!(events(&[text.as_bytes()]), expected, "{text:?}");
            for cut in 0..text.len() {
                let (first, second) = text.as_bytes().split_at(cut);
                assert_eq!(events(&[first, second]), expected, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn an_event_without_an_end_is_not_kept_without_bound() {
        let mut parser = Parser::default();
        let part = [b"data: ", &vec![b'x'; 1 << 20][..], b"\n"].concat();
        let refused = (0..20).any(|_| {
            parser.push(&part);
            parser.next_event().is_err()
        });
        assert!(refused);
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_events_however_they_are_cut(
            bytes in proptest::collection::vec(prop::sample::select(b"da t:\r\n\n".to_vec()), 0..80),
            cut in 0..80_usize,
        ) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(events(&[&bytes]), events(&[first, second]));
        }
    }
}
