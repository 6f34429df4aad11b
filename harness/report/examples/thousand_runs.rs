//! Writes 1,000 made-up runs, of ten scenarios, into a folder that must not be there yet: each has a record, events and a report, as a run
//! leaves them. `just bench-index` then measures how long their index takes.
//!
//!     cargo run --release -p squall-report --example thousand_runs -- DIR
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]
#![expect(dead_code, reason = "the tests use more of the made-up histories")]

#[path = "../tests/history/mod.rs"]
mod history;
#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::path::PathBuf;

use history::{History, noisy};

const SCENARIOS: usize = 10;
const RUNS: usize = 100;

fn main() -> std::io::Result<()> {
    let out = PathBuf::from(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "thousand-runs".to_owned()),
    );
    std::fs::create_dir(&out)?;
    let folder = synthetic::folder(7);
    let history = History::new();
    let mut bytes = 0;
    for scenario in 0..SCENARIOS {
        let name = format!("scenario-{scenario}");
        // Half of them change at their middle.
        let level = 4_000 + 500 * (scenario as u64 % 2) * 2;
        let p99_us = [
            noisy(scenario as u64, 4_000, RUNS / 2),
            noisy(scenario as u64 + 100, level, RUNS / 2),
        ]
        .concat();
        for (n, p99_us) in p99_us.into_iter().enumerate() {
            let record = serde_json::to_string_pretty(&history.record(&name, n, p99_us)).expect("JSON");
            let run = out.join(&name).join(format!("run-{n:03}"));
            std::fs::create_dir_all(&run)?;
            bytes += record.len();
            std::fs::write(run.join("run.json"), record)?;
            std::fs::write(run.join("events.ndjson"), &folder.events_ndjson)?;
            std::fs::write(run.join("report.html"), "<!doctype html><title>made up</title>")?;
        }
    }
    println!(
        "{} runs; a run.json has {} KiB on average",
        SCENARIOS * RUNS,
        bytes / (SCENARIOS * RUNS) / 1024
    );
    Ok(())
}
