//! Where the numbers come from and how to get them again: command, seed, revisions, version.

use squall_model::gate::{Arm, BenchmarksRecord, GateRecord};

use crate::block::{Block, Cell};
use crate::figure;
use crate::section::Detail;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !record.command.is_empty() {
        if detail == Detail::Full {
            blocks.push(Block::Paragraph("To repeat this gate:".to_owned()));
        }
        blocks.push(Block::Code {
            label: "The command that repeats this gate, once more".to_owned(),
            text: record.command.clone(),
        });
    }
    if detail == Detail::Brief {
        return blocks;
    }
    let revision = |arm: Arm| record.arms.of(arm).revision.clone();
    let rows = [
        ("Started", figure::wall_time(&record.started_at)),
        ("Took", figure::duration(record.duration_us as f64)),
        ("Given", figure::duration(record.budget_us as f64)),
        ("Seed", record.seed.to_string()),
        (
            "A block",
            record.benchmarks.as_ref().map_or_else(String::new, block),
        ),
        ("Base's revision", revision(Arm::Base)),
        ("Candidate's revision", revision(Arm::Candidate)),
        ("Exit code", record.exit_code.to_string()),
        ("Squall", record.squall.clone()),
    ];
    let named = rows.into_iter().filter(|(_, text)| !text.is_empty());
    let named = named.map(|(name, text)| (name.to_owned(), Cell::plain(text)));
    blocks.push(Block::Definitions(named.collect()));
    blocks
}

/// What a block of micro-benchmarks had.
fn block(benchmarks: &BenchmarksRecord) -> String {
    let slices = match benchmarks.slices {
        1 => "1 slice".to_owned(),
        slices => format!("{slices} slices"),
    };
    format!(
        "{slices} of each arm\nof each benchmark {} to warm up and {} to measure",
        figure::duration(benchmarks.warm_up_us as f64),
        figure::duration(benchmarks.measure_us as f64)
    )
}
