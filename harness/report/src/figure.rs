//! Figures as people read them: three significant digits, the unit that fits, thousands apart.
//!
//! A figure is never rounded into a claim: 99.97 % is not 100 %, and what is above zero is not printed as zero.

use squall_model::baseline::dimension;
use squall_model::expression::Dimension;
use squall_model::record::ExpectationRecord;

/// What stands where nothing was measured.
pub const ABSENT: &str = "–";

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Duration,
    /// Events per second.
    Rate,
    /// A part of one.
    Ratio,
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// One thing over another, told as how much more it is: 1.081 is `+8.1 %`.
    Change,
    /// One share less another, in percentage points: 0.002 is `+0.2 pp`.
    Points,
}

impl Unit {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Duration => "duration",
            Unit::Rate => "rate",
            Unit::Ratio => "ratio",
            Unit::Count => "count",
            Unit::Bytes => "bytes",
            Unit::Change => "change",
            Unit::Points => "points",
        }
    }

    /// `value` with this unit.
    pub fn print(self, value: f64) -> String {
        match self {
            Unit::Duration => duration(value),
            Unit::Rate => rate(value),
            Unit::Ratio => ratio(value),
            Unit::Count if value.fract() == 0.0 && value.abs() < 1e15 => signed(value, |v| count(v as u64)),
            Unit::Count => three(value),
            Unit::Bytes => bytes(value),
            Unit::Change => change(value),
            Unit::Points => points(value),
        }
    }

    /// The unit of what is measured so.
    pub fn of(dimension: Dimension) -> Unit {
        match dimension {
            Dimension::Duration => Unit::Duration,
            Dimension::Ratio => Unit::Ratio,
            Dimension::Rate => Unit::Rate,
            Dimension::Bytes => Unit::Bytes,
            Dimension::Count | Dimension::Number | Dimension::Boolean => Unit::Count,
        }
    }

    /// The unit of what an expectation looks at: that of its limit, or, where that is made of a stored value, that of its metric.
    pub fn of_expectation(expectation: &ExpectationRecord) -> Unit {
        match &expectation.baseline {
            Some(stored) => Unit::of(stored.dimension),
            None if expectation.lacks_baseline => Unit::of(dimension(path(&expectation.text))),
            None => Unit::of_limit(&expectation.text),
        }
    }

    /// The unit in which an expectation as written gives its limit: `refresh.p99 < 20ms` is a duration.
    pub fn of_limit(text: &str) -> Unit {
        let limit = text.rsplit(['<', '>', '=']).next().unwrap_or("").trim();
        let suffix =
            limit.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '+'));
        match suffix.trim() {
            "%" => Unit::Ratio,
            rate if rate.ends_with("/s") => Unit::Rate,
            "us" | "µs" | "ns" | "ms" | "s" | "m" | "min" | "h" => Unit::Duration,
            bytes if bytes.ends_with('B') => Unit::Bytes,
            compound if compound.contains(|c: char| c.is_ascii_digit()) => Unit::Duration,
            _ => Unit::Count,
        }
    }
}

/// What an expectation looks at, of its text: `refresh.p99` of `refresh.p99 < 20ms`.
pub(crate) fn path(expectation: &str) -> &str {
    let operator = |c: char| "<>=! ".contains(c);
    // From behind: the names of edges hold an arrow.
    let path = expectation.rsplit_once(['<', '>', '=']);
    path.map_or("", |(path, _)| path.trim_end_matches(operator))
}

/// Microseconds: `52.2 ns`, `413 µs`, `4.13 ms`, `12.3 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(us: f64) -> String {
    if !us.is_finite() {
        return ABSENT.to_owned();
    }
    if us < 0.0 {
        return format!("−{}", duration(-us));
    }
    match significant(us) {
        us if us > 0.0 && us < 1.0 => format!("{} ns", three(us * 1e3)),
        us if us < 1e3 => format!("{} µs", three(us)),
        us if us < 1e6 => format!("{} ms", three(us / 1e3)),
        us if us < 60e6 => format!("{} s", three(us / 1e6)),
        _ => long(us / 1e6),
    }
}

/// To three significant digits, so that the unit is chosen by what is printed: 999.6 ms is 1 s.
fn significant(value: f64) -> f64 {
    if value < 1e-9 {
        return 0.0;
    }
    // Where the last digit stands, as a whole number of units or of parts of one, of which both are exact.
    let place = value.log10().floor() - 2.0;
    if place >= 0.0 {
        let unit = 10f64.powf(place);
        (value / unit).round() * unit
    } else {
        let parts = 10f64.powf(-place);
        (value * parts).round() / parts
    }
}

/// A minute and more.
fn long(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    match (hours, minutes, seconds) {
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{} h", count(hours)),
        (hours, minutes, _) => format!("{} h {minutes} min", count(hours)),
    }
}

