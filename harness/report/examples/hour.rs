//! Writes two made-up runs of an hour with 10 loads and 18 services as folders, and prints how long it takes to compare them.
//!
//!     cargo run --release -p squall-report --example hour -- OUT_DIR
//!     time squall compare OUT_DIR/base OUT_DIR/candidate
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use squall_model::histogram::{Histogram, empty};
use squall_model::hlog::{self, Kind};
use squall_model::record::PhaseRecord;
use squall_model::series::{LoadRow, RowLatency, SeriesRow, ServiceRow};
use squall_report::Recording;
use squall_report::compare::{Comparison, Comparisons, Run, Side, html};

const SECONDS: u64 = 3_600;
const LOADS: u64 = 10;
const SERVICES: u64 = 18;
const SECOND: u64 = 1_000_000;

fn main() -> std::io::Result<()> {
    let out = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folders = ["base", "candidate"].map(|name| out.join(name));
    for (seed, folder) in (7..).zip(&folders) {
        std::fs::create_dir_all(folder)?;
        write(folder, seed)?;
    }
    let started = Instant::now();
    let sides: Vec<Side> = std::thread::scope(|scope| {
        let reading = folders.each_ref().map(|folder| scope.spawn(|| read(folder)));
        reading.map(|side| side.join().expect("it does not panic")).into()
    });
    let read = started.elapsed();
    let of = Comparison::new(sides).into_iter().collect();
    let page = html(&Comparisons {
        of,
        notes: Vec::new(),
    });
    println!(
        "read in {read:.2?}, the page of {} KiB after {:.2?}",
        page.len() / 1024,
        started.elapsed()
    );
    std::fs::write(out.join("hour.html"), page)
}

fn read(folder: &Path) -> Side {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).expect("it was just written");
    let logs: BTreeMap<String, String> = (0..LOADS)
        .map(|load| (format!("load-{load}"), text(&format!("load-{load}.hlog"))))
        .collect();
    let logs = logs
        .iter()
        .map(|(load, text)| (load.clone(), text.as_str()))
        .collect();
    let (events, series, run) = (text("events.ndjson"), text("series.ndjson"), text("run.json"));
    let recording = squall_report::recording(&events, &series, &logs, Some(&run));
    Side {
        name: folder.display().to_string(),
        runs: vec![Run {
            name: folder.display().to_string(),
            recording: recording.expect("it is whole"),
        }],
    }
}

fn write(folder: &Path, seed: u64) -> std::io::Result<()> {
    let short = synthetic::folder(seed);
    let mut recording: Recording = short.recording();
    let phases = &mut recording.record.phases;
    for (at, phase) in (0..).zip(phases.iter_mut()) {
        stretch(phase, at);
    }
    recording.record.duration_us = SECONDS * SECOND;
    let response = recording.record.phases[1].load["load-0"].response.histogram();
    let response = response.expect("it was just made");
    let run = serde_json::to_string(&recording.record)?;
    std::fs::write(folder.join("run.json"), run)?;
    std::fs::write(folder.join("events.ndjson"), &short.events_ndjson)?;
    std::fs::write(folder.join("series.ndjson"), series(seed))?;
    for load in 0..LOADS {
        std::fs::write(
            folder.join(format!("load-{load}.hlog")),
            log(&response, load + seed),
        )?;
    }
    Ok(())
}

/// A phase of ten minutes with as many loads and services as there are to be.
fn stretch(phase: &mut PhaseRecord, at: u64) {
    (phase.start_us, phase.end_us) = (at * 600 * SECOND, (at + 1) * 600 * SECOND);
    let load = phase.load["next_id"].clone();
    phase.load = (0..LOADS).map(|n| (format!("load-{n}"), load.clone())).collect();
    let service = phase.services["ids"].clone();
    phase.services = (0..SERVICES)
        .map(|n| (format!("service-{n}"), service.clone()))
        .collect();
}

fn series(seed: u64) -> String {
    let mut text = String::new();
    for at in 0..SECONDS * 10 {
        let (start_us, end_us) = (at * SECOND / 10, (at + 1) * SECOND / 10);
        let noise = |n: u64| (at * 7_919 + n * 104_729 + seed * 31).wrapping_mul(2_654_435_761) % 997;
        for n in 0..LOADS {
            let latency = RowLatency {
                max: Some(2_000 + noise(n)),
                p50: Some(300 + noise(n) / 10),
                p90: Some(500 + noise(n) / 5),
                ..RowLatency::default()
            };
            let row = SeriesRow::Load(LoadRow {
                start_us,
                end_us,
                load: format!("load-{n}"),
                intended: 200,
                sent: 200,
                completed: 200 - noise(n) / 100,
                response: latency,
                service: latency,
                ..LoadRow::default()
            });
            writeln!(text, "{}", serde_json::to_string(&row).expect("plain")).expect("a String");
        }
        for n in 0..SERVICES {
            let row = SeriesRow::Service(ServiceRow {
                start_us,
                end_us,
                service: format!("service-{n}"),
                cpu_us: Some(20_000 + noise(n)),
                rss: Some(20 << 20),
                threads: Some(9),
                descriptors: Some(40),
                voluntary_switches: Some(1_300),
                involuntary_switches: Some(30),
                run_queue: Some(500),
                pause_max: Some(noise(n)),
                pause_total: Some(noise(n) * 3),
                ..ServiceRow::default()
            });
            writeln!(text, "{}", serde_json::to_string(&row).expect("plain")).expect("a String");
        }
    }
    text
}

/// 2,000 requests a second, spread as `of` is.
fn log(of: &Histogram, seed: u64) -> String {
    let mut text = hlog::header(1_768_469_412_480, "2026-01-15T09:30:12.480Z");
    let seconds: Vec<Histogram> = (0..16).map(|n| second(of, n + seed)).collect();
    for at in 0..SECONDS {
        let histogram = &seconds[(at * 7 + at / 11) as usize % seconds.len()];
        for kind in [Kind::Response, Kind::Service] {
            text += &hlog::line(kind, at * SECOND, (at + 1) * SECOND, histogram);
        }
    }
    text
}

fn second(of: &Histogram, seed: u64) -> Histogram {
    let mut second = empty();
    for n in 0..2_000_u64 {
        let q = (n * 7_919 + seed * 104_729) % 100_003;
        second.saturating_record(of.value_at_quantile(q as f64 / 100_003.0));
    }
    second
}
