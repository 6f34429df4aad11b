//! Invariants that did not hold, in which arm and how often.

use std::collections::BTreeMap;

use squall_model::gate::{Arm, Both, GateRecord};
use squall_model::units::human;

use crate::block::{Block, Cell, Column, Table, Tone};
use crate::figure;
use crate::section::Detail;
use crate::visible::shortened;

/// The most rows.
const MOST: usize = 40;
/// The most that are named in a sentence.
const MOST_NAMED: usize = 3;
/// The longest example where it must be short.
const LONGEST_BRIEF: usize = 60;

/// What is known of one invariant over all blocks, also those that do not count: what did not hold did not hold there either.
#[derive(Debug, Default)]
struct Broken<'r> {
    counts: Both<u64>,
    blocks: u64,
    example: &'r str,
}

pub(super) fn blocks(record: &GateRecord, detail: Detail) -> Vec<Block> {
    let broken = all(record);
    if broken.is_empty() {
        return Vec::new();
    }
    let columns = vec![
        Column::wide("Invariant", 0),
        Column::right("Base", 0),
        Column::right("Candidate", 0),
        Column::right("Blocks", 1),
        Column::wide("One of them", 2),
    ];
    let rows = broken.iter().take(MOST).map(|(name, one)| {
        let count = |arm: Arm| {
            let count = *one.counts.of(arm);
            let tone = if count > 0 { Tone::Bad } else { Tone::Plain };
            Cell::plain(if count > 0 {
                figure::count(count)
            } else {
                "held".to_owned()
            })
            .toned(tone)
        };
        let example = match detail {
            Detail::Brief => shortened(one.example, LONGEST_BRIEF),
            Detail::Full => one.example.to_owned(),
        };
        vec![
            Cell::plain(*name),
            count(Arm::Base),
            count(Arm::Candidate),
            Cell::plain(figure::count(one.blocks)),
            Cell::plain(example),
        ]
    });
    let rows = rows.collect();
    vec![Block::Table(Table::of(
        "Violations of invariants by arm",
        columns,
        rows,
    ))]
}

/// That the candidate broke what the base kept, in a sentence without its full stop.
pub(in super::super) fn broken(record: &GateRecord) -> Option<String> {
    let only = listed(record, |counts| counts.base == 0 && counts.candidate > 0)?;
    Some(format!("The candidate broke {only}, which the base kept"))
}

/// That both arms broke something, in a sentence.
pub(super) fn broken_by_both(record: &GateRecord) -> Option<String> {
    let both = listed(record, |counts| counts.base > 0 && counts.candidate > 0)?;
    Some(format!(
        "Both arms broke {both}: no regression, but not as it should be."
    ))
}

/// The invariants whose counts are so, each with how often the candidate broke it; nothing for none.
fn listed(record: &GateRecord, wanted: impl Fn(&Both<u64>) -> bool) -> Option<String> {
    let broken = all(record);
    let named: Vec<String> = broken
        .iter()
        .filter(|(_, one)| wanted(&one.counts))
        .map(|(name, one)| {
            let times = figure::counted(one.counts.candidate, "time", "times");
            format!("{} ({times})", shortened(name, LONGEST_BRIEF))
        })
        .collect();
    (!named.is_empty()).then(|| human::some_of(&named, MOST_NAMED))
}

/// Invariants that the candidate broke, each with how often and an example; those that the base kept first.
pub(in super::super) fn of_candidate(record: &GateRecord) -> Vec<(String, String)> {
    let broken = all(record);
    let mut told: Vec<_> = broken
        .iter()
        .filter(|(_, one)| one.counts.candidate > 0)
        .collect();
    told.sort_by_key(|(_, one)| one.counts.base > 0);
    let text = |one: &Broken<'_>| {
        let times = |n| figure::counted(n, "time", "times");
        let base = match one.counts.base {
            0 => "it held in the base".to_owned(),
            n => format!("in the base {}", times(n)),
        };
        format!(
            "did not hold in the candidate, {}; {base}\n{}",
            times(one.counts.candidate),
            one.example
        )
    };
    told.into_iter()
        .map(|(name, one)| ((*name).to_owned(), text(one)))
        .collect()
}

fn all(record: &GateRecord) -> BTreeMap<&str, Broken<'_>> {
    let mut all: BTreeMap<&str, Broken<'_>> = BTreeMap::new();
    for block in &record.blocks {
        let mut seen: Vec<&str> = Vec::new();
        for arm in Arm::BOTH {
            for violation in &block.arms.of(arm).violations {
                let one = all.entry(&violation.invariant).or_default();
                *one.counts.of_mut(arm) += violation.count;
                if one.example.is_empty() || arm == Arm::Candidate {
                    one.example = &violation.example;
                }
                if !seen.contains(&violation.invariant.as_str()) {
                    one.blocks += 1;
                    seen.push(&violation.invariant);
                }
            }
        }
    }
    all
}
