//! Where the numbers come from and how to get them again: command, seed, revision, machine, scenario.

use squall_model::scenario::Network;

use super::Detail;
use crate::block::{Block, Cell};
use crate::figure;
use crate::recording::Recording;

pub(super) fn blocks(recording: &Recording, detail: Detail) -> Vec<Block> {
    let record = &recording.record;
    let command = Block::Code {
        label: "The command that repeats this run".to_owned(),
        text: record.command.clone(),
    };
    if detail == Detail::Brief {
        return if record.command.is_empty() {
            Vec::new()
        } else {
            vec![command]
        };
    }
    let mut blocks = Vec::new();
    if !record.command.is_empty() {
        blocks.push(Block::Paragraph("To repeat this run:".to_owned()));
        blocks.push(command);
    }
    let machine = &record.machine;
    let hardware = format!(
        "{}, {} cores, {}",
        machine.cpu,
        machine.cores,
        figure::bytes(machine.memory as f64)
    );
    let network = match record.network {
        Network::Shared => String::new(),
        Network::Isolated => "isolated: each service and each load was an end of its own".to_owned(),
    };
    let rows = [
        ("Started", figure::wall_time(&record.started_at)),
        ("Took", figure::duration(record.duration_us as f64)),
        ("Seed", record.seed.to_string()),
        ("Revision", record.revision.clone()),
        ("Machine", hardware),
        ("System", machine.os.clone()),
        ("Network", network),
        ("Squall", record.squall.clone()),
    ];
    let named = rows.into_iter().filter(|(_, text)| !text.is_empty());
    blocks.push(Block::Definitions(
        named
            .map(|(name, text)| (name.to_owned(), Cell::plain(text)))
            .collect(),
    ));
    for run in record.merged.iter().flat_map(|merged| &merged.runs) {
        blocks.push(Block::Paragraph(format!(
            "Merged from {}: {}, started {}, revision {}.",
            run.name,
            run.verdict.as_str(),
            figure::wall_time(&run.started_at),
            run.revision
        )));
        blocks.push(Block::Code {
            label: format!("The command that repeats {}", run.name),
            text: run.command.clone(),
        });
    }
    if !record.source.is_empty() {
        blocks.push(Block::Paragraph("The scenario:".to_owned()));
        blocks.push(Block::Code {
            label: "The scenario as written".to_owned(),
            text: record.source.clone(),
        });
    }
    blocks
}