/// A moment of the run, to the millisecond: `22.140 s`.
pub fn moment(us: u64) -> String {
    format!("{}.{:03} s", count(us / 1_000_000), us / 1_000 % 1_000)
}

/// A moment for running text: `22.1 s`, and from ten minutes on `22 min 14 s`.
pub fn about_moment(us: u64) -> String {
    let seconds = us / 1_000_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0..10, _) => format!("{:.1} s", us as f64 / 1e6),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, seconds) => format!("{} h {minutes} min {seconds} s", count(hours)),
    }
}

/// `2k/s`, `12.3k/s`, `1.2M/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", scaled(per_second, 1_000.0, &["", "k", "M", "G", "T"], ""))
}

/// `1.20 MiB`.
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, 1_024.0, &["B", "KiB", "MiB", "GiB", "TiB"], " ")
}

fn scaled(value: f64, step: f64, names: &[&str], gap: &str) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let mut value = value;
    let mut at = 0;
    while rounded(value.abs()).round() >= step && at + 1 < names.len() {
        value /= step;
        at += 1;
    }
    format!("{}{gap}{}", three(value), names[at])
}

/// `2026-01-15 09:30:12 UTC` of an RFC 3339 time in UTC; anything else as it is.
pub fn wall_time(rfc3339: &str) -> String {
    match (
        rfc3339.get(..10),
        rfc3339.get(10..11),
        rfc3339.get(11..19),
        rfc3339.ends_with('Z'),
    ) {
        (Some(day), Some("T"), Some(time), true) => format!("{day} {time} UTC"),
        _ => rfc3339.to_owned(),
    }
}

/// A number of things in words: `1 run`, `1,200 runs`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// Thousands apart: `120,000`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `99.97 %`: as many decimals as it takes to tell it from 0 and from 100.
pub fn ratio(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if !percent.is_finite() {
        return ABSENT.to_owned();
    }
    let off = percent.abs().min((100.0 - percent).abs());
    if off == 0.0 {
        return format!("{percent:.0} %");
    }
    let decimals = if percent.abs() >= 100.0 {
        0
    } else {
        (1.0 - off.log10().floor()).clamp(1.0, 6.0) as usize
    };
    let text = format!("{percent:.decimals$}");
    let text = if decimals > 0 {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text} %")
}

/// `75 %`, `−50 %`: how far apart two things are, where tenths of a percent don't matter.
pub fn percent(ratio: f64) -> String {
    if !ratio.is_finite() {
        return ABSENT.to_owned();
    }
    let percent = (ratio * 100.0).round();
    let sign = if percent < 0.0 { "−" } else { "" };
    format!("{sign}{} %", count(percent.abs() as u64))
}

/// `+8.1 %` of 1.081, `−3.0 %` of 0.97, `0 %` of what is the same: how much more one thing is than another.
pub fn change(ratio: f64) -> String {
    if !ratio.is_finite() {
        return ABSENT.to_owned();
    }
    with_sign(ratio - 1.0, size_of_change(ratio))
}

/// The same without its sign, for where words say which way it went.
pub fn size_of_change(ratio: f64) -> String {
    let percent = ((ratio - 1.0) * 100.0).abs();
    match percent {
        _ if !percent.is_finite() => ABSENT.to_owned(),
        0.0 => "0 %".to_owned(),
        _ if percent >= 99.95 => format!("{} %", count(percent.round() as u64)),
        // What is no change but for how floating point numbers are written is none.
        _ if percent < 1e-9 => "0 %".to_owned(),
        _ if percent < 0.05 => {
            let decimals = (-percent.log10().floor()).clamp(1.0, 9.0) as usize;
            format!("{percent:.decimals$} %")
        }
        _ => format!("{percent:.1} %"),
    }
}

/// `+0.2 pp` of 0.002: a difference of shares in percentage points.
pub fn points(difference: f64) -> String {
    if !difference.is_finite() {
        return ABSENT.to_owned();
    }
    with_sign(difference, size_of_points(difference))
}

/// The same without its sign.
pub fn size_of_points(difference: f64) -> String {
    let points = difference.abs() * 100.0;
    // Hundredths, and of what is less its first digit.
    let decimals = if points >= 0.005 {
        2.0
    } else {
        (-points.max(1e-9).log10()).ceil()
    };
    let scale = 10f64.powf(decimals);
    format!("{} pp", three((points * scale).round() / scale))
}

/// What `value` is printed as, with a sign unless that is nothing.
fn with_sign(value: f64, printed: String) -> String {
    match value {
        _ if printed.starts_with("0 ") => printed,
        more if more > 0.0 => format!("+{printed}"),
        less if less < 0.0 => format!("−{printed}"),
        _ => printed,
    }
}

