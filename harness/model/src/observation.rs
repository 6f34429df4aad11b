//! What the load read out of responses, on its way to the invariant checkers.
//!
//! A batch belongs to one load, one generator thread and one of the things read out of that load's responses; it lists
//! responses in the order in which they completed, each with the values extracted from it. At millions of values
//! a second a heap object per value would cost more than the check itself, so the values of a batch lie end to end and a
//! response is only two end marks and two times. This module must never judge a value; it carries them.

/// Responses of one load, in completion order, with the values read from each: under 2^32 values and 4 GiB of
/// text.
///
/// Built by pushing a response's values and then closing it:
///
/// ```
/// # use squall_model::observation::ObservedBatch;
/// let mut batch = ObservedBatch::new(0);
/// batch.push_integer(41);
/// batch.push_token("42");
/// batch.close_response(1_000, 1_250);
/// assert_eq!(batch.responses().next().unwrap().integers, [41, 42]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedBatch {
    /// Index of the load in the plan.
    pub load: u16,
    /// Which of the things read out of its responses this is, in the order of the plan.
    pub reading: u16,
    marks: Vec<Mark>,
    integers: Vec<u64>,
    text: String,
    /// Where each text ends in `text`.
    text_ends: Vec<u32>,
}

/// One closed response: its times, and where its values end; they start where those of the one before end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    sent_us: u64,
    received_us: u64,
    integers_end: u32,
    texts_end: u32,
}

/// One response as a checker sees it. Times are microseconds since the run began.
#[derive(Clone, Debug)]
pub struct ObservedResponse<'a> {
    /// When the request was actually sent (not when it was meant to be).
    pub sent_us: u64,
    /// When the whole response had been read; never before `sent_us`.
    pub received_us: u64,
    /// The integers in it, in the order in which they stood there.
    pub integers: &'a [u64],
    /// The other values in it, in the order in which they stood there.
    pub texts: Texts<'a>,
}

/// The texts of one response.
#[derive(Clone, Debug)]
pub struct Texts<'a> {
    text: &'a str,
    ends: &'a [u32],
    start: u32,
}

impl ObservedBatch {
    /// Values after which a producer should hand its batch on, so that a checker sees them soon and memory stays
    /// small.
    pub const VALUES_FULL: usize = 16_384;

    /// An empty batch for the first thing read out of the responses to `load`.
    pub fn new(load: u16) -> Self {
        Self::of(load, 0)
    }

    /// An empty batch for one of the things read out of the responses to `load`.
    pub fn of(load: u16, reading: u16) -> Self {
        Self {
            load,
            reading,
            ..Self::default()
        }
    }

    /// Adds an integer to the open response.
    #[inline]
    pub fn push_integer(&mut self, value: u64) {
        self.integers.push(value);
    }

    /// Adds a text to the open response, as it is.
    pub fn push_text(&mut self, value: &str) {
        self.text.push_str(value);
        self.text_ends.push(self.text.len() as u32);
    }

    /// Adds a JSON number or the content of a JSON string: an integer where [`parse_integer`] reads one, so that
    /// `7` and `"7"` are one value, else a text.
    #[inline]
    pub fn push_token(&mut self, token: &str) {
        match parse_integer(token.as_bytes()) {
            Some(value) => self.push_integer(value),
            None => self.push_text(token),
        }
    }

    /// Ends the open response: all values pushed since the last one are its own.
    #[inline]
    pub fn close_response(&mut self, sent_us: u64, received_us: u64) {
        self.marks.push(Mark {
            sent_us,
            received_us,
            integers_end: self.integers.len() as u32,
            texts_end: self.text_ends.len() as u32,
        });
    }

    /// Drops the values of the open response, for a body that turned out to be broken half-way.
    pub fn discard_open(&mut self) {
        let (integers, texts) = self
            .marks
            .last()
            .map_or((0, 0), |m| (m.integers_end, m.texts_end));
        self.integers.truncate(integers as usize);
        self.text_ends.truncate(texts as usize);
        self.text
            .truncate(self.text_ends.last().map_or(0, |&end| end as usize));
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.marks.clear();
        self.integers.clear();
        self.text.clear();
        self.text_ends.clear();
    }

    /// Values pushed so far, those of the open response included.
    #[inline]
    pub fn values(&self) -> usize {
        self.integers.len() + self.text_ends.len()
    }

