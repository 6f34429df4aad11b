//! Axes: the range that holds the data and the ticks that a reader can count with.

use crate::figure::{self, Unit};

/// Changes beyond these ratios are drawn at the edge: one wild block must not flatten all others.
const MOST_CHANGE: f64 = 10.0;

/// Changes that are worth a tick, in percent; where there is room for only some, the first.
const CHANGES: [f64; 27] = [
    0.0, 100.0, -50.0, 20.0, -20.0, 10.0, -10.0, 50.0, 5.0, -5.0, 400.0, -75.0, 200.0, 900.0, -90.0, 2.0,
    -2.0, 1.0, -1.0, 0.5, -0.5, 0.2, -0.2, 0.1, -0.1, 0.05, -0.05,
];

/// Data that spans more than this factor is drawn on a logarithmic axis.
const WIDE_RANGE: f64 = 20.0;

/// What an axis measures. Positions are what is drawn: the value, or its decimal logarithm.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) log: bool,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Positions of the labelled ticks.
    pub(crate) ticks: Vec<f64>,
    pub(crate) unit: Unit,
}

impl Scale {
    /// The axis for `values`, with about `most` ticks. Of what starts at zero only durations get a logarithmic one: for the rest
    /// zero matters. Changes lie about none.
    pub(crate) fn of(values: impl Iterator<Item = f64>, unit: Unit, most: usize) -> Scale {
        match unit {
            Unit::Change => return Scale::about_one(values, most),
            Unit::Points => return Scale::about_zero(values, most),
            Unit::Duration | Unit::Rate | Unit::Ratio | Unit::Count | Unit::Bytes => {}
        }
        let (mut least, mut largest) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| value.is_finite() && *value >= 0.0) {
            largest = largest.max(value);
            if value > 0.0 {
                least = least.min(value);
            }
        }
        if unit == Unit::Duration && least.is_finite() && largest / least > WIDE_RANGE {
            Scale::logarithmic(least, largest, unit, most)
        } else {
            Scale::linear(largest, unit, most)
        }
    }

    /// Ratios on a logarithmic axis, on which half and twice are as far from the same.
    fn about_one(values: impl Iterator<Item = f64>, most: usize) -> Scale {
        let positions = values.filter(|value| value.is_finite() && *value > 0.0);
        let positions = positions.map(|value| value.clamp(1.0 / MOST_CHANGE, MOST_CHANGE).log10());
        let (low, high) = range(positions, 1.005_f64.log10());
        Scale {
            log: true,
            low,
            high,
            ticks: change_ticks(low, high, most),
            unit: Unit::Change,
        }
    }

    /// Differences, which may be on both sides of none.
    fn about_zero(values: impl Iterator<Item = f64>, most: usize) -> Scale {
        // No share lies further from another.
        let values = values
            .filter(|value| value.is_finite())
            .map(|value| value.clamp(-1.0, 1.0));
        let (low, high) = range(values, 0.000_1);
        let step = nice_step(high - low, most);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        Scale {
            log: false,
            low,
            high,
            ticks: (first..=last).map(|at| at as f64 * step).collect(),
            unit: Unit::Points,
        }
    }

    fn linear(largest: f64, unit: Unit, most: usize) -> Scale {
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let step = nice_step(largest, most);
        let high = (largest * 1.02 / step).ceil() * step;
        let count = (high / step).round() as usize;
        let ticks = (0..=count).map(|at| at as f64 * step).collect();
        Scale {
            log: false,
            low: 0.0,
            high,
            ticks,
            unit,
        }
    }

    fn logarithmic(least: f64, largest: f64, unit: Unit, most: usize) -> Scale {
        // One microsecond is the finest that is recorded.
        let (low, high) = (least.max(1.0).log10(), largest.max(1.0).log10());
        let (low, high) = (low - 0.04 * (high - low), high + 0.04 * (high - low));
        let decades = high - low;
        let steps: &[f64] = match most as f64 / decades {
            per if per >= 3.0 => &[1.0, 2.0, 5.0],
            per if per >= 1.8 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let skip = (decades / most as f64).ceil().max(1.0) as i32;
        let first = low.floor() as i32;
        let powers = (first..=high.ceil() as i32).filter(|power| power.rem_euclid(skip) == 0);
        let ticks = powers
            .flat_map(|power| steps.iter().map(move |step| f64::from(power) + step.log10()))
            .filter(|tick| (low..=high).contains(tick));
        Scale {
            log: true,
            low,
            high,
            ticks: ticks.collect(),
            unit,
        }
    }

    /// Whether a value can be drawn.
    pub(crate) fn has_place(&self, value: f64) -> bool {
        value.is_finite() && (self.unit != Unit::Change || value > 0.0)
    }

    /// Where a value is drawn; nothing for what has no place on the axis.
    pub(crate) fn position(&self, value: f64) -> Option<f64> {
        let position = || match self.unit {
            Unit::Change => value.log10(),
            _ if self.log => value.max(1.0).log10(),
            _ => value,
        };
        self.has_place(value)
            .then(|| position().clamp(self.low, self.high))
    }

    /// Whether a value lies beyond the ends of the axis, where [`Scale::position`] puts it at the end.
    pub(crate) fn is_beyond(&self, value: f64) -> bool {
        let end = |position: f64| if self.log { 10f64.powf(position) } else { position };
        value < end(self.low) || value > end(self.high)
    }

    /// The label of a tick.
    pub(crate) fn label(&self, position: f64) -> String {
        let value = if self.log { 10f64.powf(position) } else { position };
        match self.unit {
            // Powers of ten come back from their logarithms with an error in the last digit.
            Unit::Duration if self.log => self.unit.print(one_digit(value)),
            Unit::Change => change_label(value),
            Unit::Points => signed(value * 100.0),
            Unit::Count => figure::rate(value).trim_end_matches("/s").to_owned(),
            unit => trimmed(&unit.print(value)),
        }
    }
}

