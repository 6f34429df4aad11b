//! Percentiles over time, as fine as the data allows.
//!
//! A percentile is drawn only where ten samples lie beyond it. Where 100 ms rows hold that many they are used; else the
//! interval histograms are merged, window by window, until they do. Percentiles are never averaged, and a window never
//! reaches across the edge of a phase or of a fault, where the truth on both sides differs.

use std::collections::BinaryHeap;
use std::mem;
use std::rc::Rc;

use squall_model::counts::{Counts, Decoder};
use squall_model::histogram::SAMPLES_BEYOND;
use squall_model::hlog::{Interval, Kind};
use squall_model::series::{LoadRow, RowLatency};

use crate::columns::Columns;

/// A value that holds over a stretch of time. Microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) start_us: u64,
    pub(crate) end_us: u64,
    pub(crate) value: f64,
}

/// A line in pieces: between two of them nothing is known.
pub(crate) type Pieces = Vec<Vec<(f64, f64)>>;

/// Spans this long are drawn as steps: a point in the middle would hide how long they are.
const STEP_US: u64 = 500_000;

/// Spans as pieces of a line; a gap ends a piece.
pub(crate) fn pieces(spans: &[Span]) -> Pieces {
    let mut pieces: Pieces = Vec::new();
    let mut previous: Option<&Span> = None;
    for span in spans {
        let length = span.end_us - span.start_us;
        let joined = previous
            .is_some_and(|p| span.start_us <= p.end_us + length.min(p.end_us - p.start_us).min(STEP_US) / 2);
        if !joined {
            pieces.push(Vec::new());
        }
        if let Some(piece) = pieces.last_mut() {
            if length >= STEP_US {
                piece.extend([
                    (span.start_us as f64, span.value),
                    (span.end_us as f64, span.value),
                ]);
            } else {
                piece.push(((span.start_us + length / 2) as f64, span.value));
            }
        }
        previous = Some(span);
    }
    pieces
}

/// The part of rows with requests that must hold a percentile for the rows to be drawn.
const ENOUGH_ROWS: f64 = 0.95;

/// The field of a row that holds a percentile or the largest value.
pub(crate) type OfRow = fn(&RowLatency) -> Option<u64>;

/// Each of `fields` as the rows have it, or nothing where too many of them hold too few samples. All in one go: the rows of a load lie
/// among a million others, and to get at one takes longer than to read it.
pub(crate) fn from_rows<'r, const N: usize>(
    rows: impl Iterator<Item = &'r LoadRow>,
    fields: [OfRow; N],
) -> [Option<Vec<Span>>; N] {
    let mut busy = 0_usize;
    let mut spans = [const { Vec::new() }; N];
    for row in rows {
        busy += usize::from(row.response.max.is_some());
        for (of, spans) in fields.iter().zip(&mut spans) {
            spans.extend(of(&row.response).map(|value| Span {
                start_us: row.start_us,
                end_us: row.end_us,
                value: value as f64,
            }));
        }
    }
    spans.map(|spans| (busy > 0 && spans.len() as f64 >= ENOUGH_ROWS * busy as f64).then_some(spans))
}

/// What interval histograms say over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OverIntervals {
    /// Per quantile that was asked for, its spans.
    pub(crate) quantiles: Vec<Vec<Span>>,
    /// The largest value of every interval.
    pub(crate) largest: Vec<Span>,
}

/// The quantiles over windows merged until ten samples lie beyond them, each window `least_us` long at least and none across an edge
/// in `edges`. What is left before an edge joins the window before it; where there is none, the stretch has no value.
///
/// Every histogram is read once, and of all of them a few are in memory at a time. What it counted is added to `columns`.
pub(crate) fn over_intervals(
    intervals: &[Interval],
    quantiles: &[f64],
    edges: &[u64],
    least_us: u64,
    columns: &mut Columns,
) -> OverIntervals {
    let responses = intervals
        .iter()
        .filter(|interval| interval.kind == Kind::Response);
    let mut responses: Vec<&Interval> = responses.collect();
    responses.sort_by_key(|interval| interval.start_us);
    let mut widening: Vec<Widening> = quantiles.iter().map(|q| Widening::new(*q, least_us)).collect();
    let mut largest = Vec::new();
    let mut decoder = Decoder::default();
    for interval in responses {
        let counts = decoder.decode(&interval.hdr).ok();
        let Some(counts) = counts.filter(|counts| !counts.is_empty()) else {
            continue;
        };
        let counts = Rc::new(counts);
        let (start_us, end_us) = (interval.start_us, interval.end_us);
        largest.push(Span {
            start_us,
            end_us,
            value: counts.max() as f64,
        });
        let middle = start_us + (end_us - start_us) / 2;
        columns.add(middle, &counts);
        let stretch = edges.partition_point(|edge| *edge <= middle);
        for one in &mut widening {
            one.take(stretch, (start_us, end_us), &counts);
        }
    }
    OverIntervals {
        quantiles: widening.into_iter().map(Widening::spans).collect(),
        largest,
    }
}

