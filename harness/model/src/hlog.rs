//! `<load>.hlog`: the standard `HdrHistogram` interval log, format version 1.3, as text.
//!
//! One line per interval and tag; the tag is the kind of latency. `HistogramLogProcessor`, `HistogramLogAnalyzer` and
//! every other reader of the format take the file as it is. Its scale:
//!
//! - recorded values are whole microseconds;
//! - start and length of an interval are seconds with three decimals, the start counted from `BaseTime`, which is the
//!   run's start;
//! - `Interval_Max` is in milliseconds: the format divides the largest value by a ratio that the writer chooses (one
//!   million in Java, where values are nanoseconds), here [`MAX_RATIO`].
//!
//! The format is that of `HistogramLogWriter` in github.com/HdrHistogram/HdrHistogram. This module turns values into
//! text and back; it must never open a file.

use std::fmt::Write as _;

use crate::histogram::{Histogram, HistogramError, decode, encode};

/// What the largest value of an interval is divided by before it is printed: microseconds to milliseconds.
pub const MAX_RATIO: f64 = 1_000.0;

/// The version that [`header`] announces.
pub const VERSION: &str = "1.3";

/// Which latency a histogram holds; the tag of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// From the intended send time.
    Response,
    /// From the actual send.
    Service,
}

impl Kind {
    /// The tag in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Response => "response",
            Kind::Service => "service",
        }
    }

    fn from_tag(tag: &str) -> Option<Kind> {
        match tag {
            "response" => Some(Kind::Response),
            "service" => Some(Kind::Service),
            _ => None,
        }
    }
}

/// One line as read: an interval whose histogram is still in its text form, because a report of a long run holds tens
/// of thousands of them and needs a few at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The interval's begin, since the run's start.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// Which latency.
    pub kind: Kind,
    /// The histogram, see [`crate::histogram::encode`].
    pub hdr: String,
}

impl Interval {
    /// The latencies of the requests that ended in the interval, microseconds.
    pub fn histogram(&self) -> Result<Histogram, HistogramError> {
        decode(&self.hdr)
    }
}

/// A log as read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The intervals, in the order of the file.
    pub intervals: Vec<Interval>,
    /// Lines that could not be read, a torn last one included. Lines with a foreign tag are not counted.
    pub skipped: usize,
}

/// The lines before the first interval. `started_ms` is the run's start in milliseconds since the Unix epoch,
/// `started_at` the same for people to read.
pub fn header(started_ms: u64, started_at: &str) -> String {
    let started_at: String = started_at.chars().filter(|c| !c.is_control()).collect();
    let (seconds, millis) = (started_ms / 1_000, started_ms % 1_000);
    format!(
        "#[Histogram log format version {VERSION}]\n\
         #[StartTime: {seconds}.{millis:03} (seconds since epoch), {started_at}]\n\
         #[BaseTime: {seconds}.{millis:03} (seconds since epoch)]\n\
         #[Values are microseconds, Interval_Max is milliseconds]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n"
    )
}

/// The line of one interval, with its line end.
pub fn line(kind: Kind, start_us: u64, end_us: u64, histogram: &Histogram) -> String {
    let seconds = |us: u64| us as f64 / 1e6;
    let max = if histogram.is_empty() {
        0.0
    } else {
        histogram.max() as f64 / MAX_RATIO
    };
    let mut line = format!("Tag={},", kind.as_str());
    let (start, length) = (seconds(start_us), seconds(end_us.saturating_sub(start_us)));
    writeln!(line, "{start:.3},{length:.3},{max:.3},{}", encode(histogram))
        .expect("a String takes every byte");
    line
}

/// Reads a log; never fails: what can't be read is counted. A last line without a line end was being written when the
/// run was cut off; it is dropped, because a cut can fall where the rest still decodes.
pub fn parse(text: &str) -> Log {
    let mut log = Log::default();
    for raw in text.split_inclusive('\n') {
        let line = raw.trim_end_matches(['\n', '\r']);
        if line.is_empty() || line.starts_with('#') || line.starts_with('"') {
            continue;
        }
        match parse_line(line) {
            Line::Interval(interval) if raw.ends_with('\n') => log.intervals.push(interval),
            Line::Foreign => {}
            Line::Interval(_) | Line::Broken => log.skipped += 1,
        }
    }
    log
}

/// What a line turned out to be.
enum Line {
    Interval(Interval),
    Foreign,
    Broken,
}