    /// Whether no response has been closed.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether it's time to hand the batch on: [`Self::VALUES_FULL`] values, or as many responses, or 1 MiB of
    /// text.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.values() >= Self::VALUES_FULL
            || self.marks.len() >= Self::VALUES_FULL
            || self.text.len() >= 1 << 20
    }

    /// The closed responses, in the order in which they were closed.
    pub fn responses(&self) -> impl Iterator<Item = ObservedResponse<'_>> {
        let (mut integers_start, mut texts_start) = (0_u32, 0_u32);
        self.marks.iter().map(move |mark| {
            let integers = &self.integers[integers_start as usize..mark.integers_end as usize];
            let ends = &self.text_ends[texts_start as usize..mark.texts_end as usize];
            let start = texts_start
                .checked_sub(1)
                .map_or(0, |before| self.text_ends[before as usize]);
            (integers_start, texts_start) = (mark.integers_end, mark.texts_end);
            let texts = Texts {
                text: &self.text,
                ends,
                start,
            };
            ObservedResponse {
                sent_us: mark.sent_us,
                received_us: mark.received_us,
                integers,
                texts,
            }
        })
    }
}

impl<'a> Iterator for Texts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (&end, rest) = self.ends.split_first()?;
        let text = &self.text[self.start as usize..end as usize];
        (self.start, self.ends) = (end, rest);
        Some(text)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.ends.len(), Some(self.ends.len()))
    }
}

impl ExactSizeIterator for Texts<'_> {}

/// Reads a whole decimal number that fits 64 bits and is written without sign, leading zero or spaces; nothing
/// else is an integer here, so that two spellings never become one value by accident.
#[inline]
pub fn parse_integer(token: &[u8]) -> Option<u64> {
    match token {
        [b'0'] => Some(0),
        [] | [b'0', ..] => None,
        digits => digits.iter().try_fold(0_u64, |value, &byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value.checked_mul(10)?.checked_add(u64::from(digit))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_integers_only_in_their_plain_spelling() {
        let table: &[(&str, Option<u64>)] = &[
            ("0", Some(0)),
            ("7", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("99999999999999999999", None),
            ("007", None),
            ("00", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("1e3", None),
            (" 1", None),
            ("1a", None),
            ("\u{661}", None),
        ];
        for (token, expected) in table {
            assert_eq!(parse_integer(token.as_bytes()), *expected, "{token:?}");
        }
    }

    fn listed(batch: &ObservedBatch) -> Vec<(u64, u64, Vec<u64>, Vec<String>)> {
        batch
            .responses()
            .map(|r| {
                (
                    r.sent_us,
                    r.received_us,
                    r.integers.to_vec(),
                    r.texts.map(str::to_owned).collect(),
                )
            })
            .collect()
    }

    #[test]
    fn each_response_keeps_its_own_values_in_order() {
        let mut batch = ObservedBatch::new(3);
        batch.push_token("a");
        batch.push_token("5");
        batch.push_token("");
        batch.close_response(1, 2);
        batch.close_response(2, 3);
        batch.push_token("9");
        batch.push_text("9");
        batch.close_response(3, 5);
        assert_eq!(
            listed(&batch),
            [
                (1, 2, vec![5], vec!["a".to_owned(), String::new()]),
                (2, 3, vec![], vec![]),
                (3, 5, vec![9], vec!["9".to_owned()]),
            ]
        );
        assert_eq!(batch.values(), 5);
    }

    #[test]
    fn an_open_response_is_not_seen_and_can_be_dropped() {
        let mut batch = ObservedBatch::new(0);
        batch.push_token("kept");
        batch.push_integer(1);
        batch.close_response(1, 2);
        batch.push_token("broken");
        batch.push_integer(2);
        assert_eq!(listed(&batch).len(), 1);
        batch.discard_open();
        assert_eq!(batch.values(), 2);
        batch.push_token("next");
        batch.close_response(2, 3);
        assert_eq!(listed(&batch)[1], (2, 3, vec![], vec!["next".to_owned()]));
        batch.clear();
        assert!(batch.is_empty());
        assert_eq!(listed(&batch), []);
    }

    #[test]
    fn a_batch_asks_to_be_handed_on_by_values_responses_or_text() {
        let mut many = ObservedBatch::new(0);
        (0..ObservedBatch::VALUES_FULL as u64).for_each(|value| many.push_integer(value));
        assert!(many.is_full());
        let mut empty_responses = ObservedBatch::new(0);
        (0..ObservedBatch::VALUES_FULL as u64).for_each(|at| empty_responses.close_response(at, at));
        assert!(empty_responses.is_full());
        let mut long = ObservedBatch::new(0);
        assert!(!long.is_full());
        long.push_text(&"x".repeat(1 << 20));
        assert!(long.is_full());
    }
}
