//! Gathers what the generator reports: per phase, per fault window, per second and per 100 ms.
//!
//! A request belongs to the phase of its intended time, which the generator says with every slice; the series and the
//! fault windows count it when it ended. Nothing here judges.

use std::collections::BTreeMap;
use std::sync::Arc;

use squall_load::Slice;
use squall_load::oneshot::Totals;
use squall_model::histogram::Distribution;
use squall_model::record::{LoadMode, LoadRecord};
use squall_model::series::{LoadRow, RowLatency};

/// The length of a row of the series, unless the run is long.
pub const ROW_US: u64 = 100_000;

/// Rows of a load, at the most.
pub const ROWS_MAX: u64 = 36_000;

/// The length of an interval of the interval log.
pub const INTERVAL_US: u64 = 1_000_000;

/// Examples kept of each kind of failure.
const EXAMPLES: usize = 3;

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
        target_missed: None,
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
        invalid: Vec::new(),
        spoils: None,
    }
}

fn errors<Name: From<String>, Map: FromIterator<(Name, u64)>>(totals: &Totals) -> Map {
    let errors = totals.errors.iter();
    errors
        .map(|(kind, count)| (kind.to_string().into(), *count))
        .collect()
}

/// The length of a row in a run of `run_us`: so many tenths of a second, 1, 2, 5, 10 and so on, that a load has no more than
/// [`ROWS_MAX`] rows.
pub fn row_us(run_us: u64) -> u64 {
    let decades = (0..).map(|power| ROW_US.saturating_mul(10_u64.saturating_pow(power)));
    decades
        .flat_map(|unit| [1, 2, 5].map(|times| unit.saturating_mul(times)))
        .find(|row_us| run_us.div_ceil(*row_us) <= ROWS_MAX)
        .expect("the lengths grow to the longest run there is")
}

/// A part of the run over which a fault holds.
#[derive(Clone, Debug)]
struct Window {
    fault: usize,
    start_us: u64,
    end_us: Option<u64>,
    totals: Vec<Totals>,
}

impl Window {
    /// Whether no slice of it can come any more.
    fn is_settled(&self, now_us: u64) -> bool {
        self.end_us
            .is_some_and(|end_us| end_us + WINDOW_SETTLE_US <= now_us)
    }
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
    /// Per fault: what happened in those of its windows that are settled, so that one which comes every second for an hour
    /// takes no more room than one that comes once.
    settled: BTreeMap<usize, Vec<Totals>>,
    rows: Spans,
    seconds: Spans,
}

/// How long after its end a row may still get slices from another thread.
const SETTLE_US: u64 = 300_000;

/// How long after its end a fault's window may still get slices. A thread that was held up for longer is a doubt of its own.
const WINDOW_SETTLE_US: u64 = 3_000_000;

/// Rows or seconds that may still grow.
#[derive(Debug)]
struct Spans {
    length_us: u64,
    /// By begin and load. Slices list only the values there were, a tenth of the room of what they add up to.
    open: BTreeMap<(u64, usize), Vec<Arc<Slice>>>,
    /// All that begin before this have come out.
    from_us: u64,
}

impl Spans {
    fn new(length_us: u64) -> Spans {
        Spans {
            length_us,
            open: BTreeMap::new(),
            from_us: 0,
        }
    }

    fn add(&mut self, load: usize, slice: &Arc<Slice>) {
        // A slice ends at the latest when its interval does; an early one may end inside it.
        let start_us = slice.end_us.saturating_sub(1) / self.length_us * self.length_us;
        // What comes too late for its own is counted in the first that is still open, so that each comes out once.
        let start_us = start_us.max(self.from_us);
        let slices = self.open.entry((start_us, load)).or_default();
        slices.push(Arc::clone(slice));
    }

    /// Takes out those that are over by `now_us`, in order; all of them where it is `None`.
    fn take(&mut self, now_us: Option<u64>) -> BTreeMap<(u64, usize), Vec<Arc<Slice>>> {
        let Some(now_us) = now_us else {
            return std::mem::take(&mut self.open);
        };
        let first_open = now_us.saturating_sub(SETTLE_US) / self.length_us * self.length_us;
        self.from_us = self.from_us.max(first_open);
        let still_open = self.open.split_off(&(self.from_us, 0));
        std::mem::replace(&mut self.open, still_open)
    }
}