/// A quantile over what was counted in several stretches together; nothing where fewer than ten samples lie beyond it.
///
/// It is what [`Counts::quantile`] says of them all added up. Adding up takes long, and few samples lie beyond a quantile of a window
/// that is only as wide as it must be: so they are counted from the largest value down.
fn quantile(parts: &[Rc<Counts>], total: u64, q: f64) -> Option<u64> {
    let beyond = total as f64 * (1.0 - q);
    // A tolerance far below one sample, as in `histogram::quantile`.
    if beyond < SAMPLES_BEYOND - 1e-6 {
        return None;
    }
    let rank = ((q * total as f64).ceil() as u64).max(1);
    let mut left = total.saturating_sub(rank);
    let largest = |rest: &[(u64, u64)], part: usize| Some((rest.last()?.0, part, rest.len()));
    let of_parts = parts.iter().enumerate();
    let mut next: BinaryHeap<(u64, usize, usize)> = of_parts
        .filter_map(|(part, counts)| largest(counts.places(), part))
        .collect();
    while let Some((value, part, length)) = next.pop() {
        let (rest, last) = parts[part].places().split_at(length - 1);
        let count = last.first().map_or(0, |(_, count)| *count);
        if count > left {
            return Some(value);
        }
        left -= count;
        next.extend(largest(rest, part));
    }
    None
}

/// One quantile over windows that widen until they hold it.
struct Widening {
    q: f64,
    least_us: u64,
    spans: Vec<Span>,
    /// Which stretch between two edges the windows below are of.
    stretch: usize,
    /// The window that does not hold it yet.
    open: Window,
    /// What the last of `spans` was read from, where it is of this stretch.
    last: Window,
}

/// What was counted from one moment to another, interval by interval; no interval, no window.
#[derive(Default)]
struct Window {
    start_us: u64,
    end_us: u64,
    parts: Vec<Rc<Counts>>,
    total: u64,
}

impl Window {
    fn add(&mut self, (start_us, end_us): (u64, u64), counts: &Rc<Counts>) {
        if self.parts.is_empty() {
            self.start_us = start_us;
        }
        self.end_us = end_us;
        self.total = self.total.saturating_add(counts.len());
        self.parts.push(Rc::clone(counts));
    }

    fn quantile(&self, q: f64) -> Option<u64> {
        quantile(&self.parts, self.total, q)
    }
}

impl Widening {
    fn new(q: f64, least_us: u64) -> Widening {
        Widening {
            q,
            least_us,
            spans: Vec::new(),
            stretch: 0,
            open: Window::default(),
            last: Window::default(),
        }
    }

    fn take(&mut self, stretch: usize, (start_us, end_us): (u64, u64), counts: &Rc<Counts>) {
        if stretch != self.stretch {
            self.close();
            self.stretch = stretch;
        }
        self.open.add((start_us, end_us), counts);
        let is_long = end_us - self.open.start_us >= self.least_us;
        if let Some(value) = is_long.then(|| self.open.quantile(self.q)).flatten() {
            self.last = mem::take(&mut self.open);
            self.spans.push(Span {
                start_us: self.last.start_us,
                end_us,
                value: value as f64,
            });
        }
    }

    /// Ends the stretch: what is left joins the window before it.
    fn close(&mut self) {
        let (rest, mut last) = (mem::take(&mut self.open), mem::take(&mut self.last));
        if rest.parts.is_empty() || last.parts.is_empty() {
            return;
        }
        last.total = last.total.saturating_add(rest.total);
        last.parts.extend(rest.parts);
        if let (Some(span), Some(value)) = (self.spans.last_mut(), last.quantile(self.q)) {
            (span.end_us, span.value) = (rest.end_us, value as f64);
        }
    }

