//! Measured quantities as a person reads them: three significant digits and the unit that fits, `4.13 ms`, `12.3k/s`.
//!
//! Trailing zeros stay, since they say how precise a figure is and keep columns still. Nothing here is read back.

use std::time::Duration;

/// Three significant digits of a number that is not negative: `4.13`, `41.3`, `413`, `4130`.
pub fn significant(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// A length of time: `850 ns`, `4.13 ms`, `12.0 s`, `2m 05s`, `1h 30m`.
pub fn duration(duration: Duration) -> String {
    nanoseconds(duration.as_nanos() as f64)
}

/// A length of time in microseconds, as the run record has it.
pub fn microseconds(value: f64) -> String {
    nanoseconds(value * 1e3)
}

/// A length of time in nanoseconds; negative ones keep their sign.
pub fn nanoseconds(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value < 0.0 {
        return format!("-{}", nanoseconds(-value));
    }
    let seconds = value / 1e9;
    if seconds >= 3_599.5 {
        let minutes = (seconds / 60.0).round() as u64;
        return format!("{}h {:02}m", minutes / 60, minutes % 60);
    }
    if seconds >= 119.5 {
        let seconds = seconds.round() as u64;
        return format!("{}m {:02}s", seconds / 60, seconds % 60);
    }
    scaled(
        value,
        &[(1e9, " s"), (1e6, " ms"), (1e3, " us"), (1.0, " ns")],
        999.5,
    )
}

/// How many per second: `850/s`, `12.3k/s`.
pub fn rate(per_second: f64) -> String {
    format!("{}/s", number(per_second))
}

/// A count or any other number: `850`, `12.3k`, `4.10M`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value < 0.0 {
        return format!("-{}", number(-value));
    }
    if value < 1000.0 && value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    scaled(
        value,
        &[(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")],
        999.5,
    )
}

/// A count: exact below 10,000.
pub fn count(value: u64) -> String {
    if value < 10_000 {
        value.to_string()
    } else {
        number(value as f64)
    }
}

/// A size: `512 B`, `1.20 MiB`.
pub fn bytes(value: u64) -> String {
    const KIB: f64 = 1024.0;
    let units = [
        (KIB * KIB * KIB * KIB, " TiB"),
        (KIB * KIB * KIB, " GiB"),
        (KIB * KIB, " MiB"),
        (KIB, " KiB"),
        (1.0, " B"),
    ];
    if value < 1024 {
        format!("{value} B")
    } else {
        scaled(value as f64, &units, 1023.5)
    }
}

/// A ratio, 1 for all of it, in percent: `0 %`, `0.13 %`, `99.9 %`. What is not all never reads 100, nor what is
/// something 0.
pub fn ratio(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let percent = value * 100.0;
    if percent > 0.0 && percent < 0.01 {
        return "<0.01 %".to_owned();
    }
    if percent > 99.9 && percent < 100.0 {
        return if percent > 99.99 {
            ">99.99 %".to_owned()
        } else {
            format!("{percent:.2} %")
        };
    }
    format!("{} %", significant(percent))
}

/// The largest unit of which there is at least one, once rounded: a value that rounds up to `full` of a unit is one of
/// the next.
fn scaled(value: f64, units: &[(f64, &str)], full: f64) -> String {
    let mut larger: Option<(f64, &str)> = None;
    for (factor, unit) in units {
        let here = value / factor;
        if here >= full
            && let Some((factor, unit)) = larger
        {
            return format!("{}{unit}", significant((value / factor).max(1.0)));
        }
        if here >= 1.0 {
            return format!("{}{unit}", significant(here));
        }
        larger = Some((*factor, unit));
    }
    let (factor, unit) = units.last().copied().unwrap_or((1.0, ""));
    format!("{}{unit}", significant(value / factor))
}

/// The first `most` of names, and how many more there are: `a, b and 3 more`.
pub fn some_of(names: &[impl AsRef<str>], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
