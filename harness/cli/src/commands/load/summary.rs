//! What `squall load` prints at its end, for a screen of 80 columns. Pure.

use std::fmt::Write as _;

use squall_load::oneshot::Totals;
use squall_model::histogram::{Distribution, Histogram};
use squall_model::record::{LoadMode, LoadRecord, RunRecord};
use squall_model::units::human;

use super::NAME;
use crate::output::harmless;

/// Rows of the histogram at most.
const ROWS: usize = 8;

/// Columns of its longest bar.
const BAR: usize = 36;

/// Parts of a column, from an eighth on.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Characters of an example of an error.
const EXAMPLE: usize = 66;

/// The result in one line.
pub fn one_line(record: &RunRecord, totals: &Totals) -> String {
    let load = &record.phases[0].load[NAME];
    let (name, latency) = shown(load);
    format!(
        "{} requests at {}, {}; {name} P50 {}, P99 {}, max {}",
        human::count(totals.completed),
        human::rate(load.throughput),
        failures(totals),
        time(latency.p50),
        time(latency.p99),
        time(latency.max)
    )
}

/// The whole result.
pub fn text(record: &RunRecord, totals: &Totals) -> String {
    let load = &record.phases[0].load[NAME];
    let seconds = record.duration_us as f64 / 1e6;
    let mut out = String::new();
    facts(&mut out, load, totals, seconds);
    // How fast a service fails says nothing about how fast it works.
    if totals.completed > totals.failed {
        latencies(&mut out, load);
        match load.mode {
            LoadMode::Open => bars(&mut out, "Response", &totals.response),
            _ => bars(&mut out, "Service", &totals.service),
        }
    }
    errors(&mut out, load);
    out
}

fn facts(out: &mut String, load: &LoadRecord, totals: &Totals, seconds: f64) {
    let mut fact = |name: &str, text: String| {
        let _ = writeln!(out, "{name:<12}{text}");
    };
    let achieved = match (load.mode, load.achieved) {
        (LoadMode::Open, Some(achieved)) => format!(", {} of those asked for", human::ratio(achieved)),
        _ => String::new(),
    };
    fact(
        "Requests",
        format!(
            "{} in {}: {}{achieved}",
            human::count(totals.completed),
            human::microseconds(seconds * 1e6),
            human::rate(load.throughput)
        ),
    );
    fact("Answers", answers(totals));
    let unsent = [
        (totals.dropped, "never sent: no connection came free"),
        (
            totals.unsent_by_generator,
            "never sent: the generator was too slow",
        ),
        (totals.aborted, "cut off"),
    ];
    for (count, what) in unsent.into_iter().filter(|(count, _)| *count > 0) {
        fact("", format!("{} {what}", human::count(count)));
    }
    let per_second = if seconds > 0.0 {
        totals.bytes_in as f64 / seconds
    } else {
        0.0
    };
    fact(
        "Received",
        format!(
            "{}, {}/s",
            human::bytes(totals.bytes_in),
            human::bytes(per_second as u64)
        ),
    );
    fact(
        "Connections",
        format!("{} opened", human::count(totals.connections_opened)),
    );
    out.push('\n');
}

/// `1.20k good, 50 status_404, 3 timeout`.
fn answers(totals: &Totals) -> String {
    let good = totals.completed - totals.failed;
    let mut parts = vec![format!("{} with a status below 400", human::count(good))];
    parts.extend(
        totals
            .errors
            .iter()
            .map(|(kind, count)| format!("{} {kind}", human::count(*count))),
    );
    wrapped(&parts, 12, 80)
}

/// Parts with commas between them, on lines that begin at `indent` and end before `width`.
fn wrapped(parts: &[String], indent: usize, width: usize) -> String {
    let mut out = String::new();
    let mut at = indent;
    for (index, part) in parts.iter().enumerate() {
        let length = part.chars().count() + 2;
        if index > 0 {
            out.push(',');
            if at + length > width {
                let _ = write!(out, "\n{:indent$}", "");
                at = indent;
            } else {
                out.push(' ');
            }
        }
        out.push_str(part);
        at += length;
    }
    out
}

fn failures(totals: &Totals) -> String {
    match totals.failed {
        0 => "none failed".to_owned(),
        failed => format!("{} failed", human::count(failed)),
    }
}

/// The latency that counts, and its name.
fn shown(load: &LoadRecord) -> (&'static str, &Distribution) {
    match load.mode {
        LoadMode::Open => ("response", &load.response),
        _ => ("service", &load.service),
    }
}