impl Collector {
    /// Gathers for `loads` over `phases`.
    pub fn new(loads: Vec<String>, phases: usize) -> Collector {
        let totals = vec![Totals::default(); loads.len()];
        Collector {
            phases: vec![totals; phases],
            loads,
            windows: Vec::new(),
            settled: BTreeMap::new(),
            rows: Spans::new(ROW_US),
            seconds: Spans::new(INTERVAL_US),
        }
    }

    /// Writes rows of this length.
    #[must_use]
    pub fn with_rows_of(mut self, row_us: u64) -> Collector {
        self.rows.length_us = row_us;
        self
    }

    /// Takes in one slice.
    pub fn add(&mut self, slice: Slice) {
        let slice = &Arc::new(slice);
        let load = usize::from(slice.load);
        self.phases[slice.phase as usize][load].add(slice);
        for window in &mut self.windows {
            // A slice that straddles the border belongs to where it ends, so that nothing counts twice.
            if slice.end_us > window.start_us && window.end_us.is_none_or(|end| slice.end_us <= end) {
                window.totals[load].add(slice);
            }
        }
        self.rows.add(load, slice);
        self.seconds.add(load, slice);
    }

    /// A fault begins to hold.
    pub fn open_window(&mut self, fault: usize, at_us: u64) {
        for window in self.windows.extract_if(.., |window| window.is_settled(at_us)) {
            let into = self.settled.entry(window.fault).or_default();
            if into.is_empty() {
                *into = window.totals;
            } else {
                for (into, from) in into.iter_mut().zip(&window.totals) {
                    into.merge(from);
                }
            }
        }
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
            total.merge(&window.totals[load]);
        }
        if let Some(settled) = self.settled.get(&fault) {
            total.merge(&settled[load]);
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
        for ((start_us, of), slices) in self
            .seconds
            .open
            .range((now_us.saturating_sub(2 * INTERVAL_US), 0)..)
        {
            if *of == load {
                first.get_or_insert(*start_us);
                for slice in slices {
                    total.add(slice);
                }
            }
        }
        (first.map_or(0, |first| now_us.saturating_sub(first)), total)
    }

    /// Takes out the rows and seconds that are over by `now_us`; all of them where it is `None`.
    pub fn take(&mut self, now_us: Option<u64>) -> Ready {
        let rows = self.rows.take(now_us);
        let seconds = self.seconds.take(now_us);
        let loads = &self.loads;
        let row_us = self.rows.length_us;
        Ready {
            rows: rows
                .into_iter()
                .map(|((start_us, load), slices)| {
                    row(&loads[load], (start_us, start_us + row_us), &sum(&slices))
                })
                .collect(),
            intervals: seconds
                .into_iter()
                .map(|((start_us, load), slices)| IntervalOf {
                    load,
                    start_us,
                    end_us: start_us + INTERVAL_US,
                    totals: sum(&slices),
                })
                .collect(),
        }
    }
}

fn sum(slices: &[Arc<Slice>]) -> Totals {
    let mut totals = Totals::default();
    for slice in slices {
        totals.add(slice);
    }
    totals
}

