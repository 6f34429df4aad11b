//! What happened over time, as the lines that charts draw: percentiles and rates of each load, time that services used.
//!
//! Reports and comparisons draw the same lines, so they are worked out here and nowhere else. This module knows no chart: what a line is
//! called and how it looks is the section's.

use squall_model::record::LoadMode;
use squall_model::series::LoadRow;

use crate::columns::Columns;
use crate::marks::edges;
use crate::recording::Recording;
use crate::window::{OfRow, Span, from_rows, over_intervals};

/// The most loads that get charts of their own.
pub(crate) const CHARTS: usize = 12;
/// The shortest window that rates are counted in: shorter ones show the arrivals, not the service.
const WINDOW_US: u64 = 500_000;
/// The most windows in a chart.
const WINDOWS: u64 = 480;

/// Response times of a load over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) p50: Vec<Span>,
    pub(crate) p90: Vec<Span>,
    pub(crate) p99: Vec<Span>,
    pub(crate) p999: Vec<Span>,
    pub(crate) max: Vec<Span>,
    /// How often each value was seen, from the run's begin to its end.
    pub(crate) columns: Columns,
}

/// The most columns of a heat map; a run of fewer seconds has one for each.
const COLUMNS: u64 = 120;
/// An interval log has a histogram a second.
const INTERVAL_US: u64 = 1_000_000;

/// The quantiles that are drawn, in the order of [`Percentiles`].
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
/// The fields of a row that hold them, and the one of the largest value.
const FIELDS: [OfRow; 5] = [
    |row| row.p50,
    |row| row.p90,
    |row| row.p99,
    |row| row.p999,
    |row| row.max,
];

/// Each as fine as the data allows: by rows where they hold it, else by intervals.
pub(crate) fn percentiles(recording: &Recording, load: &str) -> Percentiles {
    let edges = edges(recording.marks());
    let [p50, p90, p99, p999, largest] = from_rows(recording.load_rows(load), FIELDS);
    let by_rows = [p50, p90, p99, p999];
    let missing = by_rows.iter().zip(QUANTILES).filter(|(rows, _)| rows.is_none());
    let missing: Vec<f64> = missing.map(|(_, q)| q).collect();
    let intervals = recording.intervals.get(load).map_or(&[][..], Vec::as_slice);
    let end_us = recording.end_us();
    // Of whole intervals, or one would have none.
    let wide_us = end_us.div_ceil(INTERVAL_US).div_ceil(COLUMNS) * INTERVAL_US;
    let mut columns = Columns::new(end_us.div_ceil(wide_us) as usize, wide_us);
    let by_intervals = over_intervals(intervals, &missing, &edges, 0, &mut columns);
    let mut quantiles = by_intervals.quantiles.into_iter();
    let [p50, p90, p99, p999] = by_rows.map(|rows| rows.or_else(|| quantiles.next()).unwrap_or_default());
    Percentiles {
        p50,
        p90,
        p99,
        p999,
        max: largest.unwrap_or(by_intervals.largest),
        columns,
    }
}

/// P99 alone, in windows as long as a line has room for: where runs lie over each other, what is finer is only noise.
pub(crate) fn calm_p99(recording: &Recording, load: &str) -> Vec<Span> {
    let fields: [OfRow; 1] = [|row| row.p99];
    let [by_rows] = from_rows(recording.load_rows(load), fields);
    by_rows.unwrap_or_else(|| {
        let intervals = recording.intervals.get(load).map_or(&[][..], Vec::as_slice);
        let least_us = recording.end_us() / WINDOWS;
        let mut over = over_intervals(
            intervals,
            &[0.99],
            &edges(recording.marks()),
            least_us,
            &mut Columns::default(),
        );
        over.quantiles.pop().unwrap_or_default()
    })
}

/// How long the windows are in which a recording's rates are counted.
pub(crate) fn window_us(recording: &Recording) -> u64 {
    WINDOW_US.max(recording.end_us() / WINDOWS)
}

/// What happened to the requests of a load, in windows.
#[derive(Debug)]
pub(crate) struct Requests {
    windows: Vec<Window<3>>,
    repeats: f64,
}

/// The requests of a load.
pub(crate) fn requests(recording: &Recording, load: &str) -> Requests {
    let counts = |row: &LoadRow| [row.completed, row.failed, row.dropped];
    let rows = recording
        .load_rows(load)
        .map(|row| ((row.start_us, row.end_us), counts(row)));
    Requests {
        windows: windows(rows, window_us(recording), running(recording, load)),
        repeats: recording.repeats(),
    }
}

impl Requests {
    /// Completed per second.
    pub(crate) fn completed(&self) -> Vec<Span> {
        per_second(&self.windows, 0, self.repeats)
    }

    /// Failed per second.
    pub(crate) fn failed(&self) -> Vec<Span> {
        per_second(&self.windows, 1, self.repeats)
    }

    /// Dropped per second.
    pub(crate) fn dropped(&self) -> Vec<Span> {
        per_second(&self.windows, 2, self.repeats)
    }

    /// How many failed, and how many were dropped.
    pub(crate) fn lost(&self) -> (u64, u64) {
        let sum = |at: usize| self.windows.iter().map(|window| window.counts[at]).sum();
        (sum(1), sum(2))
    }
}