fn parse_line(line: &str) -> Line {
    let (tag, rest) = match line.strip_prefix("Tag=") {
        Some(tagged) => tagged.split_once(',').unwrap_or((tagged, "")),
        None => ("", line),
    };
    let fields: Vec<&str> = rest.split(',').collect();
    let [start, length, _max, hdr] = fields[..] else {
        return Line::Broken;
    };
    let (Some(start_us), Some(length_us)) = (micros(start), micros(length)) else {
        return Line::Broken;
    };
    let Some(kind) = Kind::from_tag(tag) else {
        return Line::Foreign;
    };
    if hdr.is_empty() {
        return Line::Broken;
    }
    Line::Interval(Interval {
        start_us,
        end_us: start_us.saturating_add(length_us),
        kind,
        hdr: hdr.to_owned(),
    })
}

/// Seconds in text to microseconds; nothing for what is no time.
fn micros(text: &str) -> Option<u64> {
    let seconds: f64 = text.trim().parse().ok()?;
    // A year: beyond it the number is no offset into a run.
    (seconds.is_finite() && (0.0..31_536_000.0).contains(&seconds)).then(|| (seconds * 1e6).round() as u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    use super::*;
    use crate::histogram::empty;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = empty();
        for value in values {
            histogram.saturating_record(*value);
        }
        histogram
    }

    #[test]
    fn the_header_is_that_of_version_1_3() {
        expect![[r#"
            #[Histogram log format version 1.3]
            #[StartTime: 1441812279.074 (seconds since epoch), 2015-09-09T15:24:39.074Z]
            #[BaseTime: 1441812279.074 (seconds since epoch)]
            #[Values are microseconds, Interval_Max is milliseconds]
            "StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
        "#]]
        .assert_eq(&header(1_441_812_279_074, "2015-09-09T15:24:39.074Z"));
    }

    #[test]
    fn intervals_survive_their_text_form() {
        let (a, b) = (of(&[10, 900, 2_769]), of(&[]));
        let text =
            header(0, "x") + &line(Kind::Response, 127_000, 1_134_000, &a) + &line(Kind::Service, 0, 5, &b);
        let log = parse(&text);
        assert_eq!((log.intervals.len(), log.skipped), (2, 0));
        assert_eq!(
            (log.intervals[0].start_us, log.intervals[0].end_us),
            (127_000, 1_134_000)
        );
        assert_eq!(log.intervals[0].kind, Kind::Response);
        assert_eq!(log.intervals[0].histogram().unwrap(), a);
        assert_eq!(log.intervals[1].histogram().unwrap(), b);
    }

    #[test]
    fn another_reader_of_the_format_takes_the_file() {
        let text = header(1_500_000_040_000, "x") + &line(Kind::Response, 127_000, 1_134_000, &of(&[2_769]));
        let entries: Vec<_> = IntervalLogIterator::new(text.as_bytes())
            .map(Result::unwrap)
            .collect();
        assert!(matches!(entries[0], LogEntry::StartTime(t) if t == Duration::from_secs(1_500_000_040)));
        assert!(matches!(entries[1], LogEntry::BaseTime(t) if t == Duration::from_secs(1_500_000_040)));
        let LogEntry::Interval(interval) = &entries[2] else {
            panic!("no interval: {entries:?}")
        };
        assert_eq!(interval.tag().map(|tag| tag.as_str()), Some("response"));
        assert_eq!(interval.start_timestamp(), Duration::from_millis(127));
        assert_eq!(interval.duration(), Duration::from_millis(1_007));
        assert!((interval.max() - 2.769).abs() < 1e-9);
        assert_eq!(decode(interval.encoded_histogram()).unwrap().max(), 2_769);
    }

    #[test]
    fn a_published_line_is_read_and_its_foreign_tag_is_left_alone() {
        // From tagged-Log.logV2.hlog of the HdrHistogram distribution.
        let published = "0.127,1.007,2.769,HISTFAAAAEV42pNpmSzMwMCgyAABTBDKT4GBgdnNYMcCBvsPEBEJISEuATEZMQ4uASkhIR4nrxg9v2lMaxhvMekILGZkKmcCAEf2CsI=";
        let log = parse(&format!(
            "Tag=response,{published}\n{published}\nTag=A,{published}\n"
        ));
        assert_eq!((log.intervals.len(), log.skipped), (1, 0));
        assert!(!log.intervals[0].histogram().unwrap().is_empty());
    }

    #[test]
    fn torn_and_broken_lines_are_counted_not_fatal() {
        let whole = line(Kind::Response, 0, 1_000_000, &of(&[5, 6, 7]));
        for cut in 1..whole.len() - 1 {
            let log = parse(&format!("{whole}{}", &whole[..cut]));
            assert_eq!((log.intervals.len(), log.skipped), (1, 1), "cut at {cut}");
        }
        let broken = [
            "Tag=response,NaN,1,1,HIST\n",
            "Tag=response,1,1e300,1,HIST\n",
            "Tag=response,-1,1,1,HIST\n",
            "x\n",
        ];
        assert_eq!(parse(&broken.concat()).skipped, broken.len());
    }
}