    fn spans(mut self) -> Vec<Span> {
        self.close();
        self.spans
    }
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

    fn spans(intervals: &[Interval], q: f64, edges: &[u64], least_us: u64) -> Vec<Span> {
        over_intervals(intervals, &[q], edges, least_us, &mut Columns::default())
            .quantiles
            .remove(0)
    }

    fn lengths(spans: &[Span]) -> Vec<u64> {
        spans
            .iter()
            .map(|span| (span.end_us - span.start_us) / 1_000_000)
            .collect()
    }

    #[test]
    fn windows_widen_until_ten_samples_lie_beyond() {
        let data = written(0..12, 2_000, 700);
        assert_eq!(lengths(&spans(&data, 0.99, &[], 0)), [1; 12]);
        assert_eq!(
            lengths(&spans(&data, 0.999, &[], 0)),
            [5, 7],
            "the last two seconds join the window before"
        );
        assert_eq!(
            lengths(&spans(&data, 0.9999, &[], 0)),
            [0; 0],
            "24,000 samples carry no P99.99"
        );
    }

    #[test]
    fn windows_can_be_longer_than_the_data_asks_for() {
        let mut data = written(0..12, 2_000, 700);
        data.extend(written(12..31, 1_500, 900));
        let long = spans(&data, 0.99, &[12_000_000], 5_000_000);
        assert_eq!(
            lengths(&long),
            [5, 7, 5, 5, 9],
            "what is left joins the window before"
        );
    }

    #[test]
    fn several_quantiles_are_each_as_on_their_own() {
        let mut data = written(0..12, 2_000, 700);
        data.extend(written(12..31, 1_500, 900));
        let quantiles = [0.5, 0.99, 0.999];
        let together = over_intervals(&data, &quantiles, &[12_000_000], 0, &mut Columns::default());
        let apart = quantiles.map(|q| spans(&data, q, &[12_000_000], 0));
        assert_eq!(together.quantiles, apart);
        assert_eq!(together.largest.len(), 31);
    }

    #[test]
    fn a_quantile_of_several_parts_is_that_of_them_added_up() {
        let part = |seed: u64| {
            let mut histogram = empty();
            for at in 0..=seed * 97 % 400 {
                let value = (at + 1) * (seed * 7_919 % 1_009 + 1);
                histogram.record_n(value, at % 5 + 1).unwrap();
            }
            Rc::new(Counts::decode(&encode(&histogram)).unwrap())
        };
        let parts: Vec<Rc<Counts>> = (1..40).map(part).chain([Rc::default()]).collect();
        for number in 0..=parts.len() {
            let parts = &parts[..number];
            let mut all = Counts::default();
            for part in parts {
                all.add(part);
            }
            for q in [0.0, 0.001, 0.5, 0.9, 0.99, 0.999, 0.999_9, 1.0] {
                assert_eq!(
                    quantile(parts, all.len(), q),
                    all.quantile(q),
                    "{number} parts at {q}"
                );
            }
        }
    }

    #[test]
    fn no_window_reaches_across_an_edge() {
        let mut data = written(0..5, 1_000, 500);
        data.extend(written(5..8, 1_000, 90_000));
        assert_eq!(
            spans(&data, 0.999, &[5_000_000], 0),
            [],
            "neither side holds 10,000"
        );
        let apart = spans(&data, 0.99, &[5_000_000], 0);
        assert!(
            apart
                .iter()
                .all(|span| (span.value < 501.0) == (span.end_us <= 5_000_000)),
            "{apart:?}"
        );
    }

    #[test]
    fn a_stretch_without_data_breaks_the_line() {
        let span = |start: u64, end: u64| Span {
            start_us: start * 100_000,
            end_us: end * 100_000,
            value: 1.0,
        };
        let lengths = |spans: &[Span]| pieces(spans).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[span(0, 1), span(1, 2), span(4, 5)]), [2, 1]);
        assert_eq!(lengths(&[span(0, 10), span(10, 20)]), [4], "long spans are steps");
        assert_eq!(lengths(&[]), [0; 0]);
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
        let fields: [OfRow; 2] = [|latency| latency.p99, |latency| latency.max];
        let lengths = |rows: &[LoadRow]| from_rows(rows.iter(), fields).map(|spans| spans.map(|s| s.len()));
        assert_eq!(lengths(&rows), [None, Some(10)]);
        assert_eq!(lengths(&[]), [None, None]);
    }
}
