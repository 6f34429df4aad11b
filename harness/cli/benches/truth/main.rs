//! Whether Squall's numbers are true: held to a server whose delays are known, on this machine as it is, and under noise.
//!
//! `cargo bench -p squall --bench truth -- --help`. Prints tables; asserts nothing, since what a machine lets a process see is
//! the machine's. Everything it starts it stops, by its own handle.
#![expect(clippy::print_stdout, reason = "tables on standard output are what it is for")]

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use squall_model::units::parse_duration;

mod expected;
mod hogs;
mod laws;
mod noise;
mod processes;

/// Hold Squall's numbers to a server whose delays are known.
#[derive(Parser)]
#[command(after_help = "Example: just bench-truth noise --runs 10")]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// What `cargo bench` gives every benchmark.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    /// Each law by itself: percentiles beside the law's own.
    Laws {
        /// The length of each run in open loop; closed loop gets a third. 60s is the least that carries a P99.99.
        #[arg(long = "for", default_value = "60s", value_parser = duration)]
        length: Duration,
        /// Only laws whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Short runs beside processors' hogs that come and go: P99 and verdict beside the truth.
    Noise {
        /// How many runs.
        #[arg(long, default_value_t = 40)]
        runs: u32,
        /// The length of each.
        #[arg(long = "for", default_value = "5s", value_parser = duration)]
        length: Duration,
        /// The law: constant or lognormal, median 20 ms.
        #[arg(long, default_value = "lognormal")]
        law: String,
        /// Requests a second.
        #[arg(long, default_value_t = 1_000)]
        rate: u32,
        /// The most hogs at once, for each processor.
        #[arg(long, default_value_t = 2)]
        hogs: u32,
        /// What the hogs' comings and goings derive from.
        #[arg(long, default_value_t = 7)]
        seed: u64,
    },
    /// Use a processor until stopped; started by `noise` itself.
    #[command(hide = true)]
    Hog,
}

fn duration(text: &str) -> anyhow::Result<Duration> {
    parse_duration(text).with_context(|| format!("the duration {text}"))
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    match Arguments::parse().what {
        Some(What::Laws { length, only }) => laws::run(length, &only),
        Some(What::Noise {
            runs,
            length,
            law,
            rate,
            hogs,
            seed,
        }) => noise::run(&noise::Plan {
            runs,
            length,
            law,
            rate,
            hogs,
            seed,
        }),
        Some(What::Hog) => {
            hogs::burn();
            Ok(())
        }
        None => {
            laws::run(Duration::from_mins(1), "")?;
            noise::run(&noise::Plan {
                runs: 40,
                length: Duration::from_secs(5),
                law: "lognormal".to_owned(),
                rate: 1_000,
                hogs: 2,
                seed: 7,
            })
        }
    }
}