fn latencies(out: &mut String, load: &LoadRecord) {
    let rows: &[(&str, &Distribution)] = match load.mode {
        LoadMode::Open => &[("Response", &load.response), ("Service", &load.service)],
        _ => &[("Service", &load.service)],
    };
    let heads = ["P50", "P90", "P99", "P99.9", "P99.99", "max"];
    let line = |name: &str, cells: [String; 6]| {
        let [p50, p90, p99, p999, p9999, max] = cells;
        format!("{name:<12}{p50:>11}{p90:>11}{p99:>11}{p999:>11}{p9999:>11}{max:>11}\n")
    };
    out.push_str(&line("Latency", heads.map(str::to_owned)));
    let mut is_absent = false;
    for (name, one) in rows {
        let values = [one.p50, one.p90, one.p99, one.p999, one.p9999, one.max];
        is_absent |= values.iter().any(Option::is_none);
        out.push_str(&line(name, values.map(time)));
    }
    if is_absent {
        out.push_str("–: fewer than 10 samples beyond the percentile\n");
    }
    let note = match load.mode {
        LoadMode::Open => "Response counts from when a request was due, service from when it was sent.",
        _ => "Closed loop: a user waits for its answer, so queueing is not seen; -r shows it.",
    };
    let _ = writeln!(out, "{note}\n");
}

fn time(value: Option<u64>) -> String {
    value.map_or_else(|| "–".to_owned(), |us| human::microseconds(us as f64))
}

/// A row for each stretch of latency, each as many times longer than the one before.
fn bars(out: &mut String, name: &str, histogram: &Histogram) {
    let counts = stretches(histogram);
    let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    let total = histogram.len() as f64;
    let _ = writeln!(out, "{name} times");
    for (up_to, count) in counts {
        let _ = writeln!(
            out,
            "  up to {:>8}  {:<BAR$} {:>8} {:>9}",
            human::microseconds(up_to as f64),
            bar(count as f64 / most as f64),
            human::count(count),
            human::ratio(count as f64 / total)
        );
    }
    out.push('\n');
}

/// Where each stretch ends, in microseconds, and how many lie in it.
fn stretches(histogram: &Histogram) -> Vec<(u64, u64)> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let (low, high) = (histogram.min().max(1) as f64, histogram.max().max(1) as f64);
    let step = (high / low).powf(1.0 / ROWS as f64).max(1.02);
    let mut found: Vec<(u64, u64)> = Vec::new();
    let mut bound = low;
    for row in 1..=ROWS {
        bound *= step;
        let is_last = row == ROWS || bound >= high;
        found.push((if is_last { histogram.max() } else { bound as u64 }, 0));
        if is_last {
            break;
        }
    }
    for recorded in histogram.iter_recorded() {
        // The last takes all that is left, whatever the rounding.
        let at = found
            .iter()
            .position(|(to, _)| recorded.value_iterated_to() <= *to);
        let at = at.unwrap_or(found.len() - 1);
        found[at].1 += recorded.count_since_last_iteration();
    }
    found
}

/// A bar of `share` of the longest; what is there at all has a mark.
fn bar(share: f64) -> String {
    let eighths = ((share * (BAR * 8) as f64).round() as usize).max(usize::from(share > 0.0));
    let mut bar = EIGHTHS[7].to_string().repeat(eighths / 8);
    bar.extend((eighths % 8).checked_sub(1).map(|part| EIGHTHS[part]));
    bar
}

