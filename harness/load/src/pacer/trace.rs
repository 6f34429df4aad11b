//! Arrivals as they were recorded: a list of timestamps.
//!
//! Arrival `i` comes `(t(i) - t(0)) / v` after the start, `v` being the speed. A trace that repeats begins again one mean
//! distance after its last arrival: with `n` arrivals over a span `s` its period is `s n / (n - 1)`, and arrival `i` of round
//! `k` comes at `(k s n / (n - 1) + t(i) - t(0)) / v`. Nothing is drawn.
//!
//! The text has one timestamp a line: seconds as a decimal number (`1718000000.25`), or a duration with its unit (`250ms`). Of
//! a line with commas the first field counts, a first line that begins with a letter is a heading, and empty lines and those
//! that begin with `#` are passed over. Timestamps must not go backwards.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use squall_model::seed::Seed;
use squall_model::units::{human, parse_duration};

use super::{Pacer, PacerError, Process};

/// The most arrivals of one trace: they are kept in memory, eight bytes each.
pub const ARRIVALS_MAX: usize = 10_000_000;

/// A recorded list of arrivals.
#[derive(Clone, PartialEq)]
pub struct Trace {
    /// Nanoseconds since the first, in order; at least one.
    times_ns: Arc<[u64]>,
    /// So many times as fast as it was recorded.
    speed: f64,
    repeats: bool,
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A line is no timestamp.
    #[error("line {line}: `{text}` is no time: write seconds such as 12.25, or a duration such as 250ms")]
    NoTime {
        /// Counted from 1.
        line: usize,
        /// What stands there, its beginning.
        text: String,
    },
    /// A line is before the one above it.
    #[error("line {line}: `{text}` is before the time above it; sort the file by time")]
    Backwards {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Nothing in it.
    #[error("there is no time in it")]
    Empty,
    /// More than can be kept.
    #[error("it has more than {ARRIVALS_MAX} times; split it")]
    TooMany,
    /// A trace without length cannot begin again.
    #[error("all its times are one moment, so it cannot repeat")]
    NoLength,
}

impl Trace {
    /// Reads a text.
    pub fn parse(text: &str) -> Result<Trace, TraceError> {
        let mut times_ns: Vec<u64> = Vec::new();
        let (mut first_ns, mut last_ns) = (None, 0);
        for (at, line) in text.lines().enumerate() {
            let field = line.split(',').next().unwrap_or_default().trim();
            let is_heading = at == 0 && field.starts_with(|first: char| first.is_alphabetic());
            if field.is_empty() || field.starts_with('#') || is_heading {
                continue;
            }
            let shown = || (at + 1, field.chars().take(40).collect::<String>());
            let Some(ns) = timestamp_ns(field) else {
                let (line, text) = shown();
                return Err(TraceError::NoTime { line, text });
            };
            if ns < last_ns {
                let (line, text) = shown();
                return Err(TraceError::Backwards { line, text });
            }
            if times_ns.len() == ARRIVALS_MAX {
                return Err(TraceError::TooMany);
            }
            last_ns = ns;
            times_ns.push(ns - *first_ns.get_or_insert(ns));
        }
        if times_ns.is_empty() {
            return Err(TraceError::Empty);
        }
        Ok(Trace {
            times_ns: times_ns.into(),
            speed: 1.0,
            repeats: false,
        })
    }

    /// The same, `factor` times as fast.
    #[must_use]
    pub fn faster(mut self, factor: f64) -> Trace {
        self.speed *= factor;
        self
    }

    /// The same, again and again.
    pub fn repeating(mut self) -> Result<Trace, TraceError> {
        if self.span_ns() == 0 {
            return Err(TraceError::NoLength);
        }
        self.repeats = true;
        Ok(self)
    }

    fn span_ns(&self) -> u64 {
        self.times_ns.last().copied().unwrap_or_default()
    }

    /// The time of arrival `number` of the trace as recorded, over all rounds.
    fn recorded_ns(&self, number: usize) -> Option<u128> {
        let count = self.times_ns.len();
        if number < count {
            return Some(u128::from(self.times_ns[number]));
        }
        if !self.repeats {
            return None;
        }
        let span_ns = u128::from(self.span_ns());
        let period_ns = span_ns + span_ns / (count as u128 - 1);
        let round = (number / count) as u128;
        Some(round * period_ns + u128::from(self.times_ns[number % count]))
    }

    /// Arrival `number`, in nanoseconds since the start.
    fn arrival_ns(&self, number: usize) -> Option<u64> {
        let at_ns = self.recorded_ns(number)? as f64 / self.speed;
        (at_ns < u64::MAX as f64).then_some(at_ns as u64)
    }

    /// How many of one round come within `length_ns` of its begin.
    fn within(&self, length_ns: f64) -> usize {
        self.times_ns
            .partition_point(|ns| ((*ns as f64 / self.speed) as u64 as f64) < length_ns)
    }
}

/// Seconds as a decimal number, to the nanosecond, or a duration with its unit.
fn timestamp_ns(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        let duration = parse_duration(text).ok()?;
        return duration.as_nanos().try_into().ok();
    }
    // What is finer than a nanosecond is cut off.
    let digits = &fraction[..fraction.len().min(9)];
    let nanos: u64 = format!("{digits:0<9}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
}

impl Process for Trace {
    fn check(&self) -> Result<(), PacerError> {
        if self.speed > 0.0 && self.speed.is_finite() {
            Ok(())
        } else {
            Err(PacerError::Speed(self.speed))
        }
    }

