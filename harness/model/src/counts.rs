//! The counts of a histogram that are not zero, for whoever reads tens of thousands of them.
//!
//! A histogram in memory has a place for every value that it could hold: 184 KiB, of which a second's latencies fill a few hundred
//! places. A report of an hour with ten loads reads 36,000 of them, so here only what was counted is read, merged and asked.
//! The text form is that of [`crate::histogram::encode`], and so is every answer; this module must never round otherwise.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zune_inflate::{DeflateDecoder, DeflateOptions};

use crate::histogram::{HistogramError, SAMPLES_BEYOND};

/// How the compressed form and what is inside begin, the format's version in the low bits left out.
const COMPRESSED: u32 = 0x1c84_9304;
const PLAIN: u32 = 0x1c84_9303;
/// Bits that tell of no more than how wide a counter is.
const WIDTH_BITS: u32 = 0xf0;
/// Bytes before the counts.
const HEADER: usize = 40;
/// The most bytes of counts: far more than the widest histogram takes.
const LONGEST: usize = 1 << 22;
/// Room that a second of latencies hardly ever exceeds.
const USUAL: usize = 1 << 13;
/// And different latencies.
const USUAL_PLACES: usize = 1 << 10;

/// Counts by value, in the order of the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Highest value that counts as the same, in microseconds, and how often it was seen; never zero.
    places: Vec<(u64, u64)>,
    total: u64,
}

/// Reads counts one after the other, in the same memory.
#[derive(Debug, Default)]
pub struct Decoder {
    deflated: Vec<u8>,
}

impl Decoder {
    /// Reads what [`crate::histogram::encode`] wrote.
    pub fn decode(&mut self, text: &str) -> Result<Counts, HistogramError> {
        self.deflated.clear();
        STANDARD.decode_vec(text, &mut self.deflated)?;
        let broken = || HistogramError::Format("cut off or of another kind".to_owned());
        if number(&self.deflated, 0).map(|cookie| cookie & !WIDTH_BITS) != Some(COMPRESSED & !WIDTH_BITS) {
            return Err(broken());
        }
        let plain = self.inflate()?;
        let header = |at| number(&plain, at).ok_or_else(broken);
        let lowest = u64::from(header(16)?) << 32 | u64::from(header(20)?);
        // What this workspace writes: no shift, three digits, from one microsecond.
        if header(0)? & !WIDTH_BITS != PLAIN & !WIDTH_BITS
            || header(8)? != 0
            || header(12)? != 3
            || lowest != 1
        {
            return Err(broken());
        }
        let length = header(4)? as usize;
        let payload = plain.get(HEADER..).and_then(|rest| rest.get(..length));
        let payload = payload.ok_or_else(broken)?;
        Counts::of(payload).ok_or_else(broken)
    }

    fn inflate(&self) -> Result<Vec<u8>, HistogramError> {
        let deflated = self.deflated.get(8..).unwrap_or_default();
        let options = DeflateOptions::default()
            .set_limit(LONGEST)
            .set_size_hint(USUAL)
            .set_confirm_checksum(true);
        DeflateDecoder::new_with_options(deflated, options)
            .decode_zlib()
            .map_err(|failed| HistogramError::Format(format!("{:?}", failed.error)))
    }
}

/// Four bytes as a number.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

impl Counts {
    /// Reads what [`crate::histogram::encode`] wrote; of many, a [`Decoder`] does it faster.
    pub fn decode(text: &str) -> Result<Counts, HistogramError> {
        Decoder::default().decode(text)
    }

    /// From zig-zag numbers of variable length: a count, or below zero how many places are empty.
    fn of(mut payload: &[u8]) -> Option<Counts> {
        let mut counts = Counts {
            // No number takes less than a byte; what is longer than usual may be anybody's making.
            places: Vec::with_capacity(payload.len().min(USUAL_PLACES)),
            total: 0,
        };
        let mut place = 0_u64;
        while !payload.is_empty() {
            let number = varint(&mut payload)?;
            let number = (number >> 1) as i64 ^ -((number & 1) as i64);
            if let Ok(count) = u64::try_from(number) {
                if count > 0 {
                    counts.places.push((highest(place)?, count));
                    counts.total = counts.total.checked_add(count)?;
                }
                place = place.checked_add(1)?;
            } else {
                place = place.checked_add(number.unsigned_abs())?;
            }
        }
        Some(counts)
    }