fn errors(out: &mut String, load: &LoadRecord) {
    for (kind, examples) in &load.error_examples {
        let Some(example) = examples.first() else { continue };
        let example = harmless(example);
        let mut text: String = example.chars().take(EXAMPLE).collect();
        if text.len() < example.len() {
            text.push('…');
        }
        let _ = writeln!(out, "{kind}, for example:\n  {text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use squall_engine::measure::collector::load_record;
    use squall_load::ErrorKind;
    use squall_model::histogram::empty;
    use squall_model::record::{Machine, PhaseRecord, Verdict};

    fn record(totals: &Totals, rate: Option<f64>) -> RunRecord {
        let mode = if rate.is_some() {
            LoadMode::Open
        } else {
            LoadMode::Closed
        };
        let load = load_record(totals, mode, rate, None, 2_000_000);
        RunRecord {
            squall: String::new(),
            schema: 1,
            scenario: NAME.to_owned(),
            about: String::new(),
            source: String::new(),
            command: String::new(),
            seed: 0,
            started_at: String::new(),
            duration_us: 2_000_000,
            revision: String::new(),
            quick: false,
            network: squall_model::scenario::Network::Shared,
            merged: None,
            measured: squall_model::baseline::Values::default(),
            machine: Machine::default(),
            verdict: Verdict::Pass,
            reasons: Vec::new(),
            exit_code: 0,
            phases: vec![PhaseRecord {
                load: [(NAME.to_owned(), load)].into(),
                ..PhaseRecord::default()
            }],
            faults: Vec::new(),
            invariants: Vec::new(),
            expectations: Vec::new(),
            edges: Vec::new(),
            generator: squall_model::record::GeneratorRecord::default(),
        }
    }

    fn totals() -> Totals {
        let mut totals = Totals {
            intended: 12_020,
            sent: 12_010,
            completed: 12_000,
            failed: 60,
            dropped: 10,
            aborted: 10,
            connections_opened: 8,
            bytes_in: 3 << 20,
            errors: [(ErrorKind::Status(503), 50), (ErrorKind::Timeout, 10)].into(),
            examples: vec![(
                ErrorKind::Status(503),
                format!("503: \x1b[31m{}", "busy ".repeat(40)),
            )],
            ..Totals::default()
        };
        for (us, count) in [(150, 9_000), (900, 2_000), (12_000, 990), (1_000_000, 10)] {
            totals.response.record_n(us, count).unwrap();
            totals.service.record_n(us / 2, count).unwrap();
        }
        totals
    }

    #[test]
    fn a_result_is_read_on_a_screen_of_eighty_columns() {
        let (totals, rate) = (totals(), Some(6_000.0));
        let shown = text(&record(&totals, rate), &totals);
        expect_test::expect![[r"
            Requests    12.0k in 2.00 s: 6.00k/s, 99.8 % of those asked for
            Answers     11.9k with a status below 400, 10 timeout, 50 status_503
                        10 never sent: no connection came free
                        10 cut off
            Received    3.00 MiB, 1.50 MiB/s
            Connections 8 opened

            Latency             P50        P90        P99      P99.9     P99.99        max
            Response         150 us     900 us    12.0 ms    12.0 ms          –     1.00 s
            Service         75.0 us     450 us    6.00 ms    6.00 ms          –     500 ms
            –: fewer than 10 samples beyond the percentile
            Response counts from when a request was due, service from when it was sent.

            Response times
              up to   450 us  ████████████████████████████████████     9000    75.0 %
              up to  1.35 ms  ████████                                 2000    16.7 %
              up to  4.08 ms                                              0       0 %
              up to  12.2 ms  ████                                      990    8.25 %
              up to  36.8 ms                                              0       0 %
              up to   111 ms                                              0       0 %
              up to   333 ms                                              0       0 %
              up to   1.00 s  ▏                                          10    0.08 %

            status_503, for example:
              503: \u{1b}[31mbusy busy busy busy busy busy busy busy busy busy b…
        "]]
        .assert_eq(&shown);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(
            !shown.contains('\x1b'),
            "escape sequences of a service are shown, not obeyed"
        );
    }

    #[test]
    fn a_result_in_one_line_has_what_counts() {
        let totals = totals();
        expect_test::expect![
            "12.0k requests at 6.00k/s, 60 failed; service P50 75.0 us, P99 6.00 ms, max 500 ms"
        ]
        .assert_eq(&one_line(&record(&totals, None), &totals));
    }

    #[test]
    fn where_everything_failed_there_are_no_latencies() {
        let mut totals = totals();
        totals.failed = totals.completed;
        let shown = text(&record(&totals, None), &totals);
        assert!(!shown.contains("P99") && !shown.contains('█'), "{shown}");
    }

    proptest! {
        #[test]
        fn every_sample_is_in_one_row_of_the_histogram(samples in proptest::collection::vec(0..4_000_000_000_u64, 0..200)) {
            let mut histogram = empty();
            for us in &samples {
                histogram.saturating_record(*us);
            }
            let rows = stretches(&histogram);
            prop_assert!(rows.len() <= ROWS);
            prop_assert_eq!(rows.iter().map(|(_, count)| count).sum::<u64>(), histogram.len());
            prop_assert!(rows.is_sorted_by(|a, b| a.0 <= b.0), "{rows:?}");
        }
    }
}
