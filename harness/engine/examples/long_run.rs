//! Proves the memory that a run's numbers take: an hour at 20,000 requests a second over ten loads, compressed in time,
//! goes through the collector and into a run's files while the process stays under 64 MiB.
//!
//!     cargo run --release -p squall-engine --example long_run              the hour
//!     cargo run --release -p squall-engine --example long_run 360          six minutes of it
//!
//! What checks invariants has a budget of its own and is not part of this: see the example `invariant_budget`. Exits 1 if
//! the budget is missed, or if what was written does not add up.

#![expect(
    clippy::print_stdout,
    reason = "printing its figures is what this program is for"
)]

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use squall_engine::measure::collector::{Collector, ROW_US, ROWS_MAX, row_us};
use squall_engine::measure::resources::{Look, Usage};
use squall_engine::measure::services::{Services, Sight};
use squall_engine::record::Writer;
use squall_load::Slice;
use squall_load::recorder::{Recorder, Samples};
use squall_model::hlog;
use squall_model::series::SeriesRow;

const LOADS: u64 = 10;
const SERVICES: u64 = 5;
const PHASES: u64 = 10;
const RATE: u64 = 20_000;
const MIB_MAX: f64 = 64.0;

/// Requests of one load in a tenth of a second.
const REQUESTS: u64 = RATE / LOADS / 10;

fn main() -> ExitCode {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(3_600);
    let folder = tempfile::tempdir().expect("a folder for what is written");
    let begun = Instant::now();
    let rows = match feed(seconds, folder.path()) {
        Ok(rows) => rows,
        Err(error) => {
            println!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let (expected, found) = (seconds * RATE, written(folder.path()));
    let mib = peak_mib();
    println!(
        "{seconds} s at {RATE}/s over {LOADS} loads in {:.1} s: {} rows a load, {:.1} MiB on disk, peak {mib:.1} MiB of {MIB_MAX}",
        begun.elapsed().as_secs_f64(),
        rows / LOADS,
        size_mib(folder.path()),
    );
    println!("{found} of {expected} requests in the series");
    if mib <= MIB_MAX && found == expected && rows / LOADS <= ROWS_MAX {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Feeds the run, and writes it as it goes; returns how many rows the loads have.
fn feed(seconds: u64, folder: &Path) -> Result<u64, squall_engine::record::RecordError> {
    let loads: Vec<String> = (0..LOADS).map(|load| format!("load-{load}")).collect();
    let rows_of = row_us(seconds * 1_000_000);
    let mut collector = Collector::new(loads.clone(), PHASES as usize).with_rows_of(rows_of);
    let names: Vec<String> = (0..SERVICES)
        .map(|service| format!("service-{service}"))
        .collect();
    let sights = vec![Sight::Program; names.len()];
    let mut services = Services::new(names, sights, PHASES as usize).with_rows_of(rows_of);
    let mut writer = Writer::open(folder, &loads, 0, "")?;
    let (mut recorder, mut random) = (Recorder::new(), 7);
    let ticks = seconds * 1_000_000 / ROW_US;
    let mut rows = 0;
    for tick in 0..ticks {
        let end_us = (tick + 1) * ROW_US;
        let phase = tick * PHASES / ticks;
        // A fault that comes every second.
        match tick % 10 {
            0 => collector.open_window(0, end_us),
            5 => collector.close_window(0, end_us),
            _ => {}
        }
        for load in 0..LOADS {
            collector.add(slice(load, phase, end_us, &mut recorder, &mut random));
        }
        for service in 0..SERVICES as usize {
            let look = Look {
                usage: Usage {
                    cpu_us: tick * 40_000,
                    rss: 1 << 26,
                    threads: 20,
                    descriptors: Some(200),
                },
                ..Look::default()
            };
            services.look(service, Some(phase as usize), end_us, &look);
        }
        rows += write(&mut writer, &mut collector, &mut services, &loads, Some(end_us))?;
        if tick % 5 == 0 {
            writer.flush()?;
        }
    }
    rows += write(&mut writer, &mut collector, &mut services, &loads, None)?;
    writer.flush()?;
    Ok(rows)
}

fn write(
    writer: &mut Writer,
    collector: &mut Collector,
    services: &mut Services,
    loads: &[String],
    now_us: Option<u64>,
) -> Result<u64, squall_engine::record::RecordError> {
    let ready = collector.take(now_us);
    let rows = ready.rows.len() as u64;
    for row in ready.rows {
        writer.row(&SeriesRow::Load(row))?;
    }
    for row in services.take(now_us) {
        writer.row(&SeriesRow::Service(row))?;
    }
    for one in ready.intervals {
        let load = &loads[one.load];
        let (start_us, end_us) = (one.start_us, one.end_us);
        writer.interval(load, hlog::Kind::Response, start_us, end_us, &one.totals.response)?;
        writer.interval(load, hlog::Kind::Service, start_us, end_us, &one.totals.service)?;
    }
    Ok(rows)
}

/// Some hundred requests of a few milliseconds; one in ten thousand runs into its timeout.
fn slice(load: u64, phase: u64, end_us: u64, recorder: &mut Recorder, random: &mut u64) -> Slice {
    let mut samples = |slow: bool| -> Samples {
        for _ in 0..REQUESTS {
            *random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let draw = *random >> 33;
            let value_us = match draw % 10_000 {
                0 if slow => 30_000_000,
                1..100 => 5_000 + draw % 95_000,
                _ => 400 + draw % 3_000,
            };
            recorder.record_us(value_us);
        }
        recorder.take()
    };
    Slice {
        load: load as u16,
        phase: phase as u32,
        start_us: end_us - ROW_US,
        end_us,
        intended: REQUESTS,
        sent: REQUESTS,
        completed: REQUESTS,
        response: samples(true),
        service: samples(true),
        lag: samples(false),
        ..Slice::default()
    }
}

/// Requests completed by what stands in the series, read a line at a time.
fn written(folder: &Path) -> u64 {
    use std::io::BufRead as _;
    let file = std::fs::File::open(folder.join("series.ndjson")).expect("the series was written");
    let rows = std::io::BufReader::new(file).lines().map_while(Result::ok);
    let completed = rows.map(|line| match serde_json::from_str(&line) {
        Ok(SeriesRow::Load(row)) => row.completed,
        _ => 0,
    });
    completed.sum()
}

fn size_mib(folder: &Path) -> f64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes: u64 = files.filter_map(|file| Some(file.metadata().ok()?.len())).sum();
    bytes as f64 / f64::from(1 << 20)
}

/// The most memory that this process has had, from `/proc/self/status`.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<f64> = peak.and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse().ok());
    kib.unwrap_or(f64::INFINITY) / 1024.0
}
