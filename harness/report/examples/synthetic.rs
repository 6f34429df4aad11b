//! Writes the report of a made-up 60 s run, to look at, and prints how long it took to make.
//!
//!     cargo run --release -p squall-report --example synthetic -- OUT_DIR
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::time::Instant;

use squall_report::{html, junit, markdown, terminal};

fn main() -> std::io::Result<()> {
    let out = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    std::fs::create_dir_all(&out)?;
    let folder = synthetic::folder(7);
    let started = Instant::now();
    let recording = folder.recording();
    let read = started.elapsed();
    let page = html(&recording);
    let texts = [markdown(&recording), junit(&recording)];
    println!(
        "read in {read:.1?}, all made after {:.1?}; page {} KiB",
        started.elapsed(),
        page.len() / 1024
    );
    std::fs::write(out.join("report.html"), page)?;
    std::fs::write(out.join("summary.md"), &texts[0])?;
    std::fs::write(out.join("junit.xml"), &texts[1])?;
    let cut = folder
        .events_ndjson
        .find("back-50ms injected")
        .unwrap_or(folder.events_ndjson.len() * 3 / 4);
    let series = &folder.series_ndjson[..folder.series_ndjson.len() / 3];
    let interrupted = squall_report::recording(&folder.events_ndjson[..cut], series, &folder.hlogs(), None);
    if let Ok(interrupted) = interrupted {
        std::fs::write(out.join("interrupted.html"), html(&interrupted))?;
    }
    println!("{}", terminal(&recording, 100, true));
    Ok(())
}
