//! Prints how long the report of an hour with 18 services and 10 loads takes: to make the page of what was read; and how large it is.
//!
//!     cargo run --release -p squall-report --example long_run -- OUT.html
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

#[path = "../tests/long_run/mod.rs"]
mod long_run;
#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::time::Instant;

fn main() -> std::io::Result<()> {
    let recording = long_run::recording(7, 100_000);
    let started = Instant::now();
    let page = squall_report::html(&recording);
    println!("made in {:.2?}; {} bytes", started.elapsed(), page.len());
    std::fs::write(
        std::env::args()
            .nth(1)
            .unwrap_or_else(|| "report.html".to_owned()),
        page,
    )
}