/// Three significant digits, without an exponent; a whole number stays whole.
pub fn three(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let value = rounded(value);
    let size = value.abs();
    match size {
        _ if value.fract() == 0.0 && size < 1e15 => signed(value, |v| count(v as u64)),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => {
            // As many decimals as it takes to show three digits, of what is above zero at least one.
            let decimals = (2.0 - size.log10().floor()).clamp(0.0, 12.0) as usize;
            let text = format!("{value:.decimals$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

fn signed(value: f64, print: impl Fn(f64) -> String) -> String {
    if value < 0.0 {
        format!("−{}", print(-value))
    } else {
        print(value)
    }
}

/// To three significant digits below 1,000; whole above.
fn rounded(value: f64) -> f64 {
    let size = value.abs();
    if size >= 1_000.0 {
        // Keep the unit's own switch exact: 999.6 is 1,000, 1,234,567 stays for the next unit to round.
        return value;
    }
    if size < 1e-9 {
        return 0.0;
    }
    let scale = 10f64.powf(2.0 - size.log10().floor());
    (value * scale).round() / scale
}

/// Prints what is there, or [`ABSENT`].
pub fn or_absent<T>(value: Option<T>, print: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| ABSENT.to_owned(), print)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_three_digits_and_the_unit_that_fits() {
        let table = [
            (0.0, "0 µs"),
            (0.0433, "43.3 ns"),
            (0.999_6, "1 µs"),
            (7.0, "7 µs"),
            (413.0, "413 µs"),
            (999.6, "1 ms"),
            (999_600.0, "1 s"),
            (59_960_000.0, "1 min"),
            (4_130.0, "4.13 ms"),
            (4_000.0, "4 ms"),
            (41_300.0, "41.3 ms"),
            (413_210.0, "413 ms"),
            (12_340_000.0, "12.3 s"),
            (200e6, "3 min 20 s"),
            (7_500e6, "2 h 5 min"),
            (-50_000.0, "−50 ms"),
            (f64::NAN, "–"),
        ];
        for (us, text) in table {
            assert_eq!(duration(us), text);
        }
    }

    #[test]
    fn a_share_is_never_rounded_into_all_or_nothing() {
        let table = [
            (0.0, "0 %"),
            (1.0, "100 %"),
            (0.9997, "99.97 %"),
            (0.999_99, "99.999 %"),
            (0.000_013, "0.0013 %"),
            (0.5, "50 %"),
            (0.1234, "12.3 %"),
            (1.5, "150 %"),
        ];
        for (share, text) in table {
            assert_eq!(ratio(share), text);
        }
    }

    #[test]
    fn changes_say_which_way_and_are_never_rounded_into_none() {
        let table = [
            (1.081, "+8.1 %"),
            (0.97, "−3.0 %"),
            (1.0, "0 %"),
            (2.5, "+150 %"),
            (0.0, "−100 %"),
            (1.000_3, "+0.03 %"),
            (14.0, "+1,300 %"),
            (f64::INFINITY, "–"),
        ];
        for (ratio, text) in table {
            assert_eq!(change(ratio), text);
        }
        assert_eq!(points(0.002), "+0.2 pp");
        assert_eq!(points(-0.000_01), "−0.001 pp");
        assert_eq!(points(0.000_156), "+0.02 pp");
        assert_eq!(points(0.0), "0 pp");
    }

    #[test]
    fn rates_counts_and_sizes() {
        assert_eq!(rate(2_000.0), "2k/s");
        assert_eq!(rate(12_345.0), "12.3k/s");
        assert_eq!(rate(999.9), "1k/s");
        assert_eq!(rate(0.5), "0.5/s");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(1_258_291.0), "1.20 MiB");
        assert_eq!(bytes(512.0), "512 B");
        assert_eq!(bytes(1_048_500.0), "1 MiB");
        assert_eq!(
            three(0.000_000_3),
            "0.0000003",
            "what is above zero is not printed as zero"
        );
        assert_eq!(three(0.012_34), "0.0123");
        assert_eq!(moment(22_140_400), "22.140 s");
        let about = [22_140_400, 599_999_999, 1_334_400_000, 4_934_400_000].map(about_moment);
        assert_eq!(about, ["22.1 s", "600.0 s", "22 min 14 s", "1 h 22 min 14 s"]);
        assert_eq!(wall_time("2026-01-15T09:30:12.480Z"), "2026-01-15 09:30:12 UTC");
        assert_eq!(wall_time("ärger"), "ärger");
    }

    #[test]
    fn the_limit_as_written_says_the_unit() {
        let table = [
            ("refresh.p99 < 20ms", Unit::Duration),
            ("refresh.p99 < 1m30s", Unit::Duration),
            ("refresh.errors == 0%", Unit::Ratio),
            ("refresh.throughput >= 2k/s", Unit::Rate),
            ("refresh.failed <= 3", Unit::Count),
            ("ids.rss < 64MiB", Unit::Bytes),
            ("ids.unique", Unit::Count),
        ];
        for (text, unit) in table {
            assert_eq!(Unit::of_limit(text), unit, "{text}");
        }
    }
}
