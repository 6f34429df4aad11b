//! Gathers what the generator reports: per phase, per fault window, per second and per 100 ms.
//!
//! A request belongs to the phase of its intended time, which the generator says with every slice; the series and the
//! fault windows count it when it ended. Nothing here judges.

use std::collections::BTreeMap;

use squall_load::Slice;
use squall_load::oneshot::Totals;
use squall_model::histogram::Distribution;
use squall_model::record::{LoadMode, LoadRecord};
use squall_model::series::{LoadRow, RowLatency};

/// The length of a row of the series.
pub const ROW_US: u64 = 100_000;

/// The length of an interval of the interval log.
pub const INTERVAL_US: u64 = 1_000_000;

/// Examples kept of each kind of failure.
const EXAMPLES: usize = 3;

/// Adds another part of the same load.
pub fn merge(into: &mut Totals, other: &Totals) {
    into.intended += other.intended;
    into.sent += other.sent;
    into.completed += other.completed;
    into.failed += other.failed;
    into.dropped += other.dropped;
    into.unsent_by_generator += other.unsent_by_generator;
    into.aborted += other.aborted;
    for (kind, count) in &other.errors {
        *into.errors.entry(*kind).or_default() += count;
    }
    for (into, from) in [
        (&mut into.response, &other.response),
        (&mut into.service, &other.service),
        (&mut into.lag, &other.lag),
    ] {
        into.add(from).expect("all histograms have the same bounds");
    }
}

/// What a load did over a part of `length_us`, as the run record has it.
pub fn load_record(
    totals: &Totals,
    mode: LoadMode,
    target_rate: Option<f64>,
    users: Option<u32>,
    length_us: u64,
) -> LoadRecord {
    let mut examples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (kind, text) in &totals.examples {
        let kept = examples.entry(kind.to_string()).or_default();
        if kept.len() < EXAMPLES {
            kept.push(text.clone());
        }
    }
    LoadRecord {
        mode,
        target_rate,
        users,
        intended: totals.intended,
        sent: totals.sent,
        completed: totals.completed,
        failed: totals.failed,
        dropped: totals.dropped,
        unsent_by_generator: totals.unsent_by_generator,
        achieved: (totals.intended > 0).then(|| totals.completed as f64 / totals.intended as f64),
        throughput: if length_us == 0 {
            0.0
        } else {
            totals.completed as f64 * 1e6 / length_us as f64
        },
        errors: errors(totals),
        error_examples: examples,
        response: Distribution::of(&totals.response),
        service: Distribution::of(&totals.service),
        schedule_lag: Distribution::of(&totals.lag),
    }
}

fn errors(totals: &Totals) -> BTreeMap<String, u64> {
    totals
        .errors
        .iter()
        .map(|(kind, count)| (kind.to_string(), *count))
        .collect()
}

/// A part of the run over which a fault holds.
#[derive(Clone, Debug)]
struct Window {
    fault: usize,
    start_us: u64,
    end_us: Option<u64>,
    totals: Vec<Totals>,
}

/// One second of a load, for its interval log.
#[derive(Clone, Debug)]
pub struct IntervalOf {
    /// The load, by index.
    pub load: usize,
    /// Its begin.
    pub start_us: u64,
    /// Its end.
    pub end_us: u64,
    /// What happened in it.
    pub totals: Totals,
}

/// What came in since it was last asked.
#[derive(Debug, Default)]
pub struct Ready {
    /// Rows of the series whose time is over.
    pub rows: Vec<LoadRow>,
    /// Seconds whose time is over.
    pub intervals: Vec<IntervalOf>,
}

/// Gathers slices.
#[derive(Debug)]
pub struct Collector {
    loads: Vec<String>,
    /// Per phase, per load.
    phases: Vec<Vec<Totals>>,
    windows: Vec<Window>,
    /// Rows and seconds that may still grow, by begin and load.
    rows: BTreeMap<(u64, usize), Totals>,
    seconds: BTreeMap<(u64, usize), Totals>,
}

/// How long after its end a row may still get slices from another thread.
const SETTLE_US: u64 = 300_000;

