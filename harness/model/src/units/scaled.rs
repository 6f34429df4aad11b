//! Quantities that are a number with a scale: rates, sizes, ratios, counts, parts per million, factors.

use std::fmt;
use std::time::Duration;

use super::{Form, Quantity, UnitError, shorten, split_number, times};

/// Requests, or whatever is counted, per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate {
    per_second: f64,
}

impl Rate {
    /// So many per second.
    pub const fn per_second(count: f64) -> Rate {
        Rate { per_second: count }
    }

    /// How many per second.
    pub const fn get(self) -> f64 {
        self.per_second
    }

    /// How many in `time`.
    pub fn over(self, time: Duration) -> f64 {
        self.per_second * time.as_secs_f64()
    }
}

impl Quantity for Rate {
    const FORM: Form = Form {
        title: "rate",
        quantity: "a rate",
        examples: "100/s, 2k/s or 6000/m",
        pattern: r"^[0-9]+(?:\.[0-9]+)?[kM]?/[smh]$",
    };

    fn parse(text: &str) -> Result<Rate, UnitError> {
        let form = &Self::FORM;
        negative(text, form)?;
        let (number, unit) = split_number(text).ok_or_else(|| form.not_one(text))?;
        let (exponent, per) = match unit.strip_prefix(['k', 'M']) {
            Some(per) => (if unit.starts_with('k') { 3 } else { 6 }, per),
            None => (0, unit),
        };
        let seconds = match per {
            "/s" => 1.0,
            "/m" => 60.0,
            "/h" => 3600.0,
            "" => return Err(Form::no_unit(text, &["/s"])),
            _ => return Err(form.wrong_unit(number, unit, &["/s", "/m", "/h", "k/s", "M/s"])),
        };
        Ok(Rate {
            per_second: float(&format!("{number}e{exponent}"), form)? / seconds,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", metric(self.per_second))
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    const UNITS: [(&str, u128); 9] = [
        ("B", 1),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
}

impl Quantity for Bytes {
    const FORM: Form = Form {
        title: "size",
        quantity: "a size",
        examples: "512B, 4KiB or 10MB",
        pattern: r"^[0-9]+(?:\.[0-9]+)?(?:B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$",
    };

    fn parse(text: &str) -> Result<Bytes, UnitError> {
        let form = &Self::FORM;
        negative(text, form)?;
        let (number, unit) = split_number(text).ok_or_else(|| form.not_one(text))?;
        let known = if unit == "KB" { "kB" } else { unit };
        let Some((_, factor)) = Self::UNITS.iter().find(|(name, _)| *name == known) else {
            if unit.is_empty() {
                return Err(Form::no_unit(text, &["B", "KiB"]));
            }
            let long = ["KiB", "MiB", "GiB", "TiB", "kB", "MB", "GB", "TB", "B"];
            let near = long
                .into_iter()
                .find(|known| known[..1].eq_ignore_ascii_case(unit.trim()));
            return Err(match near {
                Some(near) => UnitError::UnknownUnit {
                    unit: shorten(unit),
                    quantity: form.quantity,
                    forms: format!("{number}{near}"),
                },
                None => form.wrong_unit(number, unit, &long),
            });
        };
        whole(number, *factor, text, "bytes").map(Bytes)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Self::UNITS
            .iter()
            .rev()
            .find(|(_, factor)| self.0 > 0 && u128::from(self.0) % factor == 0);
        let (name, factor) = unit.unwrap_or(&("B", 1));
        write!(f, "{}{name}", u128::from(self.0) / factor)
    }
}

/// A part of a whole, 0 to 1, written in percent; what may exceed the whole may exceed 100 %.
///
/// A bare `0.05` or `1` is refused: nobody can tell one percent from all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Ratio(f64);

impl Ratio {
    /// A ratio from its value, 1 for all of it.
    pub const fn new(value: f64) -> Ratio {
        Ratio(value)
    }

    /// Its value, 1 for all of it.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Quantity for Ratio {
    const FORM: Form = Form {
        title: "ratio",
        quantity: "a ratio",
        examples: "5% or 99.9%",
        pattern: r"^[0-9]+(?:\.[0-9]+)?%$",
    };

    fn parse(text: &str) -> Result<Ratio, UnitError> {
        let form = &Self::FORM;
        negative(text, form)?;
        match split_number(text).ok_or_else(|| form.not_one(text))? {
            // Shifting the decimal point before reading, not dividing after, gives the number nearest to what is meant.
            (number, "%") => Ok(Ratio(float(&format!("{number}e-2"), form)?)),
            (number, "") => {
                let value = float(number, form)?;
                let percent = if number.contains('.') && value < 1.0 {
                    value * 100.0
                } else {
                    value
                };
                Err(UnitError::NoUnit {
                    text: shorten(text),
                    write: format!("{percent}%"),
                })
            }
            (number, unit) => Err(form.wrong_unit(number, unit, &["%"])),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Percent with at most nine decimals: 0.07 * 100 is not 7 in binary.
        let text = format!("{:.9}", self.0 * 100.0);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Parts per million, for a clock that runs fast (positive) or slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Ppm(f64);

impl Ppm {
    /// So many parts per million.
    pub const fn new(parts: f64) -> Ppm {
        Ppm(parts)
    }

    /// How many parts per million.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Quantity for Ppm {
    const FORM: Form = Form {
        title: "drift",
        quantity: "a drift",
        examples: "50ppm or -200ppm",
        pattern: r"^[-+]?[0-9]+(?:\.[0-9]+)?ppm$",
    };

    fn parse(text: &str) -> Result<Ppm, UnitError> {
        let form = &Self::FORM;
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
        match split_number(unsigned).ok_or_else(|| form.not_one(text))? {
            (number, "ppm") => Ok(Ppm(sign * float(number, form)?)),
            (_, "") => Err(Form::no_unit(text, &["ppm"])),
            (number, unit) => Err(form.wrong_unit(number, unit, &["ppm"])),
        }
    }
}

impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ppm", self.0)
    }
}

/// A whole number of things: `12`, `10k`, `1.5M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Count(pub u64);

impl Quantity for Count {
    const FORM: Form = Form {
        title: "count",
        quantity: "a count",
        examples: "500, 10k or 2M",
        pattern: r"^[0-9]+(?:\.[0-9]+)?[kM]$|^[0-9]+$",
    };

    fn parse(text: &str) -> Result<Count, UnitError> {
        let form = &Self::FORM;
        negative(text, form)?;
        let (number, unit) = split_number(text).ok_or_else(|| form.not_one(text))?;
        let factor = match unit {
            "" => 1,
            "k" => 1_000,
            "M" => 1_000_000,
            _ => return Err(form.wrong_unit(number, unit, &["k", "M"])),
        };
        match whole(number, factor, text, "") {
            Err(UnitError::TooFine { .. }) => Err(form.not_one(text)),
            counted => counted.map(Count),
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A factor: `5x` is five times as much.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Scale(f64);

impl Scale {
    /// A factor from its value.
    pub const fn new(factor: f64) -> Scale {
        Scale(factor)
    }

    /// Its value.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Quantity for Scale {
    const FORM: Form = Form {
        title: "scale",
        quantity: "a factor",
        examples: "5x or 0.5x",
        pattern: r"^[0-9]+(?:\.[0-9]+)?x$",
    };

    fn parse(text: &str) -> Result<Scale, UnitError> {
        let form = &Self::FORM;
        negative(text, form)?;
        match split_number(text).ok_or_else(|| form.not_one(text))? {
            (number, "x") => Ok(Scale(float(number, form)?)),
            (_, "") => Err(Form::no_unit(text, &["x"])),
            (number, unit) => Err(form.wrong_unit(number, unit, &["x"])),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x", self.0)
    }
}

fn negative(text: &str, form: &Form) -> Result<(), UnitError> {
    match text.strip_prefix('-') {
        Some(rest) if split_number(rest).is_some() => Err(UnitError::Negative {
            text: shorten(text),
            quantity: form.quantity,
        }),
        _ => Ok(()),
    }
}

/// A number below 10^15, where whole numbers can still be told apart.
fn float(number: &str, form: &Form) -> Result<f64, UnitError> {
    match number.parse::<f64>() {
        Ok(value) if value < 1e15 => Ok(value),
        Ok(_) => Err(UnitError::TooLarge {
            text: shorten(number),
            most: "10^15",
        }),
        Err(_) => Err(form.not_one(number)),
    }
}

fn whole(number: &str, factor: u128, text: &str, grain: &'static str) -> Result<u64, UnitError> {
    let text = shorten(text);
    match times(number, factor).map(u64::try_from) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) | Err(true) => Err(UnitError::TooLarge {
            text,
            most: "18446744073709551615",
        }),
        Err(false) => Err(UnitError::TooFine { text, grain }),
    }
}

/// A number with `k` or `M` where that loses nothing.
fn metric(value: f64) -> String {
    for (factor, unit) in [(1e6, "M"), (1e3, "k")] {
        let scaled = value / factor;
        #[expect(
            clippy::float_cmp,
            reason = "only an exact result may be written with the larger unit"
        )]
        let exact = scaled >= 1.0 && scaled * factor == value && format!("{scaled}").len() <= 6;
        if exact {
            return format!("{scaled}{unit}");
        }
    }
    format!("{value}")
}
