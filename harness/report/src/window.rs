//! Percentiles over time, as fine as the data allows.
//!
//! A percentile is drawn only where ten samples lie beyond it. Where 100 ms rows hold that many they are used; else the
//! interval histograms are merged, window by window, until they do. Percentiles are never averaged, and a window never
//! reaches across the edge of a phase or of a fault, where the truth on both sides differs.

use squall_model::counts::Counts;
use squall_model::hlog::{Interval, Kind};
use squall_model::series::{LoadRow, RowLatency};

/// A value that holds over a stretch of time. Microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start_us: u64,
    pub(crate) end_us: u64,
    pub(crate) value: f64,
}

/// The part of rows with requests that must hold a percentile for the rows to be drawn.
const ENOUGH_ROWS: f64 = 0.95;

/// The percentile as the rows have it, or nothing where too many of them hold too few samples.
pub(crate) fn from_rows(rows: &[&LoadRow], of: fn(&RowLatency) -> Option<u64>) -> Option<Vec<Span>> {
    let busy = rows.iter().filter(|row| row.response.max.is_some()).count();
    let spans: Vec<Span> = rows
        .iter()
        .filter_map(|row| {
            let value = of(&row.response)? as f64;
            Some(Span {
                start_us: row.start_us,
                end_us: row.end_us,
                value,
            })
        })
        .collect();
    (busy > 0 && spans.len() as f64 >= ENOUGH_ROWS * busy as f64).then_some(spans)
}

/// What interval histograms of one kind counted, in order: begin, end, counts.
pub(crate) fn decoded(intervals: &[Interval], kind: Kind) -> Vec<(u64, u64, Counts)> {
    let of_kind = intervals.iter().filter(|interval| interval.kind == kind);
    let mut decoded: Vec<_> = of_kind
        .filter_map(|interval| {
            Some((
                interval.start_us,
                interval.end_us,
                Counts::decode(&interval.hdr).ok()?,
            ))
        })
        .filter(|(_, _, counts)| !counts.is_empty())
        .collect();
    decoded.sort_by_key(|(start_us, ..)| *start_us);
    decoded
}

/// The quantile over windows merged until ten samples lie beyond it, none across an edge in `edges`.
///
/// What is left before an edge joins the window before it; where there is none, the stretch has no value.
pub(crate) fn widened(intervals: &[(u64, u64, Counts)], q: f64, edges: &[u64]) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut rest = intervals;
    while let Some((start_us, end_us, _)) = rest.first() {
        let middle = start_us + (end_us - start_us) / 2;
        let edge = edges
            .iter()
            .copied()
            .filter(|edge| *edge > middle)
            .min()
            .unwrap_or(u64::MAX);
        let length = rest
            .iter()
            .take_while(|(start, end, _)| start + (end - start) / 2 < edge)
            .count()
            .max(1);
        let (stretch, after) = rest.split_at(length);
        spans.extend(widened_stretch(stretch, q));
        rest = after;
    }
    spans
}

fn widened_stretch(stretch: &[(u64, u64, Counts)], q: f64) -> Vec<Span> {
    let mut windows: Vec<(u64, u64, Counts)> = Vec::new();
    let mut open: Option<(u64, u64, Counts)> = None;
    for (start_us, end_us, counts) in stretch {
        let (begin, merged) = match open.take() {
            Some((begin, _, mut merged)) => {
                merged.add(counts);
                (begin, merged)
            }
            None => (*start_us, counts.clone()),
        };
        if merged.quantile(q).is_some() {
            windows.push((begin, *end_us, merged));
        } else {
            open = Some((begin, *end_us, merged));
        }
    }
    if let (Some((_, end_us, rest)), Some(last)) = (open, windows.last_mut()) {
        last.2.add(&rest);
        last.1 = end_us;
    }
    windows
        .iter()
        .filter_map(|(start_us, end_us, merged)| {
            let value = merged.quantile(q)? as f64;
            Some(Span {
                start_us: *start_us,
                end_us: *end_us,
                value,
            })
        })
        .collect()
}