/// Processors that all services together kept busy.
pub(crate) fn cores(recording: &Recording) -> Vec<Span> {
    let phases = &recording.record.phases;
    let (Some(first), Some(last)) = (phases.first(), phases.last()) else {
        return Vec::new();
    };
    // Services are looked at in turn: what they used between the same two looks lies together, and mostly is written together.
    let mut used: Vec<((u64, u64), u64)> = Vec::new();
    for row in recording.service_rows() {
        let Some(cpu_us) = row.cpu_us else { continue };
        let span = (row.start_us, row.end_us);
        match used.last_mut() {
            Some((known, sum)) if *known == span => *sum += cpu_us,
            _ => used.push((span, cpu_us)),
        }
    }
    used.sort_by_key(|(span, _)| *span);
    let rows = used.chunk_by(|a, b| a.0 == b.0);
    let rows = rows.map(|one| (one[0].0, [one.iter().map(|(_, cpu_us)| cpu_us).sum()]));
    let windows = windows(rows, window_us(recording), (first.start_us, last.end_us));
    let mut spans = per_second(&windows, 0, recording.repeats());
    for span in &mut spans {
        span.value /= 1e6;
    }
    spans
}

/// From when to when the load ran.
fn running(recording: &Recording, load: &str) -> (u64, u64) {
    let phases = recording.record.phases.iter();
    let ran = || {
        phases.clone().filter(|phase| {
            phase
                .load
                .get(load)
                .is_some_and(|part| part.mode != LoadMode::Off)
        })
    };
    let start_us = ran().map(|phase| phase.start_us).min().unwrap_or(0);
    (
        start_us,
        ran().map(|phase| phase.end_us).max().unwrap_or(u64::MAX),
    )
}

/// Counts over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window<const N: usize> {
    start_us: u64,
    end_us: u64,
    counts: [u64; N],
}

/// Rows in order added up to windows of at least `window_us`. Rows at the ends are counted over the part in which it ran, or the
/// first and the last second would look slow.
fn windows<const N: usize>(
    rows: impl Iterator<Item = ((u64, u64), [u64; N])>,
    window_us: u64,
    running: (u64, u64),
) -> Vec<Window<N>> {
    let mut windows: Vec<Window<N>> = Vec::new();
    for ((begins_us, ends_us), counts) in rows {
        let start_us = begins_us.max(running.0.min(ends_us));
        let end_us = if begins_us < running.1 {
            ends_us.min(running.1)
        } else {
            ends_us
        };
        let middle_us = begins_us + (ends_us - begins_us) / 2;
        let joins = |open: &Window<N>| {
            let is_open = open.end_us - open.start_us < window_us;
            middle_us < open.end_us || (is_open && begins_us <= open.end_us + window_us / 2)
        };
        match windows.last_mut() {
            Some(open) if joins(open) => {
                open.end_us = open.end_us.max(end_us);
                for (sum, count) in open.counts.iter_mut().zip(counts) {
                    *sum += count;
                }
            }
            _ => windows.push(Window {
                start_us,
                end_us,
                counts,
            }),
        }
    }
    // A last window much shorter than the rest has too little in it to show a rate.
    if windows.len() > 1
        && windows
            .last()
            .is_some_and(|last| last.end_us - last.start_us < window_us / 2)
    {
        windows.pop();
    }
    windows
}

/// Per second of one timeline, where the windows hold what happened in `repeats` of it.
fn per_second<const N: usize>(windows: &[Window<N>], at: usize, repeats: f64) -> Vec<Span> {
    let timed = windows.iter().filter(|window| window.end_us > window.start_us);
    timed
        .map(|window| {
            let seconds = (window.end_us - window.start_us) as f64 / 1e6;
            Span {
                start_us: window.start_us,
                end_us: window.end_us,
                value: window.counts[at] as f64 / seconds / repeats,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALWAYS: (u64, u64) = (0, u64::MAX);

    fn row(at: u64) -> ((u64, u64), [u64; 2]) {
        ((at * 100_000, (at + 1) * 100_000), [200, 1])
    }

    #[test]
    fn rows_add_up_to_windows_and_none_is_lost_but_a_stump() {
        let windows = windows((0..12).map(row), 500_000, ALWAYS);
        assert_eq!(
            windows.iter().map(|w| w.counts).collect::<Vec<_>>(),
            [[1_000, 5], [1_000, 5]]
        );
        assert!(
            per_second(&windows, 0, 1.0)
                .iter()
                .all(|span| (span.value - 2_000.0).abs() < 1e-9)
        );
    }

    #[test]
    fn rows_of_the_same_time_count_in_the_same_window() {
        let rows = (0..10).flat_map(|at| [row(at), row(at), row(at)]);
        let windows = windows(rows, 500_000, ALWAYS);
        let sums: Vec<_> = windows
            .iter()
            .map(|w| (w.start_us, w.end_us, w.counts[0]))
            .collect();
        assert_eq!(sums, [(0, 500_000, 3_000), (500_000, 1_000_000, 3_000)]);
    }

    #[test]
    fn rows_longer_than_a_window_are_one_each() {
        let rows = (0..3_u64).map(|at| ((at * 1_000_000, (at + 1) * 1_000_000), [7]));
        let windows = windows(rows, 500_000, ALWAYS);
        assert_eq!(windows.iter().map(|w| w.counts[0]).collect::<Vec<_>>(), [7, 7, 7]);
    }
}
