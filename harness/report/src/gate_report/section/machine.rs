//! Where it ran, and what else was going on there: the share of the processors that others had, and how late threads woke.

use squall_model::gate::{BlockRecord, GateRecord, HostRecord};

use super::over_time::marks;
use crate::block::{Block, Cell, Column, Table};
use crate::chart::{Chart, Horizontal, Ink, Line, Place};
use crate::figure::{self, Unit};
use crate::section::Detail;

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let mut blocks = Vec::new();
    if detail == Detail::Brief {
        let text = [hardware(record), in_short(record)];
        let text: Vec<&str> = text
            .iter()
            .filter(|text| !text.is_empty())
            .map(String::as_str)
            .collect();
        if !text.is_empty() {
            blocks.push(Block::Paragraph(format!("{}.", text.join("; "))));
        }
        return blocks;
    }
    let about = [
        ("Processor", hardware(record)),
        ("System", record.machine.os.clone()),
    ];
    let about: Vec<(String, Cell)> = about
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name.to_owned(), Cell::plain(text)))
        .collect();
    if !about.is_empty() {
        blocks.push(Block::Definitions(about));
    }
    if let Some(table) = seen(record) {
        let text = "What others had of the processors' time makes both arms slower and blocks differ; pairs and restarts keep it out of the verdict, \
                    but it takes more blocks to see a change. Oversleep is by how much a thread that only sleeps woke late.";
        blocks.push(Block::Paragraph(text.to_owned()));
        blocks.push(table);
    }
    blocks.extend(
        charts(record)
            .into_iter()
            .map(|chart| Block::Chart(Box::new(chart))),
    );
    blocks
}

/// `AMD EPYC 7763, 2 cores, 7.75 GiB`.
fn hardware(record: &GateRecord) -> String {
    let machine = &record.machine;
    let mut parts = vec![machine.cpu.clone()];
    if machine.cores > 0 {
        parts.push(format!("{} cores", machine.cores));
    }
    if machine.memory > 0 {
        parts.push(figure::bytes(machine.memory as f64));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// What was seen over all blocks, in a few words.
pub(super) fn in_short(record: &GateRecord) -> String {
    let HostRecord {
        strangers,
        steal,
        oversleep_us_p99,
    } = record.host;
    let parts = [
        strangers.map(|share| format!("others had {}", figure::ratio(share))),
        steal.map(|share| format!("steal {}", figure::ratio(share))),
        oversleep_us_p99.map(|us| format!("oversleep P99 {}", figure::duration(us as f64))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What is read of a block, its name and its unit.
type Reading = (&'static str, Unit, fn(&HostRecord) -> Option<f64>);

const READINGS: [Reading; 3] = [
    ("Other programs' share", Unit::Ratio, |host| host.strangers),
    ("Steal", Unit::Ratio, |host| host.steal),
    ("Oversleep, P99", Unit::Duration, |host| {
        host.oversleep_us_p99.map(|us| us as f64)
    }),
];

fn seen(record: &GateRecord) -> Option<Block> {
    let columns = vec![
        Column::wide("Seen of the machine", 0),
        Column::right("Median of blocks", 0),
        Column::right("Worst block", 0),
    ];
    let rows = READINGS.iter().filter_map(|(name, unit, read)| {
        let worst = worst(record, *read)?;
        let (worst, block) = (unit.print(worst.0), worst.1.number);
        let median = figure::or_absent(read(&record.host), |value| unit.print(value));
        Some(vec![
            Cell::plain(*name),
            Cell::plain(median),
            Cell::plain(format!("{worst}\nblock {block}")),
        ])
    });
    let rows: Vec<Vec<Cell>> = rows.collect();
    (!rows.is_empty()).then(|| Block::Table(Table::of("What was seen of the machine", columns, rows)))
}

fn worst(record: &GateRecord, read: fn(&HostRecord) -> Option<f64>) -> Option<(f64, &BlockRecord)> {
    let read = record
        .blocks
        .iter()
        .filter_map(|block| Some((read(&block.host)?, block)));
    read.max_by(|(one, _), (other, _)| one.total_cmp(other))
}

/// Over the blocks: the shares in one chart, the oversleep in another.
fn charts(record: &GateRecord) -> Vec<Chart> {
    let [strangers, steal, oversleep] = READINGS;
    let chart = |id: &str, title: &str, unit: Unit, readings: &[Reading]| {
        let lines: Vec<Line> = (0..)
            .zip(readings)
            .map(|(ink, reading)| line(record, ink, reading))
            .collect();
        let lines: Vec<Line> = lines
            .into_iter()
            .filter(|line| line.points().next().is_some())
            .collect();
        (!lines.is_empty()).then(|| Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            about: String::new(),
            x: Horizontal::Time {
                end_us: record.duration_us.max(1),
            },
            unit,
            lines,
            marks: marks(record),
            heat: None,
            place: Place::Whole,
        })
    };
    let shares = chart(
        "shares",
        "Processor time that others had",
        Unit::Ratio,
        &[strangers, steal],
    );
    let late = chart(
        "oversleep",
        "How late a thread woke, P99",
        Unit::Duration,
        &[oversleep],
    );
    [shares, late].into_iter().flatten().collect()
}

/// A reading, a level for each block that has one.
fn line(record: &GateRecord, ink: u8, (name, _, read): &Reading) -> Line {
    let points = record.blocks.iter().filter_map(|block| {
        let value = read(&block.host)?;
        Some((block.start_us as f64 + block.duration_us as f64 / 2.0, value))
    });
    Line {
        label: (*name).to_owned(),
        ink: Ink::Series(ink),
        pieces: vec![points.collect()],
    }
}