/// From the least to the largest position, zero among them, with some room beyond; each side at least so wide.
fn range(positions: impl Iterator<Item = f64>, least: f64) -> (f64, f64) {
    let (low, high) = positions.fold((-least, least), |(low, high), at| (low.min(at), high.max(at)));
    let room = 0.04 * (high - low);
    (low - room, high + room)
}

/// Positions of ticks on an axis of decimal logarithms of ratios: round percentages, no more than about `most`.
fn change_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let apart = (high - low) / most.max(1) as f64;
    let mut ticks: Vec<f64> = Vec::new();
    for percent in CHANGES {
        let at = (percent / 100.0).ln_1p() / std::f64::consts::LN_10;
        let is_free = ticks.iter().all(|tick| (tick - at).abs() >= apart);
        if (low..=high).contains(&at) && is_free {
            ticks.push(at);
        }
    }
    ticks.sort_by(f64::total_cmp);
    ticks
}

/// `+20 %`, and `×2` from there on: a tick needs no more digits than it was chosen with, and little room.
fn change_label(ratio: f64) -> String {
    let percent = ((ratio - 1.0) * 100.0 * 1e6).round() / 1e6;
    if percent >= 100.0 {
        return format!("×{}", figure::three(percent / 100.0 + 1.0));
    }
    format!("{} %", signed(percent))
}

/// Three digits with the sign of what is not zero.
fn signed(number: f64) -> String {
    let sign = match number {
        more if more > 0.0 => "+",
        less if less < 0.0 => "−",
        _ => "",
    };
    format!("{sign}{}", figure::three(number.abs()))
}

/// `1.50k/s` as `1.5k/s`: a tick needs no digits that its neighbours don't.
fn trimmed(text: &str) -> String {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '−'))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.contains('.') {
        format!("{}{unit}", number.trim_end_matches('0').trim_end_matches('.'))
    } else {
        text.to_owned()
    }
}

fn one_digit(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let rounded = (value / power).round() * power;
    if (rounded / value - 1.0).abs() < 1e-6 {
        rounded
    } else {
        value
    }
}

/// The step of 1, 2 or 5 times a power of ten that divides `range` into at most `most` parts.
fn nice_step(range: f64, most: usize) -> f64 {
    let rough = range / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|step| step * power >= rough * 0.999)
        .unwrap_or(10.0);
    step * power
}

/// Ticks of a time axis from zero to `end_us`, at most `most` of them, in steps that a clock knows.
pub(crate) fn time_ticks(end_us: f64, most: usize) -> Vec<f64> {
    const SECONDS: [f64; 16] = [
        1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0,
        14_400.0,
    ];
    let end = end_us / 1e6;
    let fits = |step: &&f64| end / **step <= most as f64;
    let step = match SECONDS.iter().find(fits) {
        Some(step) if end >= 2.0 => *step,
        _ => nice_step(end, most),
    };
    let count = (end / step + 1e-9).floor() as usize;
    (0..=count).map(|at| at as f64 * step * 1e6).collect()
}

/// The label of a moment on the time axis: seconds, from five minutes on minutes and seconds, from an hour on hours too.
pub(crate) fn time_label(at_us: f64, end_us: f64) -> String {
    let seconds = at_us / 1e6;
    if end_us < 300e6 {
        return format!("{} s", figure::three(seconds));
    }
    let whole = seconds.round() as u64;
    if end_us < 3_600e6 {
        format!("{}:{:02}", whole / 60, whole % 60)
    } else {
        format!("{}:{:02}:{:02}", whole / 3_600, whole / 60 % 60, whole % 60)
    }
}

