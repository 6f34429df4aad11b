//! Writes comparisons of made-up runs, to look at.
//!
//!     cargo run --release -p squall-report --example compare -- OUT_DIR
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

#[path = "../tests/synthetic/slower.rs"]
mod slower;
#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use squall_report::Recording;
use squall_report::compare::{Comparison, Comparisons, Run, Side, html, json, markdown, terminal};

fn main() -> std::io::Result<()> {
    let out = std::path::PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| ".".to_owned()));
    std::fs::create_dir_all(&out)?;
    let run = |name: &str, seed: u64, slower: bool| {
        let mut recording: Recording = synthetic::folder(seed).recording();
        recording.record.seed = seed;
        for (at, fault) in (1_u64..).zip(&mut recording.record.faults) {
            fault.felt.detect_us = Some(at * 20_000 + seed * 900);
            fault.felt.recover_us = (slower || at < 4).then_some(at * 160_000 + seed * 7_000);
            fault.felt.unrecovered_us = fault.felt.recover_us.is_none().then_some(7_600_000);
            fault.felt.debt_us = Some(at * 3_000_000);
            fault.felt.unmeasured = String::new();
        }
        recording.record.started_at = format!("2026-01-15T09:{:02}:12.480Z", 30 + seed);
        if slower {
            "9d0e7f1".clone_into(&mut recording.record.revision);
            recording = slower::slower(recording, 1.12);
            recording.record.source = recording.record.source.replace("2k/s", "2000/s");
        }
        Run {
            name: format!("{name}/run-{seed}"),
            recording,
        }
    };
    let single = |name, seed, slower| Side {
        name: String::new(),
        runs: vec![run(name, seed, slower)],
    };
    let several = |name: &str, seeds: std::ops::Range<u64>, slower| Side {
        name: name.to_owned(),
        runs: seeds.map(|seed| run(name, seed, slower)).collect(),
    };
    let pages = [
        (
            "single",
            vec![single("base", 7, false), single("candidate", 8, true)],
        ),
        (
            "repeats",
            vec![several("base", 1..6, false), several("candidate", 6..11, true)],
        ),
        (
            "three",
            vec![
                single("a", 7, false),
                single("b", 8, true),
                several("c", 9..11, true),
            ],
        ),
    ];
    for (name, sides) in pages {
        let comparisons = Comparisons {
            of: Comparison::new(sides).into_iter().collect(),
            notes: Vec::new(),
        };
        std::fs::write(out.join(format!("{name}.html")), html(&comparisons))?;
        std::fs::write(out.join(format!("{name}.md")), markdown(&comparisons))?;
        std::fs::write(out.join(format!("{name}.json")), json(&comparisons))?;
        println!("{}", terminal(&comparisons, 110, true));
    }
    Ok(())
}
