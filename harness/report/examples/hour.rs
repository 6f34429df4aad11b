//! Writes two made-up runs of an hour with 10 loads and 18 services as folders, and prints how long it takes to compare them.
//!
//!     cargo run --release -p squall-report --example hour -- OUT_DIR
//!     time squall compare OUT_DIR/base OUT_DIR/candidate
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

#[path = "../tests/long_run/mod.rs"]
mod long_run;
#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use squall_model::hlog;
use squall_report::Recording;
use squall_report::compare::{Comparison, Comparisons, Run, Side, html};

fn main() -> io::Result<()> {
    let out = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folders = ["base", "candidate"].map(|name| out.join(name));
    for (seed, folder) in (7..).zip(&folders) {
        std::fs::create_dir_all(folder)?;
        let mut hour = long_run::recording(seed, 100_000);
        hour.record.started_at = format!("2026-01-15T{seed:02}:30:12.480Z");
        write(&hour, folder)?;
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
    let logs: BTreeMap<String, String> = (0..long_run::LOADS)
        .map(long_run::load)
        .map(|load| (load.clone(), text(&format!("{load}.hlog"))))
        .collect();
    let logs = logs
        .iter()
        .map(|(load, text)| (load.clone(), text.as_str()))
        .collect();
    let (events, series, run) = (text("events.ndjson"), text("series.ndjson"), text("run.json"));
    let recording = squall_report::recording(&events, &series, &logs, Some(&run));
    let name = folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Side {
        name: name.clone(),
        runs: vec![Run {
            name,
            recording: recording.expect("it is whole"),
        }],
    }
}

/// The folder of a run, as squall writes it.
fn write(recording: &Recording, folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join("run.json"), serde_json::to_string(&recording.record)?)?;
    std::fs::write(folder.join("events.ndjson"), lines(recording.events.iter())?)?;
    std::fs::write(
        folder.join("series.ndjson"),
        lines(recording.series.iter().map(squall_model::series::Row::to_owned))?,
    )?;
    for (load, intervals) in &recording.intervals {
        let mut text = hlog::header(1_768_469_412_480, &recording.record.started_at);
        for one in intervals {
            let (start, length) = (
                one.start_us as f64 / 1e6,
                (one.end_us - one.start_us) as f64 / 1e6,
            );
            // The histograms are in their text form already; the largest value is for other readers.
            let kind = one.kind.as_str();
            writeln!(text, "Tag={kind},{start:.3},{length:.3},0.000,{}", one.hdr).expect("a String");
        }
        std::fs::write(folder.join(format!("{load}.hlog")), text)?;
    }
    Ok(())
}

fn lines(values: impl Iterator<Item: Serialize>) -> io::Result<String> {
    let mut text = String::new();
    for value in values {
        text += &serde_json::to_string(&value)?;
        text.push('\n');
    }
    Ok(text)
}