    /// The values that were seen, in order, each with how often.
    pub fn places(&self) -> &[(u64, u64)] {
        &self.places
    }

    /// How many samples.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The largest sample; 0 without samples.
    pub fn max(&self) -> u64 {
        self.places.last().map_or(0, |(value, _)| *value)
    }

    /// Adds the samples of another. More than fit are counted as the most that fit.
    pub fn add(&mut self, other: &Counts) {
        let (mut left, mut right) = (self.places.iter().peekable(), other.places.iter().peekable());
        let mut merged = Vec::with_capacity(self.places.len() + other.places.len() / 4);
        loop {
            let next = match (left.peek(), right.peek()) {
                (Some(a), Some(b)) if a.0 == b.0 => {
                    let both = (a.0, a.1.saturating_add(b.1));
                    left.next();
                    right.next();
                    both
                }
                (Some(a), Some(b)) if a.0 < b.0 => {
                    let one = **a;
                    left.next();
                    one
                }
                (Some(a), None) => {
                    let one = **a;
                    left.next();
                    one
                }
                (_, Some(b)) => {
                    let one = **b;
                    right.next();
                    one
                }
                (None, None) => break,
            };
            merged.push(next);
        }
        self.places = merged;
        self.total = self.total.saturating_add(other.total);
    }

    /// The value at quantile `q` (0..1) in microseconds, or nothing where fewer than ten samples lie beyond it; as
    /// [`crate::histogram::quantile`] has it.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let beyond = self.total as f64 * (1.0 - q);
        if beyond < SAMPLES_BEYOND - 1e-6 {
            return None;
        }
        let rank = ((q * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0_u64;
        let at = self.places.iter().find(|(_, count)| {
            seen = count.saturating_add(seen);
            seen >= rank
        });
        at.map(|(value, _)| *value)
    }
}

/// Seven bits a byte, the lowest first; the ninth byte has eight.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for at in 0..9 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        if at == 8 {
            return Some(number | u64::from(*first) << 56);
        }
        number |= u64::from(first & 0x7f) << (7 * at);
        if first & 0x80 == 0 {
            break;
        }
    }
    Some(number)
}