fn row(load: &str, (start_us, end_us): (u64, u64), totals: &Totals) -> LoadRow {
    LoadRow {
        start_us,
        end_us,
        load: load.into(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use squall_load::recorder::Recorder;

    /// A slice of `count` requests that took `value_us` each.
    fn slice(load: u16, phase: u32, start_us: u64, end_us: u64, count: u64, value_us: u64) -> Slice {
        let samples = || {
            let mut recorder = Recorder::new();
            (0..count).for_each(|_| recorder.record_us(value_us));
            recorder.take()
        };
        Slice {
            load,
            phase,
            start_us,
            end_us,
            intended: count,
            sent: count,
            completed: count,
            response: samples(),
            service: samples(),
            lag: samples(),
            ..Slice::default()
        }
    }

    fn collector(loads: usize, phases: usize) -> Collector {
        Collector::new((0..loads).map(|load| format!("load-{load}")).collect(), phases)
    }

    fn counts(rows: &[LoadRow]) -> Vec<(u64, &str, u64)> {
        rows.iter()
            .map(|row| (row.start_us, row.load.as_str(), row.completed))
            .collect()
    }

    #[test]
    fn a_late_answer_counts_in_the_phase_it_was_meant_for_and_in_the_row_it_came_in() {
        let mut collector = collector(1, 2);
        collector.add(slice(0, 0, 900_000, 1_000_000, 5, 10));
        // Sent before the border, answered after it.
        collector.add(slice(0, 0, 1_000_000, 1_100_000, 2, 150_000));
        collector.add(slice(0, 1, 1_000_000, 1_100_000, 3, 10));
        assert_eq!(collector.phase(0, 0).completed, 7);
        assert_eq!(collector.phase(1, 0).completed, 3);
        let rows = collector.take(None).rows;
        assert_eq!(counts(&rows), [(900_000, "load-0", 5), (1_000_000, "load-0", 5)]);
        assert_eq!(rows[1].response.max, Some(150_015), "the bucket of 150,000");
    }

    #[test]
    fn a_slice_that_straddles_a_windows_border_counts_on_one_side_of_it() {
        let mut collector = collector(1, 1);
        collector.open_window(0, 150_000);
        collector.add(slice(0, 0, 0, 100_000, 1, 10));
        collector.add(slice(0, 0, 100_000, 200_000, 2, 10));
        collector.add(slice(0, 0, 200_000, 300_000, 4, 10));
        collector.close_window(0, 350_000);
        // The next fault begins where this one ends: what straddles is its alone.
        collector.open_window(1, 350_000);
        collector.add(slice(0, 0, 300_000, 400_000, 8, 10));
        collector.close_window(1, 400_000);
        collector.add(slice(0, 0, 400_000, 500_000, 16, 10));
        assert_eq!(collector.during_fault(0, 0).completed, 2 + 4);
        assert_eq!(collector.during_fault(1, 0).completed, 8);
        assert_eq!(collector.during_fault(2, 0).completed, 0);
    }

    #[test]
    fn a_fault_that_holds_twice_has_the_numbers_of_both_times() {
        let mut collector = collector(1, 1);
        for start_us in [0, 1_000_000] {
            collector.open_window(0, start_us);
            collector.add(slice(0, 0, start_us, start_us + 100_000, 3, 10));
            collector.close_window(0, start_us + 100_000);
            collector.add(slice(0, 0, start_us + 100_000, start_us + 200_000, 5, 10));
        }
        let during = collector.during_fault(0, 0);
        assert_eq!((during.completed, during.response.len()), (6, 6));
    }

    #[test]
    fn a_row_waits_for_the_other_threads_and_then_comes_out_once() {
        let mut collector = collector(1, 1);
        collector.add(slice(0, 0, 0, 100_000, 1, 10));
        assert!(collector.take(Some(100_000 + SETTLE_US - 1)).rows.is_empty());
        // The other thread's part.
        collector.add(slice(0, 0, 0, 100_000, 2, 10));
        let rows = collector.take(Some(100_000 + SETTLE_US)).rows;
        assert_eq!(counts(&rows), [(0, "load-0", 3)]);
        // A thread that was held up for long: its numbers are kept, and no row comes out again.
        collector.add(slice(0, 0, 0, 100_000, 4, 10));
        let rows = collector.take(None).rows;
        assert_eq!(counts(&rows), [(100_000, "load-0", 4)]);
    }

    #[test]
    fn merging_keeps_everything_that_slices_tell() {
        let one = Slice {
            failed: 1,
            dropped: 2,
            unsent_by_generator: 3,
            aborted: 4,
            connections_opened: 5,
            bytes_in: 6,
            errors: vec![(squall_load::ErrorKind::Reset, 1)],
            examples: vec![(squall_load::ErrorKind::Reset, "reset".to_owned())],
            ..slice(0, 0, 0, 100_000, 7, 10)
        };
        let mut twice = Totals::default();
        twice.add(&one);
        twice.add(&one);
        let mut part = Totals::default();
        part.add(&one);
        let mut merged = part.clone();
        merged.merge(&part);
        // Every field, so that one that is added later is not forgotten here.
        assert_eq!(format!("{merged:?}"), format!("{twice:?}"));
    }

    #[test]
    fn the_record_of_a_load_has_ratios_only_where_something_was_asked_for() {
        let mut totals = Totals::default();
        let record = |totals: &Totals, length_us| load_record(totals, LoadMode::Open, None, None, length_us);
        assert_eq!(record(&totals, 1_000_000).achieved, None);
        totals.add(&Slice {
            intended: 8,
            ..slice(0, 0, 0, 100_000, 6, 10)
        });
        let some = record(&totals, 2_000_000);
        assert_eq!((some.achieved, some.throughput), (Some(0.75), 3.0));
        assert_eq!(
            (record(&totals, 0).completed, record(&totals, 0).throughput),
            (6, 0.0)
        );
    }

    #[test]
    fn what_is_kept_of_a_long_run_does_not_grow_with_its_length() {
        let (mut collector, loads) = (collector(2, 1), 2);
        let mut most = (0, 0, 0, 0);
        for tick in 0..20_000_u64 {
            let start_us = tick * 100_000;
            // A fault that holds for half of every second.
            match tick % 10 {
                0 => collector.open_window(0, start_us),
                5 => collector.close_window(0, start_us),
                _ => {}
            }
            for load in 0..loads {
                collector.add(slice(load, 0, start_us, start_us + 100_000, 1, 10 + tick % 90));
            }
            collector.take(Some(start_us + 100_000));
            let slices = |spans: &Spans| spans.open.values().map(Vec::len).sum();
            let kept: (usize, usize, usize, usize) = (
                slices(&collector.rows),
                slices(&collector.seconds),
                collector.windows.len(),
                collector.settled.len(),
            );
            most = (
                most.0.max(kept.0),
                most.1.max(kept.1),
                most.2.max(kept.2),
                most.3.max(kept.3),
            );
        }
        // The rows and seconds that are still open, the windows of a few seconds, and what the others add up to.
        assert_eq!(most, (3 * 2, 12 * 2, 4, 1));
        assert_eq!(collector.during_fault(0, 1).completed, 10_000);
    }

    #[test]
    fn a_load_of_a_long_run_has_wider_rows_and_no_more_of_them() {
        let hour_us = 3_600_000_000;
        let table = [
            (0, 100_000),
            (hour_us, 100_000),
            (hour_us + 1, 200_000),
            (5 * hour_us, 500_000),
            (24 * hour_us, 5_000_000),
            (u64::MAX, 1_000_000_000_000_000),
        ];
        for (run_us, expected) in table {
            assert_eq!(row_us(run_us), expected, "{run_us}");
        }
        let mut collector = collector(1, 1).with_rows_of(500_000);
        for tick in 0..10 {
            collector.add(slice(0, 0, tick * 100_000, (tick + 1) * 100_000, tick + 1, 10));
        }
        let rows = collector.take(None).rows;
        assert_eq!(counts(&rows), [(0, "load-0", 15), (500_000, "load-0", 40)]);
        assert_eq!(rows[1].end_us, 1_000_000);
    }

    proptest! {
        #[test]
        fn everything_comes_out_once_in_order_and_adds_up(
            slices in proptest::collection::vec((0..3_u16, 0..2_u32, 0..40_u64, 1..20_u64), 1..60),
            // How long after its end each slice arrives, and how often rows are taken.
            late_us in 0..900_000_u64,
            every in 1..5_usize,
        ) {
            let mut collector = collector(3, 2);
            let (mut rows, mut seconds) = (Vec::new(), Vec::new());
            let mut now_us = 0;
            for (turn, (load, phase, at, count)) in slices.iter().enumerate() {
                let end_us = (at + 1) * 100_000;
                now_us = now_us.max(end_us + late_us * (turn as u64 % 2));
                collector.add(slice(*load, *phase, end_us - 100_000, end_us, *count, 10));
                if turn % every == 0 {
                    let ready = collector.take(Some(now_us));
                    rows.extend(ready.rows);
                    seconds.extend(ready.intervals);
                }
            }
            let rest = collector.take(None);
            rows.extend(rest.rows);
            seconds.extend(rest.intervals);
            let keys: Vec<_> = rows.iter().map(|row| (row.start_us, row.load.clone())).collect();
            prop_assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
            let keys: Vec<_> = seconds.iter().map(|one| (one.start_us, one.load)).collect();
            prop_assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
            for load in 0..3 {
                let phases: u64 = (0..2).map(|phase| collector.phase(phase, load).completed).sum();
                let name = format!("load-{load}");
                let in_rows: u64 = rows.iter().filter(|row| row.load == name).map(|row| row.completed).sum();
                let of_load = seconds.iter().filter(|one| one.load == load);
                let in_seconds: u64 = of_load.clone().map(|one| one.totals.completed).sum();
                let samples: u64 = of_load.map(|one| one.totals.response.len()).sum();
                prop_assert_eq!((in_rows, in_seconds, samples), (phases, phases, phases));
            }
        }
    }
}