impl Collector {
    /// Gathers for `loads` over `phases`.
    pub fn new(loads: Vec<String>, phases: usize) -> Collector {
        let totals = vec![Totals::default(); loads.len()];
        Collector {
            phases: vec![totals; phases],
            loads,
            windows: Vec::new(),
            rows: BTreeMap::new(),
            seconds: BTreeMap::new(),
        }
    }

    /// Takes in one slice.
    pub fn add(&mut self, slice: &Slice) {
        let load = usize::from(slice.load);
        self.phases[slice.phase as usize][load].add(slice);
        for window in &mut self.windows {
            // A slice that straddles the border belongs to where it ends, so that nothing counts twice.
            if slice.end_us > window.start_us && window.end_us.is_none_or(|end| slice.end_us <= end) {
                window.totals[load].add(slice);
            }
        }
        // A slice ends at the latest when its interval does; an early one may end inside it.
        let within = slice.end_us.saturating_sub(1);
        self.rows
            .entry((within / ROW_US * ROW_US, load))
            .or_default()
            .add(slice);
        self.seconds
            .entry((within / INTERVAL_US * INTERVAL_US, load))
            .or_default()
            .add(slice);
    }

    /// A fault begins to hold.
    pub fn open_window(&mut self, fault: usize, at_us: u64) {
        let totals = vec![Totals::default(); self.loads.len()];
        self.windows.push(Window {
            fault,
            start_us: at_us,
            end_us: None,
            totals,
        });
    }

    /// A fault holds no longer.
    pub fn close_window(&mut self, fault: usize, at_us: u64) {
        for window in self
            .windows
            .iter_mut()
            .filter(|window| window.fault == fault && window.end_us.is_none())
        {
            window.end_us = Some(at_us);
        }
    }

    /// What `load` did while `fault` held.
    pub fn during_fault(&self, fault: usize, load: usize) -> Totals {
        let mut total = Totals::default();
        for window in self.windows.iter().filter(|window| window.fault == fault) {
            merge(&mut total, &window.totals[load]);
        }
        total
    }

    /// What `load` did in `phase`.
    pub fn phase(&self, phase: usize, load: usize) -> &Totals {
        &self.phases[phase][load]
    }

    /// What `load` did over the last second or less, and over how many microseconds; for a live display.
    pub fn recent(&self, load: usize, now_us: u64) -> (u64, Totals) {
        let mut total = Totals::default();
        let mut first = None;
        for ((start_us, of), totals) in self.seconds.range((now_us.saturating_sub(2 * INTERVAL_US), 0)..) {
            if *of == load {
                first.get_or_insert(*start_us);
                merge(&mut total, totals);
            }
        }
        (first.map_or(0, |first| now_us.saturating_sub(first)), total)
    }

    /// Takes out the rows and seconds that are over by `now_us`; all of them where it is `None`.
    pub fn take(&mut self, now_us: Option<u64>) -> Ready {
        let over = |end: u64| now_us.is_none_or(|now| now >= end + SETTLE_US);
        let mut ready = Ready::default();
        while let Some(first) = self.rows.first_entry().filter(|row| over(row.key().0 + ROW_US)) {
            let ((start_us, load), totals) = first.remove_entry();
            ready.rows.push(row(&self.loads[load], start_us, &totals));
        }
        while let Some(first) = self
            .seconds
            .first_entry()
            .filter(|row| over(row.key().0 + INTERVAL_US))
        {
            let ((start_us, load), totals) = first.remove_entry();
            ready.intervals.push(IntervalOf {
                load,
                start_us,
                end_us: start_us + INTERVAL_US,
                totals,
            });
        }
        ready
    }
}

fn row(load: &str, start_us: u64, totals: &Totals) -> LoadRow {
    LoadRow {
        start_us,
        end_us: start_us + ROW_US,
        load: load.to_owned(),
        intended: totals.intended,
        sent: totals.sent,
        completed: totals.completed,
        failed: totals.failed,
        dropped: totals.dropped,
        errors: errors(totals),
        response: RowLatency::of(&totals.response),
        service: RowLatency::of(&totals.service),
    }
}