/// The highest value that is counted in a place: 2,048 places of one each, then 1,024 for every doubling. Nothing for a place
/// beyond all values.
fn highest(place: u64) -> Option<u64> {
    let Some(above) = place.checked_sub(2_048) else {
        return Some(place);
    };
    let doublings = above / 1_024 + 1;
    let width = 1_u64.checked_shl(u32::try_from(doublings).ok()?)?;
    (place % 1_024 + 1_024 + 1).checked_mul(width)?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::histogram::{self, Histogram};

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = histogram::empty();
        for value in values {
            histogram::record(&mut histogram, *value, 1);
        }
        histogram
    }

    proptest! {
        #[test]
        fn every_answer_is_that_of_the_histogram(
            first in prop::collection::vec(0_u64..4_000_000_000, 0..300),
            second in prop::collection::vec(0_u64..70_000, 0..300),
        ) {
            let (mut dense, other) = (of(&first), of(&second));
            let mut counts = Counts::decode(&histogram::encode(&dense)).unwrap();
            counts.add(&Counts::decode(&histogram::encode(&other)).unwrap());
            dense.add(&other).unwrap();
            prop_assert_eq!(counts.len(), dense.len());
            prop_assert_eq!(counts.max(), dense.max());
            for q in [0.0001, 0.5, 0.9, 0.99] {
                prop_assert_eq!(counts.quantile(q), histogram::quantile(&dense, q));
            }
        }

        #[test]
        fn what_is_no_histogram_is_an_error_and_no_panic(text in "[A-Za-z0-9+/]{0,80}") {
            prop_assert!(Counts::decode(&text).is_err());
        }
    }

    proptest! {
        /// Damage that leaves the sum over all bytes right does not happen, so it is an error also where all numbers can be read.
        #[test]
        fn a_damaged_histogram_is_an_error_and_no_panic(
            values in prop::collection::vec(0_u64..70_000, 0..300),
            at in any::<prop::sample::Index>(),
            damage in 1_u8..,
        ) {
            let mut bytes = STANDARD.decode(histogram::encode(&of(&values))).unwrap();
            let cut = &bytes[..at.index(bytes.len())];
            prop_assert!(Counts::decode(&STANDARD.encode(cut)).is_err());
            // The four bytes from the fourth on repeat how long the rest is, and how a counter is as wide is of no matter.
            let at = 8 + at.index(bytes.len() - 8);
            bytes[at] ^= damage;
            let damaged = Counts::decode(&STANDARD.encode(&bytes));
            let whole = Counts::decode(&histogram::encode(&of(&values))).unwrap();
            prop_assert!(damaged.is_err() || damaged.unwrap() == whole);
        }
    }

    /// A text as [`histogram::encode`] writes it, with this payload that says to be so long.
    fn written(payload: &[u8], length: u32) -> String {
        use std::io::Write as _;
        let mut plain = Vec::new();
        for number in [PLAIN | 0x10, length, 0, 3, 0, 1, 0, 3_600_000_000, 0x3ff0_0000, 0] {
            plain.extend(number.to_be_bytes());
        }
        plain.extend(payload);
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(&plain).unwrap();
        let deflated = deflated.finish().unwrap();
        let mut bytes = (COMPRESSED | 0x10).to_be_bytes().to_vec();
        bytes.extend((deflated.len() as u32).to_be_bytes());
        bytes.extend(deflated);
        STANDARD.encode(bytes)
    }

    /// A number as the payload has it.
    fn zig_zag(number: i64) -> Vec<u8> {
        let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
        let mut bytes = Vec::new();
        while bytes.len() < 8 && rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    fn payload(numbers: &[i64]) -> Result<Counts, HistogramError> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| zig_zag(*number)).collect();
        Counts::decode(&written(&bytes, bytes.len() as u32))
    }

    #[test]
    fn counts_beyond_what_a_number_holds_are_an_error_and_added_up_the_most() {
        let some = payload(&[-5, 7, 0, 1]).unwrap();
        assert_eq!((some.len(), some.max()), (8, 7));
        assert!(
            payload(&[i64::MAX, i64::MAX, i64::MAX]).is_err(),
            "more than 2^64 - 1 samples"
        );
        let mut most = payload(&[i64::MAX, i64::MAX]).unwrap();
        most.add(&most.clone());
        assert_eq!((most.len(), most.max()), (u64::MAX, 1));
        assert_eq!(most.quantile(0.25), Some(0));
    }

    #[test]
    fn places_beyond_all_values_and_lengths_beyond_the_text_are_errors() {
        assert!(payload(&[i64::MIN, i64::MIN, 1]).is_err());
        assert!(payload(&[-60_000_000, 1]).is_err());
        assert!(Counts::decode(&written(&[2, 2], 3)).is_err());
        assert!(Counts::decode(&written(&[2, 2], u32::MAX)).is_err());
        for place in (0..64).map(|shift| 1_u64 << shift).chain([u64::MAX]) {
            let value = highest(place);
            assert!(
                value.is_none() || value >= Some(place.min(2_048)),
                "{place}: {value:?}"
            );
        }
    }

    #[test]
    fn a_text_that_is_cut_off_is_an_error() {
        let text = histogram::encode(&of(&[5, 70_000, 3_000_000_000]));
        for length in (0..text.len() - 4).step_by(4) {
            assert!(Counts::decode(&text[..length]).is_err(), "{length}");
        }
    }
}
