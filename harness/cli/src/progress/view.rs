//! How a run stands, in lines: a table that fits a terminal, or one line for a log. Pure.

use std::time::Duration;

use squall_engine::observer::{Live, LiveLoad};
use squall_model::units::human;

/// Loads that one plain line tells of one by one.
const PLAIN_LOADS: usize = 3;

/// Columns of the bar.
const BAR: usize = 20;

/// A load's name gets no more columns than this.
const NAME_MOST: usize = 24;

/// A column of the table: its head, its width and what stands in it.
type Column = (&'static str, usize, fn(&LiveLoad) -> String);

/// From the one that stays longest on a narrow terminal to the one that goes first.
const COLUMNS: [Column; 5] = [
    ("rate", 9, |load| human::rate(load.rate)),
    ("P99", 10, |load| time(load.p99_us)),
    ("errors", 9, |load| human::ratio(load.errors)),
    ("P50", 10, |load| time(load.p50_us)),
    ("target", 9, |load| {
        load.target_rate.map_or_else(absent, human::rate)
    }),
];

/// The order in which they stand, by index.
const ORDER: [usize; 5] = [0, 4, 3, 1, 2];

/// A screen's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

/// The live view: where the run is, a row for each load, the faults that hold. `title` replaces the phase's name.
pub fn table(live: &Live, title: Option<&str>, size: Size) -> Vec<String> {
    let mut lines = vec![heading(live, title)];
    // Half of the screen is for what was said.
    let most = (size.rows / 2).saturating_sub(2).max(2);
    let (shown, rest) = choose(&live.loads, most);
    if !shown.is_empty() {
        lines.extend(rows(&shown, size.columns.saturating_sub(1)));
    }
    lines.extend(sum(&rest).map(|text| format!("  and {} more: {text}", rest.len())));
    if !live.faults.is_empty() {
        lines.push(format!("  {}", faults(live)));
    }
    lines
}

/// One line for a log: `steady 2/7  3.2 s left  single 2.0k/s P99 1.2 ms errors 0 %  [clock: proven]`.
pub fn line(live: &Live, title: Option<&str>) -> String {
    let mut parts = vec![phase(live, title), format!("{} left", left(live))];
    let (shown, rest) = choose(&live.loads, PLAIN_LOADS);
    parts.extend(shown.iter().map(|load| {
        format!(
            "{} {} P99 {} errors {}",
            load.name,
            human::rate(load.rate),
            time(load.p99_us),
            human::ratio(load.errors)
        )
    }));
    parts.extend(sum(&rest).map(|text| format!("and {} more: {text}", rest.len())));
    if !live.faults.is_empty() {
        parts.push(faults(live));
    }
    parts.join("  ")
}

fn heading(live: &Live, title: Option<&str>) -> String {
    let done = match live.length_us {
        0 => 0,
        length => (live.elapsed_us.min(length) * BAR as u64 / length) as usize,
    };
    format!(
        "{}  {}{}  {} left",
        phase(live, title),
        "━".repeat(done),
        "·".repeat(BAR - done),
        left(live)
    )
}

fn phase(live: &Live, title: Option<&str>) -> String {
    match title {
        Some(title) => title.to_owned(),
        None => format!("{} {}/{}", live.phase, live.index + 1, live.phases),
    }
}

fn left(live: &Live) -> String {
    let left = Duration::from_micros(live.length_us.saturating_sub(live.elapsed_us)).as_secs_f64();
    format!("{left:.1} s")
}

/// The head and the rows, in as many columns as `room` has place for.
fn rows(loads: &[&LiveLoad], room: usize) -> Vec<String> {
    let longest = loads.iter().map(|load| load.name.chars().count()).max();
    let name = longest.unwrap_or(0).clamp(4, NAME_MOST);
    let mut left = room.saturating_sub(name + 2);
    let fits = |(_, width, _): &&Column| {
        let fits = *width <= left;
        left = left.saturating_sub(*width);
        fits
    };
    let columns = COLUMNS.iter().take_while(fits).count().max(1);
    let shown: Vec<&Column> = ORDER
        .iter()
        .filter(|at| **at < columns)
        .map(|at| &COLUMNS[*at])
        .collect();
    let row = |first: &str, cell: &dyn Fn(&Column) -> String| {
        let first: String = first.chars().take(name).collect();
        let cells: Vec<String> = shown
            .iter()
            .map(|column| format!("{:>width$}", cell(column), width = column.1))
            .collect();
        format!("  {first:<name$}{}", cells.concat())
    };
    let mut lines = vec![row("load", &|column| column.0.to_owned())];
    lines.extend(
        loads
            .iter()
            .map(|load| row(&load.name, &|column| (column.2)(load))),
    );
    lines
}

/// At most `most` loads in their order, and the others: those that fail come before those that don't.
fn choose(loads: &[LiveLoad], most: usize) -> (Vec<&LiveLoad>, Vec<&LiveLoad>) {
    let failing = |load: &&LiveLoad| load.errors > 0.0;
    let places = loads.len().min(most);
    let mut calm = places.saturating_sub(loads.iter().filter(failing).count());
    let mut troubled = places - calm;
    loads.iter().partition(|load| {
        let left = if failing(load) { &mut troubled } else { &mut calm };
        let chosen = *left > 0;
        *left = left.saturating_sub(1);
        chosen
    })
}

/// What those that are not shown do together; nothing where there are none.
fn sum(rest: &[&LiveLoad]) -> Option<String> {
    let worst = rest.iter().filter_map(|load| load.p99_us).max();
    let errors = rest.iter().map(|load| load.errors).fold(0.0, f64::max);
    // A journey's requests are its steps' requests too.
    let whole = rest.iter().filter(|load| !load.name.contains('.'));
    let rate: f64 = whole.map(|load| load.rate).sum();
    (!rest.is_empty()).then(|| {
        format!(
            "{}, worst P99 {}, errors up to {}",
            human::rate(rate),
            time(worst),
            human::ratio(errors)
        )
    })
}

fn faults(live: &Live) -> String {
    let told = live.faults.iter().map(|(fault, proven)| {
        let state = if *proven { "proven" } else { "not proven yet" };
        format!("[{fault}: {state}]")
    });
    told.collect::<Vec<_>>().join("  ")
}

fn time(us: Option<u64>) -> String {
    us.map_or_else(absent, |us| human::microseconds(us as f64))
}

/// What stands where too little was measured.
fn absent() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn live(loads: usize) -> Live {
        let load = |at: usize| LiveLoad {
            name: format!("load-{at}"),
            rate: 1000.0 * at as f64,
            target_rate: (at > 0).then_some(1000.0 * at as f64),
            p50_us: Some(100),
            p99_us: (at > 1).then_some(1_500 * at as u64),
            errors: if at == 7 { 0.25 } else { 0.0 },
        };
        Live {
            phase: "steady".to_owned(),
            index: 1,
            phases: 7,
            elapsed_us: 4_000_000,
            length_us: 10_000_000,
            loads: (0..loads).map(load).collect(),
            faults: vec![("cut".to_owned(), true), ("back".to_owned(), false)],
        }
    }

    fn shown(loads: usize, columns: usize, rows: usize) -> String {
        table(&live(loads), None, Size { columns, rows }).join("\n")
    }

    #[test]
    fn a_table_has_a_row_for_each_load_and_a_line_for_the_faults() {
        expect![[r"
            steady 2/7  ━━━━━━━━············  6.0 s left
              load       rate   target       P50       P99   errors
              load-0      0/s        –    100 us         –      0 %
              load-1  1.00k/s  1.00k/s    100 us         –      0 %
              load-2  2.00k/s  2.00k/s    100 us   3.00 ms      0 %
              [cut: proven]  [back: not proven yet]"]]
        .assert_eq(&shown(3, 80, 24));
    }

    #[test]
    fn what_does_not_fit_is_summed_up_and_the_failing_ones_are_shown() {
        expect![[r"
            steady 2/7  ━━━━━━━━············  6.0 s left
              load       rate       P99   errors
              load-0      0/s         –      0 %
              load-1  1.00k/s         –      0 %
              load-2  2.00k/s   3.00 ms      0 %
              load-7  7.00k/s   10.5 ms   25.0 %
              and 6 more: 35.0k/s, worst P99 13.5 ms, errors up to 0 %
              [cut: proven]  [back: not proven yet]"]]
        .assert_eq(&shown(10, 44, 12));
    }

    #[test]
    fn a_table_never_has_more_rows_than_the_screen_nor_loses_a_load() {
        for loads in 0..40 {
            for rows in 8..60 {
                let lines = table(&live(loads), None, Size { columns: 80, rows });
                assert!(lines.len() < rows, "{loads} loads in {rows} rows: {lines:#?}");
                let (shown, rest) = (live(loads).loads, choose(&live(loads).loads, 5).1.len());
                assert_eq!(shown.len().min(5) + rest, loads);
            }
        }
    }

    #[test]
    fn a_plain_line_stays_short_with_many_loads() {
        expect!["steady 2/7  6.0 s left  load-0 0/s P99 – errors 0 %  load-1 1.00k/s P99 – errors 0 %  load-7 7.00k/s P99 10.5 ms errors 25.0 %  and 7 more: 37.0k/s, worst P99 13.5 ms, errors up to 0 %  [cut: proven]  [back: not proven yet]"]
            .assert_eq(&line(&live(10), None));
    }
}
