//! Lengths of time, exact to the nanosecond: `300ms`, `1h30m`, `1.5s`, `-50ms`.

use std::fmt;
use std::time::Duration;

use super::{Form, Quantity, UnitError, split_number, times};

/// The units from the longest to the shortest, in nanoseconds.
const UNITS: [(&str, u128); 8] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
];
const NAMES: [&str; 6] = ["ms", "s", "m", "h", "us", "ns"];

/// The longest that fits nanoseconds in 63 bits: about 292 years.
const LONGEST_NS: u128 = i64::MAX as u128;

impl Quantity for Duration {
    const FORM: Form = Form {
        title: "duration",
        quantity: "a duration",
        examples: "300ms, 5s or 1h30m",
        pattern: concat!(
            r"^(?=[0-9])(?:[0-9]+(?:\.[0-9]+)?d)?(?:[0-9]+(?:\.[0-9]+)?h)?(?:[0-9]+(?:\.[0-9]+)?m)?",
            r"(?:[0-9]+(?:\.[0-9]+)?s)?(?:[0-9]+(?:\.[0-9]+)?ms)?(?:[0-9]+(?:\.[0-9]+)?[uµ]s)?",
            r"(?:[0-9]+(?:\.[0-9]+)?ns)?$"
        ),
    };

    fn parse(text: &str) -> Result<Duration, UnitError> {
        parse_duration(text)
    }
}

/// Reads a duration that is not negative: one or more numbers with units, the longest unit first, each once.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let form = &Duration::FORM;
    if text
        .strip_prefix('-')
        .is_some_and(|rest| nanoseconds(rest, text, form).is_ok())
    {
        return Err(UnitError::Negative {
            text: text.to_owned(),
            quantity: form.quantity,
        });
    }
    nanoseconds(text, text, form).map(Duration::from_nanos)
}

/// A length of time that may be negative, for steps of a clock: `-50ms`, `+1h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignedDuration {
    nanoseconds: i64,
}

impl SignedDuration {
    /// So many nanoseconds.
    pub const fn from_nanos(nanoseconds: i64) -> SignedDuration {
        SignedDuration { nanoseconds }
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.nanoseconds
    }

    /// Its length without the sign.
    pub const fn magnitude(self) -> Duration {
        Duration::from_nanos(self.nanoseconds.unsigned_abs())
    }

    /// True for less than zero.
    pub const fn is_negative(self) -> bool {
        self.nanoseconds < 0
    }
}

impl Quantity for SignedDuration {
    const FORM: Form = Form {
        title: "signed-duration",
        quantity: "a signed duration",
        examples: "-50ms or 1h30m",
        pattern: concat!(
            r"^[-+]?(?=[0-9])(?:[0-9]+(?:\.[0-9]+)?d)?(?:[0-9]+(?:\.[0-9]+)?h)?(?:[0-9]+(?:\.[0-9]+)?m)?",
            r"(?:[0-9]+(?:\.[0-9]+)?s)?(?:[0-9]+(?:\.[0-9]+)?ms)?(?:[0-9]+(?:\.[0-9]+)?[uµ]s)?",
            r"(?:[0-9]+(?:\.[0-9]+)?ns)?$"
        ),
    };

    fn parse(text: &str) -> Result<SignedDuration, UnitError> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let nanoseconds = nanoseconds(unsigned, text, &Self::FORM)? as i64;
        Ok(SignedDuration {
            nanoseconds: if text.starts_with('-') {
                -nanoseconds
            } else {
                nanoseconds
            },
        })
    }
}

impl fmt::Display for SignedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_negative() { "-" } else { "" };
        write!(f, "{sign}{}", duration_text(self.magnitude()))
    }
}

/// Reads `text`; `all` is what stands in messages. The result fits 63 bits.
fn nanoseconds(text: &str, all: &str, form: &Form) -> Result<u64, UnitError> {
    let mut rest = text;
    let mut total: u128 = 0;
    let mut shortest = u128::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or_else(|| form.not_one(all))?;
        let length = after
            .find(|one: char| one.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            if unit.is_empty() {
                let number = if rest == text { all } else { number };
                return Err(Form::no_unit(number, &["s", "ms"]));
            }
            return Err(form.wrong_unit(number, unit, &NAMES));
        };
        if *factor >= shortest {
            return Err(UnitError::Order {
                text: super::shorten(all),
            });
        }
        shortest = *factor;
        total = match times(number, *factor) {
            Ok(part) if part <= LONGEST_NS && total + part <= LONGEST_NS => total + part,
            Err(false) => {
                return Err(UnitError::TooFine {
                    text: super::shorten(all),
                    grain: "nanoseconds",
                });
            }
            _ => {
                return Err(UnitError::TooLarge {
                    text: super::shorten(all),
                    most: "106751d",
                });
            }
        };
        rest = next;
    }
    if text.is_empty() {
        Err(form.not_one(all))
    } else {
        Ok(total as u64)
    }
}

/// A duration as a scenario would write it: exact, and read back as the same.
pub fn duration_text(duration: Duration) -> String {
    const UNIT: [(&str, u64); 3] = [("ms", 1_000_000), ("us", 1_000), ("ns", 1)];
    let nanoseconds = duration.as_nanos() as u64;
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    if nanoseconds < 1_000_000_000 {
        let (unit, factor) = UNIT
            .into_iter()
            .find(|(_, factor)| nanoseconds >= *factor)
            .unwrap_or(("ns", 1));
        return format!("{}{unit}", decimal(nanoseconds, factor));
    }
    let (minutes, rest) = (nanoseconds / 60_000_000_000, nanoseconds % 60_000_000_000);
    let mut text = String::new();
    if minutes >= 60 {
        text = format!("{}h", minutes / 60);
    }
    if minutes % 60 > 0 {
        text = format!("{text}{}m", minutes % 60);
    }
    if rest > 0 {
        text = format!("{text}{}s", decimal(rest, 1_000_000_000));
    }
    text
}

/// `value / factor` without rounding; `factor` is a power of ten.
fn decimal(value: u64, factor: u64) -> String {
    let (whole, part) = (value / factor, value % factor);
    if part == 0 {
        return whole.to_string();
    }
    let digits = factor.ilog10() as usize;
    let fraction = format!("{part:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
