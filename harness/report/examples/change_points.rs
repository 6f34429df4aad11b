//! Prints how often change points are found in made-up series: where there is none, and where one was planted. docs/index.md has the table.
//!
//!     cargo run --release -p squall-report --example change_points
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use squall_model::seed::{Seed, unit};
use squall_report::index::change_point::{FEWEST, SHORTEST, change_points};

const SERIES: u64 = 500;

/// About normal, with the deviation 1: the sum of twelve uniform numbers, less their mean.
fn noise(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = Seed::new(seed).child("noise").rng();
    (0..n)
        .map(|_| (0..12).map(|_| unit(&mut rng)).sum::<f64>() - 6.0)
        .collect()
}

/// In how many percent of series a step that begins at `from` is found, at most two runs away from there.
fn found(n: usize, from: usize, step: f64) -> f64 {
    let near = (0..SERIES).filter(|seed| {
        let mut values = noise(*seed, n);
        values[from..].iter_mut().for_each(|value| *value += step);
        let changes = change_points(&values);
        changes.iter().any(|change| change.at.abs_diff(from) <= 2)
    });
    near.count() as f64 / SERIES as f64 * 100.0
}

fn main() {
    println!("Of {SERIES} series each, in percent; steps in standard deviations between runs.");
    println!("runs | false alarm | 1 | 2 | 3 | 5 in the middle | 3 | 5 before the last {SHORTEST}");
    for n in [FEWEST, 20, 30, 50] {
        let alarms = (0..SERIES).filter(|seed| !change_points(&noise(*seed, n)).is_empty());
        let alarms = alarms.count() as f64 / SERIES as f64 * 100.0;
        let middle = [1.0, 2.0, 3.0, 5.0].map(|step| format!("{:.0}", found(n, n / 2, step)));
        let last = [3.0, 5.0].map(|step| format!("{:.0}", found(n, n - SHORTEST, step)));
        println!(
            "{n} | {alarms:.1} | {} | {}",
            middle.join(" | "),
            last.join(" | ")
        );
    }
}
