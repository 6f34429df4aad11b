//! The rows of one load as its slices come in: the baseline's with their samples until its P99 is known, all others as five numbers.

use squall_load::{Samples, Slice};

use super::band::{Band, TooFew, over};
use super::{Felt, ROW_US, Row, Window, felt};

/// How long after a row's end slices of it may still come.
const SETTLE_US: u64 = 1_000_000;

/// Rows of the baseline that are kept; of a longer one, the last.
const BASELINE_ROWS: u64 = 6_000;

/// Rows that are kept in all. What comes later is not looked at: ten hours.
const ROWS_MAX: usize = 360_000;

/// What is known of the band.
#[derive(Debug)]
enum Known {
    /// The scenario has no baseline.
    Never,
    /// The baseline runs, or has not settled: these are the rows from its begin on, with their samples.
    Gathering(Vec<Vec<Samples>>),
    /// It is known.
    Band(Band),
    /// It is not to be known.
    TooFew(TooFew),
}

/// One load's rows.
#[derive(Debug)]
pub struct History {
    /// The baseline's first row and the one after its last.
    baseline: (u64, u64),
    known: Known,
    rows: Vec<Row>,
}

impl History {
    /// Of a load in a run whose baseline, if it has one, lasts from `from_us` to `to_us` since the run's start. Only whole rows of it
    /// count.
    pub fn new(baseline: Option<(u64, u64)>) -> History {
        let rows = baseline.map(|(from_us, to_us)| (from_us.div_ceil(ROW_US), to_us / ROW_US));
        let rows = rows.map(|(from, to)| (from.max(to.saturating_sub(BASELINE_ROWS)), to));
        History {
            baseline: rows.unwrap_or_default(),
            known: if rows.is_some() {
                Known::Gathering(Vec::new())
            } else {
                Known::Never
            },
            rows: Vec::new(),
        }
    }

    /// Takes in a slice of the load.
    pub fn add(&mut self, slice: &Slice) {
        let at = slice.start_us / ROW_US;
        if at as usize >= ROWS_MAX || matches!(self.known, Known::Never) {
            return;
        }
        if slice.start_us >= self.baseline.1 * ROW_US + SETTLE_US {
            self.settle();
        }
        if self.rows.len() <= at as usize {
            self.rows.resize(at as usize + 1, Row::default());
        }
        let row = &mut self.rows[at as usize];
        row.intended += slice.intended;
        row.ended += slice.completed;
        row.failed += slice.failed + slice.dropped + slice.unsent_by_generator;
        row.sum_us += slice
            .response
            .buckets()
            .map(|(us, count)| us * count)
            .sum::<u64>();
        match &mut self.known {
            Known::Band(band) => row.over += over(std::slice::from_ref(&slice.response), band.p99_us()),
            Known::Gathering(samples) => {
                if let Some(at) = at.checked_sub(self.baseline.0) {
                    if samples.len() <= at as usize {
                        samples.resize(at as usize + 1, Vec::new());
                    }
                    samples[at as usize].push(slice.response.clone());
                }
            }
            Known::Never | Known::TooFew(_) => {}
        }
    }

    /// The baseline is over: works its band out, and what later rows have over it.
    fn settle(&mut self) {
        let Known::Gathering(samples) = &mut self.known else {
            return;
        };
        let samples = std::mem::take(samples);
        let (from, to) = self.baseline;
        let row = |at: u64| self.rows.get(at as usize).copied().unwrap_or_default();
        let of_baseline: Vec<_> = (from..to)
            .zip(samples.iter().cloned())
            .map(|(at, of)| (row(at), of))
            .collect();
        self.known = match Band::of(&of_baseline) {
            Ok(band) => {
                for (row, of) in self.rows.iter_mut().skip(from as usize).zip(&samples) {
                    row.over = over(of, band.p99_us());
                }
                Known::Band(band)
            }
            Err(too_few) => Known::TooFew(too_few),
        };
    }

    /// How the load took a fault; nothing where there is no baseline, or nothing came after. Why, where the baseline is too short.
    pub fn felt(&mut self, window: Window) -> Result<Option<Felt>, TooFew> {
        self.settle();
        match &self.known {
            Known::Band(band) if self.baseline.1 * ROW_US <= window.injected_us => {
                Ok(felt(band, &self.rows, window))
            }
            Known::TooFew(too_few) => Err(*too_few),
            Known::Band(_) | Known::Never | Known::Gathering(_) => Ok(None),
        }
    }
}