    fn peak_per_s(&self) -> f64 {
        let window_ns = (1e9 * self.speed) as u64;
        let (mut first, mut most) = (0, 0);
        for (last, ns) in self.times_ns.iter().enumerate() {
            while ns - self.times_ns[first] >= window_ns && first < last {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        // Where rounds follow each other within a second, several of them count.
        let period_s = self.span_ns() as f64 / 1e9 / self.speed;
        let rounds = if self.repeats { 1.0 / period_s } else { 0.0 };
        (most as f64).max(rounds * self.times_ns.len() as f64)
    }

    fn count_within(&self, length: Duration) -> f64 {
        let length_ns = length.as_nanos() as f64;
        if !self.repeats {
            return self.within(length_ns) as f64;
        }
        let count = self.times_ns.len();
        let span_ns = self.span_ns() as f64;
        let period_ns = (span_ns + (self.span_ns() / (count as u64 - 1)) as f64) / self.speed;
        let rounds = (length_ns / period_ns).floor();
        rounds * count as f64 + self.within(length_ns - rounds * period_ns) as f64
    }

    fn pacer(&self, _seed: Seed) -> Box<dyn Pacer> {
        Box::new(Replay {
            trace: self.clone(),
            number: 0,
        })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = human::count(self.times_ns.len() as u64);
        let span = human::nanoseconds(self.span_ns() as f64);
        write!(f, "trace of {count} arrivals over {span}")?;
        if (self.speed - 1.0).abs() > f64::EPSILON {
            write!(f, " at {}x", self.speed)?;
        }
        f.write_str(if self.repeats { ", again and again" } else { "" })
    }
}

/// Not the list: it may be long.
impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Replay {
    trace: Trace,
    number: usize,
}

impl Pacer for Replay {
    fn next_arrival_ns(&mut self) -> Option<u64> {
        self.number += 1;
        self.trace.arrival_ns(self.number - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(trace: &Trace, count: usize) -> Vec<u64> {
        let mut pacer = trace.pacer(Seed::new(7));
        let times = std::iter::from_fn(|| pacer.next_arrival_ns());
        times.take(count).map(|ns| ns / 1_000_000).collect()
    }

    #[test]
    fn times_are_read_in_every_form() {
        let table = [
            ("0\n0.25\n1.5\n", vec![0, 250, 1_500]),
            // Since the epoch, with commas, a heading, comments and empty lines.
            (
                "at,path\n1718000000.250000001,/a\n# a pause\n\n1718000000.5, /b\r\n",
                vec![0, 249],
            ),
            ("250ms\n1s\n1m1s", vec![0, 750, 60_750]),
            ("5\n5\n5", vec![0, 0, 0]),
        ];
        for (text, expected) in table {
            let trace = Trace::parse(text).unwrap();
            assert_eq!(millis(&trace, 10), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_trace_is_refused_with_its_line() {
        let table = [
            ("", "there is no time in it"),
            ("time\n# nothing\n", "there is no time in it"),
            (
                "1\nsoon\n",
                "line 2: `soon` is no time: write seconds such as 12.25, or a duration such as 250ms",
            ),
            (
                "-1\n",
                "line 1: `-1` is no time: write seconds such as 12.25, or a duration such as 250ms",
            ),
            (
                "1.2.3\n",
                "line 1: `1.2.3` is no time: write seconds such as 12.25, or a duration such as 250ms",
            ),
            (
                "99999999999999999999\n",
                "line 1: `99999999999999999999` is no time: write seconds such as 12.25, or a duration such as 250ms",
            ),
            (
                "1\n2\n1.5\n",
                "line 3: `1.5` is before the time above it; sort the file by time",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(Trace::parse(text).unwrap_err().to_string(), expected, "{text:?}");
        }
        assert_eq!(
            Trace::parse("5\n5").unwrap().repeating(),
            Err(TraceError::NoLength)
        );
        assert_eq!(Trace::parse("5").unwrap().repeating(), Err(TraceError::NoLength));
    }

    #[test]
    fn a_trace_is_replayed_faster_and_again() {
        let trace = Trace::parse("10\n11\n14").unwrap();
        assert_eq!(millis(&trace, 9), [0, 1_000, 4_000]);
        assert_eq!(millis(&trace.clone().faster(2.0), 9), [0, 500, 2_000]);
        // Four seconds with three arrivals: the mean distance is two, so the next round begins at six.
        let again = trace.repeating().unwrap();
        assert_eq!(millis(&again, 7), [0, 1_000, 4_000, 6_000, 7_000, 10_000, 12_000]);
        assert_eq!(millis(&again.faster(4.0), 4), [0, 250, 1_000, 1_500]);
    }

    #[test]
    fn the_count_within_a_time_is_that_of_its_arrivals() {
        let trace = Trace::parse("0\n0.1\n0.1\n0.7\n").unwrap().faster(1.7);
        for trace in [trace.clone(), trace.repeating().unwrap()] {
            for length_ms in [1, 58, 59, 60, 411, 412, 549, 550, 2_000, 3_333] {
                let length = Duration::from_millis(length_ms);
                let arrivals = (0..10_000).map_while(|number| trace.arrival_ns(number));
                let counted = arrivals.filter(|ns| u128::from(*ns) < length.as_nanos()).count();
                assert_eq!(
                    trace.count_within(length) as usize,
                    counted,
                    "{trace} in {length_ms} ms"
                );
            }
        }
    }

    #[test]
    fn the_busiest_second_is_found() {
        let trace = Trace::parse("0\n0.5\n3\n3.1\n3.2\n3.999\n4\n").unwrap();
        assert_eq!(trace.peak_per_s() as u64, 4);
        assert_eq!(trace.clone().faster(10.0).peak_per_s() as u64, 7);
        assert!(trace.faster(100.0).repeating().unwrap().peak_per_s() >= 7.0 * 20.0);
    }
}