/// The same of intervals that are not decoded yet, with windows of `least_us` at least: for lines of an hour, which no screen shows
/// second by second. Of all histograms two are in memory at a time.
pub(crate) fn streamed(
    intervals: &[Interval],
    kind: Kind,
    q: f64,
    edges: &[u64],
    least_us: u64,
) -> Vec<Span> {
    let mut of_kind: Vec<&Interval> = intervals
        .iter()
        .filter(|interval| interval.kind == kind)
        .collect();
    of_kind.sort_by_key(|interval| interval.start_us);
    let stretch_of = |interval: &Interval| {
        let middle = interval.start_us + (interval.end_us - interval.start_us) / 2;
        edges.partition_point(|edge| *edge <= middle)
    };
    let mut spans: Vec<Span> = Vec::new();
    // The open window, and the last one of this stretch with its place in `spans`.
    let mut open: Option<(u64, u64, Counts)> = None;
    let mut last: Option<Counts> = None;
    let mut stretch = 0;
    let close = |spans: &mut Vec<Span>, open: &mut Option<(u64, u64, Counts)>, last: &mut Option<Counts>| {
        let (Some((_, end_us, rest)), Some(mut merged)) = (open.take(), last.take()) else {
            return;
        };
        merged.add(&rest);
        if let (Some(span), Some(value)) = (spans.last_mut(), merged.quantile(q)) {
            (span.end_us, span.value) = (end_us, value as f64);
        }
    };
    for interval in of_kind {
        let Some(counts) = Counts::decode(&interval.hdr)
            .ok()
            .filter(|counts| !counts.is_empty())
        else {
            continue;
        };
        if stretch_of(interval) != stretch {
            close(&mut spans, &mut open, &mut last);
            (open, last) = (None, None);
            stretch = stretch_of(interval);
        }
        let (start_us, merged) = match open.take() {
            Some((start_us, _, mut merged)) => {
                merged.add(&counts);
                (start_us, merged)
            }
            None => (interval.start_us, counts),
        };
        let is_long = interval.end_us - start_us >= least_us;
        match is_long.then(|| merged.quantile(q)).flatten() {
            Some(value) => {
                spans.push(Span {
                    start_us,
                    end_us: interval.end_us,
                    value: value as f64,
                });
                last = Some(merged);
            }
            None => open = Some((start_us, interval.end_us, merged)),
        }
    }
    close(&mut spans, &mut open, &mut last);
    spans
}

/// The largest value of every interval.
pub(crate) fn largest(intervals: &[(u64, u64, Counts)]) -> Vec<Span> {
    let spans = intervals.iter().map(|(start_us, end_us, h)| Span {
        start_us: *start_us,
        end_us: *end_us,
        value: h.max() as f64,
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use squall_model::histogram::{empty, encode};

    use super::*;

    /// Seconds of `per_second` samples, all of them `value`.
    fn written(range: std::ops::Range<u64>, per_second: u64, value: u64) -> Vec<Interval> {
        let second = |s: u64| Interval {
            kind: Kind::Response,
            start_us: s * 1_000_000,
            end_us: (s + 1) * 1_000_000,
            hdr: {
                let mut h = empty();
                h.record_n(value, per_second).unwrap();
                encode(&h)
            },
        };
        range.map(second).collect()
    }

    fn seconds(range: std::ops::Range<u64>, per_second: u64, value: u64) -> Vec<(u64, u64, Counts)> {
        decoded(&written(range, per_second, value), Kind::Response)
    }

    fn lengths(spans: &[Span]) -> Vec<u64> {
        spans
            .iter()
            .map(|span| (span.end_us - span.start_us) / 1_000_000)
            .collect()
    }

    #[test]
    fn windows_widen_until_ten_samples_lie_beyond() {
        let data = seconds(0..12, 2_000, 700);
        assert_eq!(lengths(&widened(&data, 0.99, &[])), [1; 12]);
        assert_eq!(
            lengths(&widened(&data, 0.999, &[])),
            [5, 7],
            "the last two seconds join the window before"
        );
        assert_eq!(
            lengths(&widened(&data, 0.9999, &[])),
            [0; 0],
            "24,000 samples carry no P99.99"
        );
    }

    #[test]
    fn streamed_windows_are_the_same_and_can_be_longer() {
        let mut intervals = written(0..12, 2_000, 700);
        intervals.extend(written(12..31, 1_500, 900));
        for q in [0.5, 0.99, 0.999] {
            for edges in [&[][..], &[12_000_000], &[5_000_000, 12_000_000, 25_000_000]] {
                let read = decoded(&intervals, Kind::Response);
                assert_eq!(
                    streamed(&intervals, Kind::Response, q, edges, 0),
                    widened(&read, q, edges),
                    "{q} {edges:?}"
                );
            }
        }
        let long = streamed(&intervals, Kind::Response, 0.99, &[12_000_000], 5_000_000);
        assert_eq!(
            lengths(&long),
            [5, 7, 5, 5, 9],
            "what is left joins the window before"
        );
    }

    #[test]
    fn no_window_reaches_across_an_edge() {
        let mut data = seconds(0..5, 1_000, 500);
        data.extend(seconds(5..8, 1_000, 90_000));
        let spans = widened(&data, 0.999, &[5_000_000]);
        assert_eq!(spans, [], "neither side holds 10,000");
        let spans = widened(&data, 0.99, &[5_000_000]);
        assert!(
            spans
                .iter()
                .all(|span| (span.value < 501.0) == (span.end_us <= 5_000_000)),
            "{spans:?}"
        );
    }

    #[test]
    fn rows_serve_only_where_nearly_all_of_them_hold_the_percentile() {
        let row = |at: u64, p99: Option<u64>| LoadRow {
            start_us: at,
            end_us: at + 1,
            response: RowLatency {
                max: Some(9),
                p99,
                ..RowLatency::default()
            },
            ..LoadRow::default()
        };
        let rows: Vec<LoadRow> = (0..10).map(|at| row(at, (at != 3).then_some(5))).collect();
        let rows: Vec<&LoadRow> = rows.iter().collect();
        assert_eq!(from_rows(&rows, |latency| latency.p99), None);
        assert_eq!(
            from_rows(&rows, |latency| latency.max).map(|spans| spans.len()),
            Some(10)
        );
        assert_eq!(from_rows(&[], |latency| latency.max), None);
    }
}