/// The quantiles worth a tick up to `last`, each as its place on the axis (log10 of 1 / (1 - q)) and its name.
pub(crate) fn quantile_ticks(last: f64) -> Vec<(f64, String)> {
    let mut ticks = vec![(0.0, "0 %".to_owned()), (2f64.log10(), "50 %".to_owned())];
    let mut power = 1;
    while f64::from(power) <= last + 0.05 && power <= 9 {
        let nines = power as usize;
        let text = if nines == 1 {
            "90 %".to_owned()
        } else {
            format!("{:.*} %", nines - 2, 100.0 - 10f64.powi(2 - power))
        };
        ticks.push((f64::from(power), text));
        power += 1;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(values: &[f64], unit: Unit, most: usize) -> Vec<String> {
        let axis = Scale::of(values.iter().copied(), unit, most);
        axis.ticks.iter().map(|tick| axis.label(*tick)).collect()
    }

    #[test]
    fn a_wide_range_of_durations_is_logarithmic() {
        assert_eq!(
            labels(&[400.0, 52_000.0], Unit::Duration, 6),
            ["1 ms", "3 ms", "10 ms", "30 ms"]
        );
        assert_eq!(
            labels(&[1.0, 3.6e9], Unit::Duration, 6),
            ["1 µs", "100 µs", "10 ms", "1 s", "1 min 40 s"]
        );
    }

    #[test]
    fn a_narrow_range_starts_at_zero() {
        assert_eq!(
            labels(&[3_000.0, 4_100.0], Unit::Duration, 5),
            ["0 µs", "1 ms", "2 ms", "3 ms", "4 ms", "5 ms"]
        );
        assert_eq!(
            labels(&[1_990.0, 2_010.0], Unit::Rate, 5),
            ["0/s", "500/s", "1k/s", "1.5k/s", "2k/s", "2.5k/s"]
        );
    }

    #[test]
    fn changes_have_round_percentages_about_none() {
        assert_eq!(labels(&[1.12, 0.995], Unit::Change, 6), ["0 %", "+5 %", "+10 %"]);
        assert_eq!(labels(&[0.5, 3.0], Unit::Change, 6), ["−50 %", "0 %", "×2", "×3"]);
        assert_eq!(labels(&[1.0], Unit::Change, 5), ["−0.5 %", "0 %", "+0.5 %"]);
        assert_eq!(labels(&[-0.001, 0.004], Unit::Points, 5), ["0", "+0.2", "+0.4"]);
    }

    #[test]
    fn empty_and_odd_data_still_have_an_axis() {
        for values in [&[][..], &[0.0], &[f64::NAN, f64::INFINITY], &[1e-12], &[1e300]] {
            for unit in [
                Unit::Duration,
                Unit::Count,
                Unit::Ratio,
                Unit::Change,
                Unit::Points,
            ] {
                let axis = Scale::of(values.iter().copied(), unit, 5);
                assert!(
                    axis.low.is_finite() && axis.high.is_finite() && axis.high > axis.low,
                    "{values:?} {axis:?}"
                );
                assert!(
                    !axis.ticks.is_empty() && axis.ticks.len() < 20,
                    "{values:?} {axis:?}"
                );
            }
        }
    }

    #[test]
    fn time_is_divided_as_a_clock_divides_it() {
        let labels = |end_us: f64, most| -> Vec<String> {
            time_ticks(end_us, most)
                .into_iter()
                .map(|tick| time_label(tick, end_us))
                .collect()
        };
        assert_eq!(
            labels(62e6, 8),
            ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]
        );
        assert_eq!(
            labels(1_800e6, 6),
            ["0:00", "5:00", "10:00", "15:00", "20:00", "25:00", "30:00"]
        );
        assert_eq!(
            labels(3_600e6, 4),
            ["0:00:00", "0:15:00", "0:30:00", "0:45:00", "1:00:00"]
        );
        assert_eq!(
            labels(9_000e6, 4),
            ["0:00:00", "1:00:00", "2:00:00"],
            "two hours and a half"
        );
        assert_eq!(labels(400e3, 4), ["0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s"]);
        assert_eq!(labels(1.0, 4).len(), 1 + 4 - 2, "a run of a microsecond");
    }

    #[test]
    fn quantiles_gain_a_nine_a_step() {
        let names: Vec<String> = quantile_ticks(4.2).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["0 %", "50 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }
}
